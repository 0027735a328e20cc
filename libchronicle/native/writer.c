/* A writer's life: open, recover, announce, close.
 *
 *   open     lock control.meta (mended first if it is damaged: mend.c) -> recover -> epoch + 1, made durable -> map the live segment -> declare what was lost -> READY
 *   close    seal what was left, mark, unlock
 *
 * States: open -> closed; open -> forked (in a child), open -> fenced (another epoch stands in the control page). Only close leads out of the latter two.
 */
#include "chr_core.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static chr_publisher *publisher(chr_writer *w) { return (chr_publisher *)w; }

/* ---------------------------------------------------------------- open, close */

int chr_writer_active(const char *dir, chr_error *e)
{
    char path[640], text[64] = "";
    chr_join(path, sizeof path, dir, "writer.lock");
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f)
        fclose(f);
    text[n] = 0;
    const char *pid = strstr(text, "pid=");
    return chr_fail(e, CHR_E_WRITER_ACTIVE, dir, NULL, pid ? strtoull(pid + 4, NULL, 10) : 0, 0, 0);
}

static int take_lock(chr_publisher *p, chr_error *e)
{
    int held = chr_lock_exclusive(p->pages.fd), owned = held > 0 ? chr_lock_probe(p->pages.fd) : 0;
    if (held > 0 && !owned) /* its owner has just left, or a stranger's shared lock is on it */
        held = chr_lock_exclusive(p->pages.fd);
    if (held == 0)
        return 0;
    if (held > 0 && !owned && !chr_lock_probe(p->pages.fd))
        return chr_fail(e, CHR_E_HOST, p->dir, "a process that is no writer holds a read lock on control.meta; `lslocks` tells which", 0, 0, 0);
    if (held > 0) {
        chr_writer_active(p->dir, e);
        e->a = e->a ? e->a : ((const chr_control *)p->pages.control->base)->pid; /* somebody removed writer.lock */
        return -1;
    }
    errno = -held;
    return chr_fail_sys(e, p->dir, "lock", 0);
}

/* The names of the queue and of its files are worth no more than the one that leads to them. */
static int sync_parent(const char *dir, chr_error *e)
{
    char parent[640];
    snprintf(parent, sizeof parent, "%s", dir);
    char *end = parent + strlen(parent);
    while (end > parent && end[-1] == '/')
        *--end = 0;
    char *slash = strrchr(parent, '/');
    snprintf(slash ? slash + 1 : parent, 2, "%s", slash ? "" : ".");
    if (chr_sync_dir(parent) == 0 || errno == EACCES)
        return 0;
    return chr_fail_sys(e, parent, "sync directory", 0);
}

static int make_directories(const char *dir, chr_error *e)
{
    char readers[640], ready[640];
    chr_join(readers, sizeof readers, dir, "readers");
    chr_join(ready, sizeof ready, dir, "READY");
    if (mkdir(dir, 0750) == 0)
        chmod(dir, 02750);
    else if (errno != EEXIST)
        return chr_fail_sys(e, dir, "mkdir", 0);
    if (mkdir(readers, 0770) == 0)
        chmod(readers, 03770);
    else if (errno != EEXIST)
        return chr_fail_sys(e, readers, "mkdir", 0);
    return access(ready, F_OK) == 0 ? 0 : sync_parent(dir, e);
}

/* The page there is, a new one for a new queue, or one built from the segments of a queue that has lost its own. */
static int open_pages(chr_publisher *p, const char *path, chr_error *e)
{
    bool missing = access(path, F_OK) != 0 && errno == ENOENT, orphaned = missing && chr_has_segments(p->dir);
    int rc = orphaned ? chr_control_rescue(p->dir, p->config.segment_size, e) : missing ? chr_control_create(p->dir, p->config.segment_size, e) : 0;
    p->mended |= orphaned ? CHR_MENDED_CONTROL : 0;
    return rc < 0 ? -1 : chr_control_open(p->dir, true, &p->pages, e);
}

/* Lock the control page that stands under the name now: between open and lock it may have been replaced. */
static int open_locked(chr_publisher *p, chr_error *e)
{
    char path[640];
    chr_join(path, sizeof path, p->dir, "control.meta");
    for (int attempt = 0; attempt < 8; attempt++) {
        e->code = 0;
        if (open_pages(p, path, e) < 0) {
            if (e->code == CHR_E_NOT_READY)
                continue; /* taken away between two looks */
            if (e->code != CHR_E_CONTROL || chr_control_rescue(p->dir, p->config.segment_size, e) < 0)
                return -1;
            p->mended |= CHR_MENDED_CONTROL;
            continue;
        }
        if (take_lock(p, e) == 0 && chr_same_file(p->pages.fd, path))
            return 0;
        chr_pages_close(&p->pages);
        if (e->code)
            return -1;
    }
    return chr_fail(e, CHR_E_HOST, p->dir, "control.meta keeps being replaced", 0, 0, 0);
}

