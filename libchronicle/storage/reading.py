"""One reading of a stream: which segments, in which order, as one run of records.

By ingest time a stream is gone through one UTC day at a time, so memory does not grow with the archive. A live record's
event lies within a day of its ingest, so the records of a day are in the partitions of that date and of its neighbours;
behind the last of these come those of recordings that were played later. In the queues they may be anywhere. By venue
time it is the partitions' dates that are gone through.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date, timedelta
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Literal

from libchronicle.native.binding import Message
from libchronicle.protocol.codec import SbeMessage
from libchronicle.protocol.decoder import decode
from libchronicle.storage.catalog import Catalog, SegmentRef, Stream
from libchronicle.storage.chain import Chain, Merge
from libchronicle.storage.frames import ROWS, ArrowBatches, library, numpy_columns
from libchronicle.storage.layout import Partition, SegmentId, day_bounds, day_of
from libchronicle.storage.scan import dated_by
from libchronicle.storage.walk import SegmentSpan

if TYPE_CHECKING:
    import numpy
    import polars
    import pyarrow

__all__ = ["QueueSpans", "Reading", "Times"]

Times = Literal["ingest", "venue"]
_DAY: Final = timedelta(days=1)
AHEAD: Final = 2
"""Segments unpacked before they are asked for."""
_EVER: Final = 1 << 62
SMALL_BYTES: Final = 2 << 20
"""Compressed; a clean segment of 1 MiB takes a third of one."""


class QueueSpans:
    """The segments of one queue for its Chain: those it was given, then, from the queue itself, those that follow."""

    def __init__(self, catalog: Catalog, stream: Stream, queue_id: int, *, follow: bool) -> None:
        self._catalog, self._stream = catalog, stream
        self._refs: deque[SegmentRef] = deque()
        self._last = self._passed = SegmentId(queue_id, -1)  # given; given or found not to hold
        self._failed: set[SegmentId] = set()
        self._follow = follow
        self._given = 0
        self._ahead: dict[SegmentId, Future[SegmentSpan | None]] = {}

    def extend(self, refs: Iterable[SegmentRef]) -> None:
        """More of them; what was given already, or did not hold, is dropped.

        One that does not tell its times may be given long before others with smaller numbers: each goes to its place.
        """
        waiting = {ref.id: ref for ref in self._refs}
        for ref in refs:
            if ref.id > self._last and ref.id not in self._failed:
                waiting.setdefault(ref.id, ref)
        self._refs = deque(waiting[segment] for segment in sorted(waiting))

    def next_span(self) -> SegmentSpan | None:
        while self._refs:
            ref = self._refs.popleft()
            self._passed = max(self._passed, ref.id)
            try:
                span = self._take(ref)
            except BaseException:
                self._failed.add(ref.id)
                raise
            self._last = ref.id
            if span is not None:
                self._unpack_ahead()
                return span
        if not self._follow or self._passed.number < 0:
            return None
        following = self._catalog.after(self._passed, self._stream)
        if following is None:
            return None
        self._refs.append(following)
        return self.next_span()

    def _take(self, ref: SegmentRef) -> SegmentSpan | None:
        ahead = self._ahead.pop(ref.id, None)
        self._given += 1
        return self._catalog.open(ref, self._stream) if ahead is None else ahead.result()

    def _unpack_ahead(self) -> None:
        """Once a second segment was asked for, more will be: unpack the next ones meanwhile, in threads that need no GIL."""
        if self._given < 2:
            return
        for ref in islice(self._refs, AHEAD):
            if ref.tier == "cold" and ref.id not in self._ahead and _is_small(ref):
                self._ahead[ref.id] = unpackers().submit(self._open_whole, ref)

    def _open_whole(self, ref: SegmentRef) -> SegmentSpan | None:
        span = self._catalog.open(ref, self._stream)
        if span is not None:
            span.populate()
        return span


@cache
def unpackers() -> ThreadPoolExecutor:
    """Of this process; made when the first long reading of compressed segments begins."""
    return ThreadPoolExecutor(AHEAD, thread_name_prefix="unpack")


os.register_at_fork(after_in_child=unpackers.cache_clear)  # a child has none of its parent's threads


def _is_small(ref: SegmentRef) -> bool:
    """Memory stays that of a few segments: large ones are unpacked block by block, when the walk gets there."""
    try:
        return ref.path.stat().st_size <= SMALL_BYTES
    except OSError:
        return False


class Reading:
    """Records of a stream. Iterate it for Messages, as often as you like: each time it reads anew."""

    def __init__(
        self,
        catalog: Catalog,
        stream: Stream,
        since_ns: int,
        until_ns: int,
        *,
        time: Times = "ingest",
        tolerant: bool = False,
        types: frozenset[int] | None = None,
    ) -> None:
        self._catalog = catalog
        self._types = types
        self.stream = stream
        self.since_ns, self.until_ns = since_ns, until_ns
        self.time: Times = time
        self._tolerant = tolerant

    def __repr__(self) -> str:
        return f"Reading({self.stream}, {self.since_ns}, {self.until_ns}, time={self.time!r})"

    def __iter__(self) -> Iterator[Message]:
        return _Records(self.merges(), self._types)

    def decoded(self) -> Iterator[tuple[Message, SbeMessage | None]]:
        """Each Message with what it says; None for a type this build does not know. Raises DecodeError."""
        for message in self:
            yield message, decode(message.type_id, message)

    def whole(self) -> Reading:
        """The same stream from its first record to its last; damage is stepped over."""
        return Reading(self._catalog, self.stream, -_EVER, _EVER, tolerant=True)

    # ------------------------------------------------------------ columns

    def batches(self, table: str | None = None, rows: int = ROWS, *, floats: bool = False) -> ArrowBatches:
        """Arrow record batches of about `rows` rows, one at a time. The other forms read all into memory.

        `table`: trades, quotes, levels (a row per level of a book record) or orders (a row per order event); None = the
        stream's own, of a book the one its records are of. `floats`: prices and quantities as float64 values instead of int64
        mantissas. Raises InvalidArgument; HostError where the library is not installed.
        """
        return ArrowBatches(self, table, rows, floats=floats)

    def to_arrow(self, table: str | None = None, *, floats: bool = False) -> pyarrow.Table:
        return self.batches(table, floats=floats).table()

    def to_numpy(
        self, table: str | None = None, *, floats: bool = False
    ) -> dict[str, numpy.ndarray[Any, Any]]:
        return numpy_columns(self, table, floats=floats)

    def to_polars(self, table: str | None = None, *, floats: bool = False) -> polars.DataFrame:
        frame: polars.DataFrame = library("polars").from_arrow(self.to_arrow(table, floats=floats))
        return frame

    def to_pandas(self, table: str | None = None, *, floats: bool = False) -> Any:
        """A pandas DataFrame."""
        return library("pandas").DataFrame(self.to_numpy(table, floats=floats))

    # ------------------------------------------------------------ for native readers

    def merges(self) -> Iterator[Merge]:
        """The records as merges to be drained one after the other, each to its end, before the next is asked for."""
        yield from self._by_venue() if self.time == "venue" else self._by_ingest()

    def _by_venue(self) -> Iterator[Merge]:
        """One date of the venue after the other; what is hot is of the date of its first event."""
        hot: dict[date, list[SegmentRef]] = {}
        for ref in self._catalog.hot(self.stream):
            span = self._catalog.open(ref, self.stream)
            dated = None if span is None else dated_by(span)
            if dated is not None:
                hot.setdefault(day_of(dated), []).append(ref)
        for day in sorted({*hot, *self._catalog.days(self.stream)}):
            begin, end = day_bounds(day)
            if begin >= self.until_ns or end <= self.since_ns:
                continue
            place = Partition(self.stream.venue, self.stream.symbol, day, self.stream.stream)
            best: dict[SegmentId, SegmentRef] = {}
            for ref in (*hot.get(day, ()), *self._catalog.archived(place)):
                best.setdefault(ref.id, ref)
            merge = Merge()
            merge.by_venue_time(self.since_ns, self.until_ns)
            for queue_id in sorted({segment.queue_id for segment in best}):
                spans = QueueSpans(self._catalog, self.stream, queue_id, follow=False)
                spans.extend(best[segment] for segment in sorted(best) if segment.queue_id == queue_id)
                merge.add(Chain(spans, queue_id, tolerant=self._tolerant))
            yield merge

    def _by_ingest(self) -> Iterator[Merge]:
        chains: dict[int, tuple[QueueSpans, Chain]] = {}
        for since, until, days in self._windows():
            refs = self._refs(since, until, days)
            merge = Merge(min(until, self.until_ns))
            for queue_id in sorted({*refs, *(q for q, (_, chain) in chains.items() if chain.pending)}):
                if queue_id not in chains:
                    spans = QueueSpans(
                        self._catalog, self.stream, queue_id, follow=self._catalog.paths is not None
                    )
                    chain = Chain(spans, queue_id, tolerant=self._tolerant, since_ns=self.since_ns)
                    chains[queue_id] = spans, chain
                spans, chain = chains[queue_id]
                spans.extend(refs.get(queue_id, ()))
                merge.add(chain)
            yield merge

    def _refs(self, since: int, until: int, days: Iterable[date]) -> dict[int, list[SegmentRef]]:
        """Segments with records in [since, until), by queue and number; of one in two tiers the faster."""
        since, until = max(since, self.since_ns), min(until, self.until_ns)
        hot = self._catalog.hot(self.stream)
        archived = [
            ref
            for day in days
            for ref in self._catalog.archived(
                Partition(self.stream.venue, self.stream.symbol, day, self.stream.stream)
            )
        ]
        best: dict[SegmentId, SegmentRef] = {}
        for ref in (*hot, *archived):
            if ref.overlaps(since, until):
                best.setdefault(ref.id, ref)
        found: dict[int, list[SegmentRef]] = {}
        for segment in sorted(best):
            found.setdefault(segment.queue_id, []).append(best[segment])
        return found

    def _windows(self) -> Iterator[tuple[int, int, list[date]]]:
        """(since, until, dates of the partitions to look at), ascending, without a gap from the first to the last record.

        Days that look at the same dates are one window: each would list the same files again.
        """
        days = self._catalog.days(self.stream)
        near = sorted({day + delta for day in days for delta in (-_DAY, timedelta(0), _DAY)})
        near = [
            day for day in near if day_bounds(day)[0] < self.until_ns and day_bounds(day)[1] > self.since_ns
        ]
        ends = [(day_bounds(day)[1], _around(day, days)) for day in near]
        if not ends or ends[-1][0] < self.until_ns:
            ends.append(
                (self.until_ns, days)
            )  # of any date: an old recording is ingested years after its events
        since = self.since_ns
        for at, (until, dates) in enumerate(ends, 1):
            if at < len(ends) and ends[at][1] == dates:
                continue
            yield since, until, dates
            since = until


class _Records:
    """Messages of merges, one after the other. Unlike a generator it goes on after it has raised: behind the damage."""

    def __init__(self, merges: Iterator[Merge], types: frozenset[int] | None) -> None:
        self._merges, self._types = merges, types
        self._merge: Merge | None = None

    def __iter__(self) -> Iterator[Message]:
        return self

    def __next__(self) -> Message:
        while True:
            if self._merge is None:
                self._merge = next(self._merges)
            for message in self._merge:
                if self._types is None or message.type_id in self._types:
                    return message
            self._merge = None


def _around(day: date, days: list[date]) -> list[date]:
    return [one for one in days if abs(one - day) <= _DAY]
