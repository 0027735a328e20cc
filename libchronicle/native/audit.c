/* One segment looked at from the first byte to the last: frames, seal, index. For verify and repair; reads only, also while its writer appends.
 *
 * The look at a frame is the one every reader takes (chr_examine_full). At a frame that fails it the walk notes the place and goes on at the next frame
 * that holds and is not older, so every frame of a damaged segment is looked at too. What a live writer does meanwhile is never a finding: the caller
 * says where the head stood before it began (`upto`), and nothing at or behind that is judged.
 */
#include "chr_core.h"

#include <string.h>
#include <time.h>

#define SEAL_LOOKS 1 /* more */

static void note(chr_audit *a, chr_finding finding)
{
    if (a->found < CHR_FINDINGS)
        a->findings[a->found] = finding;
    a->found++;
}

static bool all_zero(const uint8_t *from, const uint8_t *to)
{
    for (; from < to && ((uintptr_t)from & 7); from++)
        if (*from)
            return false;
    for (; from + 64 <= to; from += 64) {
        const uint64_t *w = (const uint64_t *)from;
        if (w[0] | w[1] | w[2] | w[3] | w[4] | w[5] | w[6] | w[7])
            return false;
    }
    for (; from < to; from++)
        if (*from)
            return false;
    return true;
}

/* The next frame from `at` on that holds and is not older than what is expected; 0 = there is none. */
static uint64_t find_next(const chr_audit *a, const uint8_t *base, uint64_t at, uint64_t limit, uint32_t seed)
{
    uint64_t next;
    for (; at + CHR_FRAME_HEADER <= limit; at += CHR_ALIGN) {
        const chr_frame_header *f = (const chr_frame_header *)(base + at);
        if ((chr_load_acquire32(&f->commit) & ~CHR_LENGTH_MASK) != CHR_COMMIT_TAG || (a->known && f->seq < a->seq))
            continue;
        if (chr_examine_full(base, at, limit, seed, &next) == CHR_FRAME_OK)
            return at;
    }
    return 0;
}

/* The bytes between a payload and the next frame. No checksum covers them; they are zero. */
static void look_behind_payload(chr_audit *a, const uint8_t *base, uint64_t at, uint64_t next)
{
    const chr_frame_header *f = (const chr_frame_header *)(base + at);
    uint64_t end = at + CHR_FRAME_HEADER + (f->commit & CHR_LENGTH_MASK);
    if (CHR_UNLIKELY(!all_zero(base + end, base + next)))
        note(a, (chr_finding){.kind = CHR_FOUND_TRAIL, .offset = end, .seq = f->seq, .to_seq = f->seq});
}

static void declared(chr_audit *a, const chr_frame_header *f, uint64_t at)
{
    const chr_lost *lost = (const chr_lost *)(f + 1);
    bool sound = (f->commit & CHR_LENGTH_MASK) == sizeof *lost && lost->from_seq <= lost->to_seq && lost->to_seq < f->seq &&
                 (!a->known || (lost->from_seq == a->seq && f->seq >= a->seq));
    note(a, (chr_finding){.kind = sound ? CHR_FOUND_LOST : CHR_FOUND_BAD_LOST, .offset = at, .seq = sound ? lost->from_seq : a->seq,
                          .to_seq = sound ? lost->to_seq : f->seq});
    if (sound)
        a->lost += lost->to_seq - lost->from_seq + 1;
}

/* What must hold between one frame and the next. */
static void look_at_order(chr_audit *a, const chr_frame_header *f, uint64_t at)
{
    if (CHR_UNLIKELY(f->type_id == CHR_TYPE_LOST))
        declared(a, f, at);
    else if (CHR_UNLIKELY(a->known && f->seq != a->seq))
        note(a, (chr_finding){.kind = CHR_FOUND_SEQ, .offset = at, .seq = a->seq, .to_seq = f->seq});
    if (CHR_UNLIKELY(a->known && f->epoch < a->epoch))
        note(a, (chr_finding){.kind = CHR_FOUND_EPOCH, .offset = at, .seq = f->seq, .to_seq = f->seq, .detail = f->epoch});
    if (CHR_UNLIKELY(a->known && f->ts_ns < a->ts_ns))
        note(a, (chr_finding){.kind = CHR_FOUND_TIME, .offset = at, .seq = f->seq, .to_seq = f->seq});
}

