#ifndef CHR_RING_H
#define CHR_RING_H
/* A queue of items of one size, first in, first out, that grows by doubling. Nothing is allocated in steady state.

   Rules
     - an item is written in place where chr_ring_push says and stays there until it is popped, unless a push in between grows the ring
     - `due` of an item must not be below that of the item before it: who pushes sees to that */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    uint8_t *items;
    uint64_t first, count, room; /* room: a power of two */
    uint32_t size;               /* of an item, bytes; its first field is int64_t due */
} chr_ring;

static inline int chr_ring_init(chr_ring *r, uint32_t size) {
    memset(r, 0, sizeof *r);
    r->size = size;
    r->room = 64;
    r->items = (uint8_t *)malloc(r->room * size);
    return r->items ? 0 : -1;
}

static inline void chr_ring_free(chr_ring *r) {
    free(r->items);
    memset(r, 0, sizeof *r);
}

static inline void *chr_ring_at(const chr_ring *r, uint64_t i) { return r->items + ((r->first + i) & (r->room - 1)) * r->size; }

static inline int chr_ring_grow(chr_ring *r) {
    uint8_t *items = (uint8_t *)malloc(2 * r->room * r->size);
    if (!items) return -1;
    for (uint64_t i = 0; i < r->count; i++) memcpy(items + i * r->size, chr_ring_at(r, i), r->size);
    free(r->items);
    r->items = items;
    r->first = 0;
    r->room *= 2;
    return 0;
}

/* Room for one more behind the last; NULL without memory. */
static inline void *chr_ring_push(chr_ring *r) {
    if (r->count == r->room && chr_ring_grow(r)) return NULL;
    return chr_ring_at(r, r->count++);
}

static inline void chr_ring_pop(chr_ring *r) {
    r->first = (r->first + 1) & (r->room - 1);
    r->count--;
}

/* When the first item is due; INT64_MAX when there is none. */
static inline int64_t chr_ring_due(const chr_ring *r) {
    return r->count ? *(const int64_t *)chr_ring_at(r, 0) : INT64_MAX;
}

#endif
