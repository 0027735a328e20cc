"""Real damage for the tests: bytes flipped, files cut, emptied and taken away; and queues worth damaging."""

from __future__ import annotations

import struct
from pathlib import Path

from libchronicle.queue import Queue, QueueConfig

SIZE = 1 << 16
SMALL = QueueConfig(segment_size=SIZE)
CONFIG = QueueConfig(segment_size=SIZE, prepare=False, retain_segments=1000)


def make(
    path: Path, records: int = 2000, size: int = 100, config: QueueConfig = CONFIG
) -> list[tuple[int, bytes]]:
    """A queue of some segments, all sealed but the last. Returns (seq, payload) of every record."""
    with Queue.open_publisher(path, config) as writer:
        for _ in range(records):
            writer.append(1, writer.next_seq.to_bytes(8, "little") + bytes([writer.next_seq & 0xFF]) * size)
        writer.flush()
    return all_records(path)


def all_records(path: Path) -> list[tuple[int, bytes]]:
    with Queue.open_subscriber(path, None, start="earliest") as reader:
        return [(m.seq, bytes(m)) for m in reader]


def full_records(path: Path) -> list[tuple[int, int, bytes]]:
    """(seq, type_id, payload), holes that are told as records too."""
    with Queue.open_subscriber(path, None, start="earliest") as reader:
        return [(m.seq, m.type_id, bytes(m)) for m in reader]


def append_some(path: Path, count: int, size: int = 100, config: QueueConfig = SMALL) -> None:
    """Opens a writer, and closes it again."""
    with Queue.open_publisher(path, config) as writer:
        for _ in range(count):
            writer.append(1, b"%d" % writer.next_seq + bytes(size))


def flip(file: Path, offset: int, bit: int = 0) -> None:
    with file.open("r+b") as handle:
        handle.seek(offset)
        byte = handle.read(1)[0]
        handle.seek(offset)
        handle.write(bytes([byte ^ (1 << bit)]))


def put(file: Path, offset: int, form: str, *values: int) -> None:
    with file.open("r+b") as handle:
        handle.seek(offset)
        handle.write(struct.pack(form, *values))


def cut(file: Path, size: int) -> None:
    with file.open("r+b") as handle:
        handle.truncate(size)


def places(path: Path) -> list[tuple[int, int, int]]:
    """(segment, offset, seq) of every record."""
    found = []
    with Queue.open_subscriber(path, None, start="earliest") as reader:
        while (message := reader.next()) is not None:
            size = 32 + (len(message) + 31) // 32 * 32
            number, offset = divmod(reader.position - size, SIZE)
            found.append((number, offset, message.seq))
    return found
