"""What a clean queue says about its own state: the last two segments walked, and the writer's view set from them.

Two, since the live one may be empty or hold no more than its head. The book needs no more either: each segment in which
deltas are applied to a valid book has a snapshot before the first of them. A book of single orders may need more: reach.py.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

from libchronicle.book.l2 cimport CHR_L2_APPLIED, L2Book, chr_l2_apply
from libchronicle.book.l3 cimport CHR_L3_WRONG, L3Book, chr_l3, chr_l3_apply, chr_l3_ended, chr_l3_snapshot_records, chr_l3_turn
from libchronicle.etl.cleanqueue cimport CleanQueue
from libchronicle.native.binding cimport Subscriber, raise_reader
from libchronicle.native.hot cimport chr_frame, chr_next
from libchronicle.protocol.event_time cimport chr_dating_ns, chr_is_injected
from libchronicle.protocol.layout cimport (
    CHR_BOOK_DELTA,
    CHR_BOOK_DELTA_BLOCK,
    CHR_BOOK_FLAGS_STALE,
    CHR_BOOK_RESET,
    CHR_BOOK_SNAPSHOT,
    CHR_GAP,
    CHR_INSTRUMENT,
    CHR_ORDER_ADD,
    CHR_ORDER_EXECUTE,
    chr_book_delta_t,
    chr_raw_seq_offset,
)
from libchronicle.protocol.sbe cimport chr_block, chr_book_levels, chr_levels

from libchronicle.errors import Corrupt
from libchronicle.etl.reach import reach_of
from libchronicle.etl.shelf import first_seq_of
from libchronicle.queue import Queue

cdef enum:
    TYPE_LOST = 0xFFFE


cdef class Found:
    def __init__(self):
        raise TypeError("made by restore()")


cdef int _damaged(Found found) except -1:
    found.damaged = True
    if found.orders:
        chr_l3_turn((<L3Book>found.book).l3, CHR_L3_WRONG)
    elif found.book is not None:
        found.book.clear()
    return 0


cdef int _reference(Found found, const chr_frame *f, bint is_late) except -1:
    cdef uint32_t offset = chr_raw_seq_offset(f.type_id)
    if not offset or f.size < offset + sizeof(found.seq):
        return 0
    memcpy(&found.seq, f.payload + offset, sizeof(found.seq))
    found.any = True
    if found.applied:
        found.applied_seq = found.seq
    if found.blind:
        found.blind_seq = found.seq
    found.partial = chr_is_injected(f.type_id, f.payload, f.size) or (is_late and f.type_id == CHR_GAP)
    return 0


cdef bint _moves(const chr_frame *f) noexcept:
    """Would a book of levels that is right take it?"""
    cdef const chr_book_delta_t *m
    if f.type_id != CHR_BOOK_DELTA:
        return False
    m = <const chr_book_delta_t *>chr_block(f.payload, f.size, CHR_BOOK_DELTA, CHR_BOOK_DELTA_BLOCK)
    return m != NULL and not m.flags & CHR_BOOK_FLAGS_STALE


cdef int _book(CleanQueue queue, Found found, const chr_frame *f) except -1:
    cdef chr_levels bids, asks
    cdef int result = chr_l2_apply(found.book.b, f.type_id, f.payload, f.size)
    if result != CHR_L2_APPLIED:
        found.blind = result < 0 or (not found.book.b.valid and _moves(f))
        return 0
    found.applied = True
    if f.type_id == CHR_BOOK_SNAPSHOT:
        queue.restart_book()
        queue.snapshot_ts = f.ts_ns
    elif f.type_id == CHR_BOOK_DELTA and chr_book_levels(f.payload, f.size, &bids, &asks) == 0:
        queue.levels += bids.count + asks.count
    return 0


cdef int _orders(CleanQueue queue, Found found, const chr_frame *f) except -1:
    """As Target keeps count of them."""
    cdef chr_l3 *b = (<L3Book>found.book).l3
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
    if chr_l3_ended(b, filling, f.type_id, f.payload, result):
        found.applied = True
        queue.restart_book()
        queue.snapshot_ts = f.ts_ns
        queue.orders_last = chr_l3_snapshot_records(b)
        return 0
    if result != CHR_L2_APPLIED or b.filling:
        found.blind = result < 0 or (not b.l2.valid and not injected and CHR_ORDER_ADD <= f.type_id <= CHR_ORDER_EXECUTE)
        return 0
    if CHR_ORDER_ADD <= f.type_id <= CHR_ORDER_EXECUTE:
        found.applied = True
        queue.levels += 1
    elif f.type_id == CHR_GAP or f.type_id == CHR_BOOK_RESET:
        found.applied = True
    return 0


cdef int _frame(CleanQueue queue, Found found, const chr_frame *f, uint64_t from_seq, bint is_late) except -1:
    cdef int64_t event_ns = chr_dating_ns(f.type_id, f.payload, f.size, f.ts_ns)
    if not queue.first_ts:
        queue.first_ts = f.ts_ns
    if f.type_id == TYPE_LOST:
        return _damaged(found)
    if f.type_id == CHR_INSTRUMENT:
        queue.definition = (<const char *>f.payload)[:f.size]
    elif not chr_is_injected(f.type_id, f.payload, f.size):
        queue.filled = True
    if found.book is not None:
        found.applied = found.blind = False
        if found.orders:
            _orders(queue, found, f)
        else:
            _book(queue, found, f)
        queue.shows_book = found.book.b.valid
    if event_ns:
        queue.date(event_ns)
    if f.seq >= from_seq:
        found.dated = found.dated or event_ns != 0
        _reference(found, f, is_late)
    return 0


cdef int _next(Subscriber reader, chr_frame *f, Found found) except -1:
    """As chr_next; past records that are damaged."""
    cdef int rc
    while True:
        rc = chr_next(reader.r, f)
        if rc >= 0:
            return rc
        try:
            raise_reader(reader)
        except Corrupt:
            _damaged(found)
            reader.seek_seq(reader.r.next_seq + 1)


cdef Found restore(CleanQueue queue, uint64_t from_seq, bint is_book, bint is_late, uint64_t orders_of):
    """Set `queue` to what it was when its last record was written. `from_seq`: the first record of the present origin.

    `orders_of`: the instrument, of a book of single orders; else 0.
    """
    cdef Found found = Found.__new__(Found)
    cdef Subscriber reader
    cdef chr_frame f
    cdef uint32_t number
    live, begun = queue.live_segment
    number = live - 1 if live else live
    first = first_seq_of(queue.path, number)
    if first is None:
        number = live
        first = first_seq_of(queue.path, number)
    if is_book:
        found.orders = orders_of != 0
        found.book = L3Book() if orders_of else L2Book()
    if first is None:
        return found
    if found.orders:
        reach, known = reach_of(queue.path, live if begun else number, orders_of)
        if not known:
            chr_l3_turn((<L3Book>found.book).l3, CHR_L3_WRONG)
        if reach < number:
            number = reach
            first = first_seq_of(queue.path, number)
    reader = Queue.open_subscriber(queue.path, None, seq=first)
    try:
        while _next(reader, &f, found):
            if reader.r.map.number != number:
                number = reader.r.map.number
                queue.clear_segment()
            _frame(queue, found, &f, from_seq, is_late)
    finally:
        reader.close()
    if number != live or not begun:
        queue.clear_segment()
    return found
