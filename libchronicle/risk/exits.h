/* Stop-loss and take-profit of a position, by share of its entry price or by average true range. No Python, no clock.
 *
 *     level of a long       stop = entry - distance     take = entry + distance       (a short: the other way round)
 *     distance              entry x bps / 10,000, and multiple x ATR; the nearer one counts
 *
 * Rules:
 * - A long is measured at the best bid, a short at the best ask: what leaving would bring.
 * - ATR (J. Welles Wilder, New Concepts in Technical Trading Systems, 1978): the true range of a bar is the largest of high - low,
 *   |high - last close|, |low - last close|; the first average is the mean of `bars` of them, from then on
 *   (average x (bars - 1) + range) / bars. Bars are of `bar_ns`, on the clock, of the middle of the book; bars without a record are not.
 * - A position takes the ATR of the moment it opens or turns; opened before there is one, the first there is.
 * - An exit is told once for a quantity, and again after `again_ns` while that quantity stands: the order may have been refused.
 */
#ifndef CHR_RISK_EXITS_H
#define CHR_RISK_EXITS_H

#include "checks.h"

#define CHR_ATR_UNIT 10000 /* ATR and its multiples are kept at 1e-4 */

enum chr_exit { CHR_EXIT_NONE = 0, CHR_EXIT_STOP_LOSS, CHR_EXIT_TAKE_PROFIT };

typedef struct {
    int64_t stop_bps, take_bps, stop_atr, take_atr; /* CHR_NO_LIMIT = none; multiples at 1e-4 */
    int64_t bar_ns, bars, again_ns;
    int64_t bar, high, low, last, close, seen; /* bar: its number since 1970; seen: whole bars */
    chr_i128 sum;
    int64_t atr;        /* price x 1e-4; 0 = not enough bars yet */
    int64_t entry_atr;  /* of the position that is open */
    int64_t side;       /* of it: 1, -1, 0 */
    int64_t told_qty, told_at;
} chr_exits;

static inline void chr_atr_close_bar(chr_exits *e) {
    int64_t range = e->high - e->low;
    if (e->seen) {
        range = chr_larger(range, chr_abs64(e->high - e->close));
        range = chr_larger(range, chr_abs64(e->low - e->close));
    }
    e->close = e->last;
    e->seen++;
    if (e->seen <= e->bars) {
        e->sum += (chr_i128)range * CHR_ATR_UNIT;
        if (e->seen == e->bars) e->atr = chr_clamp(e->sum / e->bars);
    } else {
        e->atr = chr_clamp(((chr_i128)e->atr * (e->bars - 1) + (chr_i128)range * CHR_ATR_UNIT) / e->bars);
    }
}

static inline void chr_atr_price(chr_exits *e, int64_t price, int64_t now) {
    int64_t bar = now / e->bar_ns;
    if (e->last && bar != e->bar) {
        chr_atr_close_bar(e);
        e->high = e->low = price;
    } else if (!e->last) {
        e->high = e->low = price;
    }
    e->bar = bar;
    e->last = price;
    if (price > e->high) e->high = price;
    if (price < e->low) e->low = price;
}

/* The nearer of two distances from the entry, in prices at 1e-4; -1 = none. */
static inline chr_i128 chr_exit_distance(int64_t entry, int64_t bps, int64_t multiple, int64_t atr) {
    chr_i128 share = bps < 0 ? -1 : (chr_i128)entry * bps, range = multiple < 0 || !atr ? -1 : (chr_i128)atr * multiple / CHR_ATR_UNIT;
    if (share < 0 || range < 0) return share < 0 ? range : share;
    return share < range ? share : range;
}

/* A market record: best prices (0 = none), the position and its average entry price. */
static inline int chr_exits_look(chr_exits *e, int64_t bid, int64_t ask, int64_t qty, int64_t entry, int64_t now) {
    if (bid && ask && (e->stop_atr >= 0 || e->take_atr >= 0)) chr_atr_price(e, bid + (ask - bid) / 2, now);
    int64_t side = (qty > 0) - (qty < 0);
    if (side != e->side) {
        e->side = side;
        e->entry_atr = e->told_qty = 0;
    }
    if (!side || entry <= 0) return CHR_EXIT_NONE;
    if (!e->entry_atr) e->entry_atr = e->atr;
    int64_t out = side > 0 ? bid : ask;
    if (!out || (e->told_qty == qty && now - e->told_at < e->again_ns)) return CHR_EXIT_NONE;
    chr_i128 gained = ((chr_i128)out - entry) * side * CHR_BPS;
    chr_i128 stop = chr_exit_distance(entry, e->stop_bps, e->stop_atr, e->entry_atr);
    chr_i128 take = chr_exit_distance(entry, e->take_bps, e->take_atr, e->entry_atr);
    int found = stop >= 0 && -gained >= stop ? CHR_EXIT_STOP_LOSS : take >= 0 && gained >= take ? CHR_EXIT_TAKE_PROFIT : 0;
    if (found) {
        e->told_qty = qty;
        e->told_at = now;
    }
    return found;
}

#endif
