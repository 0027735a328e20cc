from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t

from libchronicle.counters._counters cimport Counter, Histogram
from libchronicle.strategy.instrument cimport Instrument
from libchronicle.strategy.order cimport Order
from libchronicle.strategy.sink cimport OrderSink
from libchronicle.strategy.timers cimport Timers
from libchronicle.strategy.trace cimport Trace
from libchronicle.strategy.tracker cimport Tracker


cdef struct Cause:                # the market record whose callback runs; all zero outside one
    uint64_t queue_id
    uint64_t seq
    int64_t ts_ns
    uint32_t epoch


cdef class Context:
    cdef int64_t now
    cdef Cause cause
    cdef OrderSink sink
    cdef readonly Tracker tracker
    cdef readonly Timers timers
    cdef readonly dict instruments      # name -> Instrument
    cdef readonly dict subscriptions    # name -> kinds; None once they are final
    cdef readonly object params
    cdef readonly object log
    cdef readonly dict features
    cdef int gate                       # 0 = open, else a Refusal
    cdef int max_open_orders
    cdef char account_raw[16]
    cdef Counter orders_sent
    cdef Counter orders_refused
    cdef Histogram tick_to_trade
    cdef tuple refusals
    cdef uint64_t refused_counts[16]    # by -Refusal
    cdef dict mistakes                  # error class -> how often: orders that could not be made, instruments nobody subscribed
    cdef object exits                   # how positions are left (ConfiguredExits), or None
    cdef Trace trace                    # None but in benchmarks

    cdef object refuse(self, int why)
    cdef object submit(self, Order order)
    cdef int ask_cancel(self, uint64_t id, uint64_t instrument_id) except -1
    cdef Instrument find(self, object key)
    cdef Instrument make(self, object key)
    cdef int leave(self, Instrument instrument, int why) except -1
