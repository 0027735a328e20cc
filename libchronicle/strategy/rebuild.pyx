"""What a host that starts in the middle reads again, without calling the strategy.

Books: from the newest snapshot at or before the start, found by stepping back in the feed's queue in growing windows; from
the earliest of those snapshots on everything is applied muted, up to the head. Definitions found on the way count too.

Orders: orders_out and orders_in, from where the readers stand (behind what was carried over, else at the oldest record
left), merged by time. An order's report is always younger than the
order, so at most the orders open at once are held, however many were ever sent.
"""

from libc.stdint cimport int64_t, uint64_t

from libchronicle.native.binding cimport Subscriber, raise_reader
from libchronicle.native.hot cimport chr_frame, chr_next
from libchronicle.protocol.layout cimport (
    CHR_BOOK_FLAGS_STALE,
    CHR_BOOK_SNAPSHOT,
    CHR_BOOK_SNAPSHOT_BLOCK,
    CHR_INSTRUMENT,
    CHR_NEW_ORDER,
    CHR_NEW_ORDER_BLOCK,
    chr_book_snapshot_t,
    chr_new_order_t,
)
from libchronicle.protocol.sbe cimport chr_block, chr_instrument_of
from libchronicle.strategy.dispatch cimport Dispatcher
from libchronicle.strategy.instrument cimport Instrument
from libchronicle.strategy.recorder cimport Recorder
from libchronicle.strategy.source cimport Source
from libchronicle.strategy.tracker cimport order_id

from libchronicle.errors import Corrupt

cdef enum:
    FIRST_WINDOW = 4096        # records; each further window is four times as long
    TYPE_LOST = 0xFFFE
    CLOCK_SKEW_NS = 10_000_000 # two processes' clocks never differ by more


cdef int _next(Subscriber reader, chr_frame *f) except -1:
    cdef int rc = chr_next(reader.r, f)
    if rc < 0:
        raise_reader(reader)
    return rc


cdef int _next_whole(Subscriber reader, chr_frame *f) except -1:
    """As `_next`, past records that are damaged: 2 in place of each of them."""
    try:
        return _next(reader, f)
    except Corrupt:
        reader.seek_seq(reader.r.next_seq + 1)
        return 2


cdef class _Search:
    """What is still missing, and where the newest of each was found."""

    cdef dict snapshots        # instrument id -> seq
    cdef dict definitions      # instrument id -> seq

    def __init__(self):
        self.snapshots = {}
        self.definitions = {}

    cdef int window(self, Dispatcher dispatcher, Subscriber reader, uint64_t first, uint64_t last) except -1:
        """Look through records `first` to `last`; what a later window gave stays."""
        cdef chr_frame f
        cdef uint64_t id
        cdef const chr_book_snapshot_t *snapshot
        cdef dict snapshots = {}, definitions = {}
        cdef int rc
        reader.seek_seq(first)
        while reader.next_seq <= last:
            rc = _next_whole(reader, &f)
            if rc == 0:
                break
            if rc == 2:
                continue
            if f.type_id == CHR_INSTRUMENT:
                id = chr_instrument_of(f.type_id, f.payload, f.size)
                if id not in self.definitions and dispatcher.find(id) is not None:
                    definitions[id] = f.seq
            elif f.type_id == CHR_BOOK_SNAPSHOT:
                id = chr_instrument_of(f.type_id, f.payload, f.size)
                snapshot = <const chr_book_snapshot_t *> chr_block(
                    f.payload, f.size, CHR_BOOK_SNAPSHOT, CHR_BOOK_SNAPSHOT_BLOCK
                )
                if snapshot == NULL or snapshot.flags & CHR_BOOK_FLAGS_STALE or id in self.snapshots:
                    continue
                if dispatcher.find(id) is not None:
                    snapshots[id] = f.seq
        self.snapshots.update(snapshots)
        self.definitions.update(definitions)
        return 0


