/* The reader's cursor: what stands at it, and the way into the next segment.
 *
 * The cursor is (segment, offset, next_seq). What can stand there:
 *
 *   nothing committed     idle: heartbeat, look whether the segment still belongs to the queue
 *   a record              hot path
 *   padding               cross into the next segment (mapped ahead by the prepare thread)
 *   LOST                  given to the caller as a record; next_seq jumps to what it declares
 *   anything else         damage: Corrupt, once; then the record behind it, after a LOST record for what is missing (hole.c)
 *
 * A hole nobody declared (segments removed, missing or shortened) is told once, as Evicted or Broken; the cursor then stands behind it.
 */
#include "chr_core.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define CHR_GOES_ON 8u /* records */

static chr_subscriber *subscriber(const chr_reader *r) { return (chr_subscriber *)r; }

static const chr_control *control_of(const chr_subscriber *s) { return (const chr_control *)s->pages.control->base; }

uint64_t chr_reader_position(const chr_reader *r)
{
    return chr_position(subscriber(r)->segment_size, r->map->number, r->offset);
}

chr_slot chr_reader_stands(const chr_subscriber *s)
{
    const chr_reader *r = &s->hot;
    if (s->hole_pending)
        return s->hole_from;
    chr_slot slot = {.queue_id = s->queue_id, .seq = r->next_seq, .epoch = r->epoch, .back = (uint32_t)r->back, .position = chr_reader_position(r)};
    const chr_frame_header *f = (const chr_frame_header *)(r->base + r->offset);
    uint64_t next;
    if (chr_load_acquire32(&f->commit) != 0 && f->type_id == CHR_TYPE_PADDING &&
        chr_examine_full(r->base, r->offset, s->segment_size, r->crc_seed, &next) == CHR_FRAME_OK) {
        slot.position = chr_position(s->segment_size, (uint64_t)r->map->number + 1, CHR_SEGMENT_DATA);
        slot.back = 0;
    }
    return slot;
}

/* The control page is believed if the segment it names begins with the seq beside it. If not, retention is between its two stores, or that header is gone;
 * without a writer a flipped bit may be in it, which must cost no reader its place: then the first segment there is counts. */
uint64_t chr_reader_oldest(const chr_subscriber *s)
{
    const chr_control *c = control_of(s);
    uint64_t oldest = 0, lowest, highest;
    chr_segment_header h;
    for (int attempt = 0; attempt < 8; attempt++) {
        oldest = chr_load_acquire64(&c->oldest);
        uint64_t seq = chr_load_acquire64(&c->oldest_seq); /* now: the file system may take its time over what follows */
        if (chr_segment_read_header(s->dir, oldest, s->queue_id, &h) && h.first_seq == seq)
            return oldest;
    }
    bool possible = oldest <= chr_load_acquire64(&c->head) / s->segment_size;
    if (possible && chr_lock_probe(s->pages.fd) > 0)
        return oldest;
    return chr_segment_range(s->dir, &lowest, &highest) && lowest < oldest ? lowest : oldest;
}

bool chr_reader_passed(const chr_subscriber *s, uint64_t number)
{
    return CHR_UNLIKELY(number < chr_load_acquire64(&control_of(s)->oldest)) && number < chr_reader_oldest(s);
}

int chr_reader_gone(chr_subscriber *s)
{
    chr_error *e = &s->hot.error;
    if (s->closed)
        return chr_fail(e, CHR_E_CLOSED, s->dir, NULL, 0, 0, 0);
    if (s->forked)
        return chr_fail(e, CHR_E_FORKED, s->dir, NULL, (uint64_t)s->owner, 0, 0);
    if (s->hot.map->broken || s->pages.control->broken) {
        char name[32], path[640];
        chr_segment_name(name, s->hot.map->number, "q");
        chr_join(path, sizeof path, s->dir, s->hot.map->broken ? name : "control.meta");
        return chr_fail(e, CHR_E_BROKEN, path, "its bytes are gone", s->hot.map->number, 0, 0);
    }
    return s->dead ? -1 : 0; /* the error stands */
}

