"""What a backtest gives back: figures, and tables as columns.

Tables are kept as the run wrote them and become NumPy columns (Arrow, Polars) when asked for; NumPy is not imported before.
Prices and quantities are mantissas of the instrument, money is a mantissa at 1e-8 (`MONEY_EXPONENT`), times are ns.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from libchronicle.errors import InvalidArgument
from libchronicle.portfolio import MONEY_EXPONENT
from libchronicle.protocol import Side
from libchronicle.strategy.amounts import shortest_amount

if TYPE_CHECKING:
    import numpy
    import polars
    import pyarrow

__all__ = ["BacktestResult", "Columns"]

# The layouts of rows.h: (field, NumPy type), "_" is not shown.
ORDERS = (
    ("id", "u8"),
    ("sent_ns", "i8"),
    ("arrived_ns", "i8"),
    ("done_ns", "i8"),
    ("price", "i8"),
    ("stop_price", "i8"),
    ("qty", "i8"),
    ("cum_qty", "i8"),
    ("cause_ts", "i8"),
    ("venue_order_id", "u8"),
    ("instrument", "u4"),
    ("side", "u1"),
    ("type", "u1"),
    ("tif", "u1"),
    ("post_only", "u1"),
    ("reduce_only", "u1"),
    ("state", "u1"),
    ("reject_code", "u2"),
    ("_pad", "u4"),
    ("_seq", "u8"),
    ("_open_qty", "i8"),
    ("_open_price", "i8"),
)
FILLS = (
    ("ts_ns", "i8"),
    ("order_id", "u8"),
    ("trade_id", "u8"),
    ("exec_id", "u8"),
    ("price", "i8"),
    ("qty", "i8"),
    ("cum_qty", "i8"),
    ("leaves_qty", "i8"),
    ("fee", "i8"),
    ("position", "i8"),
    ("realized", "i8"),
    ("ahead", "i8"),
    ("level_price", "i8"),
    ("level_qty", "i8"),
    ("cause_seq", "u8"),
    ("bid", "i8"),
    ("ask", "i8"),
    ("instrument", "u4"),
    ("side", "u1"),
    ("liquidity", "u1"),
    ("rule", "u1"),
    ("_reserved", "u1"),
)
EQUITY = (
    ("ts_ns", "i8"),
    ("equity", "i8"),
    ("cash", "i8"),
    ("realized", "i8"),
    ("fees", "i8"),
    ("funding", "i8"),
    ("exposure", "i8"),
)
MARKS = (
    ("ts_ns", "i8"),
    ("bid", "i8"),
    ("ask", "i8"),
    ("position", "i8"),
    ("instrument", "u4"),
    ("_reserved", "u4"),
)

RULES = {
    0: "none",
    1: "it took what the book displayed when it arrived",
    2: "its stop price was reached; it took what the book displayed",
    3: "a trade at its price, after the quantity ahead of it",
    4: "a trade through its price",
    5: "the opposite best came to its price",
    255: "the venue closed the position: equity was at or below the maintenance margin",
}


class Columns(Mapping[str, "numpy.ndarray[Any, Any]"]):
    """A table: columns by name, of one length."""

    def __init__(self, columns: dict[str, Any]) -> None:
        self._columns = columns

    def __getitem__(self, name: str) -> numpy.ndarray[Any, Any]:
        found: numpy.ndarray[Any, Any] = self._columns[name]
        return found

    def __iter__(self) -> Any:
        return iter(self._columns)

    def __len__(self) -> int:
        """How many rows."""
        return len(next(iter(self._columns.values())))

    def row(self, number: int) -> dict[str, int]:
        """One row as plain ints. Raises IndexError."""
        return {name: int(column[number]) for name, column in self._columns.items()}

    def to_arrow(self) -> pyarrow.Table:
        import pyarrow

        return pyarrow.table(self._columns)

    def to_polars(self) -> polars.DataFrame:
        import polars

        return polars.DataFrame(self._columns)

    def __repr__(self) -> str:
        return f"<Columns {len(self)} rows of {', '.join(self._columns)}>"


class BacktestResult:
    """Of one run.

    orders, fills   a row per order sent that reached the venue, a row per fill
    equity          a row per `sample` interval and per step that filled: equity, cash, profit realized, fees, funding, exposure
    marks           a row per sample and instrument: best bid and ask (0 none) and position then
    instruments     names; the tables' `instrument` is a place in it
    messages, rows  market records given after `start`; rows: price levels and trades in them
    wall_s          the run itself, without opening the data
    hash            of every market record, request and report in their order: equal for equal runs, in any process
    requests        orders, cancels and replaces sent; `rejects`: those the venue refused, by code
    refusals        what never left, by reason: refused by `ctx.send`, orders that could not be made, instruments that
                    nobody subscribed
    liquidations    how often the venue closed everything; `trips`: how often a breaker tripped
    failure         traceback of the exception that ended the run, "" if none did
    state           what on_save returned
    """

    def __init__(self, tables: Mapping[str, list[Any]], **facts: Any) -> None:
        self._tables = tables
        self.strategy: str = facts["strategy"]
        self.instruments: list[str] = facts["instruments"]
        self.definitions: dict[str, Any] = facts["definitions"]
        self.currency: str = facts["currency"]
        self.params: dict[str, Any] = facts["params"]
        self.settings: dict[str, Any] = facts["settings"]
        self.start_ns: int = facts["start_ns"]
        self.end_ns: int = facts["end_ns"]
        self.sample_ns: int = facts["sample_ns"]
        self.messages: int = facts["messages"]
        self.rows: int = facts["rows"]
        self.wall_s: float = facts["wall_s"]
        self.hash: str = facts["hash"]
        self.requests: int = facts["requests"]
        self.rejects: dict[str, int] = facts["rejects"]
        self.refusals: dict[str, int] = facts["refusals"]
        self.liquidations: int = facts["liquidations"]
        self.trips: int = facts["trips"]
        self.gaps: int = facts["gaps"]
        self.lost: int = facts["lost"]
        self.callbacks: int = facts["callbacks"]
        self.failure: str = facts["failure"]
        self.state: Any = facts["state"]

    money_exponent = MONEY_EXPONENT

    @cached_property
    def orders(self) -> Columns:
        return _columns(self._tables["orders"], ORDERS)

    @cached_property
    def fills(self) -> Columns:
        return _columns(self._tables["fills"], FILLS)

    @cached_property
    def equity(self) -> Columns:
        return _columns(self._tables["equity"], EQUITY)

    @cached_property
    def marks(self) -> Columns:
        return _columns(self._tables["marks"], MARKS)

    def explain(self, fill: int) -> str:
        """Why the fill in row `fill` happened, in a sentence. Raises InvalidArgument."""
        count = len(self.fills)
        if not -count <= fill < count:
            raise InvalidArgument(
                where="explain", field="fill", value=fill, allowed=f"a row of fills, 0 to {count - 1}"
            )
        row = self.fills.row(fill)
        name = self.instruments[row["instrument"]]
        told = self.definitions[name]
        qty, ahead, level_qty = (
            shortest_amount(row[field], told.qty_exponent) for field in ("qty", "ahead", "level_qty")
        )
        price, level = (
            shortest_amount(row[field], told.price_exponent) for field in ("price", "level_price")
        )
        text = f"{Side(row['side']).name} {qty} {name} @ {price}: {RULES.get(row['rule'], 'unknown rule')}"
        if row["rule"] in (3, 4):
            text += f": {level_qty} traded at {level}"
        elif row["level_qty"]:
            text += f": {level_qty} displayed at {level}"
        if row["rule"] == 3:
            text += f", {ahead} were ahead"
        return f"{text} (market record {row['cause_seq']})"

    def report(self, directory: str | Path) -> Path:
        """A page with charts, metrics as JSON, tables as Parquet. Returns the page."""
        report = import_module("libchronicle.backtest.report")  # imported late: a run needs none of it
        return Path(report.write(self, Path(directory)))

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """Figures of the run: profit, drawdown, Sharpe and so on."""
        return dict(import_module("libchronicle.backtest.metrics").of(self))

    def __str__(self) -> str:
        """What one wants to know first, told without NumPy; `metrics` has the rest."""
        size, *chunks = self._tables["equity"]
        equity = [row[1] for row in struct.iter_unpack(f"={size // 8}q", b"".join(chunks))]
        profit = (equity[-1] - equity[0]) * 10.0**MONEY_EXPONENT if equity else 0.0
        fills, orders = (_count(self._tables[name]) for name in ("fills", "orders"))
        return (
            f"{self.strategy}: profit {profit:,.2f} {self.currency}, {fills:,} fills, {orders:,} orders, "
            f"{self.messages:,} messages, hash {self.hash}"
        )

    def __repr__(self) -> str:
        return f"<BacktestResult {self.strategy}: {self.messages} messages, {self.requests} requests, hash {self.hash}>"


def _count(table: list[Any]) -> int:
    size, *chunks = table
    return sum(map(len, chunks)) // int(size)


def _columns(table: list[Any], layout: tuple[tuple[str, str], ...]) -> Columns:
    import numpy

    size, *chunks = table
    kind = numpy.dtype([(name, code) for name, code in layout])
    assert kind.itemsize == size, "the layouts of rows.h and of this module differ"
    rows = numpy.frombuffer(b"".join(chunks), kind) if chunks else numpy.empty(0, kind)
    return Columns({name: numpy.ascontiguousarray(rows[name]) for name, _ in layout if name[0] != "_"})
