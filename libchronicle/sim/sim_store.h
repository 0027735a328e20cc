#ifndef CHR_SIM_STORE_H
#define CHR_SIM_STORE_H
/* Arithmetic of the simulator's structures: pool, lines, memory of what was taken, expiry heap, events. Knows no rule.

   Always true:
     - an order that has not ended is in the key table, in the chain of open orders, and in at most one line
     - keys of a line ascend; among equals the youngest is first
     - `taken` of a level never exceeds what the level displayed when it was taken from */

#include "sim_layout.h"

static inline uint64_t chr_sim_mix(uint64_t x) { return chr_mix64(x + 0x9E3779B97F4A7C15ull); }

/* A draw with `ppm` chances in a million; none is made where the answer is known. Splitmix64. */
static inline int chr_sim_draw(chr_sim *m, uint32_t ppm) {
    if (!ppm) return 0;
    if (ppm >= 1000000) return 1;
    m->random += 0x9E3779B97F4A7C15ull;
    return (uint64_t)(((unsigned __int128)chr_mix64(m->random) * 1000000u) >> 64) < ppm;
}

static inline int chr_sim_grow(void **at, uint32_t *room, size_t each, uint32_t first) {
    uint32_t wanted = *room ? *room * 2 : first;
    void *larger = realloc(*at, (size_t)wanted * each);
    if (!larger) return -1;
    *at = larger;
    *room = wanted;
    return 0;
}

/* ------------------------------------------------------------------ pool */

/* A free place, zeroed; 0 without memory. Pointers to orders are void after it. */
static inline uint32_t chr_sim_take_place(chr_sim *m) {
    uint32_t place = m->orders_free;
    if (chr_l3_table_reserve(&m->keys)) return 0;
    if (place) {
        m->orders_free = m->orders[place].next;
    } else {
        if (m->orders_used == m->orders_room && chr_sim_grow((void **)&m->orders, &m->orders_room, sizeof *m->orders, 64))
            return 0;
        place = m->orders_used++;
    }
    memset(&m->orders[place], 0, sizeof m->orders[place]);
    return place;
}

static inline uint32_t chr_sim_find(const chr_sim *m, uint64_t key) {
    uint32_t hash = chr_l3_id_hash(key);
    for (uint32_t at = hash & m->keys.mask; m->keys.slots[at]; at = (at + 1) & m->keys.mask) {
        uint32_t place = (uint32_t)m->keys.slots[at];
        if ((uint32_t)(m->keys.slots[at] >> 32) == hash && m->orders[place].key == key) return place;
    }
    return 0;
}

/* Into the table and the chain. The place was taken, so the table has room. */
static inline void chr_sim_enter(chr_sim *m, uint32_t place) {
    chr_sim_order *o = &m->orders[place];
    chr_l3_table_put(&m->keys, chr_l3_id_hash(o->key), place);
    o->prev = m->last;
    o->next = 0;
    if (m->last)
        m->orders[m->last].next = place;
    else
        m->first = place;
    m->last = place;
    m->open++;
}

/* Out of both; its place stays until chr_sim_release. */
static inline void chr_sim_leave(chr_sim *m, uint32_t place) {
    chr_sim_order *o = &m->orders[place];
    chr_l3_table_remove(&m->keys, chr_l3_id_hash(o->key), place);
    if (o->prev)
        m->orders[o->prev].next = o->next;
    else
        m->first = o->next;
    if (o->next)
        m->orders[o->next].prev = o->prev;
    else
        m->last = o->prev;
    o->flags |= CHR_SIM_ENDED;
    o->next = m->ended;
    m->ended = place;
    m->open--;
}

/* To the end of the chain. */
static inline void chr_sim_requeue(chr_sim *m, uint32_t place) {
    chr_sim_order *o = &m->orders[place];
    if (m->last == place) return;
    if (o->prev)
        m->orders[o->prev].next = o->next;
    else
        m->first = o->next;
    m->orders[o->next].prev = o->prev;
    o->prev = m->last;
    o->next = 0;
    m->orders[m->last].next = place;
    m->last = place;
}

/* The caller has taken the events: places of orders that ended are free. */
static inline void chr_sim_release(chr_sim *m) {
    if (!m->ended || m->count) return;
    uint32_t place = m->ended;
    while (place) {
        uint32_t next = m->orders[place].next;
        m->orders[place].next = m->orders_free;
        m->orders_free = place;
        place = next;
    }
    m->ended = 0;
}

