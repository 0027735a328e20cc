from libc.stdint cimport int64_t, uint64_t


cdef class LatencyModel:
    """Nanoseconds; `now` is when the request, the reply or the record starts on its way. Never negative."""

    cdef uint64_t seed
    cdef readonly bint delays_feed     # feed() is not 0 everywhere

    cdef int start(self, uint64_t seed) except -1           # a run begins; `seed` of its draws
    cdef int64_t entry(self, int64_t now) except? -1        # request: strategy -> venue
    cdef int64_t response(self, int64_t now) except? -1     # reply: venue -> strategy
    cdef int64_t feed(self, int64_t now) except? -1         # market record: venue -> strategy


cdef LatencyModel latency_model(object model)
