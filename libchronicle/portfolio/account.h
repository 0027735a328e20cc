/* An account at a venue: balances, positions, margin. No Python; memory only when an instrument is added.
 *
 * Slots are instruments in the order they were added, currencies those they are traded and settled in.
 *
 *     kind of slot        a fill moves                                   open orders hold back
 *     spot, cash          base += qty, quote -= value + fee              what they would spend: value + fee, or base
 *     spot, on margin     the same; balances may go below zero           initial margin
 *     contract            settle += realised - fee                       initial margin
 *
 * Rules:
 * - Money is at 1e-8. A currency's balance is at the finest exponent any of its uses needs, so nothing is rounded there.
 * - equity of a currency = balance + held, held = unrealised profit of contracts + value of margined spot at the mark.
 * - initial margin of a slot = max(|position + open buys|, |position - open sells|) / leverage, the position at its mark and
 *   orders at their prices, rounded up; maintenance = rate x |position|. All contracts of a currency share its equity (cross margin).
 * - An order that only reduces is never refused for money. Every other one must leave equity - locked - initial >= 0 with its fee
 *   and what it would lose at once against the mark.
 * - mark() says 1 while equity <= maintenance with a position open: the venue takes over. A liquidation that ends below zero is
 *   the venue's loss: the balance is set to zero and `shortfall` keeps the difference.
 * - A fill is whole or not at all: whatever does not fit changes nothing.
 */
#ifndef CHR_PORTFOLIO_ACCOUNT_H
#define CHR_PORTFOLIO_ACCOUNT_H

#include <stdlib.h>

#include "enums.h"
#include "fees.h"
#include "position.h"

#define CHR_BUY 0
#define CHR_SELL 1

typedef struct {
    int64_t balance, locked;                  /* at the currency's exponent */
    int64_t held, initial, maintenance, open; /* money; open: slots with a position on margin */
    int64_t shortfall;                        /* at the currency's exponent */
    int64_t scale;                            /* balance units per unit of money */
    int8_t exponent;
    int8_t priced, flip;  /* priced: in the account's currency by way of `slot`'s price; flip: against it */
    uint32_t slot, next;  /* next: the currency that price leads to; its own place = the account's currency */
} chr_currency;

typedef struct {
    chr_terms terms;
    chr_pos position;
    int64_t funding;                     /* paid, money */
    int64_t mark;                        /* 0: none seen yet */
    int64_t open_qty[2], open_value[2];  /* of open orders by side; value: money, at their prices */
    int64_t held, initial, maintenance;  /* what stands in the currency for this slot */
    int64_t locked_base, locked_settle;
    int64_t base_scale;                  /* balance units of base per unit of quantity */
    int64_t qty_times, qty_over;         /* whole units of a quantity */
    int64_t leverage;                    /* initial margin is one part in so many, at 1e-8 */
    int64_t maintenance_rate, liquidation_rate;
    uint32_t base, settle, fees;
    int8_t price_exponent;
    uint8_t margined;
} chr_account_slot;

typedef struct {
    chr_account_slot *slots;
    chr_currency *currencies;
    chr_fees *fees;
    uint32_t count, currency_count, fee_count;
    uint64_t liquidations;
} chr_account;

static inline int64_t chr_place(uint8_t side) {
    return side == CHR_SIDE_BUY ? CHR_BUY : CHR_SELL;
}

/* Balance plus what is held in it, at the currency's exponent. */
static inline chr_i128 chr_account_equity(const chr_currency *c) {
    return (chr_i128)c->balance + (chr_i128)c->held * c->scale;
}

/* What new orders may use, at the currency's exponent. */
static inline chr_i128 chr_account_free(const chr_currency *c) {
    return chr_account_equity(c) - c->locked - (chr_i128)c->initial * c->scale;
}

static inline int64_t chr_larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* The most that a fee rate of the slot can take. */
static inline int64_t chr_fee_rate(const chr_account *a, const chr_account_slot *s) {
    const chr_fees *f = &a->fees[s->fees];
    return chr_larger(0, chr_larger(f->tiers[f->tier].maker, f->tiers[f->tier].taker));
}

