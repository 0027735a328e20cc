"""The router's feeds as they come and go, and what that means for resting orders.

    absent   configured, but there is no reader; the sidecar was asked for one
    alive    its writer lives
    lost     its writer has gone or hangs; the reader stays, and reads what is left
    failed   its reader leads nowhere (queue replaced, damaged): lost at once, and absent until the sidecar brings another

After a restart a feed is read on behind the last record that met the orders, as if the router had never been away: what
came since is caught up with before anybody's request is answered. Where nothing of ours waits, it begins at the head.

A market that is lost is told once, whichever way it was lost: journaled, logged, and with `on_market_lost = "cancel"`
its resting orders end. A feed that is absent from the start has its time to live to come first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from libchronicle.bus.feed_watch import why_lost
from libchronicle.clock import monotonic_ns, now_ns
from libchronicle.protocol import SessionSource, TimerFired, instrument_id
from libchronicle.queue import Subscriber
from libchronicle.runtime.config import HostConfig
from libchronicle.runtime.logging import Log
from libchronicle.sim import paper_memory
from services.router.attach import FeedAttachment
from services.router.engine import Engine
from services.router.journal import feed_path
from services.router.market import Feed, MarketData, end_markets, state_change
from services.router.metrics import RouterMetrics
from services.router.retry import Retry
from services.router.state import FeedPlace

__all__ = ["FEED_TTL_S", "Feeds"]

FEED_TTL_S = 2.0
_STRETCH = 1 << 16  # records between two looks whether to go on


class Feeds:
    """Attaches, watches and lets go. `ask` has the sidecar open a feed."""

    def __init__(
        self,
        config: HostConfig,
        engine: Engine,
        markets: MarketData,
        ask: Callable[[str], None],
        log: Log,
        metrics: RouterMetrics,
    ) -> None:
        self._configured = {
            name: {instrument_id(f"{feed.venue}:{symbol}") for symbol in feed.symbols}
            for name, feed in config.feeds.items()
        }
        self._cancels = config.router.on_market_lost == "cancel"
        self._engine = engine
        self._markets = markets
        self._ask = ask
        self._log = log
        self._metrics = metrics
        self._retry = Retry()
        self._ranks: dict[str, int] = {}
        self._told: set[str] = set()  # their market was lost, and that was told
        self._missed_ns = monotonic_ns() + int(FEED_TTL_S * 1e9)

    def attach(self, found: FeedAttachment) -> None:
        """Trade against it from now on."""
        now, name = now_ns(), found.name
        if name in self._markets.feeds:
            self._let_go(self._markets.feeds[name])
        if name not in self._ranks:
            self._ranks[name] = self._engine.state.take_rank()
        lost = why_lost(found.reader.reader, FEED_TTL_S)
        is_behind = found.reader.lag > 0  # what it wrote before it was lost counts first: `catch_up` tells
        feed = Feed(name, self._ranks[name], found.reader, is_alive=lost is None or is_behind)
        source = SessionSource(
            queue_id=feed.reader.queue_id,
            start_seq=feed.reader.stands_at,
            epoch=feed.reader.epoch,
            source=feed.rank,
            path=feed_path(name),
        )
        self._engine.on_event(source, now)
        self._markets.attach(feed, self._engine, found.definitions, now)
        self._log.info("feed attached", feed=name, applied=found.applied, books=len(found.reader.books))
        reason = lost.value if lost is not None and not feed.is_alive else "writer alive"
        self._tell(name, feed.reader.books, reason, lost=not feed.is_alive)

    def reached(self, name: str) -> FeedPlace | None:
        """Where a feed is to be read on from; None: at its head. From any thread."""
        if name in self._ranks or paper_memory.is_idle(self._engine.gateway):
            return None  # only what a restart has interrupted goes on, and only where it matters
        return self._engine.state.feeds.get(name)

    def catch_up(self, now: int, goes_on: Callable[[], bool]) -> None:
        """Read every feed up to where its writer is now, while `goes_on()`. What ends at a time ends before later records meet
        it; a market that was lost meanwhile is lost behind its last record."""
        before = sum(feed.reader.frames for feed in self._markets.feeds.values())
        self._read_on(now, goes_on)
        records = sum(feed.reader.frames for feed in self._markets.feeds.values()) - before
        if records:
            self._log.info("caught up", records=records)
        self._look()

    def _read_on(self, now: int, goes_on: Callable[[], bool]) -> None:
        feeds = [feed for feed in self._markets.feeds.values() if feed.error is None]
        heads = {feed.name: feed.reader.stands_at + feed.reader.lag for feed in feeds}
        while feeds:
            expiry = self._engine.gateway.next_expiry_ns()
            is_due = 0 < expiry <= now
            for feed in feeds:
                stop = heads[feed.name]
                if is_due:
                    stop = min(stop, _first_at(feed.reader.reader, expiry))
                while feed.reader.stands_at < stop and goes_on():
                    most = min(stop - feed.reader.stands_at, _STRETCH)
                    if not self._markets.poll(feed, self._engine, now, most):
                        break
            if not is_due or not goes_on():
                return
            timer = TimerFired(deadline_ns=expiry, now_ns=expiry, name="gtd")
            self._engine.on_event(timer, expiry, partial(self._engine.gateway.expire, expiry))

    def watch(self) -> None:
        """Four times a second: who was lost, who is back, who must be opened again."""
        self._look()
        now = monotonic_ns()
        for name in self._retry.due(now):
            self._ask(name)
        if self._missed_ns and now >= self._missed_ns:
            self._missed_ns = 0
            for name in self._configured.keys() - self._markets.feeds.keys():
                self._tell(name, (), "no queue", lost=True)

    def _look(self) -> None:
        for feed in self._markets.look(FEED_TTL_S):
            self._tell(feed.name, feed.reader.books, feed.reason, lost=not feed.is_alive)
        self.drop_failed()

    def drop_failed(self) -> None:
        """Let go of readers that failed; the sidecar opens others and rebuilds the books."""
        for feed in [feed for feed in self._markets.feeds.values() if feed.error is not None]:
            assert feed.error is not None
            self._log.error("feed failed", feed.error, feed=feed.name)
            self._metrics.errors.record(feed.error)
            self._tell(feed.name, feed.reader.books, type(feed.error).__name__, lost=True)
            self._let_go(feed)
            self._retry.failed(feed.name, monotonic_ns())

    def _let_go(self, feed: Feed) -> None:
        self._metrics.retire(feed.reader.frames)
        self._markets.detach(feed.name)

    def _tell(self, name: str, books: Iterable[int], reason: str, *, lost: bool) -> None:
        """Once for each loss and each return."""
        if lost == (name in self._told):
            return
        (self._told.add if lost else self._told.discard)(name)
        now = now_ns()
        gone = self._configured.get(name, set()).union(books) if lost and self._cancels else ()
        change = state_change(name, now, is_alive=not lost)
        events = self._engine.on_event(change, now, partial(end_markets, self._engine.gateway, gone))
        self._log.warning(
            "feed lost" if lost else "feed is back", feed=name, reason=reason, cancelled=len(events)
        )


def _first_at(reader: Subscriber, ts_ns: int) -> int:
    """Seq of a queue's first record at or behind a time. The reader stays where it is."""
    stands_at = reader.next_seq
    reader.seek_time(ts_ns)
    found = reader.next_seq
    reader.seek_seq(stands_at)
    return found
