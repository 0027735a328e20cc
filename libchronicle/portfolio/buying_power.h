/* May this order be sent? The instrument's own rules first, then whether the account can pay for it. */
#ifndef CHR_PORTFOLIO_BUYING_POWER_H
#define CHR_PORTFOLIO_BUYING_POWER_H

#include "account.h"

/* How much an order of this side can take off the position without turning it. */
static inline int64_t chr_reducible(const chr_account_slot *s, uint8_t side) {
    int64_t qty = side == CHR_SIDE_BUY ? -s->position.qty : s->position.qty;
    return qty > 0 ? qty : 0;
}

/* The price an order would trade at at worst: its limit, the opposite best for a market order, a sell at no less than the best bid.
 * 0: unknown. */
static inline int64_t chr_price_now(uint8_t side, uint8_t type, int64_t price, int64_t best_bid, int64_t best_ask) {
    int64_t opposite = side == CHR_SIDE_BUY ? best_ask : best_bid;
    if (type == CHR_ORDER_TYPE_MARKET) return opposite;
    return side == CHR_SIDE_BUY ? price : chr_larger(price, best_bid);
}

static inline int chr_check_terms(const chr_terms *t, uint8_t type, int64_t price, int64_t qty) {
    if (type != CHR_ORDER_TYPE_MARKET && (price <= 0 || (t->tick && price % t->tick))) return CHR_REJECT_CODE_BAD_PRICE;
    if (qty <= 0 || (t->lot && qty % t->lot) || qty < t->min_qty || (t->max_qty && qty > t->max_qty))
        return CHR_REJECT_CODE_BAD_QTY;
    return 0;
}

static inline int chr_can_pay_cash(const chr_account *a, const chr_account_slot *s, uint8_t side, int64_t value, chr_i128 charge,
                                   int64_t qty) {
    const chr_currency *settle = &a->currencies[s->settle], *base = &a->currencies[s->base];
    chr_i128 unlocked = (chr_i128)settle->balance - settle->locked, unused = chr_account_free(settle);
    if (unused < unlocked) unlocked = unused;
    if (side == CHR_SIDE_BUY) return (value + charge) * settle->scale <= unlocked;
    return (chr_i128)qty * s->base_scale <= (chr_i128)base->balance - base->locked;
}

static inline int chr_can_margin(const chr_account *a, const chr_account_slot *s, uint8_t side, int64_t price, int64_t value,
                                 chr_i128 charge, int64_t qty) {
    const chr_currency *c = &a->currencies[s->settle];
    int64_t worth, now = 0;
    if (chr_worth(s, &worth)) return 0;
    chr_i128 buys = s->open_value[CHR_BUY], sells = s->open_value[CHR_SELL], loss = 0;
    if (side == CHR_SIDE_BUY) buys += value;
    else sells += value;
    if (s->mark && (side == CHR_SIDE_BUY ? price > s->mark : price < s->mark)) {
        if (chr_notional(&s->terms, s->mark, qty, &now)) return 0;
        loss = (chr_i128)value - now;
        if (loss < 0) loss = -loss;
    }
    chr_i128 more = (chr_i128)chr_initial(s, worth, buys, sells) - s->initial + charge + loss;
    return more * c->scale <= chr_account_free(c);
}

/* Reject code, 0 = it may be sent. `price` of a stop-market order is its stop price. */
static inline int chr_account_check(chr_account *a, uint32_t slot, uint8_t side, uint8_t type, int64_t price, int64_t qty,
                                    int64_t best_bid, int64_t best_ask, int reduce_only) {
    chr_account_slot *s = &a->slots[slot];
    int64_t at = chr_place(side), value, fee;
    int bad = chr_check_terms(&s->terms, type, price, qty);
    if (bad) return bad;
    int64_t worst = chr_price_now(side, type, price, best_bid, best_ask);
    if (!s->terms.trading || !worst) return CHR_REJECT_CODE_NO_MARKET;
    int64_t reducible = chr_reducible(s, side);
    if (reduce_only) return reducible ? 0 : CHR_REJECT_CODE_REDUCE_ONLY;
    int reduces = (chr_i128)s->open_qty[at] + qty <= reducible;
    if (reduces && s->margined) return 0;
    if (chr_notional(&s->terms, worst, qty, &value)) return CHR_REJECT_CODE_NOTIONAL_LIMIT;
    if (!reduces && value < s->terms.min_value) return CHR_REJECT_CODE_NOTIONAL_LIMIT;
    chr_fees *f = &a->fees[s->fees];
    if (chr_charge(value, chr_fee_rate(a, s), CHR_WHAT_FEE, &fee)) return CHR_REJECT_CODE_NOTIONAL_LIMIT;
    chr_i128 charge = (chr_i128)fee + f->per_order + f->per_trade;
    if (f->per_qty) charge += chr_ceil((chr_i128)qty * f->per_qty * s->qty_times, s->qty_over);
    int pays = s->margined ? chr_can_margin(a, s, side, worst, value, charge, qty)
                           : chr_can_pay_cash(a, s, side, value, charge, qty);
    return pays ? 0 : CHR_REJECT_CODE_INSUFFICIENT_BALANCE;
}

#endif
