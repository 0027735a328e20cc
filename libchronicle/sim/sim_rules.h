#ifndef CHR_SIM_RULES_H
#define CHR_SIM_RULES_H
/* What an order may do at the simulated venue: fill, end, take, rest, wait for its stop. matcher.h states the rules. */

#include "sim_queue.h"

static inline int chr_sim_side(const chr_sim_order *o) { return o->side == CHR_SIDE_SELL; }

static inline int64_t chr_sim_key(const chr_sim_order *o) { return o->price ^ -(int64_t)chr_sim_side(o); }

/* A stop rises to a buy and falls to a sell. */
static inline int chr_sim_rising(const chr_sim_order *o) { return o->side == CHR_SIDE_BUY; }

static inline int64_t chr_sim_stop_key(const chr_sim_order *o) { return o->stop_price ^ -(int64_t)chr_sim_rising(o); }

static inline int chr_sim_immediate(const chr_sim_order *o) {
    return o->type == CHR_ORDER_TYPE_MARKET || o->tif == CHR_TIME_IN_FORCE_IOC || o->tif == CHR_TIME_IN_FORCE_FOK;
}

static inline int chr_sim_ended(const chr_sim_order *o) { return o->flags & CHR_SIM_ENDED; }

static inline int64_t chr_sim_held(const chr_sim_slot *s, uint32_t owner) {
    return owner < s->owners ? s->positions[owner] : 0;
}

/* What may still fill: a reduce-only order stops where its owner's position ends. */
static inline int64_t chr_sim_allowed(const chr_sim_slot *s, const chr_sim_order *o) {
    int64_t left = o->qty - o->cum;
    if (!o->reduce_only) return left;
    int64_t held = chr_sim_held(s, o->owner);
    if (o->side == CHR_SIDE_BUY) held = held > INT64_MIN ? -held : INT64_MAX;
    return held <= 0 ? 0 : held < left ? held : left;
}

/* After a line changed. */
static inline void chr_sim_look(chr_sim_slot *s) {
    for (int d = 0; d < 2; d++) {
        int64_t rests = chr_sim_line_best(&s->resting[d]), stops = chr_sim_line_best(&s->stops[d]);
        s->reach[d] = rests > stops ? rests : stops;
    }
    int waits = s->terms.trigger == CHR_SIM_TRIGGER_BOOK && s->stops[0].count + s->stops[1].count;
    s->busy = waits || s->resting[0].count || s->resting[1].count || s->taken[0].count || s->taken[1].count || s->rejoin;
}

/* ------------------------------------------------------------------ events */

static inline chr_sim_event *chr_sim_tell(chr_sim *m, uint8_t kind, uint32_t place, uint64_t request, uint8_t code) {
    const chr_sim_order *o = &m->orders[place];
    chr_sim_event *e = chr_sim_event_room(m);
    e->kind = kind;
    e->code = code;
    e->owner = o->owner;
    e->slot = o->slot;
    e->order = place;
    e->key = o->key;
    e->request = request;
    e->price = o->price;
    e->qty = o->qty;
    e->cum = o->cum;
    e->leaves = chr_sim_ended(o) ? 0 : o->qty - o->cum;
    e->ahead = o->ahead;
    return e;
}

/* Out of the line it stands in. */
static inline void chr_sim_withdraw(chr_sim_slot *s, chr_sim_order *o, uint32_t place) {
    if (o->flags & CHR_SIM_RESTING) chr_sim_line_remove(&s->resting[chr_sim_side(o)], chr_sim_key(o), place);
    if (o->flags & CHR_SIM_WAITING) chr_sim_line_remove(&s->stops[chr_sim_rising(o)], chr_sim_stop_key(o), place);
    if (o->flags & (CHR_SIM_RESTING | CHR_SIM_WAITING)) {
        o->flags &= (uint8_t)~(CHR_SIM_RESTING | CHR_SIM_WAITING);
        chr_sim_look(s);
    }
}

