#ifndef CHR_MATCHER_H
#define CHR_MATCHER_H
/* The simulated venue: orders of many owners against the books and trades of a real market. No clock, no file, no Python; the same
   calls give the same events. Paper, backtest and the embedded exchange match with it.

   Rules:
   - Taking. An incoming order walks the displayed levels from the best, up to its limit, and remembers what it took. FOK needs all
     of it at once; IOC and MARKET let the rest expire; POST_ONLY that would take is rejected; GTC and GTD rest.
   - Memory. Our fills do not reach the real book, so a level goes on displaying what we have taken: it offers displayed - taken. A
     level that shows less than when we looked was traded or cancelled at the front, where ours stood: `taken` shrinks by as much.
     One that shows more got new quantity behind; one that the market has passed is forgotten.
   - Resting. An order joins the back of its level. It fills, at its own price and as maker, when
       * a trade goes strictly through its price: all of it, for the venue would have had to fill it first
       * a trade against its side prints at its price: what is ahead trades first (sim_queue.h), then our orders by age
       * the opposite best reaches its price: as much as is displayed there and not yet taken
   - Better prices first, then older orders, over all owners: what stands before an order stands before the younger ones of its
     price too, whatever was displayed when they came. Our orders never trade with each other: they are not in the market's
     book. With a self-trade prevention mode an order that would meet a resting one of the same owner follows the mode of the order
     that comes: it, the resting one, or both expire (SELF_TRADE). What stands before the resting one is taken first.
   - Stops wait for the last trade's price (TRIGGER_TRADE) or the opposite best (TRIGGER_BOOK) to reach their stop price: a buy at or
     above, a sell at or below; one that is reached already acts at once. They then act as the market or limit order they are,
     after the resting orders that the same record fills; first reached, then older, first.
   - Reduce-only never opens or turns a position: it fills up to the position that its owner has at that moment, the rest expires.
   - A replace keeps its place only if it lowers the quantity at the same price; else it is a new arrival.
   - An order whose next fill would make a position too large for 64 bits ends there (NOTIONAL_LIMIT).
   - Of a book of single orders only continuous trading is simulated. From the start of a call for an auction, or of a halt, to the
     phase after it nothing fills, new orders are refused (NO_MARKET), and what rests stands at the back of its level afterwards.
   - Options (terms) make fills worse, never better, and are drawn from the seed: a print may miss an order, an order may fill only
     when the market goes through it, a taker may pay more ticks within its limit.

   A record that can touch no order returns after two comparisons. Functions return 0, or -1 without memory; what they did stands in
   events[0 .. count). An order ends with exactly one of REJECT, FILL, CANCELLED, EXPIRED. */

#include "sim_rules.h"

static inline void chr_sim_free(chr_sim *m) {
    for (uint32_t i = 0; i < m->slots_count; i++) {
        chr_sim_slot *s = &m->slots[i];
        for (int d = 0; d < 2; d++) {
            free(s->resting[d].at);
            free(s->stops[d].at);
            free(s->taken[d].at);
        }
        free(s->told.at);
        free(s->positions);
    }
    free(m->slots);
    free(m->events);
    free(m->orders);
    free(m->keys.slots);
    free(m->expiries);
    free(m->expiry_ids);
    memset(m, 0, sizeof *m);
}

static inline int chr_sim_init(chr_sim *m, uint64_t seed) {
    memset(m, 0, sizeof *m);
    m->random = chr_sim_mix(seed);
    m->orders_used = 1;
    m->next_order_id = m->next_trade_id = 1;
    int bad = chr_l3_table_init(&m->keys);
    bad |= chr_sim_grow((void **)&m->orders, &m->orders_room, sizeof *m->orders, 64);
    bad |= chr_sim_grow((void **)&m->events, &m->room, sizeof *m->events, 64);
    if (!bad) memset(m->orders, 0, sizeof *m->orders);
    return bad ? -1 : 0;
}

/* Returned by each function that may allocate. */
static inline int chr_sim_result(chr_sim *m) {
    int result = m->no_memory ? -1 : 0;
    m->no_memory = 0;
    return result;
}

