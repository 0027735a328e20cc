"""Where a replay's records go: a queue, a table (CSV or Parquet), or nowhere. A sink is a callback with a `close`.

A table has one row per record: when and what it was, its price, quantity and side if it has one, and the best prices after
it. Prices and quantities are mantissas, as recorded; the instrument's definition holds the exponents.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self

from libchronicle.errors import DecodeError
from libchronicle.protocol import TEMPLATES
from libchronicle.queue import Queue, QueueConfig
from libchronicle.replay.event import ReplayEvent

__all__ = ["COLUMNS", "CsvSink", "NullSink", "ParquetSink", "QueueSink", "Sink"]

COLUMNS: Final = (
    "ts_ns",
    "seq",
    "source",
    "type",
    "instrument_id",
    "venue_ts",
    "price",
    "qty",
    "side",
    "valid",
    "bid_price",
    "bid_qty",
    "ask_price",
    "ask_qty",
)
_BATCH: Final = 65_536


class Sink(Protocol):
    records: int

    def __call__(self, event: ReplayEvent) -> None: ...
    def close(self) -> None: ...


class _Sink:
    records = 0

    def close(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class NullSink(_Sink):
    """Counts."""

    def __call__(self, event: ReplayEvent) -> None:
        self.records += 1


class QueueSink(_Sink):
    """The records as they are, with their times, into a queue of its own. Raises as Queue.open_publisher does."""

    def __init__(self, path: str | os.PathLike[str], config: QueueConfig | None = None) -> None:
        self._writer = Queue.open_publisher(path, config)

    def __call__(self, event: ReplayEvent) -> None:
        self._writer.append(event.type_id, event.payload, event.ts_ns)
        self.records += 1

    def close(self) -> None:
        self._writer.close()


class CsvSink(_Sink):
    """A table as CSV, its columns' names first; nothing stands for what a record does not have."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._file = open(path, "w", newline="", encoding="utf-8")  # noqa: SIM115
        self._rows = csv.writer(self._file, lineterminator="\n")
        self._rows.writerow(COLUMNS)

    def __call__(self, event: ReplayEvent) -> None:
        self._rows.writerow(_row(event))
        self.records += 1

    def close(self) -> None:
        self._file.close()


class ParquetSink(_Sink):
    """A table as Parquet, zstd, row groups of 65,536. The file appears whole, when the sink is closed. Needs `research`."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        numbers = {
            "source": pa.uint16(),
            "instrument_id": pa.uint64(),
            "seq": pa.uint64(),
            "valid": pa.bool_(),
        }
        texts = {name: pa.dictionary(pa.int16(), pa.string()) for name in ("type", "side")}
        kinds = numbers | texts
        self._schema = pa.schema([(name, kinds.get(name, pa.int64())) for name in COLUMNS])
        self._path = Path(path)
        self._making = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        dictionaries: Any = ["type", "side", "instrument_id", "source"]
        self._writer: Any = pq.ParquetWriter(
            self._making,
            self._schema,
            compression="zstd",
            use_dictionary=dictionaries,
        )
        self._rows: list[tuple[Any, ...]] = []

    def __call__(self, event: ReplayEvent) -> None:
        self._rows.append(_row(event))
        self.records += 1
        if len(self._rows) >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        columns = zip(*self._rows, strict=True) if self._rows else [()] * len(COLUMNS)
        arrays = [
            pa.array(list(column), type=field.type)
            for column, field in zip(columns, self._schema, strict=True)
        ]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        self._rows.clear()

    def close(self) -> None:
        if self._writer is None:
            return
        self._flush()
        self._writer.close()
        self._writer = None
        self._making.rename(self._path)

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if kind is None:
            self.close()
        else:  # a table that is not whole is none
            self._writer.close()
            self._writer = None
            self._making.unlink(missing_ok=True)


def _row(event: ReplayEvent) -> tuple[Any, ...]:
    kind = TEMPLATES.get(event.type_id)
    try:
        message: Any = event.message() if kind is not None else None
    except DecodeError:
        message = None
    side = getattr(message, "aggressor", None) or getattr(message, "side", None)
    book = event.book
    bid = book.best_bid if book is not None else None
    ask = book.best_ask if book is not None else None
    return (
        event.ts_ns,
        event.seq,
        event.source,
        str(event.type_id) if kind is None else kind.__name__,
        event.instrument_id,
        getattr(message, "venue_ts", None),
        getattr(message, "price", None),
        getattr(message, "qty", None),
        None if side is None else side.name,
        None if book is None else book.valid,
        *(bid or (None, None)),
        *(ask or (None, None)),
    )
