/* A log that a hot thread fills and a native thread writes out. One producer; the consumer never takes the GIL.
 *
 *     head   bytes ever put in (producer), tail   bytes ever taken out (consumer), both only grow; capacity is a power of two
 *     The bytes are the text itself: lines need no frame, since put() takes whole lines or nothing.
 *
 * A full ring drops the line and counts it; what was dropped is told in the log itself once there is room, so nobody reads a log with
 * holes as a whole one. No system call on the producer's side: the consumer looks every 25 ms.
 */
#ifndef CHR_LOGRING_H
#define CHR_LOGRING_H

#include "chr_atomic.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CHR_LOGRING_PERIOD_NS 25000000l

typedef struct {
    uint8_t *bytes;
    uint64_t capacity;
    uint64_t head __attribute__((aligned(64)));
    uint64_t dropped;           /* lines, by the producer */
    uint64_t tail __attribute__((aligned(64)));
    uint64_t told;              /* of dropped, by the consumer */
    uint64_t lost;              /* lines' bytes the descriptor refused */
    uint32_t stop;
    int fd;
    pthread_t thread;
} chr_logring;

static inline int chr_logring_put(chr_logring *r, const void *text, uint64_t size)
{
    uint64_t head = r->head, room = r->capacity - (head - chr_load_acquire64(&r->tail));
    if (CHR_UNLIKELY(size > room)) {
        chr_store_relaxed64(&r->dropped, r->dropped + 1);
        return 0;
    }
    uint64_t at = head & (r->capacity - 1), first = r->capacity - at < size ? r->capacity - at : size;
    memcpy(r->bytes + at, text, first);
    memcpy(r->bytes, (const uint8_t *)text + first, size - first);
    chr_store_release64(&r->head, head + size);
    return 1;
}

/* All of it, whatever the descriptor's mode and appetite; a descriptor that fails loses the rest. */
static void chr_logring_write(chr_logring *r, const uint8_t *from, uint64_t size)
{
    while (size > 0) {
        ssize_t n = write(r->fd, from, size);
        if (n > 0) {
            from += n;
            size -= (uint64_t)n;
        } else if (n < 0 && errno == EAGAIN && !chr_load_acquire32(&r->stop)) {
            struct pollfd p = {.fd = r->fd, .events = POLLOUT};
            poll(&p, 1, 100);
        } else if (n == 0 || errno != EINTR) {
            chr_store_relaxed64(&r->lost, r->lost + size);
            return;
        }
    }
}

static void chr_logring_drain(chr_logring *r)
{
    uint64_t head = chr_load_acquire64(&r->head);
    while (r->tail != head) {
        uint64_t at = r->tail & (r->capacity - 1), size = head - r->tail;
        if (size > r->capacity - at)
            size = r->capacity - at;
        chr_logring_write(r, r->bytes + at, size);
        chr_store_release64(&r->tail, r->tail + size);
    }
    uint64_t dropped = chr_load_relaxed64(&r->dropped);
    if (dropped != r->told) {
        char line[96];
        int n = snprintf(line, sizeof line, "level=warning event=\"log lines dropped\" count=%llu\n", (unsigned long long)(dropped - r->told));
        r->told = dropped;
        chr_logring_write(r, (const uint8_t *)line, (uint64_t)n);
    }
}

static void *chr_logring_run(void *argument)
{
    chr_logring *r = argument;
    struct timespec period = {0, CHR_LOGRING_PERIOD_NS};
    while (!chr_load_acquire32(&r->stop)) {
        chr_logring_drain(r);
        nanosleep(&period, NULL);
    }
    chr_logring_drain(r);
    return NULL;
}

static chr_logring *chr_logring_open(int fd, uint64_t capacity)
{
    void *memory = NULL;
    chr_logring *r = posix_memalign(&memory, 64, sizeof *r) == 0 ? memory : NULL;
    if (r == NULL)
        return NULL;
    memset(r, 0, sizeof *r);
    r->bytes = malloc(capacity);
    r->capacity = capacity;
    r->fd = fd;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals belong to the process's own threads */
    int failed = r->bytes == NULL || pthread_create(&r->thread, NULL, chr_logring_run, r) != 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        free(r->bytes);
        free(r);
        return NULL;
    }
    return r;
}

static void chr_logring_close(chr_logring *r)
{
    chr_store_release32(&r->stop, 1);
    pthread_join(r->thread, NULL);
    free(r->bytes);
    free(r);
}

#endif
