"""The feed's counters, copied into the shared counters file at every heartbeat."""

from __future__ import annotations

from collections.abc import Callable

from libchronicle.bus.paths import BusPaths
from libchronicle.counters import Counter, CounterFile, ErrorLog
from libchronicle.venues.binance.pipeline import Pipeline
from libchronicle.venues.binance.tally import KINDS, REASONS

__all__ = ["FeedMetrics"]


class FeedMetrics:
    """frames_total is the sum of all kinds and all reasons."""

    def __init__(self, paths: BusPaths, daemon: str, feed: str) -> None:
        paths.services_dir.mkdir(parents=True, exist_ok=True)
        self.file = CounterFile.create(paths.counters(daemon), daemon)
        self.errors = ErrorLog(paths.errors(daemon))
        self._labels = {"feed": feed}
        self._codes: list[tuple[int, Counter]] = []
        for code, kind in KINDS.items():
            self._codes.append((code, self._counter("feed_frames_total", "frames taken, by kind", kind=kind)))
        for code, reason in REASONS.items():
            text = "frames not taken, by reason"
            self._codes.append((code, self._counter("feed_rejected_total", text, reason=reason)))
        self._messages = self._counter("messages_total", "frames received")
        self._figures = {
            "gaps": self._counter("feed_gaps_total", "gaps declared"),
            "snapshots": self._counter("feed_snapshots_total", "snapshots written"),
            "connects": self._counter("feed_connects_total", "connections opened"),
            "renewals": self._counter("feed_renewals_total", "connections replaced without a gap"),
            "snapshot_failures": self._counter(
                "feed_snapshot_failures_total", "snapshot requests without an answer"
            ),
            "missing_trades": self._counter("feed_missing_trades_total", "trade ids jumped over"),
            "late_trades": self._counter("feed_late_trades_total", "trades that came after a later one"),
            "connected": self._gauge("feed_connected", "connections that are up"),
            "symbols": self._gauge("feed_symbols", "symbols configured"),
            "synced": self._gauge("feed_synced_symbols", "symbols with a valid book"),
        }

    def _counter(self, name: str, text: str, **labels: str) -> Counter:
        return self.file.counter(name, text, {**self._labels, **labels})

    def _gauge(self, name: str, text: str) -> Counter:
        return self.file.gauge(name, text, self._labels)

    def publish(self, pipeline: Pipeline | None, figures: Callable[[], dict[str, int]]) -> None:
        if pipeline is not None:
            for code, counter in self._codes:
                counter.set(pipeline.tally[code])
            self._messages.set(pipeline.tally.total)
        for name, value in figures().items():
            self._figures[name].set(value)
        self.file.heartbeat()

    def state(self, text: str) -> None:
        self.file.set_state(text)

    def close(self) -> None:
        self.file.close()
        self.errors.close()