/* ------------------------------------------------------------------ lines */

/* Index of the first entry with a key >= `key`. Most orders stand at the end. */
static inline uint32_t chr_sim_line_find(const chr_sim_line *line, int64_t key) {
    uint32_t low = 0, count = line->count;
    while (count) {
        uint32_t half = count / 2;
        int less = line->at[low + half].key < key;
        low = less ? low + half + 1 : low;
        count = less ? count - half - 1 : half;
    }
    return low;
}

/* Behind all of its key. */
static inline int chr_sim_line_add(chr_sim_line *line, int64_t key, uint32_t order) {
    if (line->count == line->room && chr_sim_grow((void **)&line->at, &line->room, sizeof *line->at, 16)) return -1;
    uint32_t i = chr_sim_line_find(line, key);
    memmove(line->at + i + 1, line->at + i, (line->count - i) * sizeof *line->at);
    line->at[i] = (chr_sim_place){key, order};
    line->count++;
    return 0;
}

static inline void chr_sim_line_remove(chr_sim_line *line, int64_t key, uint32_t order) {
    uint32_t i = chr_sim_line_find(line, key);
    while (i < line->count && line->at[i].order != order) i++;
    if (i == line->count) return;
    line->count--;
    memmove(line->at + i, line->at + i + 1, (line->count - i) * sizeof *line->at);
}

static inline int64_t chr_sim_line_best(const chr_sim_line *line) {
    return line->count ? line->at[line->count - 1].key : INT64_MIN;
}

/* ------------------------------------------------------------------ what was taken */

enum { CHR_SIM_MOST_TAKEN = 256 }; /* levels remembered before those that are no longer displayed are looked for */

static inline uint32_t chr_sim_taken_find(const chr_sim_memory *t, int64_t key) {
    uint32_t i = t->count;
    while (i && t->at[i - 1].key >= key) i--; /* near the best */
    return i;
}

/* What a level that displays `shown` has on offer. A level that shows less than when we took from it was traded or cancelled at the
   front, where our quantity stood; one that shows more got new quantity behind. */
static inline int64_t chr_sim_available(chr_sim_memory *t, int64_t key, int64_t shown) {
    if (__builtin_expect(!t->count, 1)) return shown;
    uint32_t i = chr_sim_taken_find(t, key);
    if (i == t->count || t->at[i].key != key) return shown;
    chr_sim_taken *level = &t->at[i];
    if (shown < level->shown) {
        int64_t gone = level->shown - shown;
        level->qty = level->qty > gone ? level->qty - gone : 0;
    }
    t->changed |= shown != level->shown;
    level->shown = shown;
    return shown > level->qty ? shown - level->qty : 0;
}

/* `qty` of what chr_sim_available has just said is ours now. */
static inline int chr_sim_remember(chr_sim_memory *t, int64_t key, int64_t shown, int64_t qty) {
    uint32_t i = chr_sim_taken_find(t, key);
    t->changed = 1;
    if (i < t->count && t->at[i].key == key) {
        t->at[i].qty += qty;
        return 0;
    }
    if (t->count == t->room && chr_sim_grow((void **)&t->at, &t->room, sizeof *t->at, 16)) return -1;
    memmove(t->at + i + 1, t->at + i, (t->count - i) * sizeof *t->at);
    t->at[i] = (chr_sim_taken){key, shown, qty};
    t->count++;
    return 0;
}

static inline void chr_sim_forget(chr_sim_memory *t, uint32_t kept) {
    t->changed |= kept != t->count;
    t->count = kept;
}

/* Drops the memory of levels that the market has moved past, and of those far behind that are no longer displayed. */
static inline void chr_sim_forget_gone(chr_sim_memory *t, const chr_ladder *ladder) {
    chr_rung best;
    if (__builtin_expect(!t->count, 1)) return;
    if (!chr_ladder_best(ladder, &best)) {
        chr_sim_forget(t, 0);
        return;
    }
    uint32_t kept = t->count;
    while (kept && t->at[kept - 1].key > best.key) kept--;
    chr_sim_forget(t, kept);
    if (kept <= CHR_SIM_MOST_TAKEN) return;
    kept = 0;
    for (uint32_t i = 0; i < t->count; i++)
        if (t->at[i].qty && chr_ladder_get(ladder, t->at[i].key)) t->at[kept++] = t->at[i];
    chr_sim_forget(t, kept);
}