static void end_at_padding(chr_audit *a, const uint8_t *base, uint64_t at, uint64_t limit, uint32_t segment_size)
{
    const chr_frame_header *f = (const chr_frame_header *)(base + at);
    look_at_order(a, f, at);
    if ((f->commit & CHR_LENGTH_MASK) != segment_size - at - CHR_FRAME_HEADER)
        note(a, (chr_finding){.kind = CHR_FOUND_PADDING, .offset = at, .seq = f->seq, .to_seq = f->seq});
    if (!all_zero(base + at + CHR_FRAME_HEADER, base + limit))
        note(a, (chr_finding){.kind = CHR_FOUND_TRAIL, .offset = at + CHR_FRAME_HEADER, .seq = f->seq, .to_seq = f->seq});
    a->epoch = f->epoch;
    a->stopped = CHR_FRAME_OK;
}

/* A frame that does not hold, or none where others follow. Returns where to go on; 0 = nothing follows. */
static uint64_t over_the_hole(chr_audit *a, const uint8_t *base, uint64_t at, uint64_t limit, uint32_t seed, int verdict)
{
    uint64_t on = find_next(a, base, at + CHR_ALIGN, limit, seed);
    if (verdict == CHR_FRAME_NONE && (on == 0 || chr_load_acquire32((const uint32_t *)(base + at)) != 0))
        return on ? at : 0; /* the tail; or it was committed while this looked on */
    const chr_frame_header *f = (const chr_frame_header *)(base + on);
    note(a, (chr_finding){.kind = CHR_FOUND_FRAME, .detail = (uint32_t)-verdict, .offset = at, .until = on, .seq = a->seq,
                          .to_seq = on == 0 ? a->seq : f->seq > a->seq ? f->seq - 1 : a->seq});
    a->damaged++;
    if (on) {
        a->seq = f->seq;
        a->known = 1;
    }
    return on;
}

/* As chr_examine_full, where the file may be cut short of its segment's size. */
static int examine(const uint8_t *base, uint64_t at, uint64_t limit, uint32_t segment_size, uint32_t seed, uint64_t *next)
{
    if (limit == segment_size)
        return chr_examine_full(base, at, segment_size, seed, next);
    int verdict = chr_examine(base, at, limit, seed, next);
    return verdict == CHR_FRAME_OK && *next > segment_size - CHR_FRAME_HEADER ? CHR_FRAME_BAD_LENGTH : verdict;
}

static void walk(chr_audit *a, const uint8_t *base, uint64_t limit, uint32_t segment_size, uint32_t seed, uint64_t upto)
{
    uint64_t at = CHR_SEGMENT_DATA, next = 0;
    a->stopped = CHR_FRAME_NONE;
    while (at + CHR_FRAME_HEADER <= limit && at < upto) {
        const chr_frame_header *f = (const chr_frame_header *)(base + at);
        int verdict = examine(base, at, limit, segment_size, seed, &next);
        if (CHR_UNLIKELY(verdict != CHR_FRAME_OK)) {
            uint64_t on = over_the_hole(a, base, at, limit, seed, verdict);
            if (on == 0) {
                a->stopped = verdict;
                break;
            }
            at = on;
            continue;
        }
        if (CHR_UNLIKELY(f->type_id == CHR_TYPE_PADDING)) {
            end_at_padding(a, base, at, limit, segment_size);
            break;
        }
        look_at_order(a, f, at);
        look_behind_payload(a, base, at, next);
        a->frames++;
        a->payload_bytes += f->commit & CHR_LENGTH_MASK;
        a->seq = f->seq + 1;
        a->ts_ns = f->ts_ns;
        a->epoch = f->epoch;
        a->known = 1;
        at = next;
    }
    a->end = at;
}

static uint32_t seal_state(const chr_seal *s)
{
    if (s->crc == chr_checksum(s, offsetof(chr_seal, crc)) && s->magic == CHR_MAGIC_SEAL)
        return s->flags & CHR_SEAL_QUARANTINED ? CHR_SEAL_CLOSED : CHR_SEAL_GOOD;
    return all_zero((const uint8_t *)s, (const uint8_t *)(s + 1)) ? CHR_SEAL_NONE : CHR_SEAL_BAD;
}

/* Judged on a copy: the clean thread may be writing it. Half of one is whole at another look. */
static void look_at_seal(chr_audit *a, const uint8_t *base)
{
    const struct timespec instant = {0, 1000000};
    chr_seal s;
    for (int look = 0;; look++) {
        memcpy(&s, base + sizeof(chr_segment_header), sizeof s);
        a->seal = seal_state(&s);
        if (a->seal != CHR_SEAL_BAD || look == SEAL_LOOKS)
            break;
        nanosleep(&instant, NULL);
    }
    if (a->seal == CHR_SEAL_GOOD || a->seal == CHR_SEAL_CLOSED) {
        a->seal_end = s.end_offset;
        a->seal_last_seq = s.last_seq;
    }
}

