/* A reader's life: open, start modes, resume, commit, close.
 *
 * States: open -> closed | forked (in a child) | dead (forgotten by the writer). Where a reader stands while open is cursor.c's matter.
 *
 * Resume: the page names the next record and the one read before it. Both must be found as they were, else Rewound: a queue that lost its unsynced end
 * may hold other records under the same seqs.
 */
#include "chr_core.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHR_BEAT_NS 100000000ll

static chr_subscriber *subscriber(const chr_reader *r) { return (chr_subscriber *)r; }

static const chr_control *control_of(const chr_subscriber *s) { return (const chr_control *)s->pages.control->base; }

static bool unreadable(const chr_error *e) { return e->sys == ENOENT || e->code == CHR_E_BROKEN || e->code == CHR_E_CORRUPT; }

/* The segment to begin in is missing or cannot be read: stand at the first one behind it that can, and let next() tell of it and of what is lost with it. */
static int place_behind(chr_subscriber *s, const chr_slot *from, chr_error *e)
{
    const chr_control *c = control_of(s);
    chr_error why = *e;
    uint64_t last = chr_load_acquire64(&c->head) / s->segment_size;
    for (uint64_t number = chr_segment_after(s->dir, from->position / s->segment_size); number <= last; number = chr_segment_after(s->dir, number)) {
        if (chr_reader_place(s, number, CHR_SEGMENT_DATA, CHR_SEQ_UNKNOWN, e) < 0)
            continue;
        const chr_segment_header *h = (const chr_segment_header *)s->hot.base;
        uint64_t upto = s->hot.next_seq;
        if (why.sys != ENOENT)
            s->late = why;
        s->hot.next_seq = from->seq < upto ? from->seq : upto;
        chr_hole_note(s, from, upto, h->first_ts, h->prev_epoch);
        return 0;
    }
    *e = why;
    return -1;
}

