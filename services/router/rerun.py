"""The router's journal once more: the same requests and market records, and does it answer the same?

Every step of the journal (outcome, then cause) is taken again by the engine, the paper venue and the market reader of the
daemon, on the state that the session's first checkpoint carried over. What is journaled again must be what stands in the
journal, and what is delivered what stands in each orders_in, byte for byte; the first that differs ends it.

    Dispatch of a strategy     its request from orders_out, at that time
    Dispatch of a feed         those records; the last one filled something, or nothing of them did
    SessionSource              a feed or a strategy came: books are rebuilt as they were, its reports begin
    TimerFired, KillChange, StateChange of a feed, Parameter     as the daemon does them
    SessionStart … READY       a checkpoint: the state itself is compared

Taken from the journal as they are: instruments' definitions, and reports that a restart found in orders_in and not in the
journal. Limits, risk, fees and accounts are those that the session says it ran with (settings.py), not today's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import blake2b
from itertools import takewhile
from typing import Any, Final

import msgspec

from libchronicle.errors import CorruptSession
from libchronicle.native.binding import LOST_TYPE
from libchronicle.protocol import (
    Dispatch,
    ExecutionReport,
    Instrument,
    KillChange,
    NewOrder,
    Parameter,
    RejectCode,
    SessionSource,
    SessionStart,
    SessionStop,
    StateChange,
    StateChunk,
    TimerFired,
    decode,
)
from libchronicle.replay.difference import Difference, Frame, Verdict, first_difference
from libchronicle.replay.journal import RecordedSession, journal_records
from libchronicle.replay.recorded import DAY_NS, Recorded, RecordedQueue
from libchronicle.runtime.config import HostConfig
from libchronicle.sim import paper_memory
from libchronicle.sim.paper import VenueEvent
from libchronicle.sim.paper_terms import paper_accounts
from libchronicle.sim.recorded_feed import RecordedMarket
from libchronicle.storage.archive import Archive
from services.router.engine import LOOK, PERMIT, Request, make_engine
from services.router.journal import (
    CAUSES,
    READY,
    ROUTER_MACHINE,
    Journal,
    Replay,
    orders_path,
    pause_name,
    reports_path,
    write_checkpoint,
)
from services.router.market import CONNECTED, FEED_MACHINE, Feed, MarketData, end_markets
from services.router.settings import (
    RouterSettings,
    StrategySettings,
    chunks_in,
    settings_in,
    settings_of_host,
    settings_of_strategy,
)
from services.router.state import Client

__all__ = ["rerun_router"]

_CANCEL_ALL: Final = "cancel_all:"


def rerun_router(archive: Archive, session: RecordedSession, config: HostConfig) -> Verdict:
    """Take every step of `session` again; what came otherwise than it is recorded, if anything did. `config` stands in for
    what the session does not say of its settings.

    Raises CorruptSession for a journal that lacks what a rerun needs, and what reading queues and archive raises.
    """
    rerun = _Rerun(archive, session, config)
    try:
        return rerun.run()
    finally:
        rerun.close()


class _Kept:
    """A journal in memory."""

    def __init__(self) -> None:
        self.records: deque[Frame] = deque()

    def append(self, type_id: int, payload: bytes, ts_ns: int | None = None, /) -> int:
        self.records.append((type_id, payload))
        return 0


class _Reports:
    """One strategy's orders_in: what is delivered again is held against what was written from `told` on."""

    def __init__(self, queue: RecordedQueue, told: SessionSource) -> None:
        self.queue = queue
        self.name = told.path
        self.held = 0
        self.missing: list[
            Frame
        ] = []  # delivered again, and not recorded: not until the next attach, or lost
        self.difference: Difference | None = None
        self._recorded = (one for one in queue.since(told.start_seq) if one.epoch == told.epoch)
        self._ahead: Recorded | None = next(self._recorded, None)

    @property
    def first_ts(self) -> int:
        """Of the positions that it was carried over."""
        message: Any = None if self._ahead is None else decode(self._ahead.type_id, self._ahead.payload)
        return getattr(message, "ts", 0)

    def append(self, type_id: int, payload: bytes, ts_ns: int | None = None, /) -> int:
        recorded, self._ahead = self._ahead, next(self._recorded, None)
        if recorded is None:
            self.missing.append((type_id, payload))
        elif self.difference is None:
            self.difference = first_difference(
                f"record {recorded.seq} of {self.name}",
                "",
                recorded.ts_ns,
                (recorded.type_id, recorded.payload),
                (type_id, payload),
            )
            self.held += self.difference is None
        return 0


