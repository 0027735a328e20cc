"""Where everything of the archive lies, and what its names mean. No file is opened here.

    <root>/archive/
      manifest.sqlite                          a projection of what follows; made anew from it at any time
      quarantine/                              what could not be taken, each with a reason beside it
      v1/<venue>/<symbol>/<UTC date>/<stream>/
        <queue_id>-<number>.q                  warm: a segment as its queue had it
        <queue_id>-<number>.q.zst              cold: the same bytes, zstd frames and a seek table
        <queue_id>-<number>.q.remote           remote: names the object that holds the bytes of the .q.zst
        <queue_id>-<number>.source.json        of imported segments: where the records come from

queue_id is 16 hexadecimal digits, number 9 decimal ones: together they name a segment for ever, whatever tier it is
in. The date is that of the records' events. Venue and symbol are percent-encoded as every name of the bus. What is no
market data lies under a venue of its own: `_raw` (symbol: the feed), `_orders` (the strategy) and `_sessions` (the
session), dated by the first record. A file being made has a name that starts with a dot.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final, Literal

import msgspec

from libchronicle.bus.names import decode_name, encode_name
from libchronicle.bus.paths import STREAMS, BusPaths
from libchronicle.errors import ForeignFile, InvalidName

__all__ = [
    "ARCHIVE_STREAMS",
    "TIERS",
    "ArchiveLayout",
    "Partition",
    "SegmentId",
    "StoredFile",
    "Tier",
    "day_bounds",
    "day_of",
]

Tier = Literal["hot", "warm", "cold", "remote"]
TIERS: Final[tuple[Tier, ...]] = ("hot", "warm", "cold", "remote")
"""Fastest first: of a segment that is in several, the first is read."""

RAW_VENUE: Final = "_raw"
ORDERS_VENUE: Final = "_orders"
SESSIONS_VENUE: Final = "_sessions"
ARCHIVE_STREAMS: Final = (*STREAMS, "raw", "orders_out", "orders_in", "session")
_LATE: Final = ".late"

_SUFFIXES: Final[dict[str, Tier]] = {".q": "warm", ".q.zst": "cold", ".q.remote": "remote"}
_SUFFIX_OF: Final[dict[str, str]] = {tier: suffix for suffix, tier in _SUFFIXES.items()}
_NAME: Final = re.compile(r"([0-9a-f]{16})-([0-9]{9})(\.q|\.q\.zst|\.q\.remote)")
_PROVENANCE: Final = re.compile(r"([0-9a-f]{16})-([0-9]{9})\.source\.json")
_DAY_NS: Final = 86_400_000_000_000
_EPOCH: Final = date(1970, 1, 1)


class SegmentId(msgspec.Struct, frozen=True, order=True):
    """What a segment is called in every tier."""

    queue_id: int
    number: int

    def __str__(self) -> str:
        return f"{self.queue_id:016x}-{self.number:09d}"


class Partition(msgspec.Struct, frozen=True, order=True):
    """One directory of segments: a stream of an instrument on one UTC date."""

    venue: str
    symbol: str
    day: date
    stream: str

    def __str__(self) -> str:
        return f"{self.venue}/{self.symbol}/{self.day.isoformat()}/{self.stream}"


class StoredFile(msgspec.Struct, frozen=True):
    """A segment's file in one tier."""

    id: SegmentId
    tier: Tier
    path: Path


