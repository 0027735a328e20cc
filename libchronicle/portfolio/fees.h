/* What a venue takes for a trade. No Python, no allocation.
 *
 *     fee = value x rate + per_trade + per_qty x quantity (+ per_order with the order's first fill)
 *
 * - Rates are mantissas at 1e-8 of the trade's value, the rest is money; a rebate is negative.
 * - Each part is rounded up (a rebate toward zero): an account here never pays less than the venue would take.
 * - The rates of a UTC day follow from what was traded on the thirty days before it, as venues' tables say; a tier holds from
 *   its volume on. One tier: the volume is not looked at.
 */
#ifndef CHR_PORTFOLIO_FEES_H
#define CHR_PORTFOLIO_FEES_H

#include <string.h>

#include "money.h"

#define CHR_FEE_TIERS 16
#define CHR_FEE_WINDOW 30
#define CHR_FEE_RING (CHR_FEE_WINDOW + 1) /* and today */
#define CHR_DAY_NS 86400000000000LL

typedef struct {
    int64_t volume, maker, taker;
} chr_fee_tier;

typedef struct {
    chr_fee_tier tiers[CHR_FEE_TIERS]; /* by volume, the first from 0 on */
    uint32_t count, tier;              /* tier: the one in force */
    int64_t per_order, per_trade, per_qty;
    int64_t day, first; /* today, since 1970; first: 1 once a trade was seen */
    int64_t traded[CHR_FEE_RING];
} chr_fees;

/* A volume of the thirty days before the first trade, as if traded evenly. */
static inline void chr_fees_seed(chr_fees *f, int64_t volume) {
    for (int i = 0; i < CHR_FEE_RING; i++) f->traded[i] = volume / CHR_FEE_WINDOW;
    f->traded[0] += volume % CHR_FEE_WINDOW;
    f->first = 0;
}

static inline chr_i128 chr_fees_volume(const chr_fees *f) { /* of the thirty days before today */
    chr_i128 total = 0;
    for (int i = 0; i < CHR_FEE_RING; i++) total += f->traded[i];
    return f->first ? total - f->traded[f->day % CHR_FEE_RING] : total - f->traded[CHR_FEE_RING - 1];
}

static inline void chr_fees_rank(chr_fees *f) {
    chr_i128 volume = chr_fees_volume(f);
    for (f->tier = 0; f->tier + 1 < f->count && volume >= f->tiers[f->tier + 1].volume; f->tier++) {}
}

static inline void chr_fees_day(chr_fees *f, int64_t day) {
    if (f->first && day <= f->day) return; /* a clock that steps back opens no new day */
    if (!f->first) {                       /* turn the ring so that today's place is the one that is empty */
        int64_t before[CHR_FEE_RING];
        memcpy(before, f->traded, sizeof(before));
        for (int i = 0; i < CHR_FEE_WINDOW; i++) f->traded[(day - 1 - i + CHR_FEE_RING) % CHR_FEE_RING] = before[i];
        f->traded[day % CHR_FEE_RING] = 0;
        f->first = 1;
    } else {
        int64_t gone = day - f->day < CHR_FEE_RING ? day - f->day : CHR_FEE_RING;
        for (int64_t i = 0; i < gone; i++) f->traded[(day - i) % CHR_FEE_RING] = 0;
    }
    f->day = day;
    chr_fees_rank(f);
}

/* Go on from what an account of before has traded. */
static inline void chr_fees_recall(chr_fees *f, int64_t day, const int64_t *traded) {
    memcpy(f->traded, traded, sizeof(f->traded));
    f->day = day;
    f->first = 1;
    chr_fees_rank(f);
}

/* The fee of a trade of `value` (money, not negative); qty x times / over is its quantity in whole units. */
static inline int chr_fees_of(chr_fees *f, int64_t value, int64_t qty, int64_t times, int64_t over, int maker, int first,
                              int64_t ts_ns, int64_t *fee) {
    int bad;
    chr_i128 total;
    if (f->count > 1) chr_fees_day(f, ts_ns > 0 ? ts_ns / CHR_DAY_NS : 0);
    const chr_fee_tier *tier = &f->tiers[f->tier];
    bad = chr_charge(value, maker ? tier->maker : tier->taker, CHR_WHAT_FEE, fee);
    if (bad) return bad;
    total = (chr_i128)*fee + f->per_trade + (first ? f->per_order : 0);
    if (f->per_qty) {
        chr_i128 units;
        if (__builtin_mul_overflow((chr_i128)qty * f->per_qty, (chr_i128)times, &units)) return -CHR_WHAT_FEE - CHR_WIDE;
        total += chr_ceil(units, over);
    }
    return chr_fits(total, CHR_WHAT_FEE, fee);
}

static inline void chr_fees_traded(chr_fees *f, int64_t value) {
    int64_t *today = &f->traded[f->day % CHR_FEE_RING];
    if (f->count > 1) *today = *today > INT64_MAX - value ? INT64_MAX : *today + value;
}

#endif
