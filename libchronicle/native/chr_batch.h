/* Many records per call: header-only, like chr_hot.h.
 *
 *     chr_batch b = {.data = p, .item = 64, .count = n, .type_id = 7, .ts_ns = -1};
 *     chr_append_batch(w, &b)        0 all appended, < 0: w->error; b.done records were, and stay
 *
 *     chr_columns c = {... rooms ...};
 *     chr_drain_columns(r, &c)       1 a room is used up, 0 nothing more, < 0: r->error; the rows before it stay
 *
 * What a batch saves is what a record does not need for itself: the clock (one reading for a run of up to CHR_BATCH_RUN records), the head in the
 * control page, the full fence and the look at the futex word. Every frame is committed in its own right, in order, so a reader that polls sees each at
 * once, and a crash in the middle leaves whole records only; one that sleeps is woken at the end of a run.
 */
#ifndef CHR_BATCH_H
#define CHR_BATCH_H

#include <stdbool.h>

#include "chr_hot.h"

#define CHR_BATCH_RUN 256u     /* records: some 5 us of the writer's time */
#define CHR_COLUMN_SLACK 32u   /* bytes beyond bytes_room that may be written */

typedef struct {
    const uint8_t *data;
    const int64_t *offsets;     /* count + 1 of them, never decreasing; NULL: each record has `item` bytes */
    const int64_t *times;       /* of each record; NULL: ts_ns for all */
    uint64_t count, done;
    int64_t ts_ns;              /* < 0: the writer's clock */
    uint32_t item;
    uint16_t type_id;
} chr_batch;

typedef struct {
    uint64_t *seqs;
    int64_t *ts_ns;
    uint32_t *epochs;
    uint16_t *type_ids;
    int64_t *offsets;           /* rows + 1: row i is payload[offsets[i] .. offsets[i + 1]] */
    uint8_t *payload;
    uint64_t rows, rows_room, bytes, bytes_room;
    chr_frame held;             /* read, but its payload found no room: stored first by the next call */
    int32_t is_held;
} chr_columns;

/* Copies whole 32 bytes: a frame's payload is padded to that, and so must the room be. */
static inline void chr_copy_padded(uint8_t *to, const uint8_t *from, uint64_t size)
{
    if (size > 512) {
        memcpy(to, from, size);
        return;
    }
    for (uint64_t at = 0; at < size; at += 32)
        memcpy(to + at, from + at, 32);
}

/* One frame after an append of the same run: 1 completed, 0 this one needs chr_append (the end of a step, an earlier time). */
static inline int chr_append_after(chr_writer *w, uint16_t type_id, const void *payload, uint32_t size, int64_t ts_ns)
{
    if (CHR_UNLIKELY(w->offset + chr_frame_bytes(size) > w->end || ts_ns < w->last_ts))
        return 0;
    chr_complete(w, type_id, payload, size, ts_ns, 0);
    return 1;
}

static inline const uint8_t *chr_batch_item(const chr_batch *b, uint64_t i, uint32_t *size)
{
    if (b->offsets == NULL) {
        *size = b->item;
        return b->data + i * b->item;
    }
    *size = (uint32_t)(b->offsets[i + 1] - b->offsets[i]);
    return b->data + b->offsets[i];
}

static inline int chr_append_batch(chr_writer *w, chr_batch *b)
{
    while (b->done < b->count) {
        uint32_t size;
        const uint8_t *from = chr_batch_item(b, b->done, &size);
        if (chr_append(w, b->type_id, from, size, b->times ? b->times[b->done] : b->ts_ns) < 0)
            return -1;
        b->done++;
        int64_t ts_ns = w->last_ts;
        uint64_t upto = b->count - b->done < CHR_BATCH_RUN ? b->count : b->done + CHR_BATCH_RUN, began = b->done;
        for (; b->done < upto; b->done++) {
            from = chr_batch_item(b, b->done, &size);
            if (b->times)
                ts_ns = b->times[b->done];
            if (!chr_append_after(w, b->type_id, from, size, ts_ns))
                break;
        }
        if (b->done > began && chr_tell(w) < 0) {
            b->done = began;
            return -1;
        }
    }
    return 0;
}

/* False: no room for its payload. */
static inline bool chr_column_put(chr_columns *c, const chr_frame *f)
{
    if (CHR_UNLIKELY(f->size > c->bytes_room - c->bytes))
        return false;
    c->seqs[c->rows] = f->seq;
    c->ts_ns[c->rows] = f->ts_ns;
    c->epochs[c->rows] = f->epoch;
    c->type_ids[c->rows] = f->type_id;
    chr_copy_padded(c->payload + c->bytes, f->payload, f->size);
    c->bytes += f->size;
    c->offsets[++c->rows] = (int64_t)c->bytes;
    return true;
}

static inline int chr_drain_columns(chr_reader *r, chr_columns *c)
{
    if (c->is_held) {
        if (!chr_column_put(c, &c->held))
            return 1;
        c->is_held = 0;
    }
    while (c->rows < c->rows_room) {
        chr_frame f;
        int rc = chr_next(r, &f);
        if (rc <= 0)
            return rc;
        if (!chr_column_put(c, &f)) {
            c->held = f;
            c->is_held = 1;
            return 1;
        }
    }
    return 1;
}

#endif
