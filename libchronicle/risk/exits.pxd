"""exits.h for Cython."""

from libc.stdint cimport int64_t

cdef extern from "../risk/exits.h" nogil:
    enum:
        CHR_EXIT_NONE, CHR_EXIT_STOP_LOSS, CHR_EXIT_TAKE_PROFIT

    ctypedef struct chr_exits:
        int64_t stop_bps, take_bps, stop_atr, take_atr, bar_ns, bars, again_ns, atr, entry_atr

    int chr_exits_look(chr_exits *e, int64_t bid, int64_t ask, int64_t qty, int64_t entry, int64_t now)


cdef class Exits:
    cdef chr_exits e

    cdef int look(self, int64_t bid, int64_t ask, int64_t qty, int64_t entry, int64_t now) noexcept
