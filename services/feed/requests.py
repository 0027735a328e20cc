"""Every REST request of one feed, within what the venue grants an address and never while it has told us to wait.

Source: Binance, "LIMITS" of the API documentation: request weight per minute; 429 and 418 carry Retry-After, and an address
that goes on regardless is banned for 2 minutes to 3 days.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from libchronicle.runtime.logging import Log
from libchronicle.runtime.transports import HttpLimits, HttpResponse

__all__ = ["Requests", "WeightBudget"]

Get = Callable[[str, HttpLimits], Awaitable[HttpResponse]]

WEIGHT_SHARE = 0.5  # of what the venue allows an address; others live there too
MAX_HOLD_S = 3 * 86_400.0
WAIT = (418, 429, 503)


class WeightBudget:
    """A bucket that fills at the venue's rate. Pure: time is passed in."""

    def __init__(self, per_minute: float, now: float) -> None:
        self._capacity = per_minute
        self._level = per_minute
        self._at = now

    def wait_s(self, weight: float, now: float) -> float:
        """0: `weight` was taken, use it now. Else the seconds after which to ask again; nothing was taken."""
        self._level = min(self._capacity, self._level + (now - self._at) * self._capacity / 60)
        self._at = now
        weight = min(weight, self._capacity)
        if self._level >= weight:
            self._level -= weight
            return 0.0
        return (weight - self._level) * 60 / self._capacity


class Requests:
    """`get` waits until it may ask. Who is cancelled while it waits has cost nothing."""

    def __init__(self, get: Get, weight_per_minute: float, log: Log) -> None:
        self._get = get
        self._log = log
        self._budget = WeightBudget(weight_per_minute * WEIGHT_SHARE, asyncio.get_running_loop().time())
        self._held_until = 0.0

    async def get(self, target: str, weight: float, limits: HttpLimits | None = None) -> HttpResponse:
        """The venue's answer, whatever its status. Raises HttpFailed when there is none."""
        loop = asyncio.get_running_loop()
        while True:
            wait = self._held_until - loop.time()
            if wait <= 0:
                wait = self._budget.wait_s(weight, loop.time())
            if wait <= 0:
                break
            await asyncio.sleep(min(wait, 60.0))
        answer = await self._get(target, limits or HttpLimits())
        hold = answer.retry_after_s
        if hold and answer.status in WAIT:
            hold = min(hold, MAX_HOLD_S)
            self._held_until = max(self._held_until, loop.time() + hold)
            self._log.warning("the venue tells us to wait", status=answer.status, seconds=hold)
        return answer
