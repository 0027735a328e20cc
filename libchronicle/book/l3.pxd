from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from libchronicle.book.l2 cimport L2Book, chr_int128, chr_l2
from libchronicle.protocol.layout cimport chr_auction_info_t

cdef extern from "l3_store.h" nogil:
    ctypedef struct chr_l3_order:
        uint64_t id
        int64_t qty
        uint32_t level, next, prev, arrival

    ctypedef struct chr_l3_level:
        int64_t key, qty
        uint32_t head, tail, count
        uint8_t side, no_price

    ctypedef struct chr_l3_store:
        chr_l3_order *orders
        chr_l3_level *levels
        uint32_t levels_used, count, arrivals

    uint32_t chr_l3_find(const chr_l3_store *s, uint64_t id)
    uint32_t chr_l3_find_level(const chr_l3_store *s, int side, int no_price, int64_t key)
    uint32_t chr_l3_ahead(const chr_l3_store *s, uint32_t place, int64_t *qty)

cdef extern from "l3.h" nogil:
    enum:
        CHR_L3_UNKNOWN, CHR_L3_DUPLICATE, CHR_L3_EXCESS
        CHR_L3_FRESH, CHR_L3_RIGHT, CHR_L3_WRONG, CHR_L3_FILLING

    ctypedef struct chr_l3:
        chr_l2 l2
        chr_l3_store store
        uint64_t snapshot_seq, unknown, forbidden, executions
        chr_int128 executed
        chr_auction_info_t auction
        uint16_t phase_flags
        uint8_t phase, state, lenient, filling

    int chr_l3_init(chr_l3 *b, uint64_t instrument_id)
    void chr_l3_free(chr_l3 *b)
    void chr_l3_clear(chr_l3 *b)
    void chr_l3_turn(chr_l3 *b, uint8_t state)
    int chr_l3_apply(chr_l3 *b, uint16_t type_id, const void *payload, uint32_t size)
    int64_t chr_l3_key(const chr_l3 *b, int side, int64_t price)
    int chr_l3_calls(const chr_l3 *b)
    uint64_t chr_l3_hash(const chr_l3 *b)
    const char *chr_l3_reason(int result)

cdef extern from "l3_orders.h" nogil:
    ctypedef struct chr_l3_walk:
        uint32_t number

    chr_l3_walk chr_l3_walk_start(const chr_l3 *b)
    uint32_t chr_l3_walk_next(chr_l3_walk *w)
    uint32_t chr_l3_snapshot_records(const chr_l3 *b)
    uint16_t chr_l3_snapshot_type(const chr_l3 *b)
    uint32_t chr_l3_snapshot_bytes(const chr_l3 *b)
    void chr_l3_snapshot_put(chr_l3_walk *w, void *payload, uint64_t instrument_id, uint64_t raw_seq)
    int chr_l3_snapshot_due(
        uint64_t records, uint64_t last, uint64_t limit, int64_t age_ns, int64_t interval_ns, int has_one)
    int chr_l3_ended(const chr_l3 *b, int was_filling, uint16_t type_id, const void *payload, int result)
    int chr_l3_follows(const chr_l3 *b, uint16_t type_id, const void *payload)


cdef class L3Book(L2Book):
    cdef chr_l3 *l3

    cdef list _queue(self, uint32_t level)
    cdef uint32_t _unpriced(self, side) except? 0xFFFFFFFF
    cdef list _priced(self, int side)
