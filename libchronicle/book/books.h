#ifndef CHR_BOOKS_H
#define CHR_BOOKS_H
/* The books of a replay: instrument id -> book, what was done to it, and what a gap does to it.

   A gap is: a Gap record; records the queue lost (a LOST frame, or segments that are missing); a delta that does not follow
   the book; a record that cannot be applied. What it does is the policy:

     stop        the replay ends there with an error that names the place
     quarantine  the book is wrong until the end; its later records are counted, not given
     resync      the book is wrong until its next snapshot
     ignore      as if nothing had happened: the book goes on with what comes

   A delta follows the book when it names the book's last update id as its previous one, or begins at most one behind it. Ids
   of 0 say nothing.

   hash: each record of an instrument makes it mix(hash + mix(ts + type << 48) + seq), so it tells the order they came in. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "chr_hot.h"
#include "l3.h"

enum { CHR_GAP_STOP = 0, CHR_GAP_QUARANTINE = 1, CHR_GAP_RESYNC = 2, CHR_GAP_IGNORE = 3 };

/* What became of a record. */
enum {
    CHR_FED = 1,      /* give it on */
    CHR_FED_DROP = 0, /* of a quarantined instrument, or one not asked for */
    CHR_FED_STOP = -1 /* policy stop: `reason` says why */
};

typedef struct {
    uint64_t instrument_id;
    chr_l2 *l2; /* of an L3 book too: its levels */
    chr_l3 *l3;
    uint64_t hash, records, levels, gaps, refused, dropped;
    int64_t next_sample_ns;
    uint32_t source; /* it came from last */
    uint8_t quarantined, unwanted;
} chr_book_entry;

typedef struct {
    chr_book_entry *entries;
    uint32_t *slots; /* place + 1 */
    uint32_t count, room, mask, last;
    uint32_t policy;
    uint64_t gaps, refused;
    const char *reason; /* of the last gap */
    uint64_t expected, received;
} chr_books;

static inline int chr_books_init(chr_books *t, uint32_t policy) {
    memset(t, 0, sizeof *t);
    t->policy = policy;
    t->room = 64;
    t->mask = 255;
    t->reason = "";
    t->entries = (chr_book_entry *)calloc(t->room, sizeof *t->entries);
    t->slots = (uint32_t *)calloc(t->mask + 1, sizeof *t->slots);
    return t->entries && t->slots ? 0 : -1;
}

/* The books themselves belong to who made them. */
static inline void chr_books_free(chr_books *t) {
    free(t->entries);
    free(t->slots);
    memset(t, 0, sizeof *t);
}

static inline uint32_t chr_books_home(const chr_books *t, uint64_t id) { return (uint32_t)(chr_mix64(id) >> 32) & t->mask; }

/* Place of an instrument, or -1. */
static inline int64_t chr_books_find(chr_books *t, uint64_t id) {
    if (t->last < t->count && t->entries[t->last].instrument_id == id) return t->last;
    for (uint32_t at = chr_books_home(t, id); t->slots[at]; at = (at + 1) & t->mask)
        if (t->entries[t->slots[at] - 1].instrument_id == id) return t->last = t->slots[at] - 1;
    return -1;
}

static inline void chr_books_link(chr_books *t, uint32_t place) {
    uint32_t at = chr_books_home(t, t->entries[place].instrument_id);
    while (t->slots[at]) at = (at + 1) & t->mask;
    t->slots[at] = place + 1;
}

/* Place of a new entry, or -1 without memory. */
static inline int64_t chr_books_add(chr_books *t, uint64_t id) {
    if (t->count == t->room) {
        chr_book_entry *entries = (chr_book_entry *)realloc(t->entries, (size_t)t->room * 2 * sizeof *entries);
        if (!entries) return -1;
        t->entries = entries;
        uint32_t *slots = (uint32_t *)calloc((size_t)t->room * 8, sizeof *slots);
        if (!slots) return -1;
        free(t->slots);
        t->slots = slots;
        t->room *= 2;
        t->mask = t->room * 4 - 1;
        for (uint32_t i = 0; i < t->count; i++) chr_books_link(t, i);
    }
    memset(&t->entries[t->count], 0, sizeof *t->entries);
    t->entries[t->count].instrument_id = id;
    chr_books_link(t, t->count);
    return t->count++;
}

/* ------------------------------------------------------------------ gaps */

/* What a gap does to one book. CHR_FED, or CHR_FED_STOP. */
static inline int chr_books_break(chr_books *t, chr_book_entry *e, const char *reason) {
    t->gaps++;
    e->gaps++;
    t->reason = reason;
    if (t->policy == CHR_GAP_STOP) return CHR_FED_STOP;
    if (t->policy == CHR_GAP_IGNORE) return CHR_FED;
    if (t->policy == CHR_GAP_QUARANTINE) e->quarantined = 1;
    if (e->l3)
        chr_l3_turn(e->l3, CHR_L3_WRONG);
    else if (e->l2)
        e->l2->valid = 0;
    return CHR_FED;
}

