"""Segments of one tier that wait for their next move, kept in the orders in which they may be due.

A keeper fills it once and then tells it what changed; who is due is the beginning of an order. So a pass over an archive
costs what has changed and what is due, however many segments wait.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from libchronicle.storage.layout import Partition, SegmentId

__all__ = ["Waiting", "WaitingSegment"]

_Aged = tuple[int, SegmentId]


class WaitingSegment(NamedTuple):
    """`last_ts`: time of its last record, ns since the Unix epoch; `bytes` of its file."""

    id: SegmentId
    partition: Partition
    last_ts: int
    bytes: int


class Waiting:
    """The iterators look at what is there while they run: take what is wanted of one before telling of changes."""

    def __init__(self, segments: Iterable[WaitingSegment] = ()) -> None:
        self._known = {segment.id: segment for segment in segments}
        self._by_age: list[_Aged] = sorted((one.last_ts, one.id) for one in self._known.values())
        self._of_partition: dict[Partition, list[_Aged]] = {}
        for aged in self._by_age:
            self._of_partition.setdefault(self._known[aged[1]].partition, []).append(aged)
        self._by_newest = sorted((aged[-1][0], place) for place, aged in self._of_partition.items())
        self.bytes = sum(one.bytes for one in self._known.values())
        """Of all of them."""

    def __len__(self) -> int:
        return len(self._known)

    def put(self, segment: WaitingSegment) -> None:
        """A new one, or what is new of one."""
        self.discard(segment.id)
        aged = segment.last_ts, segment.id
        self._known[segment.id] = segment
        self.bytes += segment.bytes
        insort(self._by_age, aged)
        own = self._of_partition.setdefault(segment.partition, [])
        self._forget_newest(segment.partition, own)
        insort(own, aged)
        insort(self._by_newest, (own[-1][0], segment.partition))

    def discard(self, segment: SegmentId) -> None:
        """It waits no longer; nothing if it did not."""
        known = self._known.pop(segment, None)
        if known is None:
            return
        aged = known.last_ts, segment
        self.bytes -= known.bytes
        del self._by_age[bisect_left(self._by_age, aged)]
        own = self._of_partition[known.partition]
        self._forget_newest(known.partition, own)
        del own[bisect_left(own, aged)]
        if own:
            insort(self._by_newest, (own[-1][0], known.partition))
        else:
            del self._of_partition[known.partition]

    def _forget_newest(self, partition: Partition, own: list[_Aged]) -> None:
        if own:
            del self._by_newest[bisect_left(self._by_newest, (own[-1][0], partition))]

    # ------------------------------------------------------------ who is due

    def oldest(self, upto_ns: int | None = None) -> Iterator[SegmentId]:
        """The one with the oldest records first; `upto_ns`: those whose last record is no later."""
        for last_ts, segment in self._by_age:
            if upto_ns is not None and last_ts > upto_ns:
                return
            yield segment

    def idle(self, upto_ns: int) -> Iterator[SegmentId]:
        """Those of partitions that have nothing later, the one longest idle first."""
        for newest, partition in self._by_newest:
            if newest > upto_ns:
                return
            for _, segment in self._of_partition[partition]:
                yield segment

    def beyond(self, limit_bytes: int) -> Iterator[SegmentId]:
        """The oldest, until what is left takes no more than that."""
        excess = self.bytes - limit_bytes
        for _, segment in self._by_age:
            if excess <= 0:
                return
            excess -= self._known[segment].bytes
            yield segment
