"""Records in memory, laid out once, read any number of times.

    block:  note | payload, zero-padded to 32 bytes | note | payload ...

A note is 32 bytes (time, number, size, type), so payloads stand at multiples of 32 as they do in a queue. Blocks are 4 MiB; a record never spans two.
"""

from cpython.bytearray cimport PyByteArray_AS_STRING
from libc.math cimport llround
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from libchronicle.native.hot cimport chr_frame
from libchronicle.protocol.layout cimport (
    CHR_BOOK_DELTA,
    CHR_BOOK_SNAPSHOT,
    CHR_SIDE_BUY,
    CHR_SIDE_SELL,
    CHR_TRADE,
    chr_book_delta_t,
    chr_book_snapshot_t,
    chr_level_t,
    chr_trade_t,
)
from libchronicle.protocol.sbe cimport chr_book_size, chr_put_block, chr_put_levels
from libchronicle.replay.source cimport SOURCE_FRAME, SOURCE_NONE, FrameSource

from libchronicle.errors import BadRows
from libchronicle.protocol import Instrument

__all__ = ["Tape", "TapeSource", "records_of", "tape_of_rows"]

cdef enum:
    BLOCK = 4 << 20
    ALIGN = 32
    KIND_SNAPSHOT = 1
    KIND_DEPTH = 2
    KIND_TRADE = 3


cdef class Tape:
    """Records in the order of their times. `feed`: the venue they came from."""

    def __init__(self, str feed=""):
        self.feed = feed
        self.blocks = []
        self.used = {}

    cdef uint8_t *room(self, uint32_t size) except NULL:
        """Space for a note and `size` bytes of payload."""
        cdef uint64_t wanted = sizeof(chr_note) + ((size + ALIGN - 1) & ~<uint32_t>(ALIGN - 1))
        cdef uint8_t *base
        cdef uint8_t *place
        if self.at == NULL or <uint64_t>(self.end - self.at) < wanted:
            self.seal()
            block = bytearray(max(<uint64_t>BLOCK, wanted + ALIGN))
            self.blocks.append(block)
            base = <uint8_t *>PyByteArray_AS_STRING(block)
            self.at = base + (-<uint64_t>base & (ALIGN - 1))
            self.end = base + len(block)
        place = self.at
        self.at += wanted
        return place

    def seal(self):
        """Note how far the last block is filled."""
        cdef Py_ssize_t last = len(self.blocks) - 1
        if last >= 0:
            self.used[last] = self.at - <uint8_t *>PyByteArray_AS_STRING(self.blocks[last])

    cdef void *add(self, uint16_t type_id, uint32_t size, int64_t ts_ns) except NULL:
        cdef chr_note *note = <chr_note *>self.room(size)
        if self.records and ts_ns < self.last_ns:
            raise BadRows(row=self.records, reason=f"time {ts_ns} is before the one of the record before it, {self.last_ns}")
        if not self.records:
            self.first_ns = ts_ns
        self.last_ns = ts_ns
        note.ts_ns = ts_ns
        note.seq = self.records
        note.size = size
        note.type_id = type_id
        self.records += 1
        return note + 1

    def append(self, int type_id, payload, int64_t ts_ns):
        """One record. Raises BadRows when it is earlier than the last."""
        cdef const unsigned char[::1] view = payload
        cdef void *to = self.add(<uint16_t>type_id, <uint32_t>view.shape[0], ts_ns)
        if view.shape[0]:
            memcpy(to, &view[0], view.shape[0])

    def source(self):
        """A reader of all of it, from the first record."""
        return TapeSource(self)


cdef class TapeSource(FrameSource):
    """A walk over a tape."""

    def __init__(self, Tape tape not None):
        tape.seal()
        self.tape = tape
        self.name = tape.feed or "memory"
        self.block = -1

    cdef int next(self, chr_frame *out) noexcept nogil:
        cdef const chr_note *note
        if self.at == self.end and self.turn() == 0:
            self.ended = True
            return SOURCE_NONE
        note = <const chr_note *>self.at
        out.payload = <const uint8_t *>(note + 1)
        out.size = note.size
        out.type_id = note.type_id
        out.flags = 0
        out.version = 1
        out.seq = note.seq
        out.ts_ns = note.ts_ns
        out.epoch = 1
        self.at += sizeof(chr_note) + ((note.size + ALIGN - 1) & ~<uint32_t>(ALIGN - 1))
        return SOURCE_FRAME

    cdef int turn(self) noexcept nogil:
        """To the next block: 1, or 0 after the last."""
        cdef uint8_t *base
        with gil:
            self.block += 1
            if self.block >= len(self.tape.blocks):
                return 0
            base = <uint8_t *>PyByteArray_AS_STRING(self.tape.blocks[self.block])
            self.at = base + (-<uint64_t>base & (ALIGN - 1))
            self.end = base + <uint64_t>self.tape.used[self.block]
            return 1


