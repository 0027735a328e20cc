#ifndef CHR_LANES_H
#define CHR_LANES_H
/* Connections to venues: a ring each, in which order is kept; over all of them the item that is due first comes first, of equal ones that of
   the lower lane. A run whose latency is one for all venues has one lane. */

#include "ring.h"

typedef struct {
    chr_ring *rings;
    int64_t *last_due; /* of the item pushed last */
    uint32_t count;
    uint32_t first;    /* lane of the item that chr_lanes_due has found */
} chr_lanes;

static inline void chr_lanes_free(chr_lanes *l) {
    for (uint32_t i = 0; i < l->count; i++) chr_ring_free(&l->rings[i]);
    free(l->rings);
    free(l->last_due);
    memset(l, 0, sizeof *l);
}

static inline int chr_lanes_init(chr_lanes *l, uint32_t count, uint32_t size) {
    memset(l, 0, sizeof *l);
    l->rings = (chr_ring *)calloc(count, sizeof *l->rings);
    l->last_due = (int64_t *)calloc(count, sizeof *l->last_due);
    for (; l->rings && l->last_due && l->count < count; l->count++)
        if (chr_ring_init(&l->rings[l->count], size)) return -1;
    return l->count == count ? 0 : -1;
}

/* Room for an item that is due at `due`, or when the one before it in its lane is; its first field says when. NULL without memory. */
static inline void *chr_lanes_push(chr_lanes *l, uint32_t lane, int64_t due) {
    int64_t *item = (int64_t *)chr_ring_push(&l->rings[lane]);
    if (!item) return NULL;
    if (due > l->last_due[lane]) l->last_due[lane] = due;
    *item = l->last_due[lane];
    return item;
}

/* When the first item is due; INT64_MAX when there is none. */
static inline int64_t chr_lanes_due(chr_lanes *l) {
    int64_t due = chr_ring_due(&l->rings[0]);
    l->first = 0;
    for (uint32_t i = 1; __builtin_expect(i < l->count, 0); i++) {
        int64_t other = chr_ring_due(&l->rings[i]);
        if (other < due) {
            due = other;
            l->first = i;
        }
    }
    return due;
}

/* The item that chr_lanes_due has found. */
static inline void *chr_lanes_at(const chr_lanes *l) { return chr_ring_at(&l->rings[l->first], 0); }

static inline void chr_lanes_pop(chr_lanes *l) { chr_ring_pop(&l->rings[l->first]); }

#endif
