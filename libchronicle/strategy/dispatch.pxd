from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t

from libchronicle.counters._counters cimport Counter
from libchronicle.native.hot cimport chr_frame
from libchronicle.protocol.layout cimport chr_execution_report_t
from libchronicle.strategy.context cimport Context
from libchronicle.strategy.instrument cimport Instrument
from libchronicle.strategy.recorder cimport Recorder
from libchronicle.strategy.tracker cimport WorkingOrder
from libchronicle.strategy.views cimport Fill, OrderUpdate, Quote, Trade


cdef struct Slot:                  # of an open-addressing table; id 0 = empty
    uint64_t id
    void *instrument               # borrowed: Context.instruments holds it


cdef class Dispatcher:
    cdef readonly Context ctx
    cdef readonly object strategy
    cdef object listener
    cdef public str feed_name           # name of the feed whose records are being dispatched
    cdef Slot *slots
    cdef uint32_t mask
    cdef bint live                 # the host is TRADING: market data may reach the strategy
    cdef readonly uint64_t callbacks
    cdef readonly uint64_t fills
    cdef readonly uint64_t malformed
    cdef readonly uint64_t ignored       # reports of instruments nobody subscribed
    cdef object on_book, on_trade, on_quote, on_order, on_fill, on_timer
    cdef Trade trade
    cdef Quote quote
    cdef OrderUpdate update
    cdef Fill fill

    cdef Instrument find(self, uint64_t id)
    cdef int market(self, const chr_frame *f, uint64_t queue_id, bint muted) except -1
    cdef int book_record(self, Instrument instrument, const chr_frame *f, uint64_t queue_id, bint muted) except -1
    cdef int look_at_exits(self, Instrument instrument, const chr_frame *f, uint64_t queue_id) except -1
    cdef int rare(self, const chr_frame *f, bint muted) except -1
    cdef int report(self, const chr_frame *f, uint64_t queue_id, bint muted) except -1
    cdef int executed(self, const chr_frame *f, uint64_t queue_id, bint muted) except -1
    cdef int _show(
        self, OrderUpdate view, Instrument instrument, WorkingOrder order, const chr_frame *f,
        const chr_execution_report_t *body,
    ) except -1
    cdef int fire_timers(self, Recorder recorder) except -1
    cdef void cause(self, const chr_frame *f, uint64_t queue_id) noexcept