/* ---------------------------------------------------------------- the next segment */

void chr_reader_set_step(chr_subscriber *s)
{
    uint64_t limit = s->segment_size - CHR_FRAME_HEADER, upto = (s->hot.offset / CHR_STEP + 1) * CHR_STEP;
    s->hot.end = upto < limit ? upto : limit;
}

int64_t chr_ahead_run(void *owner)
{
    chr_subscriber *s = owner;
    chr_error e;
    int64_t again = -1;
    chr_map *made = NULL;
    pthread_mutex_lock(&s->making);
    uint32_t number = s->hot.map->number + 1;
    if (s->ahead == NULL || s->ahead_number != number) {
        chr_map_release(s->ahead);
        s->ahead = made = chr_segment_open(s->dir, number, s->segment_size, s->queue_id, false, &e);
        chr_store_relaxed32(&s->ahead_number, number); /* the reader's thread looks at it without the lock: a hint */
        if (made != NULL)
            chr_map_hold(made);
        else
            again = 2000000; /* its writer is about to make it */
    }
    pthread_mutex_unlock(&s->making);
    if (made != NULL) { /* outside the lock: the reader may cross meanwhile, and finds the first pages there */
        if (s->config.prefault)
            chr_map_populate(made, 0, s->segment_size, false);
        chr_map_release(made);
    }
    return again;
}

static bool quarantined(const chr_subscriber *s)
{
    const chr_seal *seal = (const chr_seal *)(s->hot.base + sizeof(chr_segment_header));
    return chr_seal_valid(s->hot.map) && (seal->flags & CHR_SEAL_QUARANTINED);
}

/* A quarantined segment ends where nothing may seem to stand, so every empty look must take the slow path. */
void chr_reader_note_quarantine(chr_subscriber *s)
{
    s->hot.look_always = s->event_fd >= 0 || quarantined(s);
}

static void enter_map(chr_subscriber *s, chr_map *map, uint64_t offset)
{
    chr_map *old = s->hot.map;
    s->hot.map = map;
    s->hot.base = map->base;
    s->hot.offset = offset;
    s->hot.back = 0;
    s->placed = (uint32_t)offset;
    s->placed_seq = 0;
    chr_reader_note_quarantine(s);
    chr_reader_set_step(s);
    chr_map_release(old);
}

static int tell_gone(chr_subscriber *s);

/* The next segment is not there though the queue goes on behind it: tell the hole once, stand at the segment after it. */
static int skip_broken(chr_subscriber *s, uint32_t number)
{
    chr_error *e = &s->hot.error, why = s->hot.error;
    uint64_t from = s->hot.next_seq, last = chr_load_acquire64(&control_of(s)->head) / s->segment_size;
    for (uint64_t later = chr_segment_after(s->dir, number); later <= last; later = chr_segment_after(s->dir, later)) {
        if (chr_reader_place(s, later, CHR_SEGMENT_DATA, CHR_SEQ_UNKNOWN, e) < 0)
            continue;
        s->gaps++;
        const chr_frame_header *first = (const chr_frame_header *)(s->hot.base + CHR_SEGMENT_DATA);
        if (first->type_id == CHR_TYPE_LOST && chr_load_acquire32(&first->commit)) {
            s->hot.next_seq = from; /* the queue declares it itself */
            return 1;
        }
        if (why.code != CHR_E_BROKEN)
            return chr_fail(e, CHR_E_EVICTED, s->dir, s->name, from, s->hot.next_seq - 1, 0);
        snprintf(why.reason, sizeof why.reason, "shorter than its queue's segments; records %llu to %llu are lost", (unsigned long long)from,
                 (unsigned long long)s->hot.next_seq - 1);
        *e = why;
        return -1;
    }
    *e = why;
    return why.code == CHR_E_HOST ? chr_fail(e, CHR_E_BROKEN, why.path, "segment is missing", number, 0, 0) : -1;
}

static void fail_missing(chr_subscriber *s, uint32_t number)
{
    char name[32], path[640];
    chr_segment_name(name, number, "q");
    chr_join(path, sizeof path, s->dir, name);
    errno = ENOENT;
    chr_fail_sys(&s->hot.error, path, "open", 0);
}

