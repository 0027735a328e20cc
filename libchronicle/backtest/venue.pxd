from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from libchronicle.backtest.clearing cimport Clearing
from libchronicle.backtest.outbox cimport chr_order_row
from libchronicle.backtest.sink cimport chr_request
from libchronicle.risk.checks cimport chr_proposal


cdef class SimVenue(Clearing):
    cdef uint32_t asked          # lane of the request that is looked at

    cdef int request(self, const chr_request *r, uint32_t lane, int64_t now) except -1
    cdef int new_order(self, const chr_request *r, int64_t now) except -1
    cdef int cancel(self, const chr_request *r, int64_t now) except -1
    cdef int replace(self, const chr_request *r, int64_t now) except -1
    cdef int refuse(self, const chr_request *r, chr_order_row *row, uint8_t kind, uint16_t code, int64_t now) except -1
    cdef int64_t named(self, uint32_t epoch, uint64_t seq) noexcept
    cdef int judge(self, uint32_t slot, uint8_t side, const chr_proposal *asked, int64_t now) except -1
    cdef int gate_code(self, uint32_t slot, const chr_proposal *asked, int64_t now) noexcept
    cdef int money_code(self, uint32_t slot, uint8_t side, const chr_proposal *asked) except -1
