"""What a parser in Cython needs of a batch: `add` gives the zeroed block of a new record."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from libchronicle.book.l3 cimport chr_l3, chr_l3_walk
from libchronicle.native.binding cimport Publisher

cpdef enum:
    LANE_BOOK = 0
    LANE_TRADE = 1
    LANE_QUOTE = 2


ctypedef struct chr_batch_row:
    uint64_t at  # of the payload in the data
    uint64_t instrument_id
    int64_t ts_ns  # the frame's time: when it was received, or the venue's time where nobody noted that
    int64_t event_ns  # the venue's time: says which day the record belongs to
    uint32_t size
    uint16_t type_id
    uint8_t lane


cdef class RecordBatch:
    cdef uint8_t *data
    cdef chr_batch_row *rows
    cdef uint64_t used, room
    cdef Py_ssize_t count, rows_room

    cdef void *add(
        self, uint16_t type_id, int lane, uint64_t instrument_id, int64_t ts_ns, int64_t event_ns, uint32_t levels
    ) except NULL
    cdef int grow(self, uint32_t size) except -1


cdef class OrderBook:
    cdef chr_l3 *l3  # not an L3Book: there are as many as stocks, and its pages are touched when it is made
    cdef chr_l3_walk walk  # of a snapshot under way
    cdef uint32_t left  # of its records
    cdef uint64_t limit, records, last  # records of orders since the last snapshot, and how many that had
    cdef int64_t interval_ns, since_ns, day
    cdef bint has_one
    cdef readonly uint64_t injected

    cdef bint write(self, Publisher publisher, const chr_batch_row *row, const uint8_t *payload, uint64_t *base) except -1
    cdef int apply(self, Publisher publisher, const chr_batch_row *row, const uint8_t *payload) except -1
    cdef int begin(self, Publisher publisher) noexcept
