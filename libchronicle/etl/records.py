"""Records of a replay as they are: into another queue, as rows of a CSV or Parquet file, or only counted.

Rows are in long form, one for each level, order, trade and side of a quote:

    ts_ns, venue_ts_ns, type, instrument, id, side, price, qty
    type   snapshot, delta, quote, trade, add, modify, delete, execute, reset, gap, phase
    id     last update id of a book record, trade id, order id; of a gap the id that was expected

A snapshot of single orders is a row for each order, by its id. A snapshot or delta without
levels is one row without side, price and quantity, as a reset or gap is.
"""

from __future__ import annotations

import csv
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final, Self

from libchronicle.bus.files import host_error
from libchronicle.bus.paths import STREAMS
from libchronicle.errors import InvalidArgument
from libchronicle.protocol import (
    BestBidAsk,
    BookDelta,
    BookReset,
    BookSnapshot,
    Gap,
    Instrument,
    OrderAdd,
    OrderBookFlags,
    OrderDelete,
    OrderExecute,
    OrderModify,
    PhaseChange,
    SbeMessage,
    Side,
    Trade,
    format_decimal,
)
from libchronicle.queue import QueueConfig
from libchronicle.replay import NullSink, QueueSink, ReplayEvent, archive_replay
from libchronicle.storage.archive import Archive, Time
from libchronicle.storage.catalog import Stream
from libchronicle.storage.definitions import definition_of
from libchronicle.storage.frames import library

__all__ = ["CsvRecords", "ParquetRecords", "export_records", "record_sink"]

HEADER: Final = ("ts_ns", "venue_ts_ns", "type", "instrument", "id", "side", "price", "qty")
_SIDES: Final = {Side.BUY: "buy", Side.SELL: "sell", Side.NONE: ""}
_ORDER_TYPES: Final = {OrderAdd: "add", OrderModify: "modify", OrderDelete: "delete", OrderExecute: "execute"}
_KEEP_ALL: Final = (1 << 32) - 1
_CHUNK: Final = 1 << 16

Row = tuple[int, int, str, str, int, str, int | None, int | None]
"""Price and quantity as mantissas."""


def export_records(
    archive: Archive,
    venue: str,
    symbol: str,
    kind: str,
    out: Path,
    start: Time | None = None,
    end: Time | None = None,
    **filters: Any,
) -> int:
    """An instrument's book, trades and quotes with start <= time < end to csv, parquet, queue or null; how many records.

    `filters` are Replay's. Raises InvalidArgument, and what reading and writing raise; no file appears that is not whole.
    """
    definitions = [definition_of(archive, Stream(venue, symbol, stream)) for stream in STREAMS]
    with record_sink(kind, out, next(filter(None, definitions), None)) as sink:
        archive_replay(archive, [f"{venue}:{symbol}"], STREAMS, start, end, **filters).run(sink)
    return int(sink.records)


def record_sink(kind: str, out: Path, definition: Instrument | None = None) -> Any:
    """`definition`: of the instrument, where its record may lie before the range. Raises InvalidArgument."""
    if kind == "queue":
        return QueueSink(out, QueueConfig(segment_size=16 << 20, retain_segments=_KEEP_ALL, prefault=False))
    if kind == "null":
        return NullSink()
    if kind not in ("csv", "parquet"):
        raise InvalidArgument(where="records", field="sink", value=kind, allowed="queue, csv, parquet, null")
    sink = CsvRecords(out) if kind == "csv" else ParquetRecords(out)
    if definition is not None:
        sink.learn(definition)
    return sink


class _RowSink(ABC):
    """Knows the instruments it has met, and turns records into rows."""

    def __init__(self, path: Path) -> None:
        self.records = 0
        self._path = path
        self._beside = path.with_name(f".{path.name}.making")
        self._known: dict[int, tuple[str, int, int]] = {}

    @abstractmethod
    def __call__(self, event: ReplayEvent) -> None:
        """Takes one record."""

    @abstractmethod
    def close(self) -> None:
        """The file is whole, and appears under its name."""

    @abstractmethod
    def abandon(self) -> None:
        """Nothing of it is left."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    def _rows(self, event: ReplayEvent) -> Iterator[Row]:
        message = event.message()
        if isinstance(message, Instrument):
            self.learn(message)
        elif message is not None:
            yield from _rows_of(event.ts_ns, self._of(message)[0], message)

    def learn(self, definition: Instrument) -> None:
        name = f"{definition.venue}:{definition.symbol}"
        self._known[definition.instrument_id] = (name, definition.price_exponent, definition.qty_exponent)

    def _of(self, message: Any) -> tuple[str, int, int]:
        number = getattr(message, "instrument_id", 0)
        return self._known.get(number, (f"{number:#018x}" if number else "", 0, 0))

    def _exponents(self, event: ReplayEvent) -> tuple[int, int]:
        return self._known.get(event.instrument_id, ("", 0, 0))[1:]


class CsvRecords(_RowSink):
    """Prices and quantities as exact decimals. Raises NoSpace, NoPermission, HostError."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[str] = open(self._beside, "w", newline="", encoding="utf-8")  # noqa: SIM115 - closed by close
        except OSError as error:
            raise host_error(error, path) from error
        self._csv = csv.writer(self._file)
        self._csv.writerow(HEADER)

    def __call__(self, event: ReplayEvent) -> None:
        rows = list(self._rows(event))
        prices, qtys = self._exponents(event)
        try:
            for *head, price, qty in rows:
                self._csv.writerow([*head, _text(price, prices), _text(qty, qtys)])
        except OSError as error:
            raise host_error(error, self._path) from error
        self.records += 1

    def close(self) -> None:
        self._file.close()
        self._beside.rename(self._path)

    def abandon(self) -> None:
        self._file.close()
        self._beside.unlink(missing_ok=True)


