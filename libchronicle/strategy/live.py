"""The live runner: one strategy, its queues, its loop.

    orders_out, session          written here
    feeds' raw queues, orders_in read here
    READY + LEASE                the endpoint the router discovers

Order of the start: own queues, session start, positions and open orders (carried over by the last session, and what the order
queues tell since), on_load, on_start, READY;
then the loop, in which feeds and router are found, lost and found again. Order of the stop: on_stop, cancels and up to 500 ms
for their acknowledgement, on_save, session stop, READY gone.
"""

from __future__ import annotations

import contextlib
import gc
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from libchronicle.bus.endpoint import Endpoint
from libchronicle.bus.files import ENDPOINT_MODE, make_directory
from libchronicle.bus.killswitch import KillSwitch
from libchronicle.bus.orders import (
    ARCHIVE_READER,
    ROUTER_READER,
    STRATEGY_READER,
    orders_config,
)
from libchronicle.bus.paths import BusPaths
from libchronicle.clock import monotonic_ns, now_ns
from libchronicle.counters import ErrorLog
from libchronicle.errors import ChronicleError, CorruptError, NotReadyError
from libchronicle.protocol import (
    Parameter,
    RunMode,
    SessionSource,
    SessionStart,
    SessionStop,
)
from libchronicle.queue import Queue, QueueConfig, Subscriber, wait_any
from libchronicle.runtime.config import StrategyConfig
from libchronicle.runtime.daemon import ExitCode
from libchronicle.strategy.base import Strategy
from libchronicle.strategy.carryover import Carried, carry_over, last_carry_over
from libchronicle.strategy.commands import Commands
from libchronicle.strategy.context import Context
from libchronicle.strategy.deferred_log import DeferredLog
from libchronicle.strategy.dispatch import Dispatcher
from libchronicle.strategy.identity import code_version, config_hash
from libchronicle.strategy.lifecycle import Lifecycle
from libchronicle.strategy.links import FeedLink, RouterLink
from libchronicle.strategy.loop import LiveLoop
from libchronicle.strategy.metrics import HostMetrics
from libchronicle.strategy.params import recorded
from libchronicle.strategy.recorder import QueueRecorder
from libchronicle.strategy.savedstate import SavedState, chunks_of
from libchronicle.strategy.sink import QueueSink
from libchronicle.strategy.source import Source
from libchronicle.strategy.states import HostState

__all__ = ["LiveRunner"]

ORDERS_IN_RANK = 0xFFFF  # after every feed
ORDERS_OUT_RANK = (
    0xFFFE  # nothing is dispatched from it: the session names it because order ids are its records
)
CANCEL_WAIT_NS = 500_000_000
CARRY_EVERY_ORDERS = 20_000  # requests and reports; and
CARRY_EVERY_RECORDS = 200_000  # of the session: what a start after a crash has to read at most
WRITER_TTL_NS = 2_000_000_000
SESSION_CONFIG = QueueConfig(segment_size=16 << 20, durable=(ARCHIVE_READER,))


def hot(config: QueueConfig) -> QueueConfig:
    """Prefaulted: a first touch of a page would be one order's latency in twenty-five."""
    return msgspec.structs.replace(config, prefault=True)


