"""Features: what they see (Market), what they are (Feature), where their values go (FeatureBatch). See core.pyi.

Columns are filled natively: a built-in feature overrides `emit` and touches no Python object; one written in Python gives a tuple.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

from typing import NamedTuple

from libchronicle.book.l2 cimport CHR_ASK, CHR_BID, L2Book, chr_l2_best
from libchronicle.native.hot cimport chr_frame
from libchronicle.protocol.event_time cimport chr_event_ns
from libchronicle.protocol.layout cimport (
    CHR_BOOK_RESET,
    CHR_GAP,
    CHR_INSTRUMENT,
    CHR_SIDE_BUY,
    CHR_SIDE_SELL,
    CHR_TRADE,
    CHR_TRADE_BLOCK,
    chr_level_t,
    chr_trade_t,
)
from libchronicle.protocol.sbe cimport chr_block

from libchronicle.protocol import Instrument, decode

__all__ = ["KINDS", "Column", "ColumnBuffer", "Feature", "FeatureBatch", "Market"]

KINDS = ("float", "int", "bool", "time")

cdef enum:
    LOST = 0xFFFE


class Column(NamedTuple):
    """Name of a column, and what it holds: float, int, bool, or time (ns since the Unix epoch). Each may be null."""

    name: str
    kind: str


cdef class ColumnBuffer:
    """The values of one column, and which of them are known."""

    def __init__(self, str name not None, str kind not None):
        if kind not in KINDS:
            raise ValueError(f"column {name}: kind {kind!r} is none of {', '.join(KINDS)}")
        self.name, self.kind = name, kind

    def __dealloc__(self):
        free(self.data)
        free(self.known)

    def __len__(self):
        return self.count

    cdef int grow(self) except -1:
        cdef Py_ssize_t room = 2 * self.room if self.room else 4096
        cdef void *more = realloc(self.data, room * sizeof(int64_t))
        if more == NULL:
            raise MemoryError
        self.data = <int64_t *>more
        more = realloc(self.known, room)
        if more == NULL:
            raise MemoryError
        self.known = <uint8_t *>more
        self.room = room
        return 0

    cdef int put_int(self, int64_t value) except -1:
        if self.count == self.room:
            self.grow()
        self.data[self.count] = value
        self.known[self.count] = 1
        self.count += 1
        return 0

    cdef int put_float(self, double value) except -1:
        cdef int64_t bits
        memcpy(&bits, &value, sizeof(bits))
        return self.put_int(bits)

    cdef int put_null(self) except -1:
        if self.kind == "float":
            self.put_float(float("nan"))
        else:
            self.put_int(0)
        self.known[self.count - 1] = 0
        return 0

    cdef int put(self, value) except -1:
        if value is None:
            return self.put_null()
        if self.kind == "float":
            return self.put_float(value)
        return self.put_int(value)

    def to_list(self):
        values = self.to_numpy().tolist()
        return [values[i] if self.known[i] else None for i in range(self.count)]

    def to_numpy(self):
        import numpy as np

        data = PyBytes_FromStringAndSize(<char *>self.data, self.count * sizeof(int64_t))
        values = np.frombuffer(data, np.float64 if self.kind == "float" else np.int64)
        return values != 0 if self.kind == "bool" else values

    def to_arrow(self):
        import numpy as np
        import pyarrow as pa

        null = np.frombuffer(PyBytes_FromStringAndSize(<char *>self.known, self.count), np.uint8) == 0
        values = self.to_numpy()
        made = pa.array(values, mask=null if null.any() else None)
        return made.cast(pa.timestamp("ns", "UTC")) if self.kind == "time" else made

    def clear(self):
        self.count = 0


cdef class FeatureBatch:
    """Rows, column by column: to_arrow, to_numpy, to_pylist."""

    def __init__(self, columns not None):
        self.columns = [ColumnBuffer(name, kind) for name, kind in columns]

    def to_numpy(self):
        return {column.name: column.to_numpy() for column in self.columns}

    def to_arrow(self):
        import pyarrow as pa

        return pa.RecordBatch.from_arrays(
            [column.to_arrow() for column in self.columns], [column.name for column in self.columns]
        )

    def to_pylist(self):
        names = [column.name for column in self.columns]
        return [dict(zip(names, row)) for row in zip(*(column.to_list() for column in self.columns))]

    @property
    def rows(self):
        return (<ColumnBuffer>self.columns[0]).count if self.columns else 0

    def clear(self):
        for column in self.columns:
            column.clear()


cdef class Market:
    """One instrument's market at this moment, as features see it. Prices and quantities are mantissas unless said otherwise."""

    def __init__(self):
        self.price_scale = self.qty_scale = 1.0

    cdef int take(self, const chr_frame *frame) except -1:
        """After the book took the frame."""
        cdef const chr_trade_t *trade
        cdef double qty
        self.frame = frame
        self.ts_ns = frame.ts_ns
        self.type_id = frame.type_id
        if frame.type_id == CHR_TRADE:
            trade = <const chr_trade_t *>chr_block(frame.payload, frame.size, CHR_TRADE, CHR_TRADE_BLOCK)
            if trade == NULL:
                return 0
            self.venue_ts_ns = trade.venue_ts
            self.trade_price, self.trade_qty, self.aggressor = trade.price, trade.qty, trade.aggressor
            qty = <double>trade.qty / self.qty_scale
            self.trades += 1
            self.traded_qty += qty
            self.traded_value += <double>trade.price / self.price_scale * qty
            if trade.aggressor == CHR_SIDE_BUY:
                self.buy_qty += qty
            elif trade.aggressor == CHR_SIDE_SELL:
                self.sell_qty += qty
        elif frame.type_id == CHR_INSTRUMENT:
            return self.define(PyBytes_FromStringAndSize(<const char *>frame.payload, frame.size))
        elif frame.type_id == CHR_GAP or frame.type_id == CHR_BOOK_RESET or frame.type_id == LOST:
            self.broken = True
        else:
            self.venue_ts_ns = max(chr_event_ns(frame.type_id, frame.payload, frame.size, frame.ts_ns), 0) or self.venue_ts_ns
        return 0

    cdef int define(self, bytes definition) except -1:
        self.instrument = Instrument.decode(definition)
        self.price_scale = 10.0 ** -self.instrument.price_exponent
        self.qty_scale = 10.0 ** -self.instrument.qty_exponent
        return 0

    cdef bint two_sided(self, int64_t *bid, int64_t *ask) noexcept:
        """Best prices of a whole book that has both."""
        cdef chr_level_t level
        if self.book is None or not self.book.b.valid or not chr_l2_best(self.book.b, CHR_BID, &level):
            return False
        bid[0] = level.price
        if not chr_l2_best(self.book.b, CHR_ASK, &level):
            return False
        ask[0] = level.price
        return True

    cdef int row_done(self) except -1:
        self.buy_qty = self.sell_qty = self.traded_qty = self.traded_value = 0.0
        self.trades = 0
        self.broken = False
        return 0

    @property
    def valid(self):
        return not self.broken and (self.book is None or self.book.b.valid != 0)

    @property
    def bid(self):
        cdef chr_level_t level
        if self.book is None or not self.book.b.valid or not chr_l2_best(self.book.b, CHR_BID, &level):
            return None
        return <double>level.price / self.price_scale

    @property
    def ask(self):
        cdef chr_level_t level
        if self.book is None or not self.book.b.valid or not chr_l2_best(self.book.b, CHR_ASK, &level):
            return None
        return <double>level.price / self.price_scale

    def message(self):
        if self.frame == NULL:
            return None
        return decode(
            self.frame.type_id, PyBytes_FromStringAndSize(<const char *>self.frame.payload, self.frame.size)
        )


cdef class Feature:
    """Columns computed from what comes. Subclass it: name the `columns`, look at records in `on_event`, give a row's `values`."""

    columns = ()

    def on_event(self, Market market):
        pass

    def values(self, Market market):
        raise NotImplementedError(f"{type(self).__name__} gives no values")

    def reset(self):
        pass

    cdef int emit(self, Market market, list buffers, Py_ssize_t at) except -1:
        """The values of a row into buffers[at:]."""
        values = self.values(market)
        if len(values) != len(self.columns):
            raise ValueError(f"{type(self).__name__} gave {len(values)} values for {len(self.columns)} columns")
        for value in values:
            (<ColumnBuffer>buffers[at]).put(value)
            at += 1
        return 0
