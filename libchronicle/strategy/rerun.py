"""A recorded session of a strategy host once more: the same callbacks in the same order, and are its requests the same?

The journal is followed record by record. What it says happened outside (records of the queues, timers, the router, the
kill word, parameters, commands) is given to a new object of the strategy by the code that gave it live: Context,
Dispatcher and Lifecycle; only clock, sink and recorder are others. Each request is held against orders_out, each change
of state and each timer against the journal, byte for byte; the first that differs ends it.

    records before CarryOver     what was open and held when the session began
    first StateChange            on_load and on_start were called right before it
    Dispatch                     those records, at that time; muted ones feed the books only
    StateChange                  already come by itself: held against it. From outside: made to come. Else it must
                                 come with the next Dispatch, which is written after what its records bring about
    TimerFired, KillChange, Parameter, ControlCommand, SessionStop: as named

A host that was killed wrote no last records, so requests may stand in orders_out that no journal record explains: these
are counted as unchecked. What the strategy takes from elsewhere (a clock, random numbers, files) is not recorded: it is what
differences come from, and the guard notes where it does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from libchronicle.errors import CorruptError, CorruptSession, EnvironmentFault
from libchronicle.native.binding import LOST_TYPE
from libchronicle.protocol import (
    AccountReport,
    CarryOver,
    Command,
    ControlCommand,
    Dispatch,
    Instrument,
    KillChange,
    OpenOrder,
    Parameter,
    PositionReport,
    SessionSource,
    SessionStop,
    StateChange,
    StateChunk,
    TimerFired,
    decode,
)
from libchronicle.replay.difference import Difference, Frame, Verdict
from libchronicle.replay.journal import RecordedSession, journal_records
from libchronicle.replay.recorded import DAY_NS, Recorded, RecordedQueue
from libchronicle.runtime.config import StrategyConfig
from libchronicle.storage.archive import Archive
from libchronicle.strategy.base import Strategy
from libchronicle.strategy.carryover import Carried, adopt
from libchronicle.strategy.context import Context
from libchronicle.strategy.dispatch import Dispatcher
from libchronicle.strategy.guard import Finding, Guard
from libchronicle.strategy.identity import code_version, config_hash
from libchronicle.strategy.lifecycle import Lifecycle
from libchronicle.strategy.params import recorded
from libchronicle.strategy.recorder import MemoryRecorder
from libchronicle.strategy.savedstate import state_of
from libchronicle.strategy.sides import Changes, Requests
from libchronicle.strategy.sink import MemorySink
from libchronicle.strategy.states import FeedState, HostState, Machine, RouterState
from libchronicle.strategy.stopguard import CallbackHung

__all__ = ["rerun_strategy"]

ORDERS_OUT_RANK: Final = 0xFFFE
CARRIED: Final = (Instrument, OpenOrder, PositionReport, AccountReport)
FAILED: Final = "failed: "
HUNG: Final = ("hung", f"{FAILED}{CallbackHung.__name__}")
"""How a session ends whose last callback did not return: that call is in no record."""


def rerun_strategy(
    archive: Archive, session: RecordedSession, kind: Callable[[], Strategy], config: StrategyConfig
) -> Verdict:
    """Follow `session` with a new `kind()` under `config`; what came otherwise than it is recorded, if anything did.

    Raises CorruptSession for a journal that lacks what a rerun needs, and what reading queues and archive raises.
    """
    rerun = _Rerun(archive, session, kind, config)
    with Guard(config.file, "warn", rerun.noticed):
        try:
            return rerun.run()
        finally:
            rerun.close()


class _Market:
    """One source of the session: its records, and where the host stood in them."""

    def __init__(self, told: SessionSource, queue: RecordedQueue) -> None:
        self.name = told.path.rpartition("/")[2]
        self.queue = queue
        self.is_reports = self.name == "orders_in"
        self.next_seq = -1  # not known before the first record
        self.epoch = 0


class _Silence:
    """`ctx.log`: what the strategy says a second time is not heard."""

    def debug(self, event: str, **fields: Any) -> None:
        pass

    info = warning = error = debug


class _Rerun:
    def __init__(
        self,
        archive: Archive,
        session: RecordedSession,
        kind: Callable[[], Strategy],
        config: StrategyConfig,
    ) -> None:
        self.archive = archive
        self.session = session
        self.config = config
        self.verdict = Verdict(
            name=session.name,
            session=session.id,
            started_ns=session.start.realtime_ns,
            finished=session.stop is not None,
            notes=_changed_since(session, config),
        )
        self._kind = kind
        self._since_ns = session.start.realtime_ns - DAY_NS
        self._sources: dict[int, _Market] = {}
        self._orders_out: RecordedQueue | None = None
        self._requests: Requests | None = None
        self._carried: list[Any] = []
        self._adopted = False
        self._chunks: list[StateChunk] = []
        self._started = False
        self._raised: BaseException | None = None
        self._during = "at the start"
        self._steps: dict[type, Callable[[Any], None]] = {
            SessionSource: self._source,
            CarryOver: self._carry_over,
            StateChunk: self._chunks.append,
            Dispatch: self._dispatch,
            StateChange: self._state_change,
            TimerFired: self._timer,
            KillChange: self._kill,
            Parameter: self._parameter,
            ControlCommand: self._command,
            SessionStop: self._stop,
        }

    # ------------------------------------------------------------ the journal

    def run(self) -> Verdict:
        for message in journal_records(self.archive, self.session):
            if message.type_id == LOST_TYPE:
                raise CorruptSession(session=self.session.name, reason="records of its journal are missing")
            record = decode(message.type_id, message)
            if isinstance(record, CARRIED) and not self._adopted:
                self._carried.append(record)
                continue
            self._follow(record)
            self._hold_requests()
            if self.verdict.difference is not None:
                break
        else:
            self._end()
        if self._requests is not None:
            self.verdict.compared = self._requests.held + self._changes.held
        return self.verdict

    def _follow(self, record: Any) -> None:
        step = self._steps.get(type(record))
        if step is None:
            return
        if self._raised is not None and not isinstance(record, SessionStop):
            self._after_raising(record)
            return
        try:
            step(record)
        except (CorruptError, EnvironmentFault, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001  (out of the strategy's code, as it did live or not)
            self._raised = error
            if isinstance(record, Dispatch):
                self._hold_changes()
            elif isinstance(record, StateChange | TimerFired):
                self._after_raising(record)

    def _after_raising(self, record: Any) -> None:
        """What was recorded between the call that raised and the end; anything else says that it did not raise then."""
        if isinstance(record, StateChange | TimerFired) and self._changes.has_come(_frame(record)):
            self._hold_change(_frame(record))
        elif isinstance(
            record, StateChange | TimerFired | Dispatch | Parameter | KillChange | ControlCommand
        ):
            self._differ_at_end(
                record.now_ns if isinstance(record, Dispatch) else self.ctx.now_ns(), "nothing was raised"
            )

    def _differ_at_end(self, at_ns: int, recorded: str) -> None:
        raised = self._raised
        again = "nothing was raised" if raised is None else f"{type(raised).__name__}: {raised}"
        self.verdict.difference = Difference(
            what="what a callback raised",
            during=self._during,
            at_ns=at_ns,
            recorded={"message": "exception", "raised": recorded},
            again={"message": "exception", "raised": again},
            fields=("raised",),
        )

    def noticed(self, finding: Finding) -> None:
        """The guard saw the strategy take what no record holds."""
        self.verdict.notes.append(str(finding))

    def close(self) -> None:
        for source in self._sources.values():
            source.queue.close()
        if self._orders_out is not None:
            self._orders_out.close()

    def _source(self, told: SessionSource) -> None:
        queue = RecordedQueue(self.archive, told.path, told.queue_id, self._since_ns)
        if told.source == ORDERS_OUT_RANK:
            self._orders_out = queue
            self._requests = Requests(one for one in queue.since(told.start_seq) if one.epoch == told.epoch)
            self._make(told)
            return
        former = self._sources.get(told.source)
        if former is not None:
            former.queue.close()
        self._sources[told.source] = _Market(told, queue)

    def _make(self, orders_out: SessionSource) -> None:
        """The strategy and what it is driven by, as the live runner makes them."""
        config = self.config
        self.sink = MemorySink(self._sent_ns, orders_out.queue_id, orders_out.epoch, orders_out.start_seq)
        self.ctx = Context(
            self.sink, params=config.params, account=config.account, log=_Silence(), exits=config.risk
        )
        self.ctx.set_now(self.session.start.realtime_ns)
        self.strategy = self._kind()
        self.recorder = MemoryRecorder()
        self._changes = Changes(self.recorder.records)
        self.lifecycle = Lifecycle(
            self.ctx,
            self.recorder,
            self.strategy,
            flatten=config.on_disconnect == "flatten",
            cancel_on_stop=config.on_stop == "cancel",
            limits=config.limits,
            flatten_on_trip=config.risk.on_trip == "flatten",
        )
        self.dispatcher = self.lifecycle.dispatcher = Dispatcher(self.ctx, self.strategy, self.lifecycle)
        self._subscribed: dict[str, tuple[str, ...]] = dict.fromkeys(config.subscribe, config.kinds)
        self.dispatcher.subscribe(self._subscribed)

    def _sent_ns(self) -> int:
        """When the request that is being sent was appended to orders_out."""
        recorded = self._requests.sent_ns(len(self.sink.messages)) if self._requests is not None else None
        return recorded if recorded is not None else self.ctx.now_ns()

    # ------------------------------------------------------------ the start

    def _carry_over(self, end: CarryOver) -> None:
        """The first block is what the session began with; later ones are for whoever starts after it."""
        if self._adopted:
            return
        if self._orders_out is None:
            raise CorruptSession(session=self.session.name, reason="it names no orders_out")
        self._adopted = True
        carried = Carried(end)
        for record in self._carried:
            carried.add(record)
        adopt(self.dispatcher, carried)

    def _start(self) -> None:
        if not self._adopted:
            raise CorruptSession(session=self.session.name, reason="its journal has no beginning any more")
        self._started = True
        if self._chunks:
            self.strategy.on_load(self.ctx, state_of(self._chunks))
        self.strategy.on_start(self.ctx)
        chosen = self.ctx.close_subscriptions()
        self._subscribed |= chosen
        self.dispatcher.subscribe(self._subscribed)
        names = [name for name in self.ctx.instruments if name in self._subscribed]
        self.lifecycle.start([self.ctx.instrument(name) for name in names])

    # ------------------------------------------------------------ what came from outside

    def _dispatch(self, run: Dispatch) -> None:
        source = self._sources.get(run.source)
        if source is None:
            raise CorruptSession(session=self.session.name, reason=f"source {run.source} was never named")
        if source.is_reports and run.muted:
            return  # what they told is in the carried-over block
        self.ctx.set_now(run.now_ns)
        self.dispatcher.feed_name = source.name
        self.lifecycle.rebuilding = bool(run.muted)
        due = run.first_seq
        try:
            for record in source.queue.take(run.first_seq, run.last_seq):
                if record.seq == due:
                    self._during = f"record {record.seq} of {source.name}"
                    self._give(source, record, muted=bool(run.muted))
                    due += 1
                    self._hold_requests()
                    if self.verdict.difference is not None:
                        return
        finally:
            self.lifecycle.rebuilding = False
        if due <= run.last_seq:
            raise CorruptSession(
                session=self.session.name,
                reason=f"record {due} of {source.queue.path} is neither in its queue nor in the archive",
            )
        if not run.muted:
            self._hold_changes()

    def _give(self, source: _Market, record: Recorded, *, muted: bool) -> None:
        """As the live loop does; a hole or another writer is told first."""
        self.verdict.records += 1
        follows = record.seq == source.next_seq or source.next_seq < 0
        if not (follows and record.epoch == source.epoch and record.type_id != LOST_TYPE):
            expected = follows and record.type_id != LOST_TYPE and (source.epoch == 0 or source.is_reports)
            former, source.epoch = source.epoch, record.epoch
            if not expected and not source.is_reports:
                reason = (
                    f"epoch {former} became {record.epoch}"
                    if record.epoch != former
                    else f"records {source.next_seq} to {record.seq} are missing"
                )
                self.lifecycle.discontinuity(source.name, "records are missing" if muted else reason)
        source.next_seq = record.seq + 1
        give = self.dispatcher.feed_report if source.is_reports else self.dispatcher.feed
        give(
            record.type_id,
            record.payload,
            seq=record.seq,
            ts_ns=record.ts_ns,
            epoch=record.epoch,
            queue_id=source.queue.queue_id,
            muted=muted,
        )

    def _state_change(self, change: StateChange) -> None:
        frame = _frame(change)
        self.ctx.set_now(change.now_ns)
        self._during = f"{Machine(change.machine).name.lower()}: {change.reason}"
        if not self._started:
            self._start()
        elif not self._changes.has_come(frame) and not self._drive(change):
            self._changes.await_(frame)
            return
        self._hold_change(frame)

    def _drive(self, change: StateChange) -> bool:
        """Make it come. False for one that follows from data."""
        lifecycle, target = self.lifecycle, change.to_state
        if change.machine == Machine.FEED:
            feed, _, reason = change.reason.partition(": ")
            if target == FeedState.DISCONNECTED:
                lifecycle.feed_lost(feed, reason)
                return True
            if target == FeedState.SYNCING and change.from_state != FeedState.CONNECTED:
                lifecycle.forget_venue(feed)
                lifecycle.feed_attached(feed)
                return True
        elif change.machine == Machine.ROUTER:
            if target == RouterState.CONNECTED:
                lifecycle.router_attached()
            else:
                lifecycle.router_lost(change.reason)
            return True
        elif change.machine == Machine.HOST:
            return self._drive_host(change)
        return False

    def _drive_host(self, change: StateChange) -> bool:
        if change.to_state == HostState.STOPPING:
            self.lifecycle.stop(change.reason)
        elif change.to_state == HostState.STOPPED:
            self.lifecycle.drained()
            self.strategy.on_save(self.ctx)
        elif change.to_state == HostState.WAITING_FOR_FEED:  # recorded before the feed's own
            feed, _, reason = change.reason.partition(": ")
            self.lifecycle.feed_lost(feed, reason)
        else:
            return False
        return True

    def _timer(self, fired: TimerFired) -> None:
        self.ctx.set_now(fired.now_ns)
        self._during = f"timer {fired.name}"
        frame = _frame(fired)
        if not self._changes.has_come(frame):
            self.dispatcher.fire_due(self.recorder)
        self._hold_change(frame)

    def _kill(self, change: KillChange) -> None:
        self.ctx.set_now(change.now_ns)
        self.lifecycle.set_killed(bool(change.killed), change.reason)
        self._hold_change(_frame(change))

    def _parameter(self, parameter: Parameter) -> None:
        if not self._started:
            self._begin_with(parameter)
            return
        self.ctx.set_now(parameter.now_ns)
        self.lifecycle.set_parameter(parameter.name, parameter.value)
        self._hold_change(_frame(parameter))

    def _begin_with(self, parameter: Parameter) -> None:
        """A value of the session's configuration, in the type that the present one has; the session's counts."""
        params, name = self.ctx.params, parameter.name
        if name not in params:
            params.apply({name: parameter.value})
        elif recorded(params[name]) != parameter.value:
            params.apply(params.parse(name, parameter.value))

    def _command(self, command: ControlCommand) -> None:
        self._during = f"command {command.command.name}"
        self.dispatcher.no_cause()
        if command.command in (Command.PAUSE, Command.RESUME):
            self.lifecycle.set_paused(command.command is Command.PAUSE)
        elif command.command is Command.CANCEL_ALL:
            self.ctx.cancel_all(command.target or None)

    def _stop(self, stop: SessionStop) -> None:
        """In order; or the strategy had raised, and everything was cancelled."""
        if not stop.reason.startswith(FAILED):
            if self._raised is not None:
                self._differ_at_end(stop.now_ns, "nothing was raised")
            return
        if self._raised is None:
            try:
                if self._started:
                    self.lifecycle.stop(stop.reason)  # it may have been on_stop
                else:
                    self._start()
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001  (whatever it was then)
                self._raised = error
        recorded = stop.reason.removeprefix(FAILED)
        if recorded == CallbackHung.__name__:
            return
        if self._raised is None or type(self._raised).__name__ != recorded:
            self._differ_at_end(stop.now_ns, recorded)
            return
        self._raised = None
        self.ctx.order_cancel_all(0, stop.reason)

    # ------------------------------------------------------------ both sides

    def _hold_requests(self) -> None:
        if self._requests is not None:
            self._note(self._requests.hold(self.sink.messages, self._during, self.ctx.now_ns()))

    def _hold_change(self, recorded: Frame) -> None:
        self._note(self._changes.hold(recorded, self._during, self.ctx.now_ns()))

    def _hold_changes(self) -> None:
        self._note(self._changes.hold_all(self._during, self.ctx.now_ns()))

    def _note(self, found: Difference | None) -> None:
        if self.verdict.difference is None:
            self.verdict.difference = found

    def _end(self) -> None:
        """Requests that were recorded and did not come again."""
        requests, stop = self._requests, self.session.stop
        if requests is None:
            return
        if stop is not None and stop.reason not in HUNG:
            self._note(requests.missing())
        else:
            self.verdict.unchecked = requests.left()


def _frame(message: Any) -> Frame:
    return message.TEMPLATE_ID, message.encode()


def _changed_since(session: RecordedSession, config: StrategyConfig) -> list[str]:
    notes = []
    if code_version(config.file) != session.start.code_version:
        notes.append(f"{config.file} is not the file the session ran with, or the message schema is another")
    if config_hash(config) != session.start.config_hash:
        notes.append("the configuration is not the one the session ran with")
    return notes
