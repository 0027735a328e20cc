"""Which segments there are of a stream, in which tier each is at this moment, and their bytes.

The directories say what is there; the manifest only saves looking into files. Hot is listed before the archive, and
an archived name appears before the hot one goes, so nothing on its way from one to the other is missed. Between
listing and opening a file may move on: then it is looked for again.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Final

import msgspec

from libchronicle.bus.files import host_error
from libchronicle.bus.paths import BusPaths
from libchronicle.errors import ArchiveError, BadSegment, ChronicleError, EnvironmentFault, SegmentMoved
from libchronicle.native.binding import parse_segment
from libchronicle.storage.facts import SegmentFacts
from libchronicle.storage.layout import ArchiveLayout, Partition, SegmentId, StoredFile, Tier
from libchronicle.storage.manifest import Manifest
from libchronicle.storage.seekable import SeekableZstd, open_seekable
from libchronicle.storage.sources import QueueSource, hot_queues
from libchronicle.storage.walk import SegmentSpan

__all__ = ["Catalog", "SegmentRef", "Stream", "queue_files", "queue_segments"]

_HEAD: Final = 128
_ATTEMPTS: Final = 16
_SEEN: Final = 16_384
_UNKNOWN: Final = (0, None)

OpenRemote = Callable[[Path], SeekableZstd]


class Stream(msgspec.Struct, frozen=True):
    """What is read: one stream of one instrument, all of its days."""

    venue: str
    symbol: str
    stream: str

    def __str__(self) -> str:
        return f"{self.venue}/{self.symbol}/{self.stream}"


class SegmentRef(msgspec.Struct, frozen=True):
    """A segment where it was seen last.

    No record is older than `from_ts`; none newer than `last_ts`, where that is known.
    """

    id: SegmentId
    tier: Tier
    path: Path
    from_ts: int
    last_ts: int | None
    partition: Partition | None = None  # None: hot

    def overlaps(self, since_ns: int, until_ns: int) -> bool:
        return self.from_ts < until_ns and (self.last_ts is None or self.last_ts >= since_ns)


class Catalog:
    """Looks at one archive and the queues before it. `paths` None: there is no bus, only the archive."""

    def __init__(
        self, layout: ArchiveLayout, paths: BusPaths | None, open_remote: OpenRemote | None = None
    ) -> None:
        self.layout, self.paths = layout, paths
        self._open_remote = open_remote
        self._manifest: Manifest | None = None
        self._manifest_tried = False
        self._seen: dict[SegmentId, tuple[int, int | None]] = {}

    def close(self) -> None:
        if self._manifest is not None:
            self._manifest.close()
        self._manifest, self._manifest_tried = None, False

    # ------------------------------------------------------------ what is there

    def streams(self) -> list[Stream]:
        """Everything that is archived, sorted."""
        return sorted(
            {Stream(p.venue, p.symbol, p.stream) for p in self.layout.partitions()},
            key=lambda one: (one.venue, one.symbol, one.stream),
        )

    def days(self, stream: Stream) -> list[date]:
        """Dates that have a partition of the stream, ascending."""
        return sorted({p.day for p in self.layout.partitions(stream.venue, stream.symbol, stream.stream)})

    def sources(self, stream: Stream) -> list[QueueSource]:
        return (
            [] if self.paths is None else hot_queues(self.paths, stream.venue, stream.symbol, stream.stream)
        )

    def hot(self, stream: Stream) -> list[SegmentRef]:
        """Segments still in their queues, begun ones only."""
        return [ref for source in self.sources(stream) for ref in queue_segments(source.path)]

    def archived(self, partition: Partition) -> list[SegmentRef]:
        """Segments of a partition by (queue_id, number), each in its fastest tier."""
        files = self._listed(partition)
        hints = self._hints(partition) if files else {}
        found = []
        for segment, file in files.items():
            try:
                times = hints.get(segment) or self._times(file)
            except FileNotFoundError:
                continue  # moved on: its other name was listed, or `open` looks again
            except (ChronicleError, OSError):
                times = _UNKNOWN  # what is wrong with it is told when its turn comes and it is opened
            found.append(SegmentRef(segment, file.tier, file.path, *times, partition=partition))
        return _placed(found)

    def _listed(self, partition: Partition) -> dict[SegmentId, StoredFile]:
        """A listing is no snapshot: a file renamed meanwhile may show under neither name. So two of them must agree."""
        before: dict[SegmentId, StoredFile] | None = None
        for _ in range(_ATTEMPTS):
            now: dict[SegmentId, StoredFile] = {}
            for file in self.layout.files(partition):
                now.setdefault(file.id, file)
            if before is not None and now.keys() == before.keys():
                return now
            before = now
        return before or {}

    def _hints(self, partition: Partition) -> dict[SegmentId, tuple[int, int]]:
        manifest = self.manifest
        if manifest is None:
            return {}
        try:
            rows = manifest.find(
                partition.venue, partition.symbol, partition.stream, partition.day, partition.day
            )
            return {row.id: (row.facts.first_ts, row.facts.last_ts) for row in rows}
        except (ArchiveError, EnvironmentFault):
            return {}

    @property
    def manifest(self) -> Manifest | None:
        """None where there is none that can be read."""
        if not self._manifest_tried:
            self._manifest_tried = True
            with contextlib.suppress(FileNotFoundError, ArchiveError, EnvironmentFault):
                self._manifest = Manifest(self.layout.manifest, read_only=True)
        return self._manifest

    def _times(self, file: StoredFile) -> tuple[int, int | None]:
        """Of a file that the manifest does not know. What a segment's name stands for never changes, so it is kept."""
        known = self._seen.get(file.id)
        if known is not None:
            return known
        if file.tier == "warm":
            times = _head_times(file.path) or _UNKNOWN
        else:
            source = self.open_packed(file.path, file.tier)
            times = _UNKNOWN
            if source.facts:
                facts = SegmentFacts.from_json(source.facts, str(file.path))
                times = facts.first_ts, facts.last_ts
        if len(self._seen) >= _SEEN:
            self._seen.clear()
        self._seen[file.id] = times
        return times

    # ------------------------------------------------------------ bytes

    def open_packed(self, path: Path, tier: Tier) -> SeekableZstd:
        """A cold or remote file. Raises FileNotFoundError, ArchiveError, and what the object store raises."""
        if tier == "cold":
            return open_seekable(path)
        if self._open_remote is None:
            raise ArchiveError(
                path=str(path), reason="lies in an object store, and no client for it is set up"
            )
        return self._open_remote(path)

    def open(self, ref: SegmentRef, stream: Stream) -> SegmentSpan | None:
        """The segment's bytes, wherever they are by now; None: nowhere.

        Raises BadSegment, SegmentMoved, ArchiveError, NoPermission.
        """
        for _ in range(_ATTEMPTS):
            try:
                if ref.tier in ("hot", "warm"):
                    span = SegmentSpan.open_file(ref.path, ref.tier == "hot")
                else:
                    span = SegmentSpan.from_source(self.open_packed(ref.path, ref.tier), str(ref.path))
            except FileNotFoundError:
                again = self.locate(ref.id, stream, ref.partition)
                if again is None:
                    return None
                ref = again
                continue
            except OSError as error:
                raise host_error(error, ref.path) from error
            if (span.queue_id, span.number) != (ref.id.queue_id, ref.id.number):
                if ref.tier == "hot":  # the queue was made anew between the two looks
                    again = self.locate(ref.id, stream, ref.partition)
                    if again is None:
                        return None
                    ref = again
                    continue
                raise BadSegment(
                    path=str(ref.path),
                    reason="another segment than its name says",
                    offset=24,
                    seq=span.first_seq,
                )
            return span
        raise SegmentMoved(path=str(ref.path), attempts=_ATTEMPTS)

    def locate(
        self, segment: SegmentId, stream: Stream, partition: Partition | None = None
    ) -> SegmentRef | None:
        """Where a segment is now. `partition`, if known, is looked at before all others."""
        for source in self.sources(stream):
            ref = _queue_segment(source.path, segment.number)
            if ref is not None and ref.id == segment:
                return ref
        own = [partition] if partition is not None else []
        for candidate in (*own, *self._by_day(stream)):
            file = self._listed(candidate).get(segment)
            if file is not None:
                return SegmentRef(segment, file.tier, file.path, 0, None, candidate)
        return None

    def _by_day(self, stream: Stream) -> Iterator[Partition]:
        """Newest first: what is looked for has most likely just been archived."""
        for day in reversed(self.days(stream)):
            yield Partition(stream.venue, stream.symbol, day, stream.stream)

    def after(self, segment: SegmentId, stream: Stream) -> SegmentRef | None:
        """The segment of the same queue that follows; None: there is none yet."""
        wanted = SegmentId(segment.queue_id, segment.number + 1)
        for source in self.sources(stream):
            for number in queue_files(source.path):
                ref = _queue_segment(source.path, number) if number > segment.number else None
                if ref is not None and ref.id.queue_id == segment.queue_id:
                    return ref if ref.id == wanted else self.locate(wanted, stream) or ref
        return None


