#ifndef CHR_L3_STORE_H
#define CHR_L3_STORE_H
/* Orders in queues: who stands at which price, in which order. Knows nothing of messages; l3.h does.

   orders   a pool; an order is named by its place in it, place 0 is nobody. Those free are chained by `next`
   levels   a pool of the same kind. A level is (side, key), or the one of a side whose orders have no price (a market
            order waiting for an auction); its orders are a list, first come first
   tables   order id -> order, (side, key) -> level: open addressing, linear probing, at most 3/4 full, and an entry goes by
            moving those behind it back, so there are no tombstones and a lookup never gets slower with age

   Always true:
     - qty of an order > 0; of a level = the sum of its orders, and it fits an int64; a level with no order does not exist
     - an order is in exactly one list and in the id table exactly once

   Pools and tables grow by doubling, up to CHR_L3_ORDERS_MAX orders; nothing is allocated in steady state. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { CHR_L3_FIRST = 64, CHR_L3_ORDERS_MAX = 1 << 24 };

typedef struct {
    uint64_t id;
    int64_t qty;
    uint32_t level, next, prev; /* next: came after it */
    uint32_t arrival;           /* number of its coming to the end of a queue; wraps, compare by difference */
} chr_l3_order;

typedef struct {
    int64_t key, qty; /* key as in ladder.h: higher = better */
    uint32_t head, tail, count;
    uint8_t side, no_price;
    uint8_t reserved[2];
} chr_l3_level;

typedef struct {
    uint64_t *slots; /* hash << 32 | place; 0 = empty */
    uint32_t mask, used;
} chr_l3_table;

typedef struct {
    chr_l3_order *orders;
    chr_l3_level *levels;
    uint32_t orders_room, orders_free, orders_used; /* used: places ever given out, 0 among them */
    uint32_t levels_room, levels_free, levels_used;
    uint32_t count;                                 /* orders in the book */
    uint32_t arrivals;                              /* the last number given */
    chr_l3_table ids, prices;
} chr_l3_store;

static inline int chr_l3_table_init(chr_l3_table *t) {
    t->slots = (uint64_t *)calloc(2 * CHR_L3_FIRST, sizeof *t->slots);
    t->mask = 2 * CHR_L3_FIRST - 1;
    t->used = 0;
    return t->slots ? 0 : -1;
}

static inline int chr_l3_store_init(chr_l3_store *s) {
    memset(s, 0, sizeof *s);
    s->orders = (chr_l3_order *)calloc(CHR_L3_FIRST, sizeof *s->orders);
    s->levels = (chr_l3_level *)calloc(CHR_L3_FIRST, sizeof *s->levels);
    s->orders_room = s->levels_room = CHR_L3_FIRST;
    s->orders_used = s->levels_used = 1;
    int bad = chr_l3_table_init(&s->ids);
    bad |= chr_l3_table_init(&s->prices);
    return s->orders && s->levels && !bad ? 0 : -1;
}

static inline void chr_l3_store_free(chr_l3_store *s) {
    free(s->orders);
    free(s->levels);
    free(s->ids.slots);
    free(s->prices.slots);
    memset(s, 0, sizeof *s);
}

static inline void chr_l3_store_clear(chr_l3_store *s) {
    memset(s->ids.slots, 0, ((size_t)s->ids.mask + 1) * sizeof *s->ids.slots);
    memset(s->prices.slots, 0, ((size_t)s->prices.mask + 1) * sizeof *s->prices.slots);
    s->ids.used = s->prices.used = 0;
    s->orders_used = s->levels_used = 1;
    s->orders_free = s->levels_free = s->count = 0;
}

/* ------------------------------------------------------------------ tables */

static inline uint32_t chr_l3_id_hash(uint64_t id) {
    id *= 0x9E3779B97F4A7C15ull;
    return (uint32_t)(id >> 32 ^ id >> 12);
}

static inline uint32_t chr_l3_price_hash(int side, int no_price, int64_t key) {
    return chr_l3_id_hash(((uint64_t)key ^ (uint64_t)key >> 29) * 4 + (uint64_t)(side + 2 * no_price) + 1);
}

static inline void chr_l3_table_put(chr_l3_table *t, uint32_t hash, uint32_t place) {
    uint32_t at = hash & t->mask;
    while (t->slots[at]) at = (at + 1) & t->mask;
    t->slots[at] = (uint64_t)hash << 32 | place;
    t->used++;
}

/* Room for one more entry. -1 when there is no memory; nothing has changed then. */
static inline int chr_l3_table_reserve(chr_l3_table *t) {
    if ((uint64_t)(t->used + 1) * 4 <= ((uint64_t)t->mask + 1) * 3) return 0;
    uint64_t *old = t->slots, size = (uint64_t)t->mask + 1;
    uint64_t *slots = (uint64_t *)calloc(size * 2, sizeof *slots);
    if (!slots) return -1;
    t->slots = slots;
    t->mask = (uint32_t)(size * 2 - 1);
    t->used = 0;
    for (uint64_t i = 0; i < size; i++)
        if (old[i]) chr_l3_table_put(t, (uint32_t)(old[i] >> 32), (uint32_t)old[i]);
    free(old);
    return 0;
}

static inline void chr_l3_table_remove(chr_l3_table *t, uint32_t hash, uint32_t place) {
    uint32_t at = hash & t->mask;
    uint64_t wanted = (uint64_t)hash << 32 | place;
    while (t->slots[at] != wanted) at = (at + 1) & t->mask;
    t->used--;
    for (uint32_t from = at;;) { /* whoever probed across the hole moves into it */
        from = (from + 1) & t->mask;
        if (!t->slots[from]) break;
        uint32_t home = (uint32_t)(t->slots[from] >> 32) & t->mask;
        if (((from - home) & t->mask) < ((from - at) & t->mask)) continue;
        t->slots[at] = t->slots[from];
        at = from;
    }
    t->slots[at] = 0;
}

