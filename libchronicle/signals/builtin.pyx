"""Features of the touch, of one moment, and of the trades between two rows; see builtin.pyi. None touches a Python object at a row."""

from libc.math cimport NAN
from libc.stdint cimport int64_t, uint32_t

from libchronicle.book.l2 cimport CHR_ASK, CHR_BID
from libchronicle.protocol.layout cimport chr_level_t
from libchronicle.signals.core cimport ColumnBuffer, Feature, Market, NumericFeature

from libchronicle.errors import InvalidArgument
from libchronicle.signals.core import Column

__all__ = ["Imbalance", "Microprice", "Mid", "Spread", "Time", "Touch", "TradeFlow"]

cdef int64_t DAY_NS = 86_400_000_000_000


cdef int put(list buffers, Py_ssize_t at, double value) except -1:
    return (<ColumnBuffer>buffers[at]).put_float(value)


cdef int put_nulls(list buffers, Py_ssize_t at, int count) except -1:
    cdef int i
    for i in range(count):
        (<ColumnBuffer>buffers[at + i]).put_null()
    return 0


cdef class Time(Feature):
    """`venue_ts`: the venue's time of the last record; `day_s`: seconds since midnight UTC of the row's time."""

    columns = (Column("venue_ts", "time"), Column("day_s", "float"))

    cdef int emit(self, Market market, list buffers, Py_ssize_t at) except -1:
        if market.venue_ts_ns:
            (<ColumnBuffer>buffers[at]).put_int(market.venue_ts_ns)
        else:
            (<ColumnBuffer>buffers[at]).put_null()
        return put(buffers, at + 1, <double>(market.ts_ns % DAY_NS) / 1e9)


cdef class Touch(NumericFeature):
    """`bid`, `bid_qty`, `ask`, `ask_qty`: best prices and their quantities."""

    def __init__(self):
        self.name("touch", ("bid", "bid_qty", "ask", "ask_qty"))

    cdef int compute(self, Market market, double *out) except -1:
        cdef bint bid = market.whole and market.has_bid, ask = market.whole and market.has_ask
        out[0] = <double>market.bid_level.price / market.price_scale if bid else NAN
        out[1] = <double>market.bid_level.qty / market.qty_scale if bid else NAN
        out[2] = <double>market.ask_level.price / market.price_scale if ask else NAN
        out[3] = <double>market.ask_level.qty / market.qty_scale if ask else NAN
        return 0


cdef class Mid(NumericFeature):
    """`mid`: (bid + ask) / 2."""

    def __init__(self):
        self.name("mid", ("mid",))

    cdef int compute(self, Market market, double *out) except -1:
        cdef int64_t bid, ask
        out[0] = NAN
        if market.two_sided(&bid, &ask):
            out[0] = (<double>bid + <double>ask) / (2 * market.price_scale)
        return 0


cdef class Spread(NumericFeature):
    """`spread_bps`: (ask - bid) / mid, in hundredths of a percent."""

    def __init__(self):
        self.name("spread_bps", ("spread_bps",))

    cdef int compute(self, Market market, double *out) except -1:
        cdef int64_t bid, ask
        out[0] = NAN
        if market.two_sided(&bid, &ask) and bid + ask != 0:
            out[0] = (<double>ask - <double>bid) * 20_000.0 / (<double>bid + <double>ask)
        return 0


cdef class Microprice(NumericFeature):
    """`microprice`: best prices, each weighted with the quantity of the other side."""

    def __init__(self):
        self.name("microprice", ("microprice",))

    cdef int compute(self, Market market, double *out) except -1:
        cdef int64_t bid, ask
        cdef double bid_qty, ask_qty
        out[0] = NAN
        if market.two_sided(&bid, &ask):
            bid_qty, ask_qty = <double>market.bid_level.qty, <double>market.ask_level.qty
            out[0] = (<double>bid * ask_qty + <double>ask * bid_qty) / ((bid_qty + ask_qty) * market.price_scale)
        return 0


cdef class Imbalance(NumericFeature):
    """`imbalance_<depth>`: (bids - asks) / (bids + asks) of the quantity in the best `depth` levels, -1 to 1."""

    def __init__(self, int depth=1):
        if not 0 < depth <= 100_000:
            raise InvalidArgument(where="Imbalance", field="depth", value=depth, allowed="1 to 100,000 levels")
        self.depth = depth
        self.name(f"imbalance depth={depth}", (f"imbalance_{depth}",))

    cdef int compute(self, Market market, double *out) except -1:
        cdef int64_t bid, ask
        cdef const chr_level_t *levels
        cdef double total[2]
        cdef uint32_t i, count
        cdef int side
        out[0] = NAN
        if not market.two_sided(&bid, &ask):
            return 0
        for side in range(2):
            total[side] = 0
            count = min(market.top(side, &levels), self.depth)
            for i in range(count):
                total[side] += <double>levels[i].qty
        out[0] = (total[CHR_BID] - total[CHR_ASK]) / (total[CHR_BID] + total[CHR_ASK])
        return 0


cdef class TradeFlow(Feature):
    """Since the last row: `buy_qty`, `sell_qty` (by what the taker did), `trades`, `flow` = (buy - sell) / (buy + sell),
    `vwap`; the last two are null without trades."""

    columns = (
        Column("buy_qty", "float"),
        Column("sell_qty", "float"),
        Column("trades", "int"),
        Column("flow", "float"),
        Column("vwap", "float"),
    )

    cdef int emit(self, Market market, list buffers, Py_ssize_t at) except -1:
        cdef double both = market.buy_qty + market.sell_qty
        put(buffers, at, market.buy_qty)
        put(buffers, at + 1, market.sell_qty)
        (<ColumnBuffer>buffers[at + 2]).put_int(<int64_t>market.trades)
        if both > 0:
            put(buffers, at + 3, (market.buy_qty - market.sell_qty) / both)
        else:
            put_nulls(buffers, at + 3, 1)
        if market.traded_qty > 0:
            return put(buffers, at + 4, market.traded_value / market.traded_qty)
        return put_nulls(buffers, at + 4, 1)
