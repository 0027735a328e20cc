from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from libchronicle.native.hot cimport chr_frame
from libchronicle.replay.source cimport FrameSource


cdef struct chr_note:            # before each payload; 32 bytes, so that payloads are aligned as in a queue
    int64_t ts_ns
    uint64_t seq
    uint32_t size
    uint16_t type_id
    uint16_t reserved
    uint64_t reserved2


cdef class Tape:
    cdef list blocks             # bytearrays, each the address of notes one behind the other
    cdef uint8_t *at             # where the next record goes
    cdef uint8_t *end
    cdef readonly uint64_t records
    cdef readonly uint64_t rows
    cdef readonly int64_t first_ns, last_ns
    cdef readonly str feed
    cdef dict used               # bytes used of each block, by its place
    cdef uint8_t *room(self, uint32_t size) except NULL
    cdef void *add(self, uint16_t type_id, uint32_t size, int64_t ts_ns) except NULL


cdef class TapeSource(FrameSource):
    cdef readonly Tape tape
    cdef const uint8_t *at
    cdef const uint8_t *end
    cdef Py_ssize_t block
    cdef int turn(self) noexcept nogil
