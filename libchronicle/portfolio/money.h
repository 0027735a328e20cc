/* Money as int64 mantissas at 1e-8; products through 128 bits. No Python, no allocation.
 *
 * Rules:
 * - A result that does not fit is an error code, never a wrapped number; nothing has changed then.
 * - What is rounded is rounded once: a value half-even, a charge up (against the account).
 * - signed_value(price, qty) is money that grows with the price for a long quantity:
 *       spot, linear    qty x contract_size x price      in the quote (settle) currency
 *       inverse         -qty x contract_size / price     in the base (settle) currency
 *
 * An error is -(what) for 64 bits and -(what) - CHR_WIDE for 128.
 */
#ifndef CHR_PORTFOLIO_MONEY_H
#define CHR_PORTFOLIO_MONEY_H

#include <stdint.h>

typedef __int128 chr_i128;

#define CHR_WIDE 64
#define CHR_RATE_UNIT 100000000LL /* a rate is a mantissa at 1e-8 */

enum chr_what { /* the number that did not fit; names in position.pyx */
    CHR_WHAT_VALUE = 1,
    CHR_WHAT_POSITION,
    CHR_WHAT_COST,
    CHR_WHAT_CASH,
    CHR_WHAT_REALIZED,
    CHR_WHAT_FEES,
    CHR_WHAT_FEE,
    CHR_WHAT_UNREALIZED,
    CHR_WHAT_EQUITY,
    CHR_WHAT_AVERAGE,
    CHR_WHAT_MARGIN,
    CHR_WHAT_BALANCE,
    CHR_WHAT_FUNDING,
    CHR_WHAT_COUNT
};

typedef struct { /* frozen terms of an instrument that money depends on; 0 = the venue states none */
    int64_t tick, lot, min_qty, max_qty;
    int64_t min_value;   /* least notional of an order, money */
    int64_t times, over; /* the value of a product is product x times / over */
    uint8_t inverse, spot, trading;
} chr_terms;

static inline int chr_fits(chr_i128 v, int what, int64_t *out) {
    if (__builtin_expect(v > INT64_MAX || v < -INT64_MAX, 0)) return -what;
    *out = (int64_t)v;
    return 0;
}

static inline int chr_sum(int64_t a, int64_t b, int what, int64_t *out) {
    return chr_fits((chr_i128)a + b, what, out);
}

/* Largest integer not above n / d; d > 0. Most quotients are of 64 bits, where the division is five times cheaper. */
static inline chr_i128 chr_floor_div(chr_i128 n, chr_i128 d, chr_i128 *rest) {
    chr_i128 q, r;
    if ((int64_t)n == n && (int64_t)d == d) {
        q = (int64_t)n / (int64_t)d;
        r = (int64_t)n - (int64_t)q * (int64_t)d;
    } else {
        q = n / d;
        r = n - q * d;
    }
    if (r < 0) {
        r += d;
        q -= 1;
    }
    *rest = r;
    return q;
}

static inline chr_i128 chr_half_even(chr_i128 n, chr_i128 d) {
    chr_i128 r, q = chr_floor_div(n, d, &r);
    return q + (r > d - r || (r == d - r && (q & 1)));
}

static inline chr_i128 chr_ceil(chr_i128 n, chr_i128 d) {
    chr_i128 r, q = chr_floor_div(n, d, &r);
    return q + (r > 0);
}

static inline int64_t chr_abs64(int64_t v) {
    return v < 0 ? -v : v;
}

/* Money of `qty` at `price`, with the sign of qty (inverse: against it). */
static inline int chr_value(const chr_terms *t, int64_t price, int64_t qty, int64_t *out) {
    chr_i128 product;
    if (qty == 0) {
        *out = 0;
        return 0;
    }
    if (t->inverse) {
        if (price <= 0) return -CHR_WHAT_VALUE;
        product = -(chr_i128)qty * t->times;
        return chr_fits(chr_half_even(product, (chr_i128)price * t->over), CHR_WHAT_VALUE, out);
    }
    product = (chr_i128)price * qty;
    if (t->times != 1 && __builtin_mul_overflow(product, (chr_i128)t->times, &product)) return -CHR_WHAT_VALUE - CHR_WIDE;
    return chr_fits(t->over == 1 ? product : chr_half_even(product, t->over), CHR_WHAT_VALUE, out);
}

static inline int chr_notional(const chr_terms *t, int64_t price, int64_t qty, int64_t *out) {
    int bad = chr_value(t, price, qty, out);
    if (!bad && *out < 0) *out = -*out;
    return bad;
}

/* The price at which qty is worth cost; 0 when flat. */
static inline int chr_price_of(const chr_terms *t, int64_t cost, int64_t qty, int64_t *out) {
    chr_i128 n, d;
    *out = 0;
    if (qty == 0 || cost == 0) return 0;
    if (t->inverse) {
        n = -(chr_i128)qty * t->times;
        d = (chr_i128)cost * t->over;
    } else {
        n = (chr_i128)cost * t->over;
        d = (chr_i128)qty * t->times;
    }
    if (d < 0) {
        n = -n;
        d = -d;
    }
    return chr_fits(chr_half_even(n, d), CHR_WHAT_AVERAGE, out);
}

/* amount x rate, rounded up: a charge is never too small, a rebate never too large. */
static inline int chr_charge(int64_t amount, int64_t rate, int what, int64_t *out) {
    return chr_fits(chr_ceil((chr_i128)amount * rate, CHR_RATE_UNIT), what, out);
}

#endif
