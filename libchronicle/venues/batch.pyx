"""Records a parser made, in one buffer: no object per record until somebody asks for one.

    data   payload | payload | …            each at a multiple of 8 bytes, as the fields of a block need
    rows   where it lies, type, times, instrument, and the lane: the clean stream it belongs to

A batch is filled by a parser, then written out by `write` or walked in Python, then cleared and used again.

Single orders get snapshots as the refinery's do (l3_orders.h): `OrderBook` keeps the book of what has been written, and `write`
puts one OrderAdd for each order that stands before the record at which a snapshot is due. All of it follows from the records.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy

from libchronicle.book.l2 cimport CHR_L2_APPLIED
from libchronicle.book.l3 cimport (
    CHR_L3_WRONG,
    chr_l3,
    chr_l3_apply,
    chr_l3_ended,
    chr_l3_follows,
    chr_l3_free,
    chr_l3_init,
    chr_l3_snapshot_bytes,
    chr_l3_snapshot_due,
    chr_l3_snapshot_put,
    chr_l3_snapshot_records,
    chr_l3_snapshot_type,
    chr_l3_turn,
    chr_l3_walk_start,
)
from libchronicle.native.binding cimport Publisher, raise_writer
from libchronicle.native.hot cimport chr_abort, chr_commit, chr_reserve
from libchronicle.protocol.layout cimport (
    CHR_BOOK_DELTA,
    CHR_BOOK_SNAPSHOT,
    CHR_ORDER_ADD,
    CHR_ORDER_EXECUTE,
    chr_block_length,
    chr_raw_seq_offset,
    chr_sbe_header_t,
)
from libchronicle.protocol.sbe cimport chr_book_size, chr_put_block

from libchronicle.protocol import decode

__all__ = ["DAY_NS", "LANES", "OrderBook", "RecordBatch"]

LANES = ("book", "trade", "quote")
DAY_NS = 86_400_000_000_000

cdef int64_t DAY = 86_400_000_000_000


cdef class RecordBatch:
    def __dealloc__(self):
        free(self.data)
        free(self.rows)

    cdef void *add(
        self, uint16_t type_id, int lane, uint64_t instrument_id, int64_t ts_ns, int64_t event_ns, uint32_t levels
    ) except NULL:
        """The block of a new record, zeroed. `levels`: of a book record, both sides together. Good until the next add."""
        cdef uint32_t size
        cdef chr_batch_row *row
        if type_id == CHR_BOOK_SNAPSHOT or type_id == CHR_BOOK_DELTA:
            size = chr_book_size(type_id, levels)
        else:
            size = <uint32_t>sizeof(chr_sbe_header_t) + chr_block_length(type_id)
        self.grow(size)
        row = &self.rows[self.count]
        row.at = self.used
        row.instrument_id = instrument_id
        row.ts_ns = ts_ns
        row.event_ns = event_ns
        row.size = size
        row.type_id = type_id
        row.lane = <uint8_t>lane
        self.count += 1
        self.used += (size + 7) & ~<uint64_t>7
        return chr_put_block(self.data + row.at, type_id)

    cdef int grow(self, uint32_t size) except -1:
        cdef uint64_t room = self.room
        cdef void *more
        while self.used + size + 8 > room:
            room = 2 * room if room else 1 << 20
        if room != self.room:
            more = realloc(self.data, room)
            if more == NULL:
                raise MemoryError
            self.data = <uint8_t *>more
            self.room = room
        if self.count == self.rows_room:
            more = realloc(self.rows, (2 * self.rows_room if self.rows_room else 16384) * sizeof(chr_batch_row))
            if more == NULL:
                raise MemoryError
            self.rows = <chr_batch_row *>more
            self.rows_room = 2 * self.rows_room if self.rows_room else 16384
        return 0

    def __len__(self):
        return self.count

    def clear(self):
        self.count = 0
        self.used = 0

    def __getitem__(self, Py_ssize_t index):
        if not 0 <= index < self.count:
            raise IndexError(index)
        cdef chr_batch_row *row = &self.rows[index]
        return row.type_id, row.ts_ns, PyBytes_FromStringAndSize(<char *>self.data + row.at, row.size)

    def __iter__(self):
        cdef Py_ssize_t i
        for i in range(self.count):
            yield self[i]

    def messages(self):
        """Every record decoded, in order."""
        return [decode(type_id, payload) for type_id, _, payload in self]

    @property
    def bytes(self):
        return self.used

    def put(self, message not None, str lane not None, int64_t ts_ns, int64_t event_ns):
        """Add a message made in Python."""
        cdef bytes payload = message.encode()
        cdef chr_batch_row *row
        self.grow(<uint32_t>len(payload))
        row = &self.rows[self.count]
        row.at, row.size, row.type_id = self.used, <uint32_t>len(payload), message.TEMPLATE_ID
        row.instrument_id, row.ts_ns, row.event_ns = message.instrument_id, ts_ns, event_ns
        row.lane = <uint8_t>LANES.index(lane)
        memcpy(self.data + row.at, <const char *>payload, len(payload))
        self.count += 1
        self.used += (row.size + 7) & ~<uint64_t>7

    def routes(self):
        """{(instrument_id, lane, day): rows}: where the records belong, in order. Day: UTC days since 1970 of the venue's time."""
        cdef dict found = {}
        cdef chr_batch_row *row
        cdef Py_ssize_t i
        cdef uint64_t instrument = 0
        cdef int64_t day = -1
        cdef int lane = -1
        rows = None
        for i in range(self.count):
            row = &self.rows[i]
            if rows is None or row.instrument_id != instrument or row.lane != lane or row.event_ns // DAY != day:
                instrument, lane, day = row.instrument_id, row.lane, row.event_ns // DAY
                key = (instrument, LANES[lane], day)
                rows = found.get(key)
                if rows is None:
                    rows = found[key] = []
            rows.append(i)
        return found

    def write(self, Publisher publisher not None, list rows not None, Py_ssize_t start, segment, OrderBook book=None):
        """Append rows[start:] to a queue; (rows done, position of the segment). Stops where another segment than `segment` began:
        write its head, then go on with the same `book`. A time before the queue's last is the queue's last. Raises as Publisher.append.

        `book`, of a queue of single orders: snapshots go before the records at which they are due.
        """
        cdef chr_batch_row *row
        cdef Py_ssize_t i = start, n = len(rows), k
        cdef uint64_t base = segment
        cdef uint8_t *payload
        cdef void *to
        if publisher.w == NULL:
            raise_writer(publisher)
        while i < n:
            k = rows[i]
            if not 0 <= k < self.count:
                raise IndexError(k)
            row = &self.rows[k]
            payload = self.data + row.at
            if book is not None and book.write(publisher, row, payload, &base):
                break
            to = place(publisher, row.type_id, row.size, &base)
            if to == NULL:
                break
            memcpy(to, payload, row.size)
            end(publisher, row.size, row.ts_ns)
            if book is not None:
                book.apply(publisher, row, payload)
            i += 1
        return i, base


