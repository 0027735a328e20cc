/* CRC32C (Castagnoli, reflected 0x82F63B78) with the processor's instruction.
 *
 * `chr_crc32c(state, data, size)` continues a raw state: no inversion inside, so states chain. A finished checksum is ~state
 * of a state that began as ~0. Long runs go three lanes at a time, since the instruction has latency 3 and throughput 1; the
 * lanes are joined with the tables of crc.c (binding) or, where these are not linked, one lane does it all.
 */
#ifndef CHR_CRC_H
#define CHR_CRC_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE4_2__)
#include <nmmintrin.h>
#define chr_crc_u8(c, v) _mm_crc32_u8((uint32_t)(c), (v))
#define chr_crc_u16(c, v) _mm_crc32_u16((uint32_t)(c), (v))
#define chr_crc_u32(c, v) _mm_crc32_u32((uint32_t)(c), (v))
#define chr_crc_u64(c, v) ((uint32_t)_mm_crc32_u64((c), (v)))
#elif defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#define chr_crc_u8(c, v) __crc32cb((c), (v))
#define chr_crc_u16(c, v) __crc32ch((c), (v))
#define chr_crc_u32(c, v) __crc32cw((c), (v))
#define chr_crc_u64(c, v) __crc32cd((c), (v))
#else
#error "CRC32C needs SSE 4.2 or the ARMv8 CRC extension"
#endif

static inline uint32_t chr_crc32c(uint32_t state, const void *data, size_t size)
{
    const uint8_t *p = (const uint8_t *)data;
    uint64_t word;
    while (size >= 8) {
        memcpy(&word, p, 8);
        state = chr_crc_u64(state, word);
        p += 8;
        size -= 8;
    }
    if (size & 4) {
        uint32_t v;
        memcpy(&v, p, 4);
        state = chr_crc_u32(state, v);
        p += 4;
    }
    if (size & 2) {
        uint16_t v;
        memcpy(&v, p, 2);
        state = chr_crc_u16(state, v);
        p += 2;
    }
    if (size & 1)
        state = chr_crc_u8(state, *p);
    return state;
}

/* The finished checksum of one buffer. */
static inline uint32_t chr_checksum(const void *data, size_t size) { return ~chr_crc32c(~0u, data, size); }

#endif
