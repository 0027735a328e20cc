"""Records a parser made, in one buffer: no object per record until somebody asks for one.

    data   payload | payload | …            each at a multiple of 8 bytes, as the fields of a block need
    rows   where it lies, type, times, instrument, and the lane: the clean stream it belongs to

A batch is filled by a parser, then written out by `write` or walked in Python, then cleared and used again.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

from libchronicle.native.binding cimport Publisher, raise_writer
from libchronicle.native.hot cimport chr_abort, chr_commit, chr_reserve
from libchronicle.protocol.layout cimport CHR_BOOK_DELTA, CHR_BOOK_SNAPSHOT, chr_block_length, chr_sbe_header_t
from libchronicle.protocol.sbe cimport chr_book_size, chr_put_block

from libchronicle.protocol import decode

__all__ = ["DAY_NS", "LANES", "RecordBatch"]

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

    def write(self, Publisher publisher not None, list rows not None, Py_ssize_t start, segment):
        """Append rows[start:] to a queue; (rows done, position of the segment). Stops where another segment than `segment` began:
        write its head, then go on. A time before the queue's last is the queue's last. Raises as Publisher.append."""
        cdef chr_batch_row *row
        cdef Py_ssize_t i = start, n = len(rows), k
        cdef uint64_t base = segment
        cdef void *to
        if publisher.w == NULL:
            raise_writer(publisher)
        while i < n:
            k = rows[i]
            if not 0 <= k < self.count:
                raise IndexError(k)
            row = &self.rows[k]
            to = chr_reserve(publisher.w, row.type_id, row.size)
            if to == NULL:
                raise_writer(publisher)
            if publisher.w.position_base != base:
                base = publisher.w.position_base
                chr_abort(publisher.w)
                break
            memcpy(to, self.data + row.at, row.size)
            if chr_commit(publisher.w, row.size, max(row.ts_ns, publisher.w.last_ts)) < 0:
                chr_abort(publisher.w)
                raise_writer(publisher)
            i += 1
        return i, base
