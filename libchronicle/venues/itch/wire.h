#ifndef CHR_ITCH_WIRE_H
#define CHR_ITCH_WIRE_H
/* Big-endian numbers of the wire. */

#include <stdint.h>
#include <string.h>

static inline uint16_t itch_u16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }

static inline uint32_t itch_u32(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, 4);
    return __builtin_bswap32(v);
}

static inline uint64_t itch_u48(const uint8_t *p) { return (uint64_t)itch_u16(p) << 32 | itch_u32(p + 2); }

static inline uint64_t itch_u64(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, 8);
    return __builtin_bswap64(v);
}

#endif