class _Rerun:
    def __init__(self, archive: Archive, session: RecordedSession, config: HostConfig) -> None:
        self.archive = archive
        self.session = session
        self.config = config
        self.verdict = Verdict(
            name=session.name,
            session=session.id,
            started_ns=session.start.realtime_ns,
            finished=session.stop is not None,
        )
        self._strategies: dict[str, StrategySettings] = {}  # as the session says
        self.killed = False
        self._since_ns = session.start.realtime_ns - DAY_NS
        self._journal = _Kept()
        self._queues: list[RecordedQueue] = []
        self._requests: dict[str, RecordedQueue] = {}
        self._reports: dict[str, _Reports] = {}
        self._ranks: dict[str, int] = {}
        self._lost: set[str] = set()  # feeds whose market was lost, by the journal
        self._arrived: Feed | None = None  # a feed that is attached with the next step, for it tells the time
        self._held = 0

    # ------------------------------------------------------------ the journal

    def run(self) -> Verdict:
        steps = _steps(journal_records(self.archive, self.session), self.session.name)
        first = next(steps, None)
        if first is None or first[0][0] != SessionStart.TEMPLATE_ID:
            raise CorruptSession(
                session=self.session.name, reason="its first checkpoint is not there any more"
            )
        self._begin(first)
        for step in steps:
            self._take(step)
            if self._differs(step):
                break
        else:
            self._end()
        self.verdict.compared = self._held + sum(reports.held for reports in self._reports.values())
        return self.verdict

    def close(self) -> None:
        for queue in self._queues:
            queue.close()

    def _begin(self, checkpoint: list[Frame]) -> None:
        """The state that the session began with, and the daemon's engine on it."""
        self.told = chunks_in(takewhile(lambda note: note[0] == StateChunk.TEMPLATE_ID, checkpoint[1:]))
        self.settings = settings_in(self.told, RouterSettings) or self._present()
        state = Replay(paper_accounts(self.settings.router)).run(checkpoint)
        self.journal = Journal(self._journal)
        self.markets = MarketData(state)
        self.engine = make_engine(self.settings, state, self.journal, self.markets, lambda: self.killed)

    def _present(self) -> RouterSettings:
        """Of a session that does not say what it ran with."""
        digest = blake2b(msgspec.json.encode(self.config), digest_size=32).digest()
        ran = (
            "" if digest == self.session.start.config_hash else ", which is not the configuration it ran with"
        )
        self.verdict.notes.append(
            f"an older session, without its settings: limits, risk and fees are today's{ran}"
        )
        return msgspec.structs.replace(settings_of_host(self.config), remembers=False)

    def _take(self, step: list[Frame]) -> None:
        """What the step's cause says happened, again."""
        *notes, (kind, payload) = step
        cause: Any = decode(kind, payload)
        for note_kind, note in notes:
            if note_kind == SessionStart.TEMPLATE_ID:
                self.engine.remember_all(cause.now_ns)
                write_checkpoint(self.journal, self.engine.state, self.session.start, cause.now_ns, self.told)
                return
            if note_kind == Instrument.TEMPLATE_ID:
                self.engine.define(Instrument.decode(note))
        now_ns = getattr(cause, "now_ns", 0)
        if self._arrived is not None:
            feed, self._arrived = self._arrived, None
            self.markets.attach(feed, self.engine, {}, now_ns)
            if any(kind in CAUSES for kind, _ in self._journal.records):
                return  # the step is what its books brought about
        match cause:
            case Dispatch():
                self._dispatch(cause)
            case SessionSource():
                self._source(cause, notes)
            case KillChange():
                self.killed = bool(cause.killed)
                end_all = partial(self.engine.gateway.cancel_all, None, code=RejectCode.KILLED)
                self.engine.on_event(cause, now_ns, end_all if self.killed else list)
            case TimerFired() if cause.name == LOOK:
                self.engine.look_at_risk(cause, now_ns)
            case TimerFired():
                gateway = self.engine.gateway
                expire = partial(gateway.expire, now_ns) if cause.name == "gtd" else gateway.expire_immediate
                self.engine.on_event(cause, now_ns, expire)
            case StateChange():
                self._market_changed(cause)
            case Parameter() if cause.name == PERMIT:
                self.engine.permit(cause, now_ns)
            case Parameter():
                self._command(cause, cancelled=any(kind == ExecutionReport.TEMPLATE_ID for kind, _ in notes))
            case SessionStop():
                self.journal.commit(cause)

    # ------------------------------------------------------------ requests and market records

    def _dispatch(self, run: Dispatch) -> None:
        self.verdict.records += run.last_seq - run.first_seq + 1
        client = next((one for one in self.engine.state.clients.values() if one.rank == run.source), None)
        if client is not None:
            self._request(client, run)
            return
        feed = next((one for one in self.markets.feeds.values() if one.rank == run.source), None)
        if feed is None:
            raise CorruptSession(session=self.session.name, reason=f"source {run.source} was never named")
        assert isinstance(feed.reader, RecordedMarket)
        feed.reader.let(run.first_seq, run.last_seq)
        while self.markets.poll(feed, self.engine, run.now_ns):
            pass
        if feed.reader.seq != run.last_seq:
            raise CorruptSession(
                session=self.session.name,
                reason=f"records {run.first_seq} to {run.last_seq} of {feed.name} are neither in its queue nor archived",
            )
        self.engine.commit_markets(run.now_ns)

    def _request(self, client: Client, run: Dispatch) -> None:
        found = next(self._requests[client.name].take(run.first_seq, run.last_seq), None)
        if found is None or found.epoch != run.epoch:
            raise CorruptSession(
                session=self.session.name,
                reason=f"request {run.first_seq} of {client.name} is neither in its queue nor archived",
            )
        request = Request(found.type_id, found.payload, found.epoch, found.seq, found.ts_ns)
        self.engine.on_request(client, request, run.now_ns)

    # ------------------------------------------------------------ what comes and goes

    def _source(self, told: SessionSource, notes: list[Frame]) -> None:
        kind, name = told.path.split("/")[0], told.path.split("/")[2]
        if kind == "market_data":
            self._feed(told, name)
        elif told.path == reports_path(name):
            self._attach_reports(self.engine.state.client(name), told)
        else:
            self._attach_client(told, name, notes)

    def _feed(self, told: SessionSource, name: str) -> None:
        state = self.engine.state
        if name in self.markets.feeds:
            self.markets.detach(name)
        if name not in self._ranks:
            self._ranks[name] = state.take_rank()
        reader = RecordedMarket(self._queue(told), told.start_seq, told.epoch)
        reader.rebuild(self.settings.instruments(name))
        self._arrived = Feed(name, self._ranks[name], reader, is_alive=name not in self._lost)
        again = msgspec.structs.replace(told, source=self._ranks[name], start_seq=reader.stands_at)
        self.engine.on_event(again, 0)

    def _attach_client(self, source: SessionSource, name: str, notes: list[Frame]) -> None:
        state = self.engine.state
        client = state.client(name)
        chunks = chunks_in(notes)
        told = settings_in(chunks, StrategySettings)
        if told is not None:
            self._strategies[name] = told
        settings = self._strategies.get(name) or settings_of_strategy(self.config, name)
        client.set_limits(settings.limits, settings.account, settings.risk)
        self.engine.watch.begin(client)
        if client.queue_id != source.queue_id:
            state.attach_queue(client, source.queue_id, (0, -1))
        if told is None and notes:
            paper_memory.note_places(self.engine.gateway)
            self._take_up(client, source, notes)
            if any(kind == ExecutionReport.TEMPLATE_ID for kind, _ in notes):
                self.engine.take_up(client)
        self._requests[name] = self._queue(source)
        again = SessionSource(
            queue_id=client.queue_id,
            start_seq=client.handled[1] + 1,
            epoch=client.handled[0],
            source=client.rank,
            path=orders_path(name),
        )
        self.engine.on_event(again, 0, notes=chunks)

    def _take_up(self, client: Client, told: SessionSource, notes: list[Frame]) -> None:
        """Reports that orders_in had before the journal did."""
        request: NewOrder | None = None
        for kind, payload in notes:
            if kind == NewOrder.TEMPLATE_ID:
                request = NewOrder.decode(payload)
            elif kind == ExecutionReport.TEMPLATE_ID:
                self.engine.state.apply_report(ExecutionReport.decode(payload), request)
                request = None
            if kind != Instrument.TEMPLATE_ID:
                self.journal.note(kind, payload)
        client.handled = (told.epoch, told.start_seq - 1)

    def _attach_reports(self, client: Client, told: SessionSource) -> None:
        former = self._reports.get(client.name)
        self._reports[client.name] = reports = _Reports(self._queue(told), told)
        if former is not None:
            reports.held = former.held
        client.reports = reports
        self.engine.on_event(told, 0)
        self.engine.delivery.carry_over(client, reports.first_ts)

    def _market_changed(self, change: StateChange) -> None:
        if change.machine != FEED_MACHINE:
            raise CorruptSession(session=self.session.name, reason=f"machine {change.machine} is not known")
        name, gone = change.reason, set[int]()
        feed = self.markets.feeds.get(name)
        is_alive = change.to_state == CONNECTED
        (self._lost.discard if is_alive else self._lost.add)(name)
        if feed is not None:
            feed.is_alive = is_alive
        if not is_alive and self.settings.router.on_market_lost == "cancel":
            gone.update(self.settings.instruments(name), feed.reader.books if feed is not None else ())
        self.engine.on_event(change, change.now_ns, partial(end_markets, self.engine.gateway, gone))

    def _command(self, parameter: Parameter, *, cancelled: bool) -> None:
        """A person paused, killed or let go a strategy, or had its orders cancelled."""
        clients = self.engine.state.clients
        name = parameter.name.partition(":")[2]
        act: Callable[[], list[VenueEvent]] = list
        if parameter.name.startswith(_CANCEL_ALL):
            act = partial(self.engine.gateway.cancel_all, name)
        elif parameter.name == pause_name(name) and name in clients:
            clients[name].paused = parameter.value == "1"
            if not clients[name].paused:
                clients[name].wires.resume()
            if cancelled:
                act = partial(self.engine.gateway.cancel_all, name, code=RejectCode.KILLED)
        self.engine.on_event(parameter, parameter.now_ns, act)

    def _queue(self, told: SessionSource) -> RecordedQueue:
        queue = RecordedQueue(self.archive, told.path, told.queue_id, self._since_ns)
        self._queues.append(queue)
        return queue

    # ------------------------------------------------------------ both sides

    def _differs(self, step: list[Frame]) -> bool:
        cause: Any = decode(*step[-1])
        at_ns, during = getattr(cause, "now_ns", 0), f"the step that ends with {type(cause).__name__}"
        if isinstance(cause, Dispatch):
            during += f" of source {cause.source}, records {cause.first_seq} to {cause.last_seq}"
        again = self._journal.records
        for recorded in step:
            found = first_difference(
                "a record of the router's journal",
                during,
                at_ns,
                recorded,
                again.popleft() if again else None,
            )
            if found is not None:
                self.verdict.difference = found
                return True
            self._held += 1
        for reports in self._reports.values():
            if reports.difference is not None:
                self.verdict.difference = msgspec.structs.replace(reports.difference, during=during)
                return True
        return False

    def _end(self) -> None:
        """Steps that came again and were not recorded; reports that were not delivered."""
        if self._journal.records:
            self.verdict.difference = first_difference(
                "a record of the router's journal", "at its end", 0, None, self._journal.records[0]
            )
        for reports in self._reports.values():
            if reports.missing and self.verdict.finished:
                self.verdict.difference = first_difference(
                    f"a report of {reports.name}", "by the end of the session", 0, None, reports.missing[0]
                )
            self.verdict.unchecked += len(reports.missing)


def _steps(journal: Iterator[Any], name: str) -> Iterator[list[Frame]]:
    """The journal's records step by step, each ending with its cause; a checkpoint is one step. What a crash left without
    a cause is no step."""
    step: list[Frame] = []
    in_checkpoint = False
    for message in journal:
        kind = message.type_id
        if kind == LOST_TYPE:
            raise CorruptSession(session=name, reason="records of its journal are missing")
        if kind == SessionStart.TEMPLATE_ID:
            in_checkpoint = True
        step.append((kind, bytes(message)))
        if _is_ready(message) if in_checkpoint else kind in CAUSES:
            yield step
            step, in_checkpoint = [], False


def _is_ready(message: Any) -> bool:
    if message.type_id != StateChange.TEMPLATE_ID:
        return False
    change = StateChange.decode(message)
    return change.machine == ROUTER_MACHINE and change.to_state == READY
