"""One instrument being refined: its book and its three streams.

What is written for a raw record N, in this order; a crash between any two leaves what the next life goes on behind:

    [roll]  [Instrument]  [injected snapshot, rawSeq N]  N itself, with its rawSeq

    roll         the segment holds a record and: N has another date; its first record is `segment_age` older than N;
                 or what is to come does not fit
    Instrument   none in the segment yet, or the definition has changed since
    snapshot     N is a delta that the book will apply, and: the segment has no snapshot; the last one is
                 `snapshot_interval` older than N or `snapshot_levels` levels back; or the book moved on in the other queue of
                 the stream

Of a book of single orders the snapshot is a record for each order, over as many segments as that takes. It goes before a record of
an order that a right book is about to take, and: the date changes; or the book moved on elsewhere; or it is due, l3_orders.h. A
segment may have none, since a large book would fill every segment.

Every one of these is decided by records alone, never by a clock or by when this process ran: whoever refines the same raw
queue again gets the same segments.

A record that cannot be written (cut off, larger than a segment) leaves a Gap in its place. What changes a book is written,
however late: so it is the feed's book, the records of the book stream give it at each of them, and a next life finds it there.
"""

from libc.stdint cimport UINT64_MAX, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from libchronicle.book.l2 cimport CHR_ASK, CHR_BID, CHR_L2_APPLIED, L2Book, chr_l2_apply, chr_l2_levels
from libchronicle.book.l3 cimport (
    L3Book,
    chr_l3,
    chr_l3_apply,
    chr_l3_ended,
    chr_l3_follows,
    chr_l3_snapshot_due,
    chr_l3_snapshot_records,
)
from libchronicle.etl.cleanqueue cimport CleanQueue
from libchronicle.etl.gap cimport chr_gap_room, make_gap
from libchronicle.etl.restore cimport Past
from libchronicle.etl.stream cimport Stream
from libchronicle.native.hot cimport chr_frame, chr_frame_bytes
from libchronicle.protocol.event_time cimport CHR_DAY_NS, chr_dating_ns
from libchronicle.protocol.layout cimport (
    CHR_BOOK_DELTA,
    CHR_BOOK_FLAGS_STALE,
    CHR_BOOK_RESET,
    CHR_BOOK_SNAPSHOT,
    CHR_GAP,
    CHR_GAP_REASON_LOST,
    CHR_GAP_REASON_MALFORMED,
    CHR_GAP_REASON_OVERFLOW,
    CHR_GAP_REASON_SEQUENCE,
    CHR_ORDER_ADD,
    CHR_ORDER_EXECUTE,
    CHR_ORDER_MODIFY,
    chr_block_length,
    chr_book_delta_t,
    chr_instrument_offset,
    chr_raw_seq_offset,
)
from libchronicle.protocol.sbe cimport chr_block, chr_book_levels, chr_book_size, chr_levels

from libchronicle.errors import ExponentChanged
from libchronicle.protocol import BookMode

cdef enum:
    SEGMENT_DATA = 128
    LEVELS_MAX = 0xFFFF        # of one side, in a snapshot

STREAM_KINDS = ("book", "trade", "quote")


cdef inline uint16_t _least(uint16_t type_id) noexcept:
    """Bytes a block must have. Order-level ones have grown since version 1, behind their raw reference."""
    if type_id == CHR_ORDER_ADD or type_id == CHR_ORDER_MODIFY:
        return <uint16_t>chr_raw_seq_offset(type_id)
    return chr_block_length(type_id)


