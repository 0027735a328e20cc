"""Where rows of features go: Parquet files in a Hive layout, a CSV file, or nowhere.

    <root>/venue=<venue>/symbol=<symbol>/date=<UTC date>/<name>.parquet

DuckDB, Polars, Spark and Ray read that where it lies, and open only the files of the partitions that are asked for. Rows are in
order of `ts`; files appear when all are complete, in place of what an earlier run had written there (making.py).

A time is two columns: as a timestamp in UTC with microseconds, which all of these engines know, and as exact ns since
the epoch, `<name>_ns`.
"""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, Final, Protocol
from urllib.parse import quote

from libchronicle.bus.files import host_error
from libchronicle.errors import InvalidName
from libchronicle.etl.making import Making
from libchronicle.signals import Column, FeatureBatch
from libchronicle.storage.frames import library

__all__ = ["CsvSink", "NullSink", "ParquetSink", "RowSink"]

ROW_GROUP: Final = 1 << 17
_DAY_NS: Final = 86_400_000_000_000
_LEVEL: Final = 3  # of zstd
_ENCODINGS: Final = {
    "time": "DELTA_BINARY_PACKED",
    "int": "DELTA_BINARY_PACKED",
    "float": "BYTE_STREAM_SPLIT",
    "bool": "PLAIN",
}


class RowSink(Protocol):
    """Takes batches in order. `close` makes what was written appear; `abandon` leaves nothing of it."""

    @property
    def files(self) -> list[Path]: ...

    def begin(self, columns: Sequence[Column]) -> None: ...
    def write(self, batch: FeatureBatch) -> None: ...
    def close(self) -> None: ...
    def abandon(self) -> None: ...


class NullSink:
    """Counts, keeps nothing."""

    def __init__(self) -> None:
        self.files: list[Path] = []
        self.rows = 0

    def begin(self, columns: Sequence[Column]) -> None:
        return None

    def write(self, batch: FeatureBatch) -> None:
        self.rows += batch.rows

    def close(self) -> None:
        return None

    def abandon(self) -> None:
        return None


class CsvSink:
    """One file: a header, then a row each; times as ns, nulls as nothing. Raises NoSpace, NoPermission, HostError."""

    def __init__(self, path: Path) -> None:
        self.files: list[Path] = []
        self._path = path
        self._making: Making | None = None
        self._file: IO[str] | None = None
        self._csv: Any = None

    def begin(self, columns: Sequence[Column]) -> None:
        try:
            self._making = Making(self._path.parent)
            beside = self._making.path(self._path)
            self._file = open(beside, "w", newline="", encoding="utf-8")  # noqa: SIM115 - closed by close
        except OSError as error:
            raise host_error(error, self._path) from error
        self._csv = csv.writer(self._file)
        self._csv.writerow([column.name for column in columns])

    def write(self, batch: FeatureBatch) -> None:
        try:
            self._csv.writerows(zip(*(column.to_list() for column in batch.columns), strict=True))
        except OSError as error:
            raise host_error(error, self._path) from error

    def close(self) -> None:
        if self._file is not None and self._making is not None:
            try:
                self._file.close()
                self.files += self._making.publish()
            except OSError as error:
                raise host_error(error, self._path) from error
            self._file = None

    def abandon(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None
        if self._making is not None:
            self._making.abandon()


class ParquetSink:
    """zstd, encodings that fit what columns hold, row groups of 131,072 rows. Needs pyarrow. Raises as CsvSink."""

    def __init__(self, root: Path, venue: str, symbol: str, name: str = "part-0") -> None:
        if not name or quote(name, safe="") != name:
            raise InvalidName(
                name=name, kind="Parquet file", reason="letters, digits, dots, dashes and underscores"
            )
        self.files: list[Path] = []
        self._root = root
        self._base = root / f"venue={quote(venue, safe='')}" / f"symbol={quote(symbol, safe='')}"
        self._name = f"{name}.parquet"
        self._columns: Sequence[Column] = ()
        self._making: Making | None = None
        self._day = -1
        self._writer: Any = None

    def begin(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        try:
            self._making = Making(self._root)
        except OSError as error:
            raise host_error(error, self._root) from error

    def write(self, batch: FeatureBatch) -> None:
        rows = _both_times(batch.to_arrow())
        times = batch.columns[0].to_numpy()
        try:
            for day, first, last in _days(times):
                if day != self._day:
                    self._turn(day, rows.schema)
                self._writer.write_batch(rows.slice(first, last - first), row_group_size=ROW_GROUP)
        except OSError as error:
            raise host_error(error, self._base) from error

    def _turn(self, day: int, schema: Any) -> None:
        pq = library("pyarrow.parquet")
        self._end_day()
        date = datetime.fromtimestamp(day * 86_400, UTC).date().isoformat()
        assert self._making is not None
        self._day = day
        self._writer = pq.ParquetWriter(
            self._making.path(self._base / f"date={date}" / self._name),
            schema,
            compression="zstd",
            compression_level=_LEVEL,
            use_dictionary=False,
            column_encoding=_encodings(self._columns),
            sorting_columns=[pq.SortingColumn(0)],
            version="2.6",
            data_page_version="2.0",
            write_page_index=True,
        )

    def _end_day(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def close(self) -> None:
        try:
            self._end_day()
            if self._making is not None:
                self.files += self._making.publish()
        except OSError as error:
            raise host_error(error, self._base) from error

    def abandon(self) -> None:
        try:
            self._end_day()
        finally:
            if self._making is not None:
                self._making.abandon()


def _both_times(rows: Any) -> Any:
    """Each time in ns as one in µs, with the ns beside it."""
    pa, pc = library("pyarrow"), library("pyarrow.compute")
    names, columns = [], []
    for name, column in zip(rows.schema.names, rows.columns, strict=True):
        if pa.types.is_timestamp(column.type):
            exact = column.cast(pa.int64())
            names += [name, f"{name}_ns"]
            columns += [pc.divide(exact, 1000).cast(pa.timestamp("us", "UTC")), exact]
        else:
            names.append(name)
            columns.append(column)
    return pa.RecordBatch.from_arrays(columns, names)


def _encodings(columns: Sequence[Column]) -> dict[str, str]:
    found = {column.name: _ENCODINGS[column.kind] for column in columns}
    return found | {f"{column.name}_ns": _ENCODINGS["time"] for column in columns if column.kind == "time"}


def _days(times: Any) -> Iterator[tuple[int, int, int]]:
    """(UTC day, first row, row after the last) of a column of ascending times."""
    np = library("numpy")
    days = times // _DAY_NS
    edges = [0, *(np.flatnonzero(np.diff(days)) + 1).tolist(), len(days)]
    for first, last in pairwise(edges):
        if last > first:
            yield int(days[first]), first, last