/* ------------------------------------------------------------------ instruments, positions */

/* Slot of a new instrument whose book the caller keeps; -1 without memory. `l3` NULL: the book is one of levels. */
static inline int chr_sim_instrument(chr_sim *m, uint64_t id, const chr_l2 *book, const chr_l3 *l3, const chr_sim_terms *terms) {
    if (m->slots_count == m->slots_room &&
        chr_sim_grow((void **)&m->slots, &m->slots_room, sizeof *m->slots, 8))
        return -1;
    chr_sim_slot *s = &m->slots[m->slots_count];
    memset(s, 0, sizeof *s);
    s->id = id;
    s->book = book;
    s->l3 = l3;
    s->terms = *terms;
    s->deep = terms->queue != CHR_SIM_QUEUE_TRADES;
    chr_sim_look(s);
    return (int)m->slots_count++;
}

/* Another book for an instrument: its feed was read anew. */
static inline void chr_sim_set_book(chr_sim *m, uint32_t slot, const chr_l2 *book, const chr_l3 *l3) {
    m->slots[slot].book = book;
    m->slots[slot].l3 = l3;
    m->slots[slot].rejoin = 1;
    chr_sim_look(&m->slots[slot]);
}

static inline int64_t chr_sim_position(const chr_sim *m, uint32_t slot, uint32_t owner) {
    return chr_sim_held(&m->slots[slot], owner);
}

static inline int chr_sim_set_position(chr_sim *m, uint32_t slot, uint32_t owner, int64_t qty) {
    if (chr_sim_reserve_owner(&m->slots[slot], owner)) return -1;
    m->slots[slot].positions[owner] = qty;
    return 0;
}

/* Place of an open order in m->orders; 0 = none of that key. */
static inline uint32_t chr_sim_order_at(const chr_sim *m, uint64_t key) { return chr_sim_find(m, key); }

/* ------------------------------------------------------------------ requests */

static inline int chr_sim_is_stop(const chr_sim_order *o) {
    return o->type == CHR_ORDER_TYPE_STOP_MARKET || o->type == CHR_ORDER_TYPE_STOP_LIMIT;
}

/* Is there no trading for now, but a call? */
static inline int chr_sim_calls(const chr_sim_slot *s) { return s->l3 && chr_l3_calls(s->l3); }

static inline int chr_sim_off(int64_t value, int64_t step) { return step > 0 && value % step; }

/* Shape of an order, whatever the market: 0 or a reject code. */
static inline uint8_t chr_sim_misshapen(const chr_sim_slot *s, const chr_sim_order *o, int64_t now) {
    int priced = o->type == CHR_ORDER_TYPE_LIMIT || o->type == CHR_ORDER_TYPE_STOP_LIMIT;
    if (o->side != CHR_SIDE_BUY && o->side != CHR_SIDE_SELL) return CHR_REJECT_CODE_MALFORMED;
    if (o->type < CHR_ORDER_TYPE_MARKET || o->type > CHR_ORDER_TYPE_STOP_LIMIT) return CHR_REJECT_CODE_UNSUPPORTED;
    if (o->tif < CHR_TIME_IN_FORCE_GTC || o->tif > CHR_TIME_IN_FORCE_GTD) return CHR_REJECT_CODE_UNSUPPORTED;
    if (o->stp > CHR_STP_MODE_EXPIRE_BOTH) return CHR_REJECT_CODE_UNSUPPORTED;
    if (o->qty <= 0 || chr_sim_off(o->qty, s->terms.lot)) return CHR_REJECT_CODE_BAD_QTY;
    if (priced && chr_sim_off(o->price, s->terms.tick)) return CHR_REJECT_CODE_BAD_PRICE;
    if (chr_sim_is_stop(o) && chr_sim_off(o->stop_price, s->terms.tick)) return CHR_REJECT_CODE_BAD_PRICE;
    if (o->tif == CHR_TIME_IN_FORCE_GTD && o->expire_ns <= now) return CHR_REJECT_CODE_STALE;
    if (o->post_only && (!priced || chr_sim_immediate(o))) return CHR_REJECT_CODE_UNSUPPORTED;
    return 0;
}

