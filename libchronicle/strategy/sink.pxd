from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t

from libchronicle.native.binding cimport Publisher
from libchronicle.native.hot cimport chr_writer


cdef class OrderSink:
    """Where requests go. The base only declares; `seq` and `ts_ns` describe the last one put."""

    cdef readonly uint64_t queue_id
    cdef readonly uint32_t epoch
    cdef readonly uint64_t seq
    cdef readonly int64_t ts_ns

    cdef int put(self, uint16_t type_id, const void *block, uint16_t block_size) except -1


cdef class QueueSink(OrderSink):
    cdef Publisher publisher
    cdef chr_writer *writer
    cdef bint rehearsing


cdef class MemorySink(OrderSink):
    cdef readonly list messages    # (type_id, payload)
    cdef object clock
    cdef uint64_t first_seq
