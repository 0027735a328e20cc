"""What clean queues say about their own state."""

from libc.stdint cimport uint32_t, uint64_t

from libchronicle.book.l2 cimport L2Book
from libchronicle.etl.cleanqueue cimport CleanQueue
from libchronicle.native.binding cimport Subscriber
from libchronicle.native.hot cimport chr_frame


cdef class Found:
    cdef readonly bint any          # a record of the present origin with a raw reference
    cdef readonly uint64_t seq      # raw seq of the last of them
    cdef readonly bint partial      # it only goes before its record
    cdef readonly bint dated        # one of them has a date
    cdef readonly bint damaged      # records are missing


cdef class Past:
    """A book as the records of its queues left it."""

    cdef uint64_t instrument_id
    cdef bint orders                # of single orders
    cdef L2Book book
    cdef CleanQueue shown           # the queue that moved it last

    cdef int forget(self) except -1
    cdef int apply(self, CleanQueue queue, const chr_frame *f) except -1
    cdef int _levels(self, CleanQueue queue, const chr_frame *f) except -1
    cdef int _orders(self, CleanQueue queue, const chr_frame *f) except -1


cdef class Walk:
    cdef CleanQueue queue
    cdef Past past
    cdef Found found
    cdef Subscriber reader
    cdef chr_frame f                # the present record, if `there` is one
    cdef bint there
    cdef bint refers                # it has a raw reference
    cdef uint64_t seq               # its raw seq; without a reference, that of the one before
    cdef uint64_t from_seq
    cdef bint is_late
    cdef bint known                 # nothing is missing between what it begins with and the snapshot before
    cdef bint leads                 # the last one with a reference is flagged as one that goes before another, of
    cdef uint64_t led_seq           # that raw seq
    cdef uint32_t number            # of the present segment
    cdef uint32_t live              # of the one being written, which
    cdef bint begun                 # has a record

    cdef int advance(self) except -1
    cdef bint _leave(self) except -1
    cdef bint before(self, Walk other) noexcept
    cdef int take(self) except -1
    cdef int _damaged(self) except -1


cdef Found restore(CleanQueue queue, uint64_t from_seq, bint is_late)
cdef tuple restore_book(Past past, CleanQueue plain, uint64_t from_seq, CleanQueue late, uint64_t late_from_seq)
