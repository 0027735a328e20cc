#ifndef CHR_SIM_QUEUE_H
#define CHR_SIM_QUEUE_H
/* Queue models: how much of a level stands before an order that rests there.

   An order joins behind all that its level displays. From then on, by model:

     TRADES   a trade at the price takes from the front; cancellations are not believed. Never fills too early
     CAPPED   the same, and never more ahead than is displayed (hftbacktest: RiskAdverseQueueModel)
     POWER    trades take from the front. A level that shrinks by d more than traded at it since it was last looked at lost some of
     LOG      that behind us: with front = ahead, back = displayed before - front, p = f(back) / (f(back) + f(front)),
                  ahead' = min(front - (1 - p) d + min(back - p d, 0), displayed now)
              and a level that grew leaves min(front, displayed now). f(x) = x^n or ln(1 + x). POWER_2 and LOG_2: p = f(back) /
              f(back + front); POWER_3: p = 1 - f(front / (front + back)). p = 1 where the quotient has no value.
              Source: hftbacktest 2.4, ProbQueueModel (models/queue.rs), after Cartea, Rigtorp "Estimating order queue position" (2013)
              and the answers to quant.stackexchange 3782. Differs in one point: what is ahead never falls below 0, for the
              quantity that trades behind it fills us at once
     FIFO     exact, on a book of orders: those before us are the ones that stood there when we came, and each record tells which of
              them is left. An execution behind us would have been ours
     USER     a function of the caller's says what is ahead, of which less than 0 is 0

   Quantities are mantissas. Only LOG and LOG_2 depend on their unit: x is counted in units of 1 (terms.unit mantissas). */

#include <math.h>

#include "sim_store.h"

static inline int64_t chr_sim_shown(const chr_sim_slot *s, const chr_sim_order *o) {
    return chr_l2_qty_at(s->book, o->side == CHR_SIDE_SELL, o->price);
}

/* ------------------------------------------------------------------ probabilistic */

static inline double chr_sim_weight(const chr_sim_terms *t, double x) {
    switch (t->queue) {
    case CHR_SIM_QUEUE_LOG:
    case CHR_SIM_QUEUE_LOG_2: return log1p(x / (t->unit > 0 ? t->unit : 1.0));
    default: return t->power == 1.0 ? x : t->power == 2.0 ? x * x : t->power == 3.0 ? x * x * x : pow(x, t->power);
    }
}

/* Chance that what left the level left behind us. */
static inline double chr_sim_behind(const chr_sim_terms *t, double front, double back) {
    double p;
    switch (t->queue) {
    case CHR_SIM_QUEUE_POWER_2:
    case CHR_SIM_QUEUE_LOG_2: p = chr_sim_weight(t, back) / chr_sim_weight(t, back + front); break;
    case CHR_SIM_QUEUE_POWER_3: p = 1.0 - chr_sim_weight(t, front / (front + back)); break;
    default: {
        double b = chr_sim_weight(t, back);
        p = b / (b + chr_sim_weight(t, front));
    }
    }
    return p >= 0.0 && p <= 1.0 ? p : 1.0; /* NaN and infinity too */
}

static inline int64_t chr_sim_guess(const chr_sim_terms *t, int64_t ahead, int64_t before, int64_t now, int64_t traded) {
    double lost = (double)before - (double)now - (double)traded;
    if (lost < 0) return ahead < now ? ahead : now;
    double front = (double)ahead, back = before > ahead ? (double)(before - ahead) : 0.0;
    double p = chr_sim_behind(t, front, back);
    double rest = back - p * lost, guess = front - (1.0 - p) * lost + (rest < 0 ? rest : 0.0);
    if (guess <= 0) return 0;
    return guess >= (double)now ? now : (int64_t)llrint(guess);
}

/* ------------------------------------------------------------------ first in, first out */

/* What the place was reckoned from: changes whenever an order of the level comes, goes or shrinks. */
static inline uint64_t chr_sim_stamp(const chr_l3_store *store, uint32_t level) {
    const chr_l3_level *l = &store->levels[level];
    if (!level || !l->count) return 1;
    uint64_t ends = (uint64_t)store->orders[l->head].arrival << 32 | store->orders[l->tail].arrival;
    return chr_mix64(ends + chr_mix64((uint64_t)l->qty + ((uint64_t)l->count << 40))) | 1;
}

static inline uint32_t chr_sim_level_of(const chr_sim_slot *s, const chr_sim_order *o) {
    int side = o->side == CHR_SIDE_SELL;
    return chr_l3_find_level(&s->l3->store, side, 0, chr_l3_key(s->l3, side, o->price));
}

