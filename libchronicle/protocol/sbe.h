#ifndef CHR_SBE_H
#define CHR_SBE_H
/* Walking a payload in place: header, fixed block, groups of levels. No copy, no allocation, every length checked.

   payload:  chr_sbe_header_t | fixed block (header.block_length bytes) | chr_group_t | levels | chr_group_t | levels

   A newer writer's block may be longer, never shorter than version 1's; positions after it follow block_length, not
   the size of the struct. Frames start at multiples of 32 bytes, so every field of a payload is naturally aligned. */

#include <stdint.h>
#include <string.h>

#include "messages.h"

/* The fixed block of `payload`, or NULL when it is no payload of that template with at least `min_block` bytes. */
static inline const void *chr_block(const void *payload, uint32_t size, uint16_t template_id, uint16_t min_block) {
    const chr_sbe_header_t *h = (const chr_sbe_header_t *)payload;
    if (size < sizeof *h || h->template_id != template_id || h->schema_id != CHR_SCHEMA_ID) return NULL;
    if (h->block_length < min_block || size - sizeof *h < h->block_length) return NULL;
    return h + 1;
}

/* Writes the header of a template at `payload` and returns its fixed block, zeroed. */
static inline void *chr_put_block(void *payload, uint16_t template_id) {
    chr_sbe_header_t *h = (chr_sbe_header_t *)payload;
    h->block_length = chr_block_length(template_id);
    h->template_id = template_id;
    h->schema_id = CHR_SCHEMA_ID;
    h->version = CHR_SCHEMA_VERSION;
    return memset(h + 1, 0, h->block_length);
}

/* Bytes a book message with that many levels in all takes. */
static inline uint32_t chr_book_size(uint16_t template_id, uint32_t levels) {
    return (uint32_t)(sizeof(chr_sbe_header_t) + chr_block_length(template_id) + 2 * sizeof(chr_group_t) +
                      levels * sizeof(chr_level_t));
}

/* Writes a group header of `count` levels at `at`; the levels follow it. */
static inline chr_level_t *chr_put_levels(void *at, uint16_t count) {
    chr_group_t *g = (chr_group_t *)at;
    g->block_length = sizeof(chr_level_t);
    g->num_in_group = count;
    g->num_groups = 0;
    g->num_var_data_fields = 0;
    return (chr_level_t *)(g + 1);
}

/* Entries of one group. `stride` exceeds sizeof(chr_level_t) when a newer writer's entries are longer. */
typedef struct {
    const uint8_t *first;
    uint32_t count, stride;
} chr_levels;

static inline const chr_level_t *chr_level_at(const chr_levels *levels, uint32_t i) {
    return (const chr_level_t *)(levels->first + (size_t)i * levels->stride);
}

/* Reads the group at *at and moves *at past it. 0, or -1 when it is cut off or nested. */
static inline int chr_take_levels(const uint8_t **at, const uint8_t *end, chr_levels *out) {
    if ((size_t)(end - *at) < sizeof(chr_group_t)) return -1;
    const chr_group_t *g = (const chr_group_t *)*at;
    if (g->block_length < sizeof(chr_level_t) || g->num_groups || g->num_var_data_fields) return -1;
    out->first = *at + sizeof *g;
    out->count = g->num_in_group;
    out->stride = g->block_length;
    if ((size_t)(end - out->first) < (size_t)out->count * out->stride) return -1;
    *at = out->first + (size_t)out->count * out->stride;
    return 0;
}

/* Both sides of a BookSnapshot or BookDelta whose block was found by chr_block. 0 or -1. */
static inline int chr_book_levels(const void *payload, uint32_t size, chr_levels *bids, chr_levels *asks) {
    const uint8_t *at = (const uint8_t *)payload, *end = at + size;
    at += sizeof(chr_sbe_header_t) + ((const chr_sbe_header_t *)payload)->block_length;
    if (chr_take_levels(&at, end, bids)) return -1;
    return chr_take_levels(&at, end, asks);
}

/* Instrument a payload names; 0 = the whole feed, or a type that names none, or a payload too short to say. */
static inline uint64_t chr_instrument_of(uint16_t type_id, const void *payload, uint32_t size) {
    uint32_t offset = chr_instrument_offset(type_id);
    uint64_t id;
    if (!offset || size < offset + sizeof id) return 0;
    memcpy(&id, (const uint8_t *)payload + offset, sizeof id);
    return id;
}

#endif
