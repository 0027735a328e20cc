#ifndef CHR_LADDER_H
#define CHR_LADDER_H
/* One side of a book: quantity by price, best price first.

   Prices become keys, higher = better: a bid's key is its price, an ask's is ~price (which reverses the order of every
   int64 without overflow). So there is one ladder, not two.

   Two stores hold the levels; a level is in exactly one of them:

     window  CHR_WINDOW ticks around the touch. Slot = (key - base) / tick; a bitmap says which slots hold a level, a
             summary bitmap which of its words are not empty. Set, clear and best are a handful of instructions.
     far     everything else (outside the window, or off the grid of ticks), sorted by key, ascending. Binary search and
             memmove; 7 % of the updates of a Binance spot stream land here, all of a hostile one may.

   Always true:
     - a set bit i of word w <=> slot 64 w + i holds a level, and its qty is > 0; summary bit w <=> word w is not 0
     - `top` is the highest slot set, -1 when there is none
     - no key of `far` falls on a slot of the window: a lookup needs to look in one place
     - the content never depends on where the window is: moving it changes speed only

   The division needs no divide: tick = odd << shift, and for an exact multiple of tick the slot is
   rotr(distance * odd^-1 mod 2^64, shift). That map is a bijection of 64-bit numbers and the window ends where int64
   does, so a result below `slots` proves the distance to be that multiple: one comparison tests grid and range at once.

   Memory: the window is 512 KiB of address space, of which the kernel hands out what is touched; far grows by doubling to
   CHR_FAR_MAX levels, then -1 (the book becomes invalid rather than wrong). Nothing is allocated in steady state. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "messages.h"

enum { CHR_WINDOW = 1 << 16, CHR_WINDOW_WORDS = CHR_WINDOW / 64, CHR_FAR_MAX = 1 << 17, CHR_FAR_FIRST = 512 };

typedef struct {
    int64_t key, qty;
} chr_rung;

typedef struct {
    int64_t base;       /* key of slot 0 */
    uint64_t inverse;   /* odd part of tick, inverted modulo 2^64 */
    uint32_t shift;     /* tick = odd << shift */
    uint32_t slots;     /* of the window in use; 0 = no window yet */
    int64_t top;        /* highest slot set, or -1 */
    uint64_t tick;
    int64_t *qty;       /* CHR_WINDOW */
    uint64_t *words;    /* CHR_WINDOW_WORDS */
    uint64_t summary[CHR_WINDOW_WORDS / 64];
    chr_rung *far;
    uint32_t far_count, far_room;
    uint32_t far_hits;  /* updates that landed in far since the window was last considered */
    int64_t flip;       /* 0 for bids, -1 for asks: key = price ^ flip */
} chr_ladder;

static inline int chr_ladder_init(chr_ladder *l, int64_t flip) {
    memset(l, 0, sizeof *l);
    l->flip = flip;
    l->top = -1;
    l->qty = (int64_t *)calloc(CHR_WINDOW, sizeof *l->qty);
    l->words = (uint64_t *)calloc(CHR_WINDOW_WORDS, sizeof *l->words);
    l->far = (chr_rung *)malloc(CHR_FAR_FIRST * sizeof *l->far);
    l->far_room = CHR_FAR_FIRST;
    return l->qty && l->words && l->far ? 0 : -1;
}

static inline void chr_ladder_free(chr_ladder *l) {
    free(l->qty);
    free(l->words);
    free(l->far);
    memset(l, 0, sizeof *l);
    l->top = -1;
}

/* Touches every page of the window now, so that no update pays for a first touch later (1 to 2 us each in a VM). */
static inline void chr_ladder_prefault(chr_ladder *l) {
    volatile int64_t *qty = l->qty;
    volatile uint64_t *words = l->words;
    for (uint32_t i = 0; i < CHR_WINDOW; i += 4096 / sizeof *l->qty) qty[i] = qty[i];
    for (uint32_t i = 0; i < CHR_WINDOW_WORDS; i += 4096 / sizeof *l->words) words[i] = words[i];
}

static inline void chr_ladder_clear(chr_ladder *l) {
    memset(l->words, 0, CHR_WINDOW_WORDS * sizeof *l->words);
    memset(l->summary, 0, sizeof l->summary);
    l->top = -1;
    l->far_count = 0;
    l->far_hits = 0;
}

/* ------------------------------------------------------------------ window */

static inline uint64_t chr_ladder_slot(const chr_ladder *l, int64_t key) {
    uint64_t q = ((uint64_t)key - (uint64_t)l->base) * l->inverse;
    return q >> l->shift | q << (-l->shift & 63);
}

static inline int64_t chr_ladder_key(const chr_ladder *l, uint64_t slot) {
    return (int64_t)((uint64_t)l->base + slot * l->tick);
}