def day_of(ts_ns: int) -> date:
    """UTC date of a time in ns since the Unix epoch."""
    return _EPOCH + timedelta(days=ts_ns // _DAY_NS)


def day_bounds(day: date) -> tuple[int, int]:
    """First ns of the UTC date, and of the one after it."""
    begin = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000_000
    return begin, begin + _DAY_NS


def plain_stream(stream: str) -> str:
    """The stream whose partitions take a queue's segments: those of a `.late` queue go to the plain one's."""
    return stream.removesuffix(_LATE)


class ArchiveLayout:
    """Paths below `root`, which is the directory `archive`. Makes nothing.

    `bus` is where the queues before it lie: the run directory around it, unless said otherwise.
    """

    __slots__ = ("bus", "root")

    def __init__(self, root: str | os.PathLike[str], bus: BusPaths | None = None) -> None:
        self.root: Final = Path(root)
        self.bus: Final = bus or BusPaths(self.root.parent)

    def __repr__(self) -> str:
        return f"ArchiveLayout({str(self.root)!r})"

    @classmethod
    def of(cls, paths: BusPaths) -> ArchiveLayout:
        return cls(paths.archive_dir, paths)

    # ------------------------------------------------------------ names to paths

    @property
    def manifest(self) -> Path:
        return self.root / "manifest.sqlite"

    @property
    def quarantine(self) -> Path:
        return self.root / "quarantine"

    @property
    def partitions_dir(self) -> Path:
        return self.root / "v1"

    def partition_dir(self, partition: Partition) -> Path:
        """Raises InvalidName for names that the bus refuses, and for a stream the archive has none of."""
        if partition.stream not in ARCHIVE_STREAMS:
            raise InvalidName(
                name=partition.stream, kind="stream", reason=f"allowed are {', '.join(ARCHIVE_STREAMS)}"
            )
        market = encode_name(partition.venue, "venue"), encode_name(partition.symbol, "symbol")
        return self.partitions_dir.joinpath(*market, partition.day.isoformat(), partition.stream)

    def segment(self, partition: Partition, segment: SegmentId, tier: Tier) -> Path:
        """The segment's file in an archived tier: warm, cold or remote."""
        return self.partition_dir(partition) / f"{segment}{_SUFFIX_OF[tier]}"

    def provenance(self, partition: Partition, segment: SegmentId) -> Path:
        return self.partition_dir(partition) / f"{segment}.source.json"

    # ------------------------------------------------------------ paths to names

    def parse(self, path: Path) -> tuple[Partition, StoredFile]:
        """Which segment a file is. Raises ForeignFile: its name is none, or it lies where none may."""
        match = _NAME.fullmatch(path.name)
        if match is None:
            raise ForeignFile(path=str(path), reason="no name of a segment")
        partition = self.parse_partition(path.parent)
        segment = SegmentId(int(match[1], 16), int(match[2]))
        return partition, StoredFile(segment, _SUFFIXES[match[3]], path)

    def parse_partition(self, directory: Path) -> Partition:
        """Raises ForeignFile."""
        try:
            venue, symbol, day, stream = directory.relative_to(self.partitions_dir).parts
            if stream not in ARCHIVE_STREAMS:
                raise ValueError
            return Partition(decode_name(venue, "venue"), decode_name(symbol, "symbol"), _day(day), stream)
        except (ValueError, InvalidName):
            raise ForeignFile(
                path=str(directory), reason="no partition: venue/symbol/YYYY-MM-DD/stream"
            ) from None

    # ------------------------------------------------------------ what is there

    def partitions(
        self,
        venue: str | None = None,
        symbol: str | None = None,
        stream: str | None = None,
        first: date | None = None,
        last: date | None = None,
    ) -> Iterator[Partition]:
        """Partitions that have a directory, in the order venue, symbol, date, stream. None = any; dates inclusive.

        Strangers' directories are passed over: `strangers` names them.
        """
        for venue_dir in _chosen(self.partitions_dir, venue and encode_name(venue, "venue")):
            for symbol_dir in _chosen(venue_dir, symbol and encode_name(symbol, "symbol")):
                for day_dir in _chosen(symbol_dir, None):
                    for stream_dir in _chosen(day_dir, stream):
                        if stream is not None and not stream_dir.is_dir():
                            continue
                        try:
                            partition = self.parse_partition(stream_dir)
                        except ForeignFile:
                            continue
                        if (first is None or first <= partition.day) and (
                            last is None or partition.day <= last
                        ):
                            yield partition

    def files(self, partition: Partition) -> list[StoredFile]:
        """Segment files of a partition by (queue_id, number), fastest tier first. Empty if there is no such directory."""
        found = []
        directory = self.partition_dir(partition)
        for name in _listing(directory):
            match = _NAME.fullmatch(name)
            if match is not None:
                segment = SegmentId(int(match[1], 16), int(match[2]))
                found.append(StoredFile(segment, _SUFFIXES[match[3]], directory / name))
        return sorted(found, key=lambda file: (file.id, TIERS.index(file.tier)))

    def strangers(self) -> Iterator[Path]:
        """What lies below v1 and is none of the archive's own; files being made, which start with a dot, are not
        looked at.
        """
        top = str(self.partitions_dir)
        for where, directories, names in os.walk(top):
            directories.sort()
            depth = 0 if where == top else len(Path(where).relative_to(top).parts)
            for name in sorted(names):
                own = depth == 4 and (_NAME.fullmatch(name) or _PROVENANCE.fullmatch(name))
                if not own and not name.startswith("."):
                    yield Path(where, name)
            if depth == 4:
                try:
                    self.parse_partition(Path(where))
                except ForeignFile:
                    yield Path(where)
                directories.clear()


def _day(text: str) -> date:
    day = date.fromisoformat(text)
    if day.isoformat() != text:
        raise ValueError(text)
    return day


def _listing(directory: Path) -> list[str]:
    try:
        return os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _chosen(directory: Path, name: str | None) -> Iterator[Path]:
    if name is not None:
        yield directory / name
        return
    for entry in sorted(_listing(directory)):
        if not entry.startswith("."):
            yield directory / entry
