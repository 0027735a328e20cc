"""Back to the last snapshot of an instrument, and from there on to a book.

A snapshot, to start from, is a BookSnapshot that is not stale, or of single orders the first record of one (l3.h). One of orders
counts when its last order is there too, which may be some segments on; one whose writer was killed within it is passed over.
What is applied on the way follows the rules of a replay that resyncs (books.h): a gap makes the book wrong until the next snapshot.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport INT64_MAX, int64_t, uint16_t, uint32_t, uint64_t

from libchronicle.book.books cimport (
    CHR_GAP_RESYNC,
    chr_book_entry,
    chr_books,
    chr_books_add,
    chr_books_break_source,
    chr_books_feed,
    chr_books_free,
    chr_books_init,
)
from libchronicle.book.l2 cimport L2Book
from libchronicle.book.l3 cimport L3Book
from libchronicle.native.core cimport CHR_TYPE_LOST
from libchronicle.native.hot cimport chr_frame
from libchronicle.protocol.event_time cimport chr_event_ns, chr_is_injected
from libchronicle.protocol.layout cimport (
    CHR_AUCTION_INFO,
    CHR_BOOK_DELTA,
    CHR_BOOK_FLAGS_STALE,
    CHR_BOOK_MODE_L3,
    CHR_BOOK_RESET,
    CHR_BOOK_SNAPSHOT,
    CHR_BOOK_SNAPSHOT_BLOCK,
    CHR_GAP,
    CHR_INSTRUMENT,
    CHR_INSTRUMENT_BLOCK,
    CHR_ORDER_ADD,
    CHR_ORDER_BOOK_FLAGS_FIRST,
    CHR_ORDER_BOOK_FLAGS_INJECTED,
    CHR_ORDER_BOOK_FLAGS_LAST,
    CHR_ORDER_EXECUTE,
    CHR_PHASE_CHANGE,
    chr_book_snapshot_t,
    chr_instrument_t,
)
from libchronicle.protocol.sbe cimport chr_block, chr_instrument_of
from libchronicle.storage.chain cimport Merge
from libchronicle.storage.walk cimport SegmentSpan, SpanWalk

from typing import NamedTuple

cdef extern from "l3.h" nogil:
    enum:
        CHR_ORDER_ADD_V1
    uint16_t chr_l3_flags(const void *payload, uint16_t old_block)


cdef struct snapshot_place:
    uint64_t offset, seq
    int64_t ts_ns


cdef enum:
    OTHER = 0       # says nothing about snapshots
    WHOLE = 1       # a snapshot in one record
    FIRST = 2       # of a snapshot of orders
    BETWEEN = 3
    LAST = 4
    BREAK = 5       # what no snapshot goes on behind


cdef int _part(const chr_frame *f) noexcept nogil:
    """What a record of the instrument is to a snapshot. One that is FIRST and LAST at once is WHOLE."""
    cdef const chr_book_snapshot_t *m
    cdef uint16_t flags
    if f.type_id == CHR_BOOK_SNAPSHOT:
        m = <const chr_book_snapshot_t *>chr_block(f.payload, f.size, CHR_BOOK_SNAPSHOT, CHR_BOOK_SNAPSHOT_BLOCK)
        return WHOLE if m != NULL and not m.flags & CHR_BOOK_FLAGS_STALE else OTHER
    if f.type_id == CHR_ORDER_ADD and chr_block(f.payload, f.size, CHR_ORDER_ADD, CHR_ORDER_ADD_V1) != NULL:
        flags = chr_l3_flags(f.payload, CHR_ORDER_ADD_V1)
        if flags & CHR_ORDER_BOOK_FLAGS_INJECTED:
            if flags & CHR_ORDER_BOOK_FLAGS_FIRST:
                return WHOLE if flags & CHR_ORDER_BOOK_FLAGS_LAST else FIRST
            return LAST if flags & CHR_ORDER_BOOK_FLAGS_LAST else BETWEEN
    if CHR_ORDER_ADD <= f.type_id <= CHR_ORDER_EXECUTE or f.type_id == CHR_GAP or f.type_id == CHR_BOOK_RESET:
        return BREAK
    return OTHER


cdef int64_t _event(const chr_frame *f) noexcept nogil:
    """When a record's event came; 0 for what has no time of its own, an injected snapshot say."""
    return 0 if chr_is_injected(f.type_id, f.payload, f.size) else chr_event_ns(f.type_id, f.payload, f.size, f.ts_ns)


class Seen(NamedTuple):
    """What a segment has of snapshots: `found`, (ts_ns, offset, seq) of the last that is whole in it, or None; `begun`, of one
    after that which goes on in the next segment; `goes_on`: of one begun before this segment are here: 0 nothing, 1 its
    last order, 2 more, and it goes on in the next."""

    found: tuple[int, int, int] | None
    begun: tuple[int, int, int] | None
    goes_on: int


