from libc.stdint cimport int64_t, uint32_t, uint64_t

from libchronicle.backtest.ahead cimport Ahead
from libchronicle.backtest.sink cimport BacktestSink
from libchronicle.backtest.venue cimport SimVenue
from libchronicle.book.l2 cimport chr_l2
from libchronicle.book.l3 cimport chr_l3
from libchronicle.native.hot cimport chr_frame
from libchronicle.replay.merging cimport Merged
from libchronicle.strategy.context cimport Context
from libchronicle.strategy.dispatch cimport Dispatcher
from libchronicle.strategy.recorder cimport Recorder


cdef struct chr_listing:           # an instrument the strategy listens to
    uint64_t id
    chr_l2 *book
    chr_l3 *orders                 # the same book, where it is one of single orders; else NULL
    uint32_t place                 # in `instruments`
    int slot                       # at the venue; -1: not defined yet
    bint direct                    # the venue sees what the strategy sees
    bint quarantined
    bint had_snapshot


cdef class BacktestEngine:
    cdef Context ctx
    cdef Dispatcher dispatcher
    cdef Recorder recorder
    cdef BacktestSink sink
    cdef SimVenue venue
    cdef object lifecycle
    cdef Merged merged
    cdef list aheads               # sights that venues have of their own, by feed latency
    cdef Ahead ahead               # the one of them whose next record comes first, or None
    cdef list feeds
    cdef dict told_gaps            # (feed, instrument's id or 0) -> time and bytes of its last Gap record
    cdef readonly list instruments
    cdef chr_listing *listings
    cdef uint32_t listed, last_listed
    cdef int policy
    cdef uint64_t hash
    cdef readonly int64_t start_ns, end_ns
    cdef readonly uint64_t messages, rows, lost, gaps, refused, warmed

    cdef int loop(self) except -1
    cdef int damaged(self) except -1
    cdef int record(self, chr_frame *f, uint32_t source, bint muted) except -1
    cdef int book_record(self, chr_listing *listing, chr_frame *f, uint32_t source, bint muted) except -1
    cdef bint order_record(self, chr_listing *listing, chr_frame *f, uint32_t source, bint muted) except -1
    cdef bint trade_record(self, chr_listing *listing, const chr_frame *f, uint32_t source, bint muted) except -1
    cdef int unfit(self, chr_listing *listing, const chr_frame *f, uint32_t source, str reason) except -1
    cdef int look_at_book(self, chr_listing *listing) except -1
    cdef chr_listing *listing(self, uint64_t id) noexcept
    cdef int advance(self, int64_t until, bint timers) except -1
    cdef int deliver(self) except -1
    cdef int look_for_first(self) noexcept
    cdef int jump(self, int64_t until) except -1
    cdef int define(self, chr_listing *listing, const chr_frame *f) except -1
    cdef int broken(self, chr_listing *listing, const chr_frame *f, uint32_t source, str reason) except -1
    cdef int set_now(self, int64_t now) noexcept
