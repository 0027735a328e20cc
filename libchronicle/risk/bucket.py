"""Token bucket in integer nanoseconds (the generic cell rate algorithm): one number of state, no timer, no
float."""

from __future__ import annotations

__all__ = ["TokenBucket"]

SECOND_NS = 1_000_000_000


class TokenBucket:
    """At most `burst` at once and `rate_per_s` in the long run. Time is whatever the caller passes in."""

    __slots__ = ("_cost_ns", "_depth_ns", "_full_at_ns")

    def __init__(self, rate_per_s: int, burst: int | None = None) -> None:
        self._cost_ns = SECOND_NS // rate_per_s
        self._depth_ns = self._cost_ns * (burst or rate_per_s)
        self._full_at_ns = 0

    def has_token(self, now_ns: int) -> bool:
        """Whether `take` would succeed; takes nothing."""
        return self._full(now_ns) + self._cost_ns <= now_ns + self._depth_ns

    def _full(self, now_ns: int) -> int:
        """When the bucket is full again. Further off than an empty one takes: the clock has stepped back; it is empty."""
        self._full_at_ns = min(self._full_at_ns, now_ns + self._depth_ns)
        return max(self._full_at_ns, now_ns)

    def take(self, now_ns: int) -> bool:
        """Take a token; False and nothing taken when there is none. A clock that steps back refills
        nothing."""
        if not self.has_token(now_ns):
            return False
        self._full_at_ns = self._full(now_ns) + self._cost_ns
        return True
