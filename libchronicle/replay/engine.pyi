from collections.abc import Callable, Iterable, Set

from libchronicle.book import L2Book, L3Book
from libchronicle.replay.event import ReplayEvent
from libchronicle.replay.source import FrameSource

__all__ = ["Engine"]

class Engine:
    sources: list[FrameSource]
    books: list[L2Book | L3Book | None]
    wanted: Set[int] | None
    start_ns: int
    end_ns: int
    channel: bool
    sample_every: int
    sample_ns: int
    pace_ns: int
    pace: Callable[[int], int] | None
    checkpoint: Callable[[int], object] | None
    check_ns: int
    check_records: int
    check_bytes: int
    records: int
    given: int
    payload_bytes: int
    lost: int
    damaged: int
    first_ns: int
    last_ns: int
    finished: bool
    def __init__(
        self, sources: list[FrameSource], policy: int, types: Iterable[int] | None = None
    ) -> None: ...
    def run(self, callback: Callable[[ReplayEvent], object] | None = None) -> bool: ...
    def next(self) -> ReplayEvent | None: ...
    def restore(
        self,
        instrument_id: int,
        book: L2Book | L3Book | None,
        definition: bytes | None,
        hash: int,
        records: int,
        quarantined: bool,
    ) -> None: ...
    def marks(self) -> list[tuple[str, int, int]]: ...
    def state_hash(self) -> int: ...
    def tallies(self) -> list[tuple[int, int, int, int, int, int, bool, int]]: ...
    @property
    def gaps(self) -> int: ...
    @property
    def refused(self) -> int: ...
    def definition(self, instrument_id: int) -> bytes | None: ...
    def book(self, instrument_id: int) -> L2Book | L3Book | None: ...
