"""`BacktestRunner`: a strategy over recorded data, driven by the objects that drive it live."""

from __future__ import annotations

import gc
import os
import traceback
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from libchronicle.backtest.ahead import Ahead
from libchronicle.backtest.data import Kinds, open_data
from libchronicle.backtest.delays import Delays, Sight
from libchronicle.backtest.described import read_toml
from libchronicle.backtest.engine import BacktestEngine
from libchronicle.backtest.funding import held, payments
from libchronicle.backtest.result import BacktestResult
from libchronicle.backtest.sink import BacktestSink
from libchronicle.backtest.spelling import MODELS
from libchronicle.backtest.venue import SimVenue
from libchronicle.errors import (
    BacktestFailed,
    ChronicleError,
    CorruptError,
    EnvironmentFault,
    FixedPointOverflow,
    InternalError,
    InvalidArgument,
    MisuseError,
    NoData,
    NotReadyError,
)
from libchronicle.portfolio import Account
from libchronicle.protocol import Instrument as Definition
from libchronicle.replay import GapPolicy
from libchronicle.risk import RiskGate, breakers_of
from libchronicle.runtime.config import Limits, RiskConfig
from libchronicle.runtime.logging import Log
from libchronicle.storage.archive import Time, to_ns
from libchronicle.strategy.base import Strategy
from libchronicle.strategy.context import KINDS, Context
from libchronicle.strategy.dispatch import Dispatcher
from libchronicle.strategy.guard import Action, Finding, Guard, source_of
from libchronicle.strategy.lifecycle import Lifecycle
from libchronicle.strategy.loader import load_strategy_class
from libchronicle.strategy.recorder import Recorder

__all__ = ["BacktestRunner"]

_YEAR_MS = 366 * 86_400_000
_POLICIES = {policy: number for number, policy in enumerate(GapPolicy)}


