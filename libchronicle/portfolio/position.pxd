from libc.stdint cimport int64_t, uint8_t

cdef extern from "money.h" nogil:
    ctypedef long long chr_i128 "__int128"

    enum:
        CHR_WIDE, CHR_RATE_UNIT, CHR_WHAT_COUNT

    ctypedef struct chr_terms:
        int64_t tick, lot, min_qty, max_qty, min_value, times, over
        uint8_t inverse, spot, trading

    int chr_value(const chr_terms *t, int64_t price, int64_t qty, int64_t *out)
    int chr_notional(const chr_terms *t, int64_t price, int64_t qty, int64_t *out)
    int chr_price_of(const chr_terms *t, int64_t cost, int64_t qty, int64_t *out)
    int chr_charge(int64_t amount, int64_t rate, int what, int64_t *out)

cdef extern from "position.h" nogil:
    ctypedef struct chr_pos:
        int64_t qty, cost, cash, realized, fees

    int chr_position_fill(
        const chr_pos *p, const chr_terms *t, int64_t signed_qty, int64_t price, int64_t fee, chr_pos *next,
        int64_t *gained,
    )
    int chr_position_unrealized(const chr_pos *p, const chr_terms *t, int64_t mark, int64_t *out)


cdef int overflow(int code) except -1
cdef int64_t i64(object value, str what) except? -1


cdef class Terms:
    cdef chr_terms t


cdef class Position:
    cdef chr_pos p
    cdef Terms native
    cdef object _terms
