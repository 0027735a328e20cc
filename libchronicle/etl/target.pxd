"""One instrument being refined: its book and its three streams."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from libchronicle.book.l2 cimport L2Book
from libchronicle.book.l3 cimport chr_l3
from libchronicle.etl.cleanqueue cimport CleanQueue
from libchronicle.etl.stream cimport Stream
from libchronicle.native.hot cimport chr_frame


cdef enum:
    BOOK = 0
    TRADE = 1
    QUOTE = 2
    KINDS = 3


cdef struct chr_etl_tally:
    # raw records, each counted once
    uint64_t records[KINDS]     # written
    uint64_t gaps               # of the feed, and holes of the raw queue
    uint64_t definitions
    uint64_t skipped            # of a type that has no place in a clean queue
    uint64_t others             # of instruments of another group
    uint64_t repeated           # in already, after a restart
    uint64_t malformed          # not taken, as the next three
    uint64_t unknown            # of an instrument that nobody defined
    uint64_t too_late
    uint64_t too_large
    # what else was done
    uint64_t late               # of `records`: into a late queue
    uint64_t snapshots          # injected
    uint64_t unfit              # snapshots that no segment holds
    uint64_t refused            # records that were written, but no book could apply
    uint64_t rolls


cdef struct chr_etl_limits:
    int64_t snapshot_interval_ns
    uint64_t snapshot_levels
    int64_t segment_age_ns
    int64_t late_limit_ns


cdef class Target:
    cdef readonly str name
    cdef readonly uint64_t instrument_id
    cdef bytes definition
    cdef tuple exponents
    cdef bint orders               # its book is one of single orders
    cdef readonly L2Book book
    cdef CleanQueue shown          # the book queue whose end shows the book as it is; None: neither does
    cdef readonly list streams
    cdef chr_etl_limits *limits
    cdef chr_etl_tally *tally

    cdef int take(self, int kind, const chr_frame *f, uint64_t raw_id, uint64_t instrument_id) except -1
    cdef int gap(self, int kind, const chr_frame *f, uint64_t raw_id) except -1
    cdef int _spoil(self, int kind, const chr_frame *f, uint64_t raw_id, int reason) except -1
    cdef int _ready(self, Stream stream, CleanQueue q, const chr_frame *f, int64_t event_ns, bint follows) except -1
    cdef int _lead(self, Stream stream, CleanQueue q, const chr_frame *f, bint follows, bint wanted) except -1
    cdef int _begin(self, int kind, Stream stream, uint64_t raw_id, const chr_frame *f) except -1
    cdef bint _follows(self, Stream stream, CleanQueue q, const chr_frame *f, const void *block) except -1
    cdef uint64_t _room_for(self, CleanQueue q, const chr_frame *f) noexcept
    cdef bint _wants_orders(self, CleanQueue q, const chr_frame *f, int64_t event_ns) noexcept
    cdef int _blind(self, Stream stream, CleanQueue q, const chr_frame *f) except -1
    cdef int _apply(self, CleanQueue q, const chr_frame *f, const uint8_t *payload, uint64_t levels) except -1
    cdef int _apply_orders(self, CleanQueue q, const chr_frame *f, const chr_l3 *b, int result, bint ended) except -1
    cdef int _sweep(self, int64_t now_ns) except -1
