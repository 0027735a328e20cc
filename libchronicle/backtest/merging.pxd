from libc.stdint cimport int64_t, uint32_t

from libchronicle.native.hot cimport chr_frame
from libchronicle.replay.engine cimport chr_head, chr_heap


cdef class Merged:
    cdef readonly list sources
    cdef object listener
    cdef void **raw
    cdef chr_head *heads
    cdef chr_heap heap
    cdef int64_t pending
    cdef uint32_t source          # of the record that `peek` gave

    cdef int refill(self, uint32_t source) except -1
    cdef chr_frame *peek(self) except? NULL
    cdef int take(self) noexcept
