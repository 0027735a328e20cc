"""One raw queue being refined: every frame to its instrument and stream, in order.

    raw frame                               goes to
    BookSnapshot, BookDelta, BookReset      the instrument's book
    OrderAdd, -Modify, -Delete, -Execute    the instrument's book
    PhaseChange, AuctionInfo                the instrument's book (instrument 0: every book there is)
    Trade                                   trade
    BestBidAsk                              quote
    Gap                                     every stream of its instrument that there is (instrument 0: of all)
    Instrument                              the head of the segments to come
    LOST, an unreadable or evicted record   a Gap to every stream; its rawSeq is the last seq that is missing
    others                                  nowhere: counted

No clock, no thread; the only I/O is that of the queues. `run` may be called again after an error: what the frame had come to
is gone on with, so a full disk costs time and nothing else. `commit` only remembers how far all is in.
"""

from libc.stdint cimport int64_t, uint16_t, uint64_t
from libc.string cimport memcpy, memset

from libchronicle.etl.gap cimport chr_gap_room, make_gap
from libchronicle.etl.stream cimport Stream
from libchronicle.etl.target cimport BOOK, KINDS, QUOTE, TRADE, Target
from libchronicle.native.binding cimport Subscriber, raise_reader
from libchronicle.native.hot cimport chr_frame, chr_next
from libchronicle.protocol.event_time cimport chr_event_ns
from libchronicle.protocol.layout cimport (
    CHR_BEST_BID_ASK,
    CHR_BOOK_DELTA,
    CHR_BOOK_RESET,
    CHR_BOOK_SNAPSHOT,
    CHR_GAP,
    CHR_GAP_BLOCK,
    CHR_GAP_REASON_EVICTED,
    CHR_GAP_REASON_LOST,
    CHR_AUCTION_INFO,
    CHR_INSTRUMENT,
    CHR_ORDER_ADD,
    CHR_ORDER_DELETE,
    CHR_ORDER_EXECUTE,
    CHR_ORDER_MODIFY,
    CHR_PHASE_CHANGE,
    CHR_TRADE,
)
from libchronicle.protocol.sbe cimport chr_block, chr_instrument_of

import msgspec

from libchronicle.errors import Corrupt, DecodeError, Evicted, ExponentChanged, InvalidName
from libchronicle.protocol import Instrument, instrument_id

cdef enum:
    TYPE_LOST = 0xFFFE

cdef int64_t GRACE_NS = 5_000_000_000


cdef class Route:
    """Where the records of a raw instrument go, as of their time."""

    cdef Target at(self, int64_t event_ns):
        cdef Py_ssize_t i = len(self.since_ns) - 1
        while i > 0 and event_ns < <int64_t>self.since_ns[i]:
            i -= 1
        return self.targets[i]


