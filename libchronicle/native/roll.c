/* The writer's slow half: the end of a 64 KiB step, the roll, heartbeat, wake.
 *
 *   step     note how far bytes may be touched, how far all is good, fill the index, heartbeat; in good time
 *            ask the prepare thread for the next segment
 *   roll     next segment begun -> padding committed -> the old one goes to the clean thread (seal, sync, unmap) -> marks, head -> wake
 *
 * A roll that finds the next segment ready makes no system call (but for a sleeping reader). If it is not ready the writer makes it itself and counts
 * roll_stalls. The seal is written by the clean thread, for it holds a checksum of the whole segment.
 *
 * `making` guards the spare and the number of the live segment against the prepare thread; uncontended it costs one locked instruction per roll.
 */
#include "chr_core.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define CHR_BEAT_NS 100000000ll

static chr_publisher *publisher(chr_writer *w) { return (chr_publisher *)w; }

int chr_writer_gone(chr_publisher *p)
{
    chr_writer *w = &p->hot;
    if (p->closed)
        return chr_fail(&w->error, CHR_E_CLOSED, p->dir, NULL, 0, 0, 0);
    if (p->forked)
        return chr_fail(&w->error, CHR_E_FORKED, p->dir, NULL, (uint64_t)p->owner, 0, 0);
    if (chr_load_acquire32(&p->replaced))
        return chr_fail(&w->error, CHR_E_REPLACED, p->dir, NULL, p->replaced_by, p->queue_id, 0);
    uint32_t epoch = chr_load_relaxed32(&w->control->epoch);
    if (*w->broken || p->pages.control->broken) {
        char name[32], path[640];
        chr_segment_name(name, p->number, "q");
        chr_join(path, sizeof path, p->dir, *w->broken ? name : "control.meta");
        return chr_fail(&w->error, CHR_E_BROKEN, path, "its bytes are gone", p->number, 0, 0);
    }
    if (epoch != w->epoch)
        return chr_fail(&w->error, CHR_E_FENCED, p->dir, NULL, epoch, w->epoch, 0);
    return 0;
}

/* ---------------------------------------------------------------- preparing the next segment */

static int make_spare(chr_publisher *p, chr_spare *spare, chr_error *e)
{
    spare->segment = chr_stock_use(p, spare->number);
    spare->warm = spare->segment != NULL;
    while (spare->segment == NULL) {
        e->code = 0;
        spare->segment = chr_segment_make(p->dir, spare->number, p->segment_size, p->queue_id, e);
        if (e->code != CHR_E_NO_SPACE || !chr_budget_free_some(p)) /* a full disk costs the oldest, not the newest */
            break;
    }
    if (spare->segment == NULL)
        return -1;
    spare->index = chr_index_open(p->dir, spare->number, p->segment_size, p->queue_id, true, e);
    if (spare->index == NULL) {
        chr_map_release(spare->segment);
        spare->segment = NULL;
        return -1;
    }
    return 0;
}

int chr_spare_prefault(const chr_publisher *p, const chr_spare *spare, uint64_t from, chr_error *e)
{
    if (p->config.prefault) {
        if (!spare->warm)
            chr_map_populate(spare->segment, from, p->segment_size, true);
        chr_map_populate(spare->index, 0, spare->index->size, true);
    }
    if (p->config.memlock && mlock(spare->segment->base, p->segment_size) != 0)
        return chr_fail_sys(e, p->dir, "memlock (LimitMEMLOCK=infinity grants it)", p->segment_size);
    return 0;
}