static inline uint8_t chr_sim_refusal(chr_sim *m, chr_sim_slot *s, uint32_t place, int64_t now) {
    chr_sim_order *o = &m->orders[place];
    uint8_t code = chr_sim_misshapen(s, o, now);
    if (code) return code;
    if (!o->key) return CHR_REJECT_CODE_MALFORMED;
    if (chr_sim_find(m, o->key)) return CHR_REJECT_CODE_DUPLICATE;
    if (!s->book->valid || chr_sim_calls(s)) return CHR_REJECT_CODE_NO_MARKET;
    if (chr_sim_is_stop(o)) return 0;
    if (o->post_only && chr_sim_crosses(m, s, o)) return CHR_REJECT_CODE_WOULD_CROSS;
    if (o->tif == CHR_TIME_IN_FORCE_FOK && !chr_sim_fillable(m, s, place)) return CHR_REJECT_CODE_NOT_FILLABLE;
    return 0;
}

/* A new order arrives: its ACK or REJECT, then what it takes. */
static inline int chr_sim_new(chr_sim *m, uint32_t slot, uint32_t owner, const chr_new_order_t *asked, uint64_t key, uint64_t request,
                              int64_t now) {
    chr_sim_slot *s = &m->slots[slot];
    chr_sim_release(m);
    uint32_t place = chr_sim_take_place(m);
    if (!place || chr_sim_reserve_owner(s, owner)) return -1;
    chr_sim_order *o = &m->orders[place];
    *o = (chr_sim_order){
        .key = key, .price = asked->price, .stop_price = asked->stop_price, .qty = asked->qty, .expire_ns = asked->expire_ns,
        .arrived_ns = now, .owner = owner, .slot = slot, .side = asked->side, .type = asked->order_type,
        .tif = asked->time_in_force, .stp = asked->stp_mode, .post_only = (asked->flags & CHR_ORDER_FLAGS_POST_ONLY) != 0,
        .reduce_only = (asked->flags & CHR_ORDER_FLAGS_REDUCE_ONLY) != 0, .state = CHR_SIM_OPEN,
    };
    uint8_t code = chr_sim_refusal(m, s, place, now);
    if (code) {
        o->state = CHR_SIM_REJECTED;
        o->flags |= CHR_SIM_ENDED;
        chr_sim_tell(m, CHR_EXEC_TYPE_REJECT, place, request, code)->cause_seq = s->last_seq;
        o->next = m->ended;
        m->ended = place;
        return chr_sim_result(m);
    }
    o->venue_order_id = m->next_order_id++;
    if (chr_sim_draw(m, s->terms.through_ppm)) o->flags |= CHR_SIM_THROUGH_ONLY;
    chr_sim_enter(m, place);
    chr_sim_tell(m, CHR_EXEC_TYPE_ACK, place, request, 0)->cause_seq = s->last_seq;
    if (!chr_sim_is_stop(o)) {
        chr_sim_take(m, s, place, CHR_SIM_RULE_TAKE);
        chr_sim_rest_or_expire(m, s, place);
    } else if (chr_sim_is_reached(s, chr_sim_rising(o), chr_sim_stop_key(o))) {
        chr_sim_trigger(m, s, place);
    } else {
        chr_sim_stand(m, s, &s->stops[chr_sim_rising(o)], chr_sim_stop_key(o), place, CHR_SIM_WAITING);
    }
    return chr_sim_result(m);
}

/* A request about an order that is not there, or is another's. */
static inline int chr_sim_unknown(chr_sim *m, uint8_t kind, uint64_t key, uint32_t owner, uint64_t request) {
    chr_sim_event *e = chr_sim_event_room(m);
    e->kind = kind;
    e->code = CHR_REJECT_CODE_UNKNOWN_ORDER;
    e->key = key;
    e->owner = owner;
    e->request = request;
    return chr_sim_result(m);
}

