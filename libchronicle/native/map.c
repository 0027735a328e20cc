/* Mappings of queue files: counted references, prefault, and the SIGBUS handler.
 *
 * Rules
 *  - A map lives until its last reference goes (a handle, or a Message in Python that still points into it); then it is put on a stack and
 *    unmapped by the clean thread, 2 MiB at a time: unmapping 128 MiB at once would stop every thread of the process for milliseconds. One of which
 *    hardly anything was touched, as a seek leaves it, goes at once and in one piece: that costs a few microseconds.
 *  - Writable maps do not reach children: a child has no way to write into a queue that is not its own.
 *  - A file shortened by a stranger, or a disk that cannot read, raises SIGBUS. The handler finds the map by address, sets `broken`, and puts
 *    zero pages under what is gone (from the file's end on; of a file of full length the one page), so the access that faulted sees "not
 *    committed" and the slow path reports Broken(file). What is still there stays readable. A SIGBUS elsewhere goes to whoever handled it before.
 */
#include "chr_core.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHR_CHUNK (2u << 20)
#define CHR_PENDING_MANY 64u

static chr_map *watched[CHR_MAPS_WATCHED];
static int64_t maps_alive;
static struct sigaction previous_bus;
static pthread_once_t bus_once = PTHREAD_ONCE_INIT;
static uint64_t host_page = CHR_PAGE; /* 16 KiB on Apple's processors, up to 64 KiB on some servers */

