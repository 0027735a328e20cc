/* Linux: futexes, OFD locks, fallocate, MADV_POPULATE, eventfd, /proc. The contract is chr_platform.h. */
#include "chr_platform.h"

#ifndef CHR_PORTABLE

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/magic.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

/* ---------------------------------------------------------------- words */

typedef struct {
    uint64_t val, uaddr;
    uint32_t flags, reserved;
} waitv_entry; /* struct futex_waitv of Linux 5.16, which older headers lack */

#define WAITV_SIZE_U32 2u
#define WAITV_MAX 128

static struct timespec span(int64_t ns) { return (struct timespec){ns / 1000000000, ns % 1000000000}; }

static int wait_one(uint32_t *word, int operation, uint32_t value, int64_t ns)
{
    struct timespec t = span(ns);
    return syscall(SYS_futex, word, operation, value, &t, NULL, 0) == 0 || errno != EINTR ? 0 : -EINTR;
}

int chr_words_wait(uint32_t *own, uint32_t own_value, uint32_t *const *words, const uint32_t *values, int count, int64_t ns)
{
    waitv_entry entries[WAITV_MAX];
    int n = 0;
    if (own != NULL && count == 0)
        return wait_one(own, FUTEX_WAIT_PRIVATE, own_value, ns);
    if (own == NULL && count == 1)
        return wait_one(words[0], FUTEX_WAIT, values[0], ns);
    if (own != NULL)
        entries[n++] = (waitv_entry){.val = own_value, .uaddr = (uintptr_t)own, .flags = WAITV_SIZE_U32 | FUTEX_PRIVATE_FLAG};
    for (int i = 0; i < count && n < WAITV_MAX; i++)
        entries[n++] = (waitv_entry){.val = values[i], .uaddr = (uintptr_t)words[i], .flags = WAITV_SIZE_U32};
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until = span((int64_t)until.tv_sec * 1000000000 + until.tv_nsec + ns);
    if (syscall(SYS_futex_waitv, entries, (unsigned)n, 0u, &until, CLOCK_MONOTONIC) >= 0 || (errno != ENOSYS && errno != EINVAL))
        return errno == EINTR ? -EINTR : 0;
    struct timespec slice = span(ns < CHR_POLL_NS ? ns : CHR_POLL_NS); /* kernels before 5.16 */
    return nanosleep(&slice, NULL) == 0 ? 0 : -EINTR;
}

void chr_word_wake_own(uint32_t *word) { syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0); }

void chr_word_wake_all(uint32_t *word) { syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0); }

/* ---------------------------------------------------------------- threads */

/* A thread inherits the core its creator is pinned to; there it would stop the very loop it is to keep from stopping. */
void chr_thread_begin(const char *name)
{
    cpu_set_t every;
    prctl(PR_SET_NAME, name, 0, 0, 0);
    memset(&every, 0xFF, sizeof every);
    pthread_setaffinity_np(pthread_self(), sizeof every, &every);
}

/* ---------------------------------------------------------------- locks */

int chr_lock_exclusive(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
        return 0;
    return errno == EAGAIN || errno == EACCES ? 1 : -errno;
}

void chr_unlock(int fd)
{
    struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
    fcntl(fd, F_OFD_SETLK, &lock);
}

int chr_lock_probe(int fd)
{
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET}; /* against which only an owner's lock stands */
    if (fcntl(fd, F_OFD_GETLK, &lock) != 0)
        return 0;
    return lock.l_type != F_UNLCK;
}

/* ---------------------------------------------------------------- space and memory */

int chr_reserve_space(int fd, uint64_t size)
{
    int rc;
    do
        rc = fallocate(fd, 0, 0, (off_t)size) == 0 ? 0 : errno;
    while (rc == EINTR);
    if (rc == EOPNOTSUPP)
        rc = posix_fallocate(fd, 0, (off_t)size);
    return rc;
}

