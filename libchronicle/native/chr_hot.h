/* The hot path: append and read, header-only. Any extension may include this file without linking to anything.
 *
 *     void *p = chr_reserve(w, type_id, size);       NULL: w->error says why
 *     ... fill p ...
 *     int64_t seq = chr_commit(w, size, -1);         < 0: w->error; ts_ns < 0 takes the writer's own clock
 *
 *     chr_frame f;
 *     int n = chr_next(r, &f);                       1 a frame, 0 nothing yet, < 0: r->error
 *
 * Handles come from libchronicle.native.binding (Publisher.w, Subscriber.r in binding.pxd); raise_writer() and raise_reader() of the same
 * module turn an error into the Python exception. A handle belongs to one thread at a time; the GIL is not needed.
 *
 * Rules
 *  - No system call, no lock, no allocation here. Everything that may need one is behind `ops`: the end of a 64 KiB step or a segment, a
 *    heartbeat that is due, a sleeping reader, every error.
 *  - The commit word is stored last, with release order; then last_ts, next_seq, head; then a full fence; then the futex word is looked at.
 *    A batch (chr_batch.h) does the part after the commit words once for many frames.
 *  - chr_frame.payload points into the mapping. It stays valid until the call of chr_next that crosses into the next segment returns; to
 *    keep it longer hold the reader's map (chr_map_hold / Subscriber.mapping).
 *  - A forked child finds end = 0 in a writer and a heartbeat due for ever in a reader, so both fall into `ops`, which reports Forked.
 *  - on_full = "block" is not done here: QueueFull comes back at once, and it is the caller's to sleep and try again.
 */
#ifndef CHR_HOT_H
#define CHR_HOT_H

#include <stdbool.h>

#include "chr_atomic.h"
#include "chr_clock.h"
#include "chr_crc.h"
#include "chr_layout.h"

#define CHR_WRITE_AHEAD 512u /* bytes ahead of the tail whose lines are asked for */

typedef struct {
    int32_t code;               /* chr_code of chr_core.h; 0 = none */
    int32_t sys;                /* errno, 0 = none */
    uint64_t a, b, c;           /* facts, by code */
    char path[512];
    char reason[96];
} chr_error;

typedef struct chr_map {
    uint8_t *base;
    uint64_t size;
    uint32_t number;            /* of the segment */
    uint32_t broken;            /* set by the SIGBUS handler: the file lost its bytes */
    int32_t refs;
    int32_t writable;
    int32_t slot;               /* in the SIGBUS handler's table */
    int32_t sealed;             /* sealing is done, nothing to do at release but unmap */
    int32_t lent;               /* memory of somebody else, who unmaps it */
    int fd;
    void *notes;                /* of hole.c: records made by this reader, about this segment */
    uint32_t worn;              /* steps of 64 KiB, about, that were read or populated: what its page tables hold */
} chr_map;

typedef struct {
    const uint8_t *payload;
    uint32_t size;
    uint16_t type_id;
    uint8_t flags, version;
    uint64_t seq;
    int64_t ts_ns;
    uint32_t epoch;
} chr_frame;

typedef struct chr_writer chr_writer;
typedef struct chr_reader chr_reader;

typedef struct {
    void *(*reserve)(chr_writer *w, uint16_t type_id, uint32_t size);
    int64_t (*refuse)(chr_writer *w, uint32_t size, int64_t ts_ns);
    void (*beat)(chr_writer *w, int64_t ts_ns);
    void (*wake)(chr_writer *w);
} chr_writer_ops;

typedef struct {
    int (*next)(chr_reader *r, chr_frame *out);
    int (*idle)(chr_reader *r); /* what an empty look does when it is due: heartbeat, liveness of the handle */
} chr_reader_ops;

