from collections.abc import Iterable
from typing import Final

from libchronicle.book import L2Book
from libchronicle.queue import Subscriber

__all__ = ["BOOK", "DEFINITION", "NOTHING", "SYNC", "TRADE", "MarketReader"]

NOTHING: Final = 0
TRADE: Final = 1
BOOK: Final = 2
SYNC: Final = 3
DEFINITION: Final = 4

class MarketReader:
    reader: Subscriber
    books: dict[int, L2Book]
    queue_id: int
    epoch: int
    frames: int
    malformed: int
    seq: int
    instrument_id: int
    price: int
    qty: int
    aggressor: int
    payload: bytes
    def __init__(self, reader: Subscriber) -> None: ...
    def rebuild(self, wanted: Iterable[int] = ...) -> tuple[int, dict[int, bytes]]: ...
    def poll(self, max_frames: int = ...) -> int: ...
    def set_reach(self, instrument_id: int, highest_buy: int, lowest_sell: int) -> None: ...
    def unsaid(self) -> tuple[int, int, int] | None: ...
    @property
    def lag(self) -> int: ...
    def close(self) -> None: ...
