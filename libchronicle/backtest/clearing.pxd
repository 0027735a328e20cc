from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from libchronicle.backtest.listing cimport Listing
from libchronicle.backtest.outbox cimport chr_order_row
from libchronicle.native.hot cimport chr_frame
from libchronicle.portfolio.account cimport chr_account
from libchronicle.protocol.layout cimport chr_execution_report_t
from libchronicle.sim.matcher cimport chr_sim_event, chr_sim_order

cdef extern from "till.h" nogil:
    ctypedef struct chr_paid:
        int64_t fee, position, realized

    ctypedef struct chr_till:
        chr_account *account
        int64_t now
        chr_paid *paid
        uint32_t count, told

    int chr_till_fill(void *context, const chr_sim_order *order, int64_t price, int64_t qty, uint8_t liquidity) noexcept


cdef struct chr_move:
    uint32_t slot
    int64_t before               # position


cdef class Clearing(Listing):
    cdef uint64_t queue_id
    cdef uint32_t epoch
    cdef chr_till till
    cdef bint cancels_on_trip
    cdef chr_move *moved         # slots whose position this step has changed
    cdef uint32_t moved_count
    cdef object fundings
    cdef tuple funding           # the next payment: time, instrument, rate
    cdef int64_t sample_ns, next_sample_ns, begin_ns, next_funding_ns    # begin_ns: INT64_MIN before the run
    cdef uint64_t rejects[64]
    cdef readonly uint64_t liquidations, trips

    cdef int record(self, uint32_t slot, const chr_frame *f) except -1
    cdef int lose(self, uint32_t slot) except -1
    cdef int expire(self, int64_t now) except -1
    cdef int mark(self, uint32_t slot, int64_t now) except -1
    cdef int value(self, uint32_t slot) except -1
    cdef int liquidate(self, uint32_t slot, int64_t now) except -1
    cdef int settle(self, int rc, int64_t now) except -1
    cdef int tell(self, const chr_sim_event *e, int64_t now) except -1
    cdef int filled(self, const chr_sim_event *e, chr_order_row *row, const chr_paid *paid, int64_t now) except -1
    cdef int hold(self, uint32_t slot, chr_order_row *row, int64_t leaves, int64_t price) except -1
    cdef int describe(self, chr_execution_report_t *body, const chr_order_row *row) noexcept
    cdef int move(self, uint32_t slot, int64_t before) noexcept
    cdef int trip(self, uint32_t slot, int code, int64_t now) except -1
    cdef int told_balance(self, uint32_t place, uint32_t lane, int64_t now) except -1
    cdef int told_positions(self, int64_t now) except -1
    cdef int sample(self, int64_t now) except -1
    cdef int fund(self, int64_t now) except -1
    cdef int skip_samples(self, int64_t until) noexcept
