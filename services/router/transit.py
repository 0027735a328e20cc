"""Requests on their way to the paper venue: the latency of a backtest's entry, by the time a request was sent. Pure.

A request that has been read and is not due is held, and its strategy's queue with it; it is handled, and journaled, when it
arrives. So a rerun needs no latency: the journal has the order. None overtakes one that its strategy sent before it.
"""

from __future__ import annotations

from collections.abc import Callable

from services.router.engine import Request

__all__ = ["Transit"]


class Transit:
    """`latency`: ns that a request sent at a time takes; None = none, and nothing is ever held."""

    def __init__(self, latency: Callable[[int], int] | None) -> None:
        self._latency = latency
        self._last_due: dict[str, int] = {}
        self.held: dict[str, tuple[int, Request]] = {}  # by strategy: when it is due, and what

    def takes(self, name: str, request: Request, now_ns: int) -> bool:
        """Whether the request is still on its way; it is held then."""
        if self._latency is None:
            return False
        due = max(request.ts_ns + self._latency(request.ts_ns), self._last_due.get(name, 0))
        self._last_due[name] = due
        if due <= now_ns:
            return False
        self.held[name] = (due, request._replace(payload=bytes(request.payload)))
        return True

    def arrived(self, now_ns: int) -> tuple[str, Request] | None:
        """The earliest that is due: its strategy, and the request."""
        due, name = min(((due, name) for name, (due, _) in self.held.items()), default=(0, ""))
        if not name or due > now_ns:
            return None
        return name, self.held.pop(name)[1]

    def forget(self, name: str) -> None:
        """Its queue is read anew."""
        self.held.pop(name, None)
        self._last_due.pop(name, None)

    @property
    def next_due_ns(self) -> int:
        """When the next request arrives; 0 = none is held."""
        return min((due for due, _ in self.held.values()), default=0)
