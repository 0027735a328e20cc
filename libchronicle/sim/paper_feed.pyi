from collections.abc import Iterable
from typing import Final

from libchronicle.book import L2Book
from libchronicle.queue import Subscriber
from libchronicle.sim.paper import PaperGateway

__all__ = ["DEFINITION", "MATCHED", "NOTHING", "SYNC", "MarketReader"]

NOTHING: Final = 0
MATCHED: Final = 1
SYNC: Final = 2
DEFINITION: Final = 3

class MarketReader:
    reader: Subscriber
    books: dict[int, L2Book]
    queue_id: int
    epoch: int
    frames: int
    malformed: int
    seq: int
    instrument_id: int
    payload: bytes
    def __init__(self, reader: Subscriber) -> None: ...
    def rebuild(
        self, wanted: Iterable[int] = ..., until: int | None = ...
    ) -> tuple[int, dict[int, bytes]]: ...
    def poll(self, max_frames: int = ...) -> int: ...
    def join(self, gateway: PaperGateway, instrument_id: int) -> None: ...
    def leave(self, instrument_id: int) -> None: ...
    def unsaid(self) -> tuple[int, int, int] | None: ...
    @property
    def stands_at(self) -> int: ...
    @property
    def lag(self) -> int: ...
    def close(self) -> None: ...