int chr_reader_place_oldest(chr_subscriber *s, chr_error *e)
{
    for (int attempt = 0; attempt < 64; attempt++) { /* retention may be at work: look again */
        uint64_t oldest = chr_reader_oldest(s), found, highest;
        if (chr_reader_place(s, oldest, CHR_SEGMENT_DATA, CHR_SEQ_UNKNOWN, e) == 0)
            return 0;
        if (e->sys == ENOENT && chr_segment_range(s->dir, &found, &highest) && chr_reader_place(s, found, CHR_SEGMENT_DATA, CHR_SEQ_UNKNOWN, e) == 0)
            return 0;
        chr_slot from = {.queue_id = s->queue_id, .position = chr_position(s->segment_size, oldest, CHR_SEGMENT_DATA)};
        from.seq = chr_load_acquire64(&control_of(s)->oldest_seq);
        if (!unreadable(e))
            return -1;
        if (e->sys != ENOENT)
            return place_behind(s, &from, e);
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

/* The record read last may stand where it stood while its end of the queue was lost and is written elsewhere: then the reader has lost nothing. An epoch
 * and a seq name one record for ever, and with it all before it. */
static int find_again(chr_subscriber *s, const chr_slot *slot, chr_error *e)
{
    chr_frame f;
    uint64_t seq;
    chr_control_tail(control_of(s), &seq);
    bool known = slot->seq > 0 && slot->epoch != 0 && slot->seq <= seq;
    if (known && chr_reader_place_oldest(s, e) == 0 && chr_reader_seek_seq(&s->hot, slot->seq - 1) == 0 && chr_next(&s->hot, &f) == 1 &&
        f.seq + 1 == slot->seq && f.epoch == slot->epoch && f.type_id != CHR_TYPE_LOST)
        return 0;
    return rewound(s, slot, e);
}

/* Where the page says, or at the oldest record if retention has passed that. It takes its mark back when it finds that a reader has come meanwhile. */
static int place_at(chr_subscriber *s, const chr_slot *slot, bool *passed, chr_error *e)
{
    uint64_t number = slot->position / s->segment_size;
    for (int attempt = 0;; attempt++) {
        *passed = chr_reader_passed(s, number);
        int placed = *passed ? chr_reader_place_oldest(s, e) : chr_reader_place(s, number, slot->position % s->segment_size, slot->seq, e);
        bool taken_back = *passed ? placed == 0 && s->hot.next_seq < slot->seq : placed < 0 && chr_reader_passed(s, number);
        if (!taken_back || attempt == 64)
            return placed;
    }
}

static int resume(chr_subscriber *s, bool or_oldest, chr_error *e)
{
    chr_slot slot;
    uint64_t generation, seq;
    int have = chr_page_read((const chr_reader_page *)s->page->base, &slot, &generation);
    if (have == -2 && !or_oldest)
        return chr_fail(e, CHR_E_READER_PAGE, s->dir, s->name, 0, 0, 0);
    if (have < 0)
        return chr_reader_place_oldest(s, e);
    if (slot.queue_id != s->queue_id)
        return chr_fail(e, CHR_E_REPLACED, s->dir, s->name, s->queue_id, slot.queue_id, 0);
    const chr_control *c = control_of(s);
    uint64_t head = chr_control_tail(c, &seq);
    if (slot.position > head || slot.seq > seq)
        return find_again(s, &slot, e);
    bool passed;
    int placed = place_at(s, &slot, &passed, e);
    if (passed) {
        if (placed < 0)
            return -1;
        bool all_read = s->hot.next_seq == slot.seq && (slot.epoch == 0 || s->hot.epoch == slot.epoch);
        if (or_oldest || all_read)
            return 0;
        return chr_fail(e, CHR_E_EVICTED, s->dir, s->name, slot.seq, s->hot.next_seq - 1, 0);
    }
    if (placed < 0 && !unreadable(e))
        return -1;
    if (placed < 0 && place_behind(s, &slot, e) < 0)
        return or_oldest ? chr_reader_place_oldest(s, e) : -1;
    if (placed < 0 && s->hot.next_seq >= slot.seq)
        return 0;
    if (placed < 0)
        s->late.code = 0; /* what follows bears numbers that it has read: they were given out again */
    if (placed < 0 || !slot_matches(s, &slot))
        return find_again(s, &slot, e);
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
    case CHR_START_EARLIEST: return chr_reader_place_oldest(s, e);
    case CHR_START_SEQ:
    case CHR_START_TIME:
        if (chr_reader_place_oldest(s, e) < 0)
            return -1;
        rc = start == CHR_START_SEQ ? chr_reader_seek_seq(&s->hot, seq) : chr_reader_seek_time(&s->hot, ts_ns);
        if (rc < 0)
            *e = s->hot.error;
        return rc;
    default: return s->page ? resume(s, start == CHR_START_RESUME_OR_OLDEST, e) : chr_reader_place_oldest(s, e);
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
    for (int i = 0; i < CHR_INDEXES_KEPT; i++)
        chr_map_release_now(s->indexes[i]);
    free(s->firsts);
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
    if (s->name[0] && chr_page_open(s, start == CHR_START_RESUME, e) < 0)
        return -1;
    if (place_start(s, start, seq, ts_ns, e) < 0)
        return -1;
    if (start == CHR_START_RESUME && s->generation == 0)
        start = CHR_START_RESUME_OR_OLDEST; /* new: what it stores below is no position anybody has read up to */
    for (int attempt = 0; s->page != NULL && attempt < 64; attempt++) {
        chr_reader_commit(&s->hot); /* from now on retention counts it */
        chr_page_beat(s);
        chr_fence();
        if (!chr_reader_passed(s, chr_reader_stands(s).position / s->segment_size))
            break;
        if (place_start(s, start, seq, ts_ns, e) < 0) /* it was passed before that */
            return -1;
    }
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
    s->event_fd = s->ring_fd = -1;
    s->ahead_number = UINT32_MAX;
    s->holds = CHR_SEQ_UNKNOWN;
    s->hot.ops = &chr_reader_operations;
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
    chr_task_add(CHR_AGENT_PREPARE, &s->prepare, chr_ahead_run, s);
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

static int page_gone(chr_subscriber *s)
{
    char name[160], path[640];
    snprintf(name, sizeof name, "readers/%s.meta", s->name);
    chr_join(path, sizeof path, s->dir, name);
    return chr_fail(&s->hot.error, CHR_E_BROKEN, path, "its bytes are gone; this reader's position is not kept", 0, 0, 0);
}

/* From where on retention lets this reader keep. What had gone when it committed there it does not hold, nor does that make it dead; and who was taken for
 * dead is not brought back by a commit. */
static void note_held(chr_subscriber *s, uint64_t number)
{
    uint64_t oldest = chr_load_acquire64(&control_of(s)->oldest);
    if (s->holds >= oldest || number >= oldest)
        s->holds = number > oldest ? number : oldest;
}

int chr_reader_commit(chr_reader *r)
{
    chr_subscriber *s = subscriber(r);
    if (CHR_UNLIKELY(chr_reader_gone(s) < 0))
        return -1;
    if (s->page == NULL)
        return 0;
    chr_slot slot = chr_reader_stands(s);
    chr_page_store(s, &slot);
    note_held(s, slot.position / s->segment_size);
    return CHR_UNLIKELY(s->page->broken) ? page_gone(s) : 0;
}

int chr_reader_flush(chr_reader *r)
{
    chr_subscriber *s = subscriber(r);
    if (chr_reader_commit(r) < 0)
        return -1;
    if (s->page != NULL && chr_sync_data(s->page->fd) != 0)
        return chr_fail_sys(&r->error, s->dir, "sync reader page", CHR_PAGE);
    return 0;
}

int chr_reader_heartbeat(chr_reader *r) { return chr_reader_alive(subscriber(r)); }
