/* What a writer mends before it recovers, so that damage to a page it owns stops nobody for longer than a restart takes.
 *
 *   control.meta   no page, another's, or one whose checksum fails: built anew from the segments, under the lock of the bad one, put in place by rename;
 *                  the bad one stays beside it as control.meta.damaged-<time>
 *   notify.meta    filled up and signed again in place: a reader that has it mapped sleeps on
 *   a segment      filled up with zeros if it was cut short; its header is rewritten when the frame behind it holds
 *
 * The new control page names the queue that the segments belong to and an epoch CHR_EPOCH_JUMP above every epoch that left a trace (headers, reader
 * pages, writer.lock, the bad page), so that no (queue, epoch, seq) can come twice, whatever was lost with the old page. Where a reader is known to have
 * stood counts as committed: recovery declares the difference LOST. With no segment left there is nothing to go on with: a new queue, and its readers
 * are told QueueReplaced.
 */
#include "chr_core.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHR_EPOCH_JUMP (1u << 16)

typedef struct {
    bool any, begun;
    uint32_t size, epoch, version;
    uint64_t queue_id, lowest, highest, first_seq; /* highest: of those begun */
    uint64_t reader_seq, reader_position;
} traces;

static ssize_t read_head(const char *dir, const char *name, void *out, size_t size)
{
    char path[768];
    chr_join(path, sizeof path, dir, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK); /* in readers/ may stand a pipe, of which an open waits for ever */
    ssize_t n = fd < 0 ? -1 : pread(fd, out, size, 0);
    if (fd >= 0)
        close(fd);
    return n;
}

/* ---------------------------------------------------------------- who is there */

/* The process that writer.lock names, if it runs and has not said that it left. The kernel's lock is the proof of ownership; this is for the one case
 * where the locked file has been taken out of the directory. */
static pid_t living_owner(const char *dir)
{
    char text[512] = "";
    if (read_head(dir, "writer.lock", text, sizeof text - 1) <= 0 || strstr(text, "closed") != NULL)
        return 0;
    const char *pid_at = strstr(text, "pid="), *start_at = strstr(text, "start_time="), *boot_at = strstr(text, "boot_id=");
    if (pid_at == NULL || start_at == NULL || boot_at == NULL)
        return 0;
    char boot_text[33] = "";
    uint8_t boot[16];
    chr_boot_id(boot);
    for (int i = 0; i < 16; i++)
        snprintf(boot_text + 2 * i, 3, "%02x", boot[i]);
    pid_t pid = (pid_t)strtol(pid_at + 4, NULL, 10);
    uint64_t started = strtoull(start_at + 11, NULL, 10), now = pid > 0 ? chr_start_time(pid) : 0;
    if (pid <= 0 || strncmp(boot_at + 8, boot_text, 32) != 0 || (kill(pid, 0) != 0 && errno != EPERM))
        return 0;
    return now == 0 || now == started ? pid : 0;
}

static uint32_t announced_epoch(const char *dir)
{
    char text[512] = "";
    if (read_head(dir, "writer.lock", text, sizeof text - 1) <= 0)
        return 0;
    const char *at = strstr(text, "epoch=");
    return at ? (uint32_t)strtoul(at + 6, NULL, 10) : 0;
}

/* ---------------------------------------------------------------- what is known without the page */

static bool header_sound(const chr_segment_header *h, uint64_t number)
{
    return h->magic == CHR_MAGIC_SEGMENT && h->crc == chr_checksum(h, offsetof(chr_segment_header, crc)) && h->number == number &&
           h->size >= CHR_SEGMENT_MIN && h->size <= CHR_SEGMENT_MAX && h->size % CHR_PAGE == 0;
}

/* Whose segments these are: notify.meta says it if a segment agrees, else the newest segment does. */
static void learn_identity(const char *dir, traces *t)
{
    chr_notify notify;
    chr_segment_header h;
    uint64_t newest = 0, number, wanted = 0;
    if (read_head(dir, "notify.meta", &notify, sizeof notify) == (ssize_t)sizeof notify && notify.magic == CHR_MAGIC_NOTIFY)
        wanted = notify.queue_id;
    DIR *d = opendir(dir);
    for (struct dirent *entry = d ? readdir(d) : NULL; entry != NULL; entry = readdir(d)) {
        if ((number = chr_segment_number(entry->d_name)) == UINT64_MAX || read_head(dir, entry->d_name, &h, sizeof h) != (ssize_t)sizeof h || !header_sound(&h, number))
            continue;
        if (h.version != CHR_FORMAT_VERSION || h.features_incompat)
            t->version = h.version > CHR_FORMAT_VERSION ? h.version : CHR_FORMAT_VERSION + 1;
        if (t->any && t->queue_id == wanted && h.queue_id != wanted)
            continue;
        if (t->any && h.queue_id != wanted && number < newest)
            continue;
        t->any = true;
        t->queue_id = h.queue_id;
        t->size = h.size;
        newest = number;
    }
    if (d)
        closedir(d);
}

