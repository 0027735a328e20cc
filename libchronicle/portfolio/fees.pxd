from libc.stdint cimport int64_t, uint32_t

cdef extern from "fees.h" nogil:
    enum:
        CHR_FEE_TIERS, CHR_FEE_RING

    ctypedef struct chr_fee_tier:
        int64_t volume, maker, taker

    ctypedef struct chr_fees:
        chr_fee_tier *tiers
        uint32_t count, tier
        int64_t per_order, per_trade, per_qty, day, first
        int64_t *traded

    void chr_fees_seed(chr_fees *f, int64_t volume)
    int chr_fees_of(
        chr_fees *f, int64_t value, int64_t qty, int64_t times, int64_t over, int maker, int first, int64_t ts_ns, int64_t *fee
    )
    void chr_fees_recall(chr_fees *f, int64_t day, const int64_t *traded)
    void chr_fees_traded(chr_fees *f, int64_t value)


cdef class FeeSchedule:
    cdef chr_fees fees
