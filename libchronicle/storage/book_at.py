"""The book of an instrument at a time: locate, go back to the last snapshot, rebuild.

Clean streams have a snapshot before the delta at which 60 s or 20,000 levels have passed (the refinery's settings), so what is
read is bounded by that, whatever the size of the archive: two segments or so. A stream without snapshots, of single orders
say, is read from where it begins.

A partition is listed again only when its directory has changed: a listing is kept when the clock that stamps directories had
gone on since the last change, so that any later change shows. What moved on after that is found by the catalog.
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Final, NamedTuple

from libchronicle.book import L2Book, L3Book
from libchronicle.protocol import instrument_id
from libchronicle.storage.catalog import Catalog, SegmentRef, Stream
from libchronicle.storage.chain import Chain, Merge
from libchronicle.storage.layout import Partition, SegmentId, day_of
from libchronicle.storage.lookback import definition_of, last_snapshot, rebuild
from libchronicle.storage.walk import SegmentSpan

__all__ = ["BookAt", "BookFinder"]

_DAY: Final = timedelta(days=1)
_REALTIME_COARSE: Final = 5  # of <linux/time.h>; Python does not name it
_BEGINNING: Final = -(1 << 62)


class BookAt(NamedTuple):
    """`book` None: nothing of a book was recorded up to then. `from_ns`: the snapshot it was rebuilt from; None: the beginning.

    `last_ns`: of the last record in it, `records`: how many were applied, `segments`: how many were opened.
    """

    book: L2Book | L3Book | None
    from_ns: int | None
    last_ns: int | None
    records: int
    segments: int


class _Search:
    """What is known so far: the newest snapshot not after `upto_ns`, and the segments with records at or after it."""

    def __init__(self, catalog: Catalog, stream: Stream, number: int, upto_ns: int) -> None:
        self._catalog, self._stream, self._number, self._upto_ns = catalog, stream, number, upto_ns
        self.from_ns: int | None = None
        self.definition: bytes | None = None
        self.spans: dict[SegmentId, SegmentSpan] = {}

    def look(self, refs: Iterable[SegmentRef]) -> None:
        """Newest first. Those that end before the snapshot found are passed."""
        for ref in refs:
            if ref.id in self.spans or (
                self.from_ns is not None and ref.last_ts is not None and ref.last_ts < self.from_ns
            ):
                continue
            span = self._catalog.open(ref, self._stream)
            if span is None:
                continue
            self.spans[ref.id] = span
            if self.definition is None:
                self.definition = definition_of(span, self._number)
            found = last_snapshot(span, self._number, self._upto_ns)
            if found is not None and (self.from_ns is None or found[0] > self.from_ns):
                self.from_ns = found[0]

    def rebuild(self) -> BookAt:
        queues: dict[int, deque[SegmentSpan]] = {}
        for segment in sorted(self.spans):
            queues.setdefault(segment.queue_id, deque()).append(self.spans[segment])
        merge = Merge(self._upto_ns + 1)
        since = _BEGINNING if self.from_ns is None else self.from_ns
        for queue_id, spans in queues.items():
            merge.add(Chain(_Spans(spans), queue_id, since_ns=since))
        book, last_ns, records = rebuild(merge, self._number, self.definition)
        return BookAt(book, self.from_ns, last_ns if records else None, records, len(self.spans))


class _Spans:
    def __init__(self, spans: deque[SegmentSpan]) -> None:
        self._spans = spans

    def next_span(self) -> SegmentSpan | None:
        return self._spans.popleft() if self._spans else None


class BookFinder:
    """Books of one archive. Keeps the listings of what it looked at."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog: Final = catalog
        self._listed: dict[Partition, tuple[tuple[int, int], list[SegmentRef]]] = {}

    def find(self, venue: str, symbol: str, ts_ns: int) -> BookAt:
        """The book after every record up to and including `ts_ns`, by ingest time; `valid` says whether a gap came before.

        Raises BadSegment, SegmentMoved, ArchiveError; OSError as the files do.
        """
        stream = Stream(venue, symbol, "book")
        search = _Search(self._catalog, stream, instrument_id(f"{venue}:{symbol}"), ts_ns)
        for refs in self._candidates(stream, ts_ns):
            search.look(refs)
            if search.from_ns is not None:
                break
        return search.rebuild()

    def _candidates(self, stream: Stream, ts_ns: int) -> Iterator[list[SegmentRef]]:
        """Segments that begin at or before a time, newest first: those that may hold records of its day, then day by day back.

        A record lies in the partition of its event's date, at most a day from that of its ingest.
        """
        near = day_of(ts_ns)
        recent = {ref.id: ref for ref in self._catalog.hot(stream)}
        for day in (near - _DAY, near, near + _DAY):
            for ref in self._archived(Partition(stream.venue, stream.symbol, day, stream.stream)):
                recent.setdefault(ref.id, ref)
        yield _newest_first(ref for ref in recent.values() if ref.from_ts <= ts_ns)
        for day in reversed(self._catalog.days(stream)):
            if day < near - _DAY:
                yield self._archived(Partition(stream.venue, stream.symbol, day, stream.stream))

    def _archived(self, partition: Partition) -> list[SegmentRef]:
        directory = self._catalog.layout.partition_dir(partition)
        now = _file_clock_ns()
        try:
            seen = os.stat(directory)
        except FileNotFoundError:
            return []
        state = seen.st_mtime_ns, seen.st_ino
        known = self._listed.get(partition)
        if known is not None and known[0] == state:
            return known[1]
        refs = _newest_first(self._catalog.archived(partition))
        if seen.st_mtime_ns < now:
            self._listed[partition] = state, refs
        return refs


def _file_clock_ns() -> int:
    """The clock that a file system stamps with, which goes in ticks; 0 where it cannot be asked, and no listing is kept."""
    return time.clock_gettime_ns(_REALTIME_COARSE) if sys.platform == "linux" else 0


def _newest_first(refs: Iterable[SegmentRef]) -> list[SegmentRef]:
    return sorted(refs, key=lambda ref: (ref.from_ts, ref.id), reverse=True)
