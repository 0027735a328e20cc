"""archive-tier: looks at all queues, moves what is due, one segment after the other, and beats between the pieces of each.

It holds no queue open: as their durable reader it only moves its page on when a segment has been archived, and the
queue's own writer removes it then. The wall clock is read here and nowhere below.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from libchronicle.bus.paths import BusPaths
from libchronicle.errors import ChronicleError, DamagedManifest
from libchronicle.runtime.config import ArchiveConfig, HostConfig
from libchronicle.runtime.daemon import Daemon
from libchronicle.runtime.logging import Log
from libchronicle.storage.keeper import Keeper
from libchronicle.storage.objects import ObjectStore
from libchronicle.storage.policy import policy_of
from services.archive_tier.metrics import NAME, ArchiveMetrics

TURN_S = 0.1
AFTER_FAILURE_S = (
    10.0  # a full disk or an object store that is away is there again in minutes, not in milliseconds
)
AT_A_TIME = 32  # segments of the archive moved before the queues are looked at again


class Stopping(Exception):
    """A stop was asked for in the middle of a move; what it leaves half made is swept at the next start."""


def run(config: HostConfig, options: argparse.Namespace, log: Log) -> None:
    """Serve until SIGTERM.

    Raises:
        ArchiveBusy: another process moves segments in this archive.
        ArchiveError: another process keeps the manifest to itself. One that is damaged is put aside and made anew.
    """
    archive = config.archive or ArchiveConfig()
    paths = BusPaths(config.bus.root_path, config.bus.hot_path)
    metrics = ArchiveMetrics(paths)
    keeper: Keeper | None = None
    with Daemon(NAME, beat=lambda: metrics.publish(keeper)) as daemon:

        def step(name: str) -> None:
            daemon.beat()
            if not daemon.running:
                raise Stopping(name)

        def tell(what: str, error: ChronicleError) -> None:
            metrics.errors.record(str(error))
            log.error("cannot " + what, error)

        made = Keeper(
            paths,
            policy_of(archive),
            level=archive.level,
            block_size=archive.block_size,
            store=_store(archive, lambda: step("object store")),
            tell=tell,
            step=step,
        )
        try:
            daemon.ready(
                "looking through the archive"
            )  # of a large one without a manifest that takes its time
            with made as keeper:
                log.info(
                    "keeping",
                    archive=str(keeper.layout.root),
                    segments=sum(n for n, _ in keeper.totals.values()),
                )
                metrics.publish(keeper)
                metrics.file.set_state("serving")
                serve(daemon, keeper, archive.interval_s)
        except Stopping:
            pass
        metrics.publish(keeper)
    metrics.close()


def serve(daemon: Daemon, keeper: Keeper, interval_s: float) -> None:
    """Turn after turn: what is sealed first, for retention waits for it; then what is due to be compressed and shipped."""
    next_look, failures = 0.0, 0
    while daemon.running:
        daemon.beat()
        began = time.monotonic()
        if began < next_look:
            time.sleep(TURN_S)
            continue
        try:
            busy = keeper.take_sealed(time.time_ns())
            busy += keeper.compress_due(time.time_ns(), AT_A_TIME)
            busy += keeper.ship_due(time.time_ns(), AT_A_TIME)
        except DamagedManifest as error:
            keeper.mend(error)
            continue
        ended = time.monotonic()
        failed, failures = keeper.tally.failures > failures, keeper.tally.failures
        if failed:
            next_look = ended + AFTER_FAILURE_S
        elif not busy:  # looking at a large archive takes at most a tenth of this process's time
            next_look = ended + max(interval_s, 10 * (ended - began))


def _store(archive: ArchiveConfig, waiting: Callable[[], object]) -> ObjectStore | None:
    if not archive.remote:
        return None
    return ObjectStore(archive.remote, archive.remote_options, waiting=waiting)