static void learn_from_segments(const char *dir, traces *t)
{
    chr_segment_header h;
    uint64_t number;
    DIR *d = opendir(dir);
    bool first = true;
    for (struct dirent *entry = d ? readdir(d) : NULL; entry != NULL; entry = readdir(d)) {
        if ((number = chr_segment_number(entry->d_name)) == UINT64_MAX || read_head(dir, entry->d_name, &h, sizeof h) != (ssize_t)sizeof h)
            continue;
        if (!header_sound(&h, number) || h.queue_id != t->queue_id || h.size != t->size || h.first_seq == CHR_SEQ_UNKNOWN)
            continue;
        if (first || number < t->lowest) {
            t->lowest = number;
            t->first_seq = h.first_seq;
        }
        t->highest = first || number > t->highest ? number : t->highest;
        t->epoch = h.prev_epoch > t->epoch ? h.prev_epoch : t->epoch;
        t->begun = true;
        first = false;
    }
    if (d)
        closedir(d);
}

static void learn_from_readers(const char *dir, traces *t)
{
    char readers[640];
    chr_reader_page page;
    chr_slot slot;
    uint64_t generation;
    chr_join(readers, sizeof readers, dir, "readers");
    DIR *d = opendir(readers);
    for (struct dirent *entry = d ? readdir(d) : NULL; entry != NULL; entry = readdir(d)) {
        if (read_head(readers, entry->d_name, &page, sizeof page) != (ssize_t)sizeof page || page.magic != CHR_MAGIC_READER)
            continue;
        if (chr_page_read(&page, &slot, &generation) < 0 || slot.queue_id != t->queue_id)
            continue;
        t->epoch = slot.epoch > t->epoch ? slot.epoch : t->epoch;
        t->reader_seq = slot.seq > t->reader_seq ? slot.seq : t->reader_seq;
        t->reader_position = slot.position > t->reader_position ? slot.position : t->reader_position;
    }
    if (d)
        closedir(d);
}

/* The bad page's own word on its epoch counts when it is not absurd: a flipped bit must not use all epochs up. */
static void learn_epoch(const char *dir, traces *t)
{
    chr_control old;
    uint32_t told = announced_epoch(dir);
    t->epoch = told > t->epoch ? told : t->epoch;
    if (read_head(dir, "control.meta", &old, sizeof old) >= (ssize_t)(offsetof(chr_control, epoch) + sizeof old.epoch) && old.epoch > t->epoch &&
        old.epoch - t->epoch < 16 * CHR_EPOCH_JUMP)
        t->epoch = old.epoch;
}

/* Of a segment file: 1 sealed, 0 not, -1 there is none. */
static int sealed(const char *dir, uint64_t number, chr_seal *seal)
{
    char name[32];
    uint8_t head[CHR_SEGMENT_DATA];
    chr_segment_name(name, number, "q");
    if (read_head(dir, name, head, sizeof head) != (ssize_t)sizeof head)
        return -1;
    memcpy(seal, head + sizeof(chr_segment_header), sizeof *seal);
    return seal->magic == CHR_MAGIC_SEAL && seal->crc == chr_checksum(seal, offsetof(chr_seal, crc));
}

uint64_t chr_walk_from(const char *dir, uint64_t lowest, uint64_t highest)
{
    chr_seal seal;
    uint64_t number = highest;
    while (number > lowest && sealed(dir, number - 1, &seal) == 0)
        number--;
    return number;
}

/* ---------------------------------------------------------------- the new page */

static uint64_t evidence_kept(const char *dir)
{
    uint64_t count = 0;
    DIR *d = opendir(dir);
    for (struct dirent *entry = d ? readdir(d) : NULL; entry != NULL; entry = readdir(d))
        count += strncmp(entry->d_name, "control.meta.damaged-", 21) == 0;
    if (d)
        closedir(d);
    return count;
}

static void build(const char *dir, uint32_t segment_size, const traces *t, bool damaged, chr_control *c)
{
    chr_control_blank(c, t->any ? t->size : segment_size, t->any ? t->queue_id : chr_random64());
    c->rescues = evidence_kept(dir) + (damaged ? 1 : 0);
    if (!t->any)
        return;
    uint64_t from = t->begun ? chr_walk_from(dir, t->lowest, t->highest) : 0;
    c->epoch = t->epoch < UINT32_MAX - CHR_EPOCH_JUMP ? t->epoch + CHR_EPOCH_JUMP : t->epoch;
    c->checked = c->synced = c->head = chr_position(c->segment_size, from, CHR_SEGMENT_DATA);
    c->touched = UINT64_MAX; /* not known: recovery zeroes to the segment's end */
    c->oldest = t->lowest;
    c->oldest_seq = t->first_seq;
    c->next_seq = t->reader_seq;
    if (t->reader_position > c->head)
        c->head = t->reader_position;
    chr_boot_id(c->boot_id); /* as if of this boot: then a frame that fails its check is kept as evidence, never zeroed */
}

