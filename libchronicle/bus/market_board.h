/* The market board: what each instrument's market was a moment ago, for whoever wants to look without following a queue.
 *
 *   0      header   magic "CHRBOARD", u32 version, u32 cells, u32 used (release store), u32 pid of the writer
 *   64     cells    256 bytes each; a cell is one instrument's for as long as the file exists
 *
 *   cell   0    latch        how often it was written; 0 = never
 *          8    instrument id
 *          16   i32 exponent of prices, i32 of quantities
 *          24   venue:SYMBOL, UTF-8, zeros behind
 *          128  market 0     of even latches
 *          192  market 1     of odd ones
 *
 * One writer, any number of readers, no locks. The writer fills the market that the latch does not name, then moves the latch: one killed in between has
 * changed nothing that anybody looks at. A reader loads the latch, copies the market it names, and loads the latch again: the same, and the copy is of one
 * piece; another, and it begins anew. The writer's fence keeps what it stores next behind the latch that says so; the reader's keeps its copy before the
 * second look. All of a market are relaxed atomic words, so that no compiler tears or invents one.
 */
#ifndef CHR_MARKET_BOARD_H
#define CHR_MARKET_BOARD_H

#include <stddef.h>

#include "chr_atomic.h"

#define CHR_BOARD_MAGIC 0x4452414F42524843ull /* "CHRBOARD" */
#define CHR_BOARD_VERSION 1u
#define CHR_BOARD_TRIES 100000 /* a few milliseconds of a writer that makes no pause: a copy takes about as long as a put, where the two cores are far apart */

enum { CHR_BOARD_VALID = 1, CHR_BOARD_WORDS = 7 };

typedef struct {
    int64_t recv_ts;    /* of the last record applied, ns since the Unix epoch */
    uint64_t update_id; /* the venue's, of that record */
    int64_t bid_price, bid_qty, ask_price, ask_qty; /* mantissas; quantity 0 = nobody there */
    uint64_t flags;
} chr_board_market;

typedef struct {
    uint64_t latch, instrument_id;
    int32_t price_exponent, qty_exponent;
    char name[104];
    uint64_t markets[2][8];
} chr_board_cell;

typedef struct {
    uint64_t magic;
    uint32_t version, cells, used, pid;
    uint8_t pad[40];
} chr_board_header;

_Static_assert(sizeof(chr_board_cell) == 256 && offsetof(chr_board_cell, markets) == 128, "cell");
_Static_assert(sizeof(chr_board_header) == 64 && sizeof(chr_board_market) == 8 * CHR_BOARD_WORDS, "header, market");

static inline void chr_board_put(chr_board_cell *cell, const chr_board_market *market)
{
    const uint64_t *from = (const uint64_t *)market;
    uint64_t latch = chr_load_relaxed64(&cell->latch) + 1;
    uint64_t *to = cell->markets[latch & 1];
    __atomic_thread_fence(__ATOMIC_RELEASE);
    for (int i = 0; i < CHR_BOARD_WORDS; i++)
        chr_store_relaxed64(to + i, from[i]);
    chr_store_release64(&cell->latch, latch);
}

/* The latch of what was copied; 0: nothing is there yet, or it never stood still. */
static inline uint64_t chr_board_get(const chr_board_cell *cell, chr_board_market *market)
{
    uint64_t *to = (uint64_t *)market;
    for (int tries = 0; tries < CHR_BOARD_TRIES; tries++) {
        uint64_t latch = chr_load_acquire64(&cell->latch);
        if (latch == 0)
            return 0;
        const uint64_t *from = cell->markets[latch & 1];
        for (int i = 0; i < CHR_BOARD_WORDS; i++)
            to[i] = chr_load_relaxed64(from + i);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (chr_load_relaxed64(&cell->latch) == latch)
            return latch;
        chr_pause();
    }
    return 0;
}

#endif
