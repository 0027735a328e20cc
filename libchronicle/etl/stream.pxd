"""A stream of one instrument: its plain queue, and the one for what comes late."""

from libc.stdint cimport int64_t, uint64_t

from libchronicle.etl.cleanqueue cimport CleanQueue
from libchronicle.etl.restore cimport Found
from libchronicle.native.hot cimport chr_frame


cdef class Stream:
    cdef readonly str kind
    cdef readonly CleanQueue plain      # None before the first record
    cdef readonly CleanQueue late       # None before the first late one
    cdef object shelf                   # opens queues, reads and writes origins
    cdef int64_t late_limit_ns
    cdef uint64_t orders_of             # the instrument, where this is a book of single orders; else 0
    # what of the raw queue is in
    cdef uint64_t raw_id
    cdef uint64_t epoch
    cdef uint64_t seq
    cdef bint any                       # a record of this epoch is in; else seq says nothing
    cdef bint partial                   # of record `seq` only what goes before it
    cdef bint fresh                     # nothing dated of this epoch is in: its first date is right, whatever came before

    cdef bint holds(self) noexcept
    cdef bint has(self, uint64_t raw_id, uint64_t epoch, uint64_t seq) noexcept
    cdef bint told(self, uint64_t raw_id, const chr_frame *f) noexcept
    cdef CleanQueue _open(self, bint late)
    cdef int begin(self, uint64_t raw_id, uint64_t epoch, int64_t ts_ns) except -1
    cdef int mark(self, uint64_t seq, bint partial) noexcept
    cdef CleanQueue route(self, int64_t event_ns)
    cdef int _adopt(self, Found found) except -1
    cdef bint replaced(self, uint64_t raw_id) noexcept