/* Place of an order, 0 when there is none of that id. */
static inline uint32_t chr_l3_find(const chr_l3_store *s, uint64_t id) {
    uint32_t hash = chr_l3_id_hash(id);
    for (uint32_t at = hash & s->ids.mask; s->ids.slots[at]; at = (at + 1) & s->ids.mask) {
        uint32_t place = (uint32_t)s->ids.slots[at];
        if ((uint32_t)(s->ids.slots[at] >> 32) == hash && s->orders[place].id == id) return place;
    }
    return 0;
}

static inline uint32_t chr_l3_find_level(const chr_l3_store *s, int side, int no_price, int64_t key) {
    uint32_t hash = chr_l3_price_hash(side, no_price, key);
    for (uint32_t at = hash & s->prices.mask; s->prices.slots[at]; at = (at + 1) & s->prices.mask) {
        uint32_t place = (uint32_t)s->prices.slots[at];
        const chr_l3_level *l = &s->levels[place];
        if (l->key == key && l->side == side && l->no_price == no_price) return place;
    }
    return 0;
}

/* ------------------------------------------------------------------ pools */

static inline int chr_l3_grow(void **pool, uint32_t *room, size_t each) {
    if (*room >= CHR_L3_ORDERS_MAX) return -1;
    void *larger = realloc(*pool, (size_t)*room * 2 * each);
    if (!larger) return -1;
    *pool = larger;
    *room *= 2;
    return 0;
}

/* Memory for one more order at one more level. -1 when there is none, or too many; nothing has changed then. */
static inline int chr_l3_reserve(chr_l3_store *s) {
    if (chr_l3_table_reserve(&s->ids) || chr_l3_table_reserve(&s->prices)) return -1;
    if (!s->orders_free && s->orders_used == s->orders_room &&
        chr_l3_grow((void **)&s->orders, &s->orders_room, sizeof *s->orders))
        return -1;
    if (!s->levels_free && s->levels_used == s->levels_room &&
        chr_l3_grow((void **)&s->levels, &s->levels_room, sizeof *s->levels))
        return -1;
    return 0;
}

static inline uint32_t chr_l3_make_level(chr_l3_store *s, int side, int no_price, int64_t key) {
    uint32_t place = s->levels_free;
    if (place)
        s->levels_free = s->levels[place].head;
    else
        place = s->levels_used++;
    s->levels[place] = (chr_l3_level){.key = key, .side = (uint8_t)side, .no_price = (uint8_t)no_price};
    chr_l3_table_put(&s->prices, chr_l3_price_hash(side, no_price, key), place);
    return place;
}

static inline void chr_l3_drop_level(chr_l3_store *s, uint32_t place) {
    chr_l3_level *l = &s->levels[place];
    chr_l3_table_remove(&s->prices, chr_l3_price_hash(l->side, l->no_price, l->key), place);
    *l = (chr_l3_level){.head = s->levels_free};
    s->levels_free = place;
}

/* ------------------------------------------------------------------ queues */

/* The last of its queue. Room was reserved, the id is new, the sum of the level fits. Returns the level's place. */
static inline uint32_t chr_l3_append(chr_l3_store *s, int side, int no_price, int64_t key, uint64_t id, int64_t qty) {
    uint32_t level = chr_l3_find_level(s, side, no_price, key), place = s->orders_free;
    if (!level) level = chr_l3_make_level(s, side, no_price, key);
    if (place)
        s->orders_free = s->orders[place].next;
    else
        place = s->orders_used++;
    chr_l3_level *l = &s->levels[level];
    s->orders[place] = (chr_l3_order){.id = id, .qty = qty, .level = level, .prev = l->tail, .arrival = ++s->arrivals};
    if (l->tail)
        s->orders[l->tail].next = place;
    else
        l->head = place;
    l->tail = place;
    l->qty += qty;
    l->count++;
    s->count++;
    chr_l3_table_put(&s->ids, chr_l3_id_hash(id), place);
    return level;
}

/* Takes `qty` of an order away, which keeps its place; all of it, and it leaves. Returns what its level has left. */
static inline int64_t chr_l3_take(chr_l3_store *s, uint32_t place, int64_t qty) {
    chr_l3_order *o = &s->orders[place];
    uint32_t level = o->level;
    chr_l3_level *l = &s->levels[level];
    int64_t left = l->qty -= qty;
    o->qty -= qty;
    if (o->qty) return left;
    chr_l3_table_remove(&s->ids, chr_l3_id_hash(o->id), place);
    if (o->prev)
        s->orders[o->prev].next = o->next;
    else
        l->head = o->next;
    if (o->next)
        s->orders[o->next].prev = o->prev;
    else
        l->tail = o->prev;
    *o = (chr_l3_order){.next = s->orders_free};
    s->orders_free = place;
    s->count--;
    if (!--l->count) chr_l3_drop_level(s, level);
    return left;
}

/* Orders and quantity before an order in its queue. */
static inline uint32_t chr_l3_ahead(const chr_l3_store *s, uint32_t place, int64_t *qty) {
    uint32_t count = 0;
    *qty = 0;
    for (uint32_t at = s->orders[place].prev; at; at = s->orders[at].prev, count++) *qty += s->orders[at].qty;
    return count;
}

#endif
