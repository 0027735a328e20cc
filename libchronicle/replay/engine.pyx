"""The loop of a replay: merge sources by (time, source), keep every book, give what was asked for.

    refill the source that was given last -> earliest head -> marks (pace, checkpoint, signals) -> books -> filters -> give

Rules
  - Records of equal time are given in the order of the sources, and those of one source in its own: a replay is a function of its sources.
    No clock is looked at here.
  - Books are kept from every record of the instruments wanted; filters decide what is given, never what a book sees.
  - `start_ns`, `end_ns`: given are start <= ts < end; what comes before the start only warms the books.
  - Without a callback the loop runs without the GIL; whatever is rare (a new instrument, an error, a mark) takes it.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.exc cimport PyErr_CheckSignals
from cpython.list cimport PyList_GET_ITEM
from libc.stdint cimport INT64_MAX, INT64_MIN, UINT64_MAX, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from libchronicle.book.books cimport (
    CHR_FED,
    CHR_FED_STOP,
    CHR_GAP_IGNORE,
    CHR_GAP_STOP,
    chr_book_entry,
    chr_books_add,
    chr_books_break_source,
    chr_books_feed,
    chr_books_find,
    chr_books_free,
    chr_books_hash,
    chr_books_init,
)
from libchronicle.book.l2 cimport L2Book
from libchronicle.book.l3 cimport L3Book
from libchronicle.native.core cimport CHR_TYPE_LOST
from libchronicle.native.hot cimport chr_frame
from libchronicle.protocol.layout cimport (
    CHR_AUCTION_INFO,
    CHR_BOOK_DELTA,
    CHR_BOOK_MODE_L3,
    CHR_BOOK_SNAPSHOT,
    CHR_GAP,
    CHR_INSTRUMENT,
    CHR_ORDER_ADD,
    CHR_ORDER_EXECUTE,
    CHR_PHASE_CHANGE,
)
from libchronicle.protocol.sbe cimport chr_instrument_of
from libchronicle.replay.event cimport ReplayEvent
from libchronicle.replay.merging cimport Merged, chr_head
from libchronicle.replay.source cimport FrameSource

from libchronicle.errors import BadSegment, Broken, ReplayGap
from libchronicle.protocol import Instrument

__all__ = ["Engine"]

cdef enum:
    SIGNALS_EVERY = 1 << 18
    NOTHING = 0
    GIVEN = 1
    FAILED = -1


cdef class Engine:
    def __cinit__(self, list sources not None, int policy, types=None):
        self.merged = Merged(sources)
        self.sources = sources
        self.books = []
        self.definitions = []
        if chr_books_init(&self.table, policy):
            raise MemoryError("no memory for a replay")
        self.place = -1
        self.all_types = types is None
        for number in types or ():
            self.types[<uint16_t>number >> 6] |= <uint64_t>1 << (<uint16_t>number & 63)
        self.end_ns = self.pace_ns = self.check_ns = INT64_MAX
        self.check_records = self.check_bytes = UINT64_MAX
        self.until_signals = SIGNALS_EVERY
        self.first_ns = -1
        self.last_ns = INT64_MIN

    def __dealloc__(self):
        chr_books_free(&self.table)

    # ------------------------------------------------------------ one record

    cdef int step(self) noexcept nogil:
        """To the next record that is to be given: 1 it stands in `current`; 0 none (`finished`, or all are idle); -1 `error`."""
        cdef chr_head *h
        cdef chr_frame *f
        cdef int rc
        self.current = NULL
        while not self.finished:
            rc = self.merged.peek()
            if rc < 0:
                if self.damage() < 0:
                    return FAILED
                continue
            if rc == 0:
                self.finished = not self.merged.idle()
                return NOTHING
            h = &self.merged.heads[self.merged.source]
            f = &h.frame
            if f.ts_ns >= self.end_ns:
                self.finished = True
                return NOTHING
            if self.heed(f) < 0:
                return FAILED
            self.merged.take()
            rc = self.feed(h, self.merged.source)
            if rc < 0:
                return FAILED
            if rc == CHR_FED and self.passes(f):
                self.given += 1
                self.current = h
                return GIVEN
        return NOTHING

    cdef int feed(self, chr_head *h, uint32_t source) noexcept nogil:
        cdef chr_frame *f = &h.frame
        cdef uint64_t instrument_id
        cdef int rc = CHR_FED
        self.place = -1
        self.records += 1
        self.payload_bytes += f.size
        self.last_ns = f.ts_ns
        if self.first_ns < 0:
            self.first_ns = f.ts_ns
        if f.type_id == CHR_TYPE_LOST:
            return self.missing(f, source, b"records that the queue lost")
        if self.channel and not chr_channel_follows(&h.channel_seq, f) and self.missing(f, source, b"messages of the channel are missing") < 0:
            return FAILED
        instrument_id = chr_instrument_of(f.type_id, f.payload, f.size)
        if instrument_id == 0:
            return self.missing(f, source, b"a Gap record of the whole feed") if f.type_id == CHR_GAP else CHR_FED
        self.place = chr_books_find(&self.table, instrument_id)
        if self.place < 0 or self.wants_book(f):
            self.place = self.enter(instrument_id, f)
            if self.place < 0:
                return FAILED
        rc = chr_books_feed(&self.table, self.place, source, f)
        if rc == CHR_FED_STOP:
            with gil:
                self.stop(f, source, instrument_id)
        return rc

    cdef bint wants_book(self, const chr_frame *f) noexcept nogil:
        """Is this the first record that tells which book its instrument has, or a definition?"""
        if f.type_id == CHR_INSTRUMENT:
            return True
        if self.table.entries[self.place].l2 != NULL or self.table.entries[self.place].unwanted:
            return False
        if CHR_ORDER_ADD <= f.type_id <= CHR_ORDER_EXECUTE:
            return True
        return f.type_id == CHR_BOOK_DELTA or f.type_id == CHR_BOOK_SNAPSHOT or f.type_id == CHR_PHASE_CHANGE or f.type_id == CHR_AUCTION_INFO

    cdef bint passes(self, const chr_frame *f) noexcept nogil:
        cdef chr_book_entry *e
        if f.ts_ns < self.start_ns:
            return False
        if not self.all_types and not self.types[f.type_id >> 6] >> (f.type_id & 63) & 1:
            return False
        if self.sample_ns > 0 and self.place >= 0:
            e = &self.table.entries[self.place]
            if f.ts_ns < e.next_sample_ns:
                return False
            e.next_sample_ns = f.ts_ns - f.ts_ns % self.sample_ns + self.sample_ns
        if self.sample_every > 1:
            self.sampled += 1
            return self.sampled % self.sample_every == 1
        return True

    cdef int heed(self, const chr_frame *f) noexcept nogil:
        """What must happen before this record."""
        if self.records >= self.until_signals:
            self.until_signals = self.records + SIGNALS_EVERY
            with gil:
                if self.guarded() < 0:
                    return FAILED
        if f.ts_ns > self.last_ns and (
            f.ts_ns >= self.check_ns or self.records >= self.check_records or self.payload_bytes >= self.check_bytes
        ):  # between two times only: then a time says exactly which records have been applied
            with gil:
                try:
                    self.checkpoint(f.ts_ns)
                except BaseException as error:
                    self.error = error
                    return FAILED
        if f.ts_ns > self.pace_ns:
            with gil:
                try:
                    self.pace_ns = self.pace(f.ts_ns)
                except BaseException as error:
                    self.error = error
                    return FAILED
        return 0

    def guarded(self):
        """Give a signal's handler its turn; what it raises ends the replay."""
        try:
            PyErr_CheckSignals()
        except BaseException as error:
            self.error = error
            return FAILED
        return 0

    # ------------------------------------------------------------ gaps

    cdef int damage(self) noexcept nogil:
        """A source could not read on. 0: go on behind it."""
        with gil:
            found = self.merged.failure()
            if not isinstance(found, (BadSegment, Broken)) or self.table.policy == CHR_GAP_STOP:
                self.error = found
                return FAILED
            self.damaged += 1
            chr_books_break_source(&self.table, self.merged.source, b"a damaged segment")
            return 0

    cdef int missing(self, const chr_frame *f, uint32_t source, const char *reason) noexcept nogil:
        """Records are missing before this one, of all the instruments of a source."""
        if f.type_id == CHR_TYPE_LOST:
            self.lost += 1
        if chr_books_break_source(&self.table, source, reason) >= 0:
            return CHR_FED
        with gil:
            self.stop(f, source, 0)
        return FAILED

    cdef int stop(self, const chr_frame *f, uint32_t source, uint64_t instrument_id) except -1:
        name = (<FrameSource>self.sources[source]).name
        self.error = ReplayGap(
            source=name, seq=f.seq, ts_ns=f.ts_ns, instrument_id=instrument_id, reason=self.table.reason.decode()
        )
        return 0

    # ------------------------------------------------------------ books

    cdef int64_t enter(self, uint64_t instrument_id, const chr_frame *f) noexcept nogil:
        """An instrument, or its book, is new. Its place, or -1."""
        cdef int64_t place = chr_books_find(&self.table, instrument_id)
        with gil:
            try:
                if place < 0:
                    place = chr_books_add(&self.table, instrument_id)
                    if place < 0:
                        raise MemoryError("no memory for an instrument")
                    self.books.append(None)
                    self.definitions.append(None)
                    self.table.entries[place].unwanted = self.wanted is not None and instrument_id not in self.wanted
                self.make_book(place, f)
                return place
            except BaseException as error:
                self.error = error
                return FAILED

    cdef int make_book(self, int64_t place, const chr_frame *f) except -1:
        cdef chr_book_entry *e = &self.table.entries[place]
        cdef L2Book flat
        cdef L3Book book
        if f.type_id == CHR_INSTRUMENT:
            self.definitions[place] = PyBytes_FromStringAndSize(<const char *>f.payload, f.size)
        if e.l2 != NULL or e.unwanted:
            return 0
        definition = self.definitions[place]
        orders = definition is not None and Instrument.decode(definition).book_mode == CHR_BOOK_MODE_L3
        if orders or CHR_ORDER_ADD <= f.type_id <= CHR_ORDER_EXECUTE:
            book = L3Book(e.instrument_id)
            book.l3.lenient = self.table.policy == CHR_GAP_IGNORE
            e.l3 = book.l3
            e.l2 = book.b
            self.books[place] = book
        elif f.type_id == CHR_BOOK_DELTA or f.type_id == CHR_BOOK_SNAPSHOT:
            flat = L2Book(e.instrument_id)
            e.l2 = flat.b
            self.books[place] = flat
        if self.books[place] is not None and definition is not None:
            self.books[place].apply(CHR_INSTRUMENT, definition)
        return 0

    # ------------------------------------------------------------ from Python

    def run(self, callback=None):
        """Until nothing more comes, or `callback(event)` returns False. True: all sources have ended."""
        cdef ReplayEvent event
        cdef int rc
        if callback is None:
            with nogil:
                rc = self.step()
                while rc == GIVEN:
                    rc = self.step()
        else:
            event = self.event()
            rc = self.step()
            while rc == GIVEN:
                self.point(event)
                if callback(event) is False:
                    self.finished = True
                rc = self.step()
            event.frame = NULL
        self.check(rc)
        return self.finished

    def next(self):
        """The next event, or None."""
        cdef ReplayEvent event = self.event()
        cdef int rc = self.step()
        self.check(rc)
        if rc != GIVEN:
            return None
        self.point(event)
        return event

    cdef ReplayEvent event(self):
        if self.shared is None:
            self.shared = ReplayEvent.__new__(ReplayEvent)
        self.shared.frame = NULL
        return self.shared

    cdef int point(self, ReplayEvent event) except -1:
        event.frame = &self.current.frame
        event.source = self.merged.source
        if self.place < 0:
            event.instrument_id = 0
            event.book = None
        else:
            event.instrument_id = self.table.entries[self.place].instrument_id
            event.book = <object>PyList_GET_ITEM(self.books, self.place)
        return 0

    cdef int check(self, int rc) except -1:
        if rc >= 0:
            return 0
        error, self.error = self.error, None
        self.finished = True
        raise error if error is not None else RuntimeError("a replay failed without saying why")

    def restore(self, uint64_t instrument_id, book, definition, uint64_t hash, uint64_t records, bint quarantined):
        """Begin with a book: of a snapshot. Before the first record only."""
        cdef int64_t place = chr_books_find(&self.table, instrument_id)
        cdef chr_book_entry *e
        if place < 0:
            place = chr_books_add(&self.table, instrument_id)
            self.books.append(None)
            self.definitions.append(None)
        e = &self.table.entries[place]
        e.hash = hash
        e.records = records
        e.quarantined = quarantined
        e.unwanted = self.wanted is not None and instrument_id not in self.wanted
        self.definitions[place] = definition
        self.books[place] = book
        e.l2 = (<L2Book>book).b if book is not None else NULL
        e.l3 = (<L3Book>book).l3 if isinstance(book, L3Book) else NULL
        if e.l3 != NULL:
            e.l3.lenient = self.table.policy == CHR_GAP_IGNORE

    def marks(self) -> list:
        """(name, queue id, seq of the next record) of each source. A head that was not applied yet is still to come."""
        cdef uint32_t source, at
        cdef const chr_frame *f
        found = []
        for source in range(self.merged.count):
            owner = self.sources[source]
            seq = getattr(owner, "next_seq", 0)
            for at in range(self.merged.heap.count):
                f = &self.merged.heads[source].frame
                if self.merged.heap.first[at] == source and self.merged.pending != source:
                    seq = (<const uint64_t *>f.payload)[0] if f.type_id == CHR_TYPE_LOST else f.seq
            found.append((owner.name, getattr(owner, "queue_id", 0), seq))
        return found

    def state_hash(self) -> int:
        return chr_books_hash(&self.table)

    def tallies(self) -> list:
        """Per instrument, in the order they came: what was done to it."""
        found = []
        for place in range(self.table.count):
            e = &self.table.entries[place]
            if not e.unwanted:
                found.append((e.instrument_id, e.records, e.levels, e.gaps, e.refused, e.dropped, bool(e.quarantined), e.hash))
        return found

    @property
    def gaps(self) -> int:
        return self.table.gaps

    @property
    def refused(self) -> int:
        return self.table.refused

    def definition(self, uint64_t instrument_id):
        """Payload of the instrument's last definition, or None."""
        cdef int64_t place = chr_books_find(&self.table, instrument_id)
        return self.definitions[place] if place >= 0 else None

    def book(self, uint64_t instrument_id):
        cdef int64_t place = chr_books_find(&self.table, instrument_id)
        return self.books[place] if place >= 0 else None
