#ifndef CHR_L2_H
#define CHR_L2_H
/* A price-level (L2) book, kept straight from message payloads. Fixed-point, no Python, no allocation in steady state.

   Rules:
     - invalid until a snapshot; a gap, a reset, or a record that cannot be applied makes it invalid again. Deltas
       are then ignored until the next snapshot: a book is right or says that it is not
     - a reset also empties it; a gap leaves the levels to look at
     - records flagged `stale` are older than the snapshot that follows them: ignored, as are deltas whose last update id
       the book has already passed. A snapshot always applies, whatever its id
     - quantities are absolute, 0 removes; with the flag quantityIsChange they are added to what is there, and a result
       below 0 is an error
     - an order-level record for this instrument is an error: the book would be wrong in silence
     - prices may be any int64, negative too (calendar spreads have them); quantities may not be negative
     - a book made for instrument 0 adopts the first instrument it is given

   The window of ladder.h needs the tick. An Instrument record gives it; until one does, it is read off the levels. */

#include <stdint.h>

#include "ladder.h"
#include "sbe.h"

enum {
    CHR_L2_APPLIED = 1,
    CHR_L2_IGNORED = 0,    /* another instrument's, another kind of record, stale, or before the first snapshot */
    CHR_L2_MALFORMED = -1, /* cut off, or of another schema */
    CHR_L2_MODE = -2,      /* an order-level record, or an Instrument whose book is L3 */
    CHR_L2_QTY = -3,       /* a negative quantity, or a sum outside int64 */
    CHR_L2_FULL = -4,      /* more levels than memory is granted for */
};

enum { CHR_BID = 0, CHR_ASK = 1 };

typedef struct {
    chr_ladder side[2];
    uint64_t instrument_id;
    uint64_t last_update_id;
    int64_t venue_ts, event_ts, recv_ts; /* of the last record applied */
    uint64_t tick;                       /* from the Instrument record; 0 = not given */
    uint64_t applied;                    /* records */
    uint8_t valid;
} chr_l2;

static inline int chr_l2_init(chr_l2 *b, uint64_t instrument_id) {
    memset(b, 0, sizeof *b);
    b->instrument_id = instrument_id;
    int bad = chr_ladder_init(&b->side[CHR_BID], 0);
    bad |= chr_ladder_init(&b->side[CHR_ASK], -1);
    return bad ? -1 : 0;
}

static inline void chr_l2_free(chr_l2 *b) {
    chr_ladder_free(&b->side[CHR_BID]);
    chr_ladder_free(&b->side[CHR_ASK]);
}

/* Costs 1 MiB of memory; for those who cannot wait for the kernel. */
static inline void chr_l2_prefault(chr_l2 *b) {
    chr_ladder_prefault(&b->side[CHR_BID]);
    chr_ladder_prefault(&b->side[CHR_ASK]);
}

/* Empty and invalid, as new; instrument and tick stay known. */
static inline void chr_l2_clear(chr_l2 *b) {
    chr_ladder_clear(&b->side[CHR_BID]);
    chr_ladder_clear(&b->side[CHR_ASK]);
    b->last_update_id = 0;
    b->venue_ts = b->event_ts = b->recv_ts = 0;
    b->valid = 0;
}

/* ------------------------------------------------------------------ applying */

static inline int chr_l2_fail(chr_l2 *b, int error) {
    b->valid = 0;
    return error;
}

/* Levels of a delta. CHR_L2_APPLIED or an error. */
static inline int chr_l2_update(chr_ladder *l, const chr_levels *levels, int is_change, uint64_t tick) {
    const uint8_t *at = levels->first, *end = at + (size_t)levels->count * levels->stride;
    for (; at != end; at += levels->stride) {
        const chr_level_t *level = (const chr_level_t *)at;
        int64_t key = level->price ^ l->flip, qty = level->qty;
        if (is_change && __builtin_add_overflow(qty, chr_ladder_get(l, key), &qty)) return CHR_L2_QTY;
        if (__builtin_expect(qty < 0, 0)) return CHR_L2_QTY;
        if (__builtin_expect(chr_ladder_set(l, key, qty, tick), 0)) return CHR_L2_FULL;
    }
    return CHR_L2_APPLIED;
}

/* Aims the empty window at the best of the levels to come. */
static inline void chr_l2_aim(chr_ladder *l, const chr_levels *levels, uint64_t tick) {
    int64_t best = INT64_MIN;
    uint64_t grid = 0;
    for (uint32_t i = 0; i < levels->count; i++) {
        int64_t key = chr_level_at(levels, i)->price ^ l->flip;
        if (key > best) best = key;
    }
    for (uint32_t i = 0; i < levels->count && i < 256; i++)
        grid = chr_gcd((uint64_t)best - (uint64_t)(chr_level_at(levels, i)->price ^ l->flip), grid);
    if (levels->count) chr_ladder_aim(l, best, tick ? tick : grid ? grid : 1);
}

