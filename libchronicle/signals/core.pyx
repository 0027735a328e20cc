"""Features: what they see (Market), what they are (Feature), where their values go (FeatureBatch). See core.pyi.

Columns are filled natively: a built-in feature overrides `emit` and touches no Python object; one written in Python gives a tuple.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.math cimport NAN, isnan
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

from typing import NamedTuple

from libchronicle.book.l2 cimport CHR_ASK, CHR_BID, L2Book, chr_l2_best, chr_l2_top
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

from libchronicle.errors import BadFeature, InvalidArgument
from libchronicle.protocol import Instrument, decode

__all__ = ["KINDS", "Column", "ColumnBuffer", "Feature", "FeatureBatch", "Market", "NumericFeature"]

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
            raise InvalidArgument(where=f"column {name}", field="kind", value=kind, allowed=", ".join(KINDS))
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
    """One instrument's market at this moment, as features see it. Prices and quantities are mantissas unless said otherwise.

    Best levels are looked up once per record, when it is taken: a bar that ends before the next record sees those of its end,
    though the book may have taken that record already.
    """

    def __init__(self):
        self.price_scale = self.qty_scale = 1.0
        self.mid_price = NAN
        self.whole = True

    def __dealloc__(self):
        free(self.levels[0])
        free(self.levels[1])

    cdef int take(self, const chr_frame *frame) except -1:
        """After the book took the frame."""
        self.frame = frame
        self.ts_ns = frame.ts_ns
        self.type_id = frame.type_id
        self.traded = False
        if frame.type_id == CHR_TRADE:
            return self.take_trade(frame)
        if frame.type_id == CHR_INSTRUMENT:
            return self.define(PyBytes_FromStringAndSize(<const char *>frame.payload, frame.size))
        if frame.type_id == CHR_GAP or frame.type_id == CHR_BOOK_RESET or frame.type_id == LOST:
            self.broken = True
        else:
            self.venue_ts_ns = max(chr_event_ns(frame.type_id, frame.payload, frame.size, frame.ts_ns), 0) or self.venue_ts_ns
        self.look()
        return 0

    cdef int take_trade(self, const chr_frame *frame) except -1:
        cdef double qty
        cdef const chr_trade_t *trade = <const chr_trade_t *>chr_block(
            frame.payload, frame.size, CHR_TRADE, CHR_TRADE_BLOCK
        )
        self.whole = self.book is None or self.book.b.valid != 0
        if trade == NULL:
            return 0
        self.traded = True
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
        return 0

    cdef int define(self, bytes definition) except -1:
        self.instrument = Instrument.decode(definition)
        self.price_scale = 10.0 ** -self.instrument.price_exponent
        self.qty_scale = 10.0 ** -self.instrument.qty_exponent
        return 0

    # ------------------------------------------------------------ the book as it was after the last record

    cdef void look(self) noexcept:
        self.book_version += 1
        self.has_bid = self.has_ask = False
        self.mid_price = NAN
        self.whole = self.book is None or self.book.b.valid != 0
        if self.book is None or not self.whole:
            return
        self.has_bid = chr_l2_best(self.book.b, CHR_BID, &self.bid_level) != 0
        self.has_ask = chr_l2_best(self.book.b, CHR_ASK, &self.ask_level) != 0
        if self.has_bid and self.has_ask:
            self.mid_price = (<double>self.bid_level.price + <double>self.ask_level.price) / 2

    cdef int deepen(self, uint32_t depth) except -1:
        """From now on `top` gives that many levels."""
        cdef int side
        cdef void *more
        if depth <= self.depth:
            return 0
        for side in range(2):
            more = realloc(self.levels[side], depth * sizeof(chr_level_t))
            if more == NULL:
                raise MemoryError
            self.levels[side] = <chr_level_t *>more
        self.depth = depth
        self.top_version = 0
        return 0

    cdef uint32_t top(self, int side, const chr_level_t **levels) noexcept:
        """The best levels of a side, at most `depth`; read from the book once per record, when first asked for."""
        cdef int s
        if self.top_version != self.book_version:
            self.top_version = self.book_version
            for s in range(2):
                self.level_count[s] = 0
                if self.book is not None and self.whole and self.depth:
                    self.level_count[s] = chr_l2_top(self.book.b, s, self.depth, self.levels[s])
        levels[0] = self.levels[side]
        return self.level_count[side]

    cdef bint two_sided(self, int64_t *bid, int64_t *ask) noexcept:
        """Best prices of a whole book that has both."""
        if not self.whole or not self.has_bid or not self.has_ask:
            return False
        bid[0] = self.bid_level.price
        ask[0] = self.ask_level.price
        return True

    cdef int row_done(self) except -1:
        self.buy_qty = self.sell_qty = self.traded_qty = self.traded_value = 0.0
        self.trades = 0
        self.broken = False
        return 0

    @property
    def valid(self):
        return not self.broken and self.whole

    @property
    def bid(self):
        return <double>self.bid_level.price / self.price_scale if self.whole and self.has_bid else None

    @property
    def ask(self):
        return <double>self.ask_level.price / self.price_scale if self.whole and self.has_ask else None

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
        raise self.bad("it gives no values; define values(market)")

    def reset(self):
        pass

    def forget(self):
        pass

    cdef int see(self, Market market) except -1:
        """A record was taken and nothing is missing: for what a native feature remembers."""
        return 0

    cdef int emit(self, Market market, list buffers, Py_ssize_t at) except -1:
        """The values of a row into buffers[at:]."""
        cdef tuple values = self.row(market)
        cdef ColumnBuffer buffer
        for value in values:
            buffer = buffers[at]
            try:
                buffer.put(value)
            except (TypeError, ValueError, OverflowError):
                raise self.bad(f"{value!r} is no {buffer.kind} for column {buffer.name}") from None
            at += 1
        return 0

    cdef tuple row(self, Market market):
        values = self.values(market)
        if not isinstance(values, (tuple, list)):
            raise self.bad(f"values is {type(values).__name__}, no tuple")
        if len(values) != len(self.columns):
            raise self.bad(f"{len(values)} values for {len(self.columns)} columns")
        return tuple(values)

    cdef object bad(self, str reason):
        return BadFeature(feature=type(self).__name__, reason=reason)


cdef enum:
    MOST_NUMBERS = 8


cdef class NumericFeature(Feature):
    """A native feature whose columns are all floats: a plug-in of FeatureSet too. NaN stands for null.

    `spec` says what it computes, parameters and all: equal specs, equal values.
    """

    def __init__(self):
        raise self.bad("it computes nothing; derive a feature of your own from Feature")

    cdef int name(self, str spec, tuple names) except -1:
        if len(names) > MOST_NUMBERS:
            raise self.bad(f"{len(names)} columns; a native feature has at most {MOST_NUMBERS}")
        self.spec = spec
        self.columns = tuple([Column(name, "float") for name in names])
        return 0

    cdef int compute(self, Market market, double *out) except -1:
        """Its values at market.ts_ns, one for each column."""
        raise self.bad("it computes nothing")

    cdef int emit(self, Market market, list buffers, Py_ssize_t at) except -1:
        cdef double out[MOST_NUMBERS]
        cdef Py_ssize_t i
        self.compute(market, out)
        for i in range(len(self.columns)):
            if isnan(out[i]):
                (<ColumnBuffer>buffers[at + i]).put_null()
            else:
                (<ColumnBuffer>buffers[at + i]).put_float(out[i])
        return 0
