/* Pre-trade checks as one table, the same in the router, a strategy's host and a backtest. No Python, no allocation.
 *
 * Rules:
 * - The checks run in the order of CHR_CHECKS; the first breach names the code. Order and codes are part of what strategies rely on.
 * - The first group is about validity and holds for every order. The second group is about size and state, and is skipped for an order
 *   that can only reduce a position: a limit must never lock a position in.
 * - Positions count open orders: an order is judged as if everything open on its side had filled.
 * - A market order is priced at the opposite best, a sell at no less than the best bid: what it would trade at now. A stop-market
 *   order has its stop price as price.
 * - Pure: the situation is passed in, and the check changes nothing but takes a token from the bucket of an order that passes everything
 *   else.
 */
#ifndef CHR_RISK_CHECKS_H
#define CHR_RISK_CHECKS_H

#include "../portfolio/buying_power.h"

#define CHR_NO_LIMIT (-1)
#define CHR_BPS 10000
#define CHR_MOST_OPEN_ORDERS 10000 /* where nothing else is configured: the work of a market record grows with what rests */

typedef struct { /* of one strategy in one instrument; CHR_NO_LIMIT = none */
    int64_t order_qty, order_notional, position_qty, position_notional, exposure, open_orders, price_band_bps, data_age_ns;
    uint8_t allowed;
} chr_limits;

typedef struct { /* generic cell rate algorithm; cost_ns 0: no limit */
    int64_t cost_ns, depth_ns, full_at_ns;
} chr_bucket;

typedef struct { /* an order that wants to be sent, or the terms a replace asks for */
    int64_t qty, price, valid_until_ns;
    int64_t replaces_leaves; /* of the order it replaces: they no longer count as open */
    uint8_t is_buy, type, reduce_only, is_replace;
} chr_proposal;

typedef struct { /* everything a check may look at */
    int64_t now_ns;
    const chr_terms *terms; /* NULL: unknown */
    const chr_limits *limits;
    chr_bucket *bucket;
    int64_t best_bid, best_ask, reference; /* 0: that side is empty, nothing to measure against */
    int64_t market_ts;                     /* when the instrument was last heard of; 0: not known */
    int64_t position, open_buy, open_sell, open_orders;
    int64_t exposure; /* money of all other instruments settled in the same currency */
    int64_t tripped_limit, tripped_actual;
    uint16_t tripped; /* code of the breaker that has tripped, 0 = none */
    uint8_t has_market, killed, unpermitted;
} chr_situation;

typedef struct { /* the stable code, the limit and what was asked for */
    int64_t limit, actual;
    uint16_t code;
} chr_breach;

static inline int chr_breached(chr_breach *b, int code, chr_i128 limit, chr_i128 actual) {
    b->code = code;
    b->limit = chr_clamp(limit);
    b->actual = chr_clamp(actual);
    return 1;
}

/* ------------------------------------------------------------ the bucket */

/* When it is full again. Further off than an empty one takes: the clock has stepped back; it is empty. */
static inline int64_t chr_bucket_full(chr_bucket *b, int64_t now) {
    if (b->full_at_ns > now + b->depth_ns) b->full_at_ns = now + b->depth_ns;
    return b->full_at_ns > now ? b->full_at_ns : now;
}

static inline int chr_bucket_has(chr_bucket *b, int64_t now) {
    return chr_bucket_full(b, now) + b->cost_ns <= now + b->depth_ns;
}

static inline int chr_bucket_take(chr_bucket *b, int64_t now) {
    if (!chr_bucket_has(b, now)) return 0;
    b->full_at_ns = chr_bucket_full(b, now) + b->cost_ns;
    return 1;
}

/* ------------------------------------------------------------ validity: every order */

static inline int chr_breaks_killed(const chr_proposal *o, const chr_situation *s, chr_breach *b) {
    (void)o;
    return s->killed && chr_breached(b, CHR_REJECT_CODE_KILLED, 0, 0);
}

static inline int chr_breaks_stale(const chr_proposal *o, const chr_situation *s, chr_breach *b) {
    return o->valid_until_ns && o->valid_until_ns < s->now_ns && chr_breached(b, CHR_REJECT_CODE_STALE, o->valid_until_ns, s->now_ns);
}

static inline int chr_breaks_unknown(const chr_proposal *o, const chr_situation *s, chr_breach *b) {
    (void)o;
    return s->terms == NULL && chr_breached(b, CHR_REJECT_CODE_UNKNOWN_INSTRUMENT, 0, 0);
}

static inline int chr_breaks_bad_price(const chr_proposal *o, const chr_situation *s, chr_breach *b) {
    int64_t tick = s->terms->tick;
    if (o->type == CHR_ORDER_TYPE_MARKET || (o->price > 0 && !(tick && o->price % tick))) return 0;
    return chr_breached(b, CHR_REJECT_CODE_BAD_PRICE, tick, o->price);
}

