"""What a clean queue says about its own state."""

from libc.stdint cimport int64_t, uint64_t

from libchronicle.book.l2 cimport L2Book
from libchronicle.etl.cleanqueue cimport CleanQueue


cdef class Found:
    cdef readonly bint any          # a record of the present origin with a raw reference
    cdef readonly uint64_t seq      # raw seq of the last of them
    cdef readonly bint partial      # it only goes before its record
    cdef readonly bint dated        # one of them has a date
    cdef readonly bint damaged      # records are missing
    cdef bint orders                # the book is one of single orders
    cdef bint applied               # the book took the present record
    cdef readonly uint64_t applied_seq  # raw seq of the last that it took
    cdef bint blind                 # the present record met a book that is wrong, or made it so
    cdef readonly uint64_t blind_seq    # raw seq of the last of those
    cdef readonly L2Book book       # as of the last record; None for other streams


cdef Found restore(CleanQueue queue, uint64_t from_seq, bint is_book, bint is_late, uint64_t orders_of)
