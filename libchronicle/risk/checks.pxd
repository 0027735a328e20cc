"""checks.h for Cython."""

from libc.stdint cimport int64_t, uint8_t, uint16_t

from libchronicle.portfolio.position cimport chr_i128, chr_terms

cdef extern from "../risk/checks.h" nogil:
    enum:
        CHR_NO_LIMIT, CHR_MOST_OPEN_ORDERS

    ctypedef struct chr_limits:
        int64_t order_qty, order_notional, position_qty, position_notional, exposure, open_orders, price_band_bps, data_age_ns
        uint8_t allowed

    ctypedef struct chr_bucket:
        int64_t cost_ns, depth_ns, full_at_ns

    ctypedef struct chr_proposal:
        int64_t qty, price, valid_until_ns, replaces_leaves
        uint8_t is_buy, type, reduce_only, is_replace

    ctypedef struct chr_situation:
        int64_t now_ns
        const chr_terms *terms
        const chr_limits *limits
        chr_bucket *bucket
        int64_t best_bid, best_ask, reference, market_ts, position, open_buy, open_sell, open_orders, exposure
        int64_t tripped_limit, tripped_actual
        uint16_t tripped
        uint8_t has_market, killed, unpermitted

    ctypedef struct chr_breach:
        int64_t limit, actual
        uint16_t code

    int chr_bucket_has(chr_bucket *b, int64_t now)
    int chr_bucket_take(chr_bucket *b, int64_t now)
    int chr_only_reduces(const chr_proposal *o, const chr_situation *s)
    int chr_risk_check(const chr_proposal *o, const chr_situation *s, chr_breach *b)


cdef class TokenBucket:
    cdef chr_bucket b


cdef int limits_into(object limits, chr_limits *into) except -1
