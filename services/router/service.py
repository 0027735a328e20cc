"""The router daemon's loop: kill word, market data, requests, timers, heartbeat; everything it reads was
opened elsewhere.

A turn takes what the sidecar opened, looks at the kill word, reads every feed to its head, then answers each
strategy's share of requests in order of (time, strategy). A turn that found nothing sleeps until any queue has
something, a heartbeat is due or an order expires.
"""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from types import TracebackType
from typing import Self

import msgspec

from libchronicle.bus.commands import CommandChannel, Stop
from libchronicle.bus.fanin import FanIn
from libchronicle.bus.killswitch import KillSwitch
from libchronicle.bus.orders import ARCHIVE_READER
from libchronicle.bus.paths import BusPaths
from libchronicle.bus.permit import PermitWatch
from libchronicle.bus.sidecar import Attach, Detach, Sidecar
from libchronicle.clock import monotonic_ns, now_ns
from libchronicle.errors import ChronicleError, NotReady
from libchronicle.protocol import (
    SCHEMA_VERSION,
    KillChange,
    Parameter,
    RejectCode,
    RunMode,
    SessionSource,
    SessionStart,
    SessionStop,
    TimerFired,
)
from libchronicle.queue import Publisher, Queue, QueueConfig, Subscriber, wait_any
from libchronicle.runtime.config import HostConfig
from libchronicle.runtime.daemon import Daemon
from libchronicle.runtime.logging import Log
from libchronicle.sim import paper_memory
from libchronicle.sim.paper_terms import paper_accounts, paper_latency
from services.router.attach import (
    FEED,
    Arrivals,
    ClientAttachment,
    FeedAttachment,
    Handle,
    Opener,
    close_handle,
)
from services.router.commands import Commands
from services.router.engine import LOOK, PERMIT, Engine, Request, make_engine
from services.router.feeds import Feeds
from services.router.history import reports_after, session_records
from services.router.journal import Journal, orders_path, reports_path, write_checkpoint
from services.router.market import MarketData
from services.router.metrics import RouterMetrics
from services.router.recovery import bring_level, recover
from services.router.retry import Retry
from services.router.settings import chunks_of, settings_of_host
from services.router.state import State
from services.router.transit import Transit

__all__ = ["RouterService"]

SHARE_OF_A_TURN = 16  # requests of one strategy
LOOK_NS = 1_000_000_000  # between two looks at what open positions are worth
IDLE_S = 0.02  # the kill word wakes nobody: it is seen within this
SESSION = QueueConfig(segment_size=16 << 20, durable=(ARCHIVE_READER,), prefault=False)
CHECKPOINT_EVERY = 100_000  # journal records: what a restart has to replay at most


