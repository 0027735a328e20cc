"""Keeping hold of the queues a strategy reads: the lifecycle hears when they come and go, the loop reads what is there.

Whether a writer lives, and opening its queue, is `bus.FeedWatch`'s business, for a feed and for the router alike. It costs
no system call while the writer lives; files are only opened or compared while there is nothing to trade on anyway.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from libchronicle.bus.feed_states import FeedState as Link
from libchronicle.bus.feed_states import Observation
from libchronicle.bus.feed_watch import FeedChange, FeedWatch
from libchronicle.errors import Corrupt, NotReadyError
from libchronicle.protocol import SessionSource
from libchronicle.queue import Queue, QueueConfig, Subscriber
from libchronicle.queue.face import Start
from libchronicle.strategy.carryover import Carried, adopt
from libchronicle.strategy.dispatch import Dispatcher
from libchronicle.strategy.lifecycle import Lifecycle
from libchronicle.strategy.rebuild import rebuild_books, rebuild_orders
from libchronicle.strategy.recorder import Recorder
from libchronicle.strategy.source import Source

__all__ = ["FeedLink", "RouterLink"]

READER = QueueConfig(reader_ttl_s=10.0)
RETRY_S = 0.25
"""How long a feed that ends in a damaged record is left alone before it is looked at again."""


class _Link:
    """One source, followed as its queue's writer comes and goes."""

    START: Start = "latest"

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
        self._watch = FeedWatch(source.path, reader_name, READER, self.START, ttl_s=ttl_ns / 1e9)

    def _look(self) -> list[FeedChange]:
        """What changed; the source reads what the watch has open."""
        changes = self._watch.poll()
        if self._watch.reader is not self.source.reader:
            self._follow()
        return changes

    def _follow(self) -> None:
        self.source.detach()
        if self._watch.reader is None:
            return
        self.source.attach(self._watch.reader)
        self._recorder.append(
            SessionSource(
                queue_id=self.source.queue_id,
                start_seq=self.source.next_seq,
                epoch=self.source.writer_epoch,
                source=self.source.rank,
                path=os.path.relpath(self.source.path, self._root),
            )
        )

    def _let_go(self) -> None:
        self.source.detach()
        self._watch.failed()


class FeedLink(_Link):
    """One feed: FeedState follows its queue's writer."""

    _retry_at = 0.0  # time.monotonic(): each attach is noted in the session

    def watch(self) -> None:
        """Called by housekeeping."""
        feed = self.source.name
        if time.monotonic() < self._retry_at:
            return
        for change in self._look():
            if change.state is Link.CONNECTED:
                self._lifecycle.forget_venue(feed)
            elif change.reason != Observation.REOPENED.value:  # the records tell of a new epoch, at its place
                self._lifecycle.feed_lost(feed, change.reason)
        if self._watch.state is Link.CONNECTED and self._lifecycle.awaits(feed):
            try:
                self._catch_up()
            except Corrupt as error:
                # with nothing whole behind it: the feed is as good as lost until there is
                self.failed(type(error).__name__)
                self._retry_at = time.monotonic() + RETRY_S
            else:
                self._lifecycle.feed_attached(feed)

    def failed(self, reason: str) -> None:
        """Reading failed (evicted, forgotten, replaced): let go and start over at the head."""
        self._let_go()
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

    START = "resume_or_oldest"

    def restore(self, orders_out: str, carried: Carried | None) -> tuple[int, int]:
        """Positions and open orders before the strategy starts: what the last session carried over and what the queues
        tell since, or all that the queues tell. Returns how many requests and reports were read."""
        with Queue.open_subscriber(orders_out, None, READER, "earliest") as sent:
            reports = self._open_reports()
            if carried is not None and carried.fits(sent, reports):
                adopt(self._dispatcher, carried)
                sent.seek_seq(carried.end.orders_out_seq)
                if reports is not None:
                    reports.seek_seq(carried.end.orders_in_seq)
            if reports is not None:
                self._watch.adopt(reports)
                self._follow()
            read = rebuild_orders(self._dispatcher, sent, reports, self._recorder, self.source.rank)
        if reports is not None:
            self.source.attach(reports)
        return read

    def _open_reports(self) -> Subscriber | None:
        try:
            return Queue.try_open_subscriber(self.source.path, self._reader_name, READER, "earliest")
        except NotReadyError:
            return None

    def watch(self) -> None:
        """Called by housekeeping."""
        for change in self._look():
            if change.state is Link.CONNECTED:
                self._lifecycle.router_attached()
            else:
                self._lifecycle.router_lost(change.reason)

    def failed(self, reason: str) -> None:
        """Reading failed: let go and read on where the last commit was; what comes again is known by its execId."""
        self._let_go()
        self._lifecycle.router_lost(reason)
