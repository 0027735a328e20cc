"""When the records of a partition were ingested, which its date does not tell: that is the one of the venue's events.

Live records are ingested within a day of their event, but those of a recording that is played years later lie in its
dates. Within a queue later segments hold later records, so of each queue in a partition the first and the last segment
are looked at and no other. What was found is kept until the directory changes: when the clock that stamps directories
had gone on since the last change, so that any later one shows.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from time import clock_gettime_ns
from typing import Final, NamedTuple

from libchronicle.errors import ArchiveError
from libchronicle.storage.layout import ArchiveLayout, Partition, SegmentId, StoredFile, day_bounds

__all__ = ["UNKNOWN", "DirectoryState", "Reach", "Reaches", "file_clock_ns"]

_REALTIME_COARSE: Final = 5  # of <linux/time.h>; Python does not name it
_DAY_NS: Final = 86_400_000_000_000
UNKNOWN: Final = 1 << 62
"""The last time where a segment does not tell it."""
_KEPT: Final = 65_536  # partitions

DirectoryState = tuple[int, int]
"""When a directory changed last, and which it is."""
Listed = Callable[[Partition], dict[SegmentId, StoredFile]]
Times = Callable[[StoredFile], tuple[int, int | None]]


class Reach(NamedTuple):
    """A partition, and (first, last) time of ingest of each queue that has segments there."""

    partition: Partition
    spans: tuple[tuple[int, int], ...]

    def overlaps(self, since_ns: int, until_ns: int) -> bool:
        return any(first < until_ns and last >= since_ns for first, last in self.spans)


class Reaches:
    """Of one archive. `listed` and `times` are the catalog's."""

    def __init__(self, layout: ArchiveLayout, listed: Listed, times: Times) -> None:
        self._layout, self._listed, self._times = layout, listed, times
        self._known: dict[Partition, tuple[DirectoryState, Reach]] = {}

    def of(self, venue: str, symbol: str, stream: str) -> Iterator[Reach]:
        """Of every partition of a stream, by date."""
        for partition in self._layout.partitions(venue, symbol, stream):
            found = self._look(partition)
            if found is not None:
                yield found

    def _look(self, partition: Partition) -> Reach | None:
        now = file_clock_ns()
        try:
            seen = os.stat(self._layout.partition_dir(partition))
        except FileNotFoundError:
            return None
        state = seen.st_mtime_ns, seen.st_ino
        known = self._known.get(partition)
        if known is not None and known[0] == state:
            return known[1]
        reach = Reach(partition, tuple(self._spans(partition)))
        if seen.st_mtime_ns < now:
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[partition] = state, reach
        return reach

    def _spans(self, partition: Partition) -> Iterator[tuple[int, int]]:
        ends: dict[int, tuple[StoredFile, StoredFile]] = {}
        for segment, file in sorted(self._listed(partition).items()):
            first, _ = ends.get(segment.queue_id, (file, file))
            ends[segment.queue_id] = first, file
        for first, last in ends.values():
            try:
                since, until = self._times(first)[0], self._times(last)[1]
            except (FileNotFoundError, ArchiveError):  # moved on, or damaged: as if it were live
                begin, end = day_bounds(partition.day)
                since, until = begin - _DAY_NS, end + _DAY_NS
            yield since, UNKNOWN if until is None else until


def file_clock_ns() -> int:
    """The clock that a file system stamps with, which goes in ticks; 0 where it cannot be asked, and nothing is kept."""
    return clock_gettime_ns(_REALTIME_COARSE) if sys.platform == "linux" else 0
