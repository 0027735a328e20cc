"""What the engine reads: frames in order, from segments or from memory."""

from libc.stdint cimport int64_t, uint64_t

from libchronicle.native.hot cimport chr_frame
from libchronicle.storage.walk cimport SpanWalk


cdef enum:
    SOURCE_FRAME = 1
    SOURCE_NONE = 0    # `ended`, or nothing yet
    SOURCE_ERROR = -1  # `error`; call again to go on behind it


ctypedef struct chr_hole:
    uint64_t from_seq, to_seq


cdef class FrameSource:
    cdef readonly str name
    cdef readonly bint ended
    cdef public object error
    cdef int next(self, chr_frame *out) noexcept nogil


cdef class SpanSource(FrameSource):
    cdef object spans
    cdef SpanWalk walk
    cdef object following         # the span after the hole that was just told
    cdef readonly uint64_t queue_id
    cdef readonly uint64_t next_seq
    cdef readonly uint64_t lost
    cdef readonly int64_t last_ns
    cdef int64_t start_ns
    cdef bint begun
    cdef chr_hole hole
    cdef int cross(self, chr_frame *out) except -2
    cdef int enter(self, span, chr_frame *out) except -2
    cdef void tell_hole(self, uint64_t to_seq, int64_t ts_ns, chr_frame *out) noexcept


cdef class RecordSource(FrameSource):
    cdef object records
    cdef object held
    cdef uint64_t seq
    cdef int take(self, chr_frame *out) except -2
