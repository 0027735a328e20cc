from libc.stdint cimport int64_t, uint32_t, uint64_t

from libchronicle.native.hot cimport chr_frame

cdef extern from "heap.h" nogil:
    ctypedef struct chr_head:
        chr_frame frame
        uint64_t channel_seq
        uint32_t idle

    ctypedef struct chr_heap:
        chr_head *heads
        uint32_t *first
        uint32_t count


cdef class Merged:
    cdef readonly list sources
    cdef void **raw                 # the sources, for the loop
    cdef chr_head *heads
    cdef chr_heap heap
    cdef uint32_t count
    cdef uint32_t source            # of what `peek` has told of
    cdef int64_t pending            # the source whose head was taken: to be refilled
    cdef bint begun

    cdef int refill(self, uint32_t source) noexcept nogil
    cdef int fill(self) noexcept nogil
    cdef int peek(self) noexcept nogil
    cdef void take(self) noexcept nogil
    cdef bint idle(self) noexcept nogil
