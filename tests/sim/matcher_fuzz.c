/* Random requests, trades and books, absurd numbers among them, into the matcher; built with sanitizers by test_matcher_native.py.
   After each step its structures must say what matcher.h and sim_store.h promise.

   Usage: matcher_fuzz SEED STEPS. Prints orders, fills and rejects; ends non-zero where a promise is broken. */

#include <stdio.h>

#include "matcher.h"

#define HOLDS(condition)                                                                                  \
    do {                                                                                                  \
        if (!(condition)) {                                                                               \
            fprintf(stderr, "step %ld, line %d: %s\n", step, __LINE__, #condition);                       \
            exit(1);                                                                                      \
        }                                                                                                 \
    } while (0)

enum { SLOTS = 3, OWNERS = 3, KEYS = 400 };

static uint64_t state;
static long step, orders, fills, rejects;
static int64_t cum[KEYS + 1], held[SLOTS][OWNERS];
static uint8_t ended[KEYS + 1];

static uint64_t draw(uint64_t below) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % below;
}

static int64_t odd(int64_t usual) {
    static const int64_t strange[] = {0, -1, INT64_MAX, INT64_MIN, INT64_MAX - 1, INT64_MIN + 1, (int64_t)1 << 62};
    return draw(40) ? usual : strange[draw(7)];
}

static int64_t some_price(void) { return odd(100 + (int64_t)draw(20)); }
static int64_t some_qty(void) { return odd(1 + (int64_t)draw(50)); }

static void change_book(chr_l2 *b) {
    uint8_t payload[4096];
    uint16_t type = draw(8) ? CHR_BOOK_DELTA : CHR_BOOK_SNAPSHOT;
    memset(payload, 0, sizeof payload);
    uint8_t *at = (uint8_t *)chr_put_block(payload, type) + chr_block_length(type);
    for (int side = 0; side < 2; side++) {
        uint16_t count = (uint16_t)draw(10);
        chr_level_t *level = chr_put_levels(at, count);
        for (int i = 0; i < count; i++)
            level[i] = (chr_level_t){(side ? 108 : 103) + (int64_t)draw(9) - 4, draw(3) ? (int64_t)draw(60) : 0};
        if (count && !draw(60)) level[0] = (chr_level_t){some_price(), INT64_MAX};
        at = (uint8_t *)(level + count);
    }
    chr_l2_apply(b, type, payload, (uint32_t)(at - payload));
    if (!draw(100)) b->valid = 0;
}

static void take_events(chr_sim *m) {
    for (uint32_t i = 0; i < m->count; i++) {
        const chr_sim_event *e = &m->events[i];
        HOLDS(e->kind >= CHR_EXEC_TYPE_ACK && e->kind <= CHR_EXEC_TYPE_REPLACE_REJECT);
        if (e->kind == CHR_EXEC_TYPE_CANCEL_REJECT || e->kind == CHR_EXEC_TYPE_REPLACE_REJECT) continue;
        HOLDS(e->order && m->orders[e->order].key == e->key);
        if (e->kind == CHR_EXEC_TYPE_REJECT) {
            rejects++;
            continue;
        }
        HOLDS(e->key && e->key <= KEYS);
        if (e->kind == CHR_EXEC_TYPE_ACK) {
            orders++;
            cum[e->key] = 0;
            ended[e->key] = 0;
        }
        HOLDS(!ended[e->key]);
        if (e->last_qty) {
            const chr_sim_order *o = &m->orders[e->order];
            fills++;
            HOLDS(e->last_qty > 0 && e->rule != CHR_SIM_RULE_NONE);
            cum[e->key] += e->last_qty;
            held[e->slot][e->owner] += o->side == CHR_SIDE_BUY ? e->last_qty : -e->last_qty;
            if (o->type == CHR_ORDER_TYPE_LIMIT && o->side == CHR_SIDE_BUY) HOLDS(e->last_price <= e->price);
            if (o->type == CHR_ORDER_TYPE_LIMIT && o->side == CHR_SIDE_SELL) HOLDS(e->last_price >= e->price);
        }
        HOLDS(e->cum == cum[e->key] && e->cum <= e->qty);
        ended[e->key] = e->kind == CHR_EXEC_TYPE_FILL || e->kind == CHR_EXEC_TYPE_CANCELLED || e->kind == CHR_EXEC_TYPE_EXPIRED;
        HOLDS(e->leaves == (ended[e->key] ? 0 : e->qty - e->cum));
    }
    m->count = 0;
}

static uint32_t check_line(const chr_sim *m, const chr_sim_line *line, uint32_t slot, uint8_t flag) {
    for (uint32_t i = 0; i < line->count; i++) {
        const chr_sim_order *o = &m->orders[line->at[i].order];
        HOLDS(!i || line->at[i - 1].key <= line->at[i].key);
        HOLDS(o->slot == slot && o->flags & flag && !(o->flags & CHR_SIM_ENDED) && o->cum < o->qty && o->ahead >= -1);
        HOLDS(line->at[i].key == (flag == CHR_SIM_RESTING ? chr_sim_key(o) : chr_sim_stop_key(o)));
    }
    return line->count;
}

