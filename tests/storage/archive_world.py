"""Queues with known records, for the archive's tests."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from libchronicle.bus.paths import BusPaths
from libchronicle.native.binding import Message
from libchronicle.queue import Queue, QueueConfig
from libchronicle.storage.catalog import queue_segments
from libchronicle.storage.layout import ArchiveLayout
from libchronicle.storage.manifest import SegmentRecord
from libchronicle.storage.moves import adopt, freeze

TYPE = 200  # no message of the schema: the archive keeps what it does not know
SEGMENT = 64 << 10
DAY_NS = 86_400_000_000_000
NOON = 1_723_118_400_000_000_000  # 2024-08-08 12:00 UTC


def config(segment_size: int = SEGMENT, durable: tuple[str, ...] = ("keeper",)) -> QueueConfig:
    return QueueConfig(segment_size=segment_size, durable=durable, prefault=False)


def payload_of(seq: int, size: int = 100) -> bytes:
    """Bytes that differ from record to record."""
    return (seq.to_bytes(8, "little") * (size // 8 + 1))[: size + seq % 7]


def write_records(
    path: Path, count: int, *, start: int = 0, size: int = 100, segment_size: int = SEGMENT
) -> None:
    """Records `start` to `start + count`, one microsecond apart from NOON, type TYPE; the segment left at the end is sealed."""
    with Queue.open_publisher(path, config(segment_size)) as writer:
        for seq in range(start, start + count):
            writer.append(TYPE, payload_of(seq, size), NOON + seq * 1000)
        writer.roll()
        writer.append(TYPE, b"tail", NOON + (start + count) * 1000)


def world(root: Path, count: int, *, step_ns: int = 1000, start_ns: int = NOON, size: int = 100) -> BusPaths:
    """A bus whose queue clean/v/S/trade holds `count` records, `step_ns` apart, in several sealed segments and a live one."""
    paths = BusPaths(root)
    path = paths.clean("v", "S", "trade")
    with Queue.open_publisher(path, config()) as writer:
        for seq in range(count):
            writer.append(TYPE, payload_of(seq, size), start_ns + seq * step_ns)
        writer.flush()
    return paths


def archive_up_to(
    paths: BusPaths, number: int, *, cold: int = -1, retain: bool = False
) -> list[SegmentRecord]:
    """Segments up to `number` into the archive, up to `cold` of them compressed, and out of the queue unless `retain`."""
    layout = ArchiveLayout.of(paths)
    queue = paths.clean("v", "S", "trade")
    records = []
    for ref in queue_segments(queue):
        if ref.id.number > number:
            break
        record = adopt(layout, ref.path, "v", "S", "trade")
        if ref.id.number <= cold:
            record = freeze(layout, record, level=1, block_size=8192)
        if not retain:
            ref.path.unlink()
        records.append(record)
    return records


def rows(messages: Iterable[Message]) -> list[tuple[int, int, bytes]]:
    return [(m.seq, m.ts_ns, bytes(m)) for m in messages]


def expected(
    count: int, *, first: int = 0, step_ns: int = 1000, start_ns: int = NOON, size: int = 100
) -> list[tuple[int, int, bytes]]:
    """What `world` wrote, from record `first` to before `count`."""
    return [(seq, start_ns + seq * step_ns, payload_of(seq, size)) for seq in range(first, count)]
