/* The reader's cold side: open, start modes, the next segment, heartbeat, commit, errors.
 *
 * The cursor is (segment, offset, next_seq). What can stand there:
 *
 *   nothing committed     idle: heartbeat, look whether the segment still belongs to the queue
 *   a record              hot path
 *   padding               cross into the next segment (mapped ahead by the prepare thread)
 *   LOST                  given to the caller as a record; next_seq jumps to what it declares
 *   anything else         in a quarantined segment at its seal's end: cross; else Corrupt, again at every call until the caller seeks
 *
 * States: open -> closed | forked | dead (forgotten by the writer, or its file broken). Evicted is told once; the cursor then stands at the oldest record.
 */
#include "chr_core.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CHR_BEAT_NS 100000000ll

static chr_subscriber *subscriber(const chr_reader *r) { return (chr_subscriber *)r; }

static const chr_control *control_of(const chr_subscriber *s) { return (const chr_control *)s->pages.control->base; }

uint64_t chr_reader_position(const chr_reader *r)
{
    return chr_position(subscriber(r)->segment_size, r->map->number, r->offset);
}

static int refuse_gone(chr_subscriber *s)
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

static void set_step(chr_subscriber *s)
{
    uint64_t limit = s->segment_size - CHR_FRAME_HEADER, upto = (s->hot.offset / CHR_STEP + 1) * CHR_STEP;
    s->hot.end = upto < limit ? upto : limit;
}

static int64_t prepare_run(void *owner)
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
        s->ahead_number = number;
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

/* A quarantined segment ends where nothing may seem to stand, so every empty look must take the slow path. */
static void note_quarantine(chr_subscriber *s)
{
    const chr_seal *seal = (const chr_seal *)(s->hot.base + sizeof(chr_segment_header));
    s->look_always = s->event_fd >= 0 || (chr_seal_valid(s->hot.map) && (seal->flags & CHR_SEAL_QUARANTINED));
    if (s->look_always)
        s->hot.beat_cycles = 0;
}

static void enter_map(chr_subscriber *s, chr_map *map, uint64_t offset)
{
    chr_map *old = s->hot.map;
    s->hot.map = map;
    s->hot.base = map->base;
    s->hot.offset = offset;
    s->hot.back = 0;
    note_quarantine(s);
    set_step(s);
    chr_map_release(old);
}

static int tell_gone(chr_subscriber *s, uint64_t oldest);