struct chr_writer {
    uint8_t *base;
    uint64_t offset;            /* of the next frame */
    uint64_t end;               /* frames that end at or below it need no slow path */
    uint64_t seq;               /* of the next frame */
    int64_t last_ts, beat_ts;   /* a heartbeat is due when a timestamp reaches beat_ts */
    uint64_t position_base;     /* position of byte 0 of the segment */
    uint64_t reserved;          /* payload size + 1 of the open reservation, 0 = none */
    chr_control *control;
    chr_notify *notify;
    const uint32_t *broken;     /* of the live mapping */
    uint32_t epoch, crc_seed;
    uint64_t last_offset;       /* of the last frame committed in this segment, 0 = none */
    uint16_t reserved_type;
    chr_clock clock;
    const chr_writer_ops *ops;
    chr_error error;
    /* the cold part continues in chr_core.h */
};

struct chr_reader {
    const uint8_t *base;
    uint64_t offset;            /* of the next frame */
    uint64_t end;               /* frames that end at or below it need no slow path */
    uint64_t next_seq;
    uint64_t beat_cycles;       /* a heartbeat is due when the cycle counter reaches it: read at every call, so that a slow loop beats too */
    uint32_t crc_seed, epoch;   /* epoch of the last frame read */
    uint64_t back;              /* bytes from the last frame read to offset, 0 = none in this segment */
    chr_map *map;
    uint32_t look_always;       /* every look that finds nothing takes the slow path */
    const chr_reader_ops *ops;
    chr_error error;
};

/* ---------------------------------------------------------------- one frame */

/* State of a CRC to which a frame's 28 header bytes and payload are added. */
static inline uint32_t chr_crc_seed(uint64_t queue_id) { return chr_crc_u64(~0u, queue_id); }

/* The header's part of it. `kind` is type_id, flags and version as the four bytes they are. */
static inline uint32_t chr_header_crc(uint32_t seed, uint32_t commit, uint32_t kind, uint64_t seq, int64_t ts_ns, uint32_t epoch)
{
    uint32_t crc = chr_crc_u64(seed, (uint64_t)kind << 32 | commit);
    crc = chr_crc_u64(crc, seq);
    crc = chr_crc_u64(crc, (uint64_t)ts_ns);
    return chr_crc_u32(crc, epoch);
}

static inline uint32_t chr_frame_crc(uint32_t seed, uint32_t commit, const chr_frame_header *f, const void *payload, uint32_t size)
{
    uint32_t kind;
    memcpy(&kind, &f->type_id, sizeof kind);
    return ~chr_crc32c(chr_header_crc(seed, commit, kind, f->seq, f->ts_ns, f->epoch), payload, size);
}

typedef enum {
    CHR_FRAME_OK = 1,
    CHR_FRAME_NONE = 0,         /* not committed */
    CHR_FRAME_BAD_TAG = -1,
    CHR_FRAME_BAD_LENGTH = -2,
    CHR_FRAME_BAD_VERSION = -3,
    CHR_FRAME_BAD_CRC = -4
} chr_verdict;

/* The one look at a frame that every walk takes: live read, recovery, seek, verify. `limit` is the segment's size. */
static inline chr_verdict chr_examine(const uint8_t *base, uint64_t offset, uint64_t limit, uint32_t seed, uint64_t *next)
{
    const chr_frame_header *f = (const chr_frame_header *)(base + offset);
    uint32_t commit = chr_load_acquire32(&f->commit);
    if (commit == 0)
        return CHR_FRAME_NONE;
    if (CHR_UNLIKELY((commit & ~CHR_LENGTH_MASK) != CHR_COMMIT_TAG))
        return CHR_FRAME_BAD_TAG;
    uint32_t size = commit & CHR_LENGTH_MASK;
    *next = offset + chr_frame_bytes(size);
    if (CHR_UNLIKELY(*next > limit))
        return CHR_FRAME_BAD_LENGTH;
    if (CHR_UNLIKELY(f->version != CHR_FRAME_VERSION))
        return CHR_FRAME_BAD_VERSION;
    if (CHR_UNLIKELY(f->type_id == CHR_TYPE_PADDING))
        size = 0;
    if (CHR_UNLIKELY(chr_frame_crc(seed, commit, f, f + 1, size) != f->crc))
        return CHR_FRAME_BAD_CRC;
    return CHR_FRAME_OK;
}

