#ifndef CHR_L3_H
#define CHR_L3_H
/* An order-level (L3) book, kept straight from message payloads: every order, in the queue of its price.

   State: fresh -> right -> wrong, and from anywhere back to right by a snapshot.
     fresh  nothing came yet. Channels of single orders begin the day with an empty book, so the first order makes it right
     right  `valid`; every record that names an order names one that is there
     wrong  after a gap, a reset, or a record that contradicts the book; all but a snapshot is ignored then
     filling  of a book that was not right: between the first and the last order of a snapshot. One that does not end: wrong

   The orders of a snapshot, which are many records, are gathered in a store of their own (`coming`). With the last of them it
   takes the place of the book's. So whoever looks at a book that is right never sees half of one, and a snapshot that does not
   end, its writer killed within it, changes nothing. One that tells what such a book holds already is ignored: no order has
   come or gone, each keeps its `arrival`. Its times and its venueSeq are taken all the same, so that the book is what one that
   begins with this snapshot is.

   Rules:
     - add: to the end of the queue of its price. With the flag noPrice it waits at no price, in a queue of its own per side
     - execute and delete take from an order, which keeps its place; what is left of it stays, nothing left removes it
     - modify: the same id, the same price and not more quantity keeps the place; anything else goes to the end of a queue
     - a record of an order the book does not hold, an id that is there already, or more taken than is left: the book is
       wrong. A `lenient` book counts it in `unknown` and goes on: for streams that begin with orders nobody told of
     - execute of order 0: the venue does not show the order; the book stays as it is
     - snapshot: orders flagged injected, from `first` to `last`, in the order of their queues; or a BookSnapshot with no
       level, which says that the book is empty. Records up to the venueSeq of the first are passed over. Any other record
       of an order, a gap or a reset in between ends it. A BookSnapshot with levels or a delta is an error: the book would
       be wrong in silence
     - trading phases and auction prices are kept as they came; a delete in a phase that forbids it is counted

   The levels (sums of the orders with a price) are an L2 book of their own, with all that l2.h can be asked. */

#include "l2.h"
#include "l3_store.h"

enum {
    CHR_L3_UNKNOWN = -5,   /* names an order the book does not hold */
    CHR_L3_DUPLICATE = -6, /* an id that is in the book already */
    CHR_L3_EXCESS = -7,    /* takes more than the order has left */
};

enum { CHR_L3_FRESH = 0, CHR_L3_RIGHT = 1, CHR_L3_WRONG = 2, CHR_L3_FILLING = 3 };

/* Blocks as version 1 of the schema had them; `flags` stands behind. */
enum { CHR_ORDER_ADD_V1 = 80, CHR_ORDER_MODIFY_V1 = 88 };

typedef struct {
    chr_l2 l2;            /* first: an L3 book can be read as an L2 book. last_update_id = venueSeq */
    chr_l3_store store;
    chr_l3_store coming;   /* what there is so far of a snapshot; no memory before the first */
    uint64_t coming_seq;   /* its snapshot_seq */
    uint64_t snapshot_seq; /* records up to this venueSeq are in the snapshot */
    uint64_t unknown;      /* contradictions a lenient book passed over */
    uint64_t forbidden;    /* deletes in a phase that has noCancel */
    uint64_t executions;
    __int128 executed;     /* quantity */
    chr_auction_info_t auction; /* the last, zero before one came */
    uint16_t phase_flags;
    uint8_t phase, state, lenient;
    uint8_t filling; /* a snapshot has begun and not ended */
} chr_l3;

static inline int chr_l3_init(chr_l3 *b, uint64_t instrument_id) {
    memset(b, 0, sizeof *b);
    int bad = chr_l2_init(&b->l2, instrument_id);
    bad |= chr_l3_store_init(&b->store);
    return bad ? -1 : 0;
}

static inline void chr_l3_free(chr_l3 *b) {
    chr_l3_store_free(&b->store);
    chr_l3_store_free(&b->coming);
    chr_l2_free(&b->l2);
}

