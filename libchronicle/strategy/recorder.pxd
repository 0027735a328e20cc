from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t

from libchronicle.native.binding cimport Publisher
from libchronicle.native.hot cimport chr_writer
from libchronicle.protocol.layout cimport chr_dispatch_t


cdef class Recorder:
    """Records nothing; what a backtest that keeps no session uses."""

    cdef chr_dispatch_t pending
    cdef bint open                 # `pending` holds a range
    cdef bint called               # the strategy saw something of it, so its now_ns is fixed

    cdef int dispatched(
        self, uint16_t source, uint64_t seq, uint32_t epoch, int64_t now, bint muted, bint called
    ) except -1
    cdef int flush(self) except -1
    cdef int write(self, uint16_t type_id, const void *block, uint16_t block_size) except -1
    cdef int timer(self, bytes name, int64_t deadline, int64_t now) except -1


cdef class MemoryRecorder(Recorder):
    cdef readonly list records     # (type_id, payload)


cdef class QueueRecorder(Recorder):
    cdef readonly Publisher publisher
    cdef chr_writer *writer