/* ---------------------------------------------------------------- append */

static inline bool chr_has_room(const chr_writer *w, uint16_t type_id, uint32_t size)
{
    return CHR_LIKELY(w->offset + chr_frame_bytes(size) <= w->end && type_id < CHR_TYPE_RESERVED && !w->reserved);
}

static inline void *chr_reserve(chr_writer *w, uint16_t type_id, uint32_t size)
{
    if (CHR_UNLIKELY(!chr_has_room(w, type_id, size)))
        return w->ops->reserve(w, type_id, size);
    w->reserved_type = type_id;
    w->reserved = (uint64_t)size + 1;
    return w->base + w->offset + CHR_FRAME_HEADER;
}

/* Without the checks: the frame is complete when this returns, though the control page does not count it yet. Its payload comes from `from`, or
 * stands there already (NULL).
 *
 * Nothing is read back that was just stored: a load that spans two stores waits until both have reached the cache, which is a miss each time the
 * tail enters a new line. For the same reason lines ahead of the tail are asked for before they are written, or the fence of every append would
 * wait for one. */
static inline void chr_complete(chr_writer *w, uint16_t type_id, const void *from, uint32_t size, int64_t ts_ns, uint8_t flags)
{
    chr_frame_header *f = (chr_frame_header *)(w->base + w->offset);
    uint64_t seq = w->seq;
    uint32_t commit = CHR_COMMIT_TAG | size, kind = type_id | (uint32_t)flags << 16 | CHR_FRAME_VERSION << 24;
    __builtin_prefetch((const uint8_t *)f + CHR_WRITE_AHEAD, 1);
    __builtin_prefetch((const uint8_t *)f + CHR_WRITE_AHEAD + 64, 1);
    uint32_t crc = chr_header_crc(w->crc_seed, commit, kind, seq, ts_ns, w->epoch);
    crc = ~(from ? chr_crc_copy(crc, f + 1, from, size) : chr_crc32c(crc, f + 1, size));
    memcpy(&f->type_id, &kind, sizeof kind);
    f->seq = seq;
    f->ts_ns = ts_ns;
    f->epoch = w->epoch;
    f->crc = crc;
    chr_store_release32(&f->commit, commit);
    w->reserved = 0;
    w->last_offset = w->offset;
    w->offset += chr_frame_bytes(size);
    w->seq = seq + 1;
    w->last_ts = ts_ns;
}

/* Count what was completed, and wake who sleeps. < 0: the segment's file lost its bytes meanwhile, so what was written reached nobody. Looked at
 * after the stores, for it is they that find out. */
static inline int64_t chr_tell(chr_writer *w)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    if (CHR_UNLIKELY(chr_load_relaxed32(w->broken)))
        return w->ops->refuse(w, 0, -1);
    chr_store_relaxed64((uint64_t *)&w->control->last_ts, (uint64_t)w->last_ts);
    chr_store_release64(&w->control->next_seq, w->seq);
    chr_store_release64(&w->control->head, w->position_base + w->offset);
    chr_fence();
    if (CHR_UNLIKELY(chr_load_relaxed32(&w->notify->word) & 1))
        w->ops->wake(w);
    return 0;
}

/* Both: the seq, or < 0. */
static inline int64_t chr_publish(chr_writer *w, uint16_t type_id, const void *from, uint32_t size, int64_t ts_ns, uint8_t flags)
{
    int64_t seq = (int64_t)w->seq;
    chr_complete(w, type_id, from, size, ts_ns, flags);
    return CHR_LIKELY(chr_tell(w) == 0) ? seq : -1;
}

/* Is this still the queue's writer, and may a record bear that time? A negative one is replaced by the clock's. */
static inline bool chr_stamp(chr_writer *w, int64_t *ts_ns, uint8_t *flags)
{
    *flags = 0;
    if (CHR_UNLIKELY(chr_load_relaxed32(&w->control->epoch) != w->epoch))
        return false;
    if (*ts_ns >= 0)
        return *ts_ns >= w->last_ts;
    *ts_ns = chr_now_ns(&w->clock);
    if (CHR_UNLIKELY(*ts_ns < w->last_ts)) {
        *ts_ns = w->last_ts;
        *flags = CHR_FLAG_CLAMPED;
    }
    return true;
}

