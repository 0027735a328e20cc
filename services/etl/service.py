"""The refinery daemon's loop: every raw queue in turn, then sleep until one of them has something.

waiting     no raw queue yet, or the one there was is gone: looked for four times a second
refining    read and written in batches; the reader's page is committed behind each
full        the disk or a budget takes no more: the same record is tried again, ten times a second. Nothing is lost: the
            raw queue keeps what has not been read
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Self

from libchronicle.bus.control import ControlReceiver
from libchronicle.bus.feed_watch import LEADS_NOWHERE, why_lost
from libchronicle.bus.paths import BusPaths
from libchronicle.clock import now_ns
from libchronicle.errors import (
    Broken,
    ChronicleError,
    CorruptControl,
    EnvironmentFault,
    NotReadyError,
    QueueReplaced,
)
from libchronicle.etl import Group, Policy, Refinery, SymbolTable, load_symbols, open_refinery
from libchronicle.protocol import Command
from libchronicle.queue import wait_any
from libchronicle.runtime.config import EtlConfig, HostConfig
from libchronicle.runtime.daemon import Daemon
from libchronicle.runtime.logging import Log
from services.etl.metrics import EtlMetrics

__all__ = ["EtlService"]

BATCH = 4096
"""Records between two looks at the clock: about a millisecond."""
LOOK_S = 0.25
RETRY_S = 0.1
TTL_S = 2.0
GONE = (QueueReplaced, Broken, CorruptControl)
"""Errors after which the raw queue's reader leads nowhere, but a new one may."""


@dataclass(slots=True)
class _Source:
    """One raw queue."""

    feed: str
    refinery: Refinery | None = None
    due_s: float = 0.0  # when to look again, or to try again
    stuck: bool = False
    told: str = field(default="")  # the last fault that was logged


class EtlService:
    """Use as a context manager: it closes the queues, whatever happens."""

    def __init__(self, config: HostConfig, etl: EtlConfig, daemon: str, log: Log) -> None:
        self.paths = BusPaths(config.bus.root_path, config.bus.hot_path)
        self.daemon = daemon
        self._log = log
        self._group = Group(etl.daemons[daemon], etl.groups)
        self._symbols = load_symbols(etl.symbols_path) if etl.symbols_path is not None else SymbolTable()
        self._policy = Policy.of(etl)
        self._sources = [_Source(feed) for feed in sorted(config.feeds) if etl.refines(feed)]
        self._stop_asked = ""
        self._metrics: EtlMetrics
        self._receiver: ControlReceiver

    def __enter__(self) -> Self:
        self._metrics = EtlMetrics(self.paths, self.daemon)
        self._receiver = ControlReceiver(self.paths, self.daemon)
        self._metrics.state("starting")
        return self

    def __exit__(self, *_: object) -> None:
        for source in self._sources:
            self._let_go(source)
        self._metrics.state("stopped")
        self._metrics.publish(())
        self._receiver.close()
        self._metrics.close()

    # ------------------------------------------------------------ the loop

    def run(self, daemon: Daemon) -> None:
        """Until it is stopped."""
        self._look()
        daemon.ready()
        while daemon.running:
            daemon.beat()
            if self._stop_asked:
                daemon.stop(self._stop_asked)
            if not self._turn():
                self._sleep()

    def _turn(self) -> int:
        """A batch of every raw queue; how many records there were."""
        taken = 0
        now_s = time.monotonic()
        for source in self._sources:
            if source.refinery is not None and source.due_s <= now_s:
                taken += self._refine(source, source.refinery)
        return taken

    def _refine(self, source: _Source, refinery: Refinery) -> int:
        try:
            taken = refinery.run(BATCH)
            refinery.commit()
        except EnvironmentFault as error:
            self._stick(source, error)
            return 0
        except GONE as error:
            self._tell(source, "raw queue cannot be read", error)
            self._let_go(source)
            return 0
        if taken and refinery.oldest_ts:
            self._metrics.lag.observe(max(0, now_ns() - refinery.oldest_ts))
        if source.stuck:
            source.stuck, source.told = False, ""
            self._log.info("clean queues take records again", feed=source.feed)
        return taken

    def _sleep(self) -> None:
        readers = [
            source.refinery.raw
            for source in self._sources
            if source.refinery is not None and not source.stuck
        ]
        timeout_s = RETRY_S if any(source.stuck for source in self._sources) else LOOK_S
        if readers:
            wait_any(readers, timeout_s)
        else:
            time.sleep(min(timeout_s, RETRY_S))

    def _stick(self, source: _Source, error: EnvironmentFault) -> None:
        source.stuck = True
        source.due_s = time.monotonic() + RETRY_S
        self._tell(source, "clean queues take nothing", error)

    # ------------------------------------------------------------ four times a second

    def beat(self) -> None:
        self._look()
        self._obey()
        now = now_ns()
        for source in self._sources:
            refinery = source.refinery
            if refinery is None:
                continue
            try:
                refinery.sweep(now)
            except EnvironmentFault as error:
                self._stick(source, error)
            while refinery.faults:
                self._tell(source, "definition refused", refinery.faults.pop(0))
        self._metrics.state(self._state())
        self._metrics.publish(self._refineries())

    def _look(self) -> None:
        """Open what is there, let go of what leads nowhere."""
        now_s = time.monotonic()
        for source in self._sources:
            if source.refinery is None and source.due_s <= now_s:
                self._open(source)
            elif source.refinery is not None:
                lost = why_lost(source.refinery.raw, TTL_S)
                if lost in LEADS_NOWHERE:
                    self._log.warning("raw queue is gone", feed=source.feed, reason=lost)
                    self._let_go(source)

    def _open(self, source: _Source) -> None:
        raw = self.paths.raw(source.feed)
        try:
            source.refinery = open_refinery(
                self.paths, raw, self.daemon, policy=self._policy, symbols=self._symbols, group=self._group
            )
        except (NotReadyError, CorruptControl):
            return
        except EnvironmentFault as error:
            self._stick(source, error)
            return
        source.stuck, source.told = False, ""
        refinery = source.refinery
        self._log.info(
            "refining", feed=source.feed, seq=refinery.raw.next_seq, behind=refinery.raw.lag()[1],
            queues=refinery.queues,
        )  # fmt: skip

    def _let_go(self, source: _Source) -> None:
        refinery, source.refinery = source.refinery, None
        if refinery is not None:
            self._metrics.retire(refinery)
            refinery.close()
            refinery.raw.close()

    def _obey(self) -> None:
        for command in self._receiver.poll():
            who = f"{command.user}@{command.host}"
            self._log.info("told", command=command.command.name, by=who, reason=command.reason)
            if command.command is Command.STOP:
                self._stop_asked = f"{who}: {command.reason}"
            else:
                self._log.warning("not for a refinery", command=command.command.name)

    def _tell(self, source: _Source, event: str, error: ChronicleError) -> None:
        """Once for each fault, not for each try."""
        if source.told != str(error):
            source.told = str(error)
            self._log.error(event, error, feed=source.feed)
            self._metrics.errors.record(error)

    def _refineries(self) -> list[Refinery]:
        return [source.refinery for source in self._sources if source.refinery is not None]

    def _state(self) -> str:
        if any(source.stuck for source in self._sources):
            return "queue full"
        if not self._refineries():
            return "waiting for feeds"
        return "refining"