static inline void chr_sim_end(chr_sim *m, uint32_t place, uint8_t kind, uint8_t code, uint64_t request) {
    chr_sim_order *o = &m->orders[place];
    chr_sim_withdraw(&m->slots[o->slot], o, place);
    chr_sim_leave(m, place);
    o->state = kind == CHR_EXEC_TYPE_CANCELLED ? CHR_SIM_CANCELLED : CHR_SIM_EXPIRED;
    chr_sim_tell(m, kind, place, request, code)->cause_seq = m->slots[o->slot].last_seq;
}

/* ------------------------------------------------------------------ filling */

typedef struct {
    int64_t price;                           /* of the fill */
    int64_t level_price, level_qty, ahead;   /* behind it: level or trade, and the queue before it */
    uint8_t rule, liquidity;
} chr_sim_why;

static inline int chr_sim_reserve_owner(chr_sim_slot *s, uint32_t owner) {
    if (owner < s->owners) return 0;
    int64_t *positions = (int64_t *)realloc(s->positions, ((size_t)owner + 1) * sizeof *positions);
    if (!positions) return -1;
    memset(positions + s->owners, 0, ((size_t)owner + 1 - s->owners) * sizeof *positions);
    s->positions = positions;
    s->owners = owner + 1;
    return 0;
}

/* Why a fill cannot be booked: a CHR_REJECT_CODE_*, 0 = it is. */
static inline uint8_t chr_sim_unbookable(chr_sim *m, chr_sim_slot *s, const chr_sim_order *o, int64_t qty, const chr_sim_why *why) {
    int64_t held;
    int over = o->side == CHR_SIDE_BUY ? __builtin_add_overflow(s->positions[o->owner], qty, &held)
                                       : __builtin_sub_overflow(s->positions[o->owner], qty, &held);
    if (over) return CHR_REJECT_CODE_NOTIONAL_LIMIT;
    if (m->book_fill) {
        int code = m->book_fill(m->book_context, o, why->price, qty, why->liquidity);
        if (code) return (uint8_t)code;
    }
    s->positions[o->owner] = held;
    return 0;
}

/* Fills up to `qty`; returns how much. */
static inline int64_t chr_sim_fill(chr_sim *m, chr_sim_slot *s, uint32_t place, int64_t qty, const chr_sim_why *why) {
    chr_sim_order *o = &m->orders[place];
    int64_t allowed = chr_sim_allowed(s, o);
    if (qty > allowed) qty = allowed;
    if (qty > 0) {
        uint8_t code = chr_sim_unbookable(m, s, o, qty, why);
        if (code) {
            chr_sim_end(m, place, CHR_EXEC_TYPE_EXPIRED, code, 0);
            return 0;
        }
        o->cum += qty;
        int done = o->cum == o->qty;
        o->state = done ? CHR_SIM_FILLED : CHR_SIM_PARTIAL;
        if (done) {
            chr_sim_withdraw(s, o, place);
            chr_sim_leave(m, place);
        }
        chr_sim_event *e = chr_sim_tell(m, done ? CHR_EXEC_TYPE_FILL : CHR_EXEC_TYPE_PARTIAL_FILL, place, 0, 0);
        e->liquidity = why->liquidity;
        e->rule = why->rule;
        e->trade_id = m->next_trade_id++;
        e->cause_seq = s->last_seq;
        e->last_price = why->price;
        e->last_qty = qty;
        e->ahead = why->ahead;
        e->level_price = why->level_price;
        e->level_qty = why->level_qty;
    }
    if (o->reduce_only && !chr_sim_ended(o) && chr_sim_allowed(s, o) == 0)
        chr_sim_end(m, place, CHR_EXEC_TYPE_EXPIRED, CHR_REJECT_CODE_REDUCE_ONLY, 0);
    return qty > 0 ? qty : 0;
}

/* ------------------------------------------------------------------ taking */

