"""Frames to records, natively: one call takes a frame's bytes to a committed record in the queue.

Codes of `push`: DEPTH, TRADE, TICKER (appended), REPLY (an answer to a request of ours), SYNC (a depth diff for the sync
machine), ROLLED (write the segment's head, push again); below zero the reason a frame was not taken, UNUSUAL meaning
that a full JSON decoder has the final word. Errors of the queue are raised as the queue's own exceptions.
"""

from typing import Final

from libchronicle.queue import Publisher

Buffer = bytes | bytearray | memoryview

DEPTH: Final[int]
TRADE: Final[int]
TICKER: Final[int]
REPLY: Final[int]
SYNC: Final[int]
ROLLED: Final[int]
UNUSUAL: Final[int]
MALFORMED: Final[int]
UNKNOWN_STREAM: Final[int]
UNKNOWN_SYMBOL: Final[int]
BAD_DECIMAL: Final[int]
INCONSISTENT: Final[int]
DUPLICATE: Final[int]
REORDERED: Final[int]
NEXT: Final[int]
SEEN: Final[int]
BREAK: Final[int]

def follows(chain: int, before: int, last: int) -> int:
    """NEXT, SEEN or BREAK: how a diff stands to the last one seen (continuity.h)."""

def mark(record: bytearray, flags: int) -> None:
    """Set BookFlags in a BookDelta or BookSnapshot record."""

class Decoder:
    """Symbols, their continuity, and the queue the records go to. `futures`: depth diffs carry "pu"."""

    def __init__(self, futures: bool) -> None: ...
    def add(self, symbol: str, instrument_id: int, price_exponent: int, qty_exponent: int) -> int:
        """Index of the symbol in all calls below."""
    def attach(self, publisher: Publisher) -> None:
        """Append to this queue; detach before it is closed."""
    def detach(self) -> None: ...
    def push(self, frame: Buffer, recv_ts: int) -> int: ...
    def encode(self, frame: Buffer, recv_ts: int) -> tuple[int, bytearray | None]:
        """(kind or reason, record) of a frame without looking at continuity and without a queue."""
    def encode_snapshot(
        self,
        index: int,
        bids: Buffer,
        asks: Buffer,
        last_update_id: int,
        event_ts: int,
        venue_ts: int,
        recv_ts: int,
    ) -> tuple[int, bytearray | None]:
        """(0 or reason, record) of a REST snapshot; `bids` and `asks` are the JSON text of the two arrays."""
    def append(self, type_id: int, payload: Buffer) -> int:
        """Append a record that is no frame; -1: a new segment began and its head must be written first."""
    def head_begins(self) -> None: ...
    @property
    def kind(self) -> int: ...
    @property
    def index(self) -> int:
        """Symbol of the last frame, -1 when it named none that is known."""
    @property
    def first_id(self) -> int: ...
    @property
    def last_id(self) -> int: ...
    @property
    def before_id(self) -> int: ...
    def open_gate(self, index: int, chain: int) -> None:
        """From now on diffs that continue `chain` are appended at once."""
    def close_gate(self, index: int) -> int:
        """Every further diff is SYNC; returns the update id of the last diff appended."""
    def chain(self, index: int) -> int: ...
    def forget(self, index: int) -> None:
        """Forget which trades and tickers were seen: the venue may count anew."""
    @property
    def missing_trades(self) -> int:
        """Trade ids that were jumped over, all in all."""
    @property
    def late_trades(self) -> int:
        """Trades that came after a later one."""
