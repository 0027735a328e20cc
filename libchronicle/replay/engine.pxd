from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from libchronicle.book.books cimport chr_books
from libchronicle.native.hot cimport chr_frame
from libchronicle.replay.event cimport ReplayEvent
from libchronicle.replay.merging cimport Merged, chr_head

cdef extern from "channel.h" nogil:
    int chr_channel_follows(uint64_t *last, const chr_frame *f)


cdef class Engine:
    cdef readonly list sources
    cdef readonly list books        # by place: the Python book, or None
    cdef list definitions           # by place: the Instrument record's payload, or None
    cdef chr_books table
    cdef Merged merged
    cdef chr_head *current
    cdef int64_t place              # of the instrument given, -1: none
    cdef object error
    cdef ReplayEvent shared
    cdef public object wanted       # instrument ids, or None: all
    cdef public int64_t start_ns, end_ns
    cdef uint64_t types[1024]
    cdef bint all_types
    cdef public bint channel        # check that venueSeq has no hole
    cdef public uint64_t sample_every
    cdef public int64_t sample_ns
    cdef public int64_t pace_ns     # beyond it `pace` is asked
    cdef public object pace
    cdef public object checkpoint   # asked before a record that passes one of the three marks
    cdef public int64_t check_ns
    cdef public uint64_t check_records, check_bytes
    cdef readonly uint64_t records, given, payload_bytes, lost, damaged
    cdef readonly int64_t first_ns, last_ns
    cdef uint64_t until_signals, sampled
    cdef readonly bint finished
    cdef int step(self) noexcept nogil
    cdef int heed(self, const chr_frame *f) noexcept nogil
    cdef int feed(self, chr_head *h, uint32_t source) noexcept nogil
    cdef bint wants_book(self, const chr_frame *f) noexcept nogil
    cdef int damage(self) noexcept nogil
    cdef int missing(self, const chr_frame *f, uint32_t source, const char *reason) noexcept nogil
    cdef int stop(self, const chr_frame *f, uint32_t source, uint64_t instrument_id) except -1
    cdef ReplayEvent event(self)
    cdef int point(self, ReplayEvent event) except -1
    cdef int check(self, int rc) except -1
    cdef bint passes(self, const chr_frame *f) noexcept nogil
    cdef int64_t enter(self, uint64_t instrument_id, const chr_frame *f) noexcept nogil
    cdef int make_book(self, int64_t place, const chr_frame *f) except -1
