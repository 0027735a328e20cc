"""`ctx.log`: log lines from callbacks without a system call in the decision loop.

A line is put into a bounded list; a chore writes it out within 50 ms, with the time it was said (`at_ns`). A strategy that
says more than fits loses the newest lines, and the log says how many.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["DeferredLog"]

CAPACITY = 1024


class _Log(Protocol):
    def debug(self, event: str, **fields: Any) -> None: ...
    def info(self, event: str, **fields: Any) -> None: ...
    def warning(self, event: str, **fields: Any) -> None: ...
    def error(self, event: str, **fields: Any) -> None: ...


class DeferredLog:
    """`info("filled", price=…)` and its kin; `drain` writes what has gathered to the log behind."""

    def __init__(self, log: _Log, now_ns: Callable[[], int], capacity: int = CAPACITY) -> None:
        self._log = log
        self._now_ns = now_ns
        self._capacity = capacity
        self._lines: deque[tuple[str, int, str, dict[str, Any]]] = deque()
        self.dropped = 0
        self._told = 0

    def debug(self, event: str, **fields: Any) -> None:
        self._put("debug", event, fields)

    def info(self, event: str, **fields: Any) -> None:
        self._put("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        self._put("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        self._put("error", event, fields)

    def _put(self, level: str, event: str, fields: dict[str, Any]) -> None:
        if len(self._lines) >= self._capacity:
            self.dropped += 1
        else:
            self._lines.append((level, self._now_ns(), event, fields))

    def drain(self) -> None:
        while self._lines:
            level, at_ns, event, fields = self._lines.popleft()
            getattr(self._log, level)(event, at_ns=at_ns, **fields)
        if self.dropped != self._told:
            self._log.warning("log lines dropped", count=self.dropped - self._told)
            self._told = self.dropped