static inline int64_t chr_clamp(chr_i128 v) {
    return v > INT64_MAX ? INT64_MAX : v < -INT64_MAX ? -INT64_MAX : (int64_t)v;
}

/* Initial margin with these open values beside a position worth `worth` (its sign is the position's). Saturates. */
static inline int64_t chr_initial(const chr_account_slot *s, int64_t worth, chr_i128 buys, chr_i128 sells) {
    chr_i128 up = worth + buys, down = (chr_i128)worth - sells;
    if (up < 0) up = -up;
    if (down < 0) down = -down;
    if (down > up) up = down;
    return chr_clamp(chr_ceil((chr_i128)chr_clamp(up) * CHR_RATE_UNIT, s->leverage));
}

/* The position's size in money at the mark, with its sign. */
static inline int chr_worth(const chr_account_slot *s, int64_t *worth) {
    int bad = chr_notional(&s->terms, s->mark ? s->mark : 1, s->mark ? s->position.qty : 0, worth);
    if (s->position.qty < 0) *worth = -*worth;
    return bad;
}

/* Bring what a slot holds, needs and locks in its currencies up to date. */
static inline int chr_account_refresh(chr_account *a, chr_account_slot *s) {
    chr_currency *settle = &a->currencies[s->settle];
    if (!s->margined) {
        chr_currency *base = &a->currencies[s->base];
        int64_t rate = CHR_RATE_UNIT + chr_fee_rate(a, s);
        int64_t spend = chr_clamp(chr_ceil((chr_i128)s->open_value[CHR_BUY] * rate, CHR_RATE_UNIT) * settle->scale);
        int64_t give = chr_clamp((chr_i128)s->open_qty[CHR_SELL] * s->base_scale);
        settle->locked += spend - s->locked_settle;
        base->locked += give - s->locked_base;
        s->locked_settle = spend;
        s->locked_base = give;
        return 0;
    }
    int64_t worth = 0, held = 0;
    int bad = chr_worth(s, &worth);
    if (!bad && s->position.qty && s->mark)
        bad = s->terms.spot ? chr_value(&s->terms, s->mark, s->position.qty, &held)
                            : chr_position_unrealized(&s->position, &s->terms, s->mark, &held);
    if (bad) return bad;
    int64_t initial = chr_initial(s, worth, s->open_value[CHR_BUY], s->open_value[CHR_SELL]);
    int64_t maintenance = chr_clamp(chr_ceil((chr_i128)chr_abs64(worth) * s->maintenance_rate, CHR_RATE_UNIT));
    settle->held += held - s->held;
    settle->initial += initial - s->initial;
    settle->maintenance += maintenance - s->maintenance;
    s->held = held;
    s->initial = initial;
    s->maintenance = maintenance;
    return 0;
}

/* A price to value a position at. 1: equity is at or below the maintenance margin. */
static inline int chr_account_mark(chr_account *a, uint32_t slot, int64_t price) {
    chr_account_slot *s = &a->slots[slot];
    if (price == s->mark && !s->margined) return 0;
    int64_t before = s->mark;
    s->mark = price;
    if (!s->margined || (s->position.qty == 0 && s->initial == 0)) return 0;
    int bad = before == price ? 0 : chr_account_refresh(a, s);
    if (bad) {
        s->mark = before;
        return bad;
    }
    const chr_currency *c = &a->currencies[s->settle];
    return s->position.qty != 0 && chr_account_equity(c) <= (chr_i128)c->maintenance * c->scale;
}

/* Leaves of an open order at `price` grew by `delta`. */
static inline void chr_account_opened(chr_account *a, uint32_t slot, uint8_t side, int64_t delta, int64_t price) {
    chr_account_slot *s = &a->slots[slot];
    int64_t at = chr_place(side), value = 0;
    if (chr_notional(&s->terms, price, delta, &value)) value = INT64_MAX; /* refused before it came here */
    s->open_qty[at] += delta;
    s->open_value[at] = chr_clamp((chr_i128)s->open_value[at] + (delta < 0 ? -value : value));
    if (s->open_qty[at] <= 0 || s->open_value[at] < 0) s->open_value[at] = 0; /* parts are rounded one by one */
    chr_account_refresh(a, s);
}