def rebuild_books(Dispatcher dispatcher not None, Recorder recorder not None, Source source not None, instruments):
    """Bring the books of `instruments` (of this source) up to the queue's head, muted; how many records were applied.

    Leaves the source at the head. An instrument without a snapshot stays unsynced and waits for one.
    """
    cdef Instrument instrument
    cdef Subscriber reader = source.reader
    cdef uint64_t head = source.control.next_seq, oldest = source.control.oldest_seq, first = head, window = FIRST_WINDOW
    cdef uint64_t last
    cdef _Search search = _Search()
    wanted = {(<Instrument> instrument).id for instrument in instruments}
    while first > oldest and not (wanted <= search.snapshots.keys() and wanted <= search.definitions.keys()):
        last = first - 1
        first = first - window if first - oldest > window else oldest
        window *= 4
        search.window(dispatcher, reader, first, last)
    for seq in sorted(search.definitions.values()):
        _replay(dispatcher, recorder, source, seq, seq)
    start = min(search.snapshots.values(), default=head)
    applied = _replay(dispatcher, recorder, source, start, head - 1) if start < head else 0
    if reader.next_seq != head:
        reader.seek_seq(head)
    source.next_seq = head
    return applied


cdef uint64_t _replay(Dispatcher dispatcher, Recorder recorder, Source source, uint64_t first, uint64_t last) except? 0:
    """Dispatch records `first` to `last` muted. A hole or another epoch makes the books wrong here as it does live."""
    cdef chr_frame f
    cdef uint64_t n = 0
    cdef int rc
    source.reader.seek_seq(first)
    while source.reader.next_seq <= last:
        rc = _next_whole(source.reader, &f)
        if rc == 0:
            break
        if rc == 2:
            continue  # the next record does not follow the last one
        if n and (f.epoch != source.epoch or f.seq != source.next_seq or f.type_id == TYPE_LOST):
            dispatcher.listener.discontinuity(source.name, "records are missing")
        source.next_seq = f.seq + 1
        dispatcher.market(&f, source.queue_id, True)
        recorder.dispatched(source.rank, f.seq, f.epoch, dispatcher.ctx.now, True, False)
        source.epoch = f.epoch
        n += 1
    return n


def rebuild_orders(Dispatcher dispatcher not None, Subscriber sent, Subscriber reports, Recorder recorder, int rank):
    """Positions and open orders from orders_out and orders_in (either may be None), muted.

    `reports` is left behind the last record that was there. Returns how many records were read of each.
    """
    cdef chr_frame order, report
    cdef bint has_order = sent is not None and _next(sent, &order)
    cdef bint has_report = reports is not None and _next(reports, &report)
    cdef uint64_t until = 0 if sent is None else sent.control().next_seq, requests = 0, n = 0
    cdef uint64_t reports_until = 0 if reports is None else reports.control().next_seq
    while has_order or has_report:
        if has_order and (not has_report or order.ts_ns <= report.ts_ns + CLOCK_SKEW_NS):
            _sent(dispatcher, &order)
            requests += 1
            has_order = sent.next_seq < until and _next(sent, &order)
        else:
            dispatcher.report(&report, reports.queue_id, True)
            recorder.dispatched(rank, report.seq, report.epoch, dispatcher.ctx.now, True, False)
            n += 1
            has_report = reports.next_seq < reports_until and _next(reports, &report)
    return requests, n


cdef int _sent(Dispatcher dispatcher, const chr_frame *f) except -1:
    cdef const chr_new_order_t *body
    cdef Instrument instrument
    if f.type_id != CHR_NEW_ORDER:
        return 0
    body = <const chr_new_order_t *> chr_block(f.payload, f.size, CHR_NEW_ORDER, CHR_NEW_ORDER_BLOCK)
    instrument = None if body == NULL else dispatcher.find(body.instrument_id)
    if instrument is not None:
        dispatcher.ctx.tracker.sent(order_id(f.epoch, f.seq), instrument, body, f.ts_ns)
    return 0
