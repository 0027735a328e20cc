from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from libchronicle.backtest.sink cimport chr_request, chr_ring
from libchronicle.book.l2 cimport chr_l2
from libchronicle.native.hot cimport chr_frame
from libchronicle.portfolio.account cimport Account, chr_account
from libchronicle.protocol.layout cimport (
    chr_execution_report_t,
    chr_new_order_t,
    chr_position_report_t,
    chr_risk_event_t,
    chr_sbe_header_t,
)
from libchronicle.sim.matcher cimport chr_sim, chr_sim_event, chr_sim_order

cdef extern from "rows.h" nogil:
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


cdef union chr_report_body:
    chr_execution_report_t execution
    chr_position_report_t position
    chr_risk_event_t risk


cdef struct chr_report:          # on its way to the strategy
    int64_t due
    uint64_t seq
    uint32_t size                # of the message: header and body
    uint16_t type_id
    chr_sbe_header_t header      # the message itself
    chr_report_body body


cdef struct chr_paid:
    int64_t fee, position, realized


cdef struct chr_till:            # pays for fills before the matcher believes them
    chr_account *account
    int64_t now
    chr_paid *paid               # of fills that were not told yet
    uint32_t count, told, room


cdef class SimVenue:
    cdef chr_sim sim
    cdef readonly Account account
    cdef chr_ring reports
    cdef chr_rows orders, fills, curve, rows_by_seq
    cdef list queue_models       # they must live as long as the simulator asks them
    cdef object queues, chances
    cdef list names, currencies  # by slot
    cdef readonly dict definitions   # name -> protocol Instrument
    cdef bint asks_python        # a queue model is one of the user's
    cdef bytes account_name
    cdef uint64_t queue_id
    cdef uint32_t epoch
    cdef int64_t response_ns, last_due
    cdef chr_till till
    cdef uint32_t *moved         # slots whose position this step has changed
    cdef uint32_t moved_count
    cdef int64_t sample_ns, next_sample_ns
    cdef uint64_t hash, next_exec_id, next_report
    cdef uint64_t rejects[64]
    cdef readonly uint64_t liquidations

    cdef int request(self, const chr_request *r, int64_t now) except -1
    cdef int new_order(self, const chr_request *r, int64_t now) except -1
    cdef int cancel(self, const chr_request *r, int64_t now) except -1
    cdef int replace(self, const chr_request *r, int64_t now) except -1
    cdef int record(self, uint32_t slot, const chr_frame *f) except -1
    cdef int expire(self, int64_t now) except -1
    cdef int mark(self, uint32_t slot, int64_t now) except -1
    cdef int liquidate(self, uint32_t slot, int64_t now) except -1
    cdef int settle(self, int rc, int64_t now) except -1
    cdef int tell(self, const chr_sim_event *e, int64_t now) except -1
    cdef int filled(self, const chr_sim_event *e, chr_order_row *row, const chr_paid *paid, int64_t now) except -1
    cdef int hold(self, uint32_t slot, chr_order_row *row, int64_t leaves, int64_t price) except -1
    cdef int refuse(self, const chr_request *r, chr_order_row *row, uint8_t kind, uint16_t code, int64_t now) except -1
    cdef int describe(self, chr_execution_report_t *body, const chr_order_row *row) noexcept
    cdef int move(self, uint32_t slot) noexcept
    cdef int told_positions(self, int64_t now) except -1
    cdef int sample(self, int64_t now) except -1
    cdef chr_report *report(self, uint16_t type_id, uint16_t size, int64_t now) except NULL
    cdef int fold(self, const chr_report *report) noexcept
    cdef int64_t row_of(self, uint32_t epoch, uint64_t seq) noexcept
    cdef int slot_of(self, uint64_t instrument_id) noexcept
