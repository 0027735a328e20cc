/* A walk over one segment that lies in memory, whoever put it there: a mapped file, live or at rest, or a buffer that is filled as the walk goes.
 * Header-only, like chr_hot.h; the look at a frame is the same chr_examine.
 *
 *     chr_span s;
 *     chr_span_begin(&s, base, ready, 0);             base: at least the first 128 bytes, looked at before
 *     while ((n = chr_span_next(&s, &f)) == 1) ...
 *
 *     1   a frame: a record, or LOST (declared by the writer, or made here for what damage took; then it lives until the next call)
 *     0   nothing more: s.ended, or, in a live segment, nothing yet
 *    -1   damage at s.offset, s.verdict says what; told once, the next call steps behind it and gives a LOST record
 *     2   bytes at or above s.ready are wanted: fill, raise s.ready, call again
 *
 * Rules
 *  - Nothing at or above `ready` is read, nothing below it changes while the walk stands.
 *  - A segment whose seal holds ends at the seal's end_offset, whatever stands there. One without ends at its padding. At a place where nothing is
 *    committed a live one waits; in one at rest that is damage, for every segment that was left ends with a padding.
 *  - A quarantined segment's damage is known: it is stepped over without being told.
 *  - Damage that nothing follows: what the seal says was there is LOST; without a seal the walk ends, and next_seq is where it broke off.
 */
#ifndef CHR_SPAN_H
#define CHR_SPAN_H

#include <stddef.h>

#include "chr_hot.h"

#define CHR_SPAN_LIVE 1u /* a writer may be at work on it */
#define CHR_SPAN_SEQUENCE (-5)  /* a verdict: the frame holds, but it is not the one that is due */

typedef struct {
    const uint8_t *base;
    uint64_t offset;            /* of the next frame */
    uint64_t end;               /* no frame begins at or above it */
    uint64_t limit;             /* no record ends above it: the segment's size less a padding */
    uint64_t ready;             /* bytes that are there */
    uint64_t next_seq;
    uint64_t last_seq;          /* by the seal; CHR_SEQ_UNKNOWN without one */
    uint64_t lost;              /* records in LOST frames given */
    int64_t ts_ns;              /* of the frame given last */
    uint32_t crc_seed, epoch, live, sealed, known_bad, ended;
    int32_t verdict;
    uint32_t told;              /* the damage at `offset` was */
    struct {
        chr_frame_header header;
        chr_lost lost;
    } note;
} chr_span;

static inline bool chr_span_seal_holds(const chr_seal *seal, uint32_t size)
{
    uint32_t crc = ~chr_crc32c(~0u, seal, offsetof(chr_seal, crc));
    return seal->magic == CHR_MAGIC_SEAL && seal->crc == crc && seal->end_offset >= CHR_SEGMENT_DATA && seal->end_offset <= size &&
           seal->end_offset % CHR_ALIGN == 0;
}

static inline void chr_span_place(chr_span *s, uint64_t offset, uint64_t seq)
{
    s->offset = offset;
    s->next_seq = seq;
    s->told = 0;
    s->ended = 0;
}

static inline void chr_span_begin(chr_span *s, const uint8_t *base, uint64_t ready, uint32_t flags)
{
    const chr_segment_header *h = (const chr_segment_header *)base;
    const chr_seal *seal = (const chr_seal *)(base + sizeof *h);
    memset(s, 0, sizeof *s);
    s->base = base;
    s->ready = ready;
    s->limit = h->size - CHR_FRAME_HEADER;
    s->end = h->size;
    s->crc_seed = chr_crc_seed(h->queue_id);
    s->last_seq = CHR_SEQ_UNKNOWN;
    s->live = flags & CHR_SPAN_LIVE;
    if (chr_span_seal_holds(seal, h->size)) {
        s->sealed = 1;
        s->live = 0;
        s->known_bad = seal->flags & CHR_SEAL_QUARANTINED;
        if (!s->known_bad) {
            s->end = seal->end_offset;
            s->last_seq = seal->last_seq;
        }
    }
    s->ts_ns = h->first_ts;
    s->epoch = h->prev_epoch;
    chr_span_place(s, CHR_SEGMENT_DATA, h->first_seq);
}