class LiveRunner:
    """Runs a strategy on the bus below `paths` until `stop`. A context manager; `run` may be called once.

    Raises WriterAlreadyActive or EndpointActive when the strategy already runs.
    """

    def __init__(
        self,
        strategy: Strategy,
        config: StrategyConfig,
        paths: BusPaths,
        *,
        log: Any,
        beat: Callable[[], object] = lambda: None,
        ready: Callable[[str], object] = lambda status: None,
        stopping: Callable[[], str] = lambda: "",
        writer_ttl_ns: int = WRITER_TTL_NS,
    ) -> None:
        """`stopping` gives the reason once the process shall end; `beat` is called by the loop at least 4 times a second."""
        self.strategy = strategy
        self.config = config
        self.paths = paths
        self.log = log
        self._beat = beat
        self._ready = ready
        self._stopping = stopping
        self._writer_ttl_ns = writer_ttl_ns
        self._stop_deadline_ns = 0
        self._asked_stop = ""
        self._carry_at = (0, 0)
        self._pid = os.getpid()
        self._strategy_runs = False
        self.strategy_ended: Callable[[], object] = lambda: None
        """Called once no code of the strategy runs any more: the rest is the host's."""
        self._closers: list[Callable[[], object]] = []

    # ------------------------------------------------------------ start

    def __enter__(self) -> LiveRunner:
        try:
            self._open()
        except BaseException as error:
            self._leave_if_forked()
            if self._strategy_runs:
                self._abandon(error)
            self.__exit__(type(error))
            raise
        return self

    def _open(self) -> None:
        config, paths = self.config, self.paths
        make_directory(paths.endpoint(config.id), ENDPOINT_MODE)
        self._orders = self._keep(
            Queue.open_publisher(paths.orders_out(config.id), hot(orders_config(ROUTER_READER)))
        )
        self._first_order = self._orders.next_seq
        self._session = self._keep(Queue.open_publisher(paths.session(config.id), SESSION_CONFIG))
        self.metrics = self._keep(HostMetrics(paths, f"strategy-{config.id}"))
        self.recorder = QueueRecorder(self._session)
        self._closers.append(self.recorder.release)
        self.sink = sink = QueueSink(self._orders)
        self._closers.append(sink.release)
        self.ctx = Context(sink, params=config.params, account=config.account, exits=config.risk)
        self.said = self._keep_log(DeferredLog(self.log, self.ctx.now_ns))
        self.ctx.count(self.metrics.orders, self.metrics.refused, self.metrics.tick_to_trade)
        self.lifecycle = Lifecycle(
            self.ctx,
            self.recorder,
            self.strategy,
            flatten=config.on_disconnect == "flatten",
            cancel_on_stop=config.on_stop == "cancel",
            log=self.log,
            limits=config.limits,
            flatten_on_trip=config.risk.on_trip == "flatten",
        )
        self.lifecycle.on_host_state = self._host_state
        self.dispatcher = self.lifecycle.dispatcher = Dispatcher(self.ctx, self.strategy, self.lifecycle)
        self._kill = self._keep(KillSwitch(paths.kill_word))
        self._commands = self._keep(Commands(paths, f"strategy-{config.id}", self))
        self._saved = SavedState(paths.run_dir("strategies", config.id) / "state.json")
        carried = self._last_carry_over()
        self._begin_session()
        self._start_strategy(sink, carried)

    def _keep_log(self, said: DeferredLog) -> DeferredLog:
        self.ctx.log_to(said)
        self._closers.append(said.drain)
        return said

    def _keep(self, resource: Any) -> Any:
        self._closers.append(resource.close)
        return resource

    def _begin_session(self) -> None:
        self.ctx.set_now(now_ns())
        self.recorder.append(
            SessionStart(
                session_id=(self._session.epoch << 40) | self._session.next_seq,
                realtime_ns=self.ctx.now_ns(),
                monotonic_ns=monotonic_ns(),
                mode=RunMode.PAPER if self.config.account == "paper" else RunMode.LIVE,
                config_hash=config_hash(self.config),
                name=self.config.id,
                code_version=code_version(self.config.file),
            )
        )
        self.recorder.append(
            SessionSource(
                queue_id=self._orders.queue_id,
                start_seq=self._orders.next_seq,
                epoch=self._orders.epoch,
                source=ORDERS_OUT_RANK,
                path=os.path.relpath(self.paths.orders_out(self.config.id), self.paths.root),
            )
        )
        for name, value in self.config.params.items():
            self.recorder.append(Parameter(now_ns=self.ctx.now_ns(), name=name, value=recorded(value)))

    def _last_carry_over(self) -> Carried | None:
        """From the end of the session journal. One that cannot be read costs time, not the start."""
        try:
            with Queue.open_subscriber(self._session.path, None, start="earliest") as session:
                return last_carry_over(session)
        except (CorruptError, NotReadyError) as error:
            self.log.warning("nothing carried over", reason=str(error))
            return None

    def _start_strategy(self, sink: QueueSink, carried: Carried | None) -> None:
        """Subscriptions of the TOML, then positions and open orders, then the strategy's own start."""
        self._subscribe(dict.fromkeys(self.config.subscribe, self.config.kinds))
        self._orders_in = Source(
            "orders_in", self.paths.orders_in(self.config.id), ORDERS_IN_RANK, reports=True
        )
        self._router = self._link(RouterLink, self._orders_in, STRATEGY_READER)
        requests, reports = self._router.restore(str(self.paths.orders_out(self.config.id)), carried)
        self.log.info(
            "restored", requests=requests, reports=reports, open_orders=len(self.ctx.tracker.orders)
        )
        self._carry_over()
        self._check_kill()
        self._strategy_runs = True
        self._load_state()
        self.strategy.on_start(self.ctx)
        self._leave_if_forked()
        self._subscribe(self.ctx.close_subscriptions())
        names = [name for name, one in self.ctx.instruments.items() if name in self._subscribed]
        instruments = [self.ctx.instrument(name) for name in names]
        feeds = sorted({one.venue for one in instruments})
        self._sources = [Source(feed, self.paths.raw(feed), rank) for rank, feed in enumerate(feeds)]
        self._feeds = {
            one.name: self._link(FeedLink, one, f"strategy-{self.config.id}") for one in self._sources
        }
        self.loop = LiveLoop(
            self.dispatcher,
            self.recorder,
            sink,
            self.sources,
            self,
            self._chores(),
            books=[instrument.book for instrument in instruments],
            spin_us=self.config.spin_us,
        )
        if self.config.spin_us:  # who spins pays memory for time
            for instrument in instruments:
                instrument.book.prefault()
        self.lifecycle.start(instruments)
        self._commands.poll()

    def _subscribe(self, wanted: dict[str, tuple[str, ...]]) -> None:
        self._subscribed = {**getattr(self, "_subscribed", {}), **wanted}
        self.dispatcher.subscribe(self._subscribed)

    def _link(self, kind: Any, source: Source, reader_name: str) -> Any:
        self._closers.append(source.detach)
        return kind(
            source,
            reader_name,
            self.paths.root,
            self.lifecycle,
            self.dispatcher,
            self.recorder,
            self._writer_ttl_ns,
        )

    def _load_state(self) -> None:
        raw = self._saved.read()
        if raw is None:
            return
        state = self._saved.decode(raw)
        for chunk in chunks_of(raw):
            self.recorder.append(chunk)
        self.strategy.on_load(self.ctx, state)

    def _carry_over(self) -> None:
        """What is open, and where the order queues stand: a replay needs no older queue, a restart nothing before it."""
        sent_any = self._orders.next_seq > self._first_order
        for message in carry_over(self.ctx, self._orders, self._orders_in, sent_any):
            self.recorder.append(message)
        traffic = self._orders.next_seq + self._orders_in.next_seq
        share = max(
            1, len(self.ctx.tracker.orders) // 100
        )  # it costs 3 µs an open order: seldom where there are thousands
        self._carry_at = (
            traffic + share * CARRY_EVERY_ORDERS,
            self._session.next_seq + share * CARRY_EVERY_RECORDS,
        )

    def _remember(self) -> None:
        """So that a start after a crash has little to read, however long the session was."""
        traffic, records = self._carry_at
        if self._orders.next_seq + self._orders_in.next_seq >= traffic or self._session.next_seq >= records:
            self._carry_over()

    @property
    def sources(self) -> list[Source]:
        return [*self._sources, self._orders_in]

    # ------------------------------------------------------------ the loop

    def run(self) -> None:
        """Work until stopped. What a callback raises comes out, after all orders were cancelled."""
        with Endpoint(self.paths.endpoint(self.config.id), epoch=self._orders.epoch) as self._endpoint:
            self._ready(self.lifecycle.host.name)
            gc.collect()
            gc.freeze()
            gc.disable()
            try:
                self.loop.run()
                self._leave_if_forked()
                self._finish()
            except BaseException as error:
                self._leave_if_forked()
                self._abandon(error)
                raise
            finally:
                gc.enable()
                gc.unfreeze()

    def _chores(self) -> list[Callable[[], object]]:
        """Everything that is not the decision loop; each is done some twenty times a second."""
        return [
            self._beat,
            self._renew,
            self._check_kill,
            *(feed.watch for feed in self._feeds.values()),
            self._router.watch,
            self._commands.poll,
            self._commit,
            self._remember,
            self._publish,
            self.said.drain,
            self._check_stop,
        ]

    def _renew(self) -> None:
        self._orders.heartbeat()
        self._session.heartbeat()
        self._endpoint.renew()

    def _commit(self) -> None:
        for source in self.sources:
            source.commit()

    def _publish(self) -> None:
        self.metrics.publish(self)

    def sleep(self, readers: list[Subscriber], seconds: float) -> None:
        """Nothing to read: sleep until there is, for `seconds` at most."""
        if readers:
            wait_any(readers, seconds)
        else:
            time.sleep(min(seconds, 0.05))

    def discontinuity(self, source: Source, reason: str) -> None:
        if source.reports:
            self.log.warning("reports are missing", reason=reason)
        else:
            self.lifecycle.discontinuity(source.name, reason)

    def source_failed(self, source: Source, error: ChronicleError) -> None:
        self.metrics.errors.add(1)
        self.log.warning("queue lost", source=source.name, reason=str(error))
        link = self._router if source.reports else self._feeds[source.name]
        link.failed(type(error).__name__)

    def _check_kill(self) -> None:
        if self._kill.killed:
            self._kill.refresh()  # the file may have been missing or replaced; system calls, but nobody trades now
        self.lifecycle.set_killed(self._kill.killed, self._kill.reason or "kill word")

    def _check_stop(self) -> None:
        reason, now = self._stop_reason(), self.ctx.now_ns()
        if not reason:
            return
        if not self._stop_deadline_ns:
            self._stop_deadline_ns = now + CANCEL_WAIT_NS
            self.lifecycle.stop(reason)
        if not self.lifecycle.awaits_cancels or now >= self._stop_deadline_ns:
            self.loop.stop()

    def ask_stop(self, reason: str) -> None:
        """End as on SIGTERM."""
        self._asked_stop = self._asked_stop or reason

    def put_on_record(self, text: str) -> None:
        """Into the error log; a disk that is full must not end the strategy for it."""
        with contextlib.suppress(ChronicleError, OSError):
            errors = ErrorLog(self.paths.errors(f"strategy-{self.config.id}"))
            errors.record(text)
            errors.close()

    def _stop_reason(self) -> str:
        return self._stopping() or self._asked_stop

    def _host_state(self, state: HostState) -> None:
        self.metrics.state(self.lifecycle.word)
        self.log.info("state", state=state.name)

    # ------------------------------------------------------------ stop

    def _finish(self) -> None:
        self.lifecycle.drained()
        state = self.strategy.on_save(self.ctx)
        self.strategy_ended()
        self._saved.save(state)
        self._carry_over()
        self.recorder.append(SessionStop(now_ns=self.ctx.now_ns(), reason=self._stop_reason()[:64]))

    def _abandon(self, error: BaseException) -> None:
        """The strategy or we have failed: no order may stay behind unwatched. What failed is told, not what that breaks."""
        self.strategy_ended()
        self.metrics.errors.add(1)
        reason = f"failed: {type(error).__name__}"
        try:
            self.ctx.order_cancel_all(0, reason)
        except ChronicleError as broken:
            self.log.error("orders could not be cancelled", broken)
        with contextlib.suppress(ChronicleError):
            self.recorder.append(SessionStop(now_ns=self.ctx.now_ns(), reason=reason[:64]))

    def progress(self) -> int:
        """Grows while the loop turns."""
        loop = getattr(self, "loop", None)
        return loop.chores_done if loop is not None else 0

    def hurry(self) -> None:
        """Somebody wants something: look soon. Safe from a signal handler."""
        loop = getattr(self, "loop", None)
        if loop is not None:
            loop.hurry()

    def last_words(self) -> None:
        """Cancel everything, from within a callback that does not return: the process ends right after."""
        self.ctx.order_cancel_all(0, "hung")
        self.recorder.append(SessionStop(now_ns=self.ctx.now_ns(), reason="hung"))
        self.metrics.last_word = "FAILED"
        self.metrics.close()

    def _leave_if_forked(self) -> None:
        """A strategy that forks and lets its child return has two of us. The child has nothing here to use or to close."""
        if os.getpid() != self._pid:
            os._exit(ExitCode.FAILED)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._leave_if_forked()
        if kind is not None and hasattr(self, "metrics"):
            self.metrics.last_word = "FAILED"
        self._close()

    def _close(self) -> None:
        while self._closers:
            self._closers.pop()()

    @property
    def state_dir(self) -> Path:
        """Where the strategy's saved state stands."""
        return self._saved.path.parent