/* The word behind each checksum of the first 128 bytes: of no use so far, and zero. */
static void look_at_spare(chr_audit *a, const uint8_t *base)
{
    const uint64_t ends[] = {sizeof(chr_segment_header), CHR_SEGMENT_DATA};
    for (int i = 0; i < 2; i++)
        if (!all_zero(base + ends[i] - 4, base + ends[i]))
            note(a, (chr_finding){.kind = CHR_FOUND_TRAIL, .offset = ends[i] - 4});
}

/* A valid seal against what was found. Damage below it explains any difference, and is told already. */
static void compare_seal(chr_audit *a, const uint8_t *base, uint64_t limit)
{
    const chr_seal *s = (const chr_seal *)(base + sizeof(chr_segment_header));
    uint32_t wrong = 0;
    if (a->seal != CHR_SEAL_GOOD) /* that of a quarantined segment ends at the first damage */
        return;
    if (s->end_offset != a->end)
        wrong = 1;
    else if (s->frames != a->frames)
        wrong = 2;
    else if (a->frames && s->last_seq != a->seq - 1)
        wrong = 3;
    else if (a->frames && s->last_ts != a->ts_ns)
        wrong = 4;
    else if (s->end_offset > limit || s->data_crc != chr_checksum(base + CHR_SEGMENT_DATA, s->end_offset - CHR_SEGMENT_DATA))
        wrong = 5;
    if (wrong && !a->damaged)
        note(a, (chr_finding){.kind = CHR_FOUND_SEAL, .detail = wrong, .offset = sizeof(chr_segment_header), .seq = a->seq, .to_seq = a->seq});
}

void chr_audit_segment(chr_audit *a, const uint8_t *base, uint64_t bytes, uint32_t segment_size, uint32_t seed, uint64_t upto)
{
    uint64_t limit = (bytes < segment_size ? bytes : segment_size) & ~(uint64_t)(CHR_ALIGN - 1);
    a->frames = a->payload_bytes = a->lost = a->end = a->seal_end = 0;
    a->found = a->damaged = a->seal = 0;
    a->stopped = CHR_FRAME_NONE;
    if (limit < CHR_SEGMENT_DATA)
        return;
    look_at_seal(a, base);
    look_at_spare(a, base);
    walk(a, base, limit, segment_size, seed, upto);
    if (a->end < upto) /* else the walk was called off, and the seal may be of this moment */
        compare_seal(a, base, limit);
    a->tail_clean = a->stopped != CHR_FRAME_NONE || a->seal == CHR_SEAL_CLOSED || all_zero(base + a->end, base + limit);
}

/* ---------------------------------------------------------------- the index */

static bool entry_holds(const chr_index_entry *entry, uint64_t slot, const uint8_t *base, uint64_t limit, uint32_t seed)
{
    uint64_t next, highest = slot ? slot * CHR_STEP : CHR_SEGMENT_DATA;
    if (entry->crc != chr_checksum(entry, offsetof(chr_index_entry, crc)))
        return false;
    if (entry->offset < CHR_SEGMENT_DATA || entry->offset % CHR_ALIGN || entry->offset > highest || entry->offset + CHR_FRAME_HEADER > limit)
        return false;
    const chr_frame_header *f = (const chr_frame_header *)(base + entry->offset);
    return chr_examine_full(base, entry->offset, limit, seed, &next) == CHR_FRAME_OK && f->seq == entry->seq && f->ts_ns == entry->ts_ns &&
           f->type_id != CHR_TYPE_PADDING;
}

/* After chr_audit_segment of the same segment. `index` holds chr_index_bytes(segment_size). */
void chr_audit_index(chr_audit *a, const uint8_t *index, const uint8_t *base, uint64_t bytes, uint32_t segment_size, uint32_t number,
                     uint64_t queue_id)
{
    const chr_index_header *h = (const chr_index_header *)index;
    const chr_index_entry *entries = (const chr_index_entry *)(index + sizeof *h);
    static const chr_index_entry empty;
    uint32_t seed = chr_crc_seed(queue_id), slots = chr_index_slots(segment_size);
    a->index_header = h->magic == CHR_MAGIC_INDEX && h->queue_id == queue_id && h->version == CHR_FORMAT_VERSION && h->number == number &&
                      h->slots == slots;
    a->index_empty = a->index_bad = 0;
    for (uint32_t slot = 0; a->index_header && slot < slots; slot++) {
        chr_index_entry entry = entries[slot];
        if (memcmp(&entry, &empty, sizeof entry) == 0)
            a->index_empty += (slot ? (uint64_t)slot * CHR_STEP : CHR_SEGMENT_DATA) < a->end;
        else if (!entry_holds(&entry, slot, base, bytes < segment_size ? bytes : segment_size, seed))
            a->index_bad++;
    }
}
