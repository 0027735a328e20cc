"""One clean queue as its writer sees it: what stands in its live segment, and how a record gets there.

A segment, in this order:

    Instrument                       always its first record
    orders (injected)                book of single orders: the rest of a snapshot that began in the segment before
    BookSnapshot (injected)          book: before the first delta that a valid book applies, unless a snapshot came by itself
    records of one UTC date          BookDelta, Trade, ...; an Instrument again where the definition changed

A snapshot of single orders is one record for each. Whoever is killed within one goes on with it where it ends: `orders_told` of
its records are in, and which they are follows from the book (l3_orders.h).

So each segment of levels, trades or quotes can be read by itself. The writer rolls before a record that does not fit, so that it knows of every new
segment; nothing here decides when, or whether a record belongs here: that is target.pyx.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from libchronicle.book.l2 cimport CHR_ASK, CHR_BID, chr_l2, chr_l2_top
from libchronicle.book.l3 cimport (
    chr_l3,
    chr_l3_snapshot_bytes,
    chr_l3_snapshot_put,
    chr_l3_snapshot_records,
    chr_l3_snapshot_type,
    chr_l3_walk,
    chr_l3_walk_next,
    chr_l3_walk_start,
)
from libchronicle.native.binding cimport raise_writer
from libchronicle.native.hot cimport chr_abort, chr_commit, chr_frame_bytes, chr_reserve
from libchronicle.protocol.event_time cimport CHR_DAY_NS
from libchronicle.protocol.layout cimport (
    CHR_BOOK_FLAGS_INJECTED,
    CHR_BOOK_SNAPSHOT,
    CHR_INSTRUMENT,
    chr_book_snapshot_t,
    chr_instrument_offset,
    chr_level_t,
    chr_raw_seq_offset,
)
from libchronicle.protocol.sbe cimport chr_book_size, chr_put_block, chr_put_levels

cdef enum:
    PADDING = 32               # what every segment ends with
    SEGMENT_DATA = 128


cdef class CleanQueue:
    """Takes the publisher over; `close` gives it back."""

    def __init__(self, Publisher publisher not None):
        self.publisher = publisher
        self.path = publisher.path
        self.w = publisher.enter()  # whoever closes it meanwhile waits for leave
        self.limit = publisher.segment_size - PADDING
        self.day = -1
        self.clear_segment()

    def close(self):
        """Idempotent."""
        if self.w != NULL:
            self.w = NULL
            self.publisher.leave()
            self.publisher.close()

    @property
    def next_seq(self):
        return self.publisher.next_seq

    @property
    def live_segment(self):
        """(number, whether it has a frame)"""
        return self.publisher.control().head // self.publisher.segment_size, self.w.offset > SEGMENT_DATA

    cdef uint64_t room(self) noexcept:
        """Bytes left for frames in the live segment."""
        return self.limit - self.w.offset

    cdef int clear_segment(self) except -1:
        self.definition = None
        self.filled = self.dated = self.has_snapshot = False
        self.first_ts = 0
        return 0

    cdef int restart_book(self) noexcept:
        """A snapshot has just been written."""
        self.has_snapshot = self.shows_book = True
        self.snapshot_ts = self.w.last_ts
        self.levels = 0
        return 0

    cdef int roll(self) except -1:
        self.publisher.roll()
        return self.clear_segment()

    cdef int date(self, int64_t event_ns) noexcept:
        """The live segment holds a record of that time."""
        self.day = event_ns // CHR_DAY_NS
        self.high_ns = max(event_ns, self.high_ns) if self.dated else event_ns
        self.dated = True
        return 0

    # ------------------------------------------------------------ writing

    cdef uint8_t *reserve(self, uint16_t type_id, uint32_t size) except NULL:
        cdef uint8_t *to = <uint8_t *>chr_reserve(self.w, type_id, size)
        if to == NULL:
            raise_writer(self.publisher)
        return to

    cdef int commit(self, uint32_t size, int64_t ts_ns) except -1:
        """`ts_ns` is the raw frame's; not below the last one here, which may be of a raw queue that stood there before."""
        cdef bint first = self.w.offset == SEGMENT_DATA
        ts_ns = max(ts_ns, self.w.last_ts)
        if chr_commit(self.w, size, ts_ns) < 0:
            chr_abort(self.w)
            raise_writer(self.publisher)
        if first:
            self.first_ts = ts_ns
        return 0

    cdef int define(self, bytes definition, int64_t ts_ns) except -1:
        cdef const char *source = definition
        memcpy(self.reserve(CHR_INSTRUMENT, <uint32_t>len(definition)), source, len(definition))
        self.commit(<uint32_t>len(definition), ts_ns)
        self.definition = definition
        return 0

    cdef int put(self, uint16_t type_id, const void *payload, uint32_t size, uint64_t raw_seq, uint64_t instrument_id,
                 int64_t ts_ns) except -1:
        """A raw record's bytes with its raw reference and, unless 0, another instrument."""
        cdef uint8_t *to = self.reserve(type_id, size)
        cdef uint32_t reference = chr_raw_seq_offset(type_id)
        memcpy(to, payload, size)
        if reference:
            memcpy(to + reference, &raw_seq, sizeof(raw_seq))
        if instrument_id:
            memcpy(to + chr_instrument_offset(type_id), &instrument_id, sizeof(instrument_id))
        self.commit(size, ts_ns)
        self.last = to
        self.filled = True
        self.orders_told = 0
        return 0

    cdef bint begun_orders(self, uint64_t raw_seq) noexcept:
        """Does it end with the snapshot of orders for that record, whole or in part?"""
        return self.orders_told and self.orders_seq == raw_seq

    cdef bint has_orders(self, uint64_t raw_seq) noexcept:
        """Does it end with all of it?"""
        return self.orders_whole and self.begun_orders(raw_seq)

    cdef int put_orders(self, const chr_l3 *b, uint64_t raw_seq, uint64_t instrument_id, int64_t ts_ns, bytes definition) except -1:
        """Every order of the book, flagged injected, into as many segments as it takes; what an earlier life wrote of it stays.
        Returns how many segments it ended."""
        cdef chr_l3_walk walk = chr_l3_walk_start(b)
        cdef uint16_t kind = chr_l3_snapshot_type(b)
        cdef uint32_t size = chr_l3_snapshot_bytes(b), count = chr_l3_snapshot_records(b), i
        cdef uint64_t head = chr_frame_bytes(<uint32_t>len(definition))
        cdef int rolls = 0
        if not self.begun_orders(raw_seq):
            self.orders_seq = raw_seq
            self.orders_told = 0
            self.orders_whole = False
        for i in range(self.orders_told):
            chr_l3_walk_next(&walk)
        while self.orders_told < count:
            if chr_frame_bytes(size) + (0 if self.definition == definition else head) > self.room():
                self.roll()
                rolls += 1
            if self.definition != definition:
                self.define(definition, ts_ns)
            chr_l3_snapshot_put(&walk, self.reserve(kind, size), instrument_id, raw_seq)
            self.commit(size, ts_ns)
            self.orders_told += 1
        self.orders_whole = True
        self.orders_last = count
        self.restart_book()
        return rolls

    cdef int put_snapshot(self, const chr_l2 *b, uint32_t bids, uint32_t asks, uint64_t raw_seq, uint64_t instrument_id,
                          int64_t ts_ns) except -1:
        """The whole book as it is, flagged injected."""
        cdef uint32_t size = chr_book_size(CHR_BOOK_SNAPSHOT, bids + asks)
        cdef uint8_t *to = self.reserve(CHR_BOOK_SNAPSHOT, size)
        cdef chr_book_snapshot_t *m = <chr_book_snapshot_t *>chr_put_block(to, CHR_BOOK_SNAPSHOT)
        cdef chr_level_t *level
        m.instrument_id = instrument_id
        m.venue_ts = b.venue_ts
        m.event_ts = b.event_ts
        m.recv_ts = b.recv_ts
        m.last_update_id = b.last_update_id
        m.raw_seq = raw_seq
        m.flags = CHR_BOOK_FLAGS_INJECTED
        level = chr_put_levels(m + 1, <uint16_t>bids)
        level = chr_put_levels(level + chr_l2_top(b, CHR_BID, bids, level), <uint16_t>asks)
        chr_l2_top(b, CHR_ASK, asks, level)
        self.commit(size, ts_ns)
        self.restart_book()
        return 0
