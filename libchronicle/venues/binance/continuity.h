/* Whether a frame follows what was seen before. The one place where update ids and trade ids are compared on the hot path.
 *
 *   depth    "before" is the update id that must have been seen: U - 1 on spot, pu on futures.
 *            NEXT     before <= chain < u     continues (on one connection before == chain; a second connection may cut its events
 *                                             elsewhere, and overlapping absolute quantities are harmless)
 *            OLD      u <= chain              seen: the same event again, or one overtaken by its successor
 *            BREAK    before > chain          events are missing
 *   ticker   its update id only grows; one that does not is OLD: a second connection's copy, or overtaken.
 *   trade    ids are contiguous, and every trade counts, however late: a window of the last 4,096 ids tells a copy from a late first
 *            sight. Behind the window is OLD.
 *
 * A venue that starts anew counts from lower ids; BN_OLD_RUN frames in a row behind the mark (none ahead of it) are taken for that.
 */
#ifndef CHR_BN_CONTINUITY_H
#define CHR_BN_CONTINUITY_H

#include "records.h"

typedef enum { BN_NEXT = 0, BN_SEEN, BN_BREAK } bn_follow;

enum { BN_OLD_RUN = 512, BN_TRADE_WINDOW = 4096 };

static inline bn_follow bn_follows(uint64_t chain, uint64_t before, uint64_t last)
{
    if (BN_LIKELY(before <= chain && chain < last))
        return BN_NEXT;
    return last <= chain ? BN_SEEN : BN_BREAK;
}

static inline void bn_trade_bit(bn_symbol *s, uint64_t id, int seen)
{
    uint64_t bit = 1ull << (id & 63), *word = &s->trade_window[id / 64 % 64];
    *word = seen ? *word | bit : *word & ~bit;
}

static inline int bn_trade_seen(const bn_symbol *s, uint64_t id)
{
    if (BN_LIKELY(id > s->last_trade))
        return 0;
    return s->last_trade - id >= BN_TRADE_WINDOW || (s->trade_window[id / 64 % 64] >> (id & 63) & 1);
}

/* Trades between the last one and this that were not seen (yet). */
static inline uint64_t bn_trade_note(bn_symbol *s, uint64_t id)
{
    uint64_t missing = 0;
    if (BN_LIKELY(id > s->last_trade)) {
        if (s->last_trade == 0 || id - s->last_trade >= BN_TRADE_WINDOW) {
            memset(s->trade_window, 0, sizeof s->trade_window);
            missing = s->last_trade ? id - s->last_trade - 1 : 0;
        } else {
            for (uint64_t i = s->last_trade + 1; i < id; i++)
                bn_trade_bit(s, i, 0);
            missing = id - s->last_trade - 1;
        }
        s->last_trade = id;
    }
    bn_trade_bit(s, id, 1);
    return missing;
}

/* The venue counts anew: forget what was seen of trades and tickers. */
static inline void bn_forget(bn_symbol *s)
{
    s->last_ticker = s->last_trade = 0;
    s->old_run = 0;
}

#endif