/* Money that goes into a currency's balance. */
static inline int chr_account_credit(const chr_currency *c, chr_i128 money, int64_t *balance) {
    return chr_fits((chr_i128)c->balance + money * c->scale, CHR_WHAT_BALANCE, balance);
}

/* Book a fill whose fee is known. `value`: what it is worth, money. */
static inline int chr_account_book(chr_account *a, uint32_t slot, uint8_t side, int64_t price, int64_t qty, int64_t value,
                                   int64_t fee) {
    chr_account_slot *s = &a->slots[slot];
    chr_currency *settle = &a->currencies[s->settle], *base = &a->currencies[s->base];
    int64_t signed_qty = side == CHR_SIDE_BUY ? qty : -qty, gained, quote, held = 0;
    chr_pos next;
    int bad = chr_position_fill(&s->position, &s->terms, signed_qty, price, fee, &next, &gained);
    if (bad) return bad;
    chr_i128 paid = s->terms.spot ? (chr_i128)next.cash - s->position.cash : gained;
    bad = chr_account_credit(settle, paid - fee, &quote);
    if (!bad && s->terms.spot)
        bad = chr_fits((chr_i128)base->balance + (chr_i128)signed_qty * s->base_scale, CHR_WHAT_BALANCE, &held);
    if (bad) return bad;
    chr_pos former = s->position;
    int64_t mark = s->mark;
    s->position = next;
    if (!s->mark) s->mark = price;
    if ((bad = chr_account_refresh(a, s))) {
        s->position = former;
        s->mark = mark;
        return bad;
    }
    settle->balance = quote;
    if (s->terms.spot) base->balance = held;
    settle->open += s->margined ? (next.qty != 0) - (former.qty != 0) : 0;
    chr_fees_traded(&a->fees[s->fees], value);
    return 0;
}

/* Book a fill. `first`: of its order. */
static inline int chr_account_fill(chr_account *a, uint32_t slot, uint8_t side, int64_t price, int64_t qty, int maker, int first,
                                   int64_t ts_ns, int64_t *fee) {
    chr_account_slot *s = &a->slots[slot];
    int64_t value;
    int bad = chr_notional(&s->terms, price, qty, &value);
    if (!bad) bad = chr_fees_of(&a->fees[s->fees], value, qty, s->qty_times, s->qty_over, maker, first, ts_ns, fee);
    return bad ? bad : chr_account_book(a, slot, side, price, qty, value, *fee);
}

/* Book a fill again, with the fee it had then: the schedule may be another one by now. */
static inline int chr_account_rebook(chr_account *a, uint32_t slot, uint8_t side, int64_t price, int64_t qty, int64_t fee,
                                     int64_t ts_ns) {
    chr_account_slot *s = &a->slots[slot];
    int64_t value, today;
    int bad = chr_notional(&s->terms, price, qty, &value);
    if (!bad) bad = chr_fees_of(&a->fees[s->fees], value, qty, s->qty_times, s->qty_over, 0, 0, ts_ns, &today); /* for its day */
    return bad ? bad : chr_account_book(a, slot, side, price, qty, value, fee);
}

/* The position is this one from now on, and the balances are what its fills have made of them. */
static inline int chr_account_restore(chr_account *a, uint32_t slot, const chr_pos *now) {
    chr_account_slot *s = &a->slots[slot];
    chr_currency *settle = &a->currencies[s->settle], *base = &a->currencies[s->base];
    chr_pos was = s->position;
    int64_t quote, held = 0;
    chr_i128 paid = s->terms.spot ? (chr_i128)now->cash - was.cash : (chr_i128)now->realized - was.realized;
    int bad = chr_account_credit(settle, paid - now->fees + was.fees, &quote);
    if (!bad && s->terms.spot)
        bad = chr_fits((chr_i128)base->balance + ((chr_i128)now->qty - was.qty) * s->base_scale, CHR_WHAT_BALANCE, &held);
    if (bad) return bad;
    s->position = *now;
    if ((bad = chr_account_refresh(a, s))) {
        s->position = was;
        return bad;
    }
    settle->balance = quote;
    if (s->terms.spot) base->balance = held;
    settle->open += s->margined ? (now->qty != 0) - (was.qty != 0) : 0;
    return 0;
}