/* Lowest key of the other side's levels that an order may take. */
static inline int64_t chr_sim_bound(const chr_sim_order *o) {
    return o->type == CHR_ORDER_TYPE_MARKET ? INT64_MIN : ~chr_sim_key(o);
}

/* The owner's own resting order that an order asking for self-trade prevention would meet first; 0 = none. */
static inline uint32_t chr_sim_own(const chr_sim *m, const chr_sim_slot *s, const chr_sim_order *o) {
    const chr_sim_line *line = &s->resting[!chr_sim_side(o)];
    if (o->stp == CHR_STP_MODE_NONE) return 0;
    for (uint32_t i = line->count; i-- > 0 && line->at[i].key >= chr_sim_bound(o);)
        if (m->orders[line->at[i].order].owner == o->owner) return line->at[i].order;
    return 0;
}

/* The two would meet: who goes is the taker's to say. Returns 1 if the taker is still there. */
static inline int chr_sim_prevent(chr_sim *m, uint32_t taker, uint32_t maker) {
    uint8_t mode = m->orders[taker].stp;
    if (mode != CHR_STP_MODE_EXPIRE_TAKER) chr_sim_end(m, maker, CHR_EXEC_TYPE_EXPIRED, CHR_REJECT_CODE_SELF_TRADE, 0);
    if (mode != CHR_STP_MODE_EXPIRE_MAKER) chr_sim_end(m, taker, CHR_EXEC_TYPE_EXPIRED, CHR_REJECT_CODE_SELF_TRADE, 0);
    return mode == CHR_STP_MODE_EXPIRE_MAKER;
}

typedef struct {
    chr_sim *m;
    chr_sim_slot *s;
    uint32_t place;
    int64_t slip; /* what each unit costs more, >= 0 */
    uint8_t rule;
} chr_sim_taking;

static inline int64_t chr_sim_slipped(const chr_sim_taking *t, const chr_sim_order *o, int64_t price) {
    if (!t->slip) return price;
    int sell = chr_sim_side(o);
    int64_t worse;
    if (sell ? __builtin_sub_overflow(price, t->slip, &worse) : __builtin_add_overflow(price, t->slip, &worse)) return price;
    if (o->type == CHR_ORDER_TYPE_MARKET) return worse;
    return sell ? (worse < o->price ? o->price : worse) : (worse > o->price ? o->price : worse);
}

/* Takes up to `most` from a level that displays `rung`. Returns 1 while the order wants more. */
static inline int chr_sim_take_level(chr_sim_taking *t, const chr_rung *rung, int64_t most) {
    chr_sim_order *o = &t->m->orders[t->place];
    int opposite = !chr_sim_side(o);
    chr_sim_memory *memory = &t->s->taken[opposite];
    int64_t offer = chr_sim_available(memory, rung->key, rung->qty), price = rung->key ^ -(int64_t)opposite;
    if (offer > most) offer = most;
    if (offer > 0) {
        chr_sim_why why = {
            .price = chr_sim_slipped(t, o, price), .level_price = price, .level_qty = rung->qty,
            .rule = t->rule, .liquidity = CHR_LIQUIDITY_TAKER,
        };
        int64_t filled = chr_sim_fill(t->m, t->s, t->place, offer, &why);
        if (filled && chr_sim_remember(memory, rung->key, rung->qty, filled)) t->m->no_memory = 1;
    }
    return !chr_sim_ended(o) && chr_sim_allowed(t->s, o) > 0;
}

