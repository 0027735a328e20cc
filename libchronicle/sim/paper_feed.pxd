from libc.stdint cimport int64_t, uint32_t, uint64_t

from libchronicle.book.l2 cimport chr_l2
from libchronicle.native.binding cimport Subscriber
from libchronicle.native.hot cimport chr_control, chr_frame
from libchronicle.sim.paper cimport PaperGateway


cdef struct slot_t:
    uint64_t id
    chr_l2 *book
    int venue               # slot of the gateway; -1 = its orders meet another reader's records, or there is no gateway
    int was_valid
    int has_print           # a trade was read while its orders, if any, did not meet this reader's records
    int64_t last_print      # price of the last one


cdef class MarketReader:
    cdef readonly Subscriber reader
    cdef readonly dict books
    cdef readonly uint64_t queue_id
    cdef readonly uint32_t epoch
    cdef readonly uint64_t frames
    cdef readonly uint64_t malformed
    cdef readonly uint64_t seq          # of the record that stopped poll()
    cdef readonly uint64_t instrument_id
    cdef readonly bytes payload
    cdef PaperGateway gateway
    cdef chr_control *control
    cdef slot_t *slots
    cdef uint64_t mask
    cdef uint64_t used
    cdef uint64_t first_unsaid
    cdef bint anything_unsaid

    cdef slot_t *find(self, uint64_t id) except NULL
    cdef int grow(self) except -1
    cdef int take(self, chr_frame *f) except -1
    cdef int printed(self, slot_t *slot, chr_frame *f) except -1
    cdef int match(self, slot_t *slot, chr_frame *f) except -1
    cdef int all_books(self, chr_frame *f) except -1
    cdef int begin(self, uint64_t queue_id, uint32_t epoch) except -1
    cdef int next(self, chr_frame *f) except -1
    cdef int seek(self, uint64_t seq) except -1
    cdef uint64_t at(self) noexcept
    cdef uint64_t head(self) noexcept
    cdef uint64_t oldest(self) noexcept
    cdef int next_whole(self, chr_frame *f) except -1
    cdef void clear(self) noexcept