/* 1 in the next segment, 0 it is not there yet, < 0 error. */
int chr_reader_cross(chr_subscriber *s)
{
    chr_error *e = &s->hot.error;
    uint32_t number = s->hot.map->number + 1;
    bool passed = chr_load_acquire64(&control_of(s)->head) / s->segment_size > number; /* asked first: the writer may begin it, and go past, meanwhile */
    pthread_mutex_lock(&s->making);
    chr_map *map = s->ahead_number == number ? s->ahead : NULL;
    if (map != NULL)
        s->ahead = NULL;
    else
        map = chr_segment_open(s->dir, number, s->segment_size, s->queue_id, false, e);
    bool begun = map != NULL && ((const chr_segment_header *)map->base)->first_seq != CHR_SEQ_UNKNOWN;
    if (begun)
        enter_map(s, map, CHR_SEGMENT_DATA);
    else
        chr_map_release(map);
    pthread_mutex_unlock(&s->making);
    if (map != NULL && (begun || !passed)) {
        s->crossings += begun;
        return begun;
    }
    if (map != NULL) /* never begun, yet the queue goes on behind it: what was to stand there did not reach the disk */
        fail_missing(s, number);
    if (e->sys != ENOENT && e->code != CHR_E_BROKEN && e->code != CHR_E_CORRUPT)
        return -1;
    return chr_reader_passed(s, number) ? tell_gone(s) : skip_broken(s, number);
}

/* Retention has passed the cursor, and what the page says too: this reader was taken for dead. One that has gone back, or has not committed yet, is not
 * waited for where it stands, but it lives. While the file is there the mark may be one that retention is about to take back. */
static bool forgotten(const chr_subscriber *s)
{
    return s->name[0] && !s->durable && chr_reader_passed(s, s->hot.map->number) && chr_reader_passed(s, s->holds) && !chr_segment_there(s->dir, s->holds);
}

/* Retention has passed the cursor. */
static int tell_gone(chr_subscriber *s)
{
    const chr_control *c = control_of(s);
    chr_error *e = &s->hot.error;
    uint64_t from = s->hot.next_seq, to = chr_load_acquire64(&c->oldest_seq);
    if (forgotten(s)) {
        int64_t age = chr_monotonic_ns() - s->last_beat_ns;
        s->dead = 1;
        s->hot.beat_cycles = 0; /* every look from now on takes the slow path, and is refused */
        return chr_fail(e, CHR_E_FORGOTTEN, s->dir, s->name, (uint64_t)age, chr_load_acquire64(&c->head) - chr_reader_position(&s->hot), 0);
    }
    if (chr_reader_place_oldest(s, e) < 0)
        return -1;
    return chr_fail(e, CHR_E_EVICTED, s->dir, s->name, from, s->hot.next_seq > from ? s->hot.next_seq - 1 : to, 0);
}

/* Heartbeat; and is the segment under the cursor still the queue's? */
int chr_reader_alive(chr_subscriber *s)
{
    if (chr_reader_gone(s) < 0)
        return -1;
    s->hot.beat_cycles = chr_cycles() + s->beat_period;
    if (forgotten(s))
        return tell_gone(s);
    chr_page_beat(s);
    return 0;
}

/* ---------------------------------------------------------------- slow next */

/* A file that is shorter now reads as zeros up to the end of its last page, without any fault. */
static void note_shortened(chr_map *map)
{
    struct stat st;
    if (fstat(map->fd, &st) == 0 && (uint64_t)st.st_size < map->size)
        chr_store_release32(&map->broken, 1);
}

static int complain(chr_subscriber *s, int verdict)
{
    chr_reader *r = &s->hot;
    note_shortened(r->map);
    if (chr_reader_gone(s) < 0)
        return -1;
    return chr_fail(&r->error, CHR_E_CORRUPT, s->dir, chr_verdict_text(verdict), r->map->number, r->offset, r->next_seq);
}

