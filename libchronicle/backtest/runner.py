"""`BacktestRunner`: a strategy over recorded data, driven by the objects that drive it live."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Mapping
from time import perf_counter
from typing import Any

from libchronicle.backtest.data import Kinds, open_data
from libchronicle.backtest.engine import BacktestEngine
from libchronicle.backtest.result import BacktestResult
from libchronicle.backtest.sink import BacktestSink
from libchronicle.errors import InvalidArgument, NoData
from libchronicle.protocol import Instrument as Definition
from libchronicle.replay import GapPolicy
from libchronicle.runtime.logging import Log
from libchronicle.storage.archive import Time, to_ns
from libchronicle.strategy.base import Strategy
from libchronicle.strategy.context import KINDS, Context
from libchronicle.strategy.dispatch import Dispatcher
from libchronicle.strategy.lifecycle import Lifecycle
from libchronicle.strategy.recorder import Recorder

__all__ = ["BacktestRunner"]

_POLICIES = {policy: number for number, policy in enumerate(GapPolicy)}


class BacktestRunner:
    """Settings of a backtest; `run` may be called any number of times, each run starts anew.

        BacktestRunner(data="archive", start="2024-08-08", end="2024-08-09").run(Quoter())

    data         an archive, queue, recording, rows or records: see `libchronicle.backtest.data`
    start, end   ns, ISO 8601 text or datetime; given are start <= time < end, records before `start` warm the books
    instruments  names (`venue:SYMBOL`) subscribed in addition to what on_start subscribes
    definition   what rows are of (a protocol Instrument)
    params       the strategy's parameters
    gaps         stop | resync | quarantine | ignore
    seed         of everything random

    Raises InvalidArgument, NoData.
    """

    def __init__(
        self,
        data: Any,
        *,
        start: Time | None = None,
        end: Time | None = None,
        instruments: Iterable[str] = (),
        definition: Definition | None = None,
        params: Mapping[str, Any] | None = None,
        gaps: GapPolicy | str = GapPolicy.RESYNC,
        seed: int = 1,
        log: Any = None,
    ) -> None:
        self._data = open_data(data, definition)
        self._start = None if start is None else to_ns(start)
        self._end = None if end is None else to_ns(end)
        self._instruments = (instruments,) if isinstance(instruments, str) else tuple(instruments)
        self._params = dict(params or {})
        self._policy = _policy(gaps)
        self._seed = seed
        self._log = Log("backtest") if log is None else log

    def run(self, strategy: Strategy, *, state: Any = None) -> BacktestResult:
        """One run from start to end. `state`: for on_load. Raises what the strategy raises, NoData, ReplayGap."""
        return _Run(self, strategy, state).run()


def _policy(gaps: GapPolicy | str) -> int:
    try:
        return _POLICIES[GapPolicy(gaps)]
    except ValueError:
        allowed = ", ".join(GapPolicy)
        raise InvalidArgument(where="BacktestRunner", field="gaps", value=gaps, allowed=allowed) from None


class _Run:
    """One run: the objects of a live host with another clock and another sink."""

    def __init__(self, settings: BacktestRunner, strategy: Strategy, state: Any) -> None:
        self._settings = settings
        self._strategy = strategy
        self._state = state
        self.sink = BacktestSink()
        self.ctx = Context(self.sink, params=settings._params, log=settings._log, account="backtest")
        self.lifecycle = Lifecycle(self.ctx, Recorder(), strategy)
        self.dispatcher = self.lifecycle.dispatcher = Dispatcher(self.ctx, strategy, self.lifecycle)

    def run(self) -> BacktestResult:
        start = self._begin()
        engine = self._open(start)
        gc.freeze()
        began = perf_counter()
        try:
            self._drive(engine)
            state = self._strategy.on_save(self.ctx)
        finally:
            gc.unfreeze()
        wall_s = perf_counter() - began
        missing = engine.without_snapshot()
        if missing:
            raise NoData(where=", ".join(missing), reason="no snapshot came, so there was no book to act on")
        return BacktestResult(
            strategy=type(self._strategy).__name__,
            start_ns=start,
            end_ns=engine.now_ns,
            messages=engine.messages,
            rows=engine.rows,
            wall_s=wall_s,
            hash=f"{engine.digest:016x}",
            requests=self.sink.requests,
            gaps=engine.gaps,
            lost=engine.lost,
            callbacks=self.dispatcher.callbacks,
            state=state,
        )

    def _begin(self) -> int:
        """The strategy's start, which says what it listens to; the time of it."""
        settings = self._settings
        first = settings._data.first_ns()
        if first is None:
            raise NoData(where="BacktestRunner", reason="the data holds no record")
        start = first if settings._start is None else settings._start
        self.ctx.set_now(start)
        self.sink.tell_time(start)
        self._subscribed: dict[str, tuple[str, ...]] = dict.fromkeys(settings._instruments, KINDS)
        self.dispatcher.subscribe(self._subscribed)
        if self._state is not None:
            self._strategy.on_load(self.ctx, self._state)
        self._strategy.on_start(self.ctx)
        self._subscribed |= self.ctx.close_subscriptions()
        self.dispatcher.subscribe(self._subscribed)
        if not self._subscribed:
            reason = "the strategy listens to nothing: name instruments=, or ctx.subscribe in on_start"
            raise NoData(where="BacktestRunner", reason=reason)
        return start

    def _open(self, start: int) -> BacktestEngine:
        settings = self._settings
        wanted: Kinds = self._subscribed
        instruments = [self.ctx.instrument(name) for name in self._subscribed]
        feeds = sorted({one.venue for one in instruments})
        opened = settings._data.open(wanted, settings._start, settings._end)
        span = {} if settings._end is None else {"end_ns": settings._end}
        engine = BacktestEngine(
            self.dispatcher,
            self.sink,
            self.lifecycle,
            [one.source for one in opened],
            [one.feed if one.feed in feeds else feeds[0] for one in opened],
            settings._policy,
            start_ns=start,
            **span,
        )
        engine.listen(instruments)
        engine.begin()
        return engine

    def _drive(self, engine: BacktestEngine) -> None:
        settings, lifecycle = self._settings, self.lifecycle
        lifecycle.start(engine.instruments)
        lifecycle.router_attached()
        lifecycle.rebuilding = True
        engine.warm()
        lifecycle.rebuilding = False
        for feed in list(lifecycle.feeds):
            lifecycle.feed_attached(feed)
        engine.run()
        if settings._end is not None:
            engine.pass_time(settings._end)
        lifecycle.stop("end of data")
        lifecycle.drained()
