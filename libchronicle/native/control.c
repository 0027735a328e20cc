/* control.meta and notify.meta: made whole under a temporary name and published by link, so nobody ever maps half a page.
 * What to do with one that is damaged is mend.c's matter. */
#include "chr_core.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void chr_control_blank(chr_control *c, uint32_t segment_size, uint64_t queue_id)
{
    memset(c, 0, sizeof *c);
    c->magic = CHR_MAGIC_CONTROL;
    c->version = CHR_FORMAT_VERSION;
    c->segment_size = segment_size;
    c->queue_id = queue_id;
    c->created_ns = chr_realtime_ns();
    chr_host_id(c->host_id);
    c->crc = chr_checksum(c, offsetof(chr_control, crc));
    c->head = c->checked = c->touched = c->synced = CHR_SEGMENT_DATA;
}

int chr_control_create(const char *dir, uint32_t segment_size, chr_error *e)
{
    static _Thread_local chr_control c;
    chr_control_blank(&c, segment_size, chr_random64());
    return chr_create_once(dir, "control.meta", chr_file_mode(dir), &c, sizeof c, e);
}

/* Another version says so under a checksum that holds; a single flipped bit is damage. */
static bool flipped(const chr_control *c)
{
    return c->crc != chr_checksum(c, offsetof(chr_control, crc)) &&
           __builtin_popcount(c->version ^ CHR_FORMAT_VERSION) + __builtin_popcount(c->features_incompat) == 1;
}

static int check(const chr_control *c, const char *path, chr_error *e)
{
    if (c->magic != CHR_MAGIC_CONTROL)
        return chr_fail(e, CHR_E_CONTROL, path, "no queue's magic number", 0, 0, 0);
    if ((c->version != CHR_FORMAT_VERSION || c->features_incompat != 0) && !flipped(c))
        return chr_fail(e, CHR_E_VERSION, path, "control", c->version, CHR_FORMAT_VERSION, 0);
    if (c->crc != chr_checksum(c, offsetof(chr_control, crc)))
        return chr_fail(e, CHR_E_CONTROL, path, "checksum of its geometry", 0, 0, 0);
    if (c->segment_size < CHR_SEGMENT_MIN || c->segment_size > CHR_SEGMENT_MAX || c->segment_size % CHR_PAGE)
        return chr_fail(e, CHR_E_CONTROL, path, "segment size", c->segment_size, 0, 0);
    return 0;
}

/* The page behind a descriptor, read and not mapped: it may be short. */
int chr_control_check_file(int fd, const char *path, chr_error *e)
{
    static _Thread_local chr_control page;
    if (pread(fd, &page, sizeof page, 0) != (ssize_t)sizeof page)
        return chr_fail(e, CHR_E_CONTROL, path, "shorter than a page", 0, 0, 0);
    return check(&page, path, e);
}

uint64_t chr_control_queue(const char *dir)
{
    char path[640];
    static _Thread_local chr_control page;
    chr_join(path, sizeof path, dir, "control.meta");
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    ssize_t n = fd < 0 ? -1 : pread(fd, &page, sizeof page, 0);
    if (fd >= 0)
        close(fd);
    return n == (ssize_t)sizeof page ? page.queue_id : 0;
}

static chr_map *open_page(const char *path, bool writable, int *keep_fd, chr_error *e)
{
    struct stat st;
    int fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        chr_fail_sys(e, path, "open", 0);
        return NULL;
    }
    if (fstat(fd, &st) != 0 || st.st_size < CHR_PAGE) {
        close(fd);
        chr_fail(e, CHR_E_CONTROL, path, "shorter than a page", 0, 0, 0);
        return NULL;
    }
    chr_map *map = chr_map_fd(fd, CHR_PAGE, writable, 0);
    if (map == NULL)
        chr_fail_sys(e, path, "map", CHR_PAGE);
    else if (keep_fd)
        *keep_fd = fd;
    return map;
}

/* A reader that may not write it, or finds none, cannot ask to be woken: it polls, until word.c finds the page again. */
static chr_map *notify_of_reader(const char *path, chr_error *e)
{
    chr_map *map = open_page(path, true, NULL, e);
    if (map == NULL && e->code == CHR_E_PERMISSION)
        map = open_page(path, false, NULL, e);
    if (map == NULL && (e->sys == ENOENT || e->code == CHR_E_CONTROL))
        map = chr_map_fd(-1, CHR_PAGE, false, 0);
    return map;
}

int chr_control_open(const char *dir, bool writable, chr_pages *out, chr_error *e)
{
    char path[640];
    memset(out, 0, sizeof *out);
    chr_join(path, sizeof path, dir, "control.meta");
    out->control = open_page(path, writable, &out->fd, e);
    if (out->control == NULL)
        return e->sys == ENOENT || e->sys == ENOTDIR ? chr_fail(e, CHR_E_NOT_READY, dir, NULL, 0, 0, 0) : -1;
    if (check((const chr_control *)out->control->base, path, e) < 0) {
        chr_pages_close(out);
        return -1;
    }
    chr_join(path, sizeof path, dir, "notify.meta");
    if (writable && chr_notify_mend(dir, ((const chr_control *)out->control->base)->queue_id, e) < 0) {
        chr_pages_close(out);
        return -1;
    }
    out->notify = writable ? open_page(path, true, NULL, e) : notify_of_reader(path, e);
    if (out->notify == NULL) {
        chr_pages_close(out);
        return -1;
    }
    e->code = 0;
    return 0;
}

void chr_pages_close(chr_pages *pages)
{
    if (pages->control != NULL)
        chr_map_release_now(pages->control); /* closes the descriptor, and with it the lock */
    if (pages->notify != NULL)
        chr_map_release_now(pages->notify);
    memset(pages, 0, sizeof *pages);
    pages->fd = -1;
}

/* The writer stores next_seq before head, and both after the commit. So with no frame committed at `head` after next_seq was
 * read, next_seq is that of the frame that will stand there; else the frame itself tells. The caller looks at the frame. */
uint64_t chr_control_tail(const chr_control *c, uint64_t *seq)
{
    uint64_t head = chr_load_acquire64(&c->head);
    *seq = chr_load_acquire64(&c->next_seq);
    return head;
}