/* Levels of a snapshot, into an empty ladder. Venues list them best first: then the far ones come in falling order and
   are turned round once, instead of each being inserted before the ones already there. */
static inline int chr_l2_fill(chr_ladder *l, const chr_levels *levels, uint64_t tick) {
    chr_l2_aim(l, levels, tick);
    uint32_t i = 0;
    for (; i < levels->count; i++) {
        const chr_level_t *level = chr_level_at(levels, i);
        int64_t key = level->price ^ l->flip;
        uint64_t slot = chr_ladder_slot(l, key);
        if (level->qty < 0) return CHR_L2_QTY;
        if (slot < l->slots) {
            chr_ladder_put(l, slot, level->qty);
        } else {
            if (!level->qty || (l->far_count && l->far[l->far_count - 1].key <= key)) break;
            if (l->far_count >= CHR_FAR_MAX || chr_far_reserve(l, l->far_count + 1)) return CHR_L2_FULL;
            l->far[l->far_count++] = (chr_rung){key, level->qty};
        }
    }
    for (uint32_t a = 0, z = l->far_count; a + 1 < z; a++) {
        chr_rung rung = l->far[a];
        l->far[a] = l->far[--z];
        l->far[z] = rung;
    }
    chr_levels rest = {levels->first + (size_t)i * levels->stride, levels->count - i, levels->stride};
    return chr_l2_update(l, &rest, 0, tick);
}

static inline int chr_l2_snapshot(chr_l2 *b, const void *payload, uint32_t size) {
    const chr_book_snapshot_t *m =
        (const chr_book_snapshot_t *)chr_block(payload, size, CHR_BOOK_SNAPSHOT, CHR_BOOK_SNAPSHOT_BLOCK);
    chr_levels side[2];
    if (!m || chr_book_levels(payload, size, &side[CHR_BID], &side[CHR_ASK])) return chr_l2_fail(b, CHR_L2_MALFORMED);
    if (m->flags & CHR_BOOK_FLAGS_STALE) return CHR_L2_IGNORED;
    chr_l2_clear(b);
    for (int s = 0; s < 2; s++) {
        int result = chr_l2_fill(&b->side[s], &side[s], b->tick);
        if (result < 0) return chr_l2_fail(b, result);
    }
    b->last_update_id = m->last_update_id;
    b->venue_ts = m->venue_ts;
    b->event_ts = m->event_ts;
    b->recv_ts = m->recv_ts;
    b->valid = 1;
    return CHR_L2_APPLIED;
}

static inline int chr_l2_delta(chr_l2 *b, const void *payload, uint32_t size) {
    const chr_book_delta_t *m =
        (const chr_book_delta_t *)chr_block(payload, size, CHR_BOOK_DELTA, CHR_BOOK_DELTA_BLOCK);
    chr_levels side[2];
    if (!m || chr_book_levels(payload, size, &side[CHR_BID], &side[CHR_ASK])) return chr_l2_fail(b, CHR_L2_MALFORMED);
    if (!b->valid || m->flags & CHR_BOOK_FLAGS_STALE) return CHR_L2_IGNORED;
    if (m->last_update_id && m->last_update_id <= b->last_update_id) return CHR_L2_IGNORED;
    int is_change = (m->flags & CHR_BOOK_FLAGS_QUANTITY_IS_CHANGE) != 0;
    for (int s = 0; s < 2; s++) {
        int result = chr_l2_update(&b->side[s], &side[s], is_change, b->tick);
        if (result < 0) return chr_l2_fail(b, result);
    }
    b->last_update_id = m->last_update_id;
    b->venue_ts = m->venue_ts;
    b->event_ts = m->event_ts;
    b->recv_ts = m->recv_ts;
    return CHR_L2_APPLIED;
}

static inline int chr_l2_define(chr_l2 *b, const void *payload, uint32_t size) {
    const chr_instrument_t *m =
        (const chr_instrument_t *)chr_block(payload, size, CHR_INSTRUMENT, CHR_INSTRUMENT_BLOCK);
    if (!m) return CHR_L2_MALFORMED;
    if (m->book_mode == CHR_BOOK_MODE_L3) return chr_l2_fail(b, CHR_L2_MODE);
    uint64_t tick = m->tick_size > 0 ? (uint64_t)m->tick_size : 0;
    if (tick && tick != b->tick)
        for (int s = 0; s < 2; s++)
            if (chr_ladder_recentre(&b->side[s], tick)) return chr_l2_fail(b, CHR_L2_FULL);
    b->tick = tick;
    return CHR_L2_APPLIED;
}

static inline int chr_l2_interrupt(chr_l2 *b, const void *payload, uint32_t size, uint16_t type_id) {
    if (!chr_block(payload, size, type_id, chr_block_length(type_id))) return chr_l2_fail(b, CHR_L2_MALFORMED);
    if (type_id == CHR_BOOK_RESET) chr_l2_clear(b);
    b->valid = 0;
    return CHR_L2_APPLIED;
}

