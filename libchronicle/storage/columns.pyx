# distutils: depends = libchronicle/native/chr_span.h libchronicle/protocol/messages.h libchronicle/protocol/sbe.h
"""Records as columns: batch after batch of plain buffers, which NumPy and Arrow take without a copy.

A table has one row per trade, per quote, per level of a book record, or per order event. What makes no row is counted: gaps, LOST records, book
records that cannot be read.
"""

cimport cython
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from libchronicle.native.hot cimport chr_frame
from libchronicle.protocol.layout cimport (
    CHR_BEST_BID_ASK,
    CHR_BEST_BID_ASK_BLOCK,
    CHR_BOOK_DELTA,
    CHR_BOOK_DELTA_BLOCK,
    CHR_BOOK_SNAPSHOT,
    CHR_BOOK_SNAPSHOT_BLOCK,
    CHR_GAP,
    CHR_INSTRUMENT,
    CHR_ORDER_ADD,
    CHR_ORDER_ADD_BLOCK,
    CHR_ORDER_DELETE,
    CHR_ORDER_DELETE_BLOCK,
    CHR_ORDER_EXECUTE,
    CHR_ORDER_EXECUTE_BLOCK,
    CHR_ORDER_MODIFY,
    CHR_ORDER_MODIFY_BLOCK,
    CHR_TRADE,
    CHR_TRADE_BLOCK,
    chr_level_t,
)
from libchronicle.protocol.event_time cimport chr_is_injected
from libchronicle.protocol.sbe cimport chr_block, chr_book_levels, chr_level_at, chr_levels
from libchronicle.storage.chain cimport Chain, Merge

from libchronicle import errors
from libchronicle.protocol import Instrument

cdef enum:
    LOST = 0xFFFE
    MAX_COLUMNS = 16

cdef extern from "messages.h" nogil:
    ctypedef struct chr_trade_t:
        int64_t venue_ts, event_ts, recv_ts, price, qty
        uint64_t trade_id, raw_seq
        uint8_t aggressor
    ctypedef struct chr_best_bid_ask_t:
        int64_t venue_ts, event_ts, recv_ts, bid_price, bid_qty, ask_price, ask_qty
        uint64_t update_id, raw_seq
    ctypedef struct chr_book_delta_t:
        int64_t venue_ts, event_ts, recv_ts
        uint64_t raw_seq
        uint16_t flags
    ctypedef struct chr_book_snapshot_t:
        int64_t venue_ts, event_ts, recv_ts
        uint64_t raw_seq
        uint16_t flags
    ctypedef struct chr_order_add_t:
        int64_t venue_ts, event_ts, recv_ts, price, qty
        uint64_t order_id, raw_seq
        uint8_t side
    ctypedef struct chr_order_modify_t:
        int64_t venue_ts, event_ts, recv_ts, price, qty
        uint64_t order_id, new_order_id, raw_seq
        uint8_t side
    ctypedef struct chr_order_delete_t:
        int64_t venue_ts, event_ts, recv_ts, qty
        uint64_t order_id, raw_seq
        uint8_t side
    ctypedef struct chr_order_execute_t:
        int64_t venue_ts, event_ts, recv_ts, price, qty
        uint64_t order_id, trade_id, raw_seq
        uint8_t side

_COMMON = (("ts_ns", "q"), ("seq", "Q"), ("venue_ts", "q"), ("event_ts", "q"), ("recv_ts", "q"), ("raw_seq", "Q"))

TABLES = {
    "trades": (*_COMMON, ("trade_id", "Q"), ("price", "q"), ("qty", "q"), ("side", "B")),
    "quotes": (*_COMMON, ("update_id", "Q"), ("bid_price", "q"), ("bid_qty", "q"), ("ask_price", "q"), ("ask_qty", "q")),
    "levels": (*_COMMON, ("kind", "B"), ("side", "B"), ("level", "H"), ("flags", "H"), ("price", "q"), ("qty", "q")),
    "orders": (*_COMMON, ("kind", "B"), ("order_id", "Q"), ("new_order_id", "Q"), ("trade_id", "Q"), ("side", "B"), ("price", "q"), ("qty", "q")),
}
"""Columns by table: name and format character of the struct module. `kind` is the record's type_id, 2 (as of a BookSnapshot) also for each order
of a snapshot of orders; `side` 1 bid or buy, 2 ask or sell."""

_WIDTH = {"q": 8, "Q": 8, "H": 2, "B": 1}

