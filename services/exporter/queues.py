"""Every queue of the bus as Prometheus metrics, read from control and reader pages; takes no lock, disturbs nobody.

chronicle_queue_records_total, _bytes, _segments, _budget_ratio{queue}
chronicle_queue_writer_up{queue}           1 while a writer holds the queue's lock
chronicle_queue_rolls_total, _roll_stalls_total, _wakes_total, _evicted_total, _full_total, _forgotten_total,
_sync_errors_total, _rescues_total{queue}
chronicle_queue_reader_lag_records, _lag_bytes, _reader_up{queue,reader}
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from libchronicle.bus.paths import BusPaths
from libchronicle.cli.queue_paths import queues_of
from libchronicle.cli.suite import Suite
from libchronicle.errors import ChronicleError
from libchronicle.queue import QueueInfo, inspect

EVENTS = {
    "rolls": "Segments begun.",
    "roll_stalls": "Rolls that had to make their segment themselves.",
    "wakes": "Wake-ups of sleeping readers.",
    "evicted": "Segments dropped before they were due, to stay within the budget.",
    "full": "Times that no room could be made for a segment.",
    "forgotten": "Readers given up: silent for too long, or too far behind.",
    "sync_errors": "Failed syncs of sealed segments.",
    "rescues": "Control pages that were damaged and built anew from the segments.",
}


class QueuesCollector(Collector):
    """All queues below the run directory and the hot directory."""

    def __init__(self, paths: BusPaths) -> None:
        self._suite = Suite(paths.root, paths.hot if paths.hot != paths.root else None)

    def collect(self) -> Iterator[Metric]:
        """Read every control page anew."""
        queues = dict(self._queues())
        yield from _about_queues(queues)
        yield from _events(queues)
        yield from _about_readers(queues)

    def _queues(self) -> Iterator[tuple[str, QueueInfo]]:
        for name, path in queues_of(self._suite):
            try:
                printable = name.encode(errors="replace").decode()  # a directory may be called anything
                yield printable, inspect(path)
            except (ChronicleError, OSError):
                continue


def _about_queues(queues: dict[str, QueueInfo]) -> Iterator[Metric]:
    records = CounterMetricFamily("chronicle_queue_records", "Records appended.", labels=["queue"])
    size = GaugeMetricFamily("chronicle_queue_bytes", "Bytes of its segment files.", labels=["queue"])
    segments = GaugeMetricFamily("chronicle_queue_segments", "Segment files.", labels=["queue"])
    budget = GaugeMetricFamily("chronicle_queue_budget_ratio", "Share of its budget used.", labels=["queue"])
    writer = GaugeMetricFamily(
        "chronicle_queue_writer_up", "1 while a writer holds its lock.", labels=["queue"]
    )
    quarantined = GaugeMetricFamily(
        "chronicle_queue_quarantined", "Damaged places on record.", labels=["queue"]
    )
    for name, info in queues.items():
        records.add_metric([name], info.next_seq)
        size.add_metric([name], sum(segment.bytes for segment in info.segments))
        segments.add_metric([name], len(info.segments))
        budget.add_metric([name], info.budget_used)
        writer.add_metric([name], float(info.writer_active))
        quarantined.add_metric([name], len(info.quarantine))
    yield from (records, size, segments, budget, writer, quarantined)


def _events(queues: dict[str, QueueInfo]) -> Iterator[Metric]:
    for event, text in EVENTS.items():
        family = CounterMetricFamily(f"chronicle_queue_{event}", text, labels=["queue"])
        for name, info in queues.items():
            family.add_metric([name], info.metrics[event])
        yield family


def _about_readers(queues: dict[str, QueueInfo]) -> Iterator[Metric]:
    labels = ["queue", "reader"]
    records = GaugeMetricFamily(
        "chronicle_queue_reader_lag_records", "Records it has not committed.", labels=labels
    )
    size = GaugeMetricFamily("chronicle_queue_reader_lag_bytes", "Bytes it has not committed.", labels=labels)
    active = GaugeMetricFamily(
        "chronicle_queue_reader_up", "1 while its owner holds its page.", labels=labels
    )
    for name, info in queues.items():
        for reader in info.readers:
            records.add_metric([name, reader.name], reader.lag_records)
            size.add_metric([name, reader.name], reader.lag_bytes)
            active.add_metric([name, reader.name], float(reader.active))
    yield from (records, size, active)
