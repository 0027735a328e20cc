from collections.abc import Iterable
from typing import Final

from libchronicle.storage.chain import Merge

TABLES: Final[dict[str, tuple[tuple[str, str], ...]]]
"""Columns by table: name and format character of the struct module.

`kind` is the record's type_id, `side` 1 bid or buy, 2 ask or sell.
"""

class ColumnReader:
    """Batches of one table from merges. `instrument` is the payload of the last Instrument record seen, b"" before it.

    `gaps`, `lost` and `malformed` count what made no row: Gap records, records declared lost, payloads that cannot be read.
    """

    capacity: int
    instrument: bytes
    gaps: int
    lost: int
    malformed: int
    name: str

    def __init__(self, merges: Iterable[Merge], table: str, capacity: int = 16384) -> None: ...
    def next_batch(self) -> tuple[int, dict[str, tuple[str, bytearray]]] | None:
        """(rows, {name: (format, buffer)}); None at the end. Only the first `rows` items of a buffer count.

        A message's levels are never parted: a batch may be larger than `capacity` for it. Raises ExponentChanged (what comes
        next has other mantissas), and what reading raises (BadSegment: the next call goes on behind the damage).
        """
