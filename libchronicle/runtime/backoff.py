"""How long to wait before trying again. Pure: the randomness is passed in.

Exponential with full jitter over the upper half: the n-th wait is drawn from [d/2, d), d = min(cap, first * factor^n). Many
clients that lost the same server do not come back at the same moment, and none hammers it.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Backoff"]


class Backoff:
    """`random()` gives a number in [0, 1). `reset` after a success that lasted."""

    def __init__(
        self,
        random: Callable[[], float],
        *,
        first_s: float = 0.1,
        factor: float = 2.0,
        cap_s: float = 30.0,
    ) -> None:
        if not (first_s > 0 and factor >= 1 and cap_s >= first_s):
            raise ValueError(f"no back-off: first {first_s} s, factor {factor}, cap {cap_s} s")
        self._random = random
        self._first_s = first_s
        self._factor = factor
        self._cap_s = cap_s
        self._bound_s = first_s
        self.tries = 0

    def next_s(self) -> float:
        """Seconds to wait now; the next wait will be longer."""
        bound = self._bound_s
        self._bound_s = min(self._cap_s, bound * self._factor)
        self.tries += 1
        return bound * (0.5 + 0.5 * self._random())

    def reset(self) -> None:
        self._bound_s = self._first_s
        self.tries = 0