/* Highest slot set below `slot`, or -1. */
static inline int64_t chr_ladder_below(const chr_ladder *l, uint64_t slot) {
    uint64_t w = slot >> 6;
    uint64_t bits = l->words[w] & (((uint64_t)1 << (slot & 63)) - 1);
    if (bits) return (int64_t)(w * 64 + 63 - (unsigned)__builtin_clzll(bits));
    uint64_t s = w >> 6;
    uint64_t full = l->summary[s] & (((uint64_t)1 << (w & 63)) - 1);
    while (!full) {
        if (!s) return -1;
        full = l->summary[--s];
    }
    w = s * 64 + 63 - (unsigned)__builtin_clzll(full);
    return (int64_t)(w * 64 + 63 - (unsigned)__builtin_clzll(l->words[w]));
}

/* Without a branch on qty: whether a level goes or stays is as good as random in real streams. */
static inline void chr_ladder_put(chr_ladder *l, uint64_t slot, int64_t qty) {
    uint64_t w = slot >> 6, set = qty != 0;
    uint64_t word = (l->words[w] & ~((uint64_t)1 << (slot & 63))) | set << (slot & 63);
    l->words[w] = word;
    l->qty[slot] = qty;
    l->summary[w >> 6] = (l->summary[w >> 6] & ~((uint64_t)1 << (w & 63))) | (uint64_t)(word != 0) << (w & 63);
    if ((int64_t)slot >= l->top) l->top = qty ? (int64_t)slot : chr_ladder_below(l, slot);
}

static inline int64_t chr_ladder_held(const chr_ladder *l, uint64_t slot) {
    return l->words[slot >> 6] >> (slot & 63) & 1 ? l->qty[slot] : 0;
}

/* ------------------------------------------------------------------ far */

/* Index of the first far level with a key >= `key`. */
static inline uint32_t chr_far_find(const chr_ladder *l, int64_t key) {
    uint32_t low = 0, count = l->far_count;
    while (count) {
        uint32_t half = count / 2;
        int less = l->far[low + half].key < key;
        low = less ? low + half + 1 : low;
        count = less ? count - half - 1 : half;
    }
    return low;
}

static inline int chr_far_reserve(chr_ladder *l, uint32_t count) {
    uint32_t room = l->far_room;
    if (count <= room) return 0;
    while (room < count) room *= 2;
    chr_rung *far = (chr_rung *)realloc(l->far, room * sizeof *far);
    if (!far) return -1;
    l->far = far;
    l->far_room = room;
    return 0;
}

static inline int chr_far_set(chr_ladder *l, int64_t key, int64_t qty) {
    uint32_t i = chr_far_find(l, key);
    int found = i < l->far_count && l->far[i].key == key;
    if (found && qty) {
        l->far[i].qty = qty;
    } else if (found) {
        l->far_count--;
        memmove(l->far + i, l->far + i + 1, (l->far_count - i) * sizeof *l->far);
    } else if (qty) {
        if (l->far_count >= CHR_FAR_MAX || chr_far_reserve(l, l->far_count + 1)) return -1;
        memmove(l->far + i + 1, l->far + i, (l->far_count - i) * sizeof *l->far);
        l->far[i] = (chr_rung){key, qty};
        l->far_count++;
    }
    return 0;
}

/* ------------------------------------------------------------------ reading, best first */

typedef struct {
    const chr_ladder *ladder;
    int64_t slot;
    uint32_t far;
} chr_ladder_walk;

static inline chr_ladder_walk chr_ladder_start(const chr_ladder *l) {
    return (chr_ladder_walk){l, l->top, l->far_count};
}

/* The next level, best first; 0 at the end. */
static inline int chr_ladder_next(chr_ladder_walk *walk, chr_rung *out) {
    const chr_ladder *l = walk->ladder;
    int64_t key = walk->slot >= 0 ? chr_ladder_key(l, (uint64_t)walk->slot) : INT64_MIN;
    if (walk->far && (walk->slot < 0 || l->far[walk->far - 1].key > key)) {
        *out = l->far[--walk->far];
        return 1;
    }
    if (walk->slot < 0) return 0;
    *out = (chr_rung){key, l->qty[walk->slot]};
    walk->slot = chr_ladder_below(l, (uint64_t)walk->slot);
    return 1;
}

static inline int chr_ladder_best(const chr_ladder *l, chr_rung *out) {
    chr_ladder_walk walk = chr_ladder_start(l);
    return chr_ladder_next(&walk, out);
}

static inline int64_t chr_ladder_get(const chr_ladder *l, int64_t key) {
    uint64_t slot = chr_ladder_slot(l, key);
    if (slot < l->slots) return chr_ladder_held(l, slot);
    uint32_t i = chr_far_find(l, key);
    return i < l->far_count && l->far[i].key == key ? l->far[i].qty : 0;
}