/* ------------------------------------------------------------------ trades told twice */

/* A feed of single orders tells of a trade by the execution of each order, and once more as a print for the tape at the same time
   and price. What an execution has told is no second trade; a print beyond that is one of hidden orders. */
static inline int chr_sim_told(chr_sim_slot *s, int64_t price, int64_t qty, int64_t now) {
    if (s->told_ns != now) s->told.count = 0;
    s->told_ns = now;
    return chr_sim_remember(&s->told, price, 0, qty);
}

/* What of a print no execution has told. */
static inline int64_t chr_sim_untold(chr_sim_slot *s, int64_t price, int64_t qty, int64_t now) {
    if (s->told_ns != now || !s->told.count) return qty;
    uint32_t i = chr_sim_taken_find(&s->told, price);
    if (i == s->told.count || s->told.at[i].key != price) return qty;
    int64_t known = s->told.at[i].qty < qty ? s->told.at[i].qty : qty;
    s->told.at[i].qty -= known;
    return qty - known;
}

/* ------------------------------------------------------------------ expiries */

static inline int chr_sim_expired_already(const chr_sim *m, uint32_t i) {
    const chr_sim_order *o = &m->orders[m->expiries[i].order];
    return o->venue_order_id != m->expiry_ids[i] || o->flags & CHR_SIM_ENDED;
}

static inline void chr_sim_expiry_sink(chr_sim *m, uint32_t i) {
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= m->expiries_count) return;
        if (child + 1 < m->expiries_count && m->expiries[child + 1].key < m->expiries[child].key) child++;
        if (m->expiries[i].key <= m->expiries[child].key) return;
        chr_sim_place place = m->expiries[i];
        uint64_t id = m->expiry_ids[i];
        m->expiries[i] = m->expiries[child];
        m->expiry_ids[i] = m->expiry_ids[child];
        m->expiries[child] = place;
        m->expiry_ids[child] = id;
        i = child;
    }
}

static inline void chr_sim_expiry_pop(chr_sim *m) {
    m->expiries_count--;
    m->expiries[0] = m->expiries[m->expiries_count];
    m->expiry_ids[0] = m->expiry_ids[m->expiries_count];
    chr_sim_expiry_sink(m, 0);
}

/* Orders that ended before their time go when they are most of the heap. */
static inline void chr_sim_expiry_clean(chr_sim *m) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < m->expiries_count; i++) {
        if (chr_sim_expired_already(m, i)) continue;
        m->expiries[kept] = m->expiries[i];
        m->expiry_ids[kept++] = m->expiry_ids[i];
    }
    m->expiries_count = kept;
    for (uint32_t i = kept / 2; i-- > 0;) chr_sim_expiry_sink(m, i);
}

static inline int chr_sim_expiry_add(chr_sim *m, uint32_t order) {
    if (m->expiries_count > 2 * m->open + 64) chr_sim_expiry_clean(m);
    if (m->expiries_count == m->expiries_room) {
        uint32_t room = m->expiries_room;
        if (chr_sim_grow((void **)&m->expiry_ids, &room, sizeof *m->expiry_ids, 16)) return -1;
        if (chr_sim_grow((void **)&m->expiries, &m->expiries_room, sizeof *m->expiries, 16)) return -1;
    }
    uint32_t i = m->expiries_count++;
    chr_sim_place place = {m->orders[order].expire_ns, order};
    for (; i && m->expiries[(i - 1) / 2].key > place.key; i = (i - 1) / 2) {
        m->expiries[i] = m->expiries[(i - 1) / 2];
        m->expiry_ids[i] = m->expiry_ids[(i - 1) / 2];
    }
    m->expiries[i] = place;
    m->expiry_ids[i] = m->orders[order].venue_order_id;
    return 0;
}

/* ------------------------------------------------------------------ events */

/* The next event, zeroed. Without memory it is the last one over again, and no_memory says so. */
static inline chr_sim_event *chr_sim_event_room(chr_sim *m) {
    if (m->count == m->room && chr_sim_grow((void **)&m->events, &m->room, sizeof *m->events, 64)) {
        m->no_memory = 1;
        m->count--;
    }
    chr_sim_event *e = &m->events[m->count++];
    memset(e, 0, sizeof *e);
    return e;
}

#endif
