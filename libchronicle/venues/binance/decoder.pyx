"""Frames to records, natively. See decoder.pyi for the contract, push.h for the path of one frame."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset

from libchronicle.native.binding cimport Publisher, raise_writer
from libchronicle.native.hot cimport chr_abort, chr_commit, chr_reserve
from libchronicle.venues.binance.push cimport (
    BN_BAD_DECIMAL,
    BN_BREAK,
    BN_DEPTH,
    BN_DUPLICATE,
    BN_INCONSISTENT,
    BN_MALFORMED,
    BN_NEXT,
    BN_NONE,
    BN_OK,
    BN_QUEUE_ERROR,
    BN_REORDERED,
    BN_REPLY,
    BN_ROLLED,
    BN_SCAN_OK,
    BN_SEEN,
    BN_SYNC,
    BN_TICKER,
    BN_TRADE,
    BN_UNKNOWN_STREAM,
    BN_UNKNOWN_SYMBOL,
    BN_UNUSUAL,
    CHR_BOOK_DELTA,
    CHR_BOOK_SNAPSHOT,
    bn_classify,
    bn_cursor,
    bn_decoder,
    bn_follows,
    bn_forget,
    bn_index,
    bn_levels_extent,
    bn_push,
    bn_scan,
    bn_segment,
    bn_symbol,
    bn_template,
    bn_value,
    bn_write,
    bn_write_snapshot,
    chr_book_delta_t,
    chr_book_size,
    chr_book_snapshot_t,
    chr_sbe_header_t,
)

DEPTH = <int>BN_DEPTH
TRADE = <int>BN_TRADE
TICKER = <int>BN_TICKER
REPLY = <int>BN_REPLY
SYNC = BN_SYNC
ROLLED = BN_ROLLED
UNUSUAL = BN_UNUSUAL
MALFORMED = BN_MALFORMED
UNKNOWN_STREAM = BN_UNKNOWN_STREAM
UNKNOWN_SYMBOL = BN_UNKNOWN_SYMBOL
BAD_DECIMAL = BN_BAD_DECIMAL
INCONSISTENT = BN_INCONSISTENT
DUPLICATE = BN_DUPLICATE
REORDERED = BN_REORDERED
NEXT = <int>BN_NEXT
SEEN = <int>BN_SEEN
BREAK = <int>BN_BREAK


def follows(uint64_t chain, uint64_t before, uint64_t last):
    return <int>bn_follows(chain, before, last)


def mark(bytearray record not None, uint16_t flags):
    cdef chr_sbe_header_t *header = <chr_sbe_header_t *>PyByteArray_AS_STRING(record)
    cdef void *block
    if PyByteArray_GET_SIZE(record) < <Py_ssize_t>(sizeof(chr_sbe_header_t) + sizeof(chr_book_delta_t)):
        raise ValueError("no book record")
    block = header + 1
    if header.template_id == CHR_BOOK_DELTA:
        (<chr_book_delta_t *>block).flags |= flags
    else:
        (<chr_book_snapshot_t *>block).flags |= flags


cdef class Decoder:
    cdef bn_decoder d
    cdef Publisher publisher

    def __cinit__(self, bint futures):
        memset(&self.d, 0, sizeof(self.d))
        self.d.table.futures = futures
        self.d.position_base = <uint64_t>-1

    def __dealloc__(self):
        free(self.d.table.symbols)
        free(self.d.table.slots)

    def add(self, str symbol, uint64_t instrument_id, int price_exponent, int qty_exponent):
        cdef bytes name = symbol.encode()
        cdef uint32_t index = self.d.table.count
        if not 0 < len(name) <= 32:
            raise ValueError(f"{symbol!r}: a symbol has 1 to 32 bytes")
        if index >= 10_000:
            raise ValueError("a feed has at most 10,000 symbols")
        cdef uint32_t slots = 16
        while slots < 2 * (index + 2):
            slots *= 2
        cdef uint16_t *index_of = <uint16_t *>realloc(self.d.table.slots, slots * sizeof(uint16_t))
        if index_of == NULL:
            raise MemoryError
        self.d.table.slots = index_of
        self.d.table.mask = slots - 1
        cdef bn_symbol *table = <bn_symbol *>realloc(self.d.table.symbols, (index + 1) * sizeof(bn_symbol))
        if table == NULL:
            raise MemoryError
        self.d.table.symbols = table
        cdef bn_symbol *s = &table[index]
        memset(s, 0, sizeof(bn_symbol))
        memcpy(s.name, PyBytes_AS_STRING(name), len(name))
        s.name_size = <uint32_t>len(name)
        s.instrument_id = instrument_id
        s.price_exponent = price_exponent
        s.qty_exponent = qty_exponent
        self.d.table.count = index + 1
        bn_index(&self.d.table)
        return index

    def attach(self, Publisher publisher not None):
        self.publisher = publisher
        self.d.writer = publisher.w
        self.d.position_base = <uint64_t>-1
        if publisher.w == NULL:
            raise_writer(publisher)

    def detach(self):
        self.publisher = None
        self.d.writer = NULL

    # ------------------------------------------------------------ frames

    def push(self, frame, int64_t recv_ts):
        """One frame into the queue; see push.h for the codes."""
        cdef Py_buffer view
        cdef int code
        if self.d.writer == NULL:
            raise ValueError("no queue attached")
        if type(frame) is bytes:
            code = bn_push(&self.d, <const uint8_t *>PyBytes_AS_STRING(frame), PyBytes_GET_SIZE(frame), recv_ts)
        elif type(frame) is bytearray:
            code = bn_push(&self.d, <const uint8_t *>PyByteArray_AS_STRING(frame), PyByteArray_GET_SIZE(frame), recv_ts)
        else:
            PyObject_GetBuffer(frame, &view, PyBUF_SIMPLE)
            code = bn_push(&self.d, <const uint8_t *>view.buf, view.len, recv_ts)
            PyBuffer_Release(&view)
        if code == BN_QUEUE_ERROR:
            raise_writer(self.publisher)
        return code

    def encode(self, frame, int64_t recv_ts):
        """The record of a frame, into a buffer of its own; no continuity is looked at."""
        cdef const uint8_t[::1] view = frame
        cdef const uint8_t *p = &view[0] if view.shape[0] else <const uint8_t *>b""
        cdef bytearray record
        self.d.frame.kind = BN_NONE
        self.d.frame.symbol = NULL
        cdef int code = bn_scan(p, view.shape[0], &self.d.fields)
        if code != BN_SCAN_OK:
            return BN_UNUSUAL, None
        code = bn_classify(&self.d.table, &self.d.fields, &self.d.frame)
        if code != BN_OK:
            return code, None
        if self.d.frame.kind == BN_REPLY:
            return BN_REPLY, None
        record = bytearray(self.d.frame.size)
        code = bn_write(&self.d.fields, &self.d.frame, recv_ts, <uint8_t *>PyByteArray_AS_STRING(record))
        if code != BN_OK:
            return code, None
        return <int>self.d.frame.kind, record

    def encode_snapshot(self, uint32_t index, const uint8_t[::1] bids, const uint8_t[::1] asks, uint64_t last_update_id,
                        int64_t event_ts, int64_t venue_ts, int64_t recv_ts):
        cdef bn_value sides[2]
        cdef bytearray record
        if index >= self.d.table.count:
            raise IndexError(index)
        if not _levels(bids, &sides[0]) or not _levels(asks, &sides[1]):
            return BN_UNUSUAL, None
        if sides[0].levels > 0xFFFF or sides[1].levels > 0xFFFF:
            return BN_MALFORMED, None
        record = bytearray(chr_book_size(CHR_BOOK_SNAPSHOT, sides[0].levels + sides[1].levels))
        cdef int code = bn_write_snapshot(
            &self.d.table.symbols[index], &sides[0], &sides[1], last_update_id, event_ts, venue_ts, recv_ts,
            <uint8_t *>PyByteArray_AS_STRING(record),
        )
        return (code, None) if code != BN_OK else (BN_OK, record)

    # ------------------------------------------------------------ records that are no frames

    def append(self, uint16_t type_id, const uint8_t[::1] payload):
        """Sequence number; -1: a new segment began, write its head first."""
        cdef void *to
        cdef int64_t seq
        cdef uint32_t size = <uint32_t>payload.shape[0]
        if self.d.writer == NULL:
            raise ValueError("no queue attached")
        to = chr_reserve(self.d.writer, type_id, size)
        if to == NULL:
            raise_writer(self.publisher)
        if bn_segment(self.d.writer) != self.d.position_base:
            chr_abort(self.d.writer)
            return -1
        if size:
            memcpy(to, &payload[0], size)
        seq = chr_commit(self.d.writer, size, -1)
        if seq < 0:
            chr_abort(self.d.writer)
            raise_writer(self.publisher)
        return seq

    def head_begins(self):
        """The head of the present segment is being written: appends go through from now on."""
        self.d.position_base = bn_segment(self.d.writer)

    # ------------------------------------------------------------ the last frame

    @property
    def kind(self):
        return <int>self.d.frame.kind

    @property
    def index(self):
        return <int>self.d.frame.index if self.d.frame.symbol != NULL else -1

    @property
    def first_id(self):
        return self.d.frame.first

    @property
    def last_id(self):
        return self.d.frame.last

    @property
    def before_id(self):
        return self.d.frame.before

    # ------------------------------------------------------------ continuity

    def open_gate(self, uint32_t index, uint64_t chain):
        cdef bn_symbol *s = self._symbol(index)
        s.chain = chain
        s.open = 1
        s.old_diffs = 0

    def close_gate(self, uint32_t index):
        cdef bn_symbol *s = self._symbol(index)
        s.open = 0
        return s.chain

    def chain(self, uint32_t index):
        return self._symbol(index).chain

    def forget(self, uint32_t index):
        bn_forget(self._symbol(index))

    @property
    def missing_trades(self):
        return self.d.missing_trades

    @property
    def late_trades(self):
        return self.d.late_trades

    cdef bn_symbol *_symbol(self, uint32_t index) except NULL:
        if index >= self.d.table.count:
            raise IndexError(index)
        return &self.d.table.symbols[index]


cdef bint _levels(const uint8_t[::1] text, bn_value *side):
    """`text` is one JSON array; blanks at its ends are fine."""
    cdef bn_cursor c
    cdef Py_ssize_t start = 0, stop = text.shape[0]
    while start < stop and text[start] in b" \n\r\t":
        start += 1
    while stop > start and text[stop - 1] in b" \n\r\t":
        stop -= 1
    if stop - start < 2 or text[start] != b"[":
        return False
    c.p = &text[start] + 1
    c.end = &text[0] + stop
    return bn_levels_extent(&c, side) == BN_SCAN_OK and c.p == c.end