static inline void chr_l3_turn(chr_l3 *b, uint8_t state) {
    b->state = state;
    b->filling = 0;
    b->l2.valid = state == CHR_L3_RIGHT;
}

/* Empty; the instrument, its tick and its phase stay known. */
static inline void chr_l3_clear(chr_l3 *b) {
    chr_l2_clear(&b->l2);
    chr_l3_store_clear(&b->store);
    b->snapshot_seq = 0;
    chr_l3_turn(b, CHR_L3_FRESH);
}

static inline int chr_l3_fail(chr_l3 *b, int error) {
    chr_l3_turn(b, CHR_L3_WRONG);
    return error;
}

/* A record that contradicts the book. */
static inline int chr_l3_contradict(chr_l3 *b, int error) {
    if (!b->lenient) return chr_l3_fail(b, error);
    b->unknown++;
    if (b->state == CHR_L3_FRESH) chr_l3_turn(b, CHR_L3_RIGHT);
    return CHR_L2_IGNORED;
}

/* ------------------------------------------------------------------ orders */

static inline int64_t chr_l3_key(const chr_l3 *b, int side, int64_t price) { return price ^ b->l2.side[side].flip; }

static inline int chr_l3_show(chr_l3 *b, int side, int64_t key, int64_t qty) {
    return chr_ladder_set(&b->l2.side[side], key, qty, b->l2.tick) ? CHR_L2_FULL : CHR_L2_APPLIED;
}

/* Can an order go to the end of its queue? CHR_L2_APPLIED, with memory for it and what its level will have in `sum`; or an error. */
static inline int chr_l3_admit(chr_l3_store *s, int side, int no_price, int64_t key, int64_t qty, int64_t *sum) {
    if (qty <= 0) return CHR_L2_QTY;
    uint32_t level = chr_l3_find_level(s, side, no_price, key);
    if (__builtin_add_overflow(level ? s->levels[level].qty : 0, qty, sum)) return CHR_L2_QTY;
    return chr_l3_reserve(s) ? CHR_L2_FULL : CHR_L2_APPLIED;
}

static inline int chr_l3_enter(chr_l3 *b, int side, int no_price, int64_t price, uint64_t id, int64_t qty) {
    int64_t key = no_price ? 0 : chr_l3_key(b, side, price), sum;
    int result = chr_l3_admit(&b->store, side, no_price, key, qty, &sum);
    if (result < 0) return result;
    if (!no_price && chr_l3_show(b, side, key, sum) < 0) return CHR_L2_FULL;
    chr_l3_append(&b->store, side, no_price, key, id, qty);
    return CHR_L2_APPLIED;
}

static inline int chr_l3_reduce(chr_l3 *b, uint32_t place, int64_t qty) {
    chr_l3_level level = b->store.levels[b->store.orders[place].level];
    int64_t left = chr_l3_take(&b->store, place, qty);
    return level.no_price ? CHR_L2_APPLIED : chr_l3_show(b, level.side, level.key, left);
}

/* ------------------------------------------------------------------ applying */

/* `flags` of a block that has them behind what version 1 wrote, else 0. */
static inline uint16_t chr_l3_flags(const void *payload, uint16_t old_block) {
    const chr_sbe_header_t *h = (const chr_sbe_header_t *)payload;
    uint16_t flags = 0;
    if (h->block_length >= old_block + sizeof flags) memcpy(&flags, (const uint8_t *)(h + 1) + old_block, sizeof flags);
    return flags;
}

static inline int chr_l3_side(uint8_t side) {
    return side == CHR_SIDE_BUY ? CHR_BID : side == CHR_SIDE_SELL ? CHR_ASK : -1;
}

static inline void chr_l3_stamp(chr_l3 *b, uint64_t venue_seq, int64_t venue_ts, int64_t event_ts, int64_t recv_ts) {
    b->l2.last_update_id = venue_seq;
    b->l2.venue_ts = venue_ts;
    b->l2.event_ts = event_ts;
    b->l2.recv_ts = recv_ts;
}

