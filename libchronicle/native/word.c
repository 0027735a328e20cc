/* The page of the futex word, found again after a stranger removed, replaced or cut notify.meta.
 *
 * Everyone keeps the address the page was mapped at and lays the new file over it (MAP_FIXED): no thread ever sees a hole, and no hot path looks at
 * more than the word. Who does what:
 *
 *   writer   once a second, in the clean thread, compares device and inode of the name with those it maps. If they differ it makes the file anew (or
 *            takes one of this queue that somebody put back), moves its own mapping over, and only then marks the old page `moved` and wakes all who
 *            sleep on it. A word goes up by 2^16 on the way, so no value read from the old page can be one of the new.
 *   reader   in between its sleeps: looks at `moved`, and once a second at device and inode, since a writer that is no longer there marks nothing.
 *            With no page to ask at it polls each millisecond and looks for one ten times a second.
 *
 * No wake-up is lost for longer than a sleep lasts: a reader that set its bit on the old page before `moved` was stored is woken with all; one that sets it
 * after sees `moved`, since both are on one cache line and the bit is set before the look.
 */
#include "chr_core.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHR_WORD_LEAP (1u << 16)
#define CHR_LOOK_NS 1000000000ll
#define CHR_LOOK_SOON_NS 100000000ll

static pthread_mutex_t moving = PTHREAD_MUTEX_INITIALIZER; /* a reader's thread and that of fileno() may look at once */

static chr_notify *page_of(const chr_map *map) { return (chr_notify *)map->base; }

static bool stands(const chr_map *map, const char *path)
{
    struct stat st;
    return map->fd >= 0 && !map->broken && chr_same_file(map->fd, path) && fstat(map->fd, &st) == 0 && st.st_size >= CHR_PAGE;
}

/* A descriptor of the page of this queue under that name; < 0 if there is none. */
static int open_sound(const char *path, uint64_t queue_id, bool *writable)
{
    chr_notify head;
    struct stat st;
    *writable = true;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 && (errno == EACCES || errno == EPERM || errno == EROFS)) {
        *writable = false;
        fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) == 0 && st.st_size >= CHR_PAGE && pread(fd, &head, sizeof head, 0) == (ssize_t)sizeof head &&
        head.magic == CHR_MAGIC_NOTIFY && head.queue_id == queue_id && !head.moved)
        return fd;
    close(fd);
    return -1;
}

/* ---------------------------------------------------------------- writer */

int chr_notify_make(const char *dir, uint64_t queue_id, uint32_t word, chr_error *e)
{
    chr_notify fresh = {.word = word, .magic = CHR_MAGIC_NOTIFY, .queue_id = queue_id};
    return chr_replace_file(dir, "notify.meta", 0660 | chr_file_mode(dir), &fresh, sizeof fresh, e);
}

void chr_word_keep(chr_publisher *p)
{
    char path[640], control[640];
    chr_map *map = p->pages.notify;
    chr_error e;
    bool writable;
    chr_join(path, sizeof path, p->dir, "notify.meta");
    chr_join(control, sizeof control, p->dir, "control.meta");
    if (stands(map, path) || !chr_same_file(p->pages.fd, control)) /* where the whole queue is gone or another there is nothing to mend */
        return;
    int fd = open_sound(path, p->queue_id, &writable);
    if (fd < 0 && chr_notify_make(p->dir, p->queue_id, CHR_WORD_LEAP, &e) == 0)
        fd = open_sound(path, p->queue_id, &writable);
    int old_fd = fd < 0 || map->broken ? -1 : fcntl(map->fd, F_DUPFD_CLOEXEC, 0);
    chr_map *old = old_fd < 0 ? NULL : chr_map_fd(old_fd, CHR_PAGE, true, 0);
    uint32_t last = chr_load_relaxed32(&page_of(map)->word);
    if (fd < 0 || chr_map_over(map, fd, writable) < 0) {
        chr_map_release_now(old);
        return;
    }
    uint32_t *word = &page_of(map)->word;
    chr_fetch_add32(word, ((last & ~1u) + CHR_WORD_LEAP) & ~1u); /* keeps a waiter bit that is there already */
    chr_word_wake_all(word);
    if (old == NULL)
        return;
    chr_store_release32(&page_of(old)->moved, 1);
    chr_fetch_add32(&page_of(old)->word, 2);
    chr_word_wake_all(&page_of(old)->word);
    chr_map_release_now(old);
}

/* ---------------------------------------------------------------- reader */

bool chr_word_gone(const chr_subscriber *s)
{
    const chr_map *map = s->pages.notify;
    return map->fd < 0 || chr_load_relaxed32(&map->broken) || chr_load_acquire32(&page_of(map)->moved);
}

void chr_word_look(chr_subscriber *s, int64_t now)
{
    bool gone = chr_word_gone(s), writable;
    if (gone && s->word_due_ns > now + CHR_LOOK_SOON_NS)
        s->word_due_ns = now; /* it has gone since the last look */
    if (now < s->word_due_ns)
        return;
    char path[640];
    chr_map *map = s->pages.notify;
    chr_join(path, sizeof path, s->dir, "notify.meta");
    pthread_mutex_lock(&moving);
    s->word_due_ns = now + (gone ? CHR_LOOK_SOON_NS : CHR_LOOK_NS);
    int fd = gone || !stands(map, path) ? open_sound(path, s->queue_id, &writable) : -1;
    if (fd >= 0 && chr_map_over(map, fd, writable) == 0)
        s->read_only = !writable;
    pthread_mutex_unlock(&moving);
}

void chr_word_fork_child(void) { pthread_mutex_init(&moving, NULL); }