static inline uint32_t chr_ladder_count(const chr_ladder *l) {
    uint32_t count = l->far_count;
    for (int w = 0; w < CHR_WINDOW_WORDS; w++) count += (uint32_t)__builtin_popcountll(l->words[w]);
    return count;
}

/* ------------------------------------------------------------------ where the window stands */

/* Puts slot CHR_WINDOW / 2 on `key`, less where int64 ends below or above. The window must be empty. */
static inline void chr_ladder_aim(chr_ladder *l, int64_t key, uint64_t tick) {
    uint64_t odd = tick >> __builtin_ctzll(tick), inverse = odd; /* right for 3 bits, each step doubles them */
    for (int i = 0; i < 5; i++) inverse *= 2 - odd * inverse;
    uint64_t below = ((uint64_t)key - (uint64_t)INT64_MIN) / tick;
    if (below > CHR_WINDOW / 2) below = CHR_WINDOW / 2;
    int64_t base = (int64_t)((uint64_t)key - below * tick);
    uint64_t last = ((uint64_t)INT64_MAX - (uint64_t)base) / tick;
    l->tick = tick;
    l->shift = (uint32_t)__builtin_ctzll(tick);
    l->inverse = inverse;
    l->slots = last < CHR_WINDOW ? (uint32_t)last + 1 : CHR_WINDOW;
    l->base = base;
}

/* Moves every level of the window to far. -1 when there is no memory; nothing has changed then. */
static inline int chr_ladder_spill(chr_ladder *l) {
    uint32_t total = chr_ladder_count(l), at = total, far = l->far_count;
    if (chr_far_reserve(l, total)) return -1;
    for (int64_t slot = l->top; slot >= 0; slot = chr_ladder_below(l, (uint64_t)slot)) {
        int64_t key = chr_ladder_key(l, (uint64_t)slot);
        while (far && l->far[far - 1].key > key) l->far[--at] = l->far[--far];
        l->far[--at] = (chr_rung){key, l->qty[slot]};
    }
    memset(l->words, 0, CHR_WINDOW_WORDS * sizeof *l->words);
    memset(l->summary, 0, sizeof l->summary);
    l->top = -1;
    l->far_count = total;
    return 0;
}

/* Moves what falls on the window from far into it. */
static inline void chr_ladder_pull(chr_ladder *l) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < l->far_count; i++) {
        uint64_t slot = chr_ladder_slot(l, l->far[i].key);
        if (slot < l->slots)
            chr_ladder_put(l, slot, l->far[i].qty);
        else
            l->far[kept++] = l->far[i];
    }
    l->far_count = kept;
}

static inline uint64_t chr_gcd(uint64_t a, uint64_t b) {
    while (b) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* The grid of the best levels: gcd of their distances to the best. 0 when there are fewer than two. */
static inline uint64_t chr_ladder_infer_tick(const chr_ladder *l) {
    chr_ladder_walk walk = chr_ladder_start(l);
    chr_rung best, rung;
    uint64_t tick = 0;
    if (!chr_ladder_next(&walk, &best)) return 0;
    for (int i = 0; i < 256 && chr_ladder_next(&walk, &rung); i++)
        tick = chr_gcd((uint64_t)best.key - (uint64_t)rung.key, tick);
    return tick;
}

/* Centres the window on the best level. */
static inline int chr_ladder_recentre(chr_ladder *l, uint64_t tick) {
    chr_rung best;
    if (!chr_ladder_best(l, &best)) return 0;
    if (chr_ladder_spill(l)) return -1;
    chr_ladder_aim(l, best.key, tick);
    chr_ladder_pull(l);
    return 0;
}

/* Is the window where the levels are? Asked once per so many far updates that moving it costs less than they did. */
static inline int chr_ladder_reconsider(chr_ladder *l, uint64_t fixed_tick) {
    chr_rung best;
    l->far_hits = 0;
    if (!chr_ladder_best(l, &best)) return 0;
    uint64_t tick = fixed_tick ? fixed_tick : chr_ladder_infer_tick(l);
    if (!tick) tick = l->slots ? l->tick : 1;
    uint64_t slot = chr_ladder_slot(l, best.key);
    int central = slot < l->slots && slot >= l->slots / 4 && slot < l->slots / 4 * 3;
    if (central && tick == l->tick) return 0;
    return chr_ladder_recentre(l, tick);
}

/* Sets the quantity of one level, 0 removes it. -1 when far is full: the ladder is as it was. */
static inline int chr_ladder_set(chr_ladder *l, int64_t key, int64_t qty, uint64_t fixed_tick) {
    uint64_t slot = chr_ladder_slot(l, key);
    if (__builtin_expect(slot < l->slots, 1)) {
        chr_ladder_put(l, slot, qty);
        return 0;
    }
    if (chr_far_set(l, key, qty)) return -1;
    if (++l->far_hits < 1024 + l->far_count / 4) return 0;
    return chr_ladder_reconsider(l, fixed_tick);
}

#endif
