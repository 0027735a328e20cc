"""What features see, what they are, and where their values go."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from libchronicle.book import L2Book
from libchronicle.protocol import Instrument, SbeMessage

Kind = Literal["float", "int", "bool", "time"]
KINDS: tuple[str, ...]

class Column(NamedTuple):
    """`time`: ns since the Unix epoch. Every column may be null."""

    name: str
    kind: Kind

class ColumnBuffer:
    name: str
    kind: str
    def __init__(self, name: str, kind: Kind) -> None: ...
    def __len__(self) -> int: ...
    def to_list(self) -> list[Any]: ...
    def to_numpy(self) -> Any:
        """The values; NaN for a null float, 0 (False) for any other null: see `to_arrow` for what is null."""
    def to_arrow(self) -> Any: ...
    def clear(self) -> None: ...

class FeatureBatch:
    """Rows, column by column."""

    columns: list[ColumnBuffer]
    rows: int
    def __init__(self, columns: Sequence[Column]) -> None: ...
    def to_numpy(self) -> dict[str, Any]: ...
    def to_arrow(self) -> Any:
        """A pyarrow RecordBatch. Needs pyarrow."""
    def to_pylist(self) -> list[dict[str, Any]]: ...
    def clear(self) -> None: ...

class Market:
    """One instrument's market at this moment. Prices and quantities are mantissas unless said otherwise; `price_scale` and
    `qty_scale` divide them into real ones."""

    @property
    def book(self) -> L2Book | None:
        """Also of an order-level feed; None before its first record."""
    @property
    def instrument(self) -> Instrument | None: ...
    @property
    def type_id(self) -> int:
        """Of the record that came last."""
    @property
    def ts_ns(self) -> int: ...
    @property
    def venue_ts_ns(self) -> int: ...
    @property
    def price_scale(self) -> float: ...
    @property
    def qty_scale(self) -> float: ...
    @property
    def trade_price(self) -> int:
        """Of the last trade, as are `trade_qty` and `aggressor`; 0 before one came."""
    @property
    def trade_qty(self) -> int: ...
    @property
    def aggressor(self) -> int: ...
    @property
    def buy_qty(self) -> float:
        """Bought by takers since the last row, real; as are `sell_qty`, `traded_qty` (of
        all trades), `traded_value` (price times quantity) and `trades`."""
    @property
    def sell_qty(self) -> float: ...
    @property
    def traded_qty(self) -> float: ...
    @property
    def traded_value(self) -> float: ...
    @property
    def trades(self) -> int: ...
    @property
    def valid(self) -> bool:
        """The book is whole now, and no record has been missing since the last row."""
    @property
    def whole(self) -> bool:
        """The book is whole, or there is none."""
    @property
    def broken(self) -> bool:
        """A record has been missing since the last row."""
    @property
    def bid(self) -> float | None:
        """Best bid, a real price; None while the book is not whole or has none."""
    @property
    def ask(self) -> float | None: ...
    def message(self) -> SbeMessage | None:
        """The record that came last, decoded; only within `on_event`."""

class Feature:
    """Columns computed from what comes. Subclass it: name the columns, look at every record, give the values of a row.

    class TradeSize(Feature):
        columns = (Column("last_qty", "float"),)

        def values(self, market):
            return (market.trade_qty / market.qty_scale if market.trade_qty else None,)
    """

    columns: Sequence[Column]
    def on_event(self, market: Market) -> None:
        """After every record. Left out where a feature needs the state at its rows only."""
    def values(self, market: Market) -> Sequence[float | int | bool | None]:
        """One value for each column, at a row; None = null. BadFeature is raised where they do not fit the columns."""
    def reset(self) -> None:
        """After a row."""
    def forget(self) -> None:
        """Records are missing: what spans a window begins anew."""

class NumericFeature(Feature):
    """A native feature whose columns are all floats: of an extract, or of a `FeatureSet`. Its value at a time depends on the
    records up to then alone."""

    spec: str
    """What it computes, parameters and all. Equal specs, equal values."""
    depth: int
    """Levels of the book it looks at; 0 = the touch at most."""