static inline int chr_span_lost(chr_span *s, uint64_t to_seq, int64_t ts_ns, uint32_t epoch, chr_frame *out)
{
    s->note.lost = (chr_lost){s->next_seq, to_seq};
    s->note.header = (chr_frame_header){.commit = CHR_COMMIT_TAG | sizeof(chr_lost), .type_id = CHR_TYPE_LOST, .version = CHR_FRAME_VERSION};
    s->note.header.seq = to_seq;
    s->note.header.ts_ns = ts_ns;
    s->note.header.epoch = epoch;
    s->note.header.crc = chr_frame_crc(s->crc_seed, s->note.header.commit, &s->note.header, &s->note.lost, sizeof(chr_lost));
    *out = (chr_frame){.payload = (const uint8_t *)&s->note.lost, .size = sizeof(chr_lost), .type_id = CHR_TYPE_LOST, .version = CHR_FRAME_VERSION};
    out->seq = to_seq;
    out->ts_ns = ts_ns;
    out->epoch = epoch;
    s->lost += to_seq - s->next_seq + 1;
    s->next_seq = to_seq + 1;
    s->ts_ns = ts_ns;
    return 1;
}

/* The next frame that holds and is not older than the one due, looked for at each place where one may begin. 0: none; ready: not all is there. */
static inline uint64_t chr_span_search(const chr_span *s, uint64_t from)
{
    uint64_t next;
    for (uint64_t at = from; at < s->end && at + CHR_FRAME_HEADER <= s->limit + CHR_FRAME_HEADER; at += CHR_ALIGN) {
        if (at + CHR_FRAME_HEADER > s->ready)
            return s->ready;
        const chr_frame_header *f = (const chr_frame_header *)(s->base + at);
        if ((f->commit & ~CHR_LENGTH_MASK) != CHR_COMMIT_TAG || f->seq < s->next_seq)
            continue;
        uint64_t upto = at + chr_frame_bytes(f->commit & CHR_LENGTH_MASK);
        if (f->type_id != CHR_TYPE_PADDING && upto <= s->limit && upto > s->ready)
            return s->ready;
        if (chr_examine(s->base, at, s->limit + CHR_FRAME_HEADER, s->crc_seed, &next) == CHR_FRAME_OK)
            return at;
    }
    return 0;
}

/* The damage at `offset` has been told, or was known. */
static inline int chr_span_step_over(chr_span *s, chr_frame *out)
{
    const chr_frame_header *here = (const chr_frame_header *)(s->base + s->offset);
    bool later = s->verdict == CHR_SPAN_SEQUENCE && here->seq > s->next_seq;
    uint64_t at = later ? s->offset : chr_span_search(s, s->offset + CHR_ALIGN);
    if (at == s->ready && s->ready < s->limit + CHR_FRAME_HEADER)
        return 2;
    s->told = 0;
    if (at == 0) {
        s->ended = 1;
        s->offset = s->end;
        if (s->last_seq != CHR_SEQ_UNKNOWN && s->last_seq >= s->next_seq && s->last_seq != UINT64_MAX)
            return chr_span_lost(s, s->last_seq, ((const chr_seal *)(s->base + sizeof(chr_segment_header)))->last_ts, s->epoch, out);
        return 0;
    }
    const chr_frame_header *f = (const chr_frame_header *)(s->base + at);
    s->offset = at;
    if (f->seq <= s->next_seq) {
        s->next_seq = f->seq;
        return 3; /* nothing is missing */
    }
    return chr_span_lost(s, f->seq - 1, f->ts_ns, f->epoch, out);
}

static inline int chr_span_give(chr_span *s, const chr_frame_header *f, uint64_t next, chr_frame *out)
{
    chr_frame_fill(out, f);
    s->ts_ns = f->ts_ns;
    s->epoch = f->epoch;
    s->offset = next;
    s->next_seq = f->seq + 1;
    return 1;
}

