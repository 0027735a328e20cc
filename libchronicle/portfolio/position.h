/* One position at average cost.
 *
 * Rules:
 * - qty is signed; cost is what the open quantity was bought for, signed like the quantity's value (a short's is
 *   negative, an inverse long's too).
 * - Opening adds the fill's value to the cost. Closing takes out cost x closed / open, rounded half-even once, and
 *   realises the difference.
 * - A flip closes all, then opens the rest at the fill's price; the two parts' values sum to the fill's value.
 * - Always, to the last digit:  realized == cash + cost,  and flat means cost == 0. So cash - fees + value at the mark is
 *   what any independent ledger of the same fills says.
 * - Fees are kept apart; realised profit is before fees.
 */
#ifndef CHR_PORTFOLIO_POSITION_H
#define CHR_PORTFOLIO_POSITION_H

#include <assert.h>

#include "money.h"

typedef struct {
    int64_t qty, cost, cash, realized, fees;
} chr_pos;

/* What a fill takes out of the position: the quantity closed, its cost, the value of the closing part. */
static inline int chr_position_closing(const chr_pos *p, const chr_terms *t, int64_t signed_qty, int64_t price,
                                       int64_t value, int64_t *cost, int64_t *closing) {
    *cost = *closing = 0;
    if (p->qty == 0 || (p->qty > 0) == (signed_qty > 0)) return 0;
    int64_t open = chr_abs64(p->qty), qty = chr_abs64(signed_qty);
    if (qty < open) {
        *closing = value;
        return chr_fits(chr_half_even((chr_i128)p->cost * qty, open), CHR_WHAT_COST, cost);
    }
    *cost = p->cost;
    *closing = value;
    return qty == open ? 0 : chr_value(t, price, -p->qty, closing);
}

/* The position after a fill, in `next`; what it realised in `gained`. */
static inline int chr_position_fill(const chr_pos *p, const chr_terms *t, int64_t signed_qty, int64_t price,
                                    int64_t fee, chr_pos *next, int64_t *gained) {
    int64_t value, cost, closing;
    int bad = chr_value(t, price, signed_qty, &value);
    if (!bad) bad = chr_position_closing(p, t, signed_qty, price, value, &cost, &closing);
    if (!bad) bad = chr_fits(-((chr_i128)closing + cost), CHR_WHAT_REALIZED, gained);
    if (!bad) bad = chr_sum(p->qty, signed_qty, CHR_WHAT_POSITION, &next->qty);
    if (!bad) bad = chr_fits((chr_i128)p->cost - cost + value - closing, CHR_WHAT_COST, &next->cost);
    if (!bad) bad = chr_sum(p->cash, -value, CHR_WHAT_CASH, &next->cash);
    if (!bad) bad = chr_sum(p->realized, *gained, CHR_WHAT_REALIZED, &next->realized);
    if (!bad) bad = chr_sum(p->fees, fee, CHR_WHAT_FEES, &next->fees);
    assert(bad || next->realized == next->cash + next->cost);
    return bad;
}

/* Profit of the open quantity at `mark`. */
static inline int chr_position_unrealized(const chr_pos *p, const chr_terms *t, int64_t mark, int64_t *out) {
    int bad = chr_value(t, mark, p->qty, out);
    return bad ? bad : chr_sum(*out, -p->cost, CHR_WHAT_UNREALIZED, out);
}

#endif