int chr_sync_data(int fd) { return fdatasync(fd); }

int chr_prefault(void *at, uint64_t size, bool write)
{
    return madvise(at, size, write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ) == 0 ? 0 : errno;
}

void chr_keep_from_children(void *at, uint64_t size) { madvise(at, size, MADV_DONTFORK); }

bool chr_in_memory(int fd)
{
    struct statfs fs;
    return fstatfs(fd, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

/* fcntl(2), "Leases": a write lease is granted to a file's only opener, and a map is an opener. The signal would be SIGIO, which ends the process: SIGURG is
 * ignored, and goes to the calling thread. */
int chr_alone_begin(int fd)
{
    struct f_owner_ex owner = {.type = F_OWNER_TID, .pid = (pid_t)syscall(SYS_gettid)};
    if (fcntl(fd, F_SETSIG, SIGURG) != 0 || fcntl(fd, F_SETOWN_EX, &owner) != 0 || fcntl(fd, F_SETLEASE, F_WRLCK) != 0)
        return errno;
    return 0;
}

bool chr_alone_end(int fd)
{
    bool held = fcntl(fd, F_GETLEASE) == F_WRLCK; /* who waits for more than fs.lease-break-time gets the file */
    fcntl(fd, F_SETLEASE, F_UNLCK);
    return held;
}

/* ---------------------------------------------------------------- bell */

int chr_bell_open(int fds[2])
{
    fds[0] = fds[1] = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK); /* rung: the first look is the reader's */
    return fds[0] < 0 ? -1 : 0;
}

void chr_bell_ring(int fd)
{
    uint64_t one = 1;
    while (write(fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

void chr_bell_clear(int fd)
{
    uint64_t rung;
    while (read(fd, &rung, sizeof rung) < 0 && errno == EINTR)
        ;
}

void chr_bell_close(const int fds[2]) { close(fds[0]); }

/* ---------------------------------------------------------------- identities */

static ssize_t read_text(const char *path, char *text, size_t room)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, room - 1);
    if (fd >= 0)
        close(fd);
    text[got < 0 ? 0 : got] = 0;
    return got;
}

void chr_platform_boot_id(uint8_t out[16]) { chr_read_uuid("/proc/sys/kernel/random/boot_id", out); }

void chr_host_id(uint8_t out[16]) { chr_read_uuid("/etc/machine-id", out); }

uint64_t chr_start_time(pid_t pid)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (read_text(path, text, sizeof text) <= 0)
        return 0;
    char *p = strrchr(text, ')'); /* a process may be called ") 1 2 3" */
    for (int field = 2; p != NULL && field < 22; field++)
        p = strchr(p + 1, ' ');
    return p ? strtoull(p + 1, NULL, 10) : 0;
}

void chr_platform_fork_prepare(void) {}
void chr_platform_fork_parent(void) {}
void chr_platform_fork_child(void) {}

/* ---------------------------------------------------------------- what works here */

void chr_platform_probe(int fd, chr_platform_facts *out)
{
    memset(out, 0, sizeof *out);
    out->reserve = fallocate(fd, 0, 0, 4096) == 0 ? 0 : errno;
    if (out->reserve && ftruncate(fd, 4096) != 0)
        out->reserve = errno;
    void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    out->prefault = at == MAP_FAILED ? errno : chr_prefault(at, 4096, true);
    if (at != MAP_FAILED)
        munmap(at, 4096);
    int held = chr_lock_exclusive(fd);
    out->lock = held < 0 ? -held : held > 0 ? EAGAIN : 0;
    if (held == 0)
        chr_unlock(fd);
    syscall(SYS_futex_waitv, NULL, 0u, 0u, NULL, CLOCK_MONOTONIC);
    out->many_words = errno == ENOSYS ? ENOSYS : 0;
}

#else
typedef int chr_not_this_platform; /* a translation unit must not be empty */
#endif
