"""Records of a queue from its newest back, without a reader page: nothing is held back, and nobody need run."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from libchronicle.errors import CorruptError, NotReadyError
from libchronicle.queue import Queue, Subscriber

__all__ = ["Found", "newest_first"]

_FIRST_WINDOW = 256  # records; each further window is four times as long


class Found(NamedTuple):
    """A record's copy."""

    type_id: int
    payload: bytes
    epoch: int
    ts_ns: int


def newest_first(path: Path, kinds: Collection[int]) -> Iterator[Found]:
    """Records of these types, newest first; none of a queue that is not there. Damaged records are passed over, and so are
    those that retention takes away meanwhile."""
    try:
        reader = Queue.open_subscriber(path, None, start="latest")
    except NotReadyError:
        return
    with reader:
        last, window = reader.head_seq, _FIRST_WINDOW
        while last > (oldest := reader.oldest_seq):
            first = max(oldest, last - window)
            yield from reversed(list(_between(reader, first, last, kinds)))
            last, window = first, window * 4


def _between(reader: Subscriber, first: int, last: int, kinds: Collection[int]) -> Iterator[Found]:
    at = first
    while at < last:
        try:
            reader.seek_seq(at)
            while reader.next_seq < last and (record := reader.next()) is not None:
                at = record.seq + 1
                if record.type_id in kinds:
                    yield Found(record.type_id, bytes(record), record.epoch, record.ts_ns)
            return
        except CorruptError:
            at += 1
