/* Breakers of one strategy in one currency: they trip once, and reset by policy. No Python, no clock.
 *
 *     what                      trips when                                          code
 *     drawdown                  peak equity - equity >= max_drawdown                DRAWDOWN_LIMIT
 *     daily loss                equity at the day's start - equity >= max_daily_loss DAILY_LOSS_LIMIT
 *     losses in a row           so many round trips in a row lost money             LOSS_STREAK
 *
 *     reset      manual: only by a person   day: with the next UTC day   cooldown: so long after it tripped
 *
 * Rules:
 * - Equity is money: what trading has brought so far, less fees, open positions at their marks. Where it begins does not matter.
 * - A day's start is the last equity known before the day began.
 * - A round trip is a position from flat to flat, or until it turns; its result is what was realised less all its fees.
 * - A reset starts all three anew from the equity of that moment. Tripped, nothing is measured but the peak.
 */
#ifndef CHR_RISK_BREAKERS_H
#define CHR_RISK_BREAKERS_H

#include "checks.h"

enum chr_reset { CHR_RESET_MANUAL = 0, CHR_RESET_DAY, CHR_RESET_COOLDOWN };

typedef struct {
    int64_t max_drawdown, max_daily_loss, max_losses; /* CHR_NO_LIMIT = none */
    int64_t cooldown_ns;
    int64_t equity, peak, day, day_start, losses;
    int64_t tripped_at, limit, actual;
    uint16_t tripped; /* code, 0 = armed */
    uint8_t reset, seen;
} chr_breakers;

static inline void chr_breakers_reset(chr_breakers *b) {
    b->tripped = 0;
    b->limit = b->actual = 0;
    b->losses = 0;
    b->peak = b->day_start = b->equity;
}

static inline int chr_breakers_trip(chr_breakers *b, int code, int64_t limit, chr_i128 actual, int64_t now) {
    b->tripped = code;
    b->limit = limit;
    b->actual = chr_clamp(actual);
    b->tripped_at = now;
    return code;
}

/* Time has come to `now`: a new day, an end of the cool-down. The code that holds, 0 = armed. */
static inline int chr_breakers_at(chr_breakers *b, int64_t now) {
    int64_t day = now / CHR_DAY_NS;
    if ((b->seen || b->tripped) && day > b->day) {
        b->day = day;
        b->day_start = b->equity;
        if (b->tripped && b->reset == CHR_RESET_DAY) chr_breakers_reset(b);
    }
    if (b->tripped && b->reset == CHR_RESET_COOLDOWN && now - b->tripped_at >= b->cooldown_ns) chr_breakers_reset(b);
    return b->tripped;
}

/* Equity as of now. The code of a breaker that this has tripped, else 0. */
static inline int chr_breakers_equity(chr_breakers *b, int64_t equity, int64_t now) {
    if (!b->seen) {
        b->seen = 1;
        if (!b->tripped) b->day = now / CHR_DAY_NS; /* what a restart has interrupted has a day already */
        b->equity = b->peak = b->day_start = equity;
    }
    chr_breakers_at(b, now);
    b->equity = equity;
    if (equity > b->peak) b->peak = equity;
    if (b->tripped) return 0;
    chr_i128 down = (chr_i128)b->peak - equity, lost = (chr_i128)b->day_start - equity;
    if (b->max_drawdown >= 0 && down > 0 && down >= b->max_drawdown)
        return chr_breakers_trip(b, CHR_REJECT_CODE_DRAWDOWN_LIMIT, b->max_drawdown, down, now);
    if (b->max_daily_loss >= 0 && lost > 0 && lost >= b->max_daily_loss)
        return chr_breakers_trip(b, CHR_REJECT_CODE_DAILY_LOSS_LIMIT, b->max_daily_loss, lost, now);
    return 0;
}

/* A round trip has ended with this result. The code if it trips. */
static inline int chr_breakers_result(chr_breakers *b, int64_t result, int64_t now) {
    chr_breakers_at(b, now);
    if (result > 0) b->losses = 0;
    if (result < 0) b->losses++;
    if (b->tripped || b->max_losses < 0 || b->losses < b->max_losses) return 0;
    return chr_breakers_trip(b, CHR_REJECT_CODE_LOSS_STREAK, b->max_losses, b->losses, now);
}

/* A fill has taken a position from `before` to `after`; `net`: realised less fees so far, `base`: the same when the round trip began.
 * 1: the round trip has ended, with `result`. */
static inline int chr_round_trip(int64_t before, int64_t after, int64_t net, int64_t *base, int64_t *result) {
    if (before == 0 || (after != 0 && (before > 0) == (after > 0))) return 0;
    *result = chr_clamp((chr_i128)net - *base);
    *base = net;
    return 1;
}

#endif
