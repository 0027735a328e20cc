"""What clean queues say about their own state: their last segments walked, and the writer's view set from them.

The last two, since the live one may be empty or hold no more than its head. Of a book as far back as its last whole snapshot
(reach.py). Its two queues, plain and late, are walked side by side in the order of the raw records, and each record does to the
book and to its queue what it did when it was written (target.pyx): so the book is the one that was left, whichever queue
moved it last. Before the later one of the two snapshots it may be wrong; that one sets it right.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

from libchronicle.book.l2 cimport CHR_L2_APPLIED, L2Book, chr_l2_apply
from libchronicle.book.l3 cimport (
    CHR_L3_FRESH,
    CHR_L3_WRONG,
    L3Book,
    chr_l3,
    chr_l3_apply,
    chr_l3_ended,
    chr_l3_snapshot_records,
    chr_l3_turn,
)
from libchronicle.etl.cleanqueue cimport CleanQueue
from libchronicle.native.binding cimport Subscriber, raise_reader
from libchronicle.native.hot cimport chr_frame, chr_next
from libchronicle.protocol.event_time cimport chr_dating_ns, chr_is_injected
from libchronicle.protocol.layout cimport (
    CHR_BOOK_DELTA,
    CHR_BOOK_RESET,
    CHR_BOOK_SNAPSHOT,
    CHR_GAP,
    CHR_INSTRUMENT,
    CHR_ORDER_ADD,
    CHR_ORDER_EXECUTE,
    chr_raw_seq_offset,
)
from libchronicle.protocol.sbe cimport chr_book_levels, chr_levels

from libchronicle.errors import Broken, Corrupt
from libchronicle.etl.reach import reach_of
from libchronicle.etl.shelf import first_seq_of
from libchronicle.queue import Queue

cdef enum:
    TYPE_LOST = 0xFFFE


cdef class Found:
    def __init__(self):
        raise TypeError("made by restore()")


cdef class Past:
    def __init__(self, uint64_t instrument_id, bint orders):
        self.instrument_id = instrument_id
        self.orders = orders
        self.book = L3Book() if orders else L2Book()

    cdef int forget(self) except -1:
        """What came is not known: only a snapshot sets it right."""
        if self.orders:
            chr_l3_turn((<L3Book>self.book).l3, CHR_L3_WRONG)
        else:
            self.book.clear()
        return 0

    cdef int apply(self, CleanQueue queue, const chr_frame *f) except -1:
        """A record of `queue`, as Target did when it wrote it."""
        if self.orders:
            return self._orders(queue, f)
        return self._levels(queue, f)

    cdef int _levels(self, CleanQueue queue, const chr_frame *f) except -1:
        cdef chr_levels bids, asks
        cdef int result = chr_l2_apply(self.book.b, f.type_id, f.payload, f.size)
        if f.type_id == CHR_INSTRUMENT:
            return 0
        if result < 0:
            queue.shows_book = False
        if result != CHR_L2_APPLIED:
            return 0
        self.shown = queue
        if f.type_id == CHR_BOOK_SNAPSHOT:
            queue.restart_book()
            queue.snapshot_ts = f.ts_ns
        elif f.type_id != CHR_BOOK_DELTA:
            queue.shows_book = self.book.b.valid
        elif chr_book_levels(f.payload, f.size, &bids, &asks) == 0:
            queue.levels += bids.count + asks.count
        return 0

    cdef int _orders(self, CleanQueue queue, const chr_frame *f) except -1:
        cdef chr_l3 *b = (<L3Book>self.book).l3
        cdef bint injected = chr_is_injected(f.type_id, f.payload, f.size), filling = b.filling
        cdef uint64_t seq = 0
        cdef int result = chr_l3_apply(b, f.type_id, f.payload, f.size)
        if injected:
            memcpy(&seq, f.payload + chr_raw_seq_offset(f.type_id), sizeof(seq))
            if not filling or seq != queue.orders_seq:
                queue.orders_told = 0
            queue.orders_seq = seq
            queue.orders_told += 1
            queue.orders_whole = not b.filling
        elif f.type_id != CHR_INSTRUMENT:
            queue.orders_told = 0
        if f.type_id == CHR_INSTRUMENT:
            return 0
        if result < 0:
            queue.shows_book = False
        if chr_l3_ended(b, filling, f.type_id, f.payload, result):
            self.shown = queue
            queue.restart_book()
            queue.snapshot_ts = f.ts_ns
            queue.orders_last = chr_l3_snapshot_records(b)
        elif result != CHR_L2_APPLIED or b.filling:
            return 0
        elif CHR_ORDER_ADD <= f.type_id <= CHR_ORDER_EXECUTE:
            self.shown = queue
            queue.levels += 1
            queue.shows_book = True
        elif f.type_id == CHR_GAP or f.type_id == CHR_BOOK_RESET:
            self.shown = queue
            queue.shows_book = False
        return 0


cdef class Walk:
    """Through the last segments of one queue. `past`: of a book; else None."""

    def __init__(self, CleanQueue queue not None, uint64_t from_seq, bint is_late, Past past):
        self.queue = queue
        self.from_seq = from_seq
        self.is_late = is_late
        self.past = past
        self.found = Found.__new__(Found)
        self.known = True
        live, self.begun = queue.live_segment
        self.live = self.number = live
        if live:
            self.number = live - 1
        first = first_seq_of(queue.path, self.number)
        if first is None:
            self.number = live
            first = first_seq_of(queue.path, self.number)
        if first is None:
            return
        if past is not None:
            queue.shows_book = past.orders  # an empty book of orders takes the first one that comes
            reach, self.known = reach_of(queue.path, live if self.begun else self.number, past.instrument_id, past.orders)
            if reach < self.number:
                self.number = reach
                first = first_seq_of(queue.path, reach)
        self.reader = Queue.open_subscriber(queue.path, None, seq=first)
        self.advance()

    def close(self):
        """What was found; the queue's state is that of its end."""
        if self.reader is not None:
            self.reader.close()
        if self.number != self.live or not self.begun:
            self.queue.clear_segment()
        return self.found

    cdef int advance(self) except -1:
        """To the next record, past those that are damaged."""
        cdef uint32_t offset
        cdef int rc
        while True:
            rc = chr_next(self.reader.r, &self.f)
            if rc >= 0:
                break
            try:
                raise_reader(self.reader)
            except Corrupt:
                self._damaged()
                self.reader.seek_seq(self.reader.r.next_seq + 1)
            except Broken:  # cut short: no more to read in this segment
                self._damaged()
                if not self._leave():
                    rc = 0
                    break
        self.there = rc > 0
        self.refers = False
        if self.there:
            offset = chr_raw_seq_offset(self.f.type_id)
            self.refers = offset and self.f.size >= offset + sizeof(self.seq)
            if self.refers:
                memcpy(&self.seq, self.f.payload + offset, sizeof(self.seq))
        return 0

    cdef bint _leave(self) except -1:
        """Go to the next segment that has begun. False: there is none."""
        for number in range(self.number + 1, self.live + 1):
            first = first_seq_of(self.queue.path, number)
            if first is not None and first > self.reader.r.next_seq:
                self.reader.seek_seq(first)
                return True
        return False

    cdef bint before(self, Walk other) noexcept:
        """Was its record written before that one? What has no raw reference goes with the record before it."""
        cdef bint old = self.f.seq < self.from_seq, others_old = other.f.seq < other.from_seq
        if old != others_old:
            return old
        if old and self.f.ts_ns != other.f.ts_ns:  # of several raw queues, it may be: their seqs are not of one order
            return self.f.ts_ns < other.f.ts_ns
        return self.seq <= other.seq

    cdef int take(self) except -1:
        """The present record."""
        cdef CleanQueue queue = self.queue
        cdef const chr_frame *f = &self.f
        cdef bint injected = chr_is_injected(f.type_id, f.payload, f.size)
        cdef int64_t event_ns = chr_dating_ns(f.type_id, f.payload, f.size, f.ts_ns)
        if not self.known:
            self.known = True
            self.past.forget()
        if self.leads and self.refers and self.seq != self.led_seq:
            queue.filled = True  # it led nothing: the venue's own
        if self.reader.r.map.number != self.number:
            self.number = self.reader.r.map.number
            queue.clear_segment()
        if not queue.first_ts:
            queue.first_ts = f.ts_ns
        if f.type_id == TYPE_LOST:
            return self._damaged()
        if f.type_id == CHR_INSTRUMENT:
            queue.definition = (<const char *>f.payload)[:f.size]
        elif not injected:
            queue.filled = True
        if self.past is not None:
            self.past.apply(queue, f)
        if event_ns:
            queue.date(event_ns)
        if self.refers:
            self.leads = injected
            self.led_seq = self.seq
        if f.seq >= self.from_seq:
            self.found.dated = self.found.dated or event_ns != 0
            if self.refers:
                self.found.any = True
                self.found.seq = self.seq
                self.found.partial = injected or (self.is_late and f.type_id == CHR_GAP)
        return 0

    cdef int _damaged(self) except -1:
        self.found.damaged = True
        return 0 if self.past is None else self.past.forget()


cdef Found restore(CleanQueue queue, uint64_t from_seq, bint is_late):
    """Set `queue` to what it was when its last record was written. `from_seq`: the first record of the present origin."""
    cdef Walk walk = Walk(queue, from_seq, is_late, None)
    try:
        while walk.there:
            walk.take()
            walk.advance()
    finally:
        found = walk.close()
    return found


cdef tuple restore_book(Past past, CleanQueue plain, uint64_t from_seq, CleanQueue late, uint64_t late_from_seq):
    """As restore, of both queues of a book (`late` may be None), and `past` set to the book that they left. Found of each."""
    cdef Walk one, other
    walks = []
    try:
        one = Walk(plain, from_seq, False, past)
        walks.append(one)
        if late is not None:
            walks.append(Walk(late, late_from_seq, True, past))
        other = walks[len(walks) - 1]
        while one.there or other.there:
            if one.there and (not other.there or one.before(other)):
                one.take()
                one.advance()
            else:
                other.take()
                other.advance()
    finally:
        found = [walk.close() for walk in walks]
    return found[0], found[1] if late is not None else None