static inline int chr_breaks_bad_qty(const chr_proposal *o, const chr_situation *s, chr_breach *b) {
    const chr_terms *t = s->terms;
    if (o->qty <= 0 || (t->lot && o->qty % t->lot)) return chr_breached(b, CHR_REJECT_CODE_BAD_QTY, t->lot, o->qty);
    if (o->qty < t->min_qty) return chr_breached(b, CHR_REJECT_CODE_BAD_QTY, t->min_qty, o->qty);
    return t->max_qty && o->qty > t->max_qty && chr_breached(b, CHR_REJECT_CODE_BAD_QTY, t->max_qty, o->qty);
}

static inline int64_t chr_worst_price(const chr_proposal *o, const chr_situation *s) {
    int64_t bid = s->has_market ? s->best_bid : 0, ask = s->has_market ? s->best_ask : 0;
    return chr_price_now(o->is_buy ? CHR_SIDE_BUY : CHR_SIDE_SELL, o->type, o->price, bid, ask);
}

static inline int chr_breaks_no_market(const chr_proposal *o, const chr_situation *s, chr_breach *b) {
    if (s->has_market && s->terms->trading && (o->type != CHR_ORDER_TYPE_MARKET || chr_worst_price(o, s))) return 0;
    return chr_breached(b, CHR_REJECT_CODE_NO_MARKET, 0, 0);
}

static inline int chr_breaks_price_band(const chr_proposal *o, const chr_situation *s, chr_breach *b) {
    int64_t band = s->limits->price_band_bps, reference = s->reference;
    if (band < 0 || o->type == CHR_ORDER_TYPE_MARKET || o->type == CHR_ORDER_TYPE_STOP_MARKET || !reference) return 0;
    chr_i128 away = (chr_i128)o->price - reference;
    if (away < 0) away = -away;
    return away * CHR_BPS > (chr_i128)reference * band && chr_breached(b, CHR_REJECT_CODE_BAD_PRICE, reference, o->price);
}

static inline int64_t chr_reducible_by(const chr_proposal *o, const chr_situation *s) {
    int64_t qty = o->is_buy ? -s->position : s->position;
    return qty > 0 ? qty : 0;
}

static inline int chr_breaks_reduce_only(const chr_proposal *o, const chr_situation *s, chr_breach *b) {
    return o->reduce_only && !chr_reducible_by(o, s) && chr_breached(b, CHR_REJECT_CODE_REDUCE_ONLY, 0, o->qty);
}

/* True when the position cannot grow or turn even if everything open on the order's side fills as well. A reduce-only order fills only
 * against the position. */
static inline int chr_only_reduces(const chr_proposal *o, const chr_situation *s) {
    if (o->reduce_only) return 1;
    return (chr_i128)(o->is_buy ? s->open_buy : s->open_sell) - o->replaces_leaves + o->qty <= chr_reducible_by(o, s);
}

/* ------------------------------------------------------------ size and state: every order that may enlarge a position */

static inline int chr_breaks_tripped(const chr_proposal *o, const chr_situation *s, chr_breach *b) {
    (void)o;
    return s->tripped && chr_breached(b, s->tripped, s->tripped_limit, s->tripped_actual);
}

/* The external risk gateway has not renewed its permit. */
static inline int chr_breaks_permit(const chr_proposal *o, const chr_situation *s, chr_breach *b) {
    (void)o;
    return s->unpermitted && chr_breached(b, CHR_REJECT_CODE_RISK_GATEWAY, 0, 0);
}

static inline int chr_breaks_not_allowed(const chr_proposal *o, const chr_situation *s, chr_breach *b) {
    (void)o;
    return !s->limits->allowed && chr_breached(b, CHR_REJECT_CODE_NOT_ALLOWED, 0, 0);
}

static inline int chr_breaks_stale_market(const chr_proposal *o, const chr_situation *s, chr_breach *b) {
    (void)o;
    int64_t limit = s->limits->data_age_ns, age = s->now_ns - s->market_ts;
    return limit >= 0 && s->market_ts && age > limit && chr_breached(b, CHR_REJECT_CODE_STALE_MARKET, limit, age);
}

static inline int chr_breaks_order_size(const chr_proposal *o, const chr_situation *s, chr_breach *b) {
    int64_t limit = s->limits->order_qty;
    return limit >= 0 && o->qty > limit && chr_breached(b, CHR_REJECT_CODE_ORDER_SIZE_LIMIT, limit, o->qty);
}

static inline int chr_breaks_order_notional(const chr_proposal *o, const chr_situation *s, chr_breach *b) {
    int64_t value, limit = s->limits->order_notional, least = s->terms->min_value;
    if (limit < 0 && least <= 0 && chr_abs64(o->qty) < (1LL << 31) && chr_worst_price(o, s) < (1LL << 31) && s->terms->times == 1)
        return 0; /* nothing to hold it against, and it fits */
    if (chr_notional(s->terms, chr_worst_price(o, s), o->qty, &value)) return chr_breached(b, CHR_REJECT_CODE_NOTIONAL_LIMIT, 0, 0);
    if (limit >= 0 && value > limit) return chr_breached(b, CHR_REJECT_CODE_NOTIONAL_LIMIT, limit, value);
    return least > 0 && value < least && chr_breached(b, CHR_REJECT_CODE_NOTIONAL_LIMIT, least, value);
}

