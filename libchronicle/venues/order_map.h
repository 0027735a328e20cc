#ifndef CHR_ORDER_MAP_H
#define CHR_ORDER_MAP_H
/* Living orders of a feed: id -> price, quantity left, side. Open addressing, linear probing, at most half full; removal
   shifts back what followed, so there are no tombstones and the table never needs cleaning. It grows with the orders
   that live, not with those that ever lived. */

#include <stdint.h>
#include <stdlib.h>

typedef struct {
    uint64_t id;
    int64_t price;
    int64_t qty;
    uint64_t instrument_id;
    uint8_t side, used;
} chr_known_order;

typedef struct {
    chr_known_order *slots;
    uint64_t mask, count; /* mask + 1 slots */
} chr_order_map;

static inline uint64_t chr_order_hash(uint64_t id) {
    id ^= id >> 32;
    id *= 0x9E3779B97F4A7C15ull;
    return id ^ id >> 29;
}

static inline chr_known_order *chr_orders_find(const chr_order_map *m, uint64_t id) {
    if (!m->slots) return NULL;
    for (uint64_t i = chr_order_hash(id) & m->mask; m->slots[i].used; i = (i + 1) & m->mask)
        if (m->slots[i].id == id) return &m->slots[i];
    return NULL;
}

static inline chr_known_order *chr_orders_place(chr_order_map *m, uint64_t id) {
    uint64_t i = chr_order_hash(id) & m->mask;
    while (m->slots[i].used && m->slots[i].id != id) i = (i + 1) & m->mask;
    return &m->slots[i];
}

/* The order's slot, new ones zeroed but for the id. NULL: no memory. Good until the next put or drop. */
static inline chr_known_order *chr_orders_put(chr_order_map *m, uint64_t id) {
    if (!m->slots || 2 * (m->count + 1) > m->mask + 1) {
        chr_order_map bigger = {NULL, m->slots ? 2 * (m->mask + 1) - 1 : 4095, m->count};
        bigger.slots = (chr_known_order *)calloc(bigger.mask + 1, sizeof(chr_known_order));
        if (!bigger.slots) return NULL;
        if (m->slots)
            for (uint64_t i = 0; i <= m->mask; i++)
                if (m->slots[i].used) *chr_orders_place(&bigger, m->slots[i].id) = m->slots[i];
        free(m->slots);
        *m = bigger;
    }
    chr_known_order *slot = chr_orders_place(m, id);
    if (!slot->used) {
        *slot = (chr_known_order){.id = id, .used = 1};
        m->count++;
    }
    return slot;
}

static inline void chr_orders_drop(chr_order_map *m, chr_known_order *gone) {
    uint64_t hole = (uint64_t)(gone - m->slots), i = hole;
    for (;;) {
        i = (i + 1) & m->mask;
        if (!m->slots[i].used) break;
        uint64_t home = chr_order_hash(m->slots[i].id) & m->mask;
        if (((i - home) & m->mask) >= ((i - hole) & m->mask)) {
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->slots[hole].used = 0;
    m->count--;
}

static inline void chr_orders_free(chr_order_map *m) {
    free(m->slots);
    m->slots = NULL;
    m->mask = m->count = 0;
}

#endif
