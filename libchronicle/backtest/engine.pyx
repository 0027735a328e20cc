"""The loop of a backtest: records of all sources in one order of time, each given to the dispatcher as the live host would.

    earliest head -> what is due before it (timers, requests, reports) -> now = its time -> book checks -> Dispatcher.market

Order of what happens at one time t:
  1. timers with a deadline at or before t: a timer fires before the first record at or past its deadline, and is told its deadline as the time
  2. funding of t, of what is held as t comes
  3. market records of time t, in the order of their sources
  4. requests that reach the venue at t
  5. reports that reach the strategy at t
The time the strategy is told never decreases. No clock is looked at: a run is a function of its data, its settings and its seed.

Books. The dispatcher applies each record to the instrument's one book; the venue matches against the same, unless a feed latency gives it a sight of its
own (ahead.pyx). Where the records are those of single orders it is a book of single orders, and the venue knows the queue of each price.
What a gap does (a Gap record, records a queue lost, a delta that does not follow its book, a book that is crossed, a record that cannot be applied) is the policy:
    stop        the run ends with ReplayGap
    resync      as live: the strategy is told (on_feed_state SYNCING), and nothing comes until a snapshot; what rests stays
    quarantine  the instrument is silent until the end
    ignore      as if nothing had happened
Records before `start_ns` only warm the books.

A UTC date of which no source has a record was not recorded: that is a gap of every feed, and time jumps to the date that is recorded again. No timer fires
and no equity is sampled in between; a periodic timer goes on at its next beat. Funding is paid for the whole of it.
"""

from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from libchronicle.backtest.ahead cimport Ahead, chr_could_be
from libchronicle.backtest.hashing cimport chr_fold
from libchronicle.backtest.outbox cimport chr_report
from libchronicle.backtest.sink cimport BacktestSink, chr_lanes_at, chr_lanes_due, chr_lanes_pop, chr_request
from libchronicle.backtest.venue cimport SimVenue
from libchronicle.book.books cimport CHR_GAP_IGNORE, CHR_GAP_QUARANTINE, CHR_GAP_STOP, chr_books
from libchronicle.book.l2 cimport chr_l2, chr_l2_crossed
from libchronicle.book.l3 cimport CHR_L3_RIGHT, chr_l3_calls, chr_l3_turn
from libchronicle.native.core cimport CHR_TYPE_LOST
from libchronicle.native.hot cimport chr_frame
from libchronicle.protocol.layout cimport (
    CHR_BOOK_DELTA,
    CHR_BOOK_SNAPSHOT,
    CHR_GAP,
    CHR_INSTRUMENT,
    CHR_ORDER_ADD,
    CHR_ORDER_EXECUTE,
    CHR_TRADE,
    CHR_VENUE_STATUS,
)
from libchronicle.protocol.sbe cimport chr_instrument_of
from libchronicle.replay.merging cimport Merged
from libchronicle.sim.matcher cimport chr_sim_next_expiry
from libchronicle.strategy.dispatch cimport Dispatcher
from libchronicle.strategy.instrument cimport Instrument

from libchronicle.errors import BadSegment, Broken, ReplayGap
from libchronicle.protocol import Instrument as Definition
from libchronicle.strategy.recorder import Recorder as NoRecorder

cdef extern from "books.h" nogil:
    int chr_books_follows(chr_books *t, const chr_l2 *b, const void *payload, uint32_t size)
    uint32_t chr_books_levels(const chr_frame *f)

cdef enum:
    SIGNALS_EVERY = 1 << 16
    REPORTS_QUEUE = 0xFFFF  # the id its records are dispatched under

cdef int64_t DAY_NS = 86_400_000_000_000


