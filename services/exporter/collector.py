"""Counters files as Prometheus metrics. Reads files only: a dead daemon's last figures stay visible, marked down.

Every sample `name{labels}` of a counters file becomes `chronicle_name{daemon="…",labels}`; besides there are, per daemon:

    chronicle_up                       1 while the process lives and its loop's heartbeat is younger than the TTL
    chronicle_process_up               1 while the process lives, whether its loop turns or not
    chronicle_heartbeat_age_seconds    absent after an orderly end
    chronicle_start_time_seconds       Unix time
    chronicle_state                    1, with the word for what it is doing in the label `state`
    chronicle_errors_total             occurrences in its error log
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from libchronicle.counters import Sample, Snapshot, read_counters, read_errors
from libchronicle.errors import ChronicleError

PREFIX = "chronicle_"
SUFFIX = ".counters"
ERRORS_SUFFIX = ".errors"


class CountersCollector(Collector):
    """All counters files of one directory. `expected` are daemons that count as down while they have no file."""

    def __init__(
        self,
        directory: Path,
        ttl_s: float,
        expected: Iterable[str] = (),
        on_scrape: Callable[[], object] | None = None,
    ) -> None:
        self.directory = directory
        self.ttl_s = ttl_s
        self.expected = tuple(expected)
        self.on_scrape = on_scrape
        self.unreadable = 0

    def collect(self) -> Iterator[Metric]:
        """Read every file anew: one scrape is one consistent look at each daemon."""
        if self.on_scrape is not None:
            self.on_scrape()
        snapshots = dict(self._snapshots())
        yield from self._about_daemons(snapshots)
        yield from _families(snapshots)

    def _snapshots(self) -> Iterator[tuple[str, Snapshot]]:
        self.unreadable = 0
        for path in sorted(self.directory.glob(f"*{SUFFIX}")):
            try:
                yield path.name.removesuffix(SUFFIX), read_counters(path)
            except (ChronicleError, OSError):
                self.unreadable += 1

    def _about_daemons(self, snapshots: dict[str, Snapshot]) -> Iterator[Metric]:
        up = GaugeMetricFamily(f"{PREFIX}up", "1 while the daemon's own loop beats.", labels=["daemon"])
        process = GaugeMetricFamily(f"{PREFIX}process_up", "1 while the process lives.", labels=["daemon"])
        age = GaugeMetricFamily(
            f"{PREFIX}heartbeat_age_seconds", "Age of the last heartbeat.", labels=["daemon"]
        )
        start = GaugeMetricFamily(f"{PREFIX}start_time_seconds", "Start of the process.", labels=["daemon"])
        state = GaugeMetricFamily(f"{PREFIX}state", "What the daemon is doing.", labels=["daemon", "state"])
        errors = CounterMetricFamily(f"{PREFIX}errors", "Occurrences in the error log.", labels=["daemon"])
        for name in sorted({*snapshots, *self.expected}):
            snapshot = snapshots.get(name)
            up.add_metric([name], float(snapshot is not None and snapshot.up(self.ttl_s)))
            process.add_metric([name], float(snapshot is not None and snapshot.alive))
            if snapshot is None:
                continue
            if snapshot.heartbeat_age_s is not None:
                age.add_metric([name], snapshot.heartbeat_age_s)
            start.add_metric([name], snapshot.started_ns / 1e9)
            state.add_metric([name, snapshot.state], 1.0)
            log = read_errors(self.directory / f"{name}{ERRORS_SUFFIX}")
            errors.add_metric([name], sum(entry.count for entry in log))
        yield from (up, process, age, start, state, errors)
        yield GaugeMetricFamily(
            f"{PREFIX}unreadable_files", "Counters files that cannot be read.", value=self.unreadable
        )


def _families(snapshots: dict[str, Snapshot]) -> Iterator[Metric]:
    """One family per name over all daemons; daemons may differ in label names, so keys are joined."""
    grouped: dict[tuple[str, str], list[tuple[str, Sample]]] = {}
    for daemon, snapshot in snapshots.items():
        for sample in snapshot.samples:
            grouped.setdefault((sample.name, sample.kind), []).append((daemon, sample))
    for (name, kind), samples in sorted(grouped.items()):
        keys = sorted({key for _, sample in samples for key in sample.labels})
        yield _family(name, kind, keys, samples)


def _family(name: str, kind: str, keys: list[str], samples: list[tuple[str, Sample]]) -> Metric:
    text = next((sample.help for _, sample in samples if sample.help), name)
    labels = ["daemon", *keys]
    full = name if name.startswith(PREFIX) else PREFIX + name
    if kind == "histogram":
        histogram = HistogramMetricFamily(full, text, labels=labels)
        for daemon, sample in samples:
            histogram.add_metric(_values(daemon, keys, sample), _cumulated(sample), sample.value)
        return histogram
    family: CounterMetricFamily | GaugeMetricFamily = (
        CounterMetricFamily(full.removesuffix("_total"), text, labels=labels)
        if kind == "counter"
        else GaugeMetricFamily(full, text, labels=labels)
    )
    for daemon, sample in samples:
        family.add_metric(_values(daemon, keys, sample), sample.value)
    return family


def _values(daemon: str, keys: list[str], sample: Sample) -> list[str]:
    return [daemon, *(sample.labels.get(key, "") for key in keys)]


def _cumulated(sample: Sample) -> list[tuple[str, float]]:
    total, rows = 0, []
    for bound, count in sample.buckets:
        total += count
        rows.append(("+Inf" if bound == float("inf") else repr(round(bound, 12)), float(total)))
    return rows
