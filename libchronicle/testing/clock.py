"""A clock that a test moves."""

from __future__ import annotations

__all__ = ["ManualClock"]


class ManualClock:
    """Stands still until told. Serves wherever a `Clock` is asked for; `monotonic_s` where seconds are."""

    def __init__(self, now_ns: int = 1_700_000_000_000_000_000) -> None:
        self._now_ns = now_ns
        self._began_ns = now_ns

    def now_ns(self) -> int:
        return self._now_ns

    def monotonic_s(self) -> float:
        """Seconds since it was made."""
        return (self._now_ns - self._began_ns) / 1e9

    def advance(self, *, seconds: float = 0.0, ns: int = 0) -> int:
        """Move on, or back to try a clock that steps back; returns the new time."""
        self._now_ns += round(seconds * 1e9) + ns
        return self._now_ns

    def set(self, now_ns: int) -> None:
        self._now_ns = now_ns
