"""Queues that records are written into before they become part of the archive: one for each instrument, stream and UTC date.

So every segment holds one date of venue time by itself, however late a record came. Each segment begins with the definition of
its instrument. At most MAX_OPEN queues are open at once: a day of all stocks has tens of thousands. A book of single orders has
snapshots of its own among its records, as the refinery writes them, so that a book at a time is found from the last one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from libchronicle.protocol import BookMode, Instrument
from libchronicle.queue import Publisher, Queue, QueueConfig
from libchronicle.venues.batch import OrderBook, RecordBatch

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

    def write(
        self, publisher: Publisher, batch: RecordBatch, rows: list[int], book: OrderBook | None
    ) -> None:
        at = 0
        if self.first_ns < 0:
            self.first_ns = batch[rows[0]][1]
        while at < len(rows):
            at, self.segment = batch.write(publisher, rows, at, self.segment, book)
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
        self._books: dict[int, OrderBook] = {}
        self.records: dict[str, int] = {}

    @property
    def injected(self) -> int:
        """Records of snapshots that stand among them."""
        return sum(book.injected for book in self._books.values())

    def write(self, batch: RecordBatch, instruments: Mapping[int, Instrument]) -> None:
        """Raises what appending raises (NoSpace, HostError …)."""
        for key, rows in batch.routes().items():
            lane = self._lanes.get(key)
            if lane is None:
                lane = self._lanes[key] = _Lane(
                    self._root / f"{len(self._lanes):06d}", instruments[key[0]], key[1]
                )
            lane.write(self._opened(key, lane), batch, rows, self._book(key, lane.definition))
            self.records[key[1]] = self.records.get(key[1], 0) + len(rows)

    def _book(self, key: tuple[int, str, int], definition: Instrument) -> OrderBook | None:
        """Of single orders; it goes on from one date to the next."""
        number, stream, day = key
        if stream != "book" or definition.book_mode != BookMode.L3:
            return None
        book = self._books.get(number)
        if book is None:
            book = self._books[number] = OrderBook(definition)
        book.enter(day)
        return book

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