/* One record, whatever its type: CHR_L2_APPLIED, CHR_L2_IGNORED, or an error (the book is then invalid). */
static inline int chr_l2_apply(chr_l2 *b, uint16_t type_id, const void *payload, uint32_t size) {
    uint64_t instrument_id = chr_instrument_of(type_id, payload, size);
    if (instrument_id != b->instrument_id && instrument_id && b->instrument_id) return CHR_L2_IGNORED;
    int result;
    switch (type_id) {
    case CHR_BOOK_DELTA: result = chr_l2_delta(b, payload, size); break;
    case CHR_BOOK_SNAPSHOT: result = chr_l2_snapshot(b, payload, size); break;
    case CHR_INSTRUMENT: result = chr_l2_define(b, payload, size); break;
    case CHR_BOOK_RESET:
    case CHR_GAP: result = chr_l2_interrupt(b, payload, size, type_id); break;
    case CHR_ORDER_ADD:
    case CHR_ORDER_MODIFY:
    case CHR_ORDER_DELETE:
    case CHR_ORDER_EXECUTE: return chr_l2_fail(b, CHR_L2_MODE);
    default: return CHR_L2_IGNORED;
    }
    if (result == CHR_L2_APPLIED) {
        b->applied++;
        if (!b->instrument_id) b->instrument_id = instrument_id;
    }
    return result;
}

/* ------------------------------------------------------------------ reading */

/* Best level of a side: 1, or 0 when it is empty. */
static inline int chr_l2_best(const chr_l2 *b, int side, chr_level_t *out) {
    chr_rung rung;
    if (!chr_ladder_best(&b->side[side], &rung)) return 0;
    *out = (chr_level_t){rung.key ^ b->side[side].flip, rung.qty};
    return 1;
}

/* Up to `count` best levels of a side into `out`, best first; returns how many. */
static inline uint32_t chr_l2_top(const chr_l2 *b, int side, uint32_t count, chr_level_t *out) {
    chr_ladder_walk walk = chr_ladder_start(&b->side[side]);
    chr_rung rung;
    uint32_t n = 0;
    while (n < count && chr_ladder_next(&walk, &rung)) out[n++] = (chr_level_t){rung.key ^ b->side[side].flip, rung.qty};
    return n;
}

static inline int64_t chr_l2_qty_at(const chr_l2 *b, int side, int64_t price) {
    return chr_ladder_get(&b->side[side], price ^ b->side[side].flip);
}

static inline uint32_t chr_l2_levels(const chr_l2 *b, int side) { return chr_ladder_count(&b->side[side]); }

/* Quantity in the best `count` levels; 128 bits, since a sum of int64 need not fit one. */
static inline __int128 chr_l2_depth(const chr_l2 *b, int side, uint32_t count) {
    chr_ladder_walk walk = chr_ladder_start(&b->side[side]);
    chr_rung rung;
    __int128 sum = 0;
    while (count-- && chr_ladder_next(&walk, &rung)) sum += rung.qty;
    return sum;
}

/* (bid - ask) / (bid + ask) of the quantity in the best `count` levels, -1..1; 0 when both sides are empty. */
static inline double chr_l2_imbalance(const chr_l2 *b, uint32_t count) {
    double bid = (double)chr_l2_depth(b, CHR_BID, count), ask = (double)chr_l2_depth(b, CHR_ASK, count);
    return bid + ask > 0 ? (bid - ask) / (bid + ask) : 0.0;
}

/* Is the best bid at or above the best ask? */
static inline int chr_l2_crossed(const chr_l2 *b) {
    chr_level_t bid, ask;
    return chr_l2_best(b, CHR_BID, &bid) && chr_l2_best(b, CHR_ASK, &ask) && bid.price >= ask.price;
}

static inline uint64_t chr_mix64(uint64_t x) { /* the finalizer of splitmix64 */
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9ull;
    x = (x ^ x >> 27) * 0x94D049BB133111EBull;
    return x ^ x >> 31;
}

/* Hash of the content: the sum, modulo 2^64, over all levels of mix(mix(price + side) + qty), side 1 for bids, 2 for
   asks. A sum has no order, so equal levels give an equal hash however the book came by them. 0 = empty. */
static inline uint64_t chr_l2_hash(const chr_l2 *b) {
    uint64_t sum = 0;
    for (uint64_t s = 0; s < 2; s++) {
        chr_ladder_walk walk = chr_ladder_start(&b->side[s]);
        chr_rung rung;
        while (chr_ladder_next(&walk, &rung))
            sum += chr_mix64(chr_mix64((uint64_t)(rung.key ^ b->side[s].flip) + s + 1) + (uint64_t)rung.qty);
    }
    return sum;
}

static inline const char *chr_l2_reason(int result) {
    switch (result) {
    case CHR_L2_MALFORMED: return "the record is cut off or of another schema";
    case CHR_L2_MODE: return "an order-level record";
    case CHR_L2_QTY: return "a quantity below zero or beyond 64 bits";
    case CHR_L2_FULL: return "more levels than a book holds";
    default: return "";
    }
}

#endif
