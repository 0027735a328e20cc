from collections.abc import Iterable

from typing_extensions import Buffer

from libchronicle.storage.reading import Reading
from libchronicle.storage.walk import SegmentSpan

__all__ = ["FrameSource", "ReadingSource", "RecordSource", "SpanSource"]

class FrameSource:
    """`name` is for messages and reports. `ended`: nothing will come any more."""

    name: str
    ended: bool
    error: BaseException | None

class SpanSource(FrameSource):
    queue_id: int
    next_seq: int
    def __init__(
        self,
        spans: Iterable[SegmentSpan],
        name: str = "",
        *,
        start_ns: int | None = None,
        follow: bool = False,
    ) -> None: ...

class ReadingSource(FrameSource):
    def __init__(self, reading: Reading, name: str | None = None, *, follow: bool = False) -> None: ...

class RecordSource(FrameSource):
    def __init__(self, records: Iterable[tuple[int, Buffer, int]], name: str = "") -> None: ...