def _placed(refs: list[SegmentRef]) -> list[SegmentRef]:
    """Segments that do not tell their times get those of their neighbours in the queue."""
    found = list(refs)
    for at, ref in enumerate(refs):
        if (ref.from_ts, ref.last_ts) != _UNKNOWN:
            continue
        before, after = (
            refs[i] if 0 <= i < len(refs) and refs[i].id.queue_id == ref.id.queue_id else None
            for i in (at - 1, at + 1)
        )
        from_ts = 0 if before is None else before.from_ts
        last_ts = after.from_ts if after is not None and after.from_ts else None
        found[at] = msgspec.structs.replace(ref, from_ts=from_ts, last_ts=last_ts)
    return found


# ---------------------------------------------------------------- queues


def queue_segments(directory: Path) -> list[SegmentRef]:
    """The segments of a queue that have begun, by number. Empty where there is no queue."""
    found = (_queue_segment(directory, number) for number in queue_files(directory))
    return [ref for ref in found if ref is not None]


def queue_files(directory: Path) -> list[int]:
    """Numbers of all files of a queue that are named as its segments, whatever they hold, ascending."""
    try:
        names = os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(
        int(name[:9])
        for name in names
        if len(name) == 11 and name.endswith(".q") and name.isascii() and name[:9].isdigit()
    )


def _queue_segment(directory: Path, number: int) -> SegmentRef | None:
    path = directory / f"{number:09d}.q"
    facts = _head(path)
    if facts is None or not facts["begun"] or not facts["sound"]:
        return None
    last = facts["last_ts_ns"] if facts["sealed"] and not facts["quarantined"] else None
    return SegmentRef(SegmentId(facts["queue_id"], number), "hot", path, facts["first_ts_ns"], last)


def _head_times(path: Path) -> tuple[int, int | None] | None:
    facts = _head(path, missing_ok=False)
    if facts is None or not facts["sound"] or not facts["begun"]:
        return None
    return facts["first_ts_ns"], facts["last_ts_ns"] if facts["sealed"] and not facts["quarantined"] else None


def _head(path: Path, *, missing_ok: bool = True) -> dict[str, int] | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        if not missing_ok:
            raise
        return None
    except OSError as error:
        raise host_error(error, path) from error
    try:
        return parse_segment(os.pread(fd, _HEAD, 0))
    finally:
        os.close(fd)
