"""Time, injected: everything that needs the time takes a `Clock`.

`now_ns()` is wall time from the TSC where that is invariant (a third of the cost of the system's); `monotonic_ns()` is
what heartbeats use.
"""

from __future__ import annotations

import time
from typing import Protocol

from libchronicle.native.binding import monotonic_ns, now_ns, tsc_usable

__all__ = ["Clock", "SystemClock", "TscClock", "monotonic_ns", "now_ns", "tsc_usable"]


class Clock(Protocol):
    """Nanoseconds since the Unix epoch."""

    def now_ns(self) -> int: ...


class SystemClock:
    """CLOCK_REALTIME."""

    def now_ns(self) -> int:
        return time.time_ns()


class TscClock:
    """The process's TSC clock; the system clock where the TSC cannot be trusted."""

    def now_ns(self) -> int:
        return now_ns()
