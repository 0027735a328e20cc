"""Columns of a reading in the forms of NumPy, Arrow, Polars and pandas. Each is imported when asked for.

Prices and quantities are int64 mantissas; what one is worth says the exponent (value = mantissa * 10 ** exponent), which
Arrow tables carry in their schema's metadata as `price_exponent` and `qty_exponent`. `floats=True` gives float64 values
instead, for plots and statistics.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from libchronicle.errors import HostError, InvalidArgument
from libchronicle.protocol import (
    BookDelta,
    BookMode,
    BookSnapshot,
    Instrument,
    OrderAdd,
    OrderDelete,
    OrderExecute,
    OrderModify,
)
from libchronicle.storage.columns import TABLES, ColumnReader

if TYPE_CHECKING:
    import numpy
    import pyarrow

    from libchronicle.storage.reading import Reading

__all__ = ["ArrowBatches", "library", "numpy_columns", "table_of"]

ROWS: Final = 16_384
_OF_STREAM: Final = {"trade": "trades", "quote": "quotes", "book": "levels"}
_ORDERS: Final = tuple(kind.TEMPLATE_ID for kind in (OrderAdd, OrderModify, OrderDelete, OrderExecute))
_HEAD: Final = 16  # records: the first of a stream is its definition, but for a place that does not hold
_PRICES: Final = ("price", "bid_price", "ask_price")
_QUANTITIES: Final = ("qty", "bid_qty", "ask_qty")
_ARROW: Final = {"q": "int64", "Q": "uint64", "H": "uint16", "B": "uint8"}


def table_of(reading: Reading, table: str | None) -> str:
    """The table asked for, or the one of the stream: of a book of single orders that is `orders`. Raises InvalidArgument."""
    stream = reading.stream.stream
    chosen = table or _OF_STREAM.get(stream, "")
    if table is None and chosen == "levels" and _holds_orders(reading):
        chosen = "orders"
    if chosen not in TABLES:
        allowed = f"one of {', '.join(TABLES)}; the stream {stream!r} has none of its own"
        raise InvalidArgument(where="columns", field="table", value=table, allowed=allowed)
    return chosen


def _holds_orders(reading: Reading) -> bool:
    """As the definition at the head of the stream says, or else the first record of a book."""
    for message in islice(reading.whole(), _HEAD):
        if message.type_id == Instrument.TEMPLATE_ID and Instrument.decode(message).book_mode == BookMode.L3:
            return True
        if message.type_id in (*_ORDERS, BookSnapshot.TEMPLATE_ID, BookDelta.TEMPLATE_ID):
            return message.type_id in _ORDERS
    return False


class ArrowBatches:
    """Record batches of a reading, one after the other: memory is that of one.

    `schema` is known at once but for the exponents, which come with the first Instrument record (`exponents`).
    """

    def __init__(
        self, reading: Reading, table: str | None, rows: int = ROWS, *, floats: bool = False
    ) -> None:
        self._arrow = library("pyarrow")
        self.columns = ColumnReader(reading.merges(), table_of(reading, table), rows)
        self._floats = floats
        self._fields = [
            (name, "float64" if floats and name in _PRICES + _QUANTITIES else _ARROW[kind])
            for name, kind in TABLES[self.columns.name]
        ]

    def __iter__(self) -> Iterator[pyarrow.RecordBatch]:
        arrow = self._arrow
        schema = self.schema
        while True:
            found = self.columns.next_batch()
            if found is None:
                return
            rows, columns = found
            arrays = []
            for (name, kind), field in zip(columns.items(), schema, strict=True):
                plain = getattr(arrow, _ARROW[kind[0]])()
                array = arrow.Array.from_buffers(plain, rows, [None, arrow.py_buffer(kind[1])])
                arrays.append(array if field.type == plain else self._scaled(name, array))
            yield arrow.RecordBatch.from_arrays(arrays, schema=schema)

    @property
    def schema(self) -> pyarrow.Schema:
        return self._arrow.schema([(name, getattr(self._arrow, kind)()) for name, kind in self._fields])

    @property
    def exponents(self) -> tuple[int, int] | None:
        """(price, quantity); None: no Instrument record yet."""
        return _exponents(self.columns.instrument)

    def _scaled(self, name: str, array: pyarrow.Array) -> pyarrow.Array:
        numpy = library("numpy")
        return self._arrow.array(_scale(numpy, name, array.to_numpy(), self.exponents))

    def table(self) -> pyarrow.Table:
        """All of it; exponents, gaps and lost records in the schema's metadata."""
        batches = list(self)
        facts = {"gaps": str(self.columns.gaps), "lost": str(self.columns.lost)}
        if self.exponents is not None:
            facts["price_exponent"], facts["qty_exponent"] = map(str, self.exponents)
        table = self._arrow.Table.from_batches(batches, schema=self.schema)
        return table.replace_schema_metadata(facts)


def numpy_columns(
    reading: Reading, table: str | None, *, floats: bool = False
) -> dict[str, numpy.ndarray[Any, Any]]:
    """Every column whole, by name."""
    numpy = library("numpy")
    columns = ColumnReader(reading.merges(), table_of(reading, table), 1 << 20)
    parts: dict[str, list[Any]] = {name: [] for name, _ in TABLES[columns.name]}
    while (found := columns.next_batch()) is not None:
        rows, batch = found
        for name, (kind, buffer) in batch.items():
            parts[name].append(numpy.frombuffer(buffer, dtype=kind)[:rows])
    kinds = dict(TABLES[columns.name])
    whole = {
        name: numpy.concatenate(arrays) if arrays else numpy.empty(0, dtype=kinds[name])
        for name, arrays in parts.items()
    }
    if floats:
        exponents = _exponents(columns.instrument)
        for name in whole:
            if name in _PRICES + _QUANTITIES:
                whole[name] = _scale(numpy, name, whole[name], exponents)
    return whole


def _scale(numpy: Any, name: str, values: Any, exponents: tuple[int, int] | None) -> Any:
    if exponents is None:
        raise InvalidArgument(
            where="columns",
            field="floats",
            value=True,
            allowed="False: no Instrument record says what a mantissa is worth",
        )
    exponent = exponents[0] if name in _PRICES else exponents[1]
    return values / 10.0**-exponent if exponent < 0 else values * 10.0**exponent


def _exponents(payload: bytes) -> tuple[int, int] | None:
    if not payload:
        return None
    definition = Instrument.decode(payload)
    return definition.price_exponent, definition.qty_exponent


def library(name: str) -> Any:
    """The module, imported now. Raises HostError that says what to install."""
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise HostError(path=name, reason="not installed: pip install 'libchronicle[research]'") from error