cdef class BacktestEngine:
    """One run. `sources` are FrameSources, `feeds` the venue each belongs to; the listener of `dispatcher` is `lifecycle`."""

    def __cinit__(self, Dispatcher dispatcher not None, BacktestSink sink not None, SimVenue venue not None, lifecycle, list sources not None, list feeds not None,
                  int policy, int64_t start_ns=INT64_MIN, int64_t end_ns=INT64_MAX):
        self.dispatcher = dispatcher
        self.ctx = dispatcher.ctx
        self.recorder = NoRecorder()
        self.sink = sink
        self.venue = venue
        self.lifecycle = lifecycle
        self.feeds = feeds
        self.told_gaps = {}
        self.policy = policy
        self.start_ns, self.end_ns = start_ns, end_ns
        self.merged = Merged(sources)
        self.aheads = []

    def __dealloc__(self):
        free(self.listings)

    def listen(self, instruments):
        """The instruments the strategy has subscribed; before `run`."""
        cdef Instrument instrument
        self.instruments = list(instruments)
        free(self.listings)
        self.listed = len(self.instruments)
        self.listings = <chr_listing *>calloc(self.listed + 1, sizeof(chr_listing))
        if self.listings == NULL:
            raise MemoryError("no memory for a backtest")
        for place, instrument in enumerate(self.instruments):
            self.listings[place].id = instrument.id
            instrument._book.recorded = True
            instrument._book.lenient = self.policy == CHR_GAP_IGNORE
            self.listings[place].book, self.listings[place].orders = instrument._book.b, instrument._book.l3
            self.listings[place].place = place
            self.listings[place].slot = -1
            self.listings[place].direct = True

    cdef chr_listing *listing(self, uint64_t id) noexcept:
        """Few are listed, and the last one asked for is asked for again."""
        cdef uint32_t i
        if self.last_listed < self.listed and self.listings[self.last_listed].id == id:
            return &self.listings[self.last_listed]
        for i in range(self.listed):
            if self.listings[i].id == id:
                self.last_listed = i
                return &self.listings[i]
        return NULL

    def begin(self):
        """The venues that see the market earlier begin to."""
        cdef Ahead ahead
        for ahead in self.aheads:
            ahead.begin()
        self.look_for_first()

    cdef int damaged(self) except -1:
        """A source could not read on. Goes on behind it unless the policy is stop."""
        error = self.merged.failure()
        if not isinstance(error, (BadSegment, Broken)) or self.policy == CHR_GAP_STOP:
            raise error
        self.lose_feed(self.merged.source, "a damaged segment")
        return 0

    # ------------------------------------------------------------ the run

    def run(self):
        """To the end of the sources, or to end_ns. What a callback raises comes out."""
        self.loop()
        return 0

    cdef int loop(self) except -1:
        cdef chr_frame *f
        cdef uint64_t until_signals = SIGNALS_EVERY
        cdef int rc
        while True:
            rc = self.merged.peek()
            if rc < 0:
                self.damaged()
                continue
            f = &self.merged.heads[self.merged.source].frame
            if rc == 0 or f.ts_ns >= self.end_ns:
                return 0
            if f.ts_ns < self.start_ns:
                self.warmed += 1
                self.record(f, self.merged.source, True)
            else:
                if f.ts_ns > self.ctx.now:
                    if f.ts_ns - self.ctx.now > DAY_NS:
                        self.jump(f.ts_ns)
                    self.advance(f.ts_ns, True)
                    self.set_now(f.ts_ns)
                self.messages += 1
                self.hash = chr_fold(self.hash, f.ts_ns, f.type_id, f.seq)
                self.record(f, self.merged.source, False)
            self.merged.take()
            until_signals -= 1
            if until_signals == 0:
                until_signals = SIGNALS_EVERY
                PyErr_CheckSignals()

    cdef int jump(self, int64_t until) except -1:
        """Over the UTC dates before `until` that nothing was recorded of."""
        cdef int64_t midnight = self.ctx.now - self.ctx.now % DAY_NS + DAY_NS, morning = until - until % DAY_NS
        if morning <= midnight:
            return 0
        self.advance(midnight, True)
        self.set_now(morning)
        self.venue.skip_samples(morning)
        if self.messages or self.warmed:
            for source in {feed: number for number, feed in enumerate(self.feeds)}.values():
                self.lose_feed(source, "no record of a UTC date or more")
        return 0

    cdef int set_now(self, int64_t now) noexcept:
        self.ctx.now = now
        self.sink.now = now
        return 0

    cdef int advance(self, int64_t until, bint timers) except -1:
        """Everything that is due before a record of time `until`, in the order of the rules above. Without `timers` none fires."""
        cdef int64_t timer, request, report, expiry, due, funding, sample, shown
        while True:
            timer = self.ctx.timers.next_deadline if timers else INT64_MAX
            request, report = chr_lanes_due(&self.sink.lanes), chr_lanes_due(&self.venue.reports)
            expiry = chr_sim_next_expiry(&self.venue.sim)
            if expiry == 0:
                expiry = INT64_MAX
            funding = self.venue.next_funding_ns
            sample = min(self.venue.next_sample_ns, funding)
            due = min(request, min(expiry, report))
            shown = INT64_MAX if self.ahead is None else self.ahead.due_ns
            if timers and timer <= until and timer <= due and timer <= sample and timer <= shown:
                if timer > self.ctx.now:
                    self.set_now(timer)
                self.dispatcher.fire_timers(self.recorder)
            elif shown != INT64_MAX and shown <= until and shown <= due and shown <= sample and shown != funding:
                if shown > self.ctx.now:
                    self.set_now(shown)
                self.ahead.step()
                self.look_for_first()
            elif due < until and due <= sample and due != funding:
                if due > self.ctx.now:
                    self.set_now(due)
                if request == due:
                    self.venue.request(<chr_request *>chr_lanes_at(&self.sink.lanes), self.sink.lanes.first, self.ctx.now)
                    chr_lanes_pop(&self.sink.lanes)
                elif expiry == due:
                    self.venue.expire(self.ctx.now)
                else:
                    self.deliver()
            elif sample <= until and sample != INT64_MAX and sample == funding:
                if sample > self.ctx.now:
                    self.set_now(sample)
                self.venue.fund(sample)
            elif sample <= until and sample != INT64_MAX:
                self.venue.sample(sample)
                self.venue.next_sample_ns += self.venue.sample_ns
            else:
                return 0

    cdef int deliver(self) except -1:
        """The first report reaches the strategy."""
        cdef chr_report *report = self.venue.first_report()
        cdef chr_frame f
        f.payload = <const uint8_t *>&report.header
        f.size, f.type_id = report.size, report.type_id
        f.seq, f.ts_ns, f.epoch = report.seq, report.due, 1
        f.flags, f.version = 0, 1
        self.dispatcher.report(&f, REPORTS_QUEUE, False)
        chr_lanes_pop(&self.venue.reports)
        return 0

    # ------------------------------------------------------------ one record

    cdef int record(self, chr_frame *f, uint32_t source, bint muted) except -1:
        cdef uint64_t id
        cdef chr_listing *listing
        cdef bint was_valid
        if f.type_id == CHR_TYPE_LOST:
            self.lost += 1
            self.lose_feed(source, "records that the queue lost")
            return 0
        id = chr_instrument_of(f.type_id, f.payload, f.size)
        if f.type_id == CHR_GAP and self.told_before(source, id, f.ts_ns, <bytes>f.payload[: f.size]):
            return 0
        listing = self.listing(id) if id else NULL
        if listing == NULL:
            if id == 0 and (f.type_id == CHR_GAP or f.type_id == CHR_VENUE_STATUS):
                self.of_feed(source, muted, f.type_id == CHR_GAP)
                if f.type_id == CHR_VENUE_STATUS or self.policy != CHR_GAP_IGNORE:
                    return self.dispatcher.market(f, source + 1, muted)
            return 0
        if listing.quarantined:
            return 0
        if f.type_id == CHR_BOOK_DELTA or f.type_id == CHR_BOOK_SNAPSHOT:
            self.book_record(listing, f, source, muted)
        elif f.type_id == CHR_TRADE:
            self.rows += not muted
            if not self.trade_record(listing, f, source, muted):
                return 0
        elif CHR_ORDER_ADD <= f.type_id <= CHR_ORDER_EXECUTE:
            if not self.order_record(listing, f, source, muted):
                return 0
        elif f.type_id == CHR_GAP:
            self.dispatcher.feed_name = self.feeds[source]
            self.broken(listing, f, source, "a Gap record")
        else:
            self.dispatcher.feed_name = self.feeds[source]
            was_valid = listing.book.valid
            self.dispatcher.market(f, source + 1, muted)
            if f.type_id == CHR_INSTRUMENT:
                if was_valid and not listing.book.valid:
                    self.unfit(listing, f, source, "a definition that does not fit the book")
                self.look_at_book(listing)
                return self.define(listing, f)
        if listing.direct and listing.slot >= 0 and not muted:
            self.venue.record(listing.slot, f)
        return 0

    cdef int define(self, chr_listing *listing, const chr_frame *f) except -1:
        """The venue learns what it trades; the strategy, what it has of the currencies."""
        if listing.direct:  # else it learns it from its own reading
            listing.slot = self.venue.define(
                self.instruments[listing.place], Definition.decode(<bytes>f.payload[: f.size])
            )
        for report in self.venue.balances(self.ctx.now):
            told = self.ctx.tracker.balances.get(report.currency)
            if told is None or not told.ts_ns:
                self.dispatcher.feed_report(report.TEMPLATE_ID, report.encode(), muted=True)
        return 0

    cdef int book_record(self, chr_listing *listing, chr_frame *f, uint32_t source, bint muted) except -1:
        cdef chr_books place
        cdef uint64_t applied = listing.book.applied
        cdef bint was_valid = listing.book.valid
        if not muted:
            self.rows += chr_books_levels(f)
        if f.type_id == CHR_BOOK_DELTA and listing.orders == NULL and not chr_books_follows(&place, listing.book, f.payload, f.size):
            self.broken(listing, f, source, "update ids are missing before a delta")
            if listing.quarantined:
                return 0
            was_valid = listing.book.valid  # that gap has been told
        self.dispatcher.feed_name = <str>self.feeds[source]
        self.dispatcher.market(f, source + 1, muted)
        if listing.book.valid:
            listing.had_snapshot = True
            if chr_l2_crossed(listing.book) and (listing.orders == NULL or not chr_l3_calls(listing.orders)):
                self.broken(listing, f, source, "the book is crossed")
        elif was_valid and listing.book.applied == applied:
            self.refused += 1
            self.unfit(listing, f, source, "a record that cannot be applied")
        return 0

    cdef int unfit(self, chr_listing *listing, const chr_frame *f, uint32_t source, str reason) except -1:
        """The book takes itself for wrong by a record."""
        if self.policy != CHR_GAP_IGNORE:
            return self.broken(listing, f, source, reason)
        if listing.orders != NULL:
            chr_l3_turn(listing.orders, CHR_L3_RIGHT)
        else:
            listing.book.valid = True
        return 0

    cdef bint trade_record(self, chr_listing *listing, const chr_frame *f, uint32_t source, bint muted) except -1:
        """False: it is no trade that there could be, so nobody hears of it."""
        if not chr_could_be(f):
            self.refused += 1
            self.dispatcher.feed_name = self.feeds[source]
            self.broken(listing, f, source, "a trade that cannot be read")
            return False
        self.dispatcher.market(f, source + 1, muted)
        return True

    cdef bint order_record(self, chr_listing *listing, chr_frame *f, uint32_t source, bint muted) except -1:
        """A record of a single order. False: the book has passed it over, so it says nothing to the venue."""
        cdef uint64_t applied = listing.book.applied
        cdef bint was_valid = listing.book.valid
        self.book_record(listing, f, source, muted)
        if listing.orders == NULL:
            self.look_at_book(listing)
        if listing.slot >= 0 and was_valid and not listing.book.valid:
            self.venue.lose(listing.slot)
        return listing.book.applied != applied

    cdef int look_at_book(self, chr_listing *listing) except -1:
        """The strategy's book may have become one of single orders."""
        cdef Instrument instrument = <Instrument>self.instruments[listing.place]
        listing.book, listing.orders = instrument._book.b, instrument._book.l3
        return 0

    # ------------------------------------------------------------ gaps

    cdef int broken(self, chr_listing *listing, const chr_frame *f, uint32_t source, str reason) except -1:
        """What a gap does to one book."""
        instrument = self.instruments[listing.place]
        self.gaps += 1
        if self.policy == CHR_GAP_STOP:
            raise ReplayGap(source=self.merged.sources[source].name, seq=f.seq, ts_ns=f.ts_ns, instrument_id=listing.id, reason=reason)
        if self.policy == CHR_GAP_IGNORE:
            return 0
        listing.quarantined = self.policy == CHR_GAP_QUARANTINE
        self.lifecycle.book_lost(instrument, reason)
        return 0

    def lose_feed(self, uint32_t source, str reason):
        """Records of a whole source are missing."""
        cdef chr_frame *f = &self.merged.heads[source].frame
        cdef uint32_t i
        if self.policy == CHR_GAP_STOP:
            name = self.merged.sources[source].name
            raise ReplayGap(source=name, seq=f.seq, ts_ns=f.ts_ns, instrument_id=0, reason=reason)
        self.gaps += 1
        feed = self.feeds[source]
        for i in range(self.listed):
            if self.instruments[i].venue == feed and self.policy == CHR_GAP_QUARANTINE:
                self.listings[i].quarantined = True
        if self.policy != CHR_GAP_IGNORE:
            self.lifecycle.discontinuity(feed, reason)

    def of_feed(self, uint32_t source, bint muted, bint gap):
        """The next record concerns a feed as a whole."""
        self.dispatcher.feed_name = self.feeds[source]
        if gap:
            self.gaps += 1
            if self.policy == CHR_GAP_STOP:
                self.lose_feed(source, "a Gap record of the whole feed")

    def told_before(self, uint32_t source, uint64_t id, int64_t ts_ns, bytes gap):
        """Refined, one Gap stands in every stream of its instrument, or of its feed: it counts once, and the copy behind a snapshot breaks no book."""
        told = self.told_gaps.get((self.feeds[source], id))
        self.told_gaps[self.feeds[source], id] = (ts_ns, gap)
        return told == (ts_ns, gap)

    # ------------------------------------------------------------ for the runner

    def look_ahead(self, Ahead ahead not None):
        """A venue has a sight of its own of the market; after `listen`, before `begin`."""
        cdef uint32_t i
        self.aheads.append(ahead)
        for i in range(self.listed):
            if self.instruments[i] in ahead.instruments:
                self.listings[i].direct = False

    cdef int look_for_first(self) noexcept:
        """Whose sight of the market comes to its next record first."""
        cdef Ahead one
        if len(self.aheads) == 1:
            self.ahead = <Ahead>self.aheads[0]
            return 0
        for one in self.aheads:
            if self.ahead is None or one.due_ns < self.ahead.due_ns:
                self.ahead = one
        return 0

    def pass_time(self, int64_t until):
        """Let what is due before `until` happen, with no record to come; timers only until the end of the UTC date."""
        if until - self.ctx.now > DAY_NS:
            self.advance(self.ctx.now - self.ctx.now % DAY_NS + DAY_NS, True)
            self.drain()
        else:
            self.advance(until, True)
        if until > self.ctx.now:
            self.set_now(until)

    def drain(self):
        """Let requests and reports that are on their way arrive; no timer fires any more."""
        self.venue.next_sample_ns = self.venue.next_funding_ns = INT64_MAX
        self.advance(INT64_MAX, False)

    def drain_venue(self):
        """Let the requests on their way arrive; the strategy hears of nothing any more."""
        cdef chr_request *request
        while chr_lanes_due(&self.sink.lanes) != INT64_MAX:
            request = <chr_request *>chr_lanes_at(&self.sink.lanes)
            self.set_now(max(self.ctx.now, request.due))
            self.venue.request(request, self.sink.lanes.first, self.ctx.now)
            chr_lanes_pop(&self.sink.lanes)
        while chr_lanes_due(&self.venue.reports) != INT64_MAX:
            self.venue.first_report()
            chr_lanes_pop(&self.venue.reports)

    def warm(self):
        """Apply the records before start_ns to the books. True if there were any."""
        cdef int64_t start = self.start_ns, end = self.end_ns
        self.end_ns = min(start, end)
        self.loop()
        self.end_ns = end
        return self.warmed > 0

    def without_snapshot(self):
        """Names of the instruments whose book was never right."""
        return [self.instruments[i].name for i in range(self.listed) if not self.listings[i].had_snapshot]

    @property
    def now_ns(self):
        return self.ctx.now

    @property
    def digest(self):
        """Hash of every record, request and report so far."""
        return chr_fold(chr_fold(self.hash, self.ctx.now, 0, self.sink.hash), 0, 1, self.venue.hash)
