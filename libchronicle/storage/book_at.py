"""The book of an instrument at a time: locate, go back to the last snapshot, rebuild.

Clean streams have a snapshot before the delta at which 60 s or 20,000 levels have passed (the refinery's settings; of single
orders also as many records as the book has orders), so what is read is bounded by that, whatever the size of the archive: two
segments or so. A stream without snapshots is read from where it begins.

A partition is listed again only when its directory has changed: a listing is kept when the clock that stamps directories had
gone on since the last change, so that any later change shows. What moved on after that is found by the catalog.
"""

from __future__ import annotations

import os
import sys
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import accumulate
from time import clock_gettime_ns
from typing import Final, NamedTuple

from libchronicle.book import L2Book, L3Book
from libchronicle.protocol import instrument_id
from libchronicle.storage.catalog import Catalog, SegmentRef, Stream
from libchronicle.storage.chain import Chain, Merge
from libchronicle.storage.layout import Partition, SegmentId, day_of
from libchronicle.storage.lookback import definition_of, last_snapshot, rebuild
from libchronicle.storage.reading import Times
from libchronicle.storage.walk import SegmentSpan

__all__ = ["BookAt", "BookFinder"]

_DAY: Final = timedelta(days=1)
_REALTIME_COARSE: Final = 5  # of <linux/time.h>; Python does not name it
_BEGINNING: Final = -(1 << 62)
_END: Final = 1 << 62
_NEVER: Final = (1 << 63) - 1
_WAIT_NS: Final = 60_000_000_000
_KEPT: Final = 16  # listings

_State = tuple[int, int]  # of a directory: when it changed last, and which it is


class BookAt(NamedTuple):
    """`book` None: nothing of a book was recorded up to then. `from_ns`: the snapshot it was rebuilt from; None: the beginning.

    `last_ns`: of the last record in it, `records`: how many were applied, `segments`: how many were opened. `definition`: the
    payload of the instrument's, which holds the exponents; None where none was recorded.
    """

    book: L2Book | L3Book | None
    from_ns: int | None
    last_ns: int | None
    records: int
    segments: int
    definition: bytes | None


class _Listing:
    """Segments by the time before which they have no record; `reach[i]`: the last time of any record in the first i + 1."""

    def __init__(self, refs: Iterable[SegmentRef]) -> None:
        self.refs = sorted(refs, key=lambda ref: (ref.from_ts, ref.id))
        self.begins = [ref.from_ts for ref in self.refs]
        last = (_END if ref.last_ts is None else ref.last_ts for ref in self.refs)
        self.reach = list(accumulate(last, max))

    def newest_first(self, upto_ns: int) -> Iterator[tuple[SegmentRef, int]]:
        """Those that begin at or before a time, each with its reach."""
        for at in range(bisect_right(self.begins, upto_ns) - 1, -1, -1):
            yield self.refs[at], self.reach[at]


class _Search:
    """What is known so far: the newest snapshot not after `upto_ns`, and the segments with records at or after it."""

    def __init__(self, catalog: Catalog, stream: Stream, number: int, ts_ns: int, time: Times) -> None:
        self._catalog, self._stream, self._number = catalog, stream, number
        self.upto_ns = ts_ns if time == "ingest" else ts_ns + _WAIT_NS
        self._event_ns = _NEVER if time == "ingest" else ts_ns
        self.from_ns: int | None = None
        self.definition: bytes | None = None
        self.spans: dict[SegmentId, SegmentSpan] = {}
        self._goes_on: dict[SegmentId, int] = {}

    def look(self, listing: _Listing) -> None:
        """Newest first, until no other reaches the snapshot that was found."""
        for ref, reach in listing.newest_first(self.upto_ns):
            if self.from_ns is not None and reach < self.from_ns:
                break
            if not self._is_past(ref) and ref.id not in self.spans:
                span = self._catalog.open(ref, self._stream)
                if span is not None:
                    self._scan(ref.id, span)

    def look_for_definition(self, listing: _Listing) -> None:
        """Segments of clean queues begin with one; of others the first may."""
        if self.definition is None and self.spans and listing.refs:
            span = self._catalog.open(listing.refs[0], self._stream)
            self.definition = None if span is None else definition_of(span, self._number)

    def _is_past(self, ref: SegmentRef) -> bool:
        return self.from_ns is not None and ref.last_ts is not None and ref.last_ts < self.from_ns

    def _scan(self, segment: SegmentId, span: SegmentSpan) -> None:
        self.spans[segment] = span
        if self.definition is None:
            self.definition = definition_of(span, self._number)
        seen = last_snapshot(span, self._number, self.upto_ns, self._event_ns)
        self._goes_on[segment] = seen.goes_on
        found = seen.begun if seen.begun is not None and self._ends(segment) else seen.found
        if found is not None and (self.from_ns is None or found[0] > self.from_ns):
            self.from_ns = found[0]

    def _ends(self, segment: SegmentId) -> bool:
        """Is the snapshot that goes on behind a segment whole? Those behind it have been looked at: they begin later."""
        goes_on = 2
        while goes_on == 2:
            segment = SegmentId(segment.queue_id, segment.number + 1)
            goes_on = self._goes_on.get(segment, 0)
        return goes_on == 1

    def rebuild(self) -> BookAt:
        queues: dict[int, deque[SegmentSpan]] = {}
        for segment in sorted(self.spans):
            queues.setdefault(segment.queue_id, deque()).append(self.spans[segment])
        merge = Merge(self.upto_ns + 1)
        since = _BEGINNING if self.from_ns is None else self.from_ns
        for queue_id, spans in queues.items():
            merge.add(Chain(_Spans(spans), queue_id, since_ns=since))
        book, last_ns, records = rebuild(merge, self._number, self.definition, self._event_ns)
        return BookAt(
            book, self.from_ns, last_ns if records else None, records, len(self.spans), self.definition
        )


