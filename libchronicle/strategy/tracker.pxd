from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from libchronicle.protocol.layout cimport (
    chr_account_report_t,
    chr_execution_report_t,
    chr_new_order_t,
    chr_position_report_t,
)


cdef inline uint64_t order_id(uint32_t epoch, uint64_t seq) noexcept nogil:
    """Ids are 23 bits of epoch and 40 of seq: an int that never repeats while its queue lives."""
    return (<uint64_t> epoch << 40) | (seq & 0xFFFFFFFFFFULL)


cdef class Position:
    cdef readonly object instrument
    cdef readonly int64_t qty
    cdef readonly int64_t avg_price
    cdef readonly int64_t realized_pnl
    cdef readonly int64_t fees
    cdef readonly int pnl_exponent
    cdef readonly uint64_t last_exec_id


cdef class Balance:
    cdef readonly str currency
    cdef readonly int64_t total
    cdef readonly int64_t available
    cdef readonly int exponent
    cdef readonly int64_t ts_ns


cdef class WorkingOrder:
    cdef readonly uint64_t id
    cdef readonly object instrument
    cdef readonly int64_t price
    cdef readonly int64_t qty
    cdef readonly int64_t cum_qty
    cdef readonly int64_t sent_ns
    cdef uint8_t _side
    cdef uint8_t _state
    cdef bint cancelling
    cdef chr_new_order_t body             # as it was sent; of a stranger only what its report says


cdef class Tracker:
    cdef readonly dict orders             # id -> WorkingOrder, open ones only
    cdef readonly dict balances           # currency -> Balance, as last reported
    cdef readonly uint64_t queue_id       # of orders_out
    cdef readonly uint64_t last_exec_id
    cdef readonly uint64_t duplicates     # reports seen before
    cdef readonly uint64_t strangers      # reports of orders nobody here sent

    cdef WorkingOrder sent(
        self, uint64_t id, object instrument, const chr_new_order_t *body, int64_t ts_ns
    )
    cdef WorkingOrder reported(
        self, object instrument, Position position, const chr_execution_report_t *report
    )
    cdef int positioned(self, Position position, const chr_position_report_t *report) except -1
    cdef int accounted(self, const chr_account_report_t *report) except -1
    cdef WorkingOrder _stranger(self, uint64_t id, object instrument, const chr_execution_report_t *report)
