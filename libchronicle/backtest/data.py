"""What a backtest reads: anything that holds market records, as sources of frames.

archive     an Archive, the directory of one, or a run directory: clean streams book, trade, quote of each instrument; the raw
            queues of a run directory that refined nothing
queue       the directory of one queue (raw or clean)
file        of any kind that `chronicle archive import` knows: a Binance recording, Tardis or LOBSTER CSV, ITCH, npz
rows        a `.parquet` file or a mapping of columns as `tape_of_rows` takes them, with `definition`
tape        a Tape: records in memory
records     any iterable of (type_id, payload, ts_ns)
several     a list of these, merged by time, ties in the order of the list
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from libchronicle.backtest.imported import archive_of
from libchronicle.backtest.tape import Tape, tape_of_rows
from libchronicle.bus.names import decode_name
from libchronicle.errors import InvalidArgument, NoData
from libchronicle.protocol import Instrument
from libchronicle.queue import Queue
from libchronicle.replay import ReadingSource, SpanSource
from libchronicle.replay.source import FrameSource
from libchronicle.storage.archive import Archive
from libchronicle.storage.catalog import Stream, queue_segments
from libchronicle.storage.sources import QueueSource, queues_on_bus
from libchronicle.storage.walk import SegmentSpan

__all__ = ["Data", "Opened", "open_data"]

Kinds = Mapping[str, tuple[str, ...]]


class Opened(NamedTuple):
    """A source and the venue its records are of; "" = the one venue of the run."""

    source: FrameSource
    feed: str


class Data(Protocol):
    """Opened anew for each run."""

    def first_ns(self, names: Collection[str] | None = None) -> int | None:
        """Time of the first record, of these instruments where that can be told apart; None when there is none."""
        ...

    def missing(self, names: Collection[str]) -> list[str]:
        """Those of the instruments that it does not hold; none where only reading it would tell."""
        ...

    def names(self) -> frozenset[str]:
        """The instruments in it, where that can be told."""
        ...

    def open(self, wanted: Kinds, start_ns: int | None, end_ns: int | None) -> list[Opened]:
        """Sources that hold the records of these instruments, those that warm the books before `start_ns` included."""
        ...


def open_data(data: Any, definition: Instrument | None = None) -> Data:
    """Raises InvalidArgument for what is none of the kinds above, NoData for a path that holds none."""
    if isinstance(data, Tape):
        return _TapeData(data)
    if isinstance(data, Archive):
        return _ArchiveData(data)
    if isinstance(data, str | os.PathLike):
        return _of_path(Path(data), definition)
    if isinstance(data, Mapping):
        return _TapeData(_rows(data, definition))
    if isinstance(data, list) and data and not isinstance(data[0], tuple):
        return _Several([open_data(one, definition) for one in data])
    if isinstance(data, Iterable):
        return _TapeData(_records(data))
    allowed = "an archive, queue or recording (path), a Tape, columns, records, or a list of these"
    raise InvalidArgument(where="BacktestRunner", field="data", value=type(data).__name__, allowed=allowed)


def _of_path(path: Path, definition: Instrument | None) -> Data:
    if (path / "control.meta").is_file():
        return _QueueData(path)
    if (path / "v1").is_dir() or (path / "archive").is_dir() or (path / "market_data").is_dir():
        refined = _ArchiveData(Archive(path))
        raw: list[Data] = [
            _QueueData(one.parent) for one in sorted(path.glob("market_data/queue/*/control.meta"))
        ]
        return _Several(raw) if raw and refined.is_empty() else refined
    if path.suffix == ".parquet" and path.is_file():
        return _TapeData(_rows(_parquet(path), definition))
    if path.is_file():
        return _ArchiveData(archive_of(path))
    raise NoData(where=str(path), reason="no archive, queue or recording is there")


class _TapeData:
    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def first_ns(self, names: Collection[str] | None = None) -> int | None:
        return self._tape.first_ns if self._tape.records else None

    def missing(self, names: Collection[str]) -> list[str]:
        return []

    def names(self) -> frozenset[str]:
        return frozenset()

    def open(self, wanted: Kinds, start_ns: int | None, end_ns: int | None) -> list[Opened]:
        return [Opened(self._tape.source(), self._tape.feed)]


class _QueueData:
    """From its first record on, whatever the start: that is where its snapshots are."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def first_ns(self, names: Collection[str] | None = None) -> int | None:
        with Queue.open_subscriber(self._path, None, start="earliest") as reader:
            first = reader.next()
            return None if first is None else first.ts_ns

    def missing(self, names: Collection[str]) -> list[str]:
        return []

    def names(self) -> frozenset[str]:
        return frozenset()

    def open(self, wanted: Kinds, start_ns: int | None, end_ns: int | None) -> list[Opened]:
        refs = queue_segments(self._path)  # where the last one's records end its writer stands, or stood
        spans = (SegmentSpan.open_file(ref.path, live=ref is refs[-1]) for ref in refs)
        return [Opened(SpanSource(spans, str(self._path)), self._feed())]

    def _feed(self) -> str:
        parts = self._path.absolute().parts
        if parts[-3:-1] == ("market_data", "queue"):
            return decode_name(parts[-1])
        return decode_name(parts[-3]) if parts[-5:-3] == ("market_data", "clean") else ""


