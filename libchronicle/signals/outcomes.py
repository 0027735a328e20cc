"""What a generator answers: a signal, none, or one that was held back, with the reason."""

from __future__ import annotations

from typing import Final

import msgspec

from libchronicle.protocol.enums import Side

__all__ = ["NoSignal", "Outcome", "Signal", "Suppressed"]


_BUY: Final = Side.BUY  # a member of an enum is looked up slowly, and hashed more slowly


class Signal(msgspec.Struct, frozen=True, gc=False):
    """`strength`: how much, above 0, at most 1. `confidence`: how sure, 0 to 1. `ts_ns`: when it was given."""

    side: Side
    strength: float
    confidence: float
    ts_ns: int
    source: str = ""

    @property
    def direction(self) -> int:
        """1 to buy, -1 to sell."""
        return 1 if self.side is _BUY else -1

    @property
    def score(self) -> float:
        """Direction × strength × confidence, -1 to 1."""
        return self.direction * self.strength * self.confidence


class NoSignal(msgspec.Struct, frozen=True, gc=False):
    """There is nothing to act on."""

    reason: str


class Suppressed(msgspec.Struct, frozen=True, gc=False):
    """There is, but it was held back: by a filter, a holding period, or for want of confidence."""

    reason: str
    signal: Signal


Outcome = Signal | NoSignal | Suppressed
