/* Random records, many of them damaged, into a book beside a naive one; built with sanitizers by test_l2_native.py.

   Usage: l2_fuzz SEED RECORDS. Prints the number of records applied and refused; ends non-zero at the first difference. */

#include <stdio.h>

#include "l2.h"

enum { MOST = 1 << 15, LEVELS = 40 };

typedef struct {
    chr_level_t level[MOST];
    int count;
} naive_side;

static uint64_t state;

static uint64_t draw(uint64_t below) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % below;
}

static void naive_set(naive_side *s, int64_t price, int64_t qty) {
    int i = 0;
    while (i < s->count && s->level[i].price != price) i++;
    if (i < s->count && qty)
        s->level[i].qty = qty;
    else if (i < s->count)
        s->level[i] = s->level[--s->count];
    else if (qty)
        s->level[s->count++] = (chr_level_t){price, qty};
}

static int64_t random_price(int64_t centre, int64_t tick) {
    switch (draw(12)) {
    case 0: return (int64_t)(state * 0x9E3779B97F4A7C15ull);
    case 1: return centre + (int64_t)draw(200000) * tick;
    case 2: return INT64_MAX - (int64_t)draw(3);
    case 3: return INT64_MIN + (int64_t)draw(3);
    case 4: return centre + (int64_t)draw(1000);
    default: return centre + ((int64_t)draw(2000) - 1000) * tick;
    }
}

static uint32_t random_record(uint8_t *payload, uint16_t type, int64_t centre, int64_t tick) {
    uint8_t *at = (uint8_t *)chr_put_block(payload, type) + chr_block_length(type);
    for (int side = 0; side < 2; side++) {
        uint16_t count = (uint16_t)draw(LEVELS);
        chr_level_t *level = chr_put_levels(at, count);
        for (int i = 0; i < count; i++) level[i] = (chr_level_t){random_price(centre, tick), (int64_t)draw(4)};
        at = (uint8_t *)(level + count);
    }
    return (uint32_t)(at - payload);
}

static void naive_apply(naive_side *sides, const uint8_t *payload, uint32_t size, int snapshot) {
    chr_levels levels[2];
    if (chr_book_levels(payload, size, &levels[0], &levels[1])) abort();
    for (int s = 0; s < 2; s++) {
        if (snapshot) sides[s].count = 0;
        for (uint32_t i = 0; i < levels[s].count; i++)
            naive_set(&sides[s], chr_level_at(&levels[s], i)->price, chr_level_at(&levels[s], i)->qty);
    }
}

static uint64_t naive_hash(const naive_side *sides) {
    uint64_t sum = 0;
    for (uint64_t s = 0; s < 2; s++)
        for (int i = 0; i < sides[s].count; i++)
            sum += chr_mix64(chr_mix64((uint64_t)sides[s].level[i].price + s + 1) + (uint64_t)sides[s].level[i].qty);
    return sum;
}

/* A copy of exactly `size` bytes on the heap, so that the sanitizer sees a read past the end. */
static int apply_exact(chr_l2 *book, uint16_t type, const uint8_t *payload, uint32_t size) {
    uint8_t *copy = (uint8_t *)malloc(size ? size : 1);
    memcpy(copy, payload, size);
    int result = chr_l2_apply(book, type, copy, size);
    free(copy);
    return result;
}

int main(int argc, char **argv) {
    static naive_side sides[2];
    static uint8_t payload[4096];
    if (argc != 3) return 2;
    state = strtoull(argv[1], NULL, 10) * 2 + 1;
    long records = atol(argv[2]), applied = 0, refused = 0;
    int64_t tick = (int64_t[]){1, 7, 1000000}[draw(3)], centre = 1000000 * tick;
    chr_l2 book, scratch;
    if (chr_l2_init(&book, 0) || chr_l2_init(&scratch, 0)) return 2;
    for (long n = 0; n < records; n++) {
        int snapshot = n == 0 || draw(200) == 0 || sides[0].count > MOST / 2 || sides[1].count > MOST / 2;
        uint16_t type = snapshot ? CHR_BOOK_SNAPSHOT : CHR_BOOK_DELTA;
        if (draw(50) == 0) centre += ((int64_t)draw(200000) - 100000) * tick;
        uint32_t size = random_record(payload, type, centre, tick);
        if (chr_l2_apply(&book, type, payload, size) != CHR_L2_APPLIED) return 3;
        naive_apply(sides, payload, size, snapshot);
        if (naive_hash(sides) != chr_l2_hash(&book)) return 4;
        if (chr_l2_levels(&book, 0) != (uint32_t)sides[0].count) return 5;
        /* the same record damaged, into a book nobody looks at: it may refuse, it may not read what is not there */
        for (int flips = (int)draw(4); flips--;) payload[draw(size)] = (uint8_t)draw(256);
        scratch.valid = 1;
        scratch.instrument_id = scratch.last_update_id = 0;
        uint16_t given = (uint16_t)(draw(4) ? type : draw(16));
        int result = apply_exact(&scratch, given, payload, draw(2) ? size : (uint32_t)draw(size + 1));
        applied += result == CHR_L2_APPLIED;
        refused += result < 0;
    }
    chr_l2_free(&book);
    chr_l2_free(&scratch);
    printf("%ld %ld\n", applied, refused);
    return 0;
}