/* An incoming order, against the levels from the best to its limit. */
static inline void chr_sim_take(chr_sim *m, chr_sim_slot *s, uint32_t place, uint8_t rule) {
    chr_sim_order *o = &m->orders[place];
    chr_sim_taking t = {m, s, place, 0, rule};
    int64_t bound = chr_sim_bound(o);
    const chr_ladder *ladder = &s->book->side[!chr_sim_side(o)];
    chr_ladder_walk walk = chr_ladder_start(ladder);
    chr_rung rung;
    uint32_t own = chr_sim_own(m, s, o);
    chr_sim_forget_gone(&s->taken[!chr_sim_side(o)], ladder);
    if (!chr_ladder_next(&walk, &rung) || rung.key < bound) {
        while (own && chr_sim_prevent(m, place, own)) own = chr_sim_own(m, s, o);
        return;
    }
    if (chr_sim_allowed(s, o) <= 0) return;
    if (chr_sim_draw(m, s->terms.slip_ppm)) t.slip = s->terms.tick * (int64_t)s->terms.slip_ticks;
    int more = 1;
    do {
        while (own && more) {
            chr_sim_order *maker = &m->orders[own];
            int64_t key = chr_sim_key(maker);
            if (key < rung.key) break;
            if (key == rung.key && maker->ahead > 0) more = chr_sim_take_level(&t, &rung, maker->ahead);
            if (more) more = chr_sim_prevent(m, place, own);
            if (more) own = chr_sim_own(m, s, o);
        }
        if (more) more = chr_sim_take_level(&t, &rung, INT64_MAX);
    } while (more && chr_ladder_next(&walk, &rung) && rung.key >= bound);
    while (more && own) {
        more = chr_sim_prevent(m, place, own);
        if (more) own = chr_sim_own(m, s, o);
    }
    chr_sim_look(s);
}

/* Can all of it be taken at once? */
static inline int chr_sim_fillable(chr_sim *m, chr_sim_slot *s, uint32_t place) {
    const chr_sim_order *o = &m->orders[place];
    int opposite = !chr_sim_side(o);
    int64_t want = o->qty - o->cum, bound = chr_sim_bound(o);
    uint32_t own = o->stp == CHR_STP_MODE_EXPIRE_MAKER ? 0 : chr_sim_own(m, s, o);
    int64_t own_key = own ? chr_sim_key(&m->orders[own]) : INT64_MIN;
    if (chr_sim_allowed(s, o) < want) return 0;
    chr_sim_forget_gone(&s->taken[opposite], &s->book->side[opposite]);
    chr_ladder_walk walk = chr_ladder_start(&s->book->side[opposite]);
    chr_rung rung;
    while (want > 0 && chr_ladder_next(&walk, &rung) && rung.key >= bound && (!own || rung.key >= own_key)) {
        int64_t offer = chr_sim_available(&s->taken[opposite], rung.key, rung.qty);
        if (own && rung.key == own_key && offer > m->orders[own].ahead) offer = m->orders[own].ahead;
        want = offer < want ? want - offer : 0;
    }
    return want == 0;
}

static inline int chr_sim_crosses(const chr_sim *m, const chr_sim_slot *s, const chr_sim_order *o) {
    chr_rung best;
    if (chr_ladder_best(&s->book->side[!chr_sim_side(o)], &best) && best.key >= ~chr_sim_key(o)) return 1;
    return chr_sim_own(m, s, o) != 0;
}

/* ------------------------------------------------------------------ resting */

/* Its place, or what it is, is another one now. */
static inline void chr_sim_move(chr_sim_slot *s, chr_sim_order *o) {
    o->flags |= CHR_SIM_MOVED;
    s->moved = 1;
}

/* Whatever stands before an older order of ours at the same price stands before this one too. `i`: where it is in its line, or would
   be put; its elders come after. */
static inline void chr_sim_behind_elder(const chr_sim *m, const chr_sim_line *line, uint32_t i, chr_sim_order *o) {
    if (i >= line->count || line->at[i].key != chr_sim_key(o) || o->ahead == CHR_SIM_AHEAD_UNKNOWN) return;
    int64_t before = m->orders[line->at[i].order].ahead;
    if (o->ahead < before) o->ahead = before;
}