/* Runs in the prepare thread. */
int64_t chr_prepare_run(void *owner)
{
    chr_publisher *p = owner;
    chr_error e = {0};
    int64_t again = -1;
    pthread_mutex_lock(&p->making);
    chr_spare spare = {.number = p->number + 1};
    if (!p->spare_ready && !p->closed) {
        if (chr_budget_admit(p, &e) < 0 || make_spare(p, &spare, &e) < 0) {
            again = 50000000; /* full disk or budget: look again; the writer tells the caller if it comes to that */
        } else {
            chr_spare_prefault(p, &spare, 0, &e);
            p->spare = spare;
            chr_store_release32(&p->spare_ready, 1);
        }
    }
    pthread_mutex_unlock(&p->making);
    return again;
}

void chr_spare_drop(chr_publisher *p)
{
    if (!p->spare_ready)
        return;
    chr_map_release(p->spare.segment);
    chr_map_release(p->spare.index);
    chr_store_release32(&p->spare_ready, 0);
}

/* The next segment, made here and now if the prepare thread has none. Called with `making` held until `number` has moved on, else the prepare thread
 * could take the segment just handed over for one still to be made. Stale work is dropped by number. */
static int take_spare(chr_publisher *p, chr_spare *out, chr_error *e)
{
    if (p->spare_ready && p->spare.number != p->number + 1)
        chr_spare_drop(p);
    out->number = p->number + 1;
    if (p->spare_ready) {
        *out = p->spare;
        chr_store_release32(&p->spare_ready, 0);
        return 0;
    }
    if (chr_budget_admit(p, e) < 0 || make_spare(p, out, e) < 0)
        return -1;
    chr_fetch_add64(&p->hot.control->roll_stalls, 1);
    return 0;
}

/* ---------------------------------------------------------------- roll */

static void index_upto(chr_publisher *p, uint64_t slot)
{
    if (slot < p->index_from || p->hot.last_offset == 0)
        return;
    chr_index_fill(p->index, p->index_from, slot, p->segment, p->hot.last_offset);
    p->index_from = (uint32_t)slot + 1;
}

static void commit_padding(chr_publisher *p)
{
    chr_writer *w = &p->hot;
    chr_frame_header *f = (chr_frame_header *)(w->base + w->offset);
    uint32_t commit = CHR_COMMIT_TAG | (uint32_t)(p->segment_size - w->offset - CHR_FRAME_HEADER);
    f->type_id = CHR_TYPE_PADDING;
    f->flags = 0;
    f->version = CHR_FRAME_VERSION;
    f->seq = w->seq;
    f->ts_ns = w->last_ts;
    f->epoch = w->epoch;
    f->crc = chr_frame_crc(w->crc_seed, commit, f, f + 1, 0);
    chr_store_release32(&f->commit, commit);
}

void chr_live_in(chr_publisher *p, const chr_spare *spare, uint64_t offset)
{
    chr_writer *w = &p->hot;
    p->segment = spare->segment;
    p->index = spare->index;
    p->number = spare->number;
    p->began_ns = 0;
    p->spare_asked = 0;
    w->base = spare->segment->base;
    w->broken = &spare->segment->broken;
    w->offset = offset;
    w->last_offset = 0;
    w->position_base = chr_position(p->segment_size, spare->number, 0);
    w->end = 0; /* the first frame takes a step */
    p->index_from = (uint32_t)(offset / CHR_STEP) + 1;
}

/* Where a walk may begin so that it sees the last frame, and with it the last epoch and time. */
uint64_t chr_last_position(const chr_writer *w)
{
    return w->position_base + (w->last_offset ? w->last_offset : w->offset);
}

void chr_publish_head(chr_writer *w)
{
    chr_store_release64(&w->control->next_seq, w->seq);
    chr_store_release64(&w->control->head, w->position_base + w->offset);
}

/* For chr_stock_hurried. */
static void note_pace(chr_publisher *p, int64_t began_ns, uint64_t bytes)
{
    int64_t now = chr_monotonic_ns();
    bool hurries = p->in_memory && began_ns != 0 && (uint64_t)(now - began_ns) < bytes * (1000000000ull / CHR_HURRY_BYTES_S);
    chr_store_relaxed64((uint64_t *)&p->hurried_ns, hurries ? (uint64_t)now : 0);
}

