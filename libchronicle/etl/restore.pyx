"""What a clean queue says about its own state: the last two segments walked, and the writer's view set from them.

Two, since the live one may be empty or hold no more than its head. The book needs no more either: each segment in which
deltas are applied to a valid book has a snapshot before the first of them.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

from libchronicle.book.l2 cimport CHR_L2_APPLIED, L2Book, chr_l2_apply
from libchronicle.etl.cleanqueue cimport CleanQueue
from libchronicle.native.binding cimport Subscriber, raise_reader
from libchronicle.native.hot cimport chr_frame, chr_next
from libchronicle.protocol.event_time cimport chr_dating_ns, chr_is_injected
from libchronicle.protocol.layout cimport (
    CHR_BOOK_DELTA,
    CHR_BOOK_SNAPSHOT,
    CHR_GAP,
    CHR_INSTRUMENT,
    chr_raw_seq_offset,
)
from libchronicle.protocol.sbe cimport chr_book_levels, chr_levels

from libchronicle.errors import Corrupt
from libchronicle.etl.shelf import first_seq_of
from libchronicle.queue import Queue

cdef enum:
    TYPE_LOST = 0xFFFE


cdef class Found:
    def __init__(self):
        raise TypeError("made by restore()")


cdef int _damaged(Found found) except -1:
    found.damaged = True
    if found.book is not None:
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
    found.partial = chr_is_injected(f.type_id, f.payload, f.size) or (is_late and f.type_id == CHR_GAP)
    return 0


cdef int _book(CleanQueue queue, Found found, const chr_frame *f) except -1:
    cdef chr_levels bids, asks
    if chr_l2_apply(found.book.b, f.type_id, f.payload, f.size) != CHR_L2_APPLIED:
        return 0
    found.applied = True
    if f.type_id == CHR_BOOK_SNAPSHOT:
        queue.restart_book()
        queue.snapshot_ts = f.ts_ns
    elif f.type_id == CHR_BOOK_DELTA and chr_book_levels(f.payload, f.size, &bids, &asks) == 0:
        queue.levels += bids.count + asks.count
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
        found.applied = False
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


cdef Found restore(CleanQueue queue, uint64_t from_seq, bint is_book, bint is_late):
    """Set `queue` to what it was when its last record was written. `from_seq`: the first record of the present origin."""
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
        found.book = L2Book()
    if first is None:
        return found
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
