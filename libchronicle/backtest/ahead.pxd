from libc.stdint cimport int64_t, uint32_t, uint64_t

from libchronicle.backtest.clearing cimport Clearing
from libchronicle.native.hot cimport chr_frame
from libchronicle.protocol.layout cimport CHR_TRADE, CHR_TRADE_BLOCK, chr_trade_t
from libchronicle.protocol.sbe cimport chr_block
from libchronicle.replay.merging cimport Merged
from libchronicle.sim.latency cimport LatencyModel


cdef struct chr_shown:             # an instrument as the venue shows it
    uint64_t id
    void *book                     # a Book, borrowed
    int slot                       # -1: not defined yet


cdef inline bint chr_could_be(const chr_frame *f) noexcept nogil:
    """Whether a Trade can be read, and is not of less than nothing."""
    cdef const chr_trade_t *trade = <const chr_trade_t *>chr_block(f.payload, f.size, CHR_TRADE, CHR_TRADE_BLOCK)
    return trade != NULL and trade.qty >= 0


cdef class Ahead:
    cdef Merged merged
    cdef Clearing venue
    cdef LatencyModel latency
    cdef list instruments, books
    cdef chr_shown *shown
    cdef uint32_t count
    cdef bint strict, ignores
    cdef int64_t start_ns, end_ns
    cdef int64_t last_ns
    cdef int64_t due_ns            # of the next record; the largest int64 when there is none

    cdef int look(self) except -1
    cdef int step(self) except -1
    cdef int define(self, uint32_t at, const chr_frame *f) except -1
    cdef int apply(self, chr_shown *one, const chr_frame *f) except -1