/* CANCELLED, or CANCEL_REJECT with UNKNOWN_ORDER. */
static inline int chr_sim_cancel(chr_sim *m, uint64_t key, uint32_t owner, uint64_t request, int64_t now) {
    (void)now;
    chr_sim_release(m);
    uint32_t place = chr_sim_find(m, key);
    if (!place || m->orders[place].owner != owner) return chr_sim_unknown(m, CHR_EXEC_TYPE_CANCEL_REJECT, key, owner, request);
    chr_sim_end(m, place, CHR_EXEC_TYPE_CANCELLED, 0, request);
    return chr_sim_result(m);
}

/* Every open order of an owner (~0: of all) in a slot (-1: in all), oldest first. */
static inline int chr_sim_cancel_all(chr_sim *m, uint32_t owner, int32_t slot, uint64_t request, uint8_t code, int64_t now) {
    (void)now;
    chr_sim_release(m);
    for (uint32_t place = m->first, next; place; place = next) {
        const chr_sim_order *o = &m->orders[place];
        next = o->next;
        if ((owner == UINT32_MAX || o->owner == owner) && (slot < 0 || o->slot == (uint32_t)slot))
            chr_sim_end(m, place, CHR_EXEC_TYPE_CANCELLED, code, request);
    }
    return chr_sim_result(m);
}

static inline uint8_t chr_sim_replace_refusal(const chr_sim *m, const chr_sim_slot *s, const chr_sim_order *o, int64_t price, int64_t qty) {
    if (qty <= o->cum || chr_sim_off(qty, s->terms.lot)) return CHR_REJECT_CODE_BAD_QTY;
    if (o->type != CHR_ORDER_TYPE_STOP_MARKET && chr_sim_off(price, s->terms.tick)) return CHR_REJECT_CODE_BAD_PRICE;
    if (o->flags & CHR_SIM_WAITING) return 0;
    if (!s->book->valid || chr_sim_calls(s)) return CHR_REJECT_CODE_NO_MARKET;
    chr_sim_order moved = *o;
    moved.price = price;
    return o->post_only && chr_sim_crosses(m, s, &moved) ? CHR_REJECT_CODE_WOULD_CROSS : 0;
}

/* Another price and total quantity: REPLACED, then what it takes; or REPLACE_REJECT. A stop that waits keeps its stop price. */
static inline int chr_sim_replace(chr_sim *m, uint64_t key, uint32_t owner, int64_t price, int64_t qty, uint64_t request, int64_t now) {
    chr_sim_release(m);
    uint32_t place = chr_sim_find(m, key);
    if (!place || m->orders[place].owner != owner) return chr_sim_unknown(m, CHR_EXEC_TYPE_REPLACE_REJECT, key, owner, request);
    chr_sim_order *o = &m->orders[place];
    chr_sim_slot *s = &m->slots[o->slot];
    uint8_t code = chr_sim_replace_refusal(m, s, o, price, qty);
    if (code) {
        chr_sim_tell(m, CHR_EXEC_TYPE_REPLACE_REJECT, place, request, code);
        return chr_sim_result(m);
    }
    int stays = o->flags & CHR_SIM_WAITING || (price == o->price && qty <= o->qty);
    if (!stays) {
        chr_sim_withdraw(s, o, place);
        chr_sim_requeue(m, place);
        o->arrived_ns = now;
    }
    o->price = price;
    o->qty = qty;
    chr_sim_tell(m, CHR_EXEC_TYPE_REPLACED, place, request, 0)->cause_seq = s->last_seq;
    if (!stays) {
        chr_sim_take(m, s, place, CHR_SIM_RULE_TAKE);
        chr_sim_rest_or_expire(m, s, place);
    }
    return chr_sim_result(m);
}

/* ------------------------------------------------------------------ the market */

