"""Queues that records are written into before they become part of the archive: one for each instrument, stream and UTC date.

So every segment holds one date of venue time by itself, however late a record came. Each segment begins with the definition of
its instrument. At most MAX_OPEN queues are open at once: a day of all stocks has tens of thousands.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from libchronicle.protocol import Instrument
from libchronicle.queue import Publisher, Queue, QueueConfig
from libchronicle.venues.batch import RecordBatch

__all__ = ["StagedQueue", "StagedQueues"]

MAX_OPEN: Final = 256
SEGMENT_SIZE: Final = 1 << 20
_NONE: Final = (1 << 64) - 1


class StagedQueue(msgspec.Struct, frozen=True):
    """A queue that is ready to be taken into the archive. `path` is relative to the staging directory; the times are
    those of its first and last record."""

    path: str
    venue: str
    symbol: str
    stream: str
    first_ns: int
    last_ns: int


class _Lane:
    """One queue: `segment` is the position of the one it writes to; another one begins with a head."""

    __slots__ = ("definition", "first_ns", "head", "last_ns", "path", "publisher", "segment", "stream")

    def __init__(self, path: Path, definition: Instrument, stream: str) -> None:
        self.path, self.definition, self.stream = path, definition, stream
        self.head = definition.encode()
        self.publisher: Publisher | None = None
        self.segment = _NONE
        self.first_ns = self.last_ns = -1

    def open(self, config: QueueConfig) -> Publisher:
        if self.publisher is None:
            self.publisher = Queue.open_publisher(self.path, config)
        return self.publisher

    def close(self, seal: bool = False) -> None:
        if self.publisher is not None:
            if seal:
                self.publisher.roll()
            self.publisher.close()
            self.publisher = None

    def write(self, publisher: Publisher, batch: RecordBatch, rows: list[int]) -> None:
        at = 0
        if self.first_ns < 0:
            self.first_ns = batch[rows[0]][1]
        while at < len(rows):
            at, self.segment = batch.write(publisher, rows, at, self.segment)
            if at < len(rows):
                ts_ns = max(batch[rows[at]][1], publisher.last_ts_ns)
                publisher.append(Instrument.TEMPLATE_ID, self.head, ts_ns)
        self.last_ns = publisher.last_ts_ns


class StagedQueues:
    """Below `root`, which is empty. `write` takes batches in the order of the source; `finish` seals everything."""

    def __init__(self, root: Path, segment_size: int = SEGMENT_SIZE) -> None:
        self._root = root
        self._config = QueueConfig(
            segment_size=segment_size, durable=("import",), prefault=False, prepare=False, sync=False
        )
        self._lanes: dict[tuple[int, str, int], _Lane] = {}
        self._open: OrderedDict[tuple[int, str, int], None] = OrderedDict()
        self.records: dict[str, int] = {}

    def write(self, batch: RecordBatch, instruments: Mapping[int, Instrument]) -> None:
        """Raises what appending raises (NoSpace, HostError …)."""
        for key, rows in batch.routes().items():
            lane = self._lanes.get(key)
            if lane is None:
                lane = self._lanes[key] = _Lane(
                    self._root / f"{len(self._lanes):06d}", instruments[key[0]], key[1]
                )
            lane.write(self._opened(key, lane), batch, rows)
            self.records[key[1]] = self.records.get(key[1], 0) + len(rows)

    def _opened(self, key: tuple[int, str, int], lane: _Lane) -> Publisher:
        self._open[key] = None
        self._open.move_to_end(key)
        if len(self._open) > MAX_OPEN:
            oldest, _ = self._open.popitem(last=False)
            self._lanes[oldest].close()
        return lane.open(self._config)

    def close(self) -> None:
        """Give up: nothing is sealed."""
        for lane in self._lanes.values():
            lane.close()

    def finish(self) -> list[StagedQueue]:
        """Seal and close all; what there is now."""
        made = []
        for lane in self._lanes.values():
            lane.open(self._config)
            lane.close(seal=True)
            made.append(
                StagedQueue(
                    path=lane.path.name,
                    venue=lane.definition.venue,
                    symbol=lane.definition.symbol,
                    stream=lane.stream,
                    first_ns=lane.first_ns,
                    last_ns=lane.last_ns,
                )
            )
        self._open.clear()
        return made
