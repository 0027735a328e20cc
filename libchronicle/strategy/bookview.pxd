from libc.stdint cimport int64_t, uint64_t

from libchronicle.book.l2 cimport L2Book, chr_l2


cdef class Book:
    cdef readonly object instrument
    cdef readonly uint64_t seq
    cdef readonly int64_t ts_ns
    cdef L2Book inner
    cdef chr_l2 *b

    cdef object _price(self, int side)
    cdef object _qty(self, int side)
    cdef object _best(self, int side)
