"""What the engine reads: frames in order, from segments or from memory."""

from libc.stdint cimport int64_t, uint64_t

from libchronicle.native.hot cimport chr_frame
from libchronicle.storage.chain cimport Chain, Merge


cdef enum:
    SOURCE_FRAME = 1
    SOURCE_NONE = 0    # `ended`, or nothing yet
    SOURCE_ERROR = -1  # `error`; call again to go on behind it


cdef class FrameSource:
    cdef readonly str name
    cdef readonly bint ended
    cdef public object error
    cdef int next(self, chr_frame *out) noexcept nogil


cdef class SpanSource(FrameSource):
    cdef Chain chain
    cdef bint follow


cdef class ReadingSource(FrameSource):
    cdef object reading, merges
    cdef Merge merge
    cdef bint follow
    cdef int turn(self) except -2


cdef class RecordSource(FrameSource):
    cdef object records
    cdef object held
    cdef uint64_t seq
    cdef int take(self, chr_frame *out) except -2
