"""Queues with known records, for the archive's tests."""

from __future__ import annotations

from pathlib import Path

from libchronicle.queue import Queue, QueueConfig

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
    """Records `start` to `start + count`, one microsecond apart from NOON, type 7; the segment left at the end is sealed."""
    with Queue.open_publisher(path, config(segment_size)) as writer:
        for seq in range(start, start + count):
            writer.append(7, payload_of(seq, size), NOON + seq * 1000)
        writer.roll()
        writer.append(7, b"tail", NOON + (start + count) * 1000)