/* May a record of that venueSeq be applied now? */
static inline int chr_l3_listens(chr_l3 *b, uint64_t venue_seq) {
    b->filling = 0; /* a snapshot that has begun will not end */
    if (b->state == CHR_L3_FILLING) chr_l3_turn(b, CHR_L3_WRONG);
    if (b->state == CHR_L3_WRONG) return 0;
    return !venue_seq || venue_seq > b->snapshot_seq;
}

/* Hash of the content, queues and all: the sum, modulo 2^64, over all levels of h, where h begins as mix(price + side)
   (side as in chr_l2_hash; mix(mix(side)) where orders have no price) and each order from the first to the last makes it
   mix(mix(h + id) + qty). Who stands before whom counts, how the book came to be does not. 0 = empty. */
static inline uint64_t chr_l3_store_hash(const chr_l3 *b, const chr_l3_store *s) {
    uint64_t sum = 0;
    for (uint32_t place = 1; place < s->levels_used; place++) {
        const chr_l3_level *l = &s->levels[place];
        if (!l->count) continue;
        uint64_t side = l->side + 1u, price = (uint64_t)(l->key ^ b->l2.side[l->side].flip);
        uint64_t h = chr_mix64(l->no_price ? chr_mix64(side) : price + side);
        for (uint32_t at = l->head; at; at = s->orders[at].next)
            h = chr_mix64(chr_mix64(h + s->orders[at].id) + (uint64_t)s->orders[at].qty);
        sum += h;
    }
    return sum;
}

static inline int chr_l3_begin(chr_l3 *b, uint64_t venue_seq) {
    if (b->coming.orders)
        chr_l3_store_clear(&b->coming);
    else if (chr_l3_store_init(&b->coming)) {
        chr_l3_store_free(&b->coming);
        return CHR_L2_FULL;
    }
    if (b->state != CHR_L3_RIGHT) chr_l3_turn(b, CHR_L3_FILLING);
    b->coming_seq = venue_seq;
    b->filling = 1;
    return CHR_L2_APPLIED;
}

/* The snapshot is whole: it is the book from now on. Its levels stand in the order they came in, the best of a side first. */
static inline int chr_l3_finish(chr_l3 *b) {
    chr_l3_store whole = b->coming;
    if (b->state == CHR_L3_RIGHT && chr_l3_store_hash(b, &whole) == chr_l3_store_hash(b, &b->store)) {
        b->filling = 0;
        b->snapshot_seq = b->coming_seq;
        return CHR_L2_IGNORED;
    }
    b->coming = b->store;
    b->store = whole;
    b->snapshot_seq = b->coming_seq;
    chr_l2_clear(&b->l2);
    for (uint32_t place = 1; place < whole.levels_used; place++) {
        const chr_l3_level *l = &whole.levels[place];
        if (!l->no_price && chr_l3_show(b, l->side, l->key, l->qty) < 0) return CHR_L2_FULL;
    }
    chr_l3_turn(b, CHR_L3_RIGHT);
    return CHR_L2_APPLIED;
}

/* An order of a snapshot. */
static inline int chr_l3_gather(chr_l3 *b, const chr_order_add_t *m, int side, uint16_t flags) {
    int no_price = (flags & CHR_ORDER_BOOK_FLAGS_NO_PRICE) != 0, result = CHR_L2_APPLIED;
    int64_t key = no_price ? 0 : chr_l3_key(b, side, m->price), sum;
    if (flags & CHR_ORDER_BOOK_FLAGS_FIRST) result = chr_l3_begin(b, m->venue_seq);
    if (result < 0) return chr_l3_fail(b, result);
    if (!b->filling) return CHR_L2_IGNORED;
    if (chr_l3_find(&b->coming, m->order_id)) return chr_l3_contradict(b, CHR_L3_DUPLICATE);
    result = chr_l3_admit(&b->coming, side, no_price, key, m->qty, &sum);
    if (result < 0) return chr_l3_fail(b, result);
    chr_l3_append(&b->coming, side, no_price, key, m->order_id, m->qty);
    if (!(flags & CHR_ORDER_BOOK_FLAGS_LAST)) return b->state == CHR_L3_RIGHT ? CHR_L2_IGNORED : CHR_L2_APPLIED;
    result = chr_l3_finish(b);
    if (result < 0) return chr_l3_fail(b, result);
    chr_l3_stamp(b, m->venue_seq, m->venue_ts, m->event_ts, m->recv_ts);
    return result;
}

