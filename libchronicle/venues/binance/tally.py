"""Every frame accounted for: frames_total = the sum over all kinds and all reasons."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from libchronicle.venues.binance import decoder

__all__ = ["BINARY", "KINDS", "QUEUE_FULL", "REASONS", "TOO_LARGE", "TRUNCATED", "Tally"]

TRUNCATED: Final = -10
BINARY: Final = -11
TOO_LARGE: Final = -12
QUEUE_FULL: Final = -13

KINDS: Final[dict[int, str]] = {
    decoder.DEPTH: "depth",
    decoder.TRADE: "trade",
    decoder.TICKER: "book_ticker",
    decoder.REPLY: "reply",
}
REASONS: Final[dict[int, str]] = {
    decoder.MALFORMED: "malformed",
    decoder.UNKNOWN_STREAM: "unknown_stream",
    decoder.UNKNOWN_SYMBOL: "unknown_symbol",
    decoder.BAD_DECIMAL: "bad_decimal",
    decoder.INCONSISTENT: "inconsistent",
    decoder.DUPLICATE: "duplicate",
    decoder.REORDERED: "reordered",
    TRUNCATED: "truncated",
    BINARY: "binary",
    TOO_LARGE: "too_large",
    QUEUE_FULL: "queue_full",
}


class Tally:
    """Counts by code: kinds above zero, reasons below. `slots` is indexed by the code itself, for the hot path."""

    __slots__ = ("slots",)

    def __init__(self) -> None:
        self.slots = [0] * 32  # a reason's negative code counts from the end

    def __getitem__(self, code: int) -> int:
        return self.slots[code]

    def count(self, code: int) -> None:
        self.slots[code] += 1

    @property
    def total(self) -> int:
        return sum(self.slots)

    def kinds(self) -> dict[str, int]:
        return {name: self.slots[code] for code, name in KINDS.items()}

    def rejected(self) -> dict[str, int]:
        return {name: self.slots[code] for code, name in REASONS.items()}

    def __iter__(self) -> Iterator[tuple[str, int]]:
        yield from self.kinds().items()
        yield from self.rejected().items()
