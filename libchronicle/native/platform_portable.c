/* Hosts without futexes and OFD locks: macOS, the BSDs, and Linux built with -DCHR_PORTABLE, which is how the tests see this file work.
 *
 * What degrades: a reader that waits looks each millisecond instead of being woken; a segment is reserved by writing it where there is no call for it; the first
 * touch of a page costs a fault where it is written. What does not: commit order, recovery, ownership, the bytes on disk.
 */
#include "chr_platform.h"

#ifdef CHR_PORTABLE

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#if defined(__APPLE__)
#include <mach/vm_inherit.h>
#include <sys/sysctl.h>
#include <uuid/uuid.h>
#endif

/* ---------------------------------------------------------------- words */

static pthread_mutex_t words_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t words_changed;
static pthread_once_t words_once = PTHREAD_ONCE_INIT;

static void make_condition(void)
{
#ifdef __APPLE__
    pthread_cond_init(&words_changed, NULL);
#else
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&words_changed, &attributes);
    pthread_condattr_destroy(&attributes);
#endif
}

static struct timespec span(int64_t ns) { return (struct timespec){ns / 1000000000, ns % 1000000000}; }

/* Returns at the first change of any word of this process: the caller looks again. */
static void wait_own(const uint32_t *word, uint32_t value, int64_t ns)
{
    pthread_once(&words_once, make_condition);
    pthread_mutex_lock(&words_lock);
    if (__atomic_load_n(word, __ATOMIC_ACQUIRE) == value) {
#ifdef __APPLE__
        struct timespec left = span(ns);
        pthread_cond_timedwait_relative_np(&words_changed, &words_lock, &left);
#else
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until = span((int64_t)until.tv_sec * 1000000000 + until.tv_nsec + ns);
        pthread_cond_timedwait(&words_changed, &words_lock, &until);
#endif
    }
    pthread_mutex_unlock(&words_lock);
}

int chr_words_wait(uint32_t *own, uint32_t own_value, uint32_t *const *words, const uint32_t *values, int count, int64_t ns)
{
    (void)words;
    (void)values;
    int64_t slice = count > 0 && ns > CHR_POLL_NS ? CHR_POLL_NS : ns;
    if (own != NULL) {
        wait_own(own, own_value, slice);
        return 0;
    }
    struct timespec t = span(slice);
    return nanosleep(&t, NULL) == 0 ? 0 : -EINTR;
}

/* Under the lock, so that a waiter that has looked at the word is in its wait. */
void chr_word_wake_own(uint32_t *word)
{
    (void)word;
    pthread_once(&words_once, make_condition);
    pthread_mutex_lock(&words_lock);
    pthread_cond_broadcast(&words_changed);
    pthread_mutex_unlock(&words_lock);
}

void chr_word_wake_all(uint32_t *word) { (void)word; } /* nobody sleeps: CHR_SHARED_WORDS is 0 */

void chr_platform_fork_prepare(void) { pthread_mutex_lock(&words_lock); }

void chr_platform_fork_parent(void) { pthread_mutex_unlock(&words_lock); }

void chr_platform_fork_child(void)
{
    pthread_mutex_init(&words_lock, NULL);
    pthread_once(&words_once, make_condition);
    make_condition();
}

void chr_thread_begin(const char *name)
{
#ifdef __APPLE__
    pthread_setname_np(name);
#else
    (void)name;
#endif
}

/* ---------------------------------------------------------------- locks */

#define PROBED_TRIES 5

/* A probe of another process may hold a shared lock for an instant; an owner's is there to stay. */
int chr_lock_exclusive(int fd)
{
    struct timespec instant = {0, 1000000};
    for (int tries = 0;; tries++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return 0;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return -errno;
        if (tries == PROBED_TRIES)
            return 1;
        nanosleep(&instant, NULL);
    }
}

void chr_unlock(int fd) { flock(fd, LOCK_UN); }

int chr_lock_probe(int fd)
{
    if (flock(fd, LOCK_SH | LOCK_NB) != 0)
        return errno == EWOULDBLOCK;
    flock(fd, LOCK_UN);
    return 0;
}

/* ---------------------------------------------------------------- space and memory */

