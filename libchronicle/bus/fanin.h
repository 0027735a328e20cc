/* Fan-in: many queues read as one, ordered by (timestamp, rank of the source). Header-only, no allocation, no copy, no system call.
 *
 *     chr_fanin_next(f, now_ns, &frame)   slot of the source the frame came from; CHR_FANIN_NOTHING; CHR_FANIN_ERROR: see f->failed
 *
 * One frame of every source is held (read, not delivered); the least (ts_ns, rank) of them is delivered. Rules
 *
 *  - Order within a source is its own, always. Over sources it is total for what was there when the merge looked: a backlog comes out sorted.
 *    Live, a record may follow one of a later time; with a watermark it may not, unless it is more than `delay_ns` late.
 *  - Watermark: while a source shows nothing, the least frame waits until it is `delay_ns` old. Once every source shows one, nothing waits.
 *  - A held frame was not delivered, so no commit may pass it: before a commit (and before anything else that works on the reader's own
 *    position) the source is rewound by that one frame, and reads it again at the next look. At-least-once, never skipped.
 *  - The payload of a delivered frame is good until the next call of chr_fanin_next.
 */
#ifndef CHR_FANIN_H
#define CHR_FANIN_H

#include "chr_hot.h"

#define CHR_FANIN_MAX 128
#define CHR_FANIN_NOTHING (-1)
#define CHR_FANIN_ERROR (-2)
#define CHR_FANIN_BEAT_CALLS 4096 /* how often held sources, whose readers are not polled, are given their heartbeat */

typedef struct {
    chr_reader *reader;
    chr_frame frame;            /* while held */
    int32_t held;
    int32_t paused;             /* its frames wait; nobody waits for them */
    int32_t slot;
    uint64_t offset, next_seq, back; /* of the reader before the held frame was read */
    uint32_t epoch, segment;
} chr_source;

typedef struct {
    chr_source sources[CHR_FANIN_MAX]; /* by rank */
    int32_t count;
    int32_t failed;             /* index of the source whose reader has an error */
    int64_t delay_ns;           /* of the watermark; 0 = deliver what is there */
    int64_t release_ns;         /* after NOTHING: when the least held frame will be old enough; INT64_MAX = none is held */
    uint32_t calls;
} chr_fanin;

/* 1 a frame is held, 0 the source has none, < 0 error */
static inline int chr_source_look(chr_source *s)
{
    chr_reader *r = s->reader;
    s->offset = r->offset;
    s->next_seq = r->next_seq;
    s->back = r->back;
    s->epoch = r->epoch;
    s->segment = r->map->number;
    int rc = chr_next(r, &s->frame);
    s->held = rc > 0;
    return rc;
}

/* Rewind the reader by the held frame: it stands behind the last one delivered. */
static inline void chr_source_rewind(chr_source *s)
{
    chr_reader *r = s->reader;
    if (!s->held)
        return;
    s->held = 0;
    if (r->map->number == s->segment) {
        r->offset = s->offset;
        r->next_seq = s->next_seq;
        r->back = s->back;
        r->epoch = s->epoch;
        return;
    }
    r->offset -= r->back; /* the segment before is no longer mapped; nothing of it was left to read */
    r->next_seq = s->frame.seq;
    r->back = 0;
    r->epoch = 0;
}

static inline void chr_fanin_rewind(chr_fanin *f)
{
    for (int32_t i = 0; i < f->count; i++)
        chr_source_rewind(&f->sources[i]);
}

/* Readers of held frames are not polled and would be forgotten in a long merge. Errors come back at the next look. */
static inline void chr_fanin_beat(chr_fanin *f)
{
    uint64_t cycles = chr_cycles();
    for (int32_t i = 0; i < f->count; i++) {
        chr_source *s = &f->sources[i];
        if (s->held && cycles >= s->reader->beat_cycles) {
            chr_source_rewind(s);
            (void)s->reader->ops->idle(s->reader);
        }
    }
}

static inline int32_t chr_fanin_next(chr_fanin *f, int64_t now_ns, chr_frame *out)
{
    int32_t best = -1, silent = 0;
    int64_t best_ts = INT64_MAX;
    if (CHR_UNLIKELY(++f->calls % CHR_FANIN_BEAT_CALLS == 0))
        chr_fanin_beat(f);
    for (int32_t i = 0; i < f->count; i++) {
        chr_source *s = &f->sources[i];
        if (s->paused)
            continue;
        if (!s->held) {
            int rc = chr_source_look(s);
            if (CHR_UNLIKELY(rc < 0)) {
                f->failed = i;
                return CHR_FANIN_ERROR;
            }
            if (rc == 0) {
                silent++;
                continue;
            }
        }
        if (best < 0 || s->frame.ts_ns < best_ts) {
            best = i;
            best_ts = s->frame.ts_ns;
        }
    }
    f->release_ns = best < 0 ? INT64_MAX : best_ts + f->delay_ns;
    if (best < 0 || (silent && f->delay_ns > 0 && now_ns < f->release_ns))
        return CHR_FANIN_NOTHING;
    *out = f->sources[best].frame;
    f->sources[best].held = 0;
    return f->sources[best].slot;
}

#endif