/* Close the whole position at `price`, as a taker with the liquidation fee. */
static inline int chr_account_liquidate(chr_account *a, uint32_t slot, int64_t price, int64_t ts_ns, int64_t *fee) {
    chr_account_slot *s = &a->slots[slot];
    chr_currency *c = &a->currencies[s->settle];
    int64_t qty = chr_abs64(s->position.qty), notional, extra, fees, balance;
    int bad = chr_notional(&s->terms, price, qty, &notional);
    if (!bad) bad = chr_charge(notional, s->liquidation_rate, CHR_WHAT_FEE, &extra);
    if (!bad) bad = chr_account_fill(a, slot, s->position.qty > 0 ? CHR_SIDE_SELL : CHR_SIDE_BUY, price, qty, 0, 1, ts_ns, fee);
    if (!bad) bad = chr_sum(s->position.fees, extra, CHR_WHAT_FEES, &fees);
    if (!bad) bad = chr_account_credit(c, -(chr_i128)extra, &balance);
    if (bad) return bad;
    s->position.fees = fees;
    c->balance = balance;
    *fee += extra;
    a->liquidations++;
    if (c->open == 0 && c->balance < 0) {
        c->shortfall -= c->balance;
        c->balance = 0;
    }
    return 0;
}

/* Funding at `rate` of the position's notional at `mark`: a long pays a rate above zero. */
static inline int chr_account_fund(chr_account *a, uint32_t slot, int64_t rate, int64_t mark, int64_t *paid) {
    chr_account_slot *s = &a->slots[slot];
    chr_currency *c = &a->currencies[s->settle];
    int64_t notional, funding, balance;
    int bad = chr_notional(&s->terms, mark, s->position.qty, &notional);
    if (!bad) bad = chr_charge(s->position.qty < 0 ? -notional : notional, rate, CHR_WHAT_FUNDING, paid);
    if (!bad) bad = chr_sum(s->funding, *paid, CHR_WHAT_FUNDING, &funding);
    if (!bad) bad = chr_account_credit(c, -(chr_i128)*paid, &balance);
    if (bad) return bad;
    s->funding = funding;
    c->balance = balance;
    return 0;
}

/* An amount at the currency's exponent, at the next currency's. 0 while there is no price. */
static inline int chr_account_convert(const chr_account *a, const chr_currency *c, chr_i128 *amount) {
    const chr_account_slot *s = &a->slots[c->slot];
    int shift = c->exponent - a->currencies[c->next].exponent + (c->flip ? -s->price_exponent : s->price_exponent);
    chr_i128 n = s->mark ? *amount : 0, d = c->flip ? s->mark : 1;
    if (n == 0) {
        *amount = 0;
        return 0;
    }
    if (!c->flip && __builtin_mul_overflow(n, (chr_i128)s->mark, &n)) return -CHR_WHAT_EQUITY - CHR_WIDE;
    for (; shift > 0; shift--)
        if (__builtin_mul_overflow(n, (chr_i128)10, &n)) return -CHR_WHAT_EQUITY - CHR_WIDE;
    for (; shift < 0; shift++)
        if (__builtin_mul_overflow(d, (chr_i128)10, &d)) return -CHR_WHAT_EQUITY - CHR_WIDE;
    *amount = chr_half_even(n, d);
    return 0;
}

/* Everything the account has, in the currency at `place` (money): balances, unrealised profit of contracts. */
static inline int chr_account_total(const chr_account *a, uint32_t place, int64_t *out) {
    chr_i128 total = 0;
    for (uint32_t i = 0; i < a->currency_count; i++) {
        const chr_currency *c = &a->currencies[i];
        chr_i128 amount = c->balance;
        for (uint32_t k = 0; k < a->count; k++)
            if (a->slots[k].settle == i && !a->slots[k].terms.spot) amount += (chr_i128)a->slots[k].held * c->scale;
        for (; c != &a->currencies[place]; c = &a->currencies[c->next]) {
            if (!c->priced) amount = 0;
            if (amount == 0) break;
            int bad = chr_account_convert(a, c, &amount);
            if (bad) return bad;
        }
        total += amount;
    }
    return chr_fits(chr_half_even(total, a->currencies[place].scale), CHR_WHAT_EQUITY, out);
}

#endif
