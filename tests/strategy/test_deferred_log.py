"""Lines said in callbacks come out later, in order, with their time; too many are counted."""

from __future__ import annotations

from typing import Any

from libchronicle.strategy.deferred_log import DeferredLog


class Paper:
    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []

    def __getattr__(self, level: str) -> Any:
        return lambda event, **fields: self.lines.append((level, event, fields))


def test_nothing_is_written_before_the_drain_and_all_in_order_after() -> None:
    paper, now = Paper(), iter(range(10))
    log = DeferredLog(paper, lambda: next(now))
    log.info("one", x=1)
    log.error("two")
    assert paper.lines == []
    log.drain()
    log.drain()
    assert paper.lines == [("info", "one", {"at_ns": 0, "x": 1}), ("error", "two", {"at_ns": 1})]


def test_what_does_not_fit_is_counted_and_told_once() -> None:
    paper = Paper()
    log = DeferredLog(paper, lambda: 0, capacity=2)
    for n in range(5):
        log.info("line", n=n)
    log.drain()
    log.drain()
    assert [line[1] for line in paper.lines] == ["line", "line", "log lines dropped"]
    assert paper.lines[-1][2] == {"count": 3}
