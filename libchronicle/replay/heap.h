#ifndef CHR_HEAP_H
#define CHR_HEAP_H
/* The earliest of several heads: a binary heap of sources by (time, source). first[0] is the earliest. */

#include <stdint.h>

#include "chr_hot.h"

typedef struct {
    chr_frame frame;      /* that the source gives next */
    uint64_t channel_seq; /* the last its records carried; 0: none yet */
    uint32_t idle;        /* it has nothing yet */
} chr_head;

typedef struct {
    chr_head *heads; /* one per source */
    uint32_t *first;
    uint32_t count;
} chr_heap;

static inline int chr_heap_before(const chr_heap *h, uint32_t a, uint32_t b) {
    int64_t x = h->heads[a].frame.ts_ns, y = h->heads[b].frame.ts_ns;
    return x < y || (x == y && a < b);
}

static inline void chr_heap_push(chr_heap *h, uint32_t source) {
    uint32_t at = h->count++;
    for (uint32_t up; at && chr_heap_before(h, source, h->first[up = (at - 1) / 2]); at = up) h->first[at] = h->first[up];
    h->first[at] = source;
}

/* The head of the first has changed. */
static inline void chr_heap_settle(chr_heap *h) {
    uint32_t at = 0, source = h->first[0];
    for (uint32_t down; (down = 2 * at + 1) < h->count; at = down) {
        if (down + 1 < h->count && chr_heap_before(h, h->first[down + 1], h->first[down])) down++;
        if (!chr_heap_before(h, h->first[down], source)) break;
        h->first[at] = h->first[down];
    }
    h->first[at] = source;
}

/* The first has nothing more. */
static inline void chr_heap_pop(chr_heap *h) {
    h->first[0] = h->first[--h->count];
    if (h->count > 1) chr_heap_settle(h);
}

#endif
