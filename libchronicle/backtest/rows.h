#ifndef CHR_ROWS_H
#define CHR_ROWS_H
/* What a run keeps: rows of one size, in chunks that never move, so memory grows by what is written and nothing is copied. And the layouts of
   the rows; result.py names the same fields for NumPy, in the same order. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { CHR_ROWS_CHUNK = 4096 }; /* rows */

typedef struct {
    uint8_t **chunks;
    uint64_t count, room; /* rows; chunks there is place for */
    uint32_t size;        /* of a row, bytes */
} chr_rows;

static inline void chr_rows_init(chr_rows *r, uint32_t size) {
    memset(r, 0, sizeof *r);
    r->size = size;
}

static inline void chr_rows_free(chr_rows *r) {
    for (uint64_t i = 0; i * CHR_ROWS_CHUNK < r->count; i++) free(r->chunks[i]);
    free(r->chunks);
    memset(r, 0, sizeof *r);
}

static inline void *chr_rows_at(const chr_rows *r, uint64_t i) {
    return r->chunks[i / CHR_ROWS_CHUNK] + i % CHR_ROWS_CHUNK * r->size;
}

/* One more, zeroed; NULL without memory. */
static inline void *chr_rows_add(chr_rows *r) {
    uint64_t chunk = r->count / CHR_ROWS_CHUNK;
    if (r->count % CHR_ROWS_CHUNK == 0) {
        if (chunk == r->room) {
            uint64_t room = r->room ? 2 * r->room : 8;
            uint8_t **chunks = (uint8_t **)realloc(r->chunks, room * sizeof *chunks);
            if (!chunks) return NULL;
            r->chunks = chunks;
            r->room = room;
        }
        r->chunks[chunk] = (uint8_t *)malloc((size_t)CHR_ROWS_CHUNK * r->size);
        if (!r->chunks[chunk]) return NULL;
    }
    return memset(chr_rows_at(r, r->count++), 0, r->size);
}

/* ------------------------------------------------------------------ layouts */

typedef struct {
    uint64_t id; /* as ctx.send gave it */
    int64_t sent_ns, arrived_ns, done_ns; /* done: 0 while open */
    int64_t price, stop_price, qty, cum_qty;
    int64_t cause_ts;
    uint64_t venue_order_id;
    uint32_t instrument; /* place in the result's instruments */
    uint8_t side, type, tif, post_only, reduce_only, state;
    uint16_t reject_code;
    uint64_t seq;                 /* from here on not shown */
    int64_t open_qty, open_price; /* what the account holds back for it */
} chr_order_row;

typedef struct {
    int64_t ts_ns;
    uint64_t order_id; /* 0: the venue's own, a liquidation */
    uint64_t trade_id, exec_id;
    int64_t price, qty, cum_qty, leaves_qty;
    int64_t fee;                /* money */
    int64_t position, realized; /* of the instrument, after it; money */
    int64_t ahead, level_price, level_qty; /* why it filled: `rule` */
    uint64_t cause_seq;         /* market record behind it */
    int64_t bid, ask;           /* touch of the book then; 0 none */
    uint32_t instrument;
    uint8_t side, liquidity, rule, reserved;
} chr_fill_row;

typedef struct {
    int64_t ts_ns;
    int64_t equity, cash, realized, fees, funding, exposure; /* money */
} chr_equity_row;

typedef struct { /* an instrument at a sample of the equity curve */
    int64_t ts_ns;
    int64_t bid, ask; /* 0 none */
    int64_t position;
    uint32_t instrument, reserved;
} chr_mark_row;

enum { CHR_ORDER_SHOWN = offsetof(chr_order_row, seq) };

#endif
