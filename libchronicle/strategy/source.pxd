from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t

from libchronicle.native.binding cimport Subscriber
from libchronicle.native.hot cimport chr_control, chr_reader


cdef class Source:
    cdef readonly str name          # the feed's, or "orders_in"
    cdef readonly str path
    cdef readonly uint16_t rank     # ties in time are broken by it; the session journal names sources by it
    cdef readonly bint reports      # orders_in rather than market data
    cdef readonly Subscriber reader
    cdef readonly uint64_t queue_id
    cdef readonly uint32_t epoch
    cdef readonly uint64_t next_seq
    cdef readonly uint64_t records
    cdef chr_reader *r              # NULL while detached
    cdef chr_control *control
