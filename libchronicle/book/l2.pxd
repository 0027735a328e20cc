from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from libchronicle.protocol.layout cimport chr_level_t

cdef extern from "ladder.h":  # named so that a change of it rebuilds what uses it
    pass

cdef extern from "l2.h" nogil:
    ctypedef long long chr_int128 "__int128"

    enum:
        CHR_L2_APPLIED, CHR_L2_IGNORED, CHR_L2_MALFORMED, CHR_L2_MODE, CHR_L2_QTY, CHR_L2_FULL
        CHR_BID, CHR_ASK

    ctypedef struct chr_l2:
        uint64_t instrument_id, last_update_id, tick, applied
        int64_t venue_ts, event_ts, recv_ts
        uint8_t valid

    int chr_l2_init(chr_l2 *b, uint64_t instrument_id)
    void chr_l2_free(chr_l2 *b)
    void chr_l2_prefault(chr_l2 *b)
    void chr_l2_clear(chr_l2 *b)
    int chr_l2_apply(chr_l2 *b, uint16_t type_id, const void *payload, uint32_t size)
    int chr_l2_best(const chr_l2 *b, int side, chr_level_t *out)
    uint32_t chr_l2_top(const chr_l2 *b, int side, uint32_t count, chr_level_t *out)
    int64_t chr_l2_qty_at(const chr_l2 *b, int side, int64_t price)
    uint32_t chr_l2_levels(const chr_l2 *b, int side)
    chr_int128 chr_l2_depth(const chr_l2 *b, int side, uint32_t count)
    double chr_l2_imbalance(const chr_l2 *b, uint32_t count)
    int chr_l2_crossed(const chr_l2 *b)
    uint64_t chr_l2_hash(const chr_l2 *b)
    const char *chr_l2_reason(int result)


cdef class L2Book:
    cdef chr_l2 *b

    # what a kind of book does with a record, and says of one that it refuses
    cdef int _take(self, uint16_t type_id, const void *payload, uint32_t size) noexcept
    cdef const char *_reason(self, int result) noexcept
    cdef str _mode(self)
    cdef int _feed(self, int type_id, object payload) except? -9
    cdef list _levels(self, int side, object count)


cdef int book_side(side) except -1