class _Spans:
    def __init__(self, spans: deque[SegmentSpan]) -> None:
        self._spans = spans

    def next_span(self) -> SegmentSpan | None:
        return self._spans.popleft() if self._spans else None


class BookFinder:
    """Books of one archive. Keeps the listings of what it looked at last."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog: Final = catalog
        self._partitions: dict[Partition, tuple[_State, list[SegmentRef]]] = {}
        self._listings: dict[tuple[Partition, ...], tuple[list[_State | None], _Listing]] = {}

    def find(self, venue: str, symbol: str, ts_ns: int, time: Times = "ingest") -> BookAt:
        """The book after every record up to and including `ts_ns`; `valid` says whether a gap came before.

        By "venue" time: up to the first record whose event came later; what arrived more than a minute after is not looked for.
        Raises BadSegment, SegmentMoved, ArchiveError; OSError as the files do.
        """
        stream = Stream(venue, symbol, "book")
        search = _Search(self._catalog, stream, instrument_id(f"{venue}:{symbol}"), ts_ns, time)
        for listings in self._candidates(stream, search.upto_ns):
            for listing in listings:
                search.look(listing)
            for listing in listings:
                search.look_for_definition(listing)
            if search.from_ns is not None:
                break
        return search.rebuild()

    def _candidates(self, stream: Stream, ts_ns: int) -> Iterator[list[_Listing]]:
        """What may hold records of that day: the queues, and the partitions of its date and of its neighbours, since a record
        lies in that of its event's date, at most a day from its ingest. Then, should that hold no snapshot, day by day back."""
        near = day_of(ts_ns)
        around = (near - _DAY, near, near + _DAY)
        recent = self._listing([Partition(stream.venue, stream.symbol, day, stream.stream) for day in around])
        yield [_Listing(self._catalog.hot(stream)), recent]
        for day in reversed(self._catalog.days(stream)):
            if day < near - _DAY:
                yield [self._listing([Partition(stream.venue, stream.symbol, day, stream.stream)])]

    def _listing(self, partitions: list[Partition]) -> _Listing:
        parts = [self._archived(partition) for partition in partitions]
        states = [state for state, _ in parts]
        known = self._listings.get(key := tuple(partitions))
        if known is not None and known[0] == states:
            return known[1]
        listing = _Listing(ref for _, refs in parts for ref in refs)
        if None not in states:
            while len(self._listings) >= _KEPT:
                self._listings.pop(next(iter(self._listings)))
            self._listings[key] = states, listing
        return listing

    def _archived(self, partition: Partition) -> tuple[_State | None, list[SegmentRef]]:
        """Its segments, with the state of the directory that they are surely those of; None: it may have changed since."""
        directory = self._catalog.layout.partition_dir(partition)
        now = _file_clock_ns()
        try:
            seen = os.stat(directory)
        except FileNotFoundError:
            return (0, 0), []
        state = seen.st_mtime_ns, seen.st_ino
        known = self._partitions.get(partition)
        if known is not None and known[0] == state:
            return known
        refs = self._catalog.archived(partition)
        if seen.st_mtime_ns >= now:
            return None, refs
        while len(self._partitions) >= 3 * _KEPT:
            self._partitions.pop(next(iter(self._partitions)))
        self._partitions[partition] = state, refs
        return state, refs


def _file_clock_ns() -> int:
    """The clock that a file system stamps with, which goes in ticks; 0 where it cannot be asked, and no listing is kept."""
    return clock_gettime_ns(_REALTIME_COARSE) if sys.platform == "linux" else 0
