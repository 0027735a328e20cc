"""How long requests and reports are on their way."""

from __future__ import annotations

__all__ = ["ConstantLatency"]


class ConstantLatency:
    """Always the same: `entry_us` to the venue, `response_us` back."""

    def __init__(self, entry_us: float = 0, response_us: float = 0) -> None:
        self.entry_ns = round(entry_us * 1000)
        self.response_ns = round(response_us * 1000)

    def __repr__(self) -> str:
        return f"ConstantLatency(entry_us={self.entry_ns / 1000:g}, response_us={self.response_ns / 1000:g})"