static void check(const chr_sim *m) {
    uint32_t chained = 0, lined = 0;
    for (uint32_t at = m->first; at; at = m->orders[at].next, chained++) {
        HOLDS(chr_sim_find(m, m->orders[at].key) == at);
        HOLDS(m->orders[at].prev ? m->orders[m->orders[at].prev].next == at : m->first == at);
    }
    HOLDS(chained == m->open && m->keys.used == m->open);
    for (uint32_t slot = 0; slot < m->slots_count; slot++) {
        const chr_sim_slot *s = &m->slots[slot];
        for (int d = 0; d < 2; d++) {
            lined += check_line(m, &s->resting[d], slot, CHR_SIM_RESTING) + check_line(m, &s->stops[d], slot, CHR_SIM_WAITING);
            HOLDS(s->reach[d] >= chr_sim_line_best(&s->resting[d]) && s->reach[d] >= chr_sim_line_best(&s->stops[d]));
            for (uint32_t i = 0; i < s->taken[d].count; i++) {
                HOLDS(!i || s->taken[d].at[i - 1].key < s->taken[d].at[i].key);
                HOLDS(s->taken[d].at[i].qty >= 0);
            }
        }
        for (uint32_t owner = 0; owner < OWNERS; owner++) HOLDS(chr_sim_position(m, slot, owner) == held[slot][owner]);
    }
    HOLDS(lined == m->open);
}

static void request(chr_sim *m) {
    uint64_t key = 1 + draw(KEYS);
    uint32_t owner = (uint32_t)draw(OWNERS);
    chr_new_order_t o = {
        .price = some_price(), .qty = some_qty(), .stop_price = some_price(), .expire_ns = odd(step + (int64_t)draw(300)),
        .side = (uint8_t)(draw(30) ? 1 + draw(2) : draw(4)), .order_type = (uint8_t)(draw(30) ? 1 + draw(4) : draw(256)),
        .time_in_force = (uint8_t)(draw(30) ? 1 + draw(4) : draw(256)), .stp_mode = (uint8_t)(draw(30) ? draw(4) : draw(256)),
        .flags = (uint16_t)(draw(3) ? 0 : draw(4)),
    };
    switch (draw(10)) {
    case 0: chr_sim_cancel(m, key, owner, 1, step); break;
    case 1: chr_sim_replace(m, key, owner, some_price(), some_qty(), 1, step); break;
    case 2:
        if (!draw(20)) chr_sim_cancel_all(m, draw(2) ? owner : UINT32_MAX, (int32_t)draw(SLOTS) - 1, 1, 0, step);
        break;
    default: chr_sim_new(m, (uint32_t)draw(SLOTS), owner, &o, key, 1, step);
    }
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    state = strtoull(argv[1], 0, 10) * 0x9E3779B97F4A7C15ull + 1;
    long steps = strtol(argv[2], 0, 10);
    chr_sim m;
    chr_l2 book[SLOTS];
    if (chr_sim_init(&m, state)) return 2;
    for (uint32_t i = 0; i < SLOTS; i++) {
        chr_sim_terms terms = {.unit = 10, .power = 1.5, .tick = 1, .slip_ticks = 3};
        static const uint8_t models[SLOTS] = {CHR_SIM_QUEUE_TRADES, CHR_SIM_QUEUE_POWER, CHR_SIM_QUEUE_LOG_2};
        terms.queue = models[i];
        terms.trigger = i == 1;
        if (i == 2) terms.miss_ppm = terms.through_ppm = terms.slip_ppm = 300000;
        if (chr_l2_init(&book[i], i + 1) || chr_sim_instrument(&m, i + 1, &book[i], NULL, &terms) != (int)i) return 2;
        book[i].valid = 1;
    }
    for (step = 1; step <= steps; step++) {
        uint32_t slot = (uint32_t)draw(SLOTS);
        switch (draw(8)) {
        case 0: chr_sim_trade(&m, slot, some_price(), some_qty(), (uint8_t)draw(3), (uint64_t)step, step); break;
        case 1:
        case 2:
            change_book(&book[slot]);
            chr_sim_book(&m, slot, (uint64_t)step, step);
            break;
        case 3: chr_sim_expire(&m, step); break;
        case 4:
            if (!draw(50)) chr_sim_reset(&m, slot);
            break;
        default: request(&m);
        }
        if (draw(4)) { /* now and then the caller is slow to take its events */
            take_events(&m);
            check(&m);
        }
    }
    take_events(&m);
    check(&m);
    printf("%ld %ld %ld\n", orders, fills, rejects);
    for (int i = 0; i < SLOTS; i++) chr_l2_free(&book[i]);
    chr_sim_free(&m);
    return 0;
}