cdef enum:
    TRADES
    QUOTES
    LEVELS
    ORDERS

cdef enum:
    TAKEN = 1
    FULL = 2
    WIDE = 3
    CHANGED = 4

_NUMBER = {"trades": TRADES, "quotes": QUOTES, "levels": LEVELS, "orders": ORDERS}


@cython.final
cdef class ColumnReader:
    """Batches of one table from merges. `instrument` is the payload of the last Instrument record seen, b"" before the first."""

    cdef object merges
    cdef Merge merge
    cdef int table
    cdef readonly uint64_t capacity
    cdef uint64_t rows
    cdef list buffers
    cdef void *cols[MAX_COLUMNS]
    cdef chr_frame frame
    cdef bint pending
    cdef uint64_t wide
    cdef bytes told
    cdef dict exponents
    cdef object changed
    cdef readonly uint64_t gaps
    cdef readonly uint64_t lost
    cdef readonly uint64_t malformed
    cdef readonly str name

    def __cinit__(self, merges, str table not None, uint64_t capacity=16384):
        if table not in TABLES:
            raise errors.InvalidArgument(where="columns", field="table", value=table, allowed=", ".join(TABLES))
        self.merges = iter(merges)
        self.name = table
        self.table = _NUMBER[table]
        self.capacity = max(capacity, <uint64_t>1)
        self.told = b""
        self.exponents = {}

    cdef int begin(self, uint64_t capacity) except -1:
        self.capacity = capacity
        self.buffers = [PyByteArray_FromStringAndSize(NULL, capacity * <int>_WIDTH[kind]) for _, kind in TABLES[self.name]]
        for i in range(len(self.buffers)):
            self.cols[i] = PyByteArray_AS_STRING(self.buffers[i])
        self.rows = 0
        return 0

    def next_batch(self):
        """(rows, {name: (format, bytearray)}); None at the end. Buffers are a new batch's own; only the first `rows` items count.

        Raises ExponentChanged (what comes next has other mantissas), and what reading raises (BadSegment: the next call goes on
        behind the damage).
        """
        self.begin(self.capacity)
        self.fill()
        if self.rows == 0:
            return None
        return self.rows, {name: (kind, buffer) for (name, kind), buffer in zip(TABLES[self.name], self.buffers)}

    cdef int remember(self) except -1:
        """A definition that stood before what was asked for."""
        cdef Chain chain
        if not self.told and self.merge is not None:
            for chain in self.merge.chains:
                if chain.passed_size:
                    self.told = chain.passed[:chain.passed_size]
        return 0

    cdef bint freeze(self, bytes payload) except -1:
        """Whether a definition leaves the meaning of the mantissas as it was; if not, `changed` is the error."""
        definition = Instrument.decode(payload)
        wanted = definition.price_exponent, definition.qty_exponent
        frozen = self.exponents.setdefault(definition.instrument_id, wanted)
        if frozen != wanted:
            self.changed = errors.ExponentChanged(name=f"{definition.venue}:{definition.symbol}", frozen=frozen, wanted=wanted)
        return frozen == wanted

    @property
    def instrument(self):
        self.remember()
        return self.told

    cdef int fill(self) except -1:
        """A batch, without the GIL: threads that unpack what follows get on meanwhile."""
        cdef int n
        cdef Merge merge
        while True:
            if self.merge is None:
                self.merge = next(self.merges, None)
                if self.merge is None:
                    return 0
            merge = self.merge
            with nogil:
                n = self.drain(merge)
            if n == FULL:
                return 0
            if n == WIDE:
                self.begin(self.wide)
            elif n == CHANGED:
                raise self.changed
            elif n < 0:
                merge.fail()
            elif n == 0:
                self.remember()
                self.merge = None

    cdef int drain(self, Merge merge) noexcept nogil:
        """FULL, WIDE, or what the merge said last: 0 or -1."""
        cdef int n
        while True:
            if not self.pending:
                n = merge.next(&self.frame)
                if n <= 0:
                    return n
            n = self.take(&self.frame)
            self.pending = n != TAKEN
            if n != TAKEN:
                return n
            if self.rows == self.capacity:
                return FULL

    cdef int take(self, const chr_frame *f) noexcept nogil:
        """TAKEN; FULL: the batch has no room for it; WIDE: no batch would, it needs one of `wide` rows; CHANGED: a definition
        that gives the mantissas another meaning, where a table would be wrong in silence."""
        if f.type_id == CHR_TRADE and self.table == TRADES:
            self.take_trade(f)
        elif (f.type_id == CHR_BOOK_DELTA or f.type_id == CHR_BOOK_SNAPSHOT) and self.table == LEVELS:
            return self.take_levels(f)
        elif f.type_id == CHR_BEST_BID_ASK and self.table == QUOTES:
            self.take_quote(f)
        elif CHR_ORDER_ADD <= f.type_id <= CHR_ORDER_EXECUTE and self.table == ORDERS:
            self.take_order(f)
        elif f.type_id == CHR_INSTRUMENT:
            return self.tell(f)
        elif f.type_id == CHR_GAP:
            self.gaps += 1
        elif f.type_id == LOST:
            self.lost += (<const uint64_t *>f.payload)[1] - (<const uint64_t *>f.payload)[0] + 1
        return TAKEN

    cdef int tell(self, const chr_frame *f) noexcept with gil:
        payload = f.payload[:f.size]
        try:
            self.remember()
            if payload == self.told:
                return TAKEN
            if self.told:
                self.freeze(self.told)
            if not self.freeze(payload):
                return FULL if self.rows else CHANGED
        except errors.DecodeError:
            self.malformed += 1
            return TAKEN
        self.told = payload
        return TAKEN

    cdef inline void common(self, const chr_frame *f, int64_t venue_ts, int64_t event_ts, int64_t recv_ts, uint64_t raw_seq) noexcept nogil:
        cdef uint64_t row = self.rows
        (<int64_t *>self.cols[0])[row] = f.ts_ns
        (<uint64_t *>self.cols[1])[row] = f.seq
        (<int64_t *>self.cols[2])[row] = venue_ts
        (<int64_t *>self.cols[3])[row] = event_ts
        (<int64_t *>self.cols[4])[row] = recv_ts
        (<uint64_t *>self.cols[5])[row] = raw_seq

    cdef void take_trade(self, const chr_frame *f) noexcept nogil:
        cdef const chr_trade_t *t = <const chr_trade_t *>chr_block(f.payload, f.size, CHR_TRADE, CHR_TRADE_BLOCK)
        cdef uint64_t row = self.rows
        if t == NULL:
            self.malformed += 1
            return
        self.common(f, t.venue_ts, t.event_ts, t.recv_ts, t.raw_seq)
        (<uint64_t *>self.cols[6])[row] = t.trade_id
        (<int64_t *>self.cols[7])[row] = t.price
        (<int64_t *>self.cols[8])[row] = t.qty
        (<uint8_t *>self.cols[9])[row] = t.aggressor
        self.rows += 1

    cdef void take_quote(self, const chr_frame *f) noexcept nogil:
        cdef const chr_best_bid_ask_t *q = <const chr_best_bid_ask_t *>chr_block(
            f.payload, f.size, CHR_BEST_BID_ASK, CHR_BEST_BID_ASK_BLOCK)
        cdef uint64_t row = self.rows
        if q == NULL:
            self.malformed += 1
            return
        self.common(f, q.venue_ts, q.event_ts, q.recv_ts, q.raw_seq)
        (<uint64_t *>self.cols[6])[row] = q.update_id
        (<int64_t *>self.cols[7])[row] = q.bid_price
        (<int64_t *>self.cols[8])[row] = q.bid_qty
        (<int64_t *>self.cols[9])[row] = q.ask_price
        (<int64_t *>self.cols[10])[row] = q.ask_qty
        self.rows += 1

    cdef int take_levels(self, const chr_frame *f) noexcept nogil:
        cdef chr_levels bids, asks
        cdef const chr_book_delta_t *delta = NULL
        cdef const chr_book_snapshot_t *snapshot = NULL
        if f.type_id == CHR_BOOK_DELTA:
            delta = <const chr_book_delta_t *>chr_block(f.payload, f.size, CHR_BOOK_DELTA, CHR_BOOK_DELTA_BLOCK)
        else:
            snapshot = <const chr_book_snapshot_t *>chr_block(f.payload, f.size, CHR_BOOK_SNAPSHOT, CHR_BOOK_SNAPSHOT_BLOCK)
        if (delta == NULL and snapshot == NULL) or chr_book_levels(f.payload, f.size, &bids, &asks) != 0:
            self.malformed += 1
            return TAKEN
        if self.rows + bids.count + asks.count > self.capacity:
            self.wide = bids.count + asks.count
            return FULL if self.rows else WIDE
        if delta != NULL:
            self.side(f, &bids, 1, delta.venue_ts, delta.event_ts, delta.recv_ts, delta.raw_seq, delta.flags)
            self.side(f, &asks, 2, delta.venue_ts, delta.event_ts, delta.recv_ts, delta.raw_seq, delta.flags)
        else:
            self.side(f, &bids, 1, snapshot.venue_ts, snapshot.event_ts, snapshot.recv_ts, snapshot.raw_seq, snapshot.flags)
            self.side(f, &asks, 2, snapshot.venue_ts, snapshot.event_ts, snapshot.recv_ts, snapshot.raw_seq, snapshot.flags)
        return TAKEN

    cdef void side(self, const chr_frame *f, const chr_levels *levels, uint8_t side, int64_t venue_ts, int64_t event_ts,
                   int64_t recv_ts, uint64_t raw_seq, uint16_t flags) noexcept nogil:
        cdef uint32_t i
        cdef const chr_level_t *level
        for i in range(levels.count):
            level = chr_level_at(levels, i)
            self.common(f, venue_ts, event_ts, recv_ts, raw_seq)
            (<uint8_t *>self.cols[6])[self.rows] = <uint8_t>f.type_id
            (<uint8_t *>self.cols[7])[self.rows] = side
            (<uint16_t *>self.cols[8])[self.rows] = <uint16_t>i
            (<uint16_t *>self.cols[9])[self.rows] = flags
            (<int64_t *>self.cols[10])[self.rows] = level.price
            (<int64_t *>self.cols[11])[self.rows] = level.qty
            self.rows += 1

    cdef void order(self, const chr_frame *f, uint64_t order_id, uint64_t new_order_id, uint64_t trade_id, uint8_t side,
                    int64_t price, int64_t qty) noexcept nogil:
        # an order that a snapshot tells of stood there already: to count it as added would double it
        (<uint8_t *>self.cols[6])[self.rows] = CHR_BOOK_SNAPSHOT if chr_is_injected(f.type_id, f.payload, f.size) else <uint8_t>f.type_id
        (<uint64_t *>self.cols[7])[self.rows] = order_id
        (<uint64_t *>self.cols[8])[self.rows] = new_order_id
        (<uint64_t *>self.cols[9])[self.rows] = trade_id
        (<uint8_t *>self.cols[10])[self.rows] = side
        (<int64_t *>self.cols[11])[self.rows] = price
        (<int64_t *>self.cols[12])[self.rows] = qty
        self.rows += 1

    cdef void take_order(self, const chr_frame *f) noexcept nogil:
        cdef const chr_order_add_t *add
        cdef const chr_order_modify_t *modify
        cdef const chr_order_delete_t *delete
        cdef const chr_order_execute_t *execute
        if f.type_id == CHR_ORDER_ADD:
            add = <const chr_order_add_t *>chr_block(f.payload, f.size, CHR_ORDER_ADD, CHR_ORDER_ADD_BLOCK)
            if add != NULL:
                self.common(f, add.venue_ts, add.event_ts, add.recv_ts, add.raw_seq)
                self.order(f, add.order_id, add.order_id, 0, add.side, add.price, add.qty)
                return
        elif f.type_id == CHR_ORDER_MODIFY:
            modify = <const chr_order_modify_t *>chr_block(f.payload, f.size, CHR_ORDER_MODIFY, CHR_ORDER_MODIFY_BLOCK)
            if modify != NULL:
                self.common(f, modify.venue_ts, modify.event_ts, modify.recv_ts, modify.raw_seq)
                self.order(f, modify.order_id, modify.new_order_id, 0, modify.side, modify.price, modify.qty)
                return
        elif f.type_id == CHR_ORDER_DELETE:
            delete = <const chr_order_delete_t *>chr_block(f.payload, f.size, CHR_ORDER_DELETE, CHR_ORDER_DELETE_BLOCK)
            if delete != NULL:
                self.common(f, delete.venue_ts, delete.event_ts, delete.recv_ts, delete.raw_seq)
                self.order(f, delete.order_id, delete.order_id, 0, delete.side, 0, delete.qty)
                return
        else:
            execute = <const chr_order_execute_t *>chr_block(f.payload, f.size, CHR_ORDER_EXECUTE, CHR_ORDER_EXECUTE_BLOCK)
            if execute != NULL:
                self.common(f, execute.venue_ts, execute.event_ts, execute.recv_ts, execute.raw_seq)
                self.order(f, execute.order_id, execute.order_id, execute.trade_id, execute.side, execute.price, execute.qty)
                return
        self.malformed += 1