/* Zero pages where the file has none. Runs in the signal handler: system calls only. */
static bool cover(const chr_map *map, uint8_t *at)
{
    struct stat st;
    uint64_t page = (uint64_t)(at - map->base) & ~(host_page - 1), end = page + host_page;
    if (map->fd < 0 || fstat(map->fd, &st) != 0) {
        page = 0;
        end = map->size;
    } else if ((uint64_t)st.st_size < map->size) {
        uint64_t kept = ((uint64_t)st.st_size + host_page - 1) & ~(host_page - 1);
        page = kept < page ? kept : page;
        end = map->size;
    }
    int protection = map->writable ? PROT_READ | PROT_WRITE : PROT_READ;
    return mmap(map->base + page, end - page, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == map->base + page;
}

static void on_bus(int signal_number, siginfo_t *info, void *context)
{
    uint8_t *at = info->si_addr;
    for (int i = 0; i < CHR_MAPS_WATCHED; i++) {
        chr_map *map = __atomic_load_n(&watched[i], __ATOMIC_ACQUIRE);
        if (map == NULL || at < map->base || at >= map->base + map->size)
            continue;
        chr_store_release32(&map->broken, 1);
        if (cover(map, at))
            return;
    }
    if (previous_bus.sa_flags & SA_SIGINFO) {
        previous_bus.sa_sigaction(signal_number, info, context);
    } else if (previous_bus.sa_handler == SIG_DFL || previous_bus.sa_handler == SIG_IGN) {
        signal(SIGBUS, SIG_DFL); /* the access is repeated and ends the process as it would have */
    } else {
        previous_bus.sa_handler(signal_number);
    }
}

static void install_bus_handler(void)
{
    struct sigaction action;
    long bytes = sysconf(_SC_PAGESIZE);
    host_page = bytes > 0 ? (uint64_t)bytes : CHR_PAGE;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_bus;
    action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
    sigaction(SIGBUS, &action, &previous_bus);
}

static void watch(chr_map *map)
{
    static uint32_t hint;
    uint32_t start = chr_fetch_add32(&hint, 1);
    map->slot = -1; /* with all slots taken the map works, unguarded */
    for (uint32_t i = 0; i < CHR_MAPS_WATCHED; i++) {
        uint32_t at = (start + i) % CHR_MAPS_WATCHED;
        chr_map *empty = NULL;
        if (__atomic_compare_exchange_n(&watched[at], &empty, map, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
            map->slot = (int32_t)at;
            return;
        }
    }
}

chr_map *chr_map_fd(int fd, uint64_t size, bool writable, uint32_t number)
{
    pthread_once(&bus_once, install_bus_handler);
    int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    chr_map *map = calloc(1, sizeof *map);
    void *base = map ? mmap(NULL, size, protection, fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fd, 0) : MAP_FAILED;
    if (base == MAP_FAILED) {
        int sys = errno;
        free(map);
        if (fd >= 0)
            close(fd);
        errno = sys;
        return NULL;
    }
    if (writable)
        chr_keep_from_children(base, size);
    map->base = base;
    map->size = size;
    map->number = number;
    map->refs = 1;
    map->writable = writable;
    map->fd = fd;
    watch(map);
    __atomic_fetch_add(&maps_alive, 1, __ATOMIC_RELAXED);
    return map;
}

chr_map *chr_map_lent(uint8_t *base, uint64_t size)
{
    chr_map *map = calloc(1, sizeof *map);
    if (map == NULL)
        return NULL;
    map->base = base;
    map->size = size;
    map->lent = 1;
    map->refs = 1;
    map->slot = map->fd = -1;
    __atomic_fetch_add(&maps_alive, 1, __ATOMIC_RELAXED);
    return map;
}

int chr_map_over(chr_map *map, int fd, bool writable)
{
    int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    if (mmap(map->base, map->size, protection, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED) {
        close(fd);
        return -1;
    }
    if (writable)
        chr_keep_from_children(map->base, map->size);
    if (map->fd >= 0)
        close(map->fd);
    map->fd = fd;
    map->writable = writable;
    chr_store_release32(&map->broken, 0);
    return 0;
}

void chr_map_close_file(chr_map *map)
{
    int fd = map->fd;
    map->fd = -1; /* first: a fork between the two must not leave the child a number that will be another file's */
    close(fd);
}

int64_t chr_map_count(void) { return __atomic_load_n(&maps_alive, __ATOMIC_RELAXED); }

/* ---------------------------------------------------------------- release */

typedef struct chr_pending chr_pending;
struct chr_pending {
    chr_pending *next;
    chr_map *map;
};
static chr_pending *pending;
static uint32_t pending_count;

static bool hardly_touched(const chr_map *map) { return map->lent || (!map->writable && chr_load_relaxed32(&map->worn) <= CHR_CHUNK / CHR_STEP); }

static void unmap(chr_map *map)
{
    if (map->slot >= 0)
        __atomic_store_n(&watched[map->slot], NULL, __ATOMIC_RELEASE);
    uint64_t chunk = hardly_touched(map) ? map->size : CHR_CHUNK;
    for (uint64_t at = 0; at < map->size && !map->lent; at += chunk)
        munmap(map->base + at, map->size - at < chunk ? map->size - at : chunk);
    if (map->fd >= 0)
        close(map->fd);
    chr_notes_free(map->notes);
    free(map);
    __atomic_fetch_sub(&maps_alive, 1, __ATOMIC_RELAXED);
}

void chr_map_hold(chr_map *map) { __atomic_fetch_add(&map->refs, 1, __ATOMIC_RELAXED); }

static bool let_go(chr_map *map) { return map != NULL && __atomic_fetch_sub(&map->refs, 1, __ATOMIC_ACQ_REL) == 1; }

void chr_map_release_now(chr_map *map)
{
    if (let_go(map))
        unmap(map);
}

void chr_map_release(chr_map *map)
{
    if (!let_go(map))
        return;
    chr_pending *p = map->size > CHR_CHUNK && !hardly_touched(map) ? malloc(sizeof *p) : NULL;
    if (p == NULL) {
        unmap(map);
        return;
    }
    p->map = map;
    p->next = __atomic_load_n(&pending, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&pending, &p->next, p, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        ;
    if (chr_fetch_add32(&pending_count, 1) == CHR_PENDING_MANY)
        chr_agent_wake(CHR_AGENT_CLEAN); /* who seeks far and often leaves thousands a second */
}

bool chr_map_waits(void) { return __atomic_load_n(&pending, __ATOMIC_RELAXED) != NULL; }

void chr_map_collect(void)
{
    __atomic_store_n(&pending_count, 0, __ATOMIC_RELAXED);
    chr_pending *p = __atomic_exchange_n(&pending, NULL, __ATOMIC_ACQUIRE);
    while (p != NULL) {
        chr_pending *next = p->next;
        unmap(p->map);
        free(p);
        p = next;
    }
}

/* A child keeps its parent's read-only maps until it closes the handles; the writable ones are not there. */
void chr_maps_fork_child(void)
{
    for (int i = 0; i < CHR_MAPS_WATCHED; i++) {
        chr_map *map = watched[i];
        if (map == NULL || !map->writable)
            continue;
        close(map->fd); /* it may carry a lock, which lives as long as the last copy of the descriptor */
        map->fd = -1;
        mmap(map->base, map->size, PROT_READ | PROT_WRITE, CHR_MAP_PRIVATE_ZERO | MAP_FIXED, -1, 0);
    }
}

/* ---------------------------------------------------------------- prefault */

/* First-touch faults are the p99. Page tables are per mapping: only the mapping that will be used is worth populating. */
void chr_map_populate(chr_map *map, uint64_t from, uint64_t to, bool write)
{
    from &= ~(host_page - 1);
    chr_store_relaxed32(&map->worn, chr_load_relaxed32(&map->worn) + (uint32_t)((to - from) / CHR_STEP) + 1);
    for (uint64_t at = from; at < to; at += CHR_CHUNK) {
        uint64_t size = to - at < CHR_CHUNK ? to - at : CHR_CHUNK;
        int rc = chr_prefault(map->base + at, size, write);
        if (rc == 0)
            continue;
        if (rc != EINVAL)
            return;
        for (uint64_t page = at; page < at + size; page += CHR_PAGE) /* hosts without the call: by reading, which cannot harm live data */
            (void)*(volatile uint8_t *)(map->base + page);
    }
}