cdef void *place(Publisher publisher, uint16_t type_id, uint32_t size, uint64_t *base) except? NULL:
    """Room for a record. NULL: it is in another segment than `base`, which is that one from now on, and nothing is reserved."""
    cdef void *to = chr_reserve(publisher.w, type_id, size)
    if to == NULL:
        raise_writer(publisher)
    if publisher.w.position_base == base[0]:
        return to
    base[0] = publisher.w.position_base
    chr_abort(publisher.w)
    return NULL


cdef int end(Publisher publisher, uint32_t size, int64_t ts_ns) except -1:
    if chr_commit(publisher.w, size, max(ts_ns, publisher.w.last_ts)) < 0:
        chr_abort(publisher.w)
        raise_writer(publisher)
    return 0


cdef class OrderBook:
    """See batch.pyi."""

    def __cinit__(self):
        self.l3 = <chr_l3 *>calloc(1, sizeof(chr_l3))
        if self.l3 == NULL or chr_l3_init(self.l3, 0):
            raise MemoryError("no memory for a book")

    def __dealloc__(self):
        if self.l3 != NULL:
            chr_l3_free(self.l3)
            free(self.l3)

    def __init__(self, definition not None, uint64_t limit=20_000, int64_t interval_ns=60_000_000_000):
        cdef bytes payload = definition.encode()
        chr_l3_apply(self.l3, definition.TEMPLATE_ID, <const char *>payload, <uint32_t>len(payload))
        self.limit, self.interval_ns = limit, interval_ns
        self.day = -1

    @property
    def valid(self):
        return self.l3.l2.valid != 0

    def enter(self, int64_t day):
        if day < self.day:
            chr_l3_turn(self.l3, CHR_L3_WRONG)
        elif day > self.day:
            self.day = day
            self.has_one = False
            self.last = 0

    cdef bint write(self, Publisher publisher, const chr_batch_row *row, const uint8_t *payload, uint64_t *base) except -1:
        """What is left of a snapshot under way, or one that is due before this record. True: another segment began within it."""
        cdef uint16_t kind
        cdef uint32_t size, reference
        cdef uint64_t raw_seq = 0
        cdef void *to
        if not self.left:
            if not chr_l3_follows(self.l3, row.type_id, payload) or not chr_l3_snapshot_due(
                self.records, self.last, self.limit, row.ts_ns - self.since_ns, self.interval_ns, self.has_one
            ):
                return False
            self.walk = chr_l3_walk_start(self.l3)
            self.left = chr_l3_snapshot_records(self.l3)
        kind, size = chr_l3_snapshot_type(self.l3), chr_l3_snapshot_bytes(self.l3)
        reference = chr_raw_seq_offset(row.type_id)
        if reference:
            memcpy(&raw_seq, payload + reference, sizeof(raw_seq))
        while self.left:
            to = place(publisher, kind, size, base)
            if to == NULL:
                return True
            chr_l3_snapshot_put(&self.walk, to, row.instrument_id, raw_seq)
            end(publisher, size, row.ts_ns)
            self.injected += 1
            self.left -= 1
        self.begin(publisher)
        return False

    cdef int apply(self, Publisher publisher, const chr_batch_row *row, const uint8_t *payload) except -1:
        """A record that has just been written."""
        cdef bint filling = self.l3.filling
        cdef int result = chr_l3_apply(self.l3, row.type_id, payload, row.size)
        if chr_l3_ended(self.l3, filling, row.type_id, payload, result):
            self.begin(publisher)
        elif result == CHR_L2_APPLIED and not self.l3.filling and CHR_ORDER_ADD <= row.type_id <= CHR_ORDER_EXECUTE:
            self.records += 1
        return 0

    cdef int begin(self, Publisher publisher) noexcept:
        """A whole snapshot has just been written."""
        self.has_one = True
        self.since_ns = publisher.w.last_ts
        self.records = 0
        self.last = chr_l3_snapshot_records(self.l3)
        return 0
