#ifndef CHR_HASHING_H
#define CHR_HASHING_H
/* The hash of a run: every market record, request and report, in the order they happened. Chained, so the order counts; made of
   numbers only, so it is the same in every process. */

#include <stdint.h>
#include <string.h>

#include "l2.h"

/* One event: when, what, which. */
static inline uint64_t chr_fold(uint64_t hash, int64_t ts_ns, uint16_t type_id, uint64_t seq) {
    return chr_mix64(hash + chr_mix64((uint64_t)ts_ns + ((uint64_t)type_id << 48)) + seq);
}

/* Bytes, 8 at a time; the last ones padded with zeros. */
static inline uint64_t chr_fold_bytes(uint64_t hash, const uint8_t *bytes, uint32_t size) {
    for (; size >= 8; size -= 8, bytes += 8) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        hash = (hash ^ word) * 0x9E3779B97F4A7C15ull;
        hash ^= hash >> 32;
    }
    uint64_t rest = 0;
    memcpy(&rest, bytes, size);
    return chr_mix64(hash + rest);
}

#endif