/* Puts the page in place. The old one, if any, is locked by the caller and keeps its bytes under another name. */
static int put_in_place(const char *dir, const chr_control *c, bool damaged, chr_error *e)
{
    char temp[640], path[640], aside[700];
    chr_join(path, sizeof path, dir, "control.meta");
    if (chr_write_temp(temp, sizeof temp, dir, "control.meta", chr_file_mode(dir), c, sizeof *c, e) < 0)
        return -1;
    if (damaged) {
        snprintf(aside, sizeof aside, "%s.damaged-%lld", path, (long long)chr_realtime_ns());
        if (link(path, aside) != 0 || rename(temp, path) != 0) {
            chr_fail_sys(e, path, "put the damaged page aside", 0);
            unlink(temp);
            return -1;
        }
    } else if (link(temp, path) != 0 && errno != EEXIST) {
        chr_fail_sys(e, path, "link", 0);
        unlink(temp);
        return -1;
    } else {
        unlink(temp);
    }
    chr_sync_dir(dir);
    return 0;
}

static int rescue(const char *dir, uint32_t segment_size, bool damaged, chr_error *e)
{
    static _Thread_local chr_control page;
    traces t = {0};
    pid_t owner = living_owner(dir);
    if (owner)
        return chr_fail(e, CHR_E_WRITER_ACTIVE, dir, NULL, (uint64_t)owner, 0, 0);
    learn_identity(dir, &t);
    if (t.version)
        return chr_fail(e, CHR_E_VERSION, dir, "segment", t.version, CHR_FORMAT_VERSION, 0);
    if (t.any) {
        learn_from_segments(dir, &t);
        learn_from_readers(dir, &t);
        learn_epoch(dir, &t);
    }
    build(dir, segment_size, &t, damaged, &page);
    return put_in_place(dir, &page, damaged, e);
}

int chr_control_rescue(const char *dir, uint32_t segment_size, chr_error *e)
{
    char path[640];
    chr_join(path, sizeof path, dir, "control.meta");
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? rescue(dir, segment_size, false, e) : chr_fail_sys(e, path, "open", 0);
    int held = chr_lock_exclusive(fd), rc = 0;
    if (held > 0)
        rc = chr_writer_active(dir, e);
    else if (held < 0)
        rc = chr_fail_sys(e, path, "lock", 0);
    else if (chr_same_file(fd, path) && chr_control_check_file(fd, path, e) < 0) /* else another process has mended it meanwhile */
        rc = e->code == CHR_E_CONTROL ? rescue(dir, segment_size, true, e) : -1;
    close(fd);
    return rc;
}

bool chr_has_segments(const char *dir)
{
    traces t = {0};
    learn_identity(dir, &t);
    return t.any;
}

/* ---------------------------------------------------------------- the lesser files */

int chr_notify_mend(const char *dir, uint64_t queue_id, chr_error *e)
{
    char path[640];
    struct stat st;
    chr_notify head;
    static _Thread_local chr_notify blank;
    blank.magic = CHR_MAGIC_NOTIFY;
    blank.queue_id = queue_id;
    chr_join(path, sizeof path, dir, "notify.meta");
    int made = chr_create_once(dir, "notify.meta", 0660 | chr_file_mode(dir), &blank, sizeof blank, e);
    if (made)
        return made;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        return chr_fail_sys(e, path, "open", 0);
    int rc = 0;
    bool whole = st.st_size == (off_t)CHR_PAGE && pread(fd, &head, sizeof head, 0) == (ssize_t)sizeof head;
    if (!whole || head.magic != CHR_MAGIC_NOTIFY || head.queue_id != queue_id || head.moved) {
        size_t from = offsetof(chr_notify, moved); /* the word is left: sleepers compare it */
        rc = ftruncate(fd, CHR_PAGE) == 0 && pwrite(fd, (const uint8_t *)&blank + from, 20, (off_t)from) == 20 ? 1 : chr_fail_sys(e, path, "write", 0);
    }
    close(fd);
    return rc;
}

/* A segment cut short is filled up with zeros, a header that fails its check above a frame that holds is written anew: number, size and queue are known,
 * seq, time and epoch stand in the frame. What the header said of the epoch before is taken to be the frame's. */
chr_map *chr_segment_mend(const char *dir, uint64_t number, uint32_t size, uint64_t queue_id, chr_error *e)
{
    char name[32], path[640];
    uint64_t next;
    chr_segment_name(name, number, "q");
    chr_join(path, sizeof path, dir, name);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || chr_reserve_space(fd, size) != 0) {
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    close(fd);
    chr_map *map = chr_segment_map(dir, number, size, true, e);
    if (map == NULL || chr_segment_header_valid(map, queue_id))
        return map;
    const chr_frame_header *f = (const chr_frame_header *)(map->base + CHR_SEGMENT_DATA);
    if (chr_examine_full(map->base, CHR_SEGMENT_DATA, size, chr_crc_seed(queue_id), &next) != CHR_FRAME_OK) {
        chr_map_release_now(map);
        return NULL;
    }
    chr_seal before;
    bool known = number > 0 && sealed(dir, number - 1, &before) == 1 && before.last_ts <= f->ts_ns;
    chr_segment_write_header(map->base, queue_id, (uint32_t)number, size, f->seq, known ? before.last_ts : f->ts_ns, f->epoch);
    return map;
}
