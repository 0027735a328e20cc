"""The refinery's counters, copied into the shared counters file at every heartbeat."""

from __future__ import annotations

from collections import Counter as Sum
from collections.abc import Iterable

from libchronicle.bus.paths import BusPaths
from libchronicle.counters import CounterFile, ErrorLog
from libchronicle.etl import Refinery

__all__ = ["EtlMetrics"]

REASONS = {
    "malformed": "malformed",
    "unknown_instrument": "unknown",
    "too_late": "too_late",
    "too_large": "too_large",
}
LAG_BOUNDS_NS = tuple(
    us * 1000 for us in (50, 100, 200, 500, 1000, 2000, 5000, 10_000, 50_000, 100_000, 1_000_000, 10_000_000)
)


class EtlMetrics:
    """One file. Figures of refineries that were closed stay in the sums."""

    def __init__(self, paths: BusPaths, daemon: str) -> None:
        paths.services_dir.mkdir(parents=True, exist_ok=True)
        self.file = CounterFile.create(paths.counters(daemon), daemon)
        self.errors = ErrorLog(paths.errors(daemon))
        counter, gauge = self.file.counter, self.file.gauge
        self._messages = counter("messages_total", "raw records read")
        self._records = {
            kind: counter("etl_records_total", "raw records written into clean queues", {"stream": kind})
            for kind in ("book", "trade", "quote")
        }
        self._rejected = {
            figure: counter("etl_rejected_total", "raw records not taken, by reason", {"reason": reason})
            for reason, figure in REASONS.items()
        }
        self._figures = {
            "gaps": counter("etl_gaps_total", "gaps of feeds, and holes in raw queues"),
            "snapshots": counter("etl_snapshots_total", "book snapshots injected"),
            "unfit": counter("etl_snapshots_unfit_total", "book snapshots that no segment holds"),
            "refused": counter("etl_refused_total", "records that were written, but no book could apply"),
            "late": counter("etl_late_total", "records written into late queues"),
            "repeated": counter("etl_repeated_total", "records met again after a restart, and passed over"),
            "skipped": counter("etl_skipped_total", "records of a type that clean queues do not hold"),
            "others": counter("etl_others_total", "records of instruments of another group"),
            "rolls": counter("etl_rolls_total", "segments ended for a date, their age, or lack of room"),
        }
        self.lag = self.file.histogram(
            "etl_lag_seconds",
            "raw record committed to its clean records committed, the oldest of each batch",
            LAG_BOUNDS_NS,
            scale=1e-9,
        )
        self._lag_records = gauge("etl_lag_records", "raw records not read yet")
        self._lag_bytes = gauge("etl_lag_bytes", "bytes of them")
        self._queues = gauge("etl_queues", "clean queues open")
        self._feeds = gauge("etl_feeds", "raw queues being read")
        self._retired: Sum[str] = Sum()

    def publish(self, refineries: Iterable[Refinery]) -> None:
        """One store per counter, and the heartbeat."""
        found = list(refineries)
        total = Sum(self._retired)
        lag_bytes = lag_records = 0
        for refinery in found:
            total.update(self._of(refinery))
            behind = refinery.raw.lag()
            lag_bytes += behind[0]
            lag_records += behind[1]
        self._messages.set(total["frames"])
        for counters in (self._records, self._rejected, self._figures):
            for figure, counter in counters.items():
                counter.set(total[figure])
        self._lag_records.set(lag_records)
        self._lag_bytes.set(lag_bytes)
        self._queues.set(sum(refinery.queues for refinery in found))
        self._feeds.set(len(found))
        self.file.heartbeat()

    def retire(self, refinery: Refinery) -> None:
        """It is closed; the counters must not fall."""
        self._retired.update(self._of(refinery))

    def state(self, text: str) -> None:
        self.file.set_state(text)

    def close(self) -> None:
        self.file.close()
        self.errors.close()

    @staticmethod
    def _of(refinery: Refinery) -> dict[str, int]:
        return {"frames": refinery.frames, **refinery.figures}
