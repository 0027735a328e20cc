"""The venue's own sight of the market where a feed latency is set: ahead of the strategy's by as much.

Recorded times are when we saw a record, and stay the times at which the strategy sees it. At the venue it stood earlier by the feed latency, so the venue has
books of its own, fed by a second reading of the sources: a record of time t is matched against at max(t - latency, when the one before it was).
"""

from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from libchronicle.backtest.clearing cimport Clearing
from libchronicle.book.books cimport chr_books
from libchronicle.book.l2 cimport CHR_L2_APPLIED, chr_l2
from libchronicle.native.core cimport CHR_TYPE_LOST
from libchronicle.native.hot cimport chr_frame
from libchronicle.protocol.layout cimport CHR_BOOK_DELTA, CHR_BOOK_MODE_L3, CHR_BOOK_RESET, CHR_INSTRUMENT, CHR_ORDER_ADD, CHR_ORDER_EXECUTE, CHR_TRADE
from libchronicle.protocol.sbe cimport chr_instrument_of
from libchronicle.replay.merging cimport Merged
from libchronicle.sim.latency cimport latency_model
from libchronicle.strategy.bookview cimport Book
from libchronicle.strategy.instrument cimport Instrument

from libchronicle.protocol import Instrument as Definition

cdef extern from "books.h" nogil:
    int chr_books_follows(chr_books *t, const chr_l2 *b, const void *payload, uint32_t size)


cdef class Ahead:
    """`sources`: the same as the engine's, opened a second time. `ignores`: gaps change nothing."""

    def __cinit__(self, list sources not None, Clearing venue not None, instruments, latency, *, uint64_t seed=1, bint ignores=False,
                  int64_t start_ns=INT64_MIN, int64_t end_ns=INT64_MAX):
        cdef Instrument instrument
        cdef Book book
        self.merged = Merged(sources)
        self.venue = venue
        self.latency = latency_model(latency)
        self.latency.start(seed)
        self.ignores = ignores
        self.start_ns, self.end_ns = start_ns, end_ns
        self.last_ns = INT64_MIN
        self.instruments = list(instruments)
        self.books = [Book(one) for one in self.instruments]
        self.count = len(self.instruments)
        self.shown = <chr_shown *>calloc(self.count + 1, sizeof(chr_shown))
        if self.shown == NULL:
            raise MemoryError("no memory for a backtest")
        for place, instrument in enumerate(self.instruments):
            self.shown[place].id = instrument.id
            book = self.books[place]
            book.recorded, book.lenient = True, ignores
            self.shown[place].book = <void *>book  # `books` holds it
            self.shown[place].slot = -1

    def __dealloc__(self):
        free(self.shown)

    def begin(self):
        """The first record; those of before the start only warm the books."""
        self.look()
        while self.due_ns < self.start_ns:
            self.step()

    def lose(self):
        cdef uint32_t at
        for at in range(self.count):
            if not self.ignores:
                (<Book>self.shown[at].book).lose()

    cdef int look(self) except -1:
        """When the next record stands at the venue."""
        cdef int rc = self.merged.peek()
        cdef chr_frame *f
        while rc < 0:
            self.merged.failure()  # the strategy's reading of the same source tells of it; here the books wait for their next snapshots
            self.lose()
            rc = self.merged.peek()
        f = &self.merged.heads[self.merged.source].frame
        if rc == 0 or f.ts_ns >= self.end_ns:
            self.due_ns = INT64_MAX
        else:
            self.due_ns = max(self.last_ns, f.ts_ns - self.latency.feed(f.ts_ns))
        return 0

    cdef int step(self) except -1:
        """The next record happens at the venue."""
        cdef chr_frame f = self.merged.heads[self.merged.source].frame
        cdef uint64_t id
        cdef uint32_t at
        f.ts_ns = self.last_ns = self.due_ns
        if f.type_id == CHR_TYPE_LOST:
            self.lose()
        else:
            id = chr_instrument_of(f.type_id, f.payload, f.size)
            for at in range(self.count):
                if self.shown[at].id == id:
                    if f.type_id == CHR_INSTRUMENT:
                        self.define(at, &f)
                    else:
                        self.apply(&self.shown[at], &f)
        self.merged.take()
        return self.look()

    cdef int define(self, uint32_t at, const chr_frame *f) except -1:
        cdef Book book = self.books[at]
        definition = Definition.decode(<bytes>f.payload[: f.size])
        if definition.book_mode == CHR_BOOK_MODE_L3:
            book.hold_orders()
        cdef bint was_valid = book.b.valid
        book.apply(f)
        if self.ignores and was_valid and not book.b.valid:
            book.trust()
        self.shown[at].slot = self.venue.define(self.instruments[at], definition, book)
        return 0

    cdef int apply(self, chr_shown *one, const chr_frame *f) except -1:
        cdef chr_books place
        cdef Book book = <Book>one.book
        cdef bint was_valid = book.b.valid, is_order = CHR_ORDER_ADD <= f.type_id <= CHR_ORDER_EXECUTE
        if f.type_id == CHR_BOOK_DELTA and book.l3 == NULL and not self.ignores and not chr_books_follows(&place, book.b, f.payload, f.size):
            book.lose()
        if is_order and one.slot < 0 and book.b.applied == 0:
            book.hold_orders()  # nothing has defined it yet
        if f.type_id == CHR_TRADE and not chr_could_be(f):
            if not self.ignores:
                book.lose()
            return 0
        cdef int result = book.apply(f)
        if self.ignores and was_valid and not book.b.valid and f.type_id != CHR_BOOK_RESET:
            book.trust()
        if one.slot < 0 or f.ts_ns < self.start_ns:
            return 0
        if is_order and was_valid and not book.b.valid:
            self.venue.lose(one.slot)
        if not is_order or result == CHR_L2_APPLIED:
            self.venue.record(one.slot, f)
        return 0
