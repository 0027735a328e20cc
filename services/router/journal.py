"""The router's journal, and how exactly-once is kept over kill -9 at any instruction.

The router is the only writer of its journal (the session queue `router`) and of every orders_in. An append
to a queue is atomic.

    orders_out/<id> ──request──▶ router ──step──▶ journal ──copy──▶ orders_in/<id>

Rules:
- All that changes the router's state is a *step*: a request, a market record that filled something, a
  timer, a kill, a change of state.
- A step is journaled as its outcome, then its cause; the cause (Dispatch, TimerFired, KillChange,
  StateChange, Parameter) is the commit. What stands after the last cause never happened.

      NewOrder (copy) · Submitted · ExecutionReport … · Dispatch(orders_out of alpha, seq 7..7)
      ExecutionReport · Dispatch(market data, seq 880..941)     record 941 filled an order, the others nothing
      ExecutionReport … · KillChange                            every open order cancelled

- Only a committed step is copied to orders_in. execId is contiguous per strategy, and the last one in
  orders_in is found at its tail: after a crash the journaled reports above it are appended, no other. So
  no report is lost and none comes twice.
- Reading of orders_out goes on behind the last request that a committed Dispatch names, never from a
  reader's cursor: the cursor only tells the queue what may be dropped.
- Submitted also says what is displayed at the request's price: the quantity ahead of the order should it rest.
- What the venue remembers (paper_memory.pyx) is journaled with the step that changed it, before its cause: an OpenOrder for an
  order with another place, or whose stop was reached; StateChunks {"venue": …} for what was taken of displayed levels. So it
  holds for the last record of each feed that a Dispatch names, and after a restart the feed is read on behind that record: what
  came while the router was away meets the orders in the same order, at the same places, as if it had never been away.
- Submitted is appended before the gateway acts. One without its cause is a request whose fate the crash
  hid: it is asked for, never sent again. The paper gateway lives in this process, its state is this
  journal, so its answer is definite: not known. A new order gets REJECT LOST; a cancel or replace that did
  not happen is handled as if it came now, which does no harm.
- The journal alone, with the queues it names, gives every step again (rerun.py): so nothing that changes an outcome may come
  from elsewhere. A SessionSource of an orders_in says where the router's reports begin in it.
- A session begins with a checkpoint: SessionStart, settings, definitions, what the venue remembers and the place that
  feeds are read from, strategies with theirs, positions, what accounts remember, tripped breakers, open orders,
  undecided requests, and a StateChange to READY that commits it. Recovery reads from the last committed checkpoint. A
  SessionStart voids the uncommitted tail before it.
- After power loss queues may have lost different tails. orders_in ahead of the journal: its reports are
  taken up as a step. Requests are compared by (epoch, seq), so records that reuse a lost seq are new ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from libchronicle.errors import CorruptJournal
from libchronicle.portfolio import Account, Ledger, OrderKey
from libchronicle.protocol import (
    Dispatch,
    ExecutionReport,
    Instrument,
    KillChange,
    NewOrder,
    OpenOrder,
    Parameter,
    PositionReport,
    RejectCode,
    ReportFlags,
    RiskEvent,
    SessionSource,
    SessionStart,
    SessionStop,
    StateChange,
    StateChunk,
    Submitted,
    TimerFired,
)
from libchronicle.protocol.codec import SbeMessage
from services.router.reports import open_order, position_report, tripped
from services.router.settings import chunks_in, chunks_of, settings_in
from services.router.state import FeedPlace, Remembered, Sink, State

__all__ = [
    "CAUSES",
    "READY",
    "RECOVERING",
    "ROUTER_MACHINE",
    "Journal",
    "Replay",
    "feed_path",
    "orders_path",
    "pause_name",
    "reports_path",
    "write_checkpoint",
]

ROUTER_MACHINE = 2
RECOVERING, READY = 1, 2

CAUSES = frozenset(
    kind.TEMPLATE_ID
    for kind in (Dispatch, TimerFired, KillChange, StateChange, Parameter, SessionSource, SessionStop)
)

Record = tuple[int, bytes]  # type id, payload

_PAUSED = "paused:"
_PREFIX, _SUFFIX, _REPORTS = "orders/queue/", "/orders_out", "/orders_in"
_FEED = "market_data/queue/"


def feed_path(name: str) -> str:
    """How the journal names a feed's raw queue."""
    return f"{_FEED}{name}"