cdef class Refinery:
    """Refines what `raw` reads. `shelves(venue, symbol)` gives the Shelf of an instrument; limits are in ns.

    `raw` stays the caller's. Raises as appending to and reading from queues does.
    """

    def __init__(
        self, Subscriber raw not None, shelves, symbols, group, *, int64_t snapshot_interval_ns,
        uint64_t snapshot_levels, int64_t segment_age_ns, int64_t late_limit_ns
    ):
        self.raw = raw
        self.raw_id = raw.queue_id
        self.shelves = shelves
        self.symbols = symbols
        self.group = group
        self.targets = {}
        self.routes = {}
        self.faults = []
        self.absent = set()
        self.holes = []
        self.limits.snapshot_interval_ns = snapshot_interval_ns
        self.limits.snapshot_levels = snapshot_levels
        self.limits.segment_age_ns = segment_age_ns
        self.limits.late_limit_ns = late_limit_ns

    def close(self):
        """Give every queue back."""
        for target in self.targets.values():
            target.close()

    # ------------------------------------------------------------ definitions

    def learn(self, Subscriber reader not None, uint64_t until):
        """Take definitions that `reader` finds before seq `until`, but for those known; True: nothing else was there.

        Opens the queues of their instruments. Of several of one instrument the last one holds.
        """
        known = set(self.routes)
        cdef chr_frame f
        cdef int rc
        cdef bint alone = True
        while reader.r.next_seq < until:
            rc = chr_next(reader.r, &f)
            if rc == 0:
                break
            if rc < 0:
                try:
                    raise_reader(reader)
                except Corrupt:
                    reader.seek_seq(reader.r.next_seq + 1)
                continue
            if f.seq >= until:
                break
            if f.type_id != CHR_INSTRUMENT:
                alone = False
            elif chr_instrument_of(f.type_id, f.payload, f.size) not in known:
                self.define((<const char *>f.payload)[:f.size], f.ts_ns)
        return alone

    def define(self, bytes payload not None, int64_t ts_ns):
        """An Instrument record of the raw queue. One that cannot be used goes into `faults`."""
        cdef Route route
        try:
            definition = Instrument.decode(payload)
            route = self._route(definition)
            target = route.at(ts_ns)
            if target is not None:
                canonical, renamed = self._canonical(definition, payload, target.name.partition(":")[2])
                target.define(renamed, canonical)
            self.routes[definition.instrument_id] = route
            self.absent.discard(definition.instrument_id)
        except (DecodeError, ExponentChanged, InvalidName) as error:
            self.faults.append(error)

    def expect(self, bytes payload not None):
        """An instrument whose definition is still to come: its queues are opened, nothing goes there before."""
        try:
            self._route(Instrument.decode(payload))
        except (DecodeError, ExponentChanged, InvalidName) as error:
            self.faults.append(error)

    def _route(self, definition):
        cdef Route route = self.routes.get(definition.instrument_id)
        cdef Route made
        if route is not None:
            return route
        made = Route()
        made.instrument_id = definition.instrument_id
        made.since_ns = []
        made.targets = []
        for period in self.symbols.periods(definition.venue, definition.symbol):
            made.since_ns.append(period.from_ns)
            made.targets.append(self._target(definition, period.canonical))
        if len(made.targets) == 1:
            made.only = made.targets[0]
        return made

    def _target(self, definition, str symbol):
        cdef Target target
        name = f"{definition.venue}:{symbol}"
        if not self.group.takes(name):
            return None
        target = self.targets.get(name)
        if target is None:
            shelf = self.shelves(definition.venue, symbol)
            canonical, payload = self._canonical(definition, None, symbol)
            target = Target(canonical, shelf)
            target.limits = &self.limits
            target.tally = &self.tally
            if target.resume(shelf):
                self.damaged = True
            target.define(payload, canonical)
            self.targets[name] = target
        return target

    def _canonical(self, definition, payload, str symbol):
        if symbol == definition.symbol:
            return definition, payload if payload is not None else definition.encode()
        number = instrument_id(f"{definition.venue}:{symbol}")
        renamed = msgspec.structs.replace(definition, symbol=symbol, instrument_id=number)
        return renamed, renamed.encode()

    # ------------------------------------------------------------ where to go on

    def behind(self, uint64_t seq):
        """The lowest raw seq that some stream does not hold for certain, at most `seq`.

        For after a power loss: what was committed to a queue may be gone, though the reader's page says that all is in.
        """
        cdef Target target
        cdef Stream stream
        lowest = seq
        for target in self.targets.values():
            for stream in target.streams:
                if stream.plain is None:
                    continue
                if stream.raw_id == self.raw_id and stream.in_seq is not None:
                    lowest = min(lowest, stream.in_seq[2])
                else:
                    lowest = 0
        return lowest

    def knows(self, number):
        """Has an instrument of that raw id been defined?"""
        return number in self.routes

    def takes(self, name):
        """Is `venue:SYMBOL` (canonical) refined here?"""
        return self.group.takes(name)

    def forget(self):
        """Definitions, since others held where reading goes on."""
        self.routes.clear()

    def missing(self, uint64_t first, uint64_t last, bint evicted):
        """Records `first` to `last` of the raw queue will never come: told to every stream before the next record."""
        self.holes.append((first, last, CHR_GAP_REASON_EVICTED if evicted else CHR_GAP_REASON_LOST))

    # ------------------------------------------------------------ the loop

    def run(self, Py_ssize_t most):
        """Refine up to `most` records; how many there were. Commits nothing."""
        cdef chr_frame f
        cdef Py_ssize_t n = 0
        cdef int rc
        self.oldest_ts = 0
        self.all_read = False
        if self.holding:
            self._take(&self.held)
            self.holding = False
            n = 1
        while n < most:
            rc = chr_next(self.raw.r, &f)
            if rc <= 0:
                if rc == 0:
                    self.all_read = True
                    break
                self._trouble()
                continue
            if not self.oldest_ts:
                self.oldest_ts = f.ts_ns
            self.newest_ts = f.ts_ns
            self.held = f
            self.holding = True
            if self.holes:
                self._tell_holes(f.epoch, f.ts_ns)
            self._take(&f)
            self.holding = False
            n += 1
        self.frames += n
        return n

    def commit(self):
        """All that was read is in: remember the place. A store, no system call."""
        if not self.holding:
            self.raw.commit()

    def sweep(self, int64_t now_ns):
        """Roll segments that are old enough, though nothing comes; and tell readers that the writer lives.

        Not while records wait to be read, nor at once: one of before may be on its way, and belong into the segment.
        """
        cdef Target target
        for target in self.targets.values():
            target._sweep(now_ns - GRACE_NS if self.all_read else 0)

    cdef int _trouble(self) except -1:
        """The reader failed: what is damaged or gone becomes a hole, all else is raised."""
        try:
            raise_reader(self.raw)
        except Corrupt:
            seq = self.raw.next_seq
            self.raw.seek_seq(seq + 1)
            self.missing(seq, seq, False)
        except Evicted as error:
            self.missing(error.from_seq, error.to_seq, True)
        return 0

    def _tell_holes(self, epoch, ts_ns):
        cdef chr_frame f
        memset(&f, 0, sizeof(f))
        f.epoch = epoch
        f.ts_ns = ts_ns
        while self.holes:
            first, last, reason = self.holes[0]
            f.seq = last
            self._hole(&f, first, last, reason)
            self.holes.pop(0)

    cdef int _hole(self, const chr_frame *f, uint64_t first, uint64_t last, int reason) except -1:
        cdef chr_gap_room room
        cdef chr_frame told
        make_gap(&told, &room, f, 0, first, last, reason)
        told.seq = last
        return self._gap(&told)

    cdef int _take(self, const chr_frame *f) except -1:
        cdef uint64_t lost[2]
        cdef uint16_t kind = f.type_id
        if kind == CHR_BOOK_DELTA or kind == CHR_BOOK_SNAPSHOT or kind == CHR_BOOK_RESET:
            return self._record(BOOK, f)
        if kind == CHR_TRADE:
            return self._record(TRADE, f)
        if kind == CHR_BEST_BID_ASK:
            return self._record(QUOTE, f)
        if kind == CHR_ORDER_ADD or kind == CHR_ORDER_MODIFY or kind == CHR_ORDER_DELETE or kind == CHR_ORDER_EXECUTE:
            return self._record(BOOK, f)
        if kind == CHR_PHASE_CHANGE or kind == CHR_AUCTION_INFO:
            return self._phase(f)
        if kind == CHR_GAP:
            if chr_block(f.payload, f.size, CHR_GAP, CHR_GAP_BLOCK) == NULL:
                self.tally.malformed += 1
                return self._hole(f, f.seq, f.seq, CHR_GAP_REASON_LOST)
            return self._gap(f)
        if kind == CHR_INSTRUMENT:
            self.tally.definitions += 1
            self.define((<const char *>f.payload)[:f.size], f.ts_ns)
            return 0
        if kind == TYPE_LOST and f.size >= sizeof(lost):
            memcpy(lost, f.payload, sizeof(lost))
            return self._hole(f, lost[0], lost[1], CHR_GAP_REASON_LOST)
        self.tally.skipped += 1
        return 0

    cdef int _record(self, int kind, const chr_frame *f) except -1:
        cdef uint64_t number = chr_instrument_of(f.type_id, f.payload, f.size)
        cdef Route route = self.routes.get(number)
        cdef Target target
        if route is None:
            route = self._find(number, f.seq)
            if route is None:
                self.tally.unknown += 1
                return 0
        target = route.only
        if target is None:
            target = route.at(chr_event_ns(f.type_id, f.payload, f.size, f.ts_ns) or f.ts_ns)
            if target is None:
                self.tally.others += 1
                return 0
        return target.take(kind, f, self.raw_id, 0 if target.instrument_id == number else target.instrument_id)

    cdef Route _find(self, uint64_t number, uint64_t seq):
        """Of an instrument whose definition stands further back than anybody looked."""
        if self.finder is None or number in self.absent:
            return None
        self.finder(self, number, seq)
        if number not in self.routes:
            self.absent.add(number)
        return self.routes.get(number)

    cdef int _phase(self, const chr_frame *f) except -1:
        cdef Target target
        cdef Stream stream
        if chr_instrument_of(f.type_id, f.payload, f.size):
            return self._record(BOOK, f)
        for target in self.targets.values():
            stream = target.streams[BOOK]
            if stream.holds():
                target.take(BOOK, f, self.raw_id, 0)
        return 0

    cdef int _gap(self, const chr_frame *f) except -1:
        cdef uint64_t number = chr_instrument_of(CHR_GAP, f.payload, f.size)
        cdef Route route
        cdef Target target
        cdef int kind
        self.tally.gaps += 1
        if number:
            route = self.routes.get(number)
            found = [] if route is None else route.targets
        else:
            found = self.targets.values()
        for target in found:
            if target is not None:
                for kind in range(KINDS):
                    target.gap(kind, f, self.raw_id)
        return 0

    # ------------------------------------------------------------ figures

    @property
    def figures(self):
        """What was done since it was made, by name."""
        cdef chr_etl_tally *t = &self.tally
        return {
            "book": t.records[BOOK], "trade": t.records[TRADE], "quote": t.records[QUOTE], "gaps": t.gaps,
            "definitions": t.definitions, "skipped": t.skipped, "others": t.others, "repeated": t.repeated,
            "malformed": t.malformed, "unknown": t.unknown, "too_late": t.too_late, "too_large": t.too_large,
            "late": t.late, "snapshots": t.snapshots, "unfit": t.unfit, "refused": t.refused, "rolls": t.rolls,
        }

    @property
    def queues(self):
        """How many clean queues are open."""
        cdef Target target
        return sum(
            (stream.plain is not None) + (stream.late is not None)
            for target in self.targets.values() for stream in target.streams
        )
