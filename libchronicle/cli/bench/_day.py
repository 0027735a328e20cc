"""A day of one instrument in an archive, for benchmarks: a recording, or made-up records, repeated until it is full."""

from __future__ import annotations

import contextlib
import resource
import shutil
from pathlib import Path
from typing import NamedTuple

from libchronicle.book import L2Book
from libchronicle.bus.paths import BusPaths
from libchronicle.cli.bench._market import KEY, definition, made_up, recorded
from libchronicle.cli.bench.harness import BenchOptions
from libchronicle.errors import ConfigError
from libchronicle.protocol import BestBidAsk, BookDelta, BookFlags, BookSnapshot, Trade
from libchronicle.queue import Queue, QueueConfig
from libchronicle.storage.catalog import queue_segments
from libchronicle.storage.layout import ArchiveLayout
from libchronicle.storage.manifest import SegmentRecord
from libchronicle.storage.moves import adopt

__all__ = ["RECORDING", "Day", "fill_day", "forget_peak", "peak_rss_mb"]

RECORDING = "binance/usdm/btcusdt_20240808.gz"
VENUE, SYMBOL = "binance-usdm", "BTCUSDT"
DAY_NS = 86_400_000_000_000
MIDNIGHT = 19_943 * DAY_NS  # 2024-08-08
SEGMENT = 1 << 20
_STREAMS = {BookDelta.TEMPLATE_ID: "book", Trade.TEMPLATE_ID: "trade", BestBidAsk.TEMPLATE_ID: "quote"}
INJECT_NS, INJECT_LEVELS = 60_000_000_000, 20_000


class Day(NamedTuple):
    paths: BusPaths
    segments: list[SegmentRecord]
    first_ns: int
    last_ns: int
    records: int
    levels: int


def fill_day(
    root: Path,
    options: BenchOptions,
    rounds: int,
    *,
    span_ns: int = DAY_NS,
    streams: tuple[str, ...] = ("book",),
) -> Day:
    """The recording `rounds` times over `span_ns`, its book stream with snapshots injected as the refinery does; all warm.

    Without the recording, made-up records in the same mix.
    """
    limit = 3_000 if options.tiny else 100_000
    try:
        first, events = recorded(options.recording(RECORDING), limit)
    except ConfigError:
        first, events = made_up(limit)
    events = [event for event in events if _STREAMS[event.type_id] in streams]
    paths = BusPaths(root)
    queues = {stream: paths.clean(VENUE, SYMBOL, stream) for stream in streams}
    writers = {stream: _Writer(queue) for stream, queue in queues.items()}
    recorded_ns = events[-1].at_ns + 1
    for number in range(rounds):
        start = MIDNIGHT + number * (span_ns // rounds)
        writers["book"].put(start, first.type_id, first.payload)
        for event in events:
            ts_ns = start + event.at_ns * (span_ns // rounds) // recorded_ns
            writers[_STREAMS[event.type_id]].put(ts_ns, event.type_id, event.payload)
    segments = []
    for stream, queue in queues.items():
        writers[stream].close()
        segments += _archive(ArchiveLayout.of(paths), queue, stream)
    records = sum(writer.records for writer in writers.values())
    return Day(paths, segments, MIDNIGHT, writers["book"].last_ns, records, writers["book"].levels)


def _archive(layout: ArchiveLayout, queue: Path, stream: str) -> list[SegmentRecord]:
    """All of a queue into the archive; the queue goes."""
    sealed = [ref for ref in queue_segments(queue) if ref.last_ts is not None]
    segments = [adopt(layout, ref.path, VENUE, SYMBOL, stream) for ref in sealed]
    shutil.rmtree(queue)
    return segments


class _Writer:
    """Records into a clean queue, a definition first."""

    def __init__(self, queue: Path) -> None:
        self._out = Queue.open_publisher(queue, QueueConfig(segment_size=SEGMENT, prefault=False))
        self._book = L2Book(KEY)
        self._snapshot_ns, self._levels_then = MIDNIGHT, 0
        self.records = self.levels = 0
        self.last_ns = MIDNIGHT
        told = definition()
        self._book.apply(told.type_id, told.payload)
        self._out.append(told.type_id, told.payload, MIDNIGHT)

    def put(self, ts_ns: int, type_id: int, payload: bytes) -> None:
        due = self.levels - self._levels_then >= INJECT_LEVELS or ts_ns - self._snapshot_ns >= INJECT_NS
        if due and type_id == BookDelta.TEMPLATE_ID:
            self._inject(ts_ns)
        self._book.apply(type_id, payload)
        self._out.append(type_id, payload, ts_ns)
        self._count(ts_ns, payload, type_id)

    def _inject(self, ts_ns: int) -> None:
        book = self._book
        snapshot = BookSnapshot(
            instrument_id=KEY,
            bids=book.bids(),
            asks=book.asks(),
            last_update_id=book.last_update_id,
            flags=BookFlags.INJECTED,
        )
        payload = snapshot.encode()
        self._out.append(BookSnapshot.TEMPLATE_ID, payload, ts_ns)
        self._count(ts_ns, payload, BookSnapshot.TEMPLATE_ID)
        self._snapshot_ns, self._levels_then = ts_ns, self.levels

    def _count(self, ts_ns: int, payload: bytes, type_id: int) -> None:
        self.records += 1
        if type_id in (BookDelta.TEMPLATE_ID, BookSnapshot.TEMPLATE_ID):
            block = int.from_bytes(payload[:2], "little")
            self.levels += (len(payload) - 8 - block - 16) // 16
        self.last_ns = ts_ns

    def close(self) -> None:
        self._out.roll()
        self._out.close()


def forget_peak() -> None:
    """From here on peak_rss_mb counts anew, where the kernel can."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


def peak_rss_mb() -> float:
    """Most memory the process had resident since forget_peak, mapped files included."""
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="ascii") as lines:
        return next(round(int(line.split()[1]) / 1024, 1) for line in lines if line.startswith("VmHWM"))
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