def records_of(Tape tape not None):
    """The records of a tape: (type_id, payload, ts_ns)."""
    cdef TapeSource source = TapeSource(tape)
    cdef chr_frame f
    while source.next(&f) == SOURCE_FRAME:
        yield f.type_id, <bytes>f.payload[: f.size], f.ts_ns


# ------------------------------------------------------------ rows of numbers


cdef inline int64_t _mantissa(double value, double scale) noexcept nogil:
    return llround(value * scale)


def tape_of_rows(instrument, const int8_t[::1] kind, const int32_t[::1] msg_id, const int64_t[::1] local_ns,
                 const int64_t[::1] exch_ns, const int8_t[::1] side, const double[::1] px, const double[::1] qty):
    """A tape of plain rows: rows of one `msg_id` are one message.

    `instrument`: the definition (a protocol Instrument); its exponents say what the mantissas are. `kind` 1 snapshot, 2 depth level (quantity 0
    removes it), 3 trade; `side` 1 bid or buyer, -1 ask or seller (of a trade: who took); times in ns, `local_ns` never decreasing. Raises BadRows.
    """
    cdef Py_ssize_t n = kind.shape[0], first = 0, last
    cdef Tape tape = Tape(instrument.venue)
    cdef double price_scale = 10.0 ** -instrument.price_exponent, qty_scale = 10.0 ** -instrument.qty_exponent
    cdef uint64_t key = instrument.instrument_id, trade = 0, update = 0
    for length in (msg_id.shape[0], local_ns.shape[0], exch_ns.shape[0], side.shape[0], px.shape[0], qty.shape[0]):
        if length != n:
            raise BadRows(row=0, reason=f"columns of different lengths, {n} and {length}")
    if n:
        tape.append(Instrument.TEMPLATE_ID, instrument.encode(), local_ns[0])
    while first < n:
        last = first + 1
        while last < n and msg_id[last] == msg_id[first] and kind[last] == kind[first] and kind[first] != KIND_TRADE:
            last += 1
        if kind[first] == KIND_TRADE:
            trade += 1
            _put_trade(tape, key, trade, exch_ns[first], local_ns[first], side[first],
                       _mantissa(px[first], price_scale), _mantissa(qty[first], qty_scale))
        elif kind[first] == KIND_SNAPSHOT or kind[first] == KIND_DEPTH:
            update += 1
            _put_levels(tape, key, update, kind[first], exch_ns[first], local_ns[first],
                        side[first:last], px[first:last], qty[first:last], price_scale, qty_scale)
        else:
            raise BadRows(row=first, reason=f"kind {kind[first]}; there are 1 snapshot, 2 depth level, 3 trade")
        first = last
    tape.rows = n
    return tape


cdef int _put_trade(Tape tape, uint64_t key, uint64_t number, int64_t venue_ns, int64_t local_ns, int8_t side,
                    int64_t price, int64_t qty) except -1:
    cdef void *to = tape.add(CHR_TRADE, 8 + sizeof(chr_trade_t), local_ns)
    cdef chr_trade_t *body = <chr_trade_t *>chr_put_block(to, CHR_TRADE)
    body.instrument_id = key
    body.venue_ts = venue_ns
    body.recv_ts = local_ns
    body.trade_id = number
    body.price = price
    body.qty = qty
    body.aggressor = CHR_SIDE_BUY if side > 0 else CHR_SIDE_SELL
    return 0


cdef int _put_levels(Tape tape, uint64_t key, uint64_t update, int8_t kind, int64_t venue_ns, int64_t local_ns,
                     const int8_t[:] side, const double[:] px, const double[:] qty, double price_scale, double qty_scale) except -1:
    cdef uint16_t type_id = CHR_BOOK_SNAPSHOT if kind == KIND_SNAPSHOT else CHR_BOOK_DELTA
    cdef uint32_t count = <uint32_t>side.shape[0], i, bids = 0
    cdef void *to = tape.add(type_id, chr_book_size(type_id, count), local_ns)
    cdef chr_book_snapshot_t *snapshot
    cdef chr_book_delta_t *delta
    cdef chr_level_t *level
    cdef void *block = chr_put_block(to, type_id)
    cdef int turn
    for i in range(count):
        bids += side[i] > 0
    if type_id == CHR_BOOK_SNAPSHOT:
        snapshot = <chr_book_snapshot_t *>block
        snapshot.instrument_id, snapshot.last_update_id = key, update
        snapshot.venue_ts, snapshot.recv_ts = venue_ns, local_ns
        level = chr_put_levels(snapshot + 1, <uint16_t>bids)
    else:
        delta = <chr_book_delta_t *>block
        delta.instrument_id, delta.first_update_id, delta.last_update_id = key, update, update
        delta.venue_ts, delta.recv_ts = venue_ns, local_ns
        level = chr_put_levels(delta + 1, <uint16_t>bids)
    for turn in range(2):
        for i in range(count):
            if (side[i] > 0) == (turn == 0):
                level.price, level.qty = _mantissa(px[i], price_scale), _mantissa(qty[i], qty_scale)
                level += 1
        if turn == 0:
            level = chr_put_levels(level, <uint16_t>(count - bids))
    return 0