/* The control page counts a record where none stands. In one boot the commit came first, so it was there; across a boot the control page may have reached
 * the disk alone, which the next writer puts right. */
static bool was_there(chr_subscriber *s)
{
    uint8_t boot[16];
    chr_boot_id(boot);
    return memcmp(boot, control_of(s)->boot_id, 16) == 0;
}

/* 1 the cursor stands behind it, 0 so it will, < 0 told. Who only looks has not been told. */
static int pass_damage(chr_subscriber *s, int verdict, bool tell)
{
    uint64_t position_1 = chr_reader_position(&s->hot) + 1;
    bool known = quarantined(s);
    if (!known && s->told_1 != position_1) {
        s->told_1 = tell ? position_1 : 0;
        return complain(s, verdict);
    }
    int skipped = chr_hole_skip(s);
    return skipped == 0 && !known ? complain(s, verdict) : skipped;
}

/* What went after it was declared is told first. */
static void note_before(chr_subscriber *s, uint64_t upto, const chr_frame_header *f)
{
    chr_slot from = chr_reader_stands(s);
    chr_hole_note(s, &from, upto, f->ts_ns, f->epoch);
}

/* Brings the cursor onto a record: 1 there is one (or a hole to tell of), 0 none yet, < 0 error. */
static int settle(chr_subscriber *s, uint64_t *next, bool tell)
{
    chr_reader *r = &s->hot;
    if (s->late.code) { /* found when the reader was opened */
        r->error = s->late;
        s->late.code = tell ? 0 : s->late.code;
        return -1;
    }
    if (s->hole_pending)
        return 1;
    for (;;) {
        const chr_frame_header *f = (const chr_frame_header *)(r->base + r->offset);
        int verdict = chr_examine_full(r->base, r->offset, s->segment_size, r->crc_seed, next);
        if (verdict == CHR_FRAME_OK && f->type_id == CHR_TYPE_LOST && f->seq >= r->next_seq) {
            const chr_lost *lost = (const chr_lost *)(f + 1);
            if (*next >= r->offset + CHR_FRAME_HEADER + sizeof *lost && lost->from_seq <= f->seq)
                note_before(s, lost->from_seq, f);
            return 1;
        }
        if (verdict == CHR_FRAME_OK && f->seq != r->next_seq)
            verdict = CHR_FRAME_BAD_CRC - 1;
        if (verdict == CHR_FRAME_OK && f->type_id != CHR_TYPE_PADDING)
            return 1;
        bool left = verdict == CHR_FRAME_OK;
        if (verdict == CHR_FRAME_NONE) {
            uint64_t head = chr_load_acquire64(&control_of(s)->head);
            if (head <= chr_reader_position(r))
                return 0;
            if (chr_load_acquire32(&f->commit) != 0)
                continue; /* committed between the two looks */
            if (head / s->segment_size <= r->map->number && !was_there(s))
                return 0;
        }
        int rc = left ? chr_reader_cross(s) : pass_damage(s, verdict, tell);
        if (rc <= 0 || s->hole_pending)
            return rc;
    }
}

/* Nothing stands at the cursor. */
static int slow_idle(chr_reader *r)
{
    chr_subscriber *s = subscriber(r);
    if (chr_cycles() >= r->beat_cycles && chr_reader_alive(s) < 0)
        return -1;
    if (s->event_fd >= 0)
        chr_bell_arm(s);
    return 0;
}

/* Is the next segment worth mapping ahead? Who was put somewhere and has taken a few records, of whatever size, may go elsewhere next, and 128 MiB of page
 * tables, filled and emptied again, would hold up its seeks for tens of milliseconds. Who goes on from there and meets the segment's end before the next
 * step maps its successor itself, once. */
static bool goes_on(const chr_subscriber *s, uint64_t offset)
{
    uint64_t step = s->segment_size < CHR_STEP ? s->segment_size : CHR_STEP;
    return offset * 2 >= s->segment_size && offset - s->placed >= step / 4 && s->hot.next_seq - s->placed_seq >= CHR_GOES_ON;
}