static inline int chr_l3_add(chr_l3 *b, const void *payload, uint32_t size) {
    const chr_order_add_t *m = (const chr_order_add_t *)chr_block(payload, size, CHR_ORDER_ADD, CHR_ORDER_ADD_V1);
    if (!m) return chr_l3_fail(b, CHR_L2_MALFORMED);
    uint16_t flags = chr_l3_flags(payload, CHR_ORDER_ADD_V1);
    int side = chr_l3_side(m->side);
    if (side < 0) return chr_l3_fail(b, CHR_L2_MALFORMED);
    if (flags & CHR_ORDER_BOOK_FLAGS_INJECTED) return chr_l3_gather(b, m, side, flags);
    if (!chr_l3_listens(b, m->venue_seq)) return CHR_L2_IGNORED;
    if (chr_l3_find(&b->store, m->order_id)) return chr_l3_contradict(b, CHR_L3_DUPLICATE);
    int result = chr_l3_enter(b, side, (flags & CHR_ORDER_BOOK_FLAGS_NO_PRICE) != 0, m->price, m->order_id, m->qty);
    if (result < 0) return chr_l3_fail(b, result);
    chr_l3_turn(b, CHR_L3_RIGHT);
    chr_l3_stamp(b, m->venue_seq, m->venue_ts, m->event_ts, m->recv_ts);
    return result;
}

static inline int chr_l3_modify(chr_l3 *b, const void *payload, uint32_t size) {
    const chr_order_modify_t *m =
        (const chr_order_modify_t *)chr_block(payload, size, CHR_ORDER_MODIFY, CHR_ORDER_MODIFY_V1);
    if (!m) return chr_l3_fail(b, CHR_L2_MALFORMED);
    if (!chr_l3_listens(b, m->venue_seq)) return CHR_L2_IGNORED;
    uint32_t place = chr_l3_find(&b->store, m->order_id);
    if (!place) return chr_l3_contradict(b, CHR_L3_UNKNOWN);
    uint64_t id = m->new_order_id ? m->new_order_id : m->order_id;
    if (id != m->order_id && chr_l3_find(&b->store, id)) return chr_l3_contradict(b, CHR_L3_DUPLICATE);
    if (m->qty < 0) return chr_l3_fail(b, CHR_L2_QTY);
    chr_l3_level level = b->store.levels[b->store.orders[place].level];
    int64_t had = b->store.orders[place].qty;
    int no_price = (chr_l3_flags(payload, CHR_ORDER_MODIFY_V1) & CHR_ORDER_BOOK_FLAGS_NO_PRICE) != 0;
    int stays = id == m->order_id && no_price == level.no_price && m->qty <= had &&
                (no_price || chr_l3_key(b, level.side, m->price) == level.key);
    int result = chr_l3_reduce(b, place, stays ? had - m->qty : had);
    if (result > 0 && !stays && m->qty) result = chr_l3_enter(b, level.side, no_price, m->price, id, m->qty);
    if (result < 0) return chr_l3_fail(b, result);
    chr_l3_stamp(b, m->venue_seq, m->venue_ts, m->event_ts, m->recv_ts);
    return result;
}

