from libc.stdint cimport int64_t, uint64_t

from libchronicle.protocol.layout cimport chr_best_bid_ask_t, chr_execution_report_t, chr_trade_t
from libchronicle.strategy.tracker cimport WorkingOrder


cdef class _View:
    cdef readonly object instrument
    cdef readonly uint64_t seq
    cdef readonly int64_t ts_ns
    cdef object copied(self)


cdef class Trade(_View):
    cdef chr_trade_t body


cdef class Quote(_View):
    cdef chr_best_bid_ask_t body


cdef class OrderUpdate(_View):
    cdef readonly WorkingOrder order
    cdef chr_execution_report_t body


cdef class Fill(OrderUpdate):
    pass
