"""What a simulated venue writes: reports on their way to the strategy, and the rows of the result."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from libchronicle.backtest.sink cimport chr_lanes
from libchronicle.protocol.layout cimport (
    chr_account_report_t,
    chr_execution_report_t,
    chr_position_report_t,
    chr_risk_event_t,
    chr_sbe_header_t,
)

cdef extern from "rows.h" nogil:
    enum:
        CHR_ROWS_CHUNK

    ctypedef struct chr_rows:
        uint64_t count
        uint32_t size

    void chr_rows_init(chr_rows *r, uint32_t size)
    void chr_rows_free(chr_rows *r)
    void *chr_rows_at(const chr_rows *r, uint64_t i)
    void *chr_rows_add(chr_rows *r)

    ctypedef struct chr_order_row:
        uint64_t id
        int64_t sent_ns, arrived_ns, done_ns, price, stop_price, qty, cum_qty, cause_ts
        uint64_t venue_order_id
        uint32_t instrument
        uint8_t side, type, tif, post_only, reduce_only, state
        uint16_t reject_code
        uint64_t seq
        int64_t open_qty, open_price

    ctypedef struct chr_fill_row:
        int64_t ts_ns
        uint64_t order_id, trade_id, exec_id
        int64_t price, qty, cum_qty, leaves_qty, fee, position, realized, ahead, level_price, level_qty
        uint64_t cause_seq
        int64_t bid, ask
        uint32_t instrument
        uint8_t side, liquidity, rule

    ctypedef struct chr_equity_row:
        int64_t ts_ns, equity, cash, realized, fees, funding, exposure

    ctypedef struct chr_mark_row:
        int64_t ts_ns, bid, ask, position
        uint32_t instrument


cdef union chr_report_body:
    chr_execution_report_t execution
    chr_position_report_t position
    chr_account_report_t account
    chr_risk_event_t risk


cdef struct chr_report:          # on its way to the strategy
    int64_t due
    uint64_t seq
    uint64_t fill                # row of the fill it tells of, + 1; 0: none
    uint32_t size                # of the message: header and body
    uint16_t type_id
    chr_sbe_header_t header      # the message itself
    chr_report_body body


cdef class Outbox:
    cdef chr_lanes reports
    cdef list models                     # LatencyModel by lane
    cdef chr_rows orders, fills, curve, marks, rows_by_seq
    cdef uint64_t hash, next_report, next_exec_id
    cdef uint64_t delivered, delivered_execs
    cdef dict told                       # currency -> time, balance and what is free, as last delivered

    cdef chr_report *report(self, uint32_t lane, uint16_t type_id, uint16_t size, int64_t now) except NULL
    cdef chr_report *first_report(self) except NULL
    cdef int no_older(self, chr_account_report_t *body) except -1
    cdef int fold(self, const chr_report *report) noexcept
    cdef chr_order_row *order_row(self, uint64_t seq) except NULL
    cdef int64_t row_of(self, uint64_t seq) noexcept
    cdef chr_fill_row *fill_row(self) except NULL
    cdef chr_equity_row *equity_row(self) except NULL
    cdef chr_mark_row *mark_row(self) except NULL