def orders_path(name: str) -> str:
    """How the journal names a strategy's orders_out: relative to the bus root."""
    return f"{_PREFIX}{name}{_SUFFIX}"


def reports_path(name: str) -> str:
    """How the journal names a strategy's orders_in."""
    return f"{_PREFIX}{name}{_REPORTS}"


def pause_name(strategy: str) -> str:
    """Parameter that says whether a person paused a strategy."""
    return f"{_PAUSED}{strategy}"


class Journal:
    """The writing side: outcomes are noted, a cause commits them."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def note(self, type_id: int, payload: bytes) -> None:
        """Part of the outcome of the step that the next cause commits."""
        self._sink.append(type_id, payload)

    def commit(self, cause: SbeMessage) -> None:
        """The step has happened."""
        self._sink.append(cause.TEMPLATE_ID, cause.encode())


def write_checkpoint(
    journal: Journal, state: State, start: SessionStart, now_ns: int, settings: Iterable[StateChunk] = ()
) -> None:
    """Begin a session with all that the router knows. `settings`: what it runs with; an older session has none."""

    def put(message: SbeMessage) -> None:
        journal.note(message.TEMPLATE_ID, message.encode())

    put(start)
    for chunk in settings:
        put(chunk)
    for name, number in (("last_order_id", state.last_order_id), ("last_trade_id", state.last_trade_id)):
        put(Parameter(now_ns=now_ns, name=name, value=str(number)))
    for definition in state.definitions.values():
        put(definition)
    if state.venue or state.feeds:
        for chunk in chunks_of({"venue": state.venue, "feeds": state.feeds}):
            put(chunk)
    open_queues = {key.queue_id for key in state.ledger.open_orders}
    for client in sorted(state.clients.values(), key=lambda c: c.rank):
        former = sorted(q for q, c in state.owners.items() if c is client and q in open_queues)
        for queue_id in [*former, client.queue_id]:  # the present one last: it is the one that counts
            epoch, seq = client.handled
            path = orders_path(client.name)
            put(
                SessionSource(
                    queue_id=queue_id, start_seq=seq + 1, epoch=epoch, source=client.rank, path=path
                )
            )
        put(Parameter(now_ns=now_ns, name="last_exec_id", value=str(client.last_exec_id)))
        put(Parameter(now_ns=now_ns, name=pause_name(client.name), value=str(int(client.paused))))
        for (owner, instrument_id), holding in state.ledger.holdings.items():
            if owner == client.name:
                put(position_report(client, instrument_id, holding.position, now_ns, ReportFlags.CARRY_OVER))
        account = state.ledger.accounts.get(client.name)
        for chunk in chunks_of(account.memory()) if account is not None and account.memory() else ():
            put(chunk)
        for event in tripped(client, state, now_ns):
            put(event)
    for order in state.ledger.open_orders.values():
        put(open_order(order))
    for key, template in state.undecided.items():
        put(
            Submitted(
                order_queue_id=key.queue_id,
                order_epoch=key.epoch,
                order_seq=key.seq,
                request_template=template,
            )
        )
    journal.commit(
        StateChange(
            now_ns=now_ns,
            machine=ROUTER_MACHINE,
            from_state=RECOVERING,
            to_state=READY,
            reason="carried over",
        )
    )


class Replay:
    """The reading side: feed it every record from a SessionStart on; `state` is what was committed. `open_account`: as of a
    Ledger."""

    def __init__(self, open_account: Callable[[], Account] | None = None) -> None:
        self._open_account = open_account
        self._chunks: list[Record] = []  # of what is being carried over
        self._numbered = False  # the checkpoint's numbers were seen: settings come before them
        self._ranks: dict[int, str] = {}  # of this session's feeds
        self.state = self._blank()
        self.complete = False  # a committed checkpoint was seen
        self.on_report: Callable[[ExecutionReport, bytes], object] | None = None  # told of each committed one
        self._pending: list[Record] = []
        self._building: State | None = None
        self._client = ""

    def run(self, records: Iterable[Record]) -> State:
        """All records, then the requests whose fate is open."""
        for type_id, payload in records:
            self.feed(type_id, payload)
        return self.finish()

    def feed(self, type_id: int, payload: bytes) -> None:
        """The next record. Raises CorruptJournal when it contradicts what came before."""
        if type_id == SessionStart.TEMPLATE_ID:
            self.finish()  # this checkpoint may be cut off too: then the old one counts, and what was open stays open
            self._building, self._client, self._numbered = self._blank(), "", False
            self._chunks.clear()
        elif self._building is not None:
            self._carry(self._building, type_id, payload)
        elif type_id in CAUSES:
            self._commit(type_id, payload)
        else:
            self._pending.append((type_id, payload))

    def _blank(self) -> State:
        return State(ledger=Ledger(open_account=self._open_account))

    def finish(self) -> State:
        """No more records: a Submitted that has no cause is undecided."""
        for type_id, payload in self._pending:
            if type_id == Submitted.TEMPLATE_ID:
                submitted = Submitted.decode(payload)
                self.state.undecided[_key(submitted)] = submitted.request_template
        self._pending.clear()
        return self.state

    def _carry(self, state: State, type_id: int, payload: bytes) -> None:
        if type_id == Instrument.TEMPLATE_ID:
            state.define(Instrument.decode(payload))
        elif type_id == SessionSource.TEMPLATE_ID:
            self._source(state, SessionSource.decode(payload))
        elif type_id == Parameter.TEMPLATE_ID:
            self._parameter(state, Parameter.decode(payload))
        elif type_id == PositionReport.TEMPLATE_ID:
            state.carry_position(self._client, PositionReport.decode(payload))
        elif type_id == StateChunk.TEMPLATE_ID and self._numbered:
            self._recall(state, payload)
        elif type_id == RiskEvent.TEMPLATE_ID:
            state.carry_trip(RiskEvent.decode(payload))
        elif type_id == OpenOrder.TEMPLATE_ID:
            state.carry_order(OpenOrder.decode(payload))
        elif type_id == Submitted.TEMPLATE_ID:
            submitted = Submitted.decode(payload)
            state.undecided[_key(submitted)] = submitted.request_template
        elif type_id == StateChange.TEMPLATE_ID:
            self.state, self._building, self.complete = state, None, True
            self._ranks.clear()

    def _recall(self, state: State, chunk: bytes) -> None:
        """Part of what the venue or an account remembers; with the last one it is whole."""
        self._chunks.append((StateChunk.TEMPLATE_ID, chunk))
        total = StateChunk.decode(chunk)
        if total.offset + len(total.data) < total.total_size:
            return
        chunks = chunks_in(self._chunks)
        self._chunks.clear()
        if not self._client:
            state.remember(settings_in(chunks, Remembered))
            return
        memory = settings_in(chunks, dict)
        account = state.ledger.account(self._client)
        if account is not None and memory is not None:
            account.recall(memory)

    def _source(self, state: State, source: SessionSource) -> None:
        if source.path.startswith(_FEED):
            name = source.path.removeprefix(_FEED)
            self._ranks[source.source] = name
            state.feeds[name] = FeedPlace(source.queue_id, source.epoch, source.start_seq)
            return
        name = source.path.removeprefix(_PREFIX).removesuffix(_SUFFIX)
        if not (source.path.startswith(_PREFIX) and source.path.endswith(_SUFFIX)):
            return  # where reports go: nothing of it is kept
        client = state.client(name)
        client.rank = source.source
        state.next_rank = max(state.next_rank, source.source + 1)
        state.attach_queue(client, source.queue_id, (source.epoch, source.start_seq - 1))
        self._client = name

    def _parameter(self, state: State, parameter: Parameter) -> None:
        if parameter.name == "last_order_id":
            state.last_order_id, self._numbered = int(parameter.value), True
        elif parameter.name == "last_trade_id":
            state.last_trade_id = int(parameter.value)
        elif parameter.name == "last_exec_id":
            state.clients[self._client].last_exec_id = int(parameter.value)
        elif parameter.name.startswith(_PAUSED):
            client = state.client(parameter.name.removeprefix(_PAUSED))
            client.paused = parameter.value == "1"
            if not client.paused:
                client.wires.resume()

    def _commit(self, type_id: int, payload: bytes) -> None:
        pending, self._pending = self._pending, []
        state = self.state
        if type_id == SessionSource.TEMPLATE_ID:
            self._source(state, SessionSource.decode(payload))
        elif type_id == Parameter.TEMPLATE_ID:
            self._parameter(state, Parameter.decode(payload))
        request: NewOrder | None = None
        closed_of = ""
        places: dict[int, int] = {}  # seq of a request -> its Submitted.place
        for kind, data in pending:
            if kind == NewOrder.TEMPLATE_ID:
                request = NewOrder.decode(data)
            elif kind == Submitted.TEMPLATE_ID:
                submitted = Submitted.decode(data)
                places[submitted.order_seq] = submitted.place
            elif kind == ExecutionReport.TEMPLATE_ID:
                report = ExecutionReport.decode(data)
                if report.order_queue_id not in state.owners:
                    raise CorruptJournal(reason=f"a report for the unknown queue {report.order_queue_id:#x}")
                state.apply_report(report, request, places.get(report.request_seq, 0))
                if self.on_report is not None:
                    self.on_report(report, data)
            elif kind == Instrument.TEMPLATE_ID:
                state.define(Instrument.decode(data))
            elif kind == RiskEvent.TEMPLATE_ID:
                event = RiskEvent.decode(data)
                closed_of = event.strategy
                if event.code == RejectCode.LIQUIDATION:
                    state.ledger.liquidate(event.strategy, event.instrument_id, event.limit_value, event.ts)
                else:
                    state.carry_trip(event)
            elif kind == PositionReport.TEMPLATE_ID:  # how a liquidation has left it
                state.carry_position(closed_of, PositionReport.decode(data))
            elif kind == OpenOrder.TEMPLATE_ID:
                state.note_order(OpenOrder.decode(data))
        if type_id != SessionSource.TEMPLATE_ID:  # that one's are a strategy's settings
            state.remember(settings_in(chunks_in(pending), Remembered))
        if type_id == Dispatch.TEMPLATE_ID:
            self._dispatched(state, Dispatch.decode(payload))

    def _dispatched(self, state: State, dispatch: Dispatch) -> None:
        feed = self._ranks.get(dispatch.source)
        if feed is not None:
            place = FeedPlace(state.feeds[feed].queue_id, dispatch.epoch, dispatch.last_seq + 1)
            state.feeds[feed] = place
            return
        for client in state.clients.values():
            if client.rank == dispatch.source:
                client.handled = (dispatch.epoch, dispatch.last_seq)
                state.undecided.pop(OrderKey(client.queue_id, dispatch.epoch, dispatch.last_seq), None)


def _key(submitted: Submitted) -> OrderKey:
    return OrderKey(submitted.order_queue_id, submitted.order_epoch, submitted.order_seq)