class ParquetRecords(_RowSink):
    """Prices and quantities as float64. Needs pyarrow. Raises as CsvRecords."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        pa, pq = library("pyarrow"), library("pyarrow.parquet")
        time, name = pa.int64(), pa.dictionary(pa.int32(), pa.string())
        kinds = (time, time, name, name, pa.uint64(), name, pa.float64(), pa.float64())
        self._pa = pa
        self._schema = pa.schema(list(zip(HEADER, kinds, strict=True)))
        self._buffer: list[tuple[Any, ...]] = []
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer: Any = pq.ParquetWriter(
                self._beside,
                self._schema,
                compression="zstd",
                compression_level=3,
                use_dictionary=["type", "instrument", "side"],
                column_encoding={
                    "ts_ns": "DELTA_BINARY_PACKED",
                    "venue_ts_ns": "DELTA_BINARY_PACKED",
                    "id": "DELTA_BINARY_PACKED",
                    "price": "BYTE_STREAM_SPLIT",
                    "qty": "BYTE_STREAM_SPLIT",
                },
                sorting_columns=[pq.SortingColumn(0)],
                version="2.6",
            )
        except OSError as error:
            raise host_error(error, path) from error

    def __call__(self, event: ReplayEvent) -> None:
        rows = list(self._rows(event))
        prices, qtys = self._exponents(event)
        price_scale, qty_scale = 10.0**-prices, 10.0**-qtys
        for *head, price, qty in rows:
            scaled = (
                None if price is None else price / price_scale,
                None if qty is None else qty / qty_scale,
            )
            self._buffer.append((*head, *scaled))
        self.records += 1
        if len(self._buffer) >= _CHUNK:
            self._flush()

    def _flush(self) -> None:
        if not self._buffer:
            return
        columns = [
            self._pa.array(list(column), kind)
            for column, kind in zip(zip(*self._buffer, strict=True), self._schema.types, strict=True)
        ]
        try:
            self._writer.write_table(self._pa.table(columns, schema=self._schema))
        except OSError as error:
            raise host_error(error, self._path) from error
        self._buffer.clear()

    def close(self) -> None:
        self._flush()
        self._writer.close()
        self._beside.rename(self._path)

    def abandon(self) -> None:
        self._writer.close()
        self._beside.unlink(missing_ok=True)


def _text(mantissa: int | None, exponent: int) -> str:
    if mantissa is None:
        return ""
    text = format_decimal(mantissa, exponent)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _order_type(m: OrderAdd | OrderModify | OrderExecute) -> str:
    """An order that a snapshot tells of stood there already."""
    if isinstance(m, OrderAdd) and m.flags & OrderBookFlags.INJECTED:
        return "snapshot"
    return _ORDER_TYPES[type(m)]


def _rows_of(ts: int, name: str, m: SbeMessage) -> Iterator[Row]:
    match m:
        case BookSnapshot() | BookDelta():
            kind = "snapshot" if isinstance(m, BookSnapshot) else "delta"
            levels: list[tuple[str, int | None, int | None]] = [("buy", *level) for level in m.bids]
            levels += [("sell", *level) for level in m.asks]
            for side, price, qty in levels or [("", None, None)]:
                yield ts, m.venue_ts, kind, name, m.last_update_id, side, price, qty
        case BestBidAsk():
            yield ts, m.venue_ts, "quote", name, m.update_id, "buy", m.bid_price, m.bid_qty
            yield ts, m.venue_ts, "quote", name, m.update_id, "sell", m.ask_price, m.ask_qty
        case Trade():
            yield ts, m.venue_ts, "trade", name, m.trade_id, _SIDES.get(m.aggressor, ""), m.price, m.qty
        case OrderAdd() | OrderModify() | OrderExecute():
            yield (
                ts,
                m.venue_ts,
                _order_type(m),
                name,
                m.order_id,
                _SIDES.get(m.side, ""),
                m.price,
                m.qty,
            )
        case OrderDelete():
            yield ts, m.venue_ts, "delete", name, m.order_id, _SIDES.get(m.side, ""), None, m.qty
        case BookReset():
            yield ts, m.venue_ts, "reset", name, 0, "", None, None
        case PhaseChange():
            yield ts, m.venue_ts, "phase", name, m.venue_seq, "", None, None
        case Gap():
            yield ts, 0, "gap", name, m.expected_id, "", None, None