static inline void chr_sim_stand(chr_sim *m, chr_sim_slot *s, chr_sim_line *line, int64_t key, uint32_t place, uint8_t flag) {
    chr_sim_order *o = &m->orders[place];
    if (chr_sim_line_add(line, key, place)) m->no_memory = 1;
    o->flags |= flag;
    if (o->tif == CHR_TIME_IN_FORCE_GTD && !(o->flags & CHR_SIM_DATED)) {
        if (chr_sim_expiry_add(m, place)) m->no_memory = 1;
        o->flags |= CHR_SIM_DATED;
    }
    chr_sim_look(s);
}

static inline void chr_sim_rest_or_expire(chr_sim *m, chr_sim_slot *s, uint32_t place) {
    chr_sim_order *o = &m->orders[place];
    if (chr_sim_ended(o)) return;
    if (chr_sim_immediate(o)) {
        chr_sim_end(m, place, CHR_EXEC_TYPE_EXPIRED, 0, 0);
    } else if (o->reduce_only && chr_sim_allowed(s, o) == 0) {
        chr_sim_end(m, place, CHR_EXEC_TYPE_EXPIRED, CHR_REJECT_CODE_REDUCE_ONLY, 0);
    } else {
        chr_sim_line *line = &s->resting[chr_sim_side(o)];
        chr_sim_queue_join(s, o);
        int64_t joined = o->ahead;
        chr_sim_behind_elder(m, line, chr_sim_line_find(line, chr_sim_key(o)), o);
        if (o->ahead != joined) chr_sim_move(s, o);
        chr_sim_stand(m, s, line, chr_sim_key(o), place, CHR_SIM_RESTING);
    }
}

/* ------------------------------------------------------------------ stops */

/* The price that a stop of a direction looks at: 1, or 0 when there is none yet. */
static inline int chr_sim_trigger_price(const chr_sim_slot *s, int rising, int64_t *price) {
    if (s->terms.trigger == CHR_SIM_TRIGGER_TRADE) {
        *price = s->last_trade;
        return s->has_trade;
    }
    chr_level_t best;
    if (!chr_l2_best(s->book, rising ? CHR_ASK : CHR_BID, &best)) return 0;
    *price = best.price;
    return 1;
}

static inline int chr_sim_is_reached(const chr_sim_slot *s, int rising, int64_t stop_key) {
    int64_t price;
    return chr_sim_trigger_price(s, rising, &price) && (price ^ -(int64_t)rising) <= stop_key;
}

/* A stop whose price was reached acts as the market or limit order it is. */
static inline void chr_sim_trigger(chr_sim *m, chr_sim_slot *s, uint32_t place) {
    chr_sim_order *o = &m->orders[place];
    o->type = o->type == CHR_ORDER_TYPE_STOP_MARKET ? CHR_ORDER_TYPE_MARKET : CHR_ORDER_TYPE_LIMIT;
    o->flags |= CHR_SIM_TRIGGERED;
    chr_sim_move(s, o);
    if (o->post_only && chr_sim_crosses(m, s, o)) {
        chr_sim_end(m, place, CHR_EXEC_TYPE_EXPIRED, CHR_REJECT_CODE_WOULD_CROSS, 0);
        return;
    }
    if (o->tif == CHR_TIME_IN_FORCE_FOK && !chr_sim_fillable(m, s, place)) {
        chr_sim_end(m, place, CHR_EXEC_TYPE_EXPIRED, CHR_REJECT_CODE_NOT_FILLABLE, 0);
        return;
    }
    chr_sim_take(m, s, place, CHR_SIM_RULE_STOP);
    chr_sim_rest_or_expire(m, s, place);
}

static inline void chr_sim_fire_stops(chr_sim *m, chr_sim_slot *s) {
    for (int rising = 0; rising < 2; rising++) {
        chr_sim_line *line = &s->stops[rising];
        while (line->count && chr_sim_is_reached(s, rising, chr_sim_line_best(line))) {
            uint32_t place = line->at[line->count - 1].order;
            chr_sim_withdraw(s, &m->orders[place], place);
            chr_sim_trigger(m, s, place);
        }
    }
}

#endif