/* The next segment is not there though the queue goes on behind it: tell the hole once, stand at the segment after it. */
static int skip_broken(chr_subscriber *s, uint32_t number)
{
    chr_error *e = &s->hot.error, why = s->hot.error;
    uint64_t from = s->hot.next_seq, head = chr_load_acquire64(&control_of(s)->head) / s->segment_size;
    for (uint64_t later = (uint64_t)number + 1; later <= head; later++) {
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

/* 1 in the next segment, 0 it is not there yet, < 0 error. */
static int cross(chr_subscriber *s)
{
    chr_error *e = &s->hot.error;
    uint32_t number = s->hot.map->number + 1;
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
    if (map != NULL) {
        s->crossings += begun;
        return begun;
    }
    if (e->sys != ENOENT && e->code != CHR_E_BROKEN && e->code != CHR_E_CORRUPT)
        return -1;
    uint64_t oldest = chr_load_acquire64(&control_of(s)->oldest);
    return oldest > number ? tell_gone(s, oldest) : skip_broken(s, number);
}

static bool at_quarantine(const chr_subscriber *s)
{
    const chr_seal *seal = (const chr_seal *)(s->hot.base + sizeof(chr_segment_header));
    return chr_seal_valid(s->hot.map) && (seal->flags & CHR_SEAL_QUARANTINED) && seal->end_offset == s->hot.offset;
}

/* Retention has passed the cursor. */
static int tell_gone(chr_subscriber *s, uint64_t oldest)
{
    const chr_control *c = control_of(s);
    chr_error *e = &s->hot.error;
    uint64_t from = s->hot.next_seq, to = chr_load_acquire64(&c->oldest_seq);
    if (s->name[0] && !s->durable) {
        int64_t age = chr_monotonic_ns() - s->last_beat_ns;
        s->dead = 1;
        return chr_fail(e, CHR_E_FORGOTTEN, s->dir, s->name, (uint64_t)age, chr_load_acquire64(&c->head) - chr_reader_position(&s->hot), 0);
    }
    if (chr_reader_place(s, oldest, CHR_SEGMENT_DATA, CHR_SEQ_UNKNOWN, e) < 0)
        return -1;
    return chr_fail(e, CHR_E_EVICTED, s->dir, s->name, from, s->hot.next_seq > from ? s->hot.next_seq - 1 : to, 0);
}

/* Heartbeat; and is the segment under the cursor still the queue's? */
int chr_reader_alive(chr_subscriber *s)
{
    s->hot.beat_cycles = s->look_always ? 0 : chr_cycles() + s->beat_period;
    if (refuse_gone(s) < 0)
        return -1;
    uint64_t oldest = chr_load_acquire64(&control_of(s)->oldest);
    if (CHR_UNLIKELY(s->hot.map->number < oldest) && s->name[0] && !s->durable)
        return tell_gone(s, oldest);
    chr_page_beat(s);
    return 0;
}

/* ---------------------------------------------------------------- slow next */

static int complain(chr_subscriber *s, int verdict)
{
    chr_reader *r = &s->hot;
    if (refuse_gone(s) < 0)
        return -1;
    return chr_fail(&r->error, CHR_E_CORRUPT, s->dir, chr_verdict_text(verdict), r->map->number, r->offset, r->next_seq);
}

/* Brings the cursor onto a record: 1 there is one, 0 none yet, < 0 error. */
static int settle(chr_subscriber *s, uint64_t *next)
{
    chr_reader *r = &s->hot;
    for (;;) {
        const chr_frame_header *f = (const chr_frame_header *)(r->base + r->offset);
        int verdict = chr_examine_full(r->base, r->offset, s->segment_size, r->crc_seed, next);
        if (verdict == CHR_FRAME_OK && f->type_id == CHR_TYPE_LOST && f->seq >= r->next_seq)
            return 1;
        if (verdict == CHR_FRAME_OK && f->seq != r->next_seq)
            return complain(s, CHR_FRAME_BAD_CRC - 1);
        if (verdict == CHR_FRAME_OK && f->type_id != CHR_TYPE_PADDING)
            return 1;
        bool left = verdict == CHR_FRAME_OK;
        if (verdict == CHR_FRAME_NONE) {
            if (chr_load_acquire64(&control_of(s)->head) / s->segment_size <= r->map->number)
                return 0;
            if (chr_load_acquire32(&f->commit) != 0)
                continue; /* committed between the two looks */
        }
        if (!left && !at_quarantine(s))
            return complain(s, verdict);
        int crossed = cross(s);
        if (crossed <= 0)
            return crossed;
        const chr_segment_header *h = (const chr_segment_header *)r->base;
        const chr_frame_header *first = (const chr_frame_header *)(r->base + CHR_SEGMENT_DATA);
        if (!left && h->first_seq > r->next_seq && first->type_id != CHR_TYPE_LOST) {
            uint64_t hole = r->next_seq; /* segments after the quarantined one were kept: told once, then read on */
            r->next_seq = h->first_seq;
            s->gaps++;
            return chr_fail(&r->error, CHR_E_EVICTED, s->dir, s->name, hole, h->first_seq - 1, 0);
        }
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

static int slow_next(chr_reader *r, chr_frame *out)
{
    chr_subscriber *s = subscriber(r);
    uint64_t next;
    if (refuse_gone(s) < 0)
        return -1;
    int rc = settle(s, &next);
    if (rc <= 0)
        return rc < 0 ? rc : slow_idle(r);
    const chr_frame_header *f = (const chr_frame_header *)(r->base + r->offset);
    if (f->ts_ns >= r->beat_ts || chr_cycles() >= r->beat_cycles) {
        if (chr_reader_alive(s) < 0)
            return -1;
        r->beat_ts = f->ts_ns + CHR_BEAT_NS;
    }
    *out = (chr_frame){.payload = (const uint8_t *)(f + 1), .size = f->commit & CHR_LENGTH_MASK, .type_id = f->type_id};
    out->flags = f->flags;
    out->version = f->version;
    out->seq = f->seq;
    out->ts_ns = f->ts_ns;
    out->epoch = f->epoch;
    s->gaps += f->type_id == CHR_TYPE_LOST;
    r->epoch = f->epoch;
    r->back = next - r->offset;
    r->offset = next;
    r->next_seq = f->seq + 1;
    if (next >= r->end) {
        set_step(s);
        if (next * 4 >= (uint64_t)s->segment_size * 3 && s->ahead_number != r->map->number + 1 && s->config.agents)
            chr_task_want(CHR_AGENT_PREPARE, &s->prepare);
    }
    return 1;
}

int chr_reader_peek(chr_reader *r)
{
    uint64_t next;
    bool empty = chr_load_acquire32((const uint32_t *)(r->base + r->offset)) == 0;
    if (CHR_LIKELY(empty && chr_cycles() < r->beat_cycles && !r->map->broken))
        return 0;
    if (refuse_gone(subscriber(r)) < 0)
        return -1;
    int rc = settle(subscriber(r), &next);
    return rc ? rc : slow_idle(r);
}

static const chr_reader_ops reader_ops = {slow_next, slow_idle};

/* ---------------------------------------------------------------- place */

/* Puts the cursor at a frame. seq CHR_SEQ_UNKNOWN at a segment's first frame = what its header says. */
int chr_reader_place(chr_subscriber *s, uint64_t number, uint64_t offset, uint64_t seq, chr_error *e)
{
    chr_map *map = s->hot.map;
    if (map == NULL || map->number != number) {
        map = chr_segment_open(s->dir, number, s->segment_size, s->queue_id, false, e);
        if (map == NULL)
            return -1;
        pthread_mutex_lock(&s->making);
        enter_map(s, map, offset);
        pthread_mutex_unlock(&s->making);
    }
    const chr_segment_header *h = (const chr_segment_header *)map->base;
    s->hot.offset = offset;
    s->hot.back = 0;
    s->hot.beat_ts = INT64_MIN;
    note_quarantine(s);
    set_step(s);
    if (seq != CHR_SEQ_UNKNOWN)
        s->hot.next_seq = seq;
    else
        s->hot.next_seq = h->first_seq == CHR_SEQ_UNKNOWN ? chr_load_acquire64(&control_of(s)->next_seq) : h->first_seq;
    s->hot.epoch = offset == CHR_SEGMENT_DATA ? h->prev_epoch : 0;
    return 0;
}

static int place_oldest(chr_subscriber *s, chr_error *e)
{
    for (int attempt = 0; attempt < 64; attempt++) { /* retention may be at work: look again */
        uint64_t oldest = chr_load_acquire64(&control_of(s)->oldest), found;
        if (chr_reader_place(s, oldest, CHR_SEGMENT_DATA, CHR_SEQ_UNKNOWN, e) == 0)
            return 0;
        if (e->sys == ENOENT && chr_oldest_segment(s->dir, &found) && chr_reader_place(s, found, CHR_SEGMENT_DATA, CHR_SEQ_UNKNOWN, e) == 0)
            return 0;
        if (e->sys != ENOENT)
            return -1;
    }
    return -1;
}

static int place_latest(chr_subscriber *s, chr_error *e)
{
    for (int attempt = 0; attempt < 64; attempt++) {
        uint64_t seq, head = chr_control_tail(control_of(s), &seq);
        if (chr_reader_place(s, head / s->segment_size, head % s->segment_size, seq, e) < 0) {
            if (e->sys != ENOENT)
                return -1;
            continue;
        }
        const chr_frame_header *f = (const chr_frame_header *)(s->hot.base + s->hot.offset);
        if (chr_load_acquire32(&f->commit) != 0)
            s->hot.next_seq = f->seq;
        return 0;
    }
    return -1;
}

/* ---------------------------------------------------------------- resume */

static int rewound(chr_subscriber *s, const chr_slot *slot, chr_error *e)
{
    return chr_fail(e, CHR_E_REWOUND, s->dir, s->name, slot->seq, chr_load_acquire64(&control_of(s)->next_seq), 0);
}

/* The frame before the position must be the one that was read, the frame at it the one that follows. */
static bool slot_matches(const chr_subscriber *s, const chr_slot *slot)
{
    const chr_reader *r = &s->hot;
    const chr_segment_header *h = (const chr_segment_header *)r->base;
    uint64_t next, offset = r->offset;
    const chr_frame_header *f = (const chr_frame_header *)(r->base + offset);
    int verdict = chr_examine_full(r->base, offset, s->segment_size, r->crc_seed, &next);
    if (verdict == CHR_FRAME_OK && f->seq != slot->seq && f->type_id != CHR_TYPE_LOST)
        return false;
    if (slot->back) {
        if (slot->back > offset - CHR_SEGMENT_DATA || slot->back % CHR_ALIGN)
            return false;
        const chr_frame_header *last = (const chr_frame_header *)(r->base + offset - slot->back);
        return chr_examine_full(r->base, offset - slot->back, s->segment_size, r->crc_seed, &next) == CHR_FRAME_OK && next == offset &&
               last->seq + 1 == slot->seq && last->epoch == slot->epoch;
    }
    if (offset != CHR_SEGMENT_DATA || h->first_seq == CHR_SEQ_UNKNOWN)
        return true;
    return (h->first_seq == slot->seq || f->type_id == CHR_TYPE_LOST) && (slot->epoch == 0 || h->prev_epoch == slot->epoch);
}

static int resume(chr_subscriber *s, bool or_oldest, chr_error *e)
{
    chr_slot slot;
    uint64_t generation, seq;
    int have = chr_page_read((const chr_reader_page *)s->page->base, &slot, &generation);
    if (have == -2)
        return chr_fail(e, CHR_E_READER_PAGE, s->dir, s->name, 0, 0, 0);
    if (have == -1)
        return place_oldest(s, e);
    if (slot.queue_id != s->queue_id)
        return chr_fail(e, CHR_E_REPLACED, s->dir, s->name, s->queue_id, slot.queue_id, 0);
    const chr_control *c = control_of(s);
    uint64_t head = chr_control_tail(c, &seq), number = slot.position / s->segment_size;
    if (slot.position > head || slot.seq > seq)
        return rewound(s, &slot, e);
    if (number < chr_load_acquire64(&c->oldest) ||
        (chr_reader_place(s, number, slot.position % s->segment_size, slot.seq, e) < 0 && e->sys == ENOENT)) {
        if (place_oldest(s, e) < 0)
            return -1;
        if (or_oldest)
            return 0;
        return chr_fail(e, CHR_E_EVICTED, s->dir, s->name, slot.seq, s->hot.next_seq - 1, 0);
    }
    if (s->hot.map == NULL)
        return -1;
    if (!slot_matches(s, &slot))
        return rewound(s, &slot, e);
    s->hot.epoch = slot.epoch;
    s->hot.back = slot.back;
    return 0;
}

/* ---------------------------------------------------------------- open, close */

static int place_start(chr_subscriber *s, int start, uint64_t seq, int64_t ts_ns, chr_error *e)
{
    chr_slot slot;
    int rc;
    s->generation = 0;
    if (s->page != NULL) {
        int have = chr_page_read((const chr_reader_page *)s->page->base, &slot, &s->generation);
        s->next_slot = have < 0 ? 0 : (uint32_t)have ^ 1;
    }
    switch (start) {
    case CHR_START_LATEST: return place_latest(s, e);
    case CHR_START_EARLIEST: return place_oldest(s, e);
    case CHR_START_SEQ:
    case CHR_START_TIME:
        if (place_oldest(s, e) < 0)
            return -1;
        rc = start == CHR_START_SEQ ? chr_reader_seek_seq(&s->hot, seq) : chr_reader_seek_time(&s->hot, ts_ns);
        if (rc < 0)
            *e = s->hot.error;
        return rc;
    default: return s->page ? resume(s, start == CHR_START_RESUME_OR_OLDEST, e) : place_oldest(s, e);
    }
}

static bool is_durable(const chr_control *c, const char *name)
{
    for (uint32_t at = 0; at < c->durable_size && at < CHR_DURABLE_BYTES; at += (uint32_t)strlen(c->durable + at) + 1)
        if (strcmp(c->durable + at, name) == 0)
            return true;
    return false;
}

static void dispose(chr_subscriber *s)
{
    chr_map_release(s->ahead);
    chr_map_release(s->hot.map);
    chr_map_collect();
    if (s->page)
        chr_map_release_now(s->page);
    chr_pages_close(&s->pages);
    pthread_mutex_destroy(&s->making);
    free(s);
}

static int begin(chr_subscriber *s, int start, uint64_t seq, int64_t ts_ns, chr_error *e)
{
    char ready[640];
    chr_join(ready, sizeof ready, s->dir, "READY");
    if (access(ready, F_OK) != 0)
        return errno == EACCES ? chr_fail_sys(e, s->dir, "open", 0) : chr_fail(e, CHR_E_NOT_READY, s->dir, NULL, 0, 0, 0);
    if (chr_control_open(s->dir, false, &s->pages, e) < 0)
        return -1;
    const chr_control *c = control_of(s);
    s->segment_size = c->segment_size;
    s->queue_id = c->queue_id;
    s->hot.crc_seed = chr_crc_seed(s->queue_id);
    s->durable = s->name[0] && is_durable(c, s->name);
    s->read_only = !s->pages.notify->writable;
    if (s->name[0] && chr_page_open(s, e) < 0)
        return -1;
    if (place_start(s, start, seq, ts_ns, e) < 0)
        return -1;
    if (s->page)
        chr_reader_commit(&s->hot); /* from now on retention counts it */
    if (s->config.prefault)
        chr_map_populate(s->hot.map, s->hot.offset, s->segment_size, false);
    return 0;
}

/* Heartbeats are due in cycles, for a clock read costs more than the rest of next(). */
static uint64_t cycles_of(int64_t ns)
{
    chr_clock clock;
    chr_clock_init(&clock, true);
    if (clock.window == 0)
        return 0; /* no rate known: look at every idle call */
    return (uint64_t)(((unsigned __int128)(uint64_t)ns << 32) / clock.factor);
}

chr_reader *chr_reader_open(const char *dir, const char *name, const chr_config *config, int start, uint64_t seq, int64_t ts_ns, chr_error *e)
{
    chr_subscriber *s = calloc(1, sizeof *s);
    if (s == NULL || strlen(dir) >= sizeof s->dir || (name && strlen(name) >= sizeof s->name)) {
        free(s);
        chr_fail(e, CHR_E_HOST, dir, s ? "path or name too long" : "out of memory", 0, 0, 0);
        return NULL;
    }
    strcpy(s->dir, dir);
    strcpy(s->name, name ? name : "");
    s->config = *config;
    s->owner = getpid();
    s->event_fd = -1;
    s->ahead_number = UINT32_MAX;
    s->hot.ops = &reader_ops;
    s->beat_period = cycles_of(config->reader_ttl_ns / 4 < CHR_BEAT_NS ? config->reader_ttl_ns / 4 : CHR_BEAT_NS);
    pthread_mutex_init(&s->making, NULL);
    e->code = e->sys = 0;
    if (begin(s, start, seq, ts_ns, e) < 0) {
        if (e->code == CHR_E_HOST && e->sys == ENOENT)
            chr_fail(e, CHR_E_BROKEN, e->path, "segment is missing", 0, 0, 0);
        dispose(s);
        return NULL;
    }
    chr_fork_add_subscriber(s);
    chr_task_add(CHR_AGENT_PREPARE, &s->prepare, prepare_run, s);
    chr_agent_ensure(CHR_AGENT_CLEAN);
    return &s->hot;
}

void chr_reader_close(chr_reader *r)
{
    chr_subscriber *s = subscriber(r);
    chr_fork_remove_subscriber(s);
    if (!s->forked) {
        chr_task_remove(CHR_AGENT_PREPARE, &s->prepare);
        chr_reader_forget_fd(s);
        if (s->page)
            chr_unlock(s->page->fd);
    }
    dispose(s);
}

/* ---------------------------------------------------------------- commit */

int chr_reader_commit(chr_reader *r)
{
    chr_subscriber *s = subscriber(r);
    if (CHR_UNLIKELY(refuse_gone(s) < 0))
        return -1;
    if (s->page == NULL)
        return 0;
    chr_slot slot = {.queue_id = s->queue_id, .seq = r->next_seq, .epoch = r->epoch, .back = (uint32_t)r->back};
    const chr_frame_header *f = (const chr_frame_header *)(r->base + r->offset);
    if (chr_load_acquire32(&f->commit) != 0 && f->type_id == CHR_TYPE_PADDING) {
        slot.position = chr_position(s->segment_size, (uint64_t)r->map->number + 1, CHR_SEGMENT_DATA);
        slot.back = 0;
    } else {
        slot.position = chr_reader_position(r);
    }
    chr_page_store(s, &slot);
    return 0;
}

int chr_reader_flush(chr_reader *r)
{
    chr_subscriber *s = subscriber(r);
    if (chr_reader_commit(r) < 0)
        return -1;
    if (s->page != NULL && fdatasync(s->page->fd) != 0)
        return chr_fail_sys(&r->error, s->dir, "sync reader page", CHR_PAGE);
    return 0;
}

int chr_reader_heartbeat(chr_reader *r) { return chr_reader_alive(subscriber(r)); }
