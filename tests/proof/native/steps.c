/* See steps.h. Compiled without the sanitizer's flag: nothing in here is counted. */
#include "steps.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/magic.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

steps_state *steps;

typedef struct {
    uint8_t *base;
    size_t size;
    uint32_t file;
} mapping;

#define MAPPINGS 512
static mapping mapped[MAPPINGS];
static int mapped_count;

typedef struct {
    dev_t dev;
    ino_t ino;
} identity;

#define FILES 65536
static identity files[FILES];
static uint32_t files_count = 1;

static char root[512];
static const uint8_t *pending; /* the store announced last: its bytes are read when the next step begins */
static size_t pending_size;
static uint64_t pending_event;

/* ---------------------------------------------------------------- state and trace */

steps_state *steps_new(uint64_t trace_bytes, uint64_t trace_events)
{
    size_t whole = sizeof(steps_state) + trace_events * sizeof(uint64_t) + trace_bytes;
    uint8_t *at = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        abort();
    steps_state *s = (steps_state *)at;
    s->index = (uint64_t *)(at + sizeof *s);
    s->trace = at + sizeof *s + trace_events * sizeof(uint64_t);
    s->trace_room = trace_bytes;
    return s;
}

void steps_reset(void)
{
    uint64_t room = steps->trace_room, *index = steps->index;
    uint8_t *trace = steps->trace;
    memset(steps, 0, sizeof *steps);
    steps->trace_room = room;
    steps->index = index;
    steps->trace = trace;
    pending = NULL;
    files_count = 1;
}

void steps_root(const char *path) { snprintf(root, sizeof root, "%s", path); }

const step_event *steps_event(uint64_t n) { return (const step_event *)(steps->trace + steps->index[n]); }

static step_event *note(uint32_t kind, uint32_t file, uint64_t offset, uint64_t size, const void *data, uint64_t data_size)
{
    uint64_t need = (sizeof(step_event) + data_size + 7) & ~7ull;
    if (steps->trace_used + need > steps->trace_room) {
        fprintf(stderr, "trace is full after %llu steps\n", (unsigned long long)steps->taken);
        abort();
    }
    step_event *event = (step_event *)(steps->trace + steps->trace_used);
    *event = (step_event){.kind = kind, .file = file, .at = steps->taken, .offset = offset, .size = size};
    if (data != NULL)
        memcpy(event->data, data, data_size);
    steps->index[steps->events++] = steps->trace_used;
    steps->trace_used += need;
    return event;
}

static void settle(void)
{
    if (pending != NULL)
        memcpy(((step_event *)(steps->trace + steps->index[pending_event]))->data, pending, pending_size);
    pending = NULL;
}

/* One more step is about to be made. */
static void step(const void *place)
{
    if (steps == NULL)
        return;
    if (steps->tracing)
        settle();
    if (++steps->taken == steps->stop_at) {
        steps->stopped_in = (uint64_t)(uintptr_t)place;
        kill(getpid(), SIGKILL);
    }
}

static const char *relative(const char *path)
{
    size_t n = strlen(root);
    if (strncmp(path, root, n) != 0)
        return path;
    return path[n] == '/' ? path + n + 1 : path + n;
}

static void note_name(uint32_t kind, uint32_t file, const char *name, const char *second)
{
    char both[1400];
    int n = snprintf(both, sizeof both, "%s%c%s", relative(name), 0, second ? relative(second) : "");
    note(kind, file, 0, 0, both, (uint64_t)n + 1);
}

/* ---------------------------------------------------------------- files and mappings */

static uint32_t number_of(const struct stat *st, bool fresh)
{
    for (uint32_t i = files_count; i-- > 1 && !fresh;)
        if (files[i].ino == st->st_ino && files[i].dev == st->st_dev)
            return i;
    if (files_count == FILES)
        abort();
    files[files_count] = (identity){st->st_dev, st->st_ino};
    return files_count++;
}

static uint32_t number_of_fd(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 ? number_of(&st, false) : 0;
}

static uint32_t file_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? number_of(&st, false) : 0;
}