def last_snapshot(SegmentSpan span not None, uint64_t instrument_id, int64_t upto_ns, int64_t event_ns=INT64_MAX):
    """The Seen of a segment, up to `upto_ns`. Damage is stepped over.

    With `event_ns`: before any event after that; and only where an event up to then stands beside it, since an injected
    snapshot at the head of a segment does not tell when it was.
    """
    cdef SpanWalk walk = SpanWalk(span)
    cdef chr_frame f
    cdef int rc, part, goes_on = 0
    cdef snapshot_place found, begun
    cdef uint64_t before
    cdef int64_t event
    cdef bint known = event_ns == INT64_MAX, untouched = True
    found.offset = begun.offset = 0
    with nogil:
        while True:
            before = walk.state.offset
            rc = walk.next(&f)
            if rc == 0 or (rc == 1 and f.ts_ns > upto_ns):
                break
            if rc < 0 or f.type_id == CHR_TYPE_LOST:
                begun.offset = 0
                untouched = False
                goes_on = goes_on if goes_on == 1 else 0
                if rc < 0 and walk.error is not None:
                    break
                continue
            if chr_instrument_of(f.type_id, f.payload, f.size) != instrument_id:
                continue
            if event_ns < INT64_MAX:
                event = _event(&f)
                if event > event_ns:
                    break
                known = known or event > 0
            part = _part(&f)
            if part == OTHER:
                continue
            if untouched and (part == BETWEEN or part == LAST):
                goes_on = 1 if part == LAST else 2
            elif goes_on == 2:
                goes_on = 0
            untouched = untouched and part == BETWEEN
            if part == FIRST or part == WHOLE:
                begun.offset, begun.ts_ns, begun.seq = before, f.ts_ns, f.seq
            if part == WHOLE or (part == LAST and begun.offset):
                found = begun
            if part != FIRST and part != BETWEEN:
                begun.offset = 0
    if rc < 0:
        walk.fail()
    return Seen(_told(&found) if known else None, _told(&begun) if known else None, goes_on)


cdef object _told(const snapshot_place *place):
    return (place.ts_ns, place.offset, place.seq) if place.offset else None


def definition_of(SegmentSpan span not None, uint64_t instrument_id):
    """Payload of the Instrument record at the head of a segment, or None."""
    cdef SpanWalk walk = SpanWalk(span)
    cdef chr_frame f
    while walk.next(&f) == 1 and f.type_id == CHR_INSTRUMENT:
        if chr_instrument_of(f.type_id, f.payload, f.size) == instrument_id:
            return PyBytes_FromStringAndSize(<const char *>f.payload, f.size)
    return None


def rebuild(Merge merge not None, uint64_t instrument_id, bytes definition=None, int64_t event_ns=INT64_MAX):
    """(book or None, time of the last record applied, records) from what a merge gives of one instrument.

    All of it, or up to the first record whose event came after `event_ns`.
    """
    cdef _Rebuild work = _Rebuild(instrument_id)
    cdef chr_frame f
    cdef int rc
    if definition is not None:
        work.define(definition)
    while True:
        rc = merge.next(&f)
        if rc == 0:
            return work.book, work.last_ns, work.records
        if rc < 0:
            try:
                merge.fail()
            except Exception:
                work.broken()
                continue
        if event_ns < INT64_MAX and chr_instrument_of(f.type_id, f.payload, f.size) == instrument_id and _event(&f) > event_ns:
            return work.book, work.last_ns, work.records
        work.feed(&f)


cdef class _Rebuild:
    cdef chr_books table
    cdef L2Book book
    cdef uint64_t instrument_id, records
    cdef int64_t last_ns
    cdef bint orders
    cdef bytes definition

    def __cinit__(self, uint64_t instrument_id):
        if chr_books_init(&self.table, CHR_GAP_RESYNC) or chr_books_add(&self.table, instrument_id) < 0:
            raise MemoryError("no memory for a book")
        self.instrument_id = instrument_id

    def __dealloc__(self):
        chr_books_free(&self.table)

    cdef int broken(self) except -1:
        chr_books_break_source(&self.table, 0, b"")
        return 0

    cdef int feed(self, const chr_frame *f) except -1:
        cdef uint64_t instrument_id
        if f.type_id == CHR_TYPE_LOST:
            return self.broken()
        instrument_id = chr_instrument_of(f.type_id, f.payload, f.size)
        if instrument_id != self.instrument_id:
            return self.broken() if instrument_id == 0 and f.type_id == CHR_GAP else 0
        if f.type_id == CHR_INSTRUMENT or self.book is None:
            self.meet(f)
        chr_books_feed(&self.table, 0, 0, f)
        self.records += 1
        self.last_ns = f.ts_ns
        return 0

    cdef int define(self, bytes payload) except -1:
        cdef const chr_instrument_t *m
        m = <const chr_instrument_t *>chr_block(<const char *>payload, <uint32_t>len(payload), CHR_INSTRUMENT, CHR_INSTRUMENT_BLOCK)
        if m != NULL:
            self.orders = m.book_mode == CHR_BOOK_MODE_L3
            self.definition = payload
        return 0

    cdef int meet(self, const chr_frame *f) except -1:
        """A definition, or what may be the first record of the book."""
        cdef chr_book_entry *e = &self.table.entries[0]
        if f.type_id == CHR_INSTRUMENT:
            self.define(PyBytes_FromStringAndSize(<const char *>f.payload, f.size))
        if self.book is not None:
            return 0
        is_order = CHR_ORDER_ADD <= f.type_id <= CHR_ORDER_EXECUTE
        is_levels = f.type_id == CHR_BOOK_DELTA or f.type_id == CHR_BOOK_SNAPSHOT
        is_other = f.type_id == CHR_PHASE_CHANGE or f.type_id == CHR_AUCTION_INFO or f.type_id == CHR_GAP
        if is_order or (self.orders and (is_levels or is_other)):
            self.book = L3Book(self.instrument_id)
            e.l3 = (<L3Book>self.book).l3
        elif is_levels:
            self.book = L2Book(self.instrument_id)
        if self.book is not None:
            e.l2 = self.book.b
            if self.definition is not None:
                self.book.apply(CHR_INSTRUMENT, self.definition)
        return 0