class RouterService:
    """Owns every handle of the daemon; a context manager."""

    def __init__(self, config: HostConfig, log: Log) -> None:
        self.config = config
        self.settings = settings_of_host(config)
        self.log = log
        self.paths = BusPaths(config.bus.root_path, config.bus.hot_path)
        self.metrics = RouterMetrics(self.paths)
        self.switch = KillSwitch(self.paths.kill_word)
        self.session: Publisher = Queue.open_publisher(self.paths.session("router"), SESSION)
        if self.session.mended:
            self.metrics.errors.record(f"{self.session.path} was damaged: {self.session.mended}")
        self.requests = FanIn()
        self.attached: dict[str, ClientAttachment] = {}
        self.was_killed = False
        self._looked_ns = 0
        self.commands: Commands | None = None
        self.retry = Retry()
        self.markets, self.engine = self._recover()
        self.opener = Opener(
            config, self.paths, self._place, self._queue_id, lambda name: self.feeds.reached(name)
        )
        self.permit = PermitWatch(self.paths, required=config.router.permit == "required")
        self.arrivals = Arrivals(self.paths, self.switch, self.permit)
        self.feeds = Feeds(config, self.engine, self.markets, self.arrivals.ask, log, self.metrics)
        self.sidecar: Sidecar[Handle] = Sidecar(
            self.arrivals,
            self.opener.open,
            close_handle,
            CommandChannel("router attachments", capacity=256),
            lambda name, error: self.log.warning(
                "cannot attach yet", source=name.removeprefix(FEED), reason=str(error)
            ),
        )

    # ------------------------------------------------------------ start

    def _recover(self) -> tuple[MarketData, Engine]:
        config = self.config.router
        state = recover(session_records(self.paths.session("router")), paper_accounts(config))
        journal = Journal(self.session)
        self._start = self._session_start(now_ns())
        self._checkpoint(journal, state)
        markets = MarketData(state)
        engine = make_engine(self.settings, state, journal, markets, lambda: self.was_killed)
        self.transit = self._far_away(engine)
        open_orders = len(state.ledger.open_orders)
        self.log.info(
            "recovered",
            strategies=len(state.clients),
            open_orders=open_orders,
            undecided=len(state.undecided),
        )
        return markets, engine

    def _far_away(self, engine: Engine) -> Transit:
        """Requests and replies take their time, where that is configured."""
        settings = self.config.router.paper.latency
        model = paper_latency(settings)
        if settings is None or model is None:
            return Transit(None)
        seed = settings.seed
        engine.delivery.latency = lambda now: model.sample(now, seed=seed)[1]
        return Transit(lambda sent: model.sample(sent, seed=seed)[0])

    def _checkpoint_again(self) -> None:
        self.engine.remember_all(now_ns())
        self._checkpoint(self.engine.journal, self.engine.state)

    def _checkpoint(self, journal: Journal, state: State) -> None:
        """All that is known, so that a restart need not read what is before."""
        write_checkpoint(journal, state, self._start, now_ns(), chunks_of(self.settings))
        self._next_checkpoint = self.session.next_seq + CHECKPOINT_EVERY

    def _session_start(self, now: int) -> SessionStart:
        digest = blake2b(msgspec.json.encode(self.config), digest_size=32).digest()
        return SessionStart(
            session_id=self.session.next_seq + 1,
            realtime_ns=now,
            monotonic_ns=monotonic_ns(),
            mode=RunMode.PAPER,
            config_hash=digest,
            name="router",
            code_version=f"schema {SCHEMA_VERSION}",
        )

    def _place(self, name: str) -> tuple[int, tuple[int, int]]:
        client = self.engine.state.clients.get(name)
        return (client.queue_id, client.handled) if client is not None else (0, (0, -1))

    def _queue_id(self, name: str) -> int:
        attachment = self.attached.get(name)
        return attachment.requests.queue_id if attachment is not None else 0

    def attach_present(self, goes_on: Callable[[], bool]) -> None:
        """Before the loop: every feed and strategy that has its queues already. What is not ready comes by
        the sidecar."""
        for name in self.config.feeds:
            try:
                feed = self.opener.feed(name)
            except NotReady:
                self.arrivals.ask(name)
            except ChronicleError as error:  # one damaged queue must not keep the router from everyone else
                self.log.error("cannot attach", error, source=name)
                self.arrivals.ask(name)
            else:
                self.feeds.attach(feed)
        for name in self.paths.strategies():
            try:
                found = self.opener.client(name)
            except NotReady:
                continue
            except ChronicleError as error:
                self.log.error("cannot attach", error, source=name)
                self.arrivals.ask_client(name)
            else:
                self._attach_client(found)
        if self.engine.gateway.has_immediate:
            timer = TimerFired(now_ns=now_ns(), name="recovery")
            self.engine.on_event(timer, timer.now_ns, self.engine.gateway.expire_immediate)
        if self.switch.killed:
            self._kill_changed(now_ns())
        self.feeds.catch_up(now_ns(), goes_on)

    # ------------------------------------------------------------ the loop

    def run(self, daemon: Daemon) -> None:
        """Until the daemon is told to stop."""
        self.attach_present(lambda: daemon.running)
        self.commands = Commands(self.paths, self.engine, self.log, daemon.stop)
        self.sidecar.start()
        gc.collect()
        gc.freeze()
        gc.disable()  # orders and reports make no cycles
        self.metrics.state("killed" if self.was_killed else "trading")
        daemon.ready(f"{len(self.attached)} strategies, {len(self.markets.feeds)} feeds")
        self.log.info("trading", strategies=len(self.attached), feeds=len(self.markets.feeds))
        while daemon.running:
            worked = self.turn()
            daemon.beat()
            if not worked and daemon.running:
                self._sleep()
        self._finish(daemon.stop_reason)

    def turn(self) -> bool:
        """One round; whether there was anything to do."""
        now = now_ns()
        if self.sidecar.channel.pending:
            self._take_attachments()
        if self.switch.killed != self.was_killed:
            self._kill_changed(now)
        self._look_at_permit(now)
        worked = self._read_markets(now)
        worked |= self._answer_requests()
        worked |= self.engine.delivery.arrive(now)
        if self.engine.delivery.broken:
            self._drop_broken()
        expiry = self.engine.gateway.next_expiry_ns()
        if 0 < expiry <= now:
            timer = TimerFired(deadline_ns=expiry, now_ns=now, name="gtd")
            self.engine.on_event(timer, now, partial(self.engine.gateway.expire, now))
            worked = True
        return worked

    def beat(self) -> None:  # four times a second
        self.feeds.watch()
        self._watch_clients()
        if self.commands is not None:
            self.commands.poll(now_ns())
        self._look_at_risk()
        self.session.heartbeat()
        for feed in self.markets.feeds.values():
            try:
                feed.reader.reader.commit()
            except ChronicleError as error:
                feed.error = error
        self.feeds.drop_failed()
        if self.session.next_seq >= self._next_checkpoint:
            self._checkpoint_again()
        self.metrics.publish(self.engine, self.markets, self.was_killed)

    def _look_at_risk(self) -> None:
        """Once a second, and only where a breaker could trip or a restart would have to catch up: it is journaled."""
        now = now_ns()
        if now - self._looked_ns < LOOK_NS:
            return
        self._looked_ns = now
        if self.engine.is_at_risk():
            self.engine.look_at_risk(TimerFired(now_ns=now, name=LOOK), now)
        elif not paper_memory.is_idle(self.engine.gateway):
            self.engine.commit_markets(now)

    def _sleep(self) -> None:
        readers: list[Subscriber] = [feed.reader.reader for feed in self.markets.feeds.values()]
        held = self.transit.held  # whose queues are not read on until that has arrived
        readers += [one.requests for name, one in self.attached.items() if name not in held]
        due = (
            self.engine.gateway.next_expiry_ns(),
            self.transit.next_due_ns,
            self.engine.delivery.next_due_ns,
        )
        soonest = min((one for one in due if one), default=0)
        timeout = min(IDLE_S, max(0, soonest - now_ns()) / 1e9) if soonest else IDLE_S
        if readers:
            with contextlib.suppress(ChronicleError):  # whose reader it is says the next look at it
                wait_any(readers, timeout)
        else:  # neither a feed nor a strategy so far
            time.sleep(timeout)

    def _read_markets(self, now: int) -> bool:
        worked = failed = False
        for feed in self.markets.feeds.values():
            worked |= self.markets.poll(feed, self.engine, now) > 0
            if len(self.markets.feeds) > 1 and self.engine.gateway.is_marking:
                # one account values what both feeds tell of: the order of their records is part of the journal
                self.engine.commit_markets(now)
            failed |= feed.error is not None
        if failed:
            self.feeds.drop_failed()
        return worked

    def _answer_requests(self) -> bool:
        """In order of (time, strategy). Each strategy has its share of a turn and no more: one that floods the router
        keeps the others waiting for that many requests, not for all of its own."""
        taken: dict[str, int] = {}
        for name in self.transit.held:
            self.requests.pause(name)
        while (found := self._next_request()) is not None:
            name, request = found
            client = self.engine.state.clients[name]
            if (
                self.switch.killed != self.was_killed
            ):  # the word is read for every order, and journaled before it counts
                self._kill_changed(now_ns())
            self._look_at_permit(now_ns())
            if self.engine.on_request(client, request, now_ns()):
                self.metrics.latency.observe(max(0, now_ns() - request.ts_ns))
            taken[name] = taken.get(name, 0) + 1
            if taken[name] == SHARE_OF_A_TURN:
                self.requests.pause(name)
        self.requests.resume()
        return bool(taken)

    def _next_request(self) -> tuple[str, Request] | None:
        """The next one that has arrived: its strategy, and what it asks."""
        arrived = self.transit.arrived(now_ns())
        while arrived is None:
            try:
                message = self.requests.next()
            except ChronicleError as error:
                self._client_failed(self.requests.failed, error)
                continue
            if message is None:
                return None
            name = self.requests.source
            request = Request(message.type_id, message.payload, message.epoch, message.seq, message.ts_ns)
            if not self.transit.takes(name, request, now_ns()):
                return name, request
            self.requests.pause(name)
        return arrived

    def _kill_changed(self, now: int) -> None:
        """Seen in the first turn after the word changed: every open order is cancelled in it."""
        self.was_killed = not self.was_killed
        change = KillChange(now_ns=now, killed=self.was_killed, reason=self.switch.reason)
        end_all = partial(self.engine.gateway.cancel_all, None, code=RejectCode.KILLED)
        events = self.engine.on_event(change, now, end_all if self.was_killed else list)
        self.log.warning(
            "killed" if self.was_killed else "trading allowed", cancelled=len(events), reason=change.reason
        )
        self.metrics.state("killed" if self.was_killed else "trading")

    def _look_at_permit(self, now: int) -> None:
        """Two numbers, for every order; a change is journaled before it counts."""
        holds = self.permit.holds(now)
        if holds != self.engine.permitted:
            self.engine.permit(Parameter(now_ns=now, name=PERMIT, value=str(int(holds))), now)
            self.log.warning("the risk gateway permits" if holds else "no permit of the risk gateway")

    # ------------------------------------------------------------ what comes and goes

    def _take_attachments(self) -> None:
        while True:
            command = self.sidecar.channel.poll()
            if command is None or isinstance(command, Stop):
                return
            if isinstance(command, Detach):
                self.log.info("strategy away", strategy=command.name, reason=command.reason)
            elif isinstance(command, Attach) and isinstance(command.handle, FeedAttachment):
                self.feeds.attach(command.handle)
                self.feeds.catch_up(now_ns(), lambda: True)
            elif isinstance(command, Attach) and isinstance(command.handle, ClientAttachment):
                self._attach_client(command.handle)

    def _attach_client(self, found: ClientAttachment) -> None:
        self.transit.forget(found.name)
        former = self.attached.pop(found.name, None)
        if former is not None:
            self.requests.remove(found.name)
            self.sidecar.retire(former)
        self.attached[found.name] = found
        try:
            moved = self._join(found)
        except ChronicleError as error:
            self._client_failed(found.name, error)
            return
        self.requests.add(found.requests, found.name)
        self.log.info("strategy attached", strategy=found.name, from_seq=found.requests.next_seq, moved=moved)

    def _join(self, found: ClientAttachment) -> int:
        """Level with the journal, and told where it stands; how many reports that moved."""
        state, journal = self.engine.state, self.engine.journal
        client = state.client(found.name)
        settings = found.settings
        client.set_limits(settings.limits, settings.account, settings.risk)
        self.engine.watch.begin(client)
        client.reports = found.reports
        if client.queue_id != found.requests.queue_id:
            state.attach_queue(client, found.requests.queue_id, (0, -1))
        now = now_ns()
        source = SessionSource(
            queue_id=client.queue_id,
            start_seq=client.handled[1] + 1,
            epoch=client.handled[0],
            source=client.rank,
            path=orders_path(client.name),
        )
        self.engine.on_event(source, now, notes=chunks_of(settings))
        is_ahead = found.delivered > client.last_exec_id  # of the journal, after power loss
        if is_ahead:
            paper_memory.note_places(self.engine.gateway)
        moved = bring_level(
            state,
            journal,
            client,
            found.delivered,
            lambda after: reports_after(client, self.paths.session("router"), after),
            lambda after: self.opener.reports_after(client.name, after),
        )
        if is_ahead and moved:
            self.engine.take_up(client)
        reports = SessionSource(
            queue_id=found.reports.queue_id,
            start_seq=found.reports.next_seq,
            epoch=found.reports.epoch,
            source=client.rank,
            path=reports_path(client.name),
        )
        self.engine.on_event(reports, now)
        self.engine.delivery.carry_over(client, now)
        return moved

    def _watch_clients(self) -> None:
        """Heartbeats and cursors of every strategy's queues; what failed is opened again after a while."""
        for name, attachment in list(self.attached.items()):
            try:
                attachment.reports.heartbeat()
            except ChronicleError as error:
                self._client_failed(name, error)
        try:
            self.requests.commit()
        except ChronicleError as error:
            self._client_failed(self.requests.failed, error)
        for name, (_, held) in list(self.transit.held.items()):
            try:
                _remember(self.requests.subscriber(name), held.seq)
            except ChronicleError as error:
                self._client_failed(name, error)
        for name in self.retry.due(monotonic_ns()):
            self.arrivals.ask_client(name)

    def _drop_broken(self) -> None:
        broken, self.engine.delivery.broken = self.engine.delivery.broken, {}
        for name, error in broken.items():
            self._client_failed(name, error)

    def _client_failed(self, name: str, error: ChronicleError) -> None:
        """One strategy's queues cannot be used; nobody else must notice."""
        self.log.error("strategy's queues failed", error, strategy=name)
        self.metrics.errors.record(error)
        self.engine.state.clients[name].reports = None
        self.transit.forget(name)
        if name in self.requests.names:
            self.requests.remove(name)
        attachment = self.attached.pop(name, None)
        if attachment is not None:
            close_handle(attachment)
        self.retry.failed(name, monotonic_ns())

    # ------------------------------------------------------------ end

    def _finish(self, reason: str) -> None:
        self.engine.delivery.arrive()  # nothing stays on its way
        self._checkpoint_again()
        self.engine.journal.commit(SessionStop(now_ns=now_ns(), reason=reason))
        self.beat()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.sidecar.stop()
        if self.commands is not None:
            self.commands.close()
        for attachment in self.attached.values():
            close_handle(attachment)
        for feed in self.markets.feeds.values():
            feed.reader.close()
        self.session.close()
        self.switch.close()
        self.metrics.close()


def _remember(requests: Subscriber, seq: int) -> None:
    """A reader's place before a record that it has given: what is not handled must not be dropped."""
    stands_at = requests.next_seq
    requests.seek_seq(seq)
    requests.commit()
    requests.seek_seq(stands_at)
