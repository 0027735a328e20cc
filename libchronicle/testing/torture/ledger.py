"""What the processes of a run know, in a page that survives each of them: one 8-byte slot per fact, one owner per slot.

The writer notes a seq after append() has returned, a reader one after commit() has: what stands here was promised by the queue.
"""

from __future__ import annotations

import enum
import mmap
import os
from pathlib import Path

__all__ = ["Ledger", "Slot"]

_BYTES = 4096


class Slot(enum.IntEnum):
    """Slots; a reader's come in rows of four behind those of the writer."""

    ACKED = 0  # seq behind the last record whose append has returned
    OPENED = 1  # next seq the present writer found when it opened
    OPENS = 2
    REFUSED = 3  # appends and opens that found no space
    SEEN = 8  # of a reader: seq behind the last record it committed
    CHECKED = 9  # records compared byte for byte
    TOLD = 10  # times the queue said that records are gone for this reader (it was forgotten)
    STARTS = 11


class Ledger:
    """The page, mapped. `make` before the processes start; `open` in each of them."""

    def __init__(self, path: Path) -> None:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._map = mmap.mmap(fd, _BYTES)
        finally:
            os.close(fd)
        self._words = memoryview(self._map).cast("Q")

    @classmethod
    def make(cls, path: Path) -> Ledger:
        path.write_bytes(bytes(_BYTES))
        return cls(path)

    @staticmethod
    def _at(slot: Slot, reader: int) -> int:
        return slot + 4 * reader

    def get(self, slot: Slot, reader: int = 0) -> int:
        return int(self._words[self._at(slot, reader)])

    def put(self, slot: Slot, value: int, reader: int = 0) -> None:
        self._words[self._at(slot, reader)] = value

    def add(self, slot: Slot, value: int, reader: int = 0) -> None:
        self._words[self._at(slot, reader)] += value

    def close(self) -> None:
        self._words.release()
        self._map.close()