/* Quantity of the orders that stood at the level when ours came. */
static inline int64_t chr_sim_before_mark(const chr_l3_store *store, uint32_t level, uint32_t mark) {
    int64_t qty = 0;
    if (!level) return 0;
    for (uint32_t at = store->levels[level].head; at; at = store->orders[at].next) {
        if ((int32_t)(store->orders[at].arrival - mark) > 0) break;
        qty += store->orders[at].qty;
    }
    return qty;
}

static inline int64_t chr_sim_exact(const chr_sim_slot *s, chr_sim_order *o) {
    uint32_t level = chr_sim_level_of(s, o);
    uint64_t stamp = chr_sim_stamp(&s->l3->store, level);
    if (stamp == o->stamp) return o->ahead;
    o->stamp = stamp;
    return chr_sim_before_mark(&s->l3->store, level, o->mark);
}

/* ------------------------------------------------------------------ what the rules ask */

static inline int64_t chr_sim_asked(const chr_sim_slot *s, int what, const chr_sim_order *o, int64_t a, int64_t b) {
    int64_t ahead = s->terms.ahead(s->terms.context, what, o, a, b);
    return ahead > 0 ? ahead : 0;
}

/* To the back of its level. */
static inline void chr_sim_queue_join(const chr_sim_slot *s, chr_sim_order *o) {
    o->ahead = o->shown = chr_sim_shown(s, o);
    o->traded = 0;
    if (s->terms.queue == CHR_SIM_QUEUE_FIFO) {
        o->mark = s->l3->store.arrivals;
        o->stamp = chr_sim_stamp(&s->l3->store, chr_sim_level_of(s, o));
    } else if (s->terms.queue == CHR_SIM_QUEUE_USER) {
        o->ahead = chr_sim_asked(s, CHR_SIM_ON_NEW, o, o->shown, 0);
    }
}

/* A trade of `qty` at its price: what of it is left for us, behind what is ahead. */
static inline int64_t chr_sim_queue_trade(const chr_sim_slot *s, chr_sim_order *o, int64_t qty) {
    if (o->ahead == CHR_SIM_AHEAD_UNKNOWN) return 0;
    int64_t before = o->ahead, used = before < qty ? before : qty;
    if (s->terms.queue == CHR_SIM_QUEUE_FIFO) {
        o->ahead = chr_sim_exact(s, o);
        int64_t left = before > o->ahead ? qty - (before - o->ahead) : qty;
        return o->ahead || left < 0 ? 0 : left;
    }
    if (s->terms.queue == CHR_SIM_QUEUE_USER) {
        o->ahead = chr_sim_asked(s, CHR_SIM_ON_TRADE, o, qty, chr_sim_shown(s, o));
        return o->ahead ? 0 : qty - used;
    }
    o->ahead -= used;
    if (__builtin_add_overflow(o->traded, qty, &o->traded)) o->traded = INT64_MAX;
    return qty - used;
}

/* The book changed. */
static inline void chr_sim_queue_depth(const chr_sim_slot *s, chr_sim_order *o) {
    if (o->ahead == CHR_SIM_AHEAD_UNKNOWN) return;
    if (s->terms.queue == CHR_SIM_QUEUE_FIFO) {
        o->ahead = chr_sim_exact(s, o);
        return;
    }
    int64_t now = chr_sim_shown(s, o), before = o->shown;
    if (now == before) return;
    o->shown = now;
    switch (s->terms.queue) {
    case CHR_SIM_QUEUE_CAPPED: o->ahead = o->ahead < now ? o->ahead : now; break;
    case CHR_SIM_QUEUE_USER: o->ahead = chr_sim_asked(s, CHR_SIM_ON_DEPTH, o, before, now); break;
    default: o->ahead = chr_sim_guess(&s->terms, o->ahead, before, now, o->traded); break;
    }
    o->traded = 0;
}

/* The book began anew, from a snapshot: changes before it were not seen. A place among single orders is lost with them. */
static inline void chr_sim_queue_rejoin(const chr_sim_slot *s, chr_sim_order *o) {
    if (o->ahead == CHR_SIM_AHEAD_UNKNOWN || s->terms.queue == CHR_SIM_QUEUE_FIFO || s->terms.queue == CHR_SIM_QUEUE_USER) {
        chr_sim_queue_join(s, o);
        return;
    }
    o->shown = chr_sim_shown(s, o);
    o->traded = 0;
    if (s->terms.queue != CHR_SIM_QUEUE_TRADES && o->ahead > o->shown) o->ahead = o->shown;
}

#endif