static void sign_control(chr_publisher *p)
{
    chr_control *c = p->hot.control;
    c->pid = (uint32_t)p->owner;
    c->start_time = chr_start_time(p->owner);
    c->closed = 0;
    c->budget_bytes = p->config.budget_bytes;
    c->max_lag_bytes = p->config.max_lag_bytes;
    c->reader_ttl_ns = p->config.reader_ttl_ns;
    c->on_full = (uint32_t)p->config.on_full;
    c->durable_size = p->config.durable_size;
    memcpy(c->durable, p->config.durable, CHR_DURABLE_BYTES);
}

static int open_tail(chr_publisher *p, const chr_tail *tail, chr_spare *spare, chr_error *e)
{
    spare->number = (uint32_t)tail->number;
    spare->segment = tail->fresh ? chr_segment_make(p->dir, tail->number, p->segment_size, p->queue_id, e)
                                 : chr_segment_open(p->dir, tail->number, p->segment_size, p->queue_id, true, e);
    if (spare->segment == NULL)
        return -1;
    spare->index = chr_index_open(p->dir, tail->number, p->segment_size, p->queue_id, true, e);
    if (spare->index != NULL)
        return 0;
    chr_map_release_now(spare->segment);
    return -1;
}

/* On the medium before the first append under it: no (epoch, seq) comes twice, not even after power loss. */
static int take_epoch(chr_publisher *p, uint32_t seen, chr_error *e)
{
    chr_control *c = p->hot.control;
    chr_store_release32(&c->epoch, (c->epoch > seen ? c->epoch : seen) + 1);
    p->hot.epoch = c->epoch;
    return msync(c, CHR_PAGE, MS_SYNC) == 0 ? 0 : chr_fail_sys(e, p->dir, "sync control.meta", 0);
}

/* The first record of a segment that follows one with a lost end. It stands before the marks move: a crash in between finds the hole again. */
static void declare_lost(chr_publisher *p, const chr_tail *tail)
{
    chr_writer *w = &p->hot;
    chr_lost lost = {tail->lost_from, tail->seq - 1};
    int64_t now = chr_now_ns(&w->clock);
    chr_publish(w, CHR_TYPE_LOST, &lost, sizeof lost, now > w->last_ts ? now : w->last_ts, 0);
}

/* The boot id comes last and in one piece: it vouches for the marks, and half of it is nobody's. */
static void set_marks(chr_publisher *p)
{
    chr_writer *w = &p->hot;
    chr_control *c = w->control;
    uint8_t boot[16];
    uint64_t half[2];
    c->last_ts = w->last_ts;
    chr_store_release64(&c->touched, w->position_base + w->offset);
    chr_store_release64(&c->checked, chr_last_position(w));
    chr_publish_head(w);
    if (c->synced > c->head) /* it may not stand beyond what is there */
        c->synced = chr_position(p->segment_size, chr_walk_from(p->dir, 0, p->number), CHR_SEGMENT_DATA);
    chr_boot_id(boot);
    memcpy(half, boot, sizeof half);
    chr_store_release64((uint64_t *)&c->boot_id[0], half[0]);
    chr_store_release64((uint64_t *)&c->boot_id[8], half[1]);
}

/* Where recovery ended, made into epoch, head and marks. */
static int adopt(chr_publisher *p, const chr_tail *tail, chr_error *e)
{
    chr_writer *w = &p->hot;
    chr_spare spare = {0};
    if (open_tail(p, tail, &spare, e) < 0)
        return -1;
    chr_live_in(p, &spare, tail->offset);
    p->first_number = spare.number;
    if (chr_spare_prefault(p, &spare, tail->offset, e) < 0 || take_epoch(p, tail->last_epoch, e) < 0)
        return -1;
    w->last_ts = tail->last_ts;
    w->last_offset = tail->last_offset;
    w->seq = tail->seq;
    if (tail->fresh)
        chr_segment_begin(spare.segment, tail->seq, tail->last_ts, tail->last_epoch);
    else if (!chr_index_whole(spare.index, tail->offset / CHR_STEP))
        chr_index_rebuild(spare.index, spare.segment, w->crc_seed, tail->offset);
    if (tail->lost_from < tail->seq)
        declare_lost(p, tail);
    set_marks(p);
    sign_control(p);
    return 0;
}

/* READY stays as it is while it names this queue. */
static int make_ready(const chr_publisher *p, chr_error *e)
{
    char path[640], text[256], found[256] = "";
    chr_join(path, sizeof path, p->dir, "READY");
    snprintf(text, sizeof text, "queue_id=%016llx version=%u\n", (unsigned long long)p->queue_id, CHR_FORMAT_VERSION);
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(found, 1, sizeof found - 1, f) : 0;
    if (f)
        fclose(f);
    found[n] = 0;
    return strcmp(found, text) == 0 ? 0 : chr_replace_text(p->dir, "READY", chr_file_mode(p->dir), text, e);
}

