from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from libchronicle.book.l2 cimport L2Book
from libchronicle.native.hot cimport chr_frame
from libchronicle.portfolio.account cimport Account
from libchronicle.sim.matcher cimport chr_sim, chr_sim_event, chr_sim_order


cdef class PaperGateway:
    cdef chr_sim sim
    cdef readonly object ledger
    cdef public object fees
    cdef dict slots               # instrument id -> slot
    cdef list books               # by slot; they are read for as long as the slot has them
    cdef dict owners              # name -> number
    cdef dict orders              # key in the matcher -> Order
    cdef dict keys                # OrderKey -> key in the matcher
    cdef list booked              # fees of the fills that `drain` has not told of yet
    cdef list margins             # by slot: (owner, Account, its slot) of whoever may be liquidated there
    cdef bint marking             # anybody may
    cdef readonly list closed     # what was liquidated and not taken yet
    cdef public int64_t now_ns    # of the step; fees and liquidations are booked at it
    cdef object error             # raised while a fill was booked
    cdef list stirred             # slots that have news (paper_memory.pyx)
    cdef public bint remembers    # whether that is asked for, and carried over: not in sessions of an older router
    cdef uint64_t last_key

    cdef int slot_of(self, uint64_t instrument_id, L2Book book) except -1
    cdef int stir(self, uint32_t slot) except -1
    cdef uint32_t owner_of(self, str name) except *
    cdef uint64_t admit(self, object order) except 0
    cdef int record(self, uint32_t slot, const chr_frame *f) except -1
    cdef int book_fill(self, const chr_sim_order *o, int64_t price, int64_t qty, uint8_t liquidity) except -1
    cdef int64_t middle(self, uint32_t slot) noexcept
    cdef int mark(self, uint32_t slot) except -1
    cdef int liquidate(self, str owner, Account account, uint32_t settle) except -1
    cdef object told(self, const chr_sim_event *e)
    cdef int forget(self, object order, uint64_t key) except -1
