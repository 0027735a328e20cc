from collections.abc import Iterable

from typing_extensions import Buffer

from libchronicle.storage.walk import SegmentSpan

__all__ = ["FrameSource", "RecordSource", "SpanSource"]

class FrameSource:
    """`name` is for messages and reports. `ended`: nothing will come any more."""

    name: str
    ended: bool
    error: BaseException | None

class SpanSource(FrameSource):
    queue_id: int
    next_seq: int
    lost: int
    last_ns: int
    def __init__(self, spans: Iterable[SegmentSpan], name: str = "", start_ns: int | None = None) -> None: ...

class RecordSource(FrameSource):
    def __init__(self, records: Iterable[tuple[int, Buffer, int]], name: str = "") -> None: ...