static int slow_next(chr_reader *r, chr_frame *out)
{
    chr_subscriber *s = subscriber(r);
    uint64_t next;
    if (chr_reader_gone(s) < 0)
        return -1;
    int rc = settle(s, &next, true);
    if (rc <= 0)
        return rc < 0 ? rc : slow_idle(r);
    if (chr_cycles() >= r->beat_cycles && chr_reader_alive(s) < 0)
        return -1;
    if (s->hole_pending)
        return chr_hole_give(s, out);
    const chr_frame_header *f = (const chr_frame_header *)(r->base + r->offset);
    chr_frame_fill(out, f);
    s->gaps += f->type_id == CHR_TYPE_LOST;
    r->epoch = f->epoch;
    r->back = next - r->offset;
    r->offset = next;
    r->next_seq = f->seq + 1;
    if (next >= r->end) {
        chr_reader_set_step(s);
        chr_store_relaxed32(&r->map->worn, chr_load_relaxed32(&r->map->worn) + 1);
        if (goes_on(s, next) && chr_load_relaxed32(&s->ahead_number) != r->map->number + 1 && s->config.agents)
            chr_task_want(CHR_AGENT_PREPARE, &s->prepare);
    }
    return 1;
}

int chr_reader_peek(chr_reader *r)
{
    uint64_t next;
    bool empty = chr_load_acquire32((const uint32_t *)(r->base + r->offset)) == 0;
    if (CHR_LIKELY(empty && chr_cycles() < r->beat_cycles && !r->look_always && !r->map->broken))
        return 0;
    if (chr_reader_gone(subscriber(r)) < 0)
        return -1;
    int rc = settle(subscriber(r), &next, false);
    return rc ? rc : slow_idle(r);
}

const chr_reader_ops chr_reader_operations = {slow_next, slow_idle};

/* ---------------------------------------------------------------- place */

/* Puts the cursor at a frame. seq CHR_SEQ_UNKNOWN at a segment's first frame = what its header says; one that was never begun says nothing, and where the queue
 * goes on behind it there is nothing to stand at. */
int chr_reader_place(chr_subscriber *s, uint64_t number, uint64_t offset, uint64_t seq, chr_error *e)
{
    chr_map *map = s->hot.map;
    bool passed = chr_load_acquire64(&control_of(s)->head) / s->segment_size > number; /* asked before its header */
    if (offset < CHR_SEGMENT_DATA || offset % CHR_ALIGN || offset > s->segment_size - CHR_FRAME_HEADER)
        return chr_fail(e, CHR_E_CORRUPT, s->dir, "no frame can stand at this position", number, offset, seq);
    if (map == NULL || map->number != number) {
        map = chr_segment_open(s->dir, number, s->segment_size, s->queue_id, false, e);
        if (map == NULL)
            return -1;
    }
    const chr_segment_header *h = (const chr_segment_header *)map->base;
    if (passed && seq == CHR_SEQ_UNKNOWN && h->first_seq == CHR_SEQ_UNKNOWN) {
        if (map != s->hot.map)
            chr_map_release(map);
        return chr_fail(e, CHR_E_CORRUPT, s->dir, "never begun, yet the queue goes on behind it", number, offset, s->hot.next_seq);
    }
    if (map != s->hot.map) {
        pthread_mutex_lock(&s->making);
        enter_map(s, map, offset);
        pthread_mutex_unlock(&s->making);
    }
    s->hot.offset = offset;
    s->hot.back = 0;
    s->placed = (uint32_t)offset;
    s->hole_pending = 0;
    s->late.code = 0;
    s->told_1 = 0;
    chr_reader_note_quarantine(s);
    chr_reader_set_step(s);
    if (seq != CHR_SEQ_UNKNOWN)
        s->hot.next_seq = seq;
    else
        s->hot.next_seq = h->first_seq == CHR_SEQ_UNKNOWN ? chr_load_acquire64(&control_of(s)->next_seq) : h->first_seq;
    s->placed_seq = s->hot.next_seq;
    s->hot.epoch = offset == CHR_SEGMENT_DATA ? h->prev_epoch : 0;
    return 0;
}