static int roll(chr_publisher *p)
{
    chr_writer *w = &p->hot;
    int64_t began_ns = p->began_ns;
    chr_spare spare = {0};
    chr_retired *old = malloc(sizeof *old);
    if (old == NULL)
        return chr_fail(&w->error, CHR_E_HOST, p->dir, "out of memory", 0, 0, 0);
    pthread_mutex_lock(&p->making);
    if (take_spare(p, &spare, &w->error) < 0) {
        pthread_mutex_unlock(&p->making);
        free(old);
        return -1;
    }
    uint32_t prev_epoch = w->last_offset ? ((const chr_frame_header *)(w->base + w->last_offset))->epoch
                                         : ((const chr_segment_header *)w->base)->prev_epoch;
    chr_segment_begin(spare.segment, w->seq, w->last_ts, prev_epoch);
    index_upto(p, p->segment_size / CHR_STEP);
    *old = (chr_retired){.segment = p->segment, .index = p->index, .end = (uint32_t)w->offset};
    commit_padding(p);
    chr_live_in(p, &spare, CHR_SEGMENT_DATA);
    pthread_mutex_unlock(&p->making);
    chr_store_release64(&w->control->touched, w->position_base + CHR_SEGMENT_DATA);
    chr_store_release64(&w->control->checked, w->position_base + CHR_SEGMENT_DATA);
    chr_publish_head(w);
    note_pace(p, began_ns, old->end);
    chr_left_push(p, old);
    chr_store_relaxed64(&w->control->rolls, w->control->rolls + 1);
    chr_task_note(&p->clean);
    chr_fence();
    if (chr_load_relaxed32(&w->notify->word) & 1)
        w->ops->wake(w);
    return 0;
}

int chr_writer_roll(chr_writer *w)
{
    chr_publisher *p = publisher(w);
    if (chr_writer_gone(p) < 0)
        return -1;
    if (w->reserved)
        return chr_fail(&w->error, CHR_E_MISUSE, p->dir, "a reservation is open", 0, 0, 0);
    return w->offset == CHR_SEGMENT_DATA ? 0 : roll(p);
}

/* ---------------------------------------------------------------- the end of a step */

/* From three quarters full on, since a process may own hundreds of queues; earlier in one that would be full within 40 ms at its present rate,
 * so that a prepare thread kept off its core for a while still comes in time. */
static bool due_for_spare(const chr_publisher *p, uint64_t upto, int64_t elapsed_ns)
{
    uint64_t left = p->segment_size - upto;
    return left * 3 <= upto || (elapsed_ns > 0 && (double)elapsed_ns * (double)left < 4e7 * (double)upto);
}

static void step(chr_publisher *p, uint64_t end)
{
    chr_writer *w = &p->hot;
    uint64_t upto = (end + CHR_STEP - 1) / CHR_STEP * CHR_STEP;
    if (upto > p->limit)
        upto = p->limit;
    chr_store_release64(&w->control->touched, w->position_base + upto);
    chr_store_release64(&w->control->checked, chr_last_position(w));
    index_upto(p, (upto - 1) / CHR_STEP);
    int64_t now = chr_monotonic_ns();
    if (p->began_ns == 0) {
        p->began_ns = now;
    } else if (w->offset >= CHR_STEP && __atomic_load_n(&p->retired, __ATOMIC_RELAXED) != NULL) {
        chr_task_want(CHR_AGENT_CLEAN, &p->clean);
    }
    w->end = upto;
    if (!p->spare_asked && p->config.agents && due_for_spare(p, upto, now - p->began_ns)) {
        p->spare_asked = 1; /* once per segment: the task comes back by itself if the disk is full */
        chr_task_want(CHR_AGENT_PREPARE, &p->prepare);
    }
    chr_store_relaxed64((uint64_t *)&w->control->heartbeat_ns, (uint64_t)now);
}

