from libc.stdint cimport int64_t


cdef class Timer:
    cdef readonly str name
    cdef readonly int64_t deadline_ns
    cdef readonly int64_t interval_ns
    cdef bytes raw_name


cdef class Timers:
    cdef dict by_name
    cdef int64_t next_deadline      # of all timers; the largest int64 when there is none

    cdef Timer take_due(self, int64_t now)
    cdef void look(self) noexcept