static int write_zeros(int fd, uint64_t from, uint64_t size)
{
    static const char zeros[1 << 16];
    for (uint64_t at = from; at < size;) {
        size_t want = size - at < sizeof zeros ? (size_t)(size - at) : sizeof zeros;
        ssize_t n = pwrite(fd, zeros, want, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : ENOSPC;
        at += (uint64_t)n;
    }
    return 0;
}

int chr_reserve_space(int fd, uint64_t size)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return errno;
    if ((uint64_t)st.st_size >= size)
        return 0;
#ifdef __APPLE__
    fstore_t store = {.fst_flags = F_ALLOCATEALL, .fst_posmode = F_PEOFPOSMODE, .fst_length = (off_t)size - st.st_size};
    if (fcntl(fd, F_PREALLOCATE, &store) == 0)
        return ftruncate(fd, (off_t)size) == 0 ? 0 : errno;
    if (errno == ENOSPC)
        return ENOSPC;
#endif
    return write_zeros(fd, (uint64_t)st.st_size, size);
}

int chr_sync_data(int fd)
{
#ifdef __APPLE__
    if (fcntl(fd, F_FULLFSYNC) == 0)
        return 0;
#endif
    return fsync(fd);
}

int chr_prefault(void *at, uint64_t size, bool write)
{
    (void)at;
    (void)size;
    (void)write;
    return EINVAL;
}

bool chr_in_memory(int fd)
{
    (void)fd;
    return false;
}

int chr_alone_begin(int fd)
{
    (void)fd;
    return ENOTSUP;
}

bool chr_alone_end(int fd)
{
    (void)fd;
    return false;
}

void chr_keep_from_children(void *at, uint64_t size)
{
#ifdef __APPLE__
    minherit(at, size, VM_INHERIT_NONE);
#else
    (void)at;
    (void)size;
#endif
}

/* ---------------------------------------------------------------- bell */

static int prepare_end(int fd) { return fcntl(fd, F_SETFD, FD_CLOEXEC) | fcntl(fd, F_SETFL, O_NONBLOCK); }

int chr_bell_open(int fds[2])
{
    if (pipe(fds) != 0) {
        fds[0] = fds[1] = -1;
        return -1;
    }
    prepare_end(fds[0]);
    prepare_end(fds[1]);
    chr_bell_ring(fds[1]); /* the first look is the reader's */
    return 0;
}

void chr_bell_ring(int fd)
{
    while (write(fd, "!", 1) < 0 && errno == EINTR)
        ;
}

void chr_bell_clear(int fd)
{
    char rung[64];
    while (read(fd, rung, sizeof rung) > 0 || errno == EINTR)
        errno = 0;
}

void chr_bell_close(const int fds[2])
{
    close(fds[0]);
    close(fds[1]);
}

/* ---------------------------------------------------------------- identities */

#ifdef __APPLE__
void chr_platform_boot_id(uint8_t out[16])
{
    char text[64] = "";
    size_t size = sizeof text;
    memset(out, 0, 16);
    if (sysctlbyname("kern.bootsessionuuid", text, &size, NULL, 0) == 0)
        uuid_parse(text, out);
}

void chr_host_id(uint8_t out[16])
{
    struct timespec no_wait = {0, 0};
    memset(out, 0, 16);
    gethostuuid(out, &no_wait);
}
#else
/* All zero where the host does not tell: recovery then takes every open for the first after a power cut. */
void chr_platform_boot_id(uint8_t out[16]) { chr_read_uuid("/proc/sys/kernel/random/boot_id", out); }

void chr_host_id(uint8_t out[16]) { chr_read_uuid("/etc/machine-id", out); }
#endif

uint64_t chr_start_time(pid_t pid)
{
    (void)pid;
    return 0;
}

/* ---------------------------------------------------------------- what works here */

void chr_platform_probe(int fd, chr_platform_facts *out)
{
    memset(out, 0, sizeof *out);
    out->reserve = out->prefault = out->shared_words = out->many_words = ENOSYS;
    int held = chr_lock_exclusive(fd);
    out->lock = held < 0 ? -held : held > 0 ? EAGAIN : 0;
    if (held == 0)
        chr_unlock(fd);
}

#else
typedef int chr_not_this_platform;
#endif