cdef class Target:
    """`shelf` opens its queues. Made by Refinery, which owns limits and tally."""

    def __init__(self, definition not None, shelf):
        self.name = f"{definition.venue}:{definition.symbol}"
        self.instrument_id = definition.instrument_id
        self.orders = definition.book_mode == BookMode.L3
        self.book = L3Book(self.instrument_id) if self.orders else L2Book(self.instrument_id)
        self.streams = []

    def resume(self, shelf):
        """Open the queues that are there and take the book from them. True: records are missing in one of them."""
        cdef Stream stream
        cdef Past past
        damaged = False
        for kind in STREAM_KINDS:
            stream = Stream(kind, shelf, self.limits.late_limit_ns, self.instrument_id if self.orders else 0)
            self.streams.append(stream)
            past = Past(self.instrument_id, self.orders) if kind == "book" else None
            damaged = stream.resume(past) or damaged
            if past is not None and stream.plain is not None:
                self.book = past.book
                self.shown = past.shown
        return damaged

    def define(self, bytes payload not None, definition not None):
        """Goes before the next record. Raises ExponentChanged: they are frozen, the definition stays what it was."""
        exponents = (definition.price_exponent, definition.qty_exponent)
        if self.exponents is not None and exponents != self.exponents:
            raise ExponentChanged(name=self.name, frozen=self.exponents, wanted=exponents)
        self.exponents = exponents
        if payload == self.definition:
            return
        self.definition = payload
        if self.orders != (definition.book_mode == BookMode.L3):
            self.orders = not self.orders
            self.book = L3Book(self.instrument_id) if self.orders else L2Book(self.instrument_id)
            self.shown = None
        self.book.apply(definition.TEMPLATE_ID, payload)

    def close(self):
        for stream in self.streams:
            stream.close()

    # ------------------------------------------------------------ records

    cdef int take(self, int kind, const chr_frame *f, uint64_t raw_id, uint64_t instrument_id) except -1:
        """A record of one of the streams. `instrument_id`: put in place of the record's own, 0 = leave it."""
        cdef Stream stream = self.streams[kind]
        cdef CleanQueue q
        cdef chr_levels bids, asks
        cdef uint64_t levels = 0
        cdef int64_t event_ns
        cdef bint follows = False
        cdef const void *block
        if stream.has(raw_id, f.epoch, f.seq):
            self.tally.repeated += 1
            return 0
        if stream.told(raw_id, f):
            stream.mark(f.seq, False)
            stream.plain.filled = True
            self.tally.repeated += 1
            return 0
        block = chr_block(f.payload, f.size, f.type_id, _least(f.type_id))
        if block == NULL:
            self.tally.malformed += 1
            return self._spoil(kind, f, raw_id, CHR_GAP_REASON_MALFORMED)
        if f.type_id == CHR_BOOK_DELTA or f.type_id == CHR_BOOK_SNAPSHOT:
            if chr_book_levels(f.payload, f.size, &bids, &asks):
                self.tally.malformed += 1
                return self._spoil(kind, f, raw_id, CHR_GAP_REASON_MALFORMED)
            levels = bids.count + asks.count
        self._begin(kind, stream, raw_id, f)
        event_ns = chr_dating_ns(f.type_id, f.payload, f.size, f.ts_ns)
        q = stream.route(event_ns)
        if q is None:
            self.tally.too_late += 1
            return 0
        if kind == BOOK:
            follows = self._follows(stream, q, f, block)
        if self._ready(stream, q, f, event_ns, follows):
            self.tally.too_large += 1
            return self._spoil(kind, f, raw_id, CHR_GAP_REASON_OVERFLOW)
        q.put(f.type_id, f.payload, f.size, f.seq, instrument_id, f.ts_ns)
        stream.mark(f.seq, False)
        if event_ns:
            q.date(event_ns)
            stream.fresh = False
        self.tally.records[kind] += 1
        self.tally.late += q is stream.late
        if kind == BOOK:
            self._apply(q, f, q.last, levels)
        return 0

    cdef int _begin(self, int kind, Stream stream, uint64_t raw_id, const chr_frame *f) except -1:
        """Before each record: the origin is that of the record, and a Gap stands before the first of another raw queue."""
        cdef chr_gap_room room
        cdef chr_frame told
        if stream.replaced(raw_id):
            make_gap(&told, &room, f, 0, 0, 0, CHR_GAP_REASON_LOST)
            self._ready(stream, stream.plain, &told, 0, False)
            stream.plain.put(CHR_GAP, told.payload, told.size, UINT64_MAX, 0, f.ts_ns)
            stream.mark(UINT64_MAX, False)
            if kind == BOOK:
                self._apply(stream.plain, &told, stream.plain.last, 0)
        return stream.begin(raw_id, f.epoch, f.ts_ns)

    cdef bint _follows(self, Stream stream, CleanQueue q, const chr_frame *f, const void *block) except -1:
        """Will the book take it, so that a snapshot may go before it?"""
        cdef bint moves
        if self.orders:
            moves = CHR_ORDER_ADD <= f.type_id <= CHR_ORDER_EXECUTE
        else:
            moves = f.type_id == CHR_BOOK_DELTA and not (<const chr_book_delta_t *>block).flags & CHR_BOOK_FLAGS_STALE
        if moves and not self.book.b.valid:
            self._blind(stream, q, f)
            return False
        return chr_l3_follows((<L3Book>self.book).l3, f.type_id, f.payload) if self.orders else moves

    cdef int gap(self, int kind, const chr_frame *f, uint64_t raw_id) except -1:
        """A Gap, into the stream if there is one: where nothing is, nothing is missing."""
        cdef Stream stream = self.streams[kind]
        if not stream.holds() or stream.has(raw_id, f.epoch, f.seq):
            return 0
        self._begin(kind, stream, raw_id, f)
        self._ready(stream, stream.plain, f, 0, False)
        stream.plain.put(CHR_GAP, f.payload, f.size, f.seq, 0, f.ts_ns)
        stream.mark(f.seq, False)
        if kind == BOOK:
            self._apply(stream.plain, f, stream.plain.last, 0)
        return 0

    cdef int _spoil(self, int kind, const chr_frame *f, uint64_t raw_id, int reason) except -1:
        """In place of a record that cannot be written."""
        cdef chr_gap_room room
        cdef chr_frame told
        make_gap(&told, &room, f, self.instrument_id, 0, 0, reason)
        return self.gap(kind, &told, raw_id)

    # ------------------------------------------------------------ what goes before a record

    cdef int _ready(self, Stream stream, CleanQueue q, const chr_frame *f, int64_t event_ns, bint follows) except -1:
        """Write what goes before it and leave room for it. `follows`: the book will apply it. 1: it fits no segment."""
        cdef bint wanted
        if q.filled:
            if f.ts_ns - q.first_ts >= self.limits.segment_age_ns or (
                q.dated and event_ns and event_ns // CHR_DAY_NS != q.day
            ):
                q.roll()
                self.tally.rolls += 1
        if self.orders:
            if follows and not q.begun_orders(f.seq) and self._room_for(q, f) > q.room():
                q.roll()  # before it is asked whether the segment has a snapshot: who is killed behind it asks then
                self.tally.rolls += 1
            if follows and self._wants_orders(q, f, event_ns):
                self.tally.rolls += q.put_orders((<L3Book>self.book).l3, f.seq, self.instrument_id, f.ts_ns, self.definition)
                stream.mark(f.seq, True)
                self.shown = q
                self.tally.snapshots += 1
            follows = False
        wanted = follows and (
            q is not self.shown
            or not q.has_snapshot
            or q.levels >= self.limits.snapshot_levels
            or f.ts_ns - q.snapshot_ts >= self.limits.snapshot_interval_ns
        )
        if not wanted and q.definition is self.definition and chr_frame_bytes(f.size) <= q.room():
            return 0
        return self._lead(stream, q, f, follows, wanted)

    cdef uint64_t _room_for(self, CleanQueue q, const chr_frame *f) noexcept:
        cdef uint64_t need = chr_frame_bytes(f.size)
        if q.definition != self.definition:
            need += chr_frame_bytes(<uint32_t>len(self.definition))
        return need

    cdef bint _wants_orders(self, CleanQueue q, const chr_frame *f, int64_t event_ns) noexcept:
        if q.has_orders(f.seq):
            return False
        if q is not self.shown or (q.day >= 0 and event_ns and event_ns // CHR_DAY_NS != q.day):
            return True
        return chr_l3_snapshot_due(
            q.levels, q.orders_last, self.limits.snapshot_levels, f.ts_ns - q.snapshot_ts,
            self.limits.snapshot_interval_ns, q.has_snapshot,
        )

    cdef int _lead(self, Stream stream, CleanQueue q, const chr_frame *f, bint follows, bint wanted) except -1:
        cdef uint64_t snapshot = 0, head = chr_frame_bytes(<uint32_t>len(self.definition)), need
        cdef uint32_t bids = 0, asks = 0
        if head + chr_frame_bytes(f.size) > q.limit - SEGMENT_DATA:
            return 1
        if follows:
            bids = chr_l2_levels(self.book.b, CHR_BID)
            asks = chr_l2_levels(self.book.b, CHR_ASK)
            snapshot = chr_frame_bytes(chr_book_size(CHR_BOOK_SNAPSHOT, bids + asks))
            if bids > LEVELS_MAX or asks > LEVELS_MAX or head + snapshot + chr_frame_bytes(f.size) > q.limit - SEGMENT_DATA:
                self.tally.unfit += wanted
                follows = wanted = False
        while True:
            need = self._room_for(q, f)
            if wanted:
                need += snapshot
            if need <= q.room():
                break
            q.roll()
            self.tally.rolls += 1
            wanted = follows
        if q.definition != self.definition:
            q.define(self.definition, f.ts_ns)
        q.definition = self.definition
        if wanted:
            q.put_snapshot(self.book.b, bids, asks, f.seq, self.instrument_id, f.ts_ns)
            stream.mark(f.seq, True)
            self.shown = q
            self.tally.snapshots += 1
        return 0

    cdef int _blind(self, Stream stream, CleanQueue q, const chr_frame *f) except -1:
        """A late queue must not show a book that has become invalid in the plain one meanwhile."""
        cdef chr_gap_room room
        cdef chr_frame told
        if q is not stream.late or not q.shows_book:
            return 0
        make_gap(&told, &room, f, self.instrument_id, 0, 0, CHR_GAP_REASON_SEQUENCE)
        self._ready(stream, q, &told, 0, False)
        q.put(CHR_GAP, told.payload, told.size, f.seq, 0, f.ts_ns)
        stream.mark(f.seq, True)
        q.shows_book = False
        return 0

    # ------------------------------------------------------------ the book

    cdef int _apply(self, CleanQueue q, const chr_frame *f, const uint8_t *payload, uint64_t levels) except -1:
        """A record that has just been written to `q`."""
        cdef chr_l3 *b
        cdef int result
        cdef bint filling = False
        if self.orders:
            b = (<L3Book>self.book).l3
            filling = b.filling
            result = chr_l3_apply(b, f.type_id, payload, f.size)
        else:
            result = chr_l2_apply(self.book.b, f.type_id, payload, f.size)
        if result < 0:
            self.tally.refused += 1
            q.shows_book = False
        if self.orders:
            return self._apply_orders(q, f, b, result, chr_l3_ended(b, filling, f.type_id, payload, result))
        if result != CHR_L2_APPLIED:
            return 0
        self.shown = q
        if f.type_id == CHR_BOOK_SNAPSHOT:
            q.restart_book()
        elif f.type_id == CHR_BOOK_DELTA:
            q.levels += levels
        else:
            q.shows_book = self.book.b.valid
        return 0

    cdef int _apply_orders(self, CleanQueue q, const chr_frame *f, const chr_l3 *b, int result, bint ended) except -1:
        """The book of orders has seen it. Of a snapshot only the last order counts; phases do not."""
        if ended:
            self.shown = q
            q.restart_book()
            q.orders_last = chr_l3_snapshot_records(b)
        elif result != CHR_L2_APPLIED or b.filling:
            return 0
        elif CHR_ORDER_ADD <= f.type_id <= CHR_ORDER_EXECUTE:
            self.shown = q
            q.levels += 1
            q.shows_book = True
        elif f.type_id == CHR_GAP or f.type_id == CHR_BOOK_RESET:
            self.shown = q
            q.shows_book = False
        return 0

    # ------------------------------------------------------------ segments that grow old

    cdef int _sweep(self, int64_t now_ns) except -1:
        """Roll what the next record would roll for its age anyway."""
        cdef Stream stream
        cdef CleanQueue q
        for stream in self.streams:
            for q in (stream.plain, stream.late):
                if q is not None:
                    if q.filled and now_ns - q.first_ts >= self.limits.segment_age_ns:
                        q.roll()
                        self.tally.rolls += 1
                    q.publisher.heartbeat()
        return 0