class _ArchiveData:
    """Clean streams. With a start, each book is warmed from the last snapshot before it."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def first_ns(self, names: Collection[str] | None = None) -> int | None:
        chosen = self.names() if names is None else names
        readings = (self._archive.read(name, stream) for name in chosen for stream in _STREAMS)
        firsts = (next(iter(reading), None) for reading in readings)
        return min((one.ts_ns for one in firsts if one is not None), default=None)

    def missing(self, names: Collection[str]) -> list[str]:
        return [name for name in names if not self._holds(name)]

    def names(self) -> frozenset[str]:
        archived = {(one.venue, one.symbol) for one in self._archive.streams() if one.stream in _STREAMS}
        waiting = {(one.venue, one.symbol) for one in self._queues() if one.stream in _STREAMS}
        return frozenset(f"{venue}:{symbol}" for venue, symbol in archived | waiting)

    def is_empty(self) -> bool:
        """Has nothing been refined for it yet?"""
        archived = any(one.stream in _STREAMS for one in self._archive.layout.partitions())
        begun = (queue_segments(one.path) for one in self._queues() if one.stream in _STREAMS)
        return not archived and not any(begun)

    def _holds(self, name: str) -> bool:
        """Archived, on whichever date, or still in the queues before the archive."""
        venue, _, symbol = name.partition(":")
        for stream in _STREAMS:
            if next(self._archive.layout.partitions(venue, symbol, stream), None) is not None:
                return True
            if any(one.path.is_dir() for one in self._archive.catalog.sources(Stream(venue, symbol, stream))):
                return True
        return False

    def _queues(self) -> Iterable[QueueSource]:
        paths = self._archive.catalog.paths
        return () if paths is None else queues_on_bus(paths)

    def open(self, wanted: Kinds, start_ns: int | None, end_ns: int | None) -> list[Opened]:
        found = []
        for name, kinds in wanted.items():
            venue, _, symbol = name.partition(":")
            since = start_ns
            if start_ns is not None:
                book = self._archive.find_book(name, start_ns - 1)
                since = start_ns if book.book is None else book.from_ns
                if book.definition is not None:
                    found.append(Opened(_told(venue, book.definition, since or start_ns).source(), venue))
            for kind in _STREAMS:
                if kind != "quote" or "quote" in kinds:
                    begin = since if kind == "book" else start_ns
                    reading = self._archive.read(venue, symbol, kind, begin, end_ns)
                    found.append(Opened(ReadingSource(reading), venue))
        return found


_STREAMS = ("book", "trade", "quote")


def _told(venue: str, definition: bytes, ts_ns: int) -> Tape:
    tape = Tape(venue)
    tape.append(Instrument.TEMPLATE_ID, definition, ts_ns)
    return tape


class _Several:
    def __init__(self, parts: list[Data]) -> None:
        self._parts = parts

    def first_ns(self, names: Collection[str] | None = None) -> int | None:
        return min((ns for part in self._parts if (ns := part.first_ns(names)) is not None), default=None)

    def missing(self, names: Collection[str]) -> list[str]:
        left = list(names)
        for part in self._parts:
            left = part.missing(left)
        return left

    def names(self) -> frozenset[str]:
        return frozenset().union(*(part.names() for part in self._parts))

    def open(self, wanted: Kinds, start_ns: int | None, end_ns: int | None) -> list[Opened]:
        return [opened for part in self._parts for opened in part.open(wanted, start_ns, end_ns)]


# ------------------------------------------------------------ into memory


def _records(records: Iterable[tuple[int, Any, int]]) -> Tape:
    tape = Tape()
    for type_id, payload, ts_ns in records:
        tape.append(int(type_id), payload, ts_ns)
    return tape


_COLUMNS = ("kind", "msg_id", "local_ns", "exch_ns", "side", "px", "qty")


def _rows(columns: Mapping[str, Any], definition: Instrument | None) -> Tape:
    missing = [name for name in _COLUMNS if name not in columns]
    if missing:
        raise NoData(
            where="rows", reason=f"no columns {', '.join(missing)}; there must be {', '.join(_COLUMNS)}"
        )
    if definition is None:
        raise NoData(where="rows", reason="rows do not say what they are of: give definition=Instrument(…)")
    return tape_of_rows(definition, *(columns[name] for name in _COLUMNS))


def _parquet(path: Path) -> dict[str, Any]:
    from pyarrow import parquet

    table = parquet.read_table(path, columns=list(_COLUMNS))
    return {name: table[name].to_numpy() for name in _COLUMNS}
