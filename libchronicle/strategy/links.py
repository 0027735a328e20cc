"""Keeping hold of the queues a strategy reads: open them when they appear, notice when their writers go, come back.

A feed's link and the router's do the same dance with different steps. Both look at liveness through the mapped control
page, which costs no system call; files are only opened or compared while there is nothing to trade on anyway.
"""

from __future__ import annotations

import os
from pathlib import Path

from libchronicle.clock import monotonic_ns
from libchronicle.errors import NotReadyError
from libchronicle.protocol import SessionSource
from libchronicle.queue import Queue, QueueConfig, Subscriber
from libchronicle.strategy.dispatch import Dispatcher
from libchronicle.strategy.lifecycle import Lifecycle
from libchronicle.strategy.rebuild import rebuild_books, rebuild_orders
from libchronicle.strategy.recorder import Recorder
from libchronicle.strategy.source import Source
from libchronicle.strategy.states import FeedState, RouterState

__all__ = ["FeedLink", "RouterLink"]

LOOK_AGAIN_NS = 200_000_000
READER = QueueConfig(reader_ttl_s=10.0)


class _Link:
    """One source and what must be known to open it again."""

    def __init__(
        self,
        source: Source,
        reader_name: str,
        root: Path,
        lifecycle: Lifecycle,
        dispatcher: Dispatcher,
        recorder: Recorder,
        ttl_ns: int,
    ) -> None:
        self.source = source
        self._reader_name = reader_name
        self._root = root
        self._lifecycle = lifecycle
        self._dispatcher = dispatcher
        self._recorder = recorder
        self._ttl_ns = ttl_ns
        self._look_ns = 0
        self._inode = 0

    def lost(self) -> str:
        """Why the writer counts as lost; "" while it lives.

        A young heartbeat, read from the mapped control page, is answer enough. An old one is looked into with system
        calls: a killed writer has lost its lock, one that hangs gets its whole time to live.
        """
        if self.source.reader is None:
            return "no queue"
        if self.source.is_alive(monotonic_ns(), self._ttl_ns // 4):
            return ""
        reason = self.source.reader.detect_disconnect(self._ttl_ns / 1e9)
        return "" if reason is None else reason.value

    def _due(self) -> bool:
        """True at most five times a second: what follows may cost system calls."""
        now = monotonic_ns()
        if now < self._look_ns:
            return False
        self._look_ns = now + LOOK_AGAIN_NS
        return True

    def _open(self, start: str) -> bool:
        """Attach if there is a queue; records where reading begins."""
        try:
            reader = Queue.try_open_subscriber(self.source.path, self._reader_name, READER, start)  # type: ignore[arg-type]
        except NotReadyError:
            return False
        if reader is None:
            return False
        self._inode = _inode(self.source.path)
        self.source.attach(reader)
        self._recorder.append(
            SessionSource(
                queue_id=reader.queue_id,
                start_seq=reader.next_seq,
                epoch=self.source.writer_epoch,
                source=self.source.rank,
                path=os.path.relpath(self.source.path, self._root),
            )
        )
        return True

    def _forget_if_replaced(self) -> None:
        """The queue of that path may be another one by now (a tmpfs came back empty)."""
        if self.source.attached and _inode(self.source.path) != self._inode:
            self.source.detach()


def _inode(path: str) -> int:
    try:
        return os.stat(os.path.join(path, "control.meta")).st_ino
    except OSError:
        return 0


class FeedLink(_Link):
    """One feed: FeedState follows its queue's writer."""

    def watch(self) -> None:
        """Called by housekeeping."""
        state = self._lifecycle.feeds[self.source.name]
        if state in (FeedState.SYNCING, FeedState.CONNECTED):
            if reason := self.lost():
                self._lifecycle.feed_lost(self.source.name, reason)
            return
        if not self._due():
            return
        self._forget_if_replaced()
        if not self.source.attached and not self._open("latest"):
            return
        if not self.lost():
            self._catch_up()
            self._lifecycle.feed_attached(self.source.name)

    def failed(self, reason: str) -> None:
        """Reading failed (evicted, forgotten, replaced): let go and start over at the head."""
        self.source.detach()
        self._lifecycle.feed_lost(self.source.name, reason)

    def _catch_up(self) -> None:
        lifecycle, feed = self._lifecycle, self.source.name
        self._dispatcher.feed_name = feed
        lifecycle.rebuilding = True
        try:
            rebuild_books(self._dispatcher, self._recorder, self.source, lifecycle.instruments(feed))
        finally:
            lifecycle.rebuilding = False


class RouterLink(_Link):
    """orders_in: RouterState follows its writer. What was reported before the first attach is read muted."""

    def restore(self, orders_out: str) -> None:
        """Positions and open orders as the queues tell them, before the strategy starts."""
        reports: Subscriber | None = None
        if self._open("earliest"):
            reports = self.source.reader
        with Queue.open_subscriber(orders_out, None, READER, "earliest") as sent:
            rebuild_orders(self._dispatcher, sent, reports, self._recorder, self.source.rank)
        if reports is not None:
            self.source.attach(reports)

    def watch(self) -> None:
        """Called by housekeeping."""
        if self._lifecycle.router is RouterState.CONNECTED:
            if reason := self.lost():
                self._lifecycle.router_lost(reason)
            return
        if not self._due():
            return
        self._forget_if_replaced()
        if not self.source.attached and not self._open("earliest"):
            return
        if not self.lost():
            self._lifecycle.router_attached()

    def failed(self, reason: str) -> None:
        self.source.detach()
        self._lifecycle.router_lost(reason)
