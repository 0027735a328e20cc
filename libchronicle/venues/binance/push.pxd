"""push.h and what it includes, for Cython. Inline C, nothing to link."""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from libchronicle.native.hot cimport chr_writer


cdef extern from "json_scan.h" nogil:
    ctypedef struct bn_value:
        const uint8_t *p
        uint32_t n
        uint32_t levels

    ctypedef struct bn_cursor:
        const uint8_t *p
        const uint8_t *end

    ctypedef struct bn_fields:
        pass

    int BN_SCAN_OK
    int bn_scan(const uint8_t *p, size_t n, bn_fields *f)
    int bn_levels_extent(bn_cursor *c, bn_value *v)


cdef extern from "records.h" nogil:
    ctypedef enum bn_kind:
        BN_NONE
        BN_DEPTH
        BN_TRADE
        BN_TICKER
        BN_REPLY

    int BN_OK
    int BN_UNUSUAL
    int BN_MALFORMED
    int BN_UNKNOWN_STREAM
    int BN_UNKNOWN_SYMBOL
    int BN_BAD_DECIMAL
    int BN_INCONSISTENT

    ctypedef struct bn_symbol:
        char name[32]
        uint32_t name_size
        int32_t price_exponent
        int32_t qty_exponent
        uint64_t instrument_id
        uint64_t chain
        uint32_t open
        uint32_t old_run
        uint32_t old_diffs
        uint64_t last_ticker
        uint64_t last_trade

    ctypedef struct bn_table:
        bn_symbol *symbols
        uint32_t count
        uint32_t last
        uint32_t futures
        uint32_t mask
        uint16_t *slots

    ctypedef struct bn_frame:
        bn_kind kind
        uint32_t index
        bn_symbol *symbol
        uint32_t size
        uint64_t first
        uint64_t last
        uint64_t before
        uint64_t prev

    void bn_index(bn_table *t)
    int bn_classify(bn_table *t, const bn_fields *f, bn_frame *out)
    int bn_write(const bn_fields *f, const bn_frame *frame, int64_t recv_ts, uint8_t *out)
    int bn_write_snapshot(const bn_symbol *s, const bn_value *bids, const bn_value *asks, uint64_t last_update_id,
                          int64_t event_ts, int64_t venue_ts, int64_t recv_ts, uint8_t *out)
    uint16_t bn_template(bn_kind kind)


cdef extern from "continuity.h" nogil:
    ctypedef enum bn_follow:
        BN_NEXT
        BN_SEEN
        BN_BREAK

    bn_follow bn_follows(uint64_t chain, uint64_t before, uint64_t last)
    void bn_forget(bn_symbol *s)


cdef extern from "push.h" nogil:
    int BN_SYNC
    int BN_ROLLED
    int BN_DUPLICATE
    int BN_REORDERED
    int BN_QUEUE_ERROR

    ctypedef struct bn_decoder:
        bn_table table
        bn_fields fields
        bn_frame frame
        chr_writer *writer
        uint64_t position_base
        uint64_t missing_trades
        uint64_t late_trades

    int bn_push(bn_decoder *d, const uint8_t *p, size_t n, int64_t recv_ts)
    uint64_t bn_segment(const chr_writer *w)


cdef extern from "sbe.h" nogil:
    uint32_t chr_book_size(uint16_t template_id, uint32_t levels)
    uint16_t CHR_BOOK_SNAPSHOT
    uint16_t CHR_BOOK_DELTA

    ctypedef struct chr_sbe_header_t:
        uint16_t template_id

    ctypedef struct chr_book_delta_t:
        uint16_t flags

    ctypedef struct chr_book_snapshot_t:
        uint16_t flags