/* A trade of `qty` at `price`, against our orders of one side. */
static inline void chr_sim_trade_against(chr_sim *m, chr_sim_slot *s, int side, int64_t price, int64_t qty) {
    chr_sim_line *line = &s->resting[side];
    int64_t key = price ^ -(int64_t)side, used = 0; /* used: by our orders; it cannot fill two of them with the same quantity */
    int64_t behind = qty;                           /* of the print, behind what stands before the orders so far: never more for younger */
    for (uint32_t i = line->count; i-- > 0 && line->at[i].key >= key;) {
        uint32_t place = line->at[i].order;
        chr_sim_order *o = &m->orders[place];
        chr_sim_why why = {.price = o->price, .level_price = price, .level_qty = qty, .ahead = o->ahead, .liquidity = CHR_LIQUIDITY_MAKER};
        if (line->at[i].key > key) {
            why.rule = CHR_SIM_RULE_THROUGH;
            chr_sim_fill(m, s, place, o->qty - o->cum, &why);
            continue;
        }
        int64_t before = o->ahead, reaches = chr_sim_queue_trade(s, o, qty), want = o->qty - o->cum;
        if (o->ahead != before) chr_sim_move(s, o);
        if (reaches < behind) behind = reaches;
        int64_t left = behind - used;
        if (left > want) left = want;
        if (left <= 0 || o->flags & CHR_SIM_THROUGH_ONLY || chr_sim_draw(m, s->terms.miss_ppm)) continue;
        why.rule = CHR_SIM_RULE_QUEUE;
        used += chr_sim_fill(m, s, place, left, &why);
    }
}

static inline int chr_sim_trade_slowly(chr_sim *m, chr_sim_slot *s, int64_t price, int64_t qty, uint8_t aggressor) {
    chr_sim_release(m);
    if (aggressor != CHR_SIDE_BUY) chr_sim_trade_against(m, s, CHR_SIM_BUY, price, qty);
    if (aggressor != CHR_SIDE_SELL) chr_sim_trade_against(m, s, CHR_SIM_SELL, price, qty);
    if (s->terms.trigger == CHR_SIM_TRIGGER_TRADE && s->book->valid) chr_sim_fire_stops(m, s);
    return chr_sim_result(m);
}

/* A trade printed. Only a sell can have hit our bids, only a buy our offers; an unknown aggressor may be either. Of an order-level
   book: called after the record was applied, and before chr_sim_book for it. */
static inline int chr_sim_trade(chr_sim *m, uint32_t slot, int64_t price, int64_t qty, uint8_t aggressor, uint64_t seq, int64_t now) {
    (void)now;
    chr_sim_slot *s = &m->slots[slot];
    if (__builtin_expect(qty <= 0, 0)) return 0; /* nothing traded */
    s->last_trade = price;
    s->has_trade = 1;
    s->last_seq = seq;
    if (price > s->reach[0] && ~price > s->reach[1]) return 0;
    return chr_sim_trade_slowly(m, s, price, qty, aggressor);
}

/* Fills of one side by what the other displays at its prices. */
static inline void chr_sim_reached(chr_sim *m, chr_sim_slot *s, int side) {
    chr_sim_line *line = &s->resting[side];
    const chr_ladder *opposite = &s->book->side[!side];
    chr_sim_memory *memory = &s->taken[!side];
    chr_rung best, rung;
    if (!line->count || !chr_ladder_best(opposite, &best)) return;
    for (uint32_t i = line->count; i-- > 0 && best.key >= ~line->at[i].key;) {
        uint32_t place = line->at[i].order;
        chr_sim_order *o = &m->orders[place];
        chr_ladder_walk walk = chr_ladder_start(opposite);
        while (!chr_sim_ended(o) && chr_ladder_next(&walk, &rung) && rung.key >= ~chr_sim_key(o)) {
            int64_t offer = chr_sim_available(memory, rung.key, rung.qty);
            if (!offer) continue;
            chr_sim_why why = {
                .price = o->price, .level_price = rung.key ^ -(int64_t)!side, .level_qty = rung.qty, .ahead = o->ahead,
                .rule = CHR_SIM_RULE_REACHED, .liquidity = CHR_LIQUIDITY_MAKER,
            };
            int64_t filled = chr_sim_fill(m, s, place, offer, &why);
            if (filled && chr_sim_remember(memory, rung.key, rung.qty, filled)) m->no_memory = 1;
        }
    }
}