static inline int chr_l3_delete(chr_l3 *b, const void *payload, uint32_t size) {
    const chr_order_delete_t *m =
        (const chr_order_delete_t *)chr_block(payload, size, CHR_ORDER_DELETE, CHR_ORDER_DELETE_BLOCK);
    if (!m) return chr_l3_fail(b, CHR_L2_MALFORMED);
    if (!chr_l3_listens(b, m->venue_seq)) return CHR_L2_IGNORED;
    uint32_t place = chr_l3_find(&b->store, m->order_id);
    if (!place) return chr_l3_contradict(b, CHR_L3_UNKNOWN);
    int64_t left = b->store.orders[place].qty;
    if (m->qty < 0) return chr_l3_fail(b, CHR_L2_QTY);
    if (m->qty > left) return chr_l3_contradict(b, CHR_L3_EXCESS);
    if (b->phase_flags & CHR_PHASE_FLAGS_NO_CANCEL) b->forbidden++;
    int result = chr_l3_reduce(b, place, m->qty ? m->qty : left);
    if (result < 0) return chr_l3_fail(b, result);
    chr_l3_stamp(b, m->venue_seq, m->venue_ts, m->event_ts, m->recv_ts);
    return result;
}

static inline int chr_l3_execute(chr_l3 *b, const void *payload, uint32_t size) {
    const chr_order_execute_t *m =
        (const chr_order_execute_t *)chr_block(payload, size, CHR_ORDER_EXECUTE, CHR_ORDER_EXECUTE_BLOCK);
    if (!m) return chr_l3_fail(b, CHR_L2_MALFORMED);
    if (!chr_l3_listens(b, m->venue_seq)) return CHR_L2_IGNORED;
    uint32_t place = chr_l3_find(&b->store, m->order_id);
    if (!place && m->order_id) return chr_l3_contradict(b, CHR_L3_UNKNOWN);
    if (m->qty <= 0) return chr_l3_fail(b, CHR_L2_QTY);
    if (place && m->qty > b->store.orders[place].qty) return chr_l3_contradict(b, CHR_L3_EXCESS);
    int result = place ? chr_l3_reduce(b, place, m->qty) : CHR_L2_APPLIED;
    if (result < 0) return chr_l3_fail(b, result);
    b->executions++;
    b->executed += m->qty;
    chr_l3_stamp(b, m->venue_seq, m->venue_ts, m->event_ts, m->recv_ts);
    return result;
}

/* A BookSnapshot may only say that there is no order. */
static inline int chr_l3_start_empty(chr_l3 *b, const void *payload, uint32_t size) {
    const chr_book_snapshot_t *m =
        (const chr_book_snapshot_t *)chr_block(payload, size, CHR_BOOK_SNAPSHOT, CHR_BOOK_SNAPSHOT_BLOCK);
    chr_levels bids, asks;
    if (!m || chr_book_levels(payload, size, &bids, &asks)) return chr_l3_fail(b, CHR_L2_MALFORMED);
    if (bids.count || asks.count) return chr_l3_fail(b, CHR_L2_MODE);
    if (m->flags & CHR_BOOK_FLAGS_STALE) return CHR_L2_IGNORED;
    chr_l3_clear(b);
    chr_l3_turn(b, CHR_L3_RIGHT);
    b->snapshot_seq = m->last_update_id;
    chr_l3_stamp(b, m->last_update_id, m->venue_ts, m->event_ts, m->recv_ts);
    return CHR_L2_APPLIED;
}

_Static_assert(offsetof(chr_order_add_t, flags) == CHR_ORDER_ADD_V1, "OrderAdd");
_Static_assert(offsetof(chr_order_modify_t, flags) == CHR_ORDER_MODIFY_V1, "OrderModify");

static inline int chr_l3_define(chr_l3 *b, const void *payload, uint32_t size) {
    const chr_instrument_t *m =
        (const chr_instrument_t *)chr_block(payload, size, CHR_INSTRUMENT, CHR_INSTRUMENT_BLOCK);
    if (!m) return CHR_L2_MALFORMED;
    if (m->book_mode == CHR_BOOK_MODE_L2) return chr_l3_fail(b, CHR_L2_MODE);
    uint64_t tick = m->tick_size > 0 ? (uint64_t)m->tick_size : 0;
    if (tick && tick != b->l2.tick)
        for (int s = 0; s < 2; s++)
            if (chr_ladder_recentre(&b->l2.side[s], tick)) return chr_l3_fail(b, CHR_L2_FULL);
    b->l2.tick = tick;
    return CHR_L2_APPLIED;
}