/* The largest position the order's side can lead to, not negative. */
static inline chr_i128 chr_position_after(const chr_proposal *o, const chr_situation *s) {
    chr_i128 held = o->is_buy ? s->position : -(chr_i128)s->position, open = o->is_buy ? s->open_buy : s->open_sell;
    chr_i128 after = held + open + o->qty - o->replaces_leaves;
    return after > 0 ? after : 0;
}

static inline int chr_breaks_position_qty(const chr_proposal *o, const chr_situation *s, chr_breach *b) {
    int64_t limit = s->limits->position_qty;
    if (limit < 0) return 0;
    chr_i128 after = chr_position_after(o, s);
    return after > limit && chr_breached(b, CHR_REJECT_CODE_POSITION_LIMIT, limit, after);
}

/* Money of the position the order's side can lead to; -1: it does not fit. */
static inline int64_t chr_value_after(const chr_proposal *o, const chr_situation *s) {
    chr_i128 after = chr_position_after(o, s);
    int64_t value;
    return after > INT64_MAX || chr_notional(s->terms, chr_worst_price(o, s), (int64_t)after, &value) ? -1 : value;
}

static inline int chr_breaks_position_notional(const chr_proposal *o, const chr_situation *s, chr_breach *b) {
    int64_t limit = s->limits->position_notional, value;
    if (limit < 0) return 0;
    value = chr_value_after(o, s);
    if (value < 0) return chr_breached(b, CHR_REJECT_CODE_NOTIONAL_LIMIT, 0, 0);
    return value > limit && chr_breached(b, CHR_REJECT_CODE_NOTIONAL_LIMIT, limit, value);
}

static inline int chr_breaks_exposure(const chr_proposal *o, const chr_situation *s, chr_breach *b) {
    int64_t limit = s->limits->exposure, value;
    if (limit < 0) return 0;
    value = chr_value_after(o, s);
    if (value < 0) return chr_breached(b, CHR_REJECT_CODE_NOTIONAL_LIMIT, 0, 0);
    chr_i128 total = (chr_i128)value + s->exposure;
    return total > limit && chr_breached(b, CHR_REJECT_CODE_EXPOSURE_LIMIT, limit, total);
}

static inline int chr_breaks_open_orders(const chr_proposal *o, const chr_situation *s, chr_breach *b) {
    int64_t limit = s->limits->open_orders < 0 ? CHR_MOST_OPEN_ORDERS : s->limits->open_orders;
    return !o->is_replace && s->open_orders >= limit &&
           chr_breached(b, CHR_REJECT_CODE_OPEN_ORDERS_LIMIT, limit, (chr_i128)s->open_orders + 1);
}

/* ------------------------------------------------------------ the table */

static const struct {
    uint8_t always; /* holds for reducing orders too */
    int (*violated)(const chr_proposal *, const chr_situation *, chr_breach *);
} CHR_CHECKS[] = {
    {1, chr_breaks_killed},
    {1, chr_breaks_stale},
    {1, chr_breaks_unknown},
    {1, chr_breaks_bad_price},
    {1, chr_breaks_bad_qty},
    {1, chr_breaks_no_market},
    {1, chr_breaks_price_band},
    {1, chr_breaks_reduce_only},
    {0, chr_breaks_permit},
    {0, chr_breaks_tripped},
    {0, chr_breaks_not_allowed},
    {0, chr_breaks_stale_market},
    {0, chr_breaks_order_size},
    {0, chr_breaks_order_notional},
    {0, chr_breaks_position_qty},
    {0, chr_breaks_position_notional},
    {0, chr_breaks_exposure},
    {0, chr_breaks_open_orders},
};

/* Reject code, 0 = it may be sent; the breach says what of. */
static inline int chr_risk_check(const chr_proposal *o, const chr_situation *s, chr_breach *b) {
    b->code = 0;
    b->limit = b->actual = 0;
    int asked = 0;
    for (size_t i = 0; i < sizeof(CHR_CHECKS) / sizeof(CHR_CHECKS[0]); i++) {
        if (!CHR_CHECKS[i].always && !asked) {
            if (chr_only_reduces(o, s)) return 0;
            asked = 1;
        }
        if (CHR_CHECKS[i].violated(o, s, b)) return b->code;
    }
    if (s->bucket && s->bucket->cost_ns && !chr_bucket_take(s->bucket, s->now_ns)) b->code = CHR_REJECT_CODE_RATE_LIMIT;
    return b->code;
}

#endif
