from libc.stdint cimport int64_t

from libchronicle.native.hot cimport chr_clock


cdef class Trace:
    cdef int64_t[:, ::1] rows
    cdef readonly int used
    cdef readonly int capacity
    cdef chr_clock *clock
    cdef int64_t picked_up, entered, sending

    cdef void add(self, int64_t cause_ns, int64_t committed_ns) noexcept


cdef class StopMonitor:
    cdef int64_t[:, ::1] rows
    cdef readonly int capacity
    cdef readonly int used
    cdef readonly int64_t watched_ns      # time between looks, stops included
    cdef int64_t threshold_ns
    cdef int64_t last

    cdef void look(self, int64_t now, int64_t allowance_ns=*) noexcept
    cdef void resume(self, int64_t now) noexcept
