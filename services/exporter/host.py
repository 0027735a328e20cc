"""What belongs to the host as a whole and must be seen when every daemon is dead: the kill word and the disks.

chronicle_killed                              1 while the kill word forbids trading, missing and unreadable included
chronicle_disk_size_bytes, _free_bytes{path}  of the file systems that the queues lie on; path is "root" or "hot"
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from libchronicle.bus.killswitch import KillSwitch
from libchronicle.bus.paths import BusPaths


class HostCollector(Collector):
    """Looks anew at every scrape."""

    def __init__(self, paths: BusPaths) -> None:
        self.paths = paths

    def collect(self) -> Iterator[Metric]:
        """The kill word, then each file system."""
        switch = KillSwitch(self.paths.kill_word)
        yield GaugeMetricFamily(
            "chronicle_killed", "1 while the kill word forbids trading.", value=float(switch.killed)
        )
        switch.close()
        yield from _disks({"root": self.paths.root, "hot": self.paths.hot})


def _disks(places: dict[str, Path]) -> Iterator[Metric]:
    size = GaugeMetricFamily("chronicle_disk_size_bytes", "Size of its file system.", labels=["path"])
    free = GaugeMetricFamily("chronicle_disk_free_bytes", "Bytes left to daemons there.", labels=["path"])
    for name, place in places.items():
        try:
            found = os.statvfs(place)
        except OSError:
            continue  # nothing was ever written there
        size.add_metric([name], found.f_blocks * found.f_frsize)
        free.add_metric([name], found.f_bavail * found.f_frsize)
    yield from (size, free)