/* The book starts anew from a snapshot after a gap: what was displayed before says nothing now. */
static inline int chr_sim_reset(chr_sim *m, uint32_t slot) {
    chr_sim_slot *s = &m->slots[slot];
    chr_sim_forget(&s->taken[0], 0);
    chr_sim_forget(&s->taken[1], 0);
    s->rejoin = 1;
    chr_sim_look(s);
    return 0;
}

static inline int chr_sim_book_slowly(chr_sim *m, chr_sim_slot *s) {
    if (!s->book->valid) return chr_sim_reset(m, (uint32_t)(s - m->slots));
    chr_sim_release(m);
    for (int side = 0; side < 2 && (s->deep || s->rejoin); side++)
        for (uint32_t i = s->resting[side].count; i-- > 0;) {
            chr_sim_order *o = &m->orders[s->resting[side].at[i].order];
            int64_t before = o->ahead;
            s->rejoin ? chr_sim_queue_rejoin(s, o) : chr_sim_queue_depth(s, o);
            chr_sim_behind_elder(m, &s->resting[side], i + 1, o);
            if (o->ahead != before) chr_sim_move(s, o);
        }
    chr_sim_forget_gone(&s->taken[CHR_BID], &s->book->side[CHR_BID]);
    chr_sim_forget_gone(&s->taken[CHR_ASK], &s->book->side[CHR_ASK]);
    chr_sim_reached(m, s, CHR_SIM_BUY);
    chr_sim_reached(m, s, CHR_SIM_SELL);
    if (s->terms.trigger == CHR_SIM_TRIGGER_BOOK || s->rejoin) chr_sim_fire_stops(m, s);
    s->rejoin = 0;
    chr_sim_look(s);
    return chr_sim_result(m);
}

/* The book was changed: fill what the opposite side has come to. */
static inline int chr_sim_book(chr_sim *m, uint32_t slot, uint64_t seq, int64_t now) {
    (void)now;
    chr_sim_slot *s = &m->slots[slot];
    s->last_seq = seq;
    return s->busy ? chr_sim_book_slowly(m, s) : 0;
}

/* One record of an instrument, after the book took it: whatever its type, in the right order of the calls above. Of an order-level
   book: not one that it passed over. */
static inline int chr_sim_record(chr_sim *m, uint32_t slot, uint16_t type_id, const void *payload, uint32_t size, uint64_t seq,
                                 int64_t now) {
    chr_sim_slot *s = &m->slots[slot];
    if (type_id == CHR_GAP || type_id == CHR_BOOK_RESET || chr_sim_calls(s)) return chr_sim_reset(m, slot);
    if (type_id == CHR_TRADE) {
        const chr_trade_t *t = (const chr_trade_t *)chr_block(payload, size, CHR_TRADE, CHR_TRADE_BLOCK);
        if (!t) return 0;
        int64_t qty = s->l3 ? chr_sim_untold(s, t->price, t->qty, now) : t->qty;
        return chr_sim_trade(m, slot, t->price, qty, t->aggressor, seq, now);
    }
    if (type_id == CHR_ORDER_EXECUTE) {
        const chr_order_execute_t *e =
            (const chr_order_execute_t *)chr_block(payload, size, CHR_ORDER_EXECUTE, CHR_ORDER_EXECUTE_BLOCK);
        uint8_t aggressor = e && e->side == CHR_SIDE_BUY ? CHR_SIDE_SELL : e && e->side == CHR_SIDE_SELL ? CHR_SIDE_BUY : CHR_SIDE_NONE;
        if (e && (chr_sim_trade(m, slot, e->price, e->qty, aggressor, seq, now) || chr_sim_told(s, e->price, e->qty, now))) return -1;
    }
    /* a snapshot that the book took: other orders, in queues of their own */
    if (type_id == CHR_ORDER_ADD && s->l3 && chr_l3_flags(payload, CHR_ORDER_ADD_V1) & CHR_ORDER_BOOK_FLAGS_INJECTED)
        chr_sim_reset(m, slot);
    return chr_sim_book(m, slot, seq, now);
}

/* ------------------------------------------------------------------ time */

