#ifndef CHR_L3_ORDERS_H
#define CHR_L3_ORDERS_H
/* A book of single orders as the records of a snapshot, which make an equal book of any (l3.h).

   Order: bids before asks; of a side those without a price, then the best price first; of a queue, who came first. It follows
   from the book alone, not from its history: whoever writes the snapshot of a book again writes the same records.

   One OrderAdd for each order, all flagged injected, with the times of the book and the raw seq of the record they stand before.
   The first has the venueSeq up to which the book passes records over, the others that of the last record in it. An empty
   book is one BookSnapshot without levels. */

#include "l3.h"

typedef struct {
    const chr_l3 *book;
    chr_ladder_walk prices; /* of this side, still to come */
    uint32_t at;            /* the order, a place in the store; 0 = past the last of its queue */
    uint32_t number;        /* of the order in the snapshot, from 0 */
    int side;
} chr_l3_walk;

static inline void chr_l3_walk_side(chr_l3_walk *w, int side) {
    uint32_t unpriced = chr_l3_find_level(&w->book->store, side, 1, 0);
    w->side = side;
    w->prices = chr_ladder_start(&w->book->l2.side[side]);
    w->at = unpriced ? w->book->store.levels[unpriced].head : 0;
}

static inline chr_l3_walk chr_l3_walk_start(const chr_l3 *b) {
    chr_l3_walk w = {.book = b, .number = (uint32_t)-1};
    chr_l3_walk_side(&w, CHR_BID);
    return w;
}

/* To the next order: its place, or 0 after the last. The book must not change meanwhile. */
static inline uint32_t chr_l3_walk_next(chr_l3_walk *w) {
    const chr_l3_store *s = &w->book->store;
    chr_rung rung;
    uint32_t found = w->at;
    while (!found) {
        if (chr_ladder_next(&w->prices, &rung))
            found = s->levels[chr_l3_find_level(s, w->side, 0, rung.key)].head;
        else if (w->side == CHR_BID)
            chr_l3_walk_side(w, CHR_ASK), found = w->at;
        else
            return 0;
    }
    w->at = s->orders[found].next;
    w->number++;
    return found;
}

/* Records of a snapshot: each order is one, no order is one too. */
static inline uint32_t chr_l3_snapshot_records(const chr_l3 *b) { return b->store.count ? b->store.count : 1; }

static inline uint16_t chr_l3_snapshot_type(const chr_l3 *b) { return b->store.count ? CHR_ORDER_ADD : CHR_BOOK_SNAPSHOT; }

static inline uint32_t chr_l3_snapshot_bytes(const chr_l3 *b) {
    return b->store.count ? (uint32_t)sizeof(chr_sbe_header_t) + CHR_ORDER_ADD_BLOCK : chr_book_size(CHR_BOOK_SNAPSHOT, 0);
}

/* The record at the walk's next order into `payload`, of chr_l3_snapshot_bytes. */
static inline void chr_l3_snapshot_put(chr_l3_walk *w, void *payload, uint64_t instrument_id, uint64_t raw_seq) {
    const chr_l3 *b = w->book;
    uint32_t place = chr_l3_walk_next(w);
    if (!place) {
        chr_book_snapshot_t *m = (chr_book_snapshot_t *)chr_put_block(payload, CHR_BOOK_SNAPSHOT);
        m->instrument_id = instrument_id;
        m->venue_ts = b->l2.venue_ts, m->event_ts = b->l2.event_ts, m->recv_ts = b->l2.recv_ts;
        m->last_update_id = b->snapshot_seq;
        m->raw_seq = raw_seq;
        m->flags = CHR_BOOK_FLAGS_INJECTED;
        chr_put_levels(chr_put_levels(m + 1, 0), 0);
        return;
    }
    const chr_l3_order *o = &b->store.orders[place];
    const chr_l3_level *l = &b->store.levels[o->level];
    chr_order_add_t *m = (chr_order_add_t *)chr_put_block(payload, CHR_ORDER_ADD);
    m->instrument_id = instrument_id;
    m->venue_ts = b->l2.venue_ts, m->event_ts = b->l2.event_ts, m->recv_ts = b->l2.recv_ts;
    m->venue_seq = w->number ? b->l2.last_update_id : b->snapshot_seq;
    m->order_id = o->id;
    m->price = l->no_price ? 0 : chr_l3_key(b, l->side, l->key);
    m->qty = o->qty;
    m->raw_seq = raw_seq;
    m->side = l->side == CHR_BID ? CHR_SIDE_BUY : CHR_SIDE_SELL;
    m->flags = CHR_ORDER_BOOK_FLAGS_INJECTED | (l->no_price ? CHR_ORDER_BOOK_FLAGS_NO_PRICE : 0) |
               (w->number ? 0 : CHR_ORDER_BOOK_FLAGS_FIRST) |
               (w->number + 1 == b->store.count ? CHR_ORDER_BOOK_FLAGS_LAST : 0);
}

/* Is a snapshot due before a record that the book will apply? `records` of orders and `age_ns` have passed since the last one:
   more than `limit` or `interval_ns`, or the segment has none. But never before as many records have come as the last one
   had (`last`, 0 = there was none). So at most half of a stream is snapshots, however large the book and quiet the market. */
static inline int chr_l3_snapshot_due(uint64_t records, uint64_t last, uint64_t limit, int64_t age_ns, int64_t interval_ns,
                                      int has_one) {
    return records >= last && (!has_one || records >= limit || age_ns >= interval_ns);
}

/* Has a record, just applied with `result`, ended a snapshot? `was_filling`: as it was before. */
static inline int chr_l3_ended(const chr_l3 *b, int was_filling, uint16_t type_id, const void *payload, int result) {
    const uint16_t wanted = CHR_ORDER_BOOK_FLAGS_INJECTED | CHR_ORDER_BOOK_FLAGS_LAST;
    if (type_id == CHR_BOOK_SNAPSHOT) return result == CHR_L2_APPLIED;
    if (type_id != CHR_ORDER_ADD || result < 0 || b->filling || !b->l2.valid) return 0;
    uint16_t flags = chr_l3_flags(payload, CHR_ORDER_ADD_V1);
    return (flags & wanted) == wanted && (was_filling || flags & CHR_ORDER_BOOK_FLAGS_FIRST);
}

/* Would the book apply a record of an order, and is it one of the venue's own? Then a snapshot may go before it. */
static inline int chr_l3_follows(const chr_l3 *b, uint16_t type_id, const void *payload) {
    if (!b->l2.valid || type_id < CHR_ORDER_ADD || type_id > CHR_ORDER_EXECUTE) return 0;
    return type_id != CHR_ORDER_ADD || !(chr_l3_flags(payload, CHR_ORDER_ADD_V1) & CHR_ORDER_BOOK_FLAGS_INJECTED);
}

#endif
