"""Records whose every byte follows from the seed and their seq: whoever reads one can tell whether it is what was written."""

from __future__ import annotations

import random
import struct

from libchronicle.queue import Message

__all__ = ["Records"]

_PATTERN_BYTES = 1 << 16
_SIZE_MAX = 1000
_SEQ = struct.Struct("<Q")


class Records:
    """The expectation: writer and readers each make it from the seed."""

    def __init__(self, seed: int) -> None:
        self._pattern = random.Random(seed).randbytes(_PATTERN_BYTES + _SIZE_MAX)

    def payload(self, seq: int) -> bytes:
        """8 bytes of seq, then 0 to 999 bytes of the pattern."""
        at = seq * 40503 % _PATTERN_BYTES
        return _SEQ.pack(seq) + self._pattern[at : at + (seq * 2654435761 >> 7) % _SIZE_MAX]

    @staticmethod
    def type_id(seq: int) -> int:
        return 1 + seq % 1000

    def is_right(self, message: Message) -> bool:
        """Is this the record that was written under its seq?"""
        seq = message.seq
        return bytes(message) == self.payload(seq) and message.type_id == 1 + seq % 1000
