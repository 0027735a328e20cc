"""Built-in features, see builtin.pyi. None touches a Python object at a row."""

from libc.stdint cimport int64_t

from libchronicle.book.l2 cimport CHR_ASK, CHR_BID, chr_l2_best, chr_l2_depth
from libchronicle.protocol.layout cimport chr_level_t
from libchronicle.signals.core cimport ColumnBuffer, Feature, Market

from libchronicle.errors import InvalidArgument
from libchronicle.signals.core import Column

__all__ = ["BUILTIN", "Imbalance", "Microprice", "Mid", "Spread", "Time", "Touch", "TradeFlow", "feature_named"]

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


cdef class Touch(Feature):
    """`bid`, `bid_qty`, `ask`, `ask_qty`: best prices and their quantities."""

    columns = (Column("bid", "float"), Column("bid_qty", "float"), Column("ask", "float"), Column("ask_qty", "float"))

    cdef int emit(self, Market market, list buffers, Py_ssize_t at) except -1:
        cdef chr_level_t level
        cdef int side
        for side in (CHR_BID, CHR_ASK):
            if market.book is not None and market.book.b.valid and chr_l2_best(market.book.b, side, &level):
                put(buffers, at, <double>level.price / market.price_scale)
                put(buffers, at + 1, <double>level.qty / market.qty_scale)
            else:
                put_nulls(buffers, at, 2)
            at += 2
        return 0


cdef class Mid(Feature):
    """`mid`: (bid + ask) / 2."""

    columns = (Column("mid", "float"),)

    cdef int emit(self, Market market, list buffers, Py_ssize_t at) except -1:
        cdef int64_t bid, ask
        if not market.two_sided(&bid, &ask):
            return put_nulls(buffers, at, 1)
        return put(buffers, at, (<double>bid + <double>ask) / (2 * market.price_scale))


cdef class Spread(Feature):
    """`spread_bps`: (ask - bid) / mid, in hundredths of a percent."""

    columns = (Column("spread_bps", "float"),)

    cdef int emit(self, Market market, list buffers, Py_ssize_t at) except -1:
        cdef int64_t bid, ask
        if not market.two_sided(&bid, &ask) or bid + ask == 0:
            return put_nulls(buffers, at, 1)
        return put(buffers, at, (<double>ask - <double>bid) * 20_000.0 / (<double>bid + <double>ask))


cdef class Microprice(Feature):
    """`microprice`: best prices, each weighted with the quantity of the other side."""

    columns = (Column("microprice", "float"),)

    cdef int emit(self, Market market, list buffers, Py_ssize_t at) except -1:
        cdef int64_t bid, ask
        cdef chr_level_t b, a
        cdef double bid_qty, ask_qty
        if not market.two_sided(&bid, &ask):
            return put_nulls(buffers, at, 1)
        chr_l2_best(market.book.b, CHR_BID, &b)
        chr_l2_best(market.book.b, CHR_ASK, &a)
        bid_qty, ask_qty = <double>b.qty, <double>a.qty
        return put(
            buffers,
            at,
            (<double>bid * ask_qty + <double>ask * bid_qty) / ((bid_qty + ask_qty) * market.price_scale),
        )


cdef class Imbalance(Feature):
    """`imbalance_<depth>`: (bids - asks) / (bids + asks) of the quantity in the best `depth` levels, -1 to 1."""

    cdef readonly tuple columns
    cdef readonly int depth

    def __init__(self, int depth=1):
        if not 0 < depth <= 100_000:
            raise InvalidArgument(where="Imbalance", field="depth", value=depth, allowed="1 to 100,000 levels")
        self.depth = depth
        self.columns = (Column(f"imbalance_{depth}", "float"),)

    cdef int emit(self, Market market, list buffers, Py_ssize_t at) except -1:
        cdef int64_t bid, ask
        cdef double bids, asks
        if not market.two_sided(&bid, &ask):
            return put_nulls(buffers, at, 1)
        bids = <double>chr_l2_depth(market.book.b, CHR_BID, self.depth)
        asks = <double>chr_l2_depth(market.book.b, CHR_ASK, self.depth)
        return put(buffers, at, (bids - asks) / (bids + asks))


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


BUILTIN = {
    "time": Time,
    "touch": Touch,
    "mid": Mid,
    "spread": Spread,
    "microprice": Microprice,
    "imbalance": Imbalance,
    "flow": TradeFlow,
}


def feature_named(str text not None):
    """`mid`, or with an argument `imbalance:5`. Raises InvalidArgument."""
    name, colon, argument = text.partition(":")
    if name not in BUILTIN:
        raise InvalidArgument(where="features", field="name", value=text, allowed=", ".join(BUILTIN))
    if not colon:
        return BUILTIN[name]()
    if name != "imbalance" or not argument.isdigit():
        raise InvalidArgument(where="features", field=name, value=text, allowed="imbalance:DEPTH; others take nothing")
    return Imbalance(int(argument))