static const mapping *find(const void *at)
{
    const uint8_t *p = at;
    for (int i = mapped_count - 1; i >= 0; i--)
        if (p >= mapped[i].base && p < mapped[i].base + mapped[i].size)
            return &mapped[i];
    return NULL;
}

bool steps_mapped(const void *at) { return find(at) != NULL; }

void steps_store(void *at, size_t size, const void *place)
{
    const mapping *m = find(at);
    if (m == NULL || steps == NULL)
        return;
    step(place);
    if (!steps->tracing)
        return;
    pending = at;
    pending_size = size;
    pending_event = steps->events;
    note(STEP_STORE, m->file, (uint64_t)((uint8_t *)at - m->base), size, NULL, size);
}

/* ---------------------------------------------------------------- calls */

#define HERE __builtin_return_address(0)

/* May this call go through? A full disk is met by what takes space. */
static bool refused(void)
{
    if (steps == NULL)
        return false;
    uint64_t n = ++steps->calls;
    if (steps->fail_at == 0 || n < steps->fail_at || (n > steps->fail_at && !steps->fail_for_good))
        return false;
    steps->failed++;
    errno = steps->fail_errno;
    return true;
}

static bool tracing(void) { return steps != NULL && steps->tracing; }

#define REAL(result, name, ...)                \
    extern result __real_##name(__VA_ARGS__);  \
    result __wrap_##name(__VA_ARGS__)

extern int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;
    va_end(more);
    if (!(flags & O_CREAT))
        return __real_open(path, flags);
    step(HERE);
    if (refused())
        return -1;
    int fd = __real_open(path, flags, mode);
    struct stat st;
    if (fd >= 0 && tracing() && fstat(fd, &st) == 0)
        note_name(STEP_CREATE, number_of(&st, true), path, NULL);
    return fd;
}

REAL(int, mkdir, const char *path, mode_t mode)
{
    step(HERE);
    if (refused())
        return -1;
    int rc = __real_mkdir(path, mode);
    if (rc == 0 && tracing())
        note_name(STEP_MKDIR, 0, path, NULL);
    return rc;
}

REAL(int, link, const char *from, const char *to)
{
    step(HERE);
    if (refused())
        return -1;
    int rc = __real_link(from, to);
    if (rc == 0 && tracing())
        note_name(STEP_LINK, file_of(to), to, NULL);
    return rc;
}

REAL(int, rename, const char *from, const char *to)
{
    step(HERE);
    if (refused())
        return -1;
    int rc = __real_rename(from, to);
    if (rc == 0 && tracing())
        note_name(STEP_RENAME, file_of(to), from, to);
    return rc;
}

REAL(int, unlink, const char *path)
{
    step(HERE);
    int rc = __real_unlink(path);
    if (rc == 0 && tracing())
        note_name(STEP_UNLINK, 0, path, NULL);
    return rc;
}

REAL(int, fallocate, int fd, int mode, off_t offset, off_t size)
{
    step(HERE);
    if (refused())
        return -1;
    int rc = __real_fallocate(fd, mode, offset, size);
    if (rc == 0 && tracing())
        note(STEP_SIZE, number_of_fd(fd), 0, (uint64_t)(offset + size), NULL, 0);
    return rc;
}

REAL(int, posix_fallocate, int fd, off_t offset, off_t size)
{
    step(HERE);
    if (refused())
        return errno;
    int rc = __real_posix_fallocate(fd, offset, size);
    if (rc == 0 && tracing())
        note(STEP_SIZE, number_of_fd(fd), 0, (uint64_t)(offset + size), NULL, 0);
    return rc;
}

static void note_write(int fd, const void *data, size_t size, off_t offset)
{
    note(STEP_WRITE, number_of_fd(fd), (uint64_t)offset, size, data, size);
}

REAL(ssize_t, write, int fd, const void *data, size_t size)
{
    struct stat st;
    bool file = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    if (!file)
        return __real_write(fd, data, size);
    step(HERE);
    if (refused())
        return -1;
    ssize_t n = __real_write(fd, data, size);
    if (n > 0 && tracing())
        note_write(fd, data, (size_t)n, lseek(fd, 0, SEEK_CUR) - n);
    return n;
}

