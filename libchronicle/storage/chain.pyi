from collections.abc import Iterator
from typing import Protocol

from libchronicle.native.binding import Message
from libchronicle.storage.walk import SegmentSpan

class Spans(Protocol):
    """Where a chain's segments come from, one at a time, in the order of their numbers."""

    def next_span(self) -> SegmentSpan | None:
        """The next one; None: there is none, or none yet."""

class Chain:
    """The records of one queue, over all of its segments, as Messages.

    What is missing between two segments comes as a LOST record. Damage raises BadSegment once and is stepped over;
    with `tolerant` it is only counted, in `damaged`. Records before `since_ns` are passed. The end means "nothing
    yet" where the segment is live.
    """

    queue_id: int
    next_seq: int
    known: bool
    tolerant: bool
    damaged: int
    since_ns: int

    def __init__(
        self,
        spans: Spans,
        queue_id: int,
        *,
        tolerant: bool = False,
        since_ns: int = ...,
        next_seq: int | None = None,
    ) -> None: ...
    @property
    def span(self) -> SegmentSpan | None: ...
    @property
    def definition(self) -> bytes:
        """Payload of the last Instrument record that was passed because it stood before `since_ns`; b"" without."""
    @property
    def pending(self) -> bool:
        """A record has been read that a Merge's limit holds back."""
    def __iter__(self) -> Iterator[Message]: ...
    def __next__(self) -> Message: ...

class Merge:
    """The records of several chains by ts_ns.

    Of equal ones the earlier raw record (`raw_seq`) goes first, then the chain added first.
    """

    chains: list[Chain]
    limit_ns: int

    def __init__(self, limit_ns: int = ...) -> None: ...
    def add(self, chain: Chain) -> None: ...
    def by_venue_time(self, since_ns: int, until_ns: int) -> None: ...
    def __iter__(self) -> Iterator[Message]: ...
    def __next__(self) -> Message: ...
