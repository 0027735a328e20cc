from libc.stdint cimport int64_t, uint64_t

from libchronicle.book.l2 cimport L2Book, chr_l2, chr_l2_apply
from libchronicle.book.l3 cimport chr_l3, chr_l3_apply
from libchronicle.native.hot cimport chr_frame


cdef class Book:
    cdef readonly object instrument
    cdef readonly uint64_t seq
    cdef readonly int64_t ts_ns
    cdef L2Book inner
    cdef chr_l2 *b
    cdef chr_l3 *l3                # the same book, where it is one of single orders; else NULL
    cdef L2Book before             # what it was before it became one: whoever looks at it still may
    cdef bint recorded      # all of the channel is read from its beginning on, so no snapshot is needed
    cdef bint lenient       # what contradicts a book of single orders is passed over

    cdef inline int apply(self, const chr_frame *f) noexcept:
        """The record itself, whatever the kind of book: as chr_l2_apply."""
        if self.l3 != NULL:
            return chr_l3_apply(self.l3, f.type_id, f.payload, f.size)
        return chr_l2_apply(self.b, f.type_id, f.payload, f.size)

    cdef int hold_orders(self) except -1
    cdef int lose(self) noexcept
    cdef int trust(self) noexcept
    cdef str reason(self, int result)

    cdef object _price(self, int side)
    cdef object _qty(self, int side)
    cdef object _best(self, int side)