static inline int64_t chr_publish_and_beat(chr_writer *w, uint16_t type_id, const void *from, uint32_t size, int64_t ts_ns, uint8_t flags)
{
    int64_t seq = chr_publish(w, type_id, from, size, ts_ns, flags);
    if (CHR_UNLIKELY(ts_ns >= w->beat_ts))
        w->ops->beat(w, ts_ns);
    return seq;
}

static inline int64_t chr_commit(chr_writer *w, uint32_t size, int64_t ts_ns)
{
    uint8_t flags;
    int64_t asked_ns = ts_ns;
    if (CHR_UNLIKELY(size >= w->reserved || !chr_stamp(w, &ts_ns, &flags)))
        return w->ops->refuse(w, size, asked_ns);
    if (CHR_UNLIKELY(size + 1 != w->reserved)) /* bytes beyond the tail are always zero */
        memset(w->base + w->offset + CHR_FRAME_HEADER + size, 0, w->reserved - 1 - size);
    return chr_publish_and_beat(w, w->reserved_type, NULL, size, ts_ns, flags);
}

/* Give the open reservation back; it leaves no trace. */
static inline void chr_abort(chr_writer *w)
{
    if (w->reserved)
        memset(w->base + w->offset + CHR_FRAME_HEADER, 0, w->reserved - 1);
    w->reserved = 0;
}

/* Across the end of a step, and whatever is refused. */
static __attribute__((noinline, unused)) int64_t chr_append_slow(chr_writer *w, uint16_t type_id, const void *payload, uint32_t size, int64_t ts_ns)
{
    void *to = chr_reserve(w, type_id, size);
    if (to == NULL)
        return -1;
    memcpy(to, payload, size);
    int64_t seq = chr_commit(w, size, ts_ns);
    if (seq < 0)
        chr_abort(w);
    return seq;
}

static inline int64_t chr_append(chr_writer *w, uint16_t type_id, const void *payload, uint32_t size, int64_t ts_ns)
{
    uint8_t flags;
    int64_t stamp_ns = ts_ns;
    if (CHR_UNLIKELY(!chr_has_room(w, type_id, size) || !chr_stamp(w, &stamp_ns, &flags)))
        return chr_append_slow(w, type_id, payload, size, ts_ns);
    return chr_publish_and_beat(w, type_id, payload, size, stamp_ns, flags);
}

/* ---------------------------------------------------------------- read */

/* A frame that was looked at, as its reader gets it. */
static inline void chr_frame_fill(chr_frame *out, const chr_frame_header *f)
{
    out->payload = (const uint8_t *)(f + 1);
    out->size = f->commit & CHR_LENGTH_MASK;
    out->type_id = f->type_id;
    out->flags = f->flags;
    out->version = f->version;
    out->seq = f->seq;
    out->ts_ns = f->ts_ns;
    out->epoch = f->epoch;
}

static inline int chr_next(chr_reader *r, chr_frame *out)
{
    const chr_frame_header *f = (const chr_frame_header *)(r->base + r->offset);
    uint64_t next;
    chr_verdict verdict = chr_examine(r->base, r->offset, r->end, r->crc_seed, &next);
    if (verdict == CHR_FRAME_NONE) {
        if (CHR_UNLIKELY(chr_cycles() >= r->beat_cycles || r->look_always || r->map->broken))
            return r->ops->next(r, out);
        return 0;
    }
    if (CHR_UNLIKELY(verdict != CHR_FRAME_OK || f->seq != r->next_seq || f->type_id >= CHR_TYPE_RESERVED ||
                     chr_cycles() >= r->beat_cycles))
        return r->ops->next(r, out);
    chr_frame_fill(out, f);
    r->epoch = f->epoch;
    r->back = next - r->offset;
    r->offset = next;
    r->next_seq++;
    return 1;
}

#endif
