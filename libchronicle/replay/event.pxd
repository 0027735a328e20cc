from libc.stdint cimport uint32_t, uint64_t

from libchronicle.native.hot cimport chr_frame


cdef class ReplayEvent:
    cdef const chr_frame *frame     # NULL: it is gone
    cdef readonly uint32_t source
    cdef readonly uint64_t instrument_id
    cdef readonly object book
    cdef int live(self) except -1
