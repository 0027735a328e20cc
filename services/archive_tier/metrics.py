"""What archive-tier counts, copied into the shared counters file at every heartbeat."""

from __future__ import annotations

from libchronicle.bus.paths import BusPaths
from libchronicle.counters import CounterFile, ErrorLog
from libchronicle.storage.keeper import Keeper

__all__ = ["ArchiveMetrics"]

NAME = "archive-tier"


class ArchiveMetrics:
    """Counters of one keeper. `records_total` counts segments, as what this daemon handles."""

    def __init__(self, paths: BusPaths) -> None:
        paths.services_dir.mkdir(parents=True, exist_ok=True)
        self.file = CounterFile.create(paths.counters(NAME), NAME)
        self.errors = ErrorLog(paths.errors(NAME))
        counter, gauge = self.file.counter, self.file.gauge
        self._counters = {
            "adopted": counter("archive_segments_total", "segments taken from queues"),
            "adopted_bytes": counter("archive_bytes_total", "bytes of these segments"),
            "compressed": counter("archive_compressed_total", "segments compressed"),
            "compressed_bytes": counter(
                "archive_compressed_bytes_total", "bytes of these before compression"
            ),
            "stored_bytes": counter("archive_stored_bytes_total", "bytes of these after compression"),
            "shipped": counter("archive_shipped_total", "segments put into the object store"),
            "quarantined": counter(
                "archive_quarantined_total", "files put aside because they cannot be taken"
            ),
            "damaged": counter(
                "archive_damaged_total", "segments taken with places in them that do not hold"
            ),
            "manifests": counter(
                "archive_manifests_rebuilt_total", "manifests that were damaged and made anew"
            ),
            "failures": counter("archive_failures_total", "moves that failed and will be tried again"),
            "waiting": gauge("archive_waiting_segments", "sealed segments in queues, too young to be taken"),
        }
        self._tiers = {
            tier: gauge("archive_tier_segments", "segments in the archive", {"tier": tier})
            for tier in ("warm", "cold", "remote")
        }
        self._tier_bytes = {
            tier: gauge("archive_tier_bytes", "bytes their files take", {"tier": tier})
            for tier in ("warm", "cold", "remote")
        }

    def publish(self, keeper: Keeper | None) -> None:
        """One store per counter, and the heartbeat."""
        if keeper is not None:
            for name, counter in self._counters.items():
                counter.set(getattr(keeper.tally, name))
            for tier, (segments, size) in keeper.totals.items():
                self._tiers[tier].set(segments)
                self._tier_bytes[tier].set(size)
        self.file.heartbeat()

    def close(self) -> None:
        self.errors.close()
        self.file.close()
