from libc.stdint cimport int64_t, uint64_t


cdef class Counter:
    cdef uint64_t *slot
    cdef object _file          # keeps the mapping alive

    cdef inline void add_native(self, uint64_t n) noexcept nogil:
        self.slot[0] += n

    cdef inline void set_native(self, uint64_t value) noexcept nogil:
        self.slot[0] = value


cdef class Histogram:
    cdef char *base            # first slot: one slot a bucket, +inf last, then the sum
    cdef int buckets
    cdef int64_t bounds[32]
    cdef object _file

    cdef void observe_native(self, int64_t value) noexcept nogil


cdef class CounterFile:
    cdef char *base
    cdef object _map
    cdef readonly str path
    cdef readonly str name
    cdef int capacity
    cdef int used
    cdef int64_t *beat

    cdef char *_claim(self, int kind, str name, str help, object labels, double scale, int slots) except NULL
    cdef void heartbeat_native(self) noexcept nogil