void *chr_writer_reserve(chr_writer *w, uint16_t type_id, uint32_t size)
{
    chr_publisher *p = publisher(w);
    if (chr_writer_gone(p) < 0)
        return NULL;
    if (w->reserved) {
        chr_fail(&w->error, CHR_E_MISUSE, p->dir, "a reservation is open", 0, 0, 0);
        return NULL;
    }
    if (type_id >= CHR_TYPE_RESERVED) {
        chr_fail(&w->error, CHR_E_RESERVED_TYPE, p->dir, NULL, type_id, 0, 0);
        return NULL;
    }
    if (size > chr_payload_limit(p->segment_size)) {
        chr_fail(&w->error, CHR_E_TOO_LARGE, p->dir, NULL, size, chr_payload_limit(p->segment_size), 0);
        return NULL;
    }
    if (w->offset + chr_frame_bytes(size) > p->limit && roll(p) < 0)
        return NULL;
    if (w->offset + chr_frame_bytes(size) > w->end)
        step(p, w->offset + chr_frame_bytes(size));
    w->reserved_type = type_id;
    w->reserved = (uint64_t)size + 1;
    return w->base + w->offset + CHR_FRAME_HEADER;
}

static int64_t slow_refuse(chr_writer *w, uint32_t size, int64_t ts_ns)
{
    chr_publisher *p = publisher(w);
    if (chr_writer_gone(p) < 0)
        return -1;
    if (w->reserved == 0)
        return chr_fail(&w->error, CHR_E_MISUSE, p->dir, "nothing is reserved", 0, 0, 0);
    if (size >= w->reserved)
        return chr_fail(&w->error, CHR_E_TOO_LARGE, p->dir, NULL, size, w->reserved - 1, 0);
    return chr_fail(&w->error, CHR_E_TIME_ORDER, p->dir, NULL, (uint64_t)ts_ns, (uint64_t)w->last_ts, 0);
}

/* ---------------------------------------------------------------- liveness */

static void slow_wake(chr_writer *w)
{
    chr_fetch_add32(&w->notify->word, 1); /* clears the waiter bit and moves the generation in one step */
    chr_word_wake_all(&w->notify->word);
    chr_store_relaxed64(&w->control->wakes, w->control->wakes + 1);
}

void chr_writer_beat(chr_writer *w, int64_t ts_ns)
{
    chr_publisher *p = publisher(w);
    int64_t now = chr_monotonic_ns();
    chr_store_relaxed64((uint64_t *)&w->control->heartbeat_ns, (uint64_t)now);
    chr_store_relaxed64((uint64_t *)&w->control->heartbeat_real_ns, (uint64_t)chr_realtime_ns());
    w->beat_ts = ts_ns + CHR_BEAT_NS;
    if (CHR_UNLIKELY(memcmp(p->geometry, w->control, sizeof p->geometry) != 0))
        memcpy(w->control, p->geometry, sizeof p->geometry); /* a flipped bit there would keep every new reader out */
    if (p->config.max_segment_age_ns && p->began_ns && now - p->began_ns >= p->config.max_segment_age_ns && w->reserved == 0 &&
        w->offset > CHR_SEGMENT_DATA) {
        chr_error kept = w->error;
        if (roll(p) < 0)
            w->error = kept; /* full: the next append that needs the room will say so */
    }
}

int chr_writer_heartbeat(chr_writer *w)
{
    chr_publisher *p = publisher(w);
    if (chr_writer_gone(p) < 0)
        return -1;
    chr_writer_beat(w, w->last_ts);
    if (__atomic_load_n(&p->retired, __ATOMIC_RELAXED) != NULL)
        chr_task_want(CHR_AGENT_CLEAN, &p->clean);
    return 0;
}

const chr_writer_ops chr_writer_operations = {chr_writer_reserve, slow_refuse, chr_writer_beat, slow_wake};