static int announce(chr_publisher *p, chr_error *e)
{
    char text[256], boot[33] = "";
    for (int i = 0; i < 16; i++)
        snprintf(boot + 2 * i, 3, "%02x", p->hot.control->boot_id[i]);
    snprintf(text, sizeof text, "pid=%d start_time=%llu boot_id=%s epoch=%u\n", (int)p->owner,
             (unsigned long long)p->hot.control->start_time, boot, p->hot.epoch);
    if (chr_replace_text(p->dir, "writer.lock", chr_file_mode(p->dir), text, e) < 0)
        return -1;
    if (make_ready(p, e) < 0)
        return -1;
    chr_fetch_add32(&p->hot.notify->word, 2); /* a sleeper of the writer before looks again */
    chr_word_wake_all(&p->hot.notify->word);
    return 0;
}

static int start(chr_publisher *p, chr_error *e)
{
    chr_writer *w = &p->hot;
    chr_tail tail;
    if (make_directories(p->dir, e) < 0 || open_locked(p, e) < 0)
        return -1;
    w->control = (chr_control *)p->pages.control->base;
    w->notify = (chr_notify *)p->pages.notify->base;
    p->segment_size = w->control->segment_size;
    p->limit = p->segment_size - CHR_FRAME_HEADER;
    p->queue_id = w->control->queue_id;
    p->in_memory = chr_in_memory(p->pages.fd);
    memcpy(p->geometry, w->control, sizeof p->geometry);
    w->crc_seed = chr_crc_seed(p->queue_id);
    chr_clock_init(&w->clock, p->config.tsc);
    chr_sweep_leftovers(p->dir);
    if (chr_recover(p->dir, w->control, &tail, e) < 0 || adopt(p, &tail, e) < 0)
        return -1;
    p->mended |= tail.mended;
    chr_oldest_adopt(p);
    return announce(p, e);
}

static void dispose(chr_publisher *p)
{
    pthread_mutex_lock(&p->making);
    chr_spare_drop(p);
    pthread_mutex_unlock(&p->making);
    if (p->segment)
        chr_map_release(p->segment);
    if (p->index)
        chr_map_release(p->index);
    chr_stock_drop(p);
    chr_map_collect();
    chr_pages_close(&p->pages);
    pthread_mutex_destroy(&p->making);
    pthread_mutex_destroy(&p->cleaning);
    free(p);
}

chr_writer *chr_writer_open(const char *dir, const chr_config *config, chr_error *e)
{
    chr_publisher *p = calloc(1, sizeof *p);
    if (p == NULL || strlen(dir) >= sizeof p->dir) {
        free(p);
        chr_fail(e, CHR_E_HOST, dir, p ? "path too long" : "out of memory", 0, 0, 0);
        return NULL;
    }
    strcpy(p->dir, dir);
    p->config = *config;
    p->owner = getpid();
    p->hot.ops = &chr_writer_operations;
    pthread_mutex_init(&p->making, NULL);
    pthread_mutex_init(&p->cleaning, NULL);
    e->code = 0;
    if (start(p, e) < 0) {
        dispose(p);
        return NULL;
    }
    chr_writer_beat(&p->hot, p->hot.last_ts);
    chr_fork_add_publisher(p);
    chr_task_add(CHR_AGENT_PREPARE, &p->prepare, chr_prepare_run, p);
    chr_task_add(CHR_AGENT_CLEAN, &p->clean, chr_clean_task, p);
    return &p->hot;
}

/* For the day when control.meta is gone: then writer.lock is all that tells whether this process still writes. */
static void say_closed(const chr_publisher *p)
{
    char path[640], text[256] = "", mine[48], epoch[24];
    chr_join(path, sizeof path, p->dir, "writer.lock");
    snprintf(mine, sizeof mine, "pid=%d ", (int)p->owner);
    snprintf(epoch, sizeof epoch, "epoch=%u\n", p->hot.epoch);
    int fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : pread(fd, text, sizeof text - 1, 0);
    text[n < 0 ? 0 : n] = 0;
    bool ours = strstr(text, mine) == text && strstr(text, epoch) != NULL; /* else another has come since */
    if (ours && write(fd, "closed\n", 7) != 7) {
        /* a full disk: who finds control.meta gone asks the kernel about the pid */
    }
    if (fd >= 0)
        close(fd);
}

void chr_writer_close(chr_writer *w)
{
    chr_publisher *p = publisher(w);
    chr_fork_remove_publisher(p);
    if (!p->forked) {
        chr_abort(w);
        chr_task_remove(CHR_AGENT_PREPARE, &p->prepare);
        chr_task_remove(CHR_AGENT_CLEAN, &p->clean);
        p->hurried_ns = 0;  /* no hurry any more */
        p->config.sync = 0; /* leaving must not wait for a disk: the next writer catches up, flush() is for who cannot wait */
        while (chr_clean_run(p))
            ;
        chr_control *c = w->control;
        if (chr_load_relaxed32(&c->epoch) == w->epoch && !p->pages.control->broken) {
            chr_store_release64(&c->checked, chr_last_position(w));
            c->heartbeat_ns = chr_monotonic_ns();
            c->closed = 1;
        }
        say_closed(p);
        chr_unlock(p->pages.fd);
    }
    dispose(p);
}

int chr_writer_drain(chr_writer *w)
{
    chr_task_note(&publisher(w)->clean);
    chr_task_want(CHR_AGENT_CLEAN, &publisher(w)->clean);
    return 0;
}