/* A LOST frame of the writer; what went after it was declared is told first. */
static inline int chr_span_declared(chr_span *s, const chr_frame_header *f, uint64_t next, chr_frame *out)
{
    const chr_lost *lost = (const chr_lost *)(f + 1);
    bool sound = (f->commit & CHR_LENGTH_MASK) == sizeof *lost && lost->from_seq <= lost->to_seq && lost->to_seq <= f->seq;
    if (sound && lost->from_seq > s->next_seq)
        return chr_span_lost(s, lost->from_seq - 1, f->ts_ns, f->epoch, out);
    if (sound)
        s->lost += lost->to_seq - lost->from_seq + 1;
    return chr_span_give(s, f, next, out);
}

static __attribute__((noinline, unused)) int chr_span_slow(chr_span *s, chr_frame *out)
{
    for (;;) {
        uint64_t next = 0;
        if (s->offset >= s->end || s->ended) {
            s->ended = 1;
            return 0;
        }
        if (s->offset + CHR_FRAME_HEADER > s->ready)
            return 2;
        const chr_frame_header *f = (const chr_frame_header *)(s->base + s->offset);
        int verdict = chr_examine(s->base, s->offset, s->ready, s->crc_seed, &next);
        if (verdict == CHR_FRAME_BAD_LENGTH && s->ready < s->limit + CHR_FRAME_HEADER && f->type_id != CHR_TYPE_PADDING && next <= s->limit)
            return 2;
        if (verdict == CHR_FRAME_BAD_LENGTH && f->type_id == CHR_TYPE_PADDING) /* reaches to the segment's end, which need not be there */
            verdict = chr_examine(s->base, s->offset, s->limit + CHR_FRAME_HEADER, s->crc_seed, &next);
        if (verdict == CHR_FRAME_OK && f->type_id != CHR_TYPE_PADDING && next > s->limit)
            verdict = CHR_FRAME_BAD_LENGTH;
        if (verdict == CHR_FRAME_OK && f->type_id == CHR_TYPE_LOST && f->seq >= s->next_seq)
            return chr_span_declared(s, f, next, out);
        if (verdict == CHR_FRAME_OK && f->seq != s->next_seq)
            verdict = CHR_SPAN_SEQUENCE;
        if (verdict == CHR_FRAME_OK && f->type_id == CHR_TYPE_PADDING) {
            s->ended = 1;
            return 0;
        }
        if (verdict == CHR_FRAME_OK)
            return chr_span_give(s, f, next, out);
        if (verdict == CHR_FRAME_NONE && s->live)
            return 0;
        s->verdict = verdict;
        if (!s->told && !s->known_bad) {
            s->told = 1;
            return -1;
        }
        int rc = chr_span_step_over(s, out);
        if (rc != 3)
            return rc;
    }
}

static inline int chr_span_next(chr_span *s, chr_frame *out)
{
    const chr_frame_header *f = (const chr_frame_header *)(s->base + s->offset);
    uint64_t next, upto = s->ready < s->limit ? s->ready : s->limit;
    if (CHR_UNLIKELY(s->offset >= s->end || s->offset + CHR_FRAME_HEADER > upto ||
                     chr_examine(s->base, s->offset, upto, s->crc_seed, &next) != CHR_FRAME_OK || f->seq != s->next_seq ||
                     f->type_id >= CHR_TYPE_RESERVED))
        return chr_span_slow(s, out);
    return chr_span_give(s, f, next, out);
}

/* ---------------------------------------------------------------- seek */

/* On to the first frame that is not before `ts_ns` (by_time) or `seq`; frames before it are looked at like any other. 1 it stands at `offset`;
 * 0, -1, 2 as chr_span_next. LOST records on the way that end before the target are passed. */
static inline int chr_span_seek(chr_span *s, bool by_time, uint64_t seq, int64_t ts_ns)
{
    chr_frame f;
    for (;;) {
        chr_span before = *s;
        int rc = chr_span_next(s, &f);
        if (rc == -1)
            continue; /* who asks for something behind it has been told */
        if (rc != 1)
            return rc;
        if (by_time ? f.ts_ns >= ts_ns : f.seq >= seq) {
            *s = before;
            return 1;
        }
    }
}

#endif
