"""What a daemon did in the last second, as one line of its log at level debug: which of its counters rose, and by how much.

    ts=… level=debug daemon=router event=did requests{kind=new}=2 messages=431

Counters are for everything frequent; this is how one watches them in a terminal, without another tool.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from libchronicle.counters import read_counters
from libchronicle.errors import ChronicleError
from libchronicle.runtime.logging import Log

__all__ = ["telling"]

INTERVAL_S = 1.0


def telling(beat: Callable[[], object], counters: Path, log: Log) -> Callable[[], object]:
    """`beat` itself, unless debug lines are wanted: then one that also tells, once a second."""
    if not logging.getLogger().isEnabledFor(logging.DEBUG):
        return beat
    activity = _Activity(counters, log)

    def both() -> None:
        beat()
        activity.tell(time.monotonic())

    return both


class _Activity:
    def __init__(self, counters: Path, log: Log) -> None:
        self._counters = counters
        self._log = log
        self._before: dict[str, float] = {}
        self._next_s = 0.0

    def tell(self, now_s: float) -> None:
        if now_s < self._next_s:
            return
        self._next_s = now_s + INTERVAL_S
        try:
            after = self._look()
        except ChronicleError:
            return  # not there yet
        risen = {name: int(value - self._before.get(name, 0)) for name, value in after.items()}
        self._before = after
        did = {name: value for name, value in risen.items() if value > 0}
        if did:
            self._log.debug("did", **did)

    def _look(self) -> dict[str, float]:
        found = {}
        for sample in read_counters(self._counters).samples:
            if sample.name.endswith("_total"):
                kinds = ",".join(f"{k}={v}" for k, v in sample.labels.items() if k not in ("feed", "market"))
                name = sample.name.removesuffix("_total")
                found[f"{name}{{{kinds}}}" if kinds else name] = sample.value
        return found
