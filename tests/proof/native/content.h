/* Payloads that are a function of their seq, so that every 8-byte word of a record can be checked by who reads it. */
#ifndef CONTENT_H
#define CONTENT_H

#include "chr_core.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CONTENT_MAX 4096u

#define CHECK(x)                                                                                     \
    do {                                                                                             \
        if (!(x)) {                                                                                  \
            fprintf(stderr, "%s:%d (pid %d): %s\n", __FILE__, __LINE__, (int)getpid(), #x);          \
            exit(1);                                                                                 \
        }                                                                                            \
    } while (0)

static inline uint64_t mix(uint64_t v)
{
    v = (v ^ v >> 31) * 0x9E3779B97F4A7C15ull;
    return v ^ v >> 29;
}

static inline uint32_t size_of(uint64_t seq) { return (uint32_t)(mix(seq) % (CONTENT_MAX / 8)) * 8; }

static inline uint64_t word_of(uint64_t seq, uint32_t i) { return (seq + 1) * 0x9E3779B97F4A7C15ull + i * 0xC2B2AE3D27D4EB4Full; }

static inline void fill(void *to, uint64_t seq, uint32_t size)
{
    uint64_t *p = to;
    for (uint32_t i = 0; i < size / 8; i++)
        p[i] = word_of(seq, i);
}

/* Words checked. */
static inline uint64_t check_words(const chr_frame *f)
{
    const uint64_t *p = (const uint64_t *)f->payload;
    uint64_t wrong = 0;
    CHECK(f->size == size_of(f->seq));
    for (uint32_t i = 0; i < f->size / 8; i++)
        wrong |= p[i] ^ word_of(f->seq, i);
    CHECK(wrong == 0);
    return f->size / 8;
}

static inline void show(const char *who, const chr_error *e)
{
    fprintf(stderr, "%s: code %d %s %s (%llu %llu %llu)\n", who, e->code, e->path, e->reason, (unsigned long long)e->a, (unsigned long long)e->b,
            (unsigned long long)e->c);
}

#endif
