from libc.stdint cimport int64_t

from libchronicle.book.l2 cimport chr_int128


cdef class FeatureBuffer:
    cdef double *data
    cdef readonly Py_ssize_t capacity
    cdef Py_ssize_t head, count, since, run
    cdef double shift, sum1, sum2, young_shift, young1, young2
    cdef void put(self, double value) noexcept
    cdef double nth(self, Py_ssize_t age) noexcept
    cdef double total(self) noexcept
    cdef double average(self) noexcept
    cdef double spread(self) noexcept
    cdef void empty(self) noexcept


cdef class SumWindow:
    cdef readonly int64_t step_ns
    cdef readonly Py_ssize_t buckets
    cdef Py_ssize_t lanes
    cdef int64_t first, last     # numbers of buckets: the first that saw anything, the one that is open
    cdef bint begun
    cdef chr_int128 *ring
    cdef chr_int128 *sums
    cdef void enter(self, int64_t ts_ns) noexcept
    cdef void roll(self, int64_t ts_ns) noexcept
    cdef inline void add(self, Py_ssize_t lane, chr_int128 amount) noexcept:
        """Into the open bucket; after enter."""
        self.ring[(self.last % self.buckets) * self.lanes + lane] += amount
        self.sums[lane] += amount
    cdef inline bint whole(self) noexcept:
        """Does the window hold whole buckets only, but for the open one?"""
        return self.begun and self.last - self.first >= self.buckets
    cdef void empty(self) noexcept


cdef class MidSamples:
    cdef readonly int64_t step_ns
    cdef int64_t next_ns         # 0: no mid yet
    cdef double last             # mid of the latest record that had one
    cdef FeatureBuffer ring
    cdef Py_ssize_t roll(self, int64_t ts_ns) noexcept
    cdef void seen(self, int64_t ts_ns, double mid) noexcept
    cdef void empty(self) noexcept
