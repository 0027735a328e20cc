/* Random records, many of them damaged, into an order-level book; built with sanitizers by test_l3_native.py.

   Usage: l3_fuzz SEED RECORDS. After each record the sums of the queues must be the levels. Prints how many records were
   applied and refused; ends non-zero at the first difference. */

#include <stdio.h>

#include "l3.h"

static uint64_t state;

static uint64_t draw(uint64_t below) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % below;
}

static int64_t random_price(void) {
    switch (draw(10)) {
    case 0: return (int64_t)(state * 0x9E3779B97F4A7C15ull);
    case 1: return INT64_MAX - (int64_t)draw(3);
    case 2: return INT64_MIN + (int64_t)draw(3);
    default: return 100000 + (int64_t)draw(60);
    }
}

static uint32_t random_record(uint8_t *payload, uint16_t type) {
    void *block = chr_put_block(payload, type);
    uint32_t size = (uint32_t)(sizeof(chr_sbe_header_t) + chr_block_length(type));
    uint64_t id = 1 + draw(300);
    int64_t qty = draw(60) ? (int64_t)draw(9) : INT64_MAX - (int64_t)draw(2);
    uint8_t side = (uint8_t)(1 + draw(2));
    uint16_t flags = draw(8) ? 0 : (uint16_t)draw(16);
    switch (type) {
    case CHR_ORDER_ADD:
        *(chr_order_add_t *)block =
            (chr_order_add_t){.order_id = id, .qty = qty, .side = side, .price = random_price(), .flags = flags};
        break;
    case CHR_ORDER_MODIFY:
        *(chr_order_modify_t *)block = (chr_order_modify_t){
            .order_id = id, .new_order_id = draw(301), .qty = qty, .price = random_price(), .flags = flags};
        break;
    case CHR_ORDER_DELETE: *(chr_order_delete_t *)block = (chr_order_delete_t){.order_id = id, .qty = qty}; break;
    case CHR_ORDER_EXECUTE: *(chr_order_execute_t *)block = (chr_order_execute_t){.order_id = id, .qty = qty}; break;
    case CHR_BOOK_SNAPSHOT: /* without levels */
        size = (uint32_t)((uint8_t *)chr_put_levels(chr_put_levels((uint8_t *)block + chr_block_length(type), 0), 0) - payload);
        break;
    default: break;
    }
    return size;
}

static int check(const chr_l3 *b) {
    uint32_t orders = 0, priced[2] = {0, 0};
    for (uint32_t place = 1; place < b->store.levels_used; place++) {
        const chr_l3_level *l = &b->store.levels[place];
        int64_t sum = 0;
        uint32_t count = 0, before = 0;
        if (!l->count) continue;
        for (uint32_t at = l->head; at; before = at, at = b->store.orders[at].next) {
            const chr_l3_order *o = &b->store.orders[at];
            if (o->prev != before || o->level != place || o->qty <= 0 || chr_l3_find(&b->store, o->id) != at) return 10;
            sum += o->qty;
            count++;
        }
        if (sum != l->qty || count != l->count || l->tail != before) return 11;
        if (chr_l3_find_level(&b->store, l->side, l->no_price, l->key) != place) return 12;
        if (!l->no_price && chr_ladder_get(&b->l2.side[l->side], l->key) != sum) return 13;
        orders += count;
        priced[l->side] += !l->no_price;
    }
    if (orders != b->store.count) return 14;
    return priced[0] != chr_l2_levels(&b->l2, 0) || priced[1] != chr_l2_levels(&b->l2, 1) ? 15 : 0;
}

/* A copy of exactly `size` bytes on the heap, so that the sanitizer sees a read past the end. */
static int apply_exact(chr_l3 *book, uint16_t type, const uint8_t *payload, uint32_t size) {
    uint8_t *copy = (uint8_t *)malloc(size ? size : 1);
    memcpy(copy, payload, size);
    int result = chr_l3_apply(book, type, copy, size);
    free(copy);
    return result;
}

int main(int argc, char **argv) {
    static const uint16_t TYPES[] = {CHR_ORDER_ADD,     CHR_ORDER_ADD,     CHR_ORDER_ADD,     CHR_ORDER_ADD,
                                     CHR_ORDER_MODIFY,  CHR_ORDER_DELETE,  CHR_ORDER_EXECUTE, CHR_ORDER_EXECUTE,
                                     CHR_BOOK_SNAPSHOT, CHR_PHASE_CHANGE,  CHR_AUCTION_INFO,  CHR_BOOK_RESET};
    static uint8_t payload[4096] __attribute__((aligned(32)));
    if (argc != 3) return 2;
    state = strtoull(argv[1], NULL, 10) * 2 + 1;
    long records = atol(argv[2]), applied = 0, refused = 0;
    chr_l3 book;
    if (chr_l3_init(&book, 0)) return 2;
    for (long n = 0; n < records; n++) {
        uint16_t type = TYPES[draw(draw(500) ? 8 : 12)];
        uint32_t size = random_record(payload, type);
        if (!draw(10))
            for (int flips = (int)draw(4); flips--;) payload[draw(size)] = (uint8_t)draw(256);
        if (!draw(50)) size = (uint32_t)draw(size + 1);
        book.lenient = draw(4) != 0;
        int result = apply_exact(&book, type, payload, size);
        applied += result == CHR_L2_APPLIED;
        refused += result < 0;
        if (!book.l2.valid && !draw(3)) { /* from here on right again */
            size = random_record(payload, CHR_BOOK_SNAPSHOT);
            book.l2.instrument_id = 0;
            if (apply_exact(&book, CHR_BOOK_SNAPSHOT, payload, size) != CHR_L2_APPLIED) return 3;
        }
        int wrong = check(&book);
        if (wrong) return wrong;
    }
    chr_l3_free(&book);
    printf("%ld %ld\n", applied, refused);
    return 0;
}