class BacktestRunner:
    """Settings of a backtest; `run` may be called any number of times, each run starts anew.

        BacktestRunner(data="archive", start="2024-08-08", end="2024-08-09", cash=100_000).run(Quoter())

    data         an archive, queue, recorded file, rows or records: see `libchronicle.backtest.data`
    start, end   ns, ISO 8601 text or datetime; given are start <= time < end, records before `start` warm the books; without a
                 start it is the first record of the instruments named here, or else of those that on_start subscribes
    instruments  names (`venue:SYMBOL`) subscribed beside what on_start subscribes, or their kinds (book, trade, quote) by name
    missing      refuse | skip: what to do with an instrument that the data does not hold
    definition   what rows are of (a protocol Instrument)
    latency      ConstantLatency(entry_us, response_us) or another model, or one for each venue by its name; None: none
    queue        a QueueModel, or one by instrument; None: RiskAverseQueue()
    chances      FillChances: touch, adverse selection, slippage; None: none
    fees         a FeeSchedule (MakerTaker), or one by instrument or venue; None: free
    cash         what the account begins with, in its currency, or amounts by currency
    leverage     None: spot in full, contracts at their whole value; a number, or numbers by instrument or venue
    funding      rates of perpetual contracts by instrument: see `libchronicle.backtest.funding`; None: none is paid
    params       the strategy's parameters
    gaps         stop | resync | quarantine | ignore
    limits       the strategy's Limits, as in its TOML; None: none
    risk         the RiskConfig beside them: what may be traded, breakers; None: the defaults
    on_stop      cancel | keep: open orders at the end
    on_disconnect  cancel | flatten: what a venue that was lost does to positions, besides cancelling orders
    seed         of everything random
    sample_ms    interval of the equity curve
    guard        raise | warn | off: what becomes of a callback that sleeps, does I/O or takes what cannot be repeated

    Raises InvalidArgument, BadAmount, NoData.
    """

    def __init__(
        self,
        data: Any,
        *,
        start: Time | None = None,
        end: Time | None = None,
        instruments: Iterable[str] | Mapping[str, Iterable[str]] = (),
        missing: str = "refuse",
        definition: Definition | None = None,
        latency: Any = None,
        queue: Any = None,
        chances: Any = None,
        fees: Any = None,
        cash: Any = 100_000,
        leverage: Any = None,
        funding: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        gaps: GapPolicy | str = GapPolicy.RESYNC,
        limits: Limits | None = None,
        risk: RiskConfig | None = None,
        on_stop: str = "cancel",
        on_disconnect: str = "cancel",
        seed: int = 1,
        sample_ms: int = 1000,
        guard: Action = "raise",
        log: Any = None,
    ) -> None:
        self._data = open_data(data, definition)
        self._start = None if start is None else _time("start", start)
        self._end = None if end is None else _time("end", end)
        if self._start is not None and self._end is not None and self._end <= self._start:
            allowed = f"a time after start ({start})"
            raise InvalidArgument(where="BacktestRunner", field="end", value=end, allowed=allowed)
        self._instruments = _kinds_by_name(instruments)
        self._skips = _chosen("missing", missing, ("refuse", "skip")) == "skip"
        self._delays = Delays(latency)
        self._queue, self._chances = queue, chances
        self._money = {"cash": cash, "leverage": leverage, "fees": fees}
        self._funding = held(funding)
        payments(self._funding, 0)
        self._params = dict(params or {})
        self._policy = _policy(gaps)
        self._limits = Limits() if limits is None else limits
        self._risk = RiskConfig() if risk is None else risk
        self._keeps = _chosen("on_stop", on_stop, ("cancel", "keep")) == "keep"
        self._flattens = _chosen("on_disconnect", on_disconnect, ("cancel", "flatten")) == "flatten"
        self._strategy: tuple[str, str] | None = None
        self._seed = _whole("seed", seed, 0, (1 << 64) - 1)
        self._sample_ns = _whole("sample_ms", sample_ms, 1, _YEAR_MS) * 1_000_000
        self._guard: Action = guard
        self._log = Log("backtest") if log is None else log
        Account(**self._money)

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str], data: Any, **settings: Any) -> BacktestRunner:
        """A runner of the strategy that a TOML describes: its class, subscriptions, parameters, limits, risk and `[backtest]`.

        `run()` then needs no strategy. `settings` as of BacktestRunner take the place of what the TOML says; `params` are added
        to its own. Raises ConfigError, NoPermission, StrategyFileError, InvalidArgument.
        """
        told = read_toml(path)
        settings["params"] = {**told.params, **(settings.get("params") or {})}
        models = {name: read(told.settings[name]) for name, read in MODELS.items() if name in told.settings}
        made = cls(data, **{**told.settings, **models, **settings})
        made._strategy = told.file, told.class_name
        return made

    def strategy(self) -> Strategy:
        """A new object of the strategy that the TOML names. Raises MisuseError without one."""
        if self._strategy is None:
            raise MisuseError(
                reason="give run() a strategy, or make the runner with BacktestRunner.from_toml"
            )
        return load_strategy_class(*self._strategy)()

    def settings(self) -> dict[str, Any]:
        """What decides a run, as text: for reports."""
        told = {
            "latency": self._delays.told,
            "queue": self._queue,
            "chances": self._chances,
            **self._money,
            "funding": self._funding or None,
        }
        return {name: repr(value) for name, value in told.items() if value is not None} | {"seed": self._seed}

    def run(
        self, strategy: Strategy | None = None, *, state: Any = None, keep_failure: bool = False
    ) -> BacktestResult:
        """One run from start to end. `state`: for on_load.

        Raises NoData, ReplayGap; and BacktestFailed, which holds the result, when the strategy raises. With `keep_failure` the
        result is returned instead and its `failure` is the traceback.
        """
        chosen = self.strategy() if strategy is None else strategy
        with Guard(source_of(chosen), self._guard, self._found):
            return _Run(self, chosen, state).run(keep_failure)

    def _found(self, finding: Finding) -> None:
        self._log.warning("guard", finding=str(finding))