REAL(ssize_t, pwrite, int fd, const void *data, size_t size, off_t offset)
{
    step(HERE);
    if (refused())
        return -1;
    ssize_t n = __real_pwrite(fd, data, size, offset);
    if (n > 0 && tracing())
        note_write(fd, data, (size_t)n, offset);
    return n;
}

static int synced(int fd, int rc)
{
    struct stat st;
    char link_name[64], path[1024];
    if (rc != 0 || !tracing() || fstat(fd, &st) != 0)
        return rc;
    if (!S_ISDIR(st.st_mode)) {
        note(STEP_SYNC, number_of(&st, false), 0, 0, NULL, 0);
        return rc;
    }
    snprintf(link_name, sizeof link_name, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link_name, path, sizeof path - 1);
    path[n < 0 ? 0 : n] = 0;
    note_name(STEP_SYNC_DIR, 0, path, NULL);
    return rc;
}

REAL(int, fsync, int fd)
{
    step(HERE);
    return refused() ? -1 : synced(fd, __real_fsync(fd));
}

REAL(int, fdatasync, int fd)
{
    step(HERE);
    return refused() ? -1 : synced(fd, __real_fdatasync(fd));
}

REAL(int, msync, void *at, size_t size, int flags)
{
    step(HERE);
    if (refused())
        return -1;
    const mapping *m = find(at);
    if (m != NULL && tracing())
        note(STEP_SYNC, m->file, 0, 0, NULL, 0);
    return __real_msync(at, size, flags);
}

REAL(int, ftruncate, int fd, off_t size)
{
    step(HERE);
    if (refused())
        return -1;
    int rc = __real_ftruncate(fd, size);
    if (rc == 0 && tracing())
        note(STEP_SIZE, number_of_fd(fd), 0, (uint64_t)size, NULL, 0);
    return rc;
}

/* A trace tells what a disk may hold after a power cut, wherever it is recorded. */
REAL(int, fstatfs, int fd, struct statfs *fs)
{
    int rc = __real_fstatfs(fd, fs);
    if (rc == 0 && tracing())
        fs->f_type = EXT4_SUPER_MAGIC;
    return rc;
}

REAL(void *, mmap, void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    if (fd < 0 || !(flags & MAP_SHARED))
        return __real_mmap(at, size, protection, flags, fd, offset);
    step(HERE);
    if (steps != NULL && refused()) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    uint8_t *base = __real_mmap(at, size, protection, flags, fd, offset);
    if (base == MAP_FAILED || !(protection & PROT_WRITE))
        return base;
    if (mapped_count == MAPPINGS)
        abort();
    mapped[mapped_count++] = (mapping){base, size, number_of_fd(fd)};
    return base;
}

REAL(int, munmap, void *at, size_t size)
{
    if (steps != NULL && steps->tracing)
        settle();
    for (int i = 0; i < mapped_count; i++)
        if (mapped[i].base == at)
            mapped[i] = mapped[--mapped_count];
    return __real_munmap(at, size);
}

/* ---------------------------------------------------------------- what lies there already */

static int begin_with(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)flag, (void)ftw;
    if (S_ISDIR(st->st_mode)) {
        note_name(STEP_MKDIR, 0, path, NULL);
        note_name(STEP_SYNC_DIR, 0, path, NULL);
        return 0;
    }
    int fd = __real_open(path, O_RDONLY);
    uint8_t *bytes = malloc((size_t)st->st_size + 1);
    uint32_t file = number_of(st, false);
    if (fd < 0 || bytes == NULL || read(fd, bytes, (size_t)st->st_size) != st->st_size)
        abort();
    note_name(STEP_CREATE, file, path, NULL);
    note(STEP_SIZE, file, 0, (uint64_t)st->st_size, NULL, 0);
    note(STEP_WRITE, file, 0, (uint64_t)st->st_size, bytes, (uint64_t)st->st_size);
    note(STEP_SYNC, file, 0, 0, NULL, 0);
    free(bytes);
    close(fd);
    return 0;
}

void steps_begin_with(const char *tree) { nftw(tree, begin_with, 32, FTW_PHYS); }

/* One thread: what the agents do is called by the scene, at moments it chooses. */
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument)
{
    (void)thread, (void)attributes, (void)run, (void)argument;
    return EAGAIN;
}