/* Records of a source are missing: all books that came from it. */
static inline int chr_books_break_source(chr_books *t, uint32_t source, const char *reason) {
    int result = CHR_FED;
    for (uint32_t i = 0; i < t->count; i++)
        if (t->entries[i].source == source && t->entries[i].l2 && chr_books_break(t, &t->entries[i], reason) < 0)
            result = CHR_FED_STOP;
    if (t->policy == CHR_GAP_STOP) {
        t->reason = reason;
        result = CHR_FED_STOP;
    }
    return result;
}

/* Does a delta follow its book? */
static inline int chr_books_follows(chr_books *t, const chr_l2 *b, const void *payload, uint32_t size) {
    const chr_book_delta_t *m =
        (const chr_book_delta_t *)chr_block(payload, size, CHR_BOOK_DELTA, CHR_BOOK_DELTA_BLOCK);
    if (!m || !b->valid || m->flags & CHR_BOOK_FLAGS_STALE || !b->last_update_id || !m->first_update_id) return 1;
    if (m->first_update_id <= b->last_update_id + 1 || m->prev_update_id == b->last_update_id) return 1;
    t->expected = b->last_update_id + 1;
    t->received = m->first_update_id;
    return 0;
}

/* ------------------------------------------------------------------ feeding */

static inline uint32_t chr_books_levels(const chr_frame *f) {
    const uint32_t around = sizeof(chr_sbe_header_t) + 2 * sizeof(chr_group_t);
    if (f->type_id >= CHR_ORDER_ADD && f->type_id <= CHR_ORDER_EXECUTE) return 1;
    if (f->type_id != CHR_BOOK_DELTA && f->type_id != CHR_BOOK_SNAPSHOT) return 0;
    if (f->size < around) return 0;
    uint32_t block = ((const chr_sbe_header_t *)f->payload)->block_length;
    return f->size < around + block ? 0 : (f->size - around - block) / (uint32_t)sizeof(chr_level_t);
}

static inline int chr_books_apply(chr_books *t, chr_book_entry *e, const chr_frame *f) {
    if (!e->l2) return CHR_FED;
    if (f->type_id == CHR_BOOK_DELTA && !e->l3 && !chr_books_follows(t, e->l2, f->payload, f->size)) {
        if (chr_books_break(t, e, "update ids are missing before a delta") < 0) return CHR_FED_STOP;
        if (e->quarantined) return CHR_FED_DROP;
    }
    int result = e->l3 ? chr_l3_apply(e->l3, f->type_id, f->payload, f->size)
                       : chr_l2_apply(e->l2, f->type_id, f->payload, f->size);
    if (__builtin_expect(result >= 0, 1)) return CHR_FED;
    e->refused++;
    t->refused++;
    if (chr_books_break(t, e, e->l3 ? chr_l3_reason(result) : chr_l2_reason(result)) < 0) return CHR_FED_STOP;
    if (t->policy == CHR_GAP_IGNORE && e->l3)
        chr_l3_turn(e->l3, CHR_L3_RIGHT);
    else if (t->policy == CHR_GAP_IGNORE)
        e->l2->valid = 1;
    return e->quarantined ? CHR_FED_DROP : CHR_FED;
}

/* One record of the instrument at `place`. */
static inline int chr_books_feed(chr_books *t, int64_t place, uint32_t source, const chr_frame *f) {
    chr_book_entry *e = &t->entries[place];
    if (e->unwanted) return CHR_FED_DROP;
    if (e->quarantined) {
        e->dropped++;
        return CHR_FED_DROP;
    }
    e->records++;
    e->levels += chr_books_levels(f);
    e->hash = chr_mix64(e->hash + chr_mix64((uint64_t)f->ts_ns + ((uint64_t)f->type_id << 48)) + f->seq);
    if (e->l2) e->source = source;
    if (f->type_id == CHR_GAP) {
        const chr_gap_t *m = (const chr_gap_t *)chr_block(f->payload, f->size, CHR_GAP, CHR_GAP_BLOCK);
        t->expected = m ? m->expected_id : 0;
        t->received = m ? m->received_id : 0;
        return chr_books_break(t, e, "a Gap record");
    }
    return chr_books_apply(t, e, f);
}

/* All the books at once: the sum, modulo 2^64, of one number each, so that books replayed apart add up to the same. */
static inline uint64_t chr_books_hash(const chr_books *t) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < t->count; i++) {
        const chr_book_entry *e = &t->entries[i];
        if (e->unwanted) continue;
        uint64_t book = e->l3 ? chr_l3_hash(e->l3) : e->l2 ? chr_l2_hash(e->l2) : 0;
        uint64_t state = e->l2 ? e->l2->last_update_id * 4 + e->l2->valid * 2u + e->quarantined : e->quarantined;
        sum += chr_mix64(chr_mix64(chr_mix64(e->instrument_id + e->hash) + book) + state);
    }
    return sum;
}

#endif