def _kinds_by_name(instruments: Iterable[str] | Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    if isinstance(instruments, Mapping):
        return {name: tuple(kinds) for name, kinds in instruments.items()}
    return dict.fromkeys((instruments,) if isinstance(instruments, str) else instruments, KINDS)


def _chosen(field: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise InvalidArgument(where="BacktestRunner", field=field, value=value, allowed=", ".join(allowed))
    return value


def _whole(field: str, value: Any, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        allowed = f"a whole number from {least} to {most}"
        raise InvalidArgument(where="BacktestRunner", field=field, value=value, allowed=allowed)
    return value


def _time(field: str, value: Time) -> int:
    ns = to_ns(value)
    if not 0 <= ns < (1 << 63):
        allowed = "a time from 1970 to the year 2262"
        raise InvalidArgument(where="BacktestRunner", field=field, value=value, allowed=allowed)
    return ns


def _utc(ns: int) -> str:
    return f"{datetime.fromtimestamp(ns // 1_000_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _policy(gaps: GapPolicy | str) -> int:
    try:
        return _POLICIES[GapPolicy(gaps)]
    except ValueError:
        allowed = ", ".join(GapPolicy)
        raise InvalidArgument(where="BacktestRunner", field="gaps", value=gaps, allowed=allowed) from None


_OURS = (CorruptError, EnvironmentFault, FixedPointOverflow, InternalError, NotReadyError)
"""What is not the strategy's fault, so it comes out as it is."""


def said(error: BaseException) -> str:
    """What it is and says; whatever its own __str__ does."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001
        return f"{type(error).__name__}, which cannot say what it is"


class _Run:
    """One run: the objects of a live host with another clock, another sink, and a venue behind it."""

    def __init__(self, settings: BacktestRunner, strategy: Strategy, state: Any) -> None:
        self._settings = settings
        self._strategy = strategy
        self._state = state
        self.account = Account(**settings._money)
        gate = RiskGate(
            self.account,
            settings._limits,
            allowed=settings._risk.allowed,
            breakers=breakers_of(settings._limits, settings._risk),
        )
        self.sink = BacktestSink(settings._delays.models, seed=settings._seed)
        self.venue = SimVenue(
            gate,
            cancels_on_trip=settings._risk.on_trip != "reject",
            seed=settings._seed,
            queues=settings._queue,
            chances=settings._chances,
            latencies=settings._delays.models,
            lanes=settings._delays.lanes,
            sample_ns=settings._sample_ns,
            account_name="backtest",
        )
        self.ctx = Context(
            self.sink, params=settings._params, log=settings._log, account="backtest", exits=settings._risk
        )
        self.lifecycle = Lifecycle(
            self.ctx,
            Recorder(),
            strategy,
            flatten=settings._flattens,
            cancel_on_stop=not settings._keeps,
            limits=settings._limits,
            flatten_on_trip=settings._risk.on_trip == "flatten",
        )
        self.dispatcher = self.lifecycle.dispatcher = Dispatcher(self.ctx, strategy, self.lifecycle)

    def run(self, keep_failure: bool) -> BacktestResult:
        start = self._begin()
        engine = self._open(start)
        failure: BaseException | None = None
        saved = None
        gc.freeze()
        began = perf_counter()
        try:
            self._drive(engine)
            saved = self._strategy.on_save(self.ctx)
        except (*_OURS, KeyboardInterrupt):
            raise
        except BaseException as error:
            if error is self.venue.misfit:
                raise
            failure = error  # whatever a strategy raises ends its run
            self._abandon(engine)
        finally:
            gc.unfreeze()
        result = self._result(engine, start, perf_counter() - began, saved, failure)
        if failure is not None and not keep_failure:
            raise BacktestFailed(strategy=result.strategy, reason=said(failure), result=result) from failure
        return result

    def _begin(self) -> int:
        """The strategy's start, which says what it listens to; the time of it."""
        settings = self._settings
        self._subscribed = self._held(settings._instruments)
        start = self._first_ns() if settings._start is None else settings._start
        self._set_now(start)
        self.dispatcher.subscribe(self._subscribed)
        self._start_strategy()
        chosen = self.ctx.close_subscriptions()
        settings._delays.check({name.partition(":")[0] for name in (*settings._instruments, *chosen)})
        self._subscribed |= self._held(chosen)
        self.dispatcher.subscribe(self._subscribed)
        if not self._subscribed:
            reason = "the strategy listens to nothing: name instruments=, or ctx.subscribe in on_start"
            raise NoData(where="BacktestRunner", reason=reason)
        first = self._first_ns()
        if settings._end is not None and settings._end <= first:
            begins = f"the data begins at {_utc(first)}"
            reason = f"no record before the end asked for, {_utc(settings._end)}; {begins}"
            raise NoData(where="BacktestRunner", reason=reason)
        if settings._start is None and first > start:  # none was named before, and others began earlier
            start = first
            self._set_now(start)
        return start

    def _first_ns(self) -> int:
        """Of the instruments known so far; of all there are while none is."""
        first = self._settings._data.first_ns(self._subscribed or None)
        if first is None:
            where = ", ".join(sorted(self._subscribed)) or "BacktestRunner"
            raise NoData(where=where, reason="the data holds no record")
        return first

    def _set_now(self, now: int) -> None:
        self.ctx.set_now(now)
        self.sink.tell_time(now)

    def _start_strategy(self) -> None:
        try:
            if self._state is not None:
                self._strategy.on_load(self.ctx, self._state)
            self._strategy.on_start(self.ctx)
        except (ChronicleError, KeyboardInterrupt):  # says itself what is wrong, e.g. with a name
            raise
        except BaseException as error:
            raise BacktestFailed(
                strategy=type(self._strategy).__name__, reason=said(error), result=None
            ) from error

    def _held(self, wanted: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        """Those that the data holds. Raises NoData for another one."""
        absent = sorted(self._settings._data.missing(wanted))
        if absent and not self._settings._skips:
            there = ", ".join(sorted(self._settings._data.names())) or "nothing"
            raise NoData(where=", ".join(absent), reason=f"the data does not hold it; there is {there}")
        return {name: kinds for name, kinds in wanted.items() if name not in absent}

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
            self.venue,
            self.lifecycle,
            [one.source for one in opened],
            [one.feed if one.feed in feeds else feeds[0] for one in opened],
            settings._policy,
            start_ns=start,
            **span,
        )
        engine.listen(instruments)
        self.sink.route({one.id: settings._delays.lane(one.venue) for one in instruments})
        for sight in settings._delays.sights(instruments):
            engine.look_ahead(self._ahead(sight, start, span))
        engine.begin()
        return engine

    def _ahead(self, sight: Sight, start: int, span: dict[str, int]) -> Ahead:
        """The sources once more, for a venue that sees them earlier."""
        settings = self._settings
        mine = {one.name for one in sight.instruments}
        others = {name.partition(":")[0] for name in self._subscribed} - {
            one.venue for one in sight.instruments
        }
        wanted = {name: kinds for name, kinds in self._subscribed.items() if name in mine}
        again = settings._data.open(wanted, settings._start, settings._end)
        return Ahead(
            [one.source for one in again if one.feed not in others],
            self.venue,
            sight.instruments,
            sight.model,
            seed=settings._seed,
            ignores=settings._policy == _POLICIES[GapPolicy.IGNORE],
            start_ns=start,
            **span,
        )

    def _drive(self, engine: BacktestEngine) -> None:
        settings, lifecycle = self._settings, self.lifecycle
        lifecycle.start(engine.instruments)
        lifecycle.router_attached()
        lifecycle.rebuilding = True
        engine.warm()
        lifecycle.rebuilding = False
        for feed in list(lifecycle.feeds):
            lifecycle.feed_attached(feed)
        self.venue.schedule_funding(payments(settings._funding, self.ctx.now_ns()))
        self.venue.begin_curve(self.ctx.now_ns())
        engine.run()
        if settings._end is not None:
            engine.pass_time(settings._end)
        lifecycle.stop("end of data")
        engine.drain()
        lifecycle.drained()
        self.venue.end_curve(self.ctx.now_ns())

    def _abandon(self, engine: BacktestEngine) -> None:
        """The strategy has raised: its orders are cancelled, its position stays, nothing more is told to it."""
        self.ctx.order_cancel_all(0, "failed")
        engine.drain_venue()
        self.venue.end_curve(self.ctx.now_ns())

    def _result(
        self, engine: BacktestEngine, start: int, wall_s: float, saved: Any, failure: BaseException | None
    ) -> BacktestResult:
        missing = engine.without_snapshot()
        if missing and failure is None:
            raise NoData(where=", ".join(missing), reason="no snapshot came, so there was no book to act on")
        if not engine.messages and failure is None:
            first = _utc(self._settings._data.first_ns(self._subscribed) or 0)
            reason = f"no record from {_utc(start)} up to the end asked for; the data begins at {first}"
            raise NoData(where="BacktestRunner", reason=reason)
        _, _, rejects = self.venue.counts()
        return BacktestResult(
            {name: self.venue.table(name) for name in ("orders", "fills", "equity", "marks")},
            strategy=type(self._strategy).__name__,
            instruments=self.venue.instruments(),
            definitions=self.venue.definitions,
            currency=self.account.currency,
            params=dict(self.ctx.params),
            settings=self._settings.settings(),
            start_ns=start,
            end_ns=self.ctx.now_ns(),
            sample_ns=self._settings._sample_ns,
            messages=engine.messages,
            rows=engine.rows,
            wall_s=wall_s,
            hash=f"{engine.digest:016x}",
            requests=self.sink.requests,
            rejects=rejects,
            refusals=self.ctx.refused,
            liquidations=self.venue.liquidations,
            trips=self.venue.trips,
            gaps=engine.gaps,
            lost=engine.lost,
            callbacks=self.dispatcher.callbacks,
            failure="" if failure is None else "".join(traceback.format_exception(failure)),
            state=saved,
        )
