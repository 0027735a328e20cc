"""One clean queue as its writer sees it."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from libchronicle.book.l2 cimport chr_l2
from libchronicle.book.l3 cimport chr_l3
from libchronicle.native.binding cimport Publisher
from libchronicle.native.hot cimport chr_writer


cdef class CleanQueue:
    cdef readonly Publisher publisher
    cdef readonly str path
    cdef chr_writer *w
    cdef uint64_t limit            # frames may end here
    cdef const uint8_t *last       # payload of the record written last, until the segment is left
    # of the live segment
    cdef bytes definition          # the Instrument written last; None before the head
    cdef bint filled               # holds more than its head
    cdef bint dated                # holds a record that dates it
    cdef bint has_snapshot         # holds one that counts, from which its later deltas can be followed
    cdef int64_t first_ts
    # of the whole queue
    cdef int64_t day               # of the records last written, in days since the epoch; -1 = none yet
    cdef int64_t high_ns           # highest event time in the last segment that is dated
    cdef int64_t snapshot_ts       # frame time of the last snapshot
    cdef uint64_t levels           # in deltas since then
    # of the snapshot of orders that it ends with
    cdef uint64_t orders_seq       # raw seq of the record it stands before
    cdef uint32_t orders_told      # how many of its records are in; 0 = it does not end with one
    cdef bint orders_whole         # all of them
    # of the whole queue, again
    cdef uint64_t orders_last      # records of its last snapshot of orders; 0 = none
    cdef bint shows_book           # whoever reads only this queue has a valid book at its end

    cdef uint64_t room(self) noexcept
    cdef int restart_book(self) noexcept
    cdef int roll(self) except -1
    cdef int clear_segment(self) except -1
    cdef int date(self, int64_t event_ns) noexcept
    cdef uint8_t *reserve(self, uint16_t type_id, uint32_t size) except NULL
    cdef int commit(self, uint32_t size, int64_t ts_ns) except -1
    cdef int define(self, bytes definition, int64_t ts_ns) except -1
    cdef int put(self, uint16_t type_id, const void *payload, uint32_t size, uint64_t raw_seq, uint64_t instrument_id,
                 int64_t ts_ns) except -1
    cdef bint begun_orders(self, uint64_t raw_seq) noexcept
    cdef bint has_orders(self, uint64_t raw_seq) noexcept
    cdef int put_orders(self, const chr_l3 *b, uint64_t raw_seq, uint64_t instrument_id, int64_t ts_ns, bytes definition) except -1
    cdef int put_snapshot(self, const chr_l2 *b, uint32_t bids, uint32_t asks, uint64_t raw_seq, uint64_t instrument_id,
                          int64_t ts_ns) except -1
