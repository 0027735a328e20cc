from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Protocol

from typing_extensions import Buffer

from libchronicle.native.binding import Message

class BlockSource(Protocol):
    """Where a span's bytes come from, block by block. A block has `block_size` bytes, the last one the rest of `size`."""

    @property
    def size(self) -> int: ...
    @property
    def block_size(self) -> int: ...
    def read_block(self, block: int) -> Buffer: ...

class SegmentSpan:
    """The bytes of one segment. `size`, `end` are bytes; times are ns since the Unix epoch.

    `first_ts` is the time of the last record before the segment: none here is older. `end`, `last_seq`, `last_ts` and
    `frames` are the seal's (None, and 0, without one).
    """

    path: str
    size: int
    queue_id: int
    number: int
    first_seq: int
    first_ts: int
    sealed: bool
    quarantined: bool
    live: bool
    end: int
    frames: int

    @staticmethod
    def open_file(path: str | os.PathLike[str], live: bool = False) -> SegmentSpan:
        """Map a segment's file. `live`: its writer may be at work, so a walk waits where nothing stands yet.

        Raises BadSegment (no segment, header damaged, cut short), UnsupportedVersion; OSError as open does.
        """
    @staticmethod
    def from_source(source: BlockSource, path: str) -> SegmentSpan:
        """Memory filled from `source` as a walk gets there. `path` is for errors.

        Raises as open_file, and what the source raises.
        """
    @property
    def last_seq(self) -> int | None: ...
    @property
    def last_ts(self) -> int | None: ...
    @property
    def broken(self) -> bool:
        """The file lost its bytes after it was mapped."""
    def populate(self) -> None: ...
    def data(self) -> memoryview: ...
    def walk(self) -> SpanWalk: ...

class SpanWalk:
    """Frames of a span in order, as Messages. Damage raises BadSegment once; the next step goes on behind it with a LOST
    record.

    The end is StopIteration. In a live segment it means "nothing yet" unless `ended`: iterate again.
    """

    span: SegmentSpan
    offset: int
    next_seq: int
    lost: int
    ended: bool

    def __init__(self, span: SegmentSpan) -> None: ...
    def seek_seq(self, seq: int) -> bool:
        """To the first frame that is not before `seq`; False: there is none here."""
    def seek_time(self, ts_ns: int) -> bool:
        """To the first frame that is not before `ts_ns`; False: there is none here."""
    def goto(self, offset: int, seq: int) -> None:
        """To a frame whose place and seq are known from an earlier walk. A wrong pair shows as damage.

        Raises InvalidArgument.
        """
    def __iter__(self) -> Iterator[Message]: ...
    def __next__(self) -> Message: ...
