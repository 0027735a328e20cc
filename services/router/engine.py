"""The router's decisions: a request or market event in, a journaled and delivered step out. No clock, no
file, no socket of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from libchronicle.book import L2Book
from libchronicle.errors import DecodeError, FixedPointOverflow
from libchronicle.portfolio import FeeSchedule, InstrumentTerms, Order, OrderKey
from libchronicle.protocol import (
    CancelAll,
    CancelOrder,
    Dispatch,
    ExecType,
    ExecutionReport,
    Instrument,
    NewOrder,
    OpenOrder,
    OrderType,
    Parameter,
    PositionReport,
    RejectCode,
    ReplaceOrder,
    ReportFlags,
    RiskEvent,
    SessionSource,
    Side,
    StateChunk,
    Submitted,
    TimerFired,
)
from libchronicle.protocol.codec import SbeMessage
from libchronicle.risk import Breach, MarketView, Proposal, RiskLimits, Situation, check
from libchronicle.sim import paper_memory
from libchronicle.sim.paper import PaperGateway, VenueEvent
from services.router.delivery import Delivery
from services.router.journal import Journal
from services.router.reports import (
    execution_report,
    liquidation,
    open_order,
    position_report,
    refusal,
    risk_event,
)
from services.router.riskwatch import RiskWatch
from services.router.settings import RouterSettings, chunks_of
from services.router.state import Client, State, order_of

__all__ = ["LOOK", "PERMIT", "Engine", "Markets", "Request", "make_engine"]

_GATEWAY = "paper"
PERMIT = "permit"
LOOK = "risk"  # the timer of a look at the marks
_UNLIMITED = RiskLimits()
_LARGEST = (1 << 63) - 1


def make_engine(
    settings: RouterSettings, state: State, journal: Journal, markets: Markets, killed: Callable[[], bool]
) -> Engine:
    """The engine as it is configured: that of the daemon, and that of a rerun of its journal."""
    config = settings.router
    fees = FeeSchedule.from_bps(config.maker_fee_bps, config.taker_fee_bps)
    gateway = PaperGateway(state.ledger, fees)
    gateway.remembers = settings.remembers
    engine = Engine(state, gateway, journal, markets, killed, valid_for_ns=config.valid_for_ms * 1_000_000)
    engine.permitted = config.permit == "none"
    return engine


class Request(NamedTuple):
    """One record of an orders_out."""

    type_id: int
    payload: bytes | memoryview
    epoch: int
    seq: int
    ts_ns: int


class Markets(Protocol):
    """What the engine asks of the market data."""

    def book(self, instrument_id: int) -> L2Book | None: ...
    def view(self, instrument_id: int) -> MarketView | None: ...
    def dispatches(self, now_ns: int) -> list[Dispatch]: ...
    def is_from(self, instrument_id: int, rank: int) -> bool: ...


class Engine:
    """Takes one step at a time; each is journaled and committed before any of it is delivered."""

    def __init__(
        self,
        state: State,
        gateway: PaperGateway,
        journal: Journal,
        markets: Markets,
        killed: Callable[[], bool],
        *,
        valid_for_ns: int,
    ) -> None:
        self.state = state
        self.gateway = gateway
        self.journal = journal
        self.markets = markets
        self.killed = killed
        self.permitted = True  # by the external risk gateway, where one is required
        self.watch = RiskWatch(state.ledger, markets.view)
        self.valid_for_ns = valid_for_ns
        self.fills = 0
        self.delivery = Delivery(state, gateway)
        self._out: list[tuple[Client, int, bytes]] = []
        self._told: list[tuple[Client, bytes]] = []  # risk events for strategies
        self._moved: dict[tuple[str, int], None] = {}  # positions that the step changed
        self._handlers = {
            NewOrder.TEMPLATE_ID: self._new,
            CancelOrder.TEMPLATE_ID: self._cancel,
            ReplaceOrder.TEMPLATE_ID: self._replace,
            CancelAll.TEMPLATE_ID: self._cancel_all,
        }
        self.requests = dict.fromkeys(self._handlers, 0)  # handled, by template
        self.rejects = dict.fromkeys(RejectCode, 0)
        gateway.next_order_id = state.last_order_id + 1
        gateway.next_trade_id = state.last_trade_id + 1
        state.ledger.settle()
        for owner, instrument_id in state.ledger.holdings:
            gateway.adopt(owner, instrument_id)
        for order in state.ledger.open_orders.values():
            gateway.readmit(order)
        paper_memory.recall(gateway, state.venue)

    # ------------------------------------------------------------ steps

    def on_request(self, client: Client, request: Request, now_ns: int) -> bool:
        """Answer one request of a strategy; one that has its answer already is skipped, and False."""
        if (request.epoch, request.seq) <= client.handled:
            return False
        self.commit_markets(now_ns)
        self.gateway.now_ns = now_ns
        handler = self._handlers.get(request.type_id)
        if handler is not None:
            self.requests[request.type_id] += 1
            try:
                handler(client, request, now_ns)
            except DecodeError:
                self._refuse_malformed(client, request, now_ns)
        client.handled = (request.epoch, request.seq)
        self.state.undecided.pop(OrderKey(client.queue_id, request.epoch, request.seq), None)
        self._finish(
            Dispatch(
                first_seq=request.seq, last_seq=request.seq, now_ns=now_ns, epoch=request.epoch, source=client.rank
            ),
            now_ns,
        )  # fmt: skip
        return True

    def on_market(
        self, events: Iterable[VenueEvent], cause: Dispatch, others: Iterable[Dispatch], now_ns: int
    ) -> None:
        """Fills that a market record brought; `others` are market records of other feeds read before it."""
        for dispatch in others:
            self._commit_market(dispatch)
        self._report(events, now_ns)
        self._liquidated(now_ns)
        self._finish(cause, now_ns)

    def on_event(
        self,
        cause: SbeMessage,
        now_ns: int,
        act: Callable[[], list[VenueEvent]] = list,
        notes: Iterable[SbeMessage] = (),
    ) -> list[VenueEvent]:
        """A step that neither a request nor a market record caused: a timer, a kill, a lost market; what it brought. The
        gateway is to `act` only when the journal has heard of the records before. `notes` come before all else of the step."""
        self.commit_markets(now_ns)
        for note in notes:
            self.journal.note(note.TEMPLATE_ID, note.encode())
        events = act()
        self._report(events, now_ns)
        self._finish(cause, now_ns)
        return events

    def define(self, definition: Instrument) -> None:
        """An instrument's definition; the journal hears of it once, with the next step."""
        if self.state.define(definition):
            self.journal.note(Instrument.TEMPLATE_ID, definition.encode())

    # ------------------------------------------------------------ requests

    def _new(self, client: Client, request: Request, now_ns: int) -> None:
        message = NewOrder.decode(request.payload)
        key = OrderKey(client.queue_id, request.epoch, request.seq)
        if key in self.state.undecided:
            self._refuse_new(client, key, message, request, RejectCode.LOST, now_ns, ReportFlags.RECOVERED)
            return
        if message.side not in (Side.BUY, Side.SELL):
            self._refuse_new(client, key, message, request, RejectCode.MALFORMED, now_ns)
            return
        order = order_of(message, key, client, request.ts_ns)
        valid_until = message.valid_until_ns or request.ts_ns + self.valid_for_ns
        price = order.stop_price if order.order_type == OrderType.STOP_MARKET else order.price
        proposal = Proposal(order.is_buy, order.qty, price, order.order_type, order.reduce_only, valid_until)
        breach = check(proposal, self._situation(client, order.instrument_id, now_ns)) or self._bad_stop(
            order
        )
        book = self.markets.book(order.instrument_id)
        if breach is None:
            assert book is not None, "an order without a market passed the checks"
            breach = _unpaid(self.gateway.money(order, book))
        if breach is not None:
            self._note_breach(client, order.instrument_id, breach, now_ns)
            self._refuse_new(client, key, message, request, breach.code, now_ns)
            return
        assert book is not None
        self.journal.note(NewOrder.TEMPLATE_ID, bytes(request.payload))
        place = 1 + book.qty_at(Side(order.side), order.price)
        self._submitted(client, key, order.instrument_id, request, place)
        self._report(self.gateway.submit(order, book, now_ns), now_ns)

    def _bad_stop(self, order: Order) -> Breach | None:
        """A stop-limit order has two prices; the checks know of its limit."""
        tick = self.state.ledger.terms[order.instrument_id].tick_size
        if order.order_type != OrderType.STOP_LIMIT or (
            order.stop_price > 0 and not (tick and order.stop_price % tick)
        ):
            return None
        return Breach(RejectCode.BAD_PRICE, tick, order.stop_price)

    def _cancel(self, client: Client, request: Request, now_ns: int) -> None:
        message = CancelOrder.decode(request.payload)
        key = OrderKey(client.queue_id, message.order_epoch, message.order_seq)
        order = self._open(client, message.order_epoch, message.order_seq)
        code = RejectCode.UNKNOWN_ORDER if order is None else RejectCode.NONE
        if order is not None and 0 < message.valid_until_ns < now_ns:
            code = RejectCode.STALE
        if order is None or code:
            self._refuse_change(ExecType.CANCEL_REJECT, client, key, request, code, now_ns, order)
            return
        self._submitted(client, order.key, order.instrument_id, request)
        self._report(self.gateway.cancel(order.key, client.name, request.seq), now_ns)

    def _replace(self, client: Client, request: Request, now_ns: int) -> None:
        message = ReplaceOrder.decode(request.payload)
        key = OrderKey(client.queue_id, message.order_epoch, message.order_seq)
        order = self._open(client, message.order_epoch, message.order_seq)
        if order is None:
            self._refuse_change(
                ExecType.REPLACE_REJECT, client, key, request, RejectCode.UNKNOWN_ORDER, now_ns, None
            )
            return
        waits = order.order_type == OrderType.STOP_MARKET  # it has no other price than that
        proposal = Proposal(
            order.is_buy,
            message.qty - order.cum,
            order.stop_price if waits else message.price,
            OrderType.STOP_MARKET if waits else OrderType.LIMIT,
            order.reduce_only,
            message.valid_until_ns or request.ts_ns + self.valid_for_ns,
            replaces_leaves=order.leaves,
            is_replace=True,
        )
        breach = check(proposal, self._situation(client, order.instrument_id, now_ns))
        book = self.markets.book(order.instrument_id)
        if breach is None:
            assert book is not None, "a replace without a market passed the checks"
            breach = _unpaid(self.gateway.money(order, book, (message.price, message.qty)))
        if breach is not None:
            self._note_breach(client, order.instrument_id, breach, now_ns)
            self._refuse_change(ExecType.REPLACE_REJECT, client, key, request, breach.code, now_ns, order)
            return
        assert book is not None
        place = 1 + book.qty_at(Side(order.side), message.price)
        self._submitted(client, order.key, order.instrument_id, request, place)
        self._report(self.gateway.replace(order, message.price, message.qty, book, request.seq), now_ns)

    def _cancel_all(self, client: Client, request: Request, now_ns: int) -> None:
        message = CancelAll.decode(request.payload)
        key = OrderKey(client.queue_id, request.epoch, request.seq)
        self._submitted(client, key, message.instrument_id, request)
        self._report(self.gateway.cancel_all(client.name, message.instrument_id, request.seq), now_ns)

    def _open(self, client: Client, epoch: int, seq: int) -> Order | None:
        """The client's open order of that record; the queue may have been replaced since it was sent."""
        open_orders = self.state.ledger.open_orders
        order = open_orders.get(OrderKey(client.queue_id, epoch, seq))
        return order if order is not None and order.owner == client.name else None

    def _situation(self, client: Client, instrument_id: int, now_ns: int) -> Situation:
        ledger = self.state.ledger
        terms = ledger.terms.get(instrument_id)
        known = terms is not None
        limits = client.limits_for(terms) if terms is not None else _UNLIMITED
        return Situation(
            now_ns=now_ns,
            killed=client.paused or self.killed(),
            terms=terms,
            market=self.markets.view(instrument_id),
            holding=ledger.holding(client.name, instrument_id) if known else None,
            limits=limits,
            open_orders=ledger.open_count.get(client.name, 0),
            bucket=client.bucket,
            exposure=self._exposure(client, terms)
            if limits.max_exposure is not None and terms is not None
            else 0,
            permitted=self.permitted,
            tripped=self.watch.tripped(client, terms.settle_currency, now_ns) if terms is not None else None,
        )

    def _exposure(self, client: Client, terms: InstrumentTerms) -> int:
        try:
            return self.watch.exposure(client.name, terms)
        except FixedPointOverflow:
            return _LARGEST

    # ------------------------------------------------------------ outcome

    def commit_markets(self, now_ns: int) -> None:
        """The journal hears what was read of the feeds since it was last told, and what the venue remembers of it."""
        for dispatch in self.markets.dispatches(now_ns):
            self._commit_market(dispatch)

    def _commit_market(self, dispatch: Dispatch) -> None:
        self._note_memory(lambda instrument_id: self.markets.is_from(instrument_id, dispatch.source))
        self.journal.commit(dispatch)

    def _note_memory(self, of: Callable[[int], bool] | None = None) -> None:
        if not paper_memory.has_news(self.gateway):
            return
        moved, venue = paper_memory.news(self.gateway, of)
        for order in moved:
            self.journal.note(OpenOrder.TEMPLATE_ID, open_order(order).encode())
        for chunk in chunks_of({"venue": venue}) if venue else ():
            self.journal.note(StateChunk.TEMPLATE_ID, chunk.encode())

    def remember_all(self, now_ns: int) -> None:
        """Into the state, for a checkpoint: what the venue remembers, as of the last record that the journal names."""
        self.commit_markets(now_ns)
        if self.gateway.remembers:
            self.state.venue = paper_memory.memory(self.gateway)
        else:
            paper_memory.note_places(self.gateway)

    def take_up(self, client: Client) -> None:
        """Reports were found in a strategy's orders_in that the journal had lost: the venue stands as they say."""
        paper_memory.take_up(self.gateway, client.name)
        self.gateway.next_order_id = max(self.gateway.next_order_id, self.state.last_order_id + 1)
        self.gateway.next_trade_id = max(self.gateway.next_trade_id, self.state.last_trade_id + 1)

    def _submitted(
        self, client: Client, key: OrderKey, instrument_id: int, request: Request, place: int = 0
    ) -> None:
        """Before the gateway acts. The reference is the request's own record."""
        submitted = Submitted(
            order_queue_id=client.queue_id,
            order_seq=request.seq,
            instrument_id=instrument_id,
            order_epoch=request.epoch,
            request_template=request.type_id,
            gateway=_GATEWAY,
            client_order_id=f"{key.queue_id & 0xFFFFFFFF:08x}-{key.epoch}-{key.seq}",
            place=place,
        )
        self.journal.note(Submitted.TEMPLATE_ID, submitted.encode())

    def _report(self, events: Iterable[VenueEvent], now_ns: int) -> None:
        for event in events:
            order = event.order
            client = self.state.clients[order.owner]
            currency = self.state.ledger.terms[order.instrument_id].settle_currency
            self._emit(client, execution_report(event, client, now_ns, currency))
            if event.last_qty:
                self.fills += 1
                self._moved[order.owner, order.instrument_id] = None

    def _liquidated(self, now_ns: int) -> None:
        """What the venue has closed: the strategy is told, and the journal hears how the position stands."""
        for closed in self.gateway.take_closed():
            client = self.state.clients[closed.owner]
            position = self.state.ledger.holding(closed.owner, closed.instrument_id).position
            event = liquidation(closed, now_ns)
            self.journal.note(RiskEvent.TEMPLATE_ID, event.encode())
            told = position_report(client, closed.instrument_id, position, now_ns)
            self.journal.note(PositionReport.TEMPLATE_ID, told.encode())
            self._told.append((client, event.encode()))
            self._moved[closed.owner, closed.instrument_id] = None

    def _refuse_new(
        self,
        client: Client,
        key: OrderKey,
        message: NewOrder,
        request: Request,
        code: RejectCode,
        now_ns: int,
        flags: ReportFlags = ReportFlags(0),  # noqa: B008  (an immutable constant)
    ) -> None:
        self.rejects[code] += 1
        report = refusal(
            ExecType.REJECT, client, key, request.seq, code, now_ns,
            request=message, order_ts=request.ts_ns, flags=flags,
        )  # fmt: skip
        self._emit(client, report)

    def _refuse_change(
        self,
        kind: ExecType,
        client: Client,
        key: OrderKey,
        request: Request,
        code: RejectCode,
        now_ns: int,
        order: Order | None,
    ) -> None:
        self.rejects[code] += 1
        self._emit(client, refusal(kind, client, key, request.seq, code, now_ns, order=order))

    def _refuse_malformed(self, client: Client, request: Request, now_ns: int) -> None:
        kinds = {
            CancelOrder.TEMPLATE_ID: ExecType.CANCEL_REJECT,
            ReplaceOrder.TEMPLATE_ID: ExecType.REPLACE_REJECT,
        }
        kind = kinds.get(request.type_id, ExecType.REJECT)
        key = OrderKey(client.queue_id, request.epoch, request.seq)
        self._refuse_change(kind, client, key, request, RejectCode.MALFORMED, now_ns, None)

    def _note_breach(self, client: Client, instrument_id: int, breach: Breach, now_ns: int) -> None:
        event = risk_event(client.name, instrument_id, breach, now_ns)
        self.journal.note(RiskEvent.TEMPLATE_ID, event.encode())

    # ------------------------------------------------------------ breakers

    def is_at_risk(self) -> bool:
        """Whether a look at the marks could trip anything."""
        return any(self.watch.is_at_risk(client) for client in self.state.clients.values())

    def look_at_risk(self, cause: TimerFired, now_ns: int) -> None:
        """A step: what open positions are worth now."""
        self.commit_markets(now_ns)
        for client in self.state.clients.values():
            for instrument_id, breach in self.watch.look(client, now_ns):
                self._measured(client, instrument_id, breach, now_ns)
        self._finish(cause, now_ns)

    def permit(self, cause: Parameter, now_ns: int) -> None:
        """A step: the external risk gateway lets risk grow from now on, or no longer."""
        self.permitted = cause.value == "1"
        self.on_event(cause, now_ns)

    def _measured(self, client: Client, instrument_id: int, breach: Breach | None, now_ns: int) -> None:
        """The journal hears what a restart must know."""
        news = self.watch.news(client, instrument_id, now_ns)
        if news is not None:
            self.journal.note(RiskEvent.TEMPLATE_ID, news.encode())
        if breach is not None:
            self._trip(client, instrument_id, breach, now_ns)

    def _trip(self, client: Client, instrument_id: int, breach: Breach, now_ns: int) -> None:
        """A breaker has tripped: the strategy is told, and its open orders go unless it only refuses."""
        event = risk_event(
            client.name, instrument_id, breach, now_ns, f"breaker tripped: {client.risk.on_trip}"
        )
        self.journal.note(RiskEvent.TEMPLATE_ID, event.encode())
        self._told.append((client, event.encode()))
        if client.risk.on_trip != "reject":
            self._report(self.gateway.cancel_all(client.name, code=breach.code), now_ns)

    def _emit(self, client: Client, report: ExecutionReport) -> None:
        payload = report.encode()
        self.journal.note(ExecutionReport.TEMPLATE_ID, payload)
        self._out.append((client, report.exec_id, payload))

    def _finish(self, cause: SbeMessage, now_ns: int) -> None:
        """Commit, then deliver."""
        for name, instrument_id in list(self._moved):
            client = self.state.clients[name]
            self._measured(client, instrument_id, self.watch.moved(client, instrument_id, now_ns), now_ns)
        if cause.TEMPLATE_ID != SessionSource.TEMPLATE_ID:  # whose chunks are settings; the next step tells
            self._note_memory()
        self.journal.commit(cause)
        told, self._told = self._told, []
        out, self._out = self._out, []
        moved, self._moved = self._moved, {}
        for client, exec_id, payload in out:
            self.delivery.execution(client, exec_id, payload, now_ns)
        for client, payload in told:
            self.delivery.event(client, RiskEvent.TEMPLATE_ID, payload, now_ns)
        for name, instrument_id in moved:
            self.delivery.position(self.state.clients[name], instrument_id, now_ns)


def _unpaid(code: RejectCode) -> Breach | None:
    """What an account that cannot pay has breached."""
    return Breach(code) if code else None
