/* CRC32C (Castagnoli, reflected 0x82F63B78) with the processor's instruction.
 *
 * `chr_crc32c(state, data, size)` continues a raw state: no inversion inside, so states chain. A finished checksum is ~state of a state that began
 * as ~0. The instruction has latency 3 and throughput 1, so long runs go three lanes at a time. A lane's state is moved over the n bytes behind it
 * by a carry-less product with x^(8n - 33) mod P, reduced by the same instruction.
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

#if defined(__PCLMUL__) && defined(__SSE4_2__)
#include <wmmintrin.h>
#define CHR_CRC_LANES_FROM 192u

static inline uint32_t chr_crc_move(uint32_t state, uint32_t factor)
{
    __m128i product = _mm_clmulepi64_si128(_mm_cvtsi32_si128((int)state), _mm_cvtsi32_si128((int)factor), 0);
    return chr_crc_u64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

/* Three lanes of `lane` bytes; the factors move a state over one and over two of them. */
static inline uint32_t chr_crc_lanes(uint32_t state, const uint8_t *p, size_t lane, uint32_t over_one, uint32_t over_two)
{
    uint32_t second = 0, third = 0;
    uint64_t a, b, c;
    for (size_t i = 0; i < lane; i += 8) {
        memcpy(&a, p + i, 8);
        memcpy(&b, p + lane + i, 8);
        memcpy(&c, p + 2 * lane + i, 8);
        state = chr_crc_u64(state, a);
        second = chr_crc_u64(second, b);
        third = chr_crc_u64(third, c);
    }
    return chr_crc_move(state, over_two) ^ chr_crc_move(second, over_one) ^ third;
}

static __attribute__((noinline, unused)) uint32_t chr_crc_long(uint32_t state, const uint8_t **data, size_t *size)
{
    const uint8_t *p = *data;
    for (; *size >= 3 * 512; *size -= 3 * 512, p += 3 * 512)
        state = chr_crc_lanes(state, p, 512, 0xdd7e3b0cu, 0x170076fau);
    for (; *size >= 3 * 128; *size -= 3 * 128, p += 3 * 128)
        state = chr_crc_lanes(state, p, 128, 0x0d3b6092u, 0xb9e02b86u);
    for (; *size >= 3 * 64; *size -= 3 * 64, p += 3 * 64)
        state = chr_crc_lanes(state, p, 64, 0x9e4addf8u, 0x0d3b6092u);
    *data = p;
    return state;
}
#endif

static inline uint32_t chr_crc32c(uint32_t state, const void *data, size_t size)
{
    const uint8_t *p = (const uint8_t *)data;
    uint64_t word;
#ifdef CHR_CRC_LANES_FROM
    if (size >= CHR_CRC_LANES_FROM)
        state = chr_crc_long(state, &p, &size);
#endif
    for (; size >= 32; p += 32, size -= 32) {
        uint64_t words[4];
        memcpy(words, p, 32);
        state = chr_crc_u64(state, words[0]);
        state = chr_crc_u64(state, words[1]);
        state = chr_crc_u64(state, words[2]);
        state = chr_crc_u64(state, words[3]);
    }
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

/* Copies while it sums: every word is read once, so what is stored is what was summed, and nothing stored is read back. */
static inline uint32_t chr_crc_copy(uint32_t state, void *to, const void *from, size_t size)
{
    uint8_t *out = to;
    const uint8_t *in = from;
    uint64_t word;
#ifdef CHR_CRC_LANES_FROM
    if (size >= CHR_CRC_LANES_FROM) {
        memcpy(out, in, size);
        return chr_crc32c(state, out, size);
    }
#endif
    for (; size >= 8; size -= 8, in += 8, out += 8) {
        memcpy(&word, in, 8);
        state = chr_crc_u64(state, word);
        memcpy(out, &word, 8);
    }
    for (; size > 0; size--, in++, out++) {
        uint8_t byte = *in;
        state = chr_crc_u8(state, byte);
        *out = byte;
    }
    return state;
}

#endif
