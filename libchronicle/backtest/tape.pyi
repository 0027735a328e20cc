from collections.abc import Iterator
from typing import Any

from libchronicle.protocol import Instrument
from libchronicle.replay.source import FrameSource

Buffer = Any  # any object with the buffer protocol: bytes, array.array, a NumPy column

class Tape:
    """Records in the order of their times. `feed`: the venue they came from."""

    records: int
    rows: int
    first_ns: int
    last_ns: int
    feed: str
    def __init__(self, feed: str = "") -> None: ...
    def append(self, type_id: int, payload: Buffer, ts_ns: int) -> None:
        """One record. Raises BadRows when it is earlier than the last."""
    def seal(self) -> None: ...
    def source(self) -> TapeSource:
        """A reader of all of it, from the first record."""

class TapeSource(FrameSource):
    """A walk over a tape."""

    tape: Tape
    def __init__(self, tape: Tape) -> None: ...

def records_of(tape: Tape) -> Iterator[tuple[int, bytes, int]]:
    """The records of a tape: (type_id, payload, ts_ns)."""

def tape_of_rows(
    instrument: Instrument,
    kind: Buffer,
    msg_id: Buffer,
    local_ns: Buffer,
    exch_ns: Buffer,
    side: Buffer,
    px: Buffer,
    qty: Buffer,
) -> Tape:
    """A tape of plain rows: rows of one `msg_id` are one message.

    `instrument`: the definition; its exponents say what the mantissas are. `kind` 1 snapshot, 2 depth level (quantity 0
    removes it), 3 trade; `side` 1 bid or buyer, -1 ask or seller (of a trade: who took); times in ns, `local_ns` never
    decreasing. Raises BadRows.
    """
