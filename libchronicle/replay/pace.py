"""How fast a replay runs: as fast as it can, or as time went when it was recorded, times k."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from libchronicle.errors import InvalidArgument

__all__ = ["RealTime"]


class RealTime:
    """Records come when they came, `speed` times as fast; never early by more than `slack_ns` of waiting time.

    The first record sets the zero of both clocks. One that falls behind skips nothing; it runs free until it has caught up
    `clock` gives ns, `sleep` takes seconds; both may be injected. Raises InvalidArgument.
    """

    def __init__(
        self,
        speed: float = 1.0,
        *,
        slack_ns: int = 1_000_000,
        clock: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        if not 0 < speed < float("inf"):
            raise InvalidArgument(
                where="RealTime", field="speed", value=speed, allowed="a finite number above 0"
            )
        self.speed: Final = speed
        self._slack_ns = slack_ns
        self._clock, self._sleep = clock, sleep
        self._zero: tuple[int, int] | None = None

    def __call__(self, ts_ns: int) -> int:
        """Returns when a record of that time is due, with the time up to which records are due by then."""
        now = self._clock()
        if self._zero is None:
            self._zero = ts_ns, now
        zero_ts, zero_clock = self._zero
        due = zero_clock + round((ts_ns - zero_ts) / self.speed)
        while now < due:
            self._sleep((due - now) / 1e9)
            now = self._clock()
        return zero_ts + round((now + self._slack_ns - zero_clock) * self.speed)