static inline int chr_l3_notice(chr_l3 *b, const void *payload, uint32_t size, uint16_t type_id) {
    const void *block = chr_block(payload, size, type_id, chr_block_length(type_id));
    if (!block) return type_id == CHR_AUCTION_INFO ? CHR_L2_MALFORMED : chr_l3_fail(b, CHR_L2_MALFORMED);
    if (type_id == CHR_AUCTION_INFO) {
        memcpy(&b->auction, block, sizeof b->auction);
    } else if (type_id == CHR_PHASE_CHANGE) {
        b->phase = ((const chr_phase_change_t *)block)->phase;
        b->phase_flags = ((const chr_phase_change_t *)block)->flags;
    } else {
        if (type_id == CHR_BOOK_RESET) chr_l3_clear(b);
        chr_l3_turn(b, CHR_L3_WRONG);
    }
    return CHR_L2_APPLIED;
}

/* One record, whatever its type: CHR_L2_APPLIED, CHR_L2_IGNORED, or an error (the book is then wrong). */
static inline int chr_l3_apply(chr_l3 *b, uint16_t type_id, const void *payload, uint32_t size) {
    uint64_t instrument_id = chr_instrument_of(type_id, payload, size);
    if (instrument_id != b->l2.instrument_id && instrument_id && b->l2.instrument_id) return CHR_L2_IGNORED;
    int result;
    switch (type_id) {
    case CHR_ORDER_ADD: result = chr_l3_add(b, payload, size); break;
    case CHR_ORDER_MODIFY: result = chr_l3_modify(b, payload, size); break;
    case CHR_ORDER_DELETE: result = chr_l3_delete(b, payload, size); break;
    case CHR_ORDER_EXECUTE: result = chr_l3_execute(b, payload, size); break;
    case CHR_BOOK_SNAPSHOT: result = chr_l3_start_empty(b, payload, size); break;
    case CHR_BOOK_DELTA: return chr_l3_fail(b, CHR_L2_MODE);
    case CHR_INSTRUMENT: result = chr_l3_define(b, payload, size); break;
    case CHR_BOOK_RESET:
    case CHR_GAP:
    case CHR_PHASE_CHANGE:
    case CHR_AUCTION_INFO: result = chr_l3_notice(b, payload, size, type_id); break;
    default: return CHR_L2_IGNORED;
    }
    if (result == CHR_L2_APPLIED) {
        b->l2.applied++;
        if (!b->l2.instrument_id) b->l2.instrument_id = instrument_id;
    }
    return result;
}

/* ------------------------------------------------------------------ reading */

/* Does the market only collect orders now, for an auction or after a halt? Its book may be crossed then. */
static inline int chr_l3_calls(const chr_l3 *b) {
    return b->phase == CHR_TRADING_PHASE_PRE_OPEN || b->phase == CHR_TRADING_PHASE_OPENING_AUCTION ||
           b->phase == CHR_TRADING_PHASE_HALTED || b->phase == CHR_TRADING_PHASE_INTRADAY_AUCTION ||
           b->phase == CHR_TRADING_PHASE_CLOSING_AUCTION;
}

/* See chr_l3_store_hash. 0 = empty. */
static inline uint64_t chr_l3_hash(const chr_l3 *b) { return chr_l3_store_hash(b, &b->store); }

static inline const char *chr_l3_reason(int result) {
    switch (result) {
    case CHR_L2_MODE: return "a record of price levels";
    case CHR_L3_UNKNOWN: return "an order the book does not hold";
    case CHR_L3_DUPLICATE: return "an order id that is in the book already";
    case CHR_L3_EXCESS: return "more than the order has left";
    default: return chr_l2_reason(result);
    }
}

#endif
