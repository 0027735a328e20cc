from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from libchronicle.protocol.layout cimport chr_level_t

cdef extern from "sbe.h" nogil:
    ctypedef struct chr_levels:
        const uint8_t *first
        uint32_t count, stride

    const void *chr_block(const void *payload, uint32_t size, uint16_t template_id, uint16_t min_block)
    void *chr_put_block(void *payload, uint16_t template_id)
    uint32_t chr_book_size(uint16_t template_id, uint32_t levels)
    chr_level_t *chr_put_levels(void *at, uint16_t count)
    const chr_level_t *chr_level_at(const chr_levels *levels, uint32_t i)
    int chr_take_levels(const uint8_t **at, const uint8_t *end, chr_levels *out)
    int chr_book_levels(const void *payload, uint32_t size, chr_levels *bids, chr_levels *asks)
    uint64_t chr_instrument_of(uint16_t type_id, const void *payload, uint32_t size)