/* When the next GTD order ends; 0 = none will. */
static inline int64_t chr_sim_next_expiry(chr_sim *m) {
    while (m->expiries_count && chr_sim_expired_already(m, 0)) chr_sim_expiry_pop(m);
    return m->expiries_count ? m->expiries[0].key : 0;
}

/* Ends GTD orders whose time has come. */
static inline int chr_sim_expire(chr_sim *m, int64_t now) {
    if (!m->expiries_count || m->expiries[0].key > now) return 0;
    chr_sim_release(m);
    for (int64_t due; (due = chr_sim_next_expiry(m)) && due <= now;) {
        uint32_t place = m->expiries[0].order;
        chr_sim_expiry_pop(m);
        chr_sim_end(m, place, CHR_EXEC_TYPE_EXPIRED, 0, 0);
    }
    return chr_sim_result(m);
}

/* ------------------------------------------------------------------ recovery */

/* What the venue had seen of an instrument before: a level of which we took `qty` when it showed `shown`. */
static inline int chr_sim_recall_taken(chr_sim *m, uint32_t slot, int side, int64_t price, int64_t shown, int64_t qty) {
    chr_sim_slot *s = &m->slots[slot];
    if (chr_sim_remember(&s->taken[side], price ^ -(int64_t)side, shown, qty)) return -1;
    s->taken[side].changed = 0;
    chr_sim_look(s);
    return 0;
}

/* The last trade's price, of before or of what was read without orders. */
static inline void chr_sim_recall_trade(chr_sim *m, uint32_t slot, int64_t price) {
    m->slots[slot].last_trade = price;
    m->slots[slot].has_trade = 1;
}

/* Takes up an order that stood open before, as `was` says (key, owner, slot, figures, venue_order_id, ahead). Orders of one price must
   come oldest first. */
static inline int chr_sim_readmit(chr_sim *m, const chr_sim_order *was) {
    chr_sim_release(m);
    uint32_t place = chr_sim_take_place(m);
    chr_sim_slot *s = &m->slots[was->slot];
    if (!place || chr_sim_reserve_owner(s, was->owner)) return -1;
    chr_sim_order *o = &m->orders[place];
    *o = *was;
    o->flags = 0;
    o->state = was->cum ? CHR_SIM_PARTIAL : CHR_SIM_OPEN;
    chr_sim_enter(m, place);
    if (chr_sim_is_stop(o)) {
        chr_sim_stand(m, s, &s->stops[chr_sim_rising(o)], chr_sim_stop_key(o), place, CHR_SIM_WAITING);
    } else {
        chr_sim_line *line = &s->resting[chr_sim_side(o)];
        chr_sim_behind_elder(m, line, chr_sim_line_find(line, chr_sim_key(o)), o);
        chr_sim_stand(m, s, line, chr_sim_key(o), place, CHR_SIM_RESTING);
    }
    return chr_sim_result(m);
}

/* Orders that were taken up without a place stand at the back of their levels, as any newcomer: the book is there again. */
static inline void chr_sim_place_unknown(chr_sim *m, uint32_t slot) {
    chr_sim_slot *s = &m->slots[slot];
    for (int side = 0; side < 2; side++)
        for (uint32_t i = s->resting[side].count; i-- > 0;) {
            chr_sim_order *o = &m->orders[s->resting[side].at[i].order];
            int64_t before = o->ahead;
            if (o->ahead == CHR_SIM_AHEAD_UNKNOWN) chr_sim_queue_join(s, o);
            chr_sim_behind_elder(m, &s->resting[side], i + 1, o);
            if (o->ahead != before) chr_sim_move(s, o);
        }
}

/* Ends one open order because its owner's side knows better (it was cut off, its account is liquidated). -1: no such order. */
static inline int chr_sim_end_order(chr_sim *m, uint64_t key, uint8_t kind, uint8_t code) {
    chr_sim_release(m);
    uint32_t place = chr_sim_find(m, key);
    if (!place) return -1;
    chr_sim_end(m, place, kind, code, 0);
    return chr_sim_result(m);
}

#endif
