"""When to open again what has failed. Pure: the time is passed in."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Retry"]

_FIRST_NS = 250_000_000
_MOST_NS = 4_000_000_000
_CALM_NS = 10_000_000_000


@dataclass(slots=True)
class _Failure:
    at_ns: int
    pause_ns: int


class Retry:
    """Names, each with a pause that doubles while it fails again within ten seconds."""

    def __init__(self) -> None:
        self._failures: dict[str, _Failure] = {}
        self._waiting: set[str] = set()

    def failed(self, name: str, now_ns: int) -> None:
        """It has failed now."""
        last = self._failures.get(name)
        soon = last is not None and now_ns - last.at_ns < _CALM_NS
        pause_ns = min(2 * last.pause_ns, _MOST_NS) if last is not None and soon else _FIRST_NS
        self._failures[name] = _Failure(now_ns, pause_ns)
        self._waiting.add(name)

    def due(self, now_ns: int) -> list[str]:
        """Names to try now; each is given once."""
        if not self._waiting:
            return []
        ripe = [n for n in self._waiting if now_ns >= self._failures[n].at_ns + self._failures[n].pause_ns]
        self._waiting.difference_update(ripe)
        return sorted(ripe)
