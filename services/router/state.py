"""What the router knows, and the one function by which a report changes it.

Live and recovered state are the same object: live, the paper gateway books each event as it makes it;
after a restart `apply_report` books the journaled reports, in the same order, into the same ledger.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import msgspec

from libchronicle.portfolio import TERMINAL, InstrumentTerms, Ledger, Order, OrderKey
from libchronicle.protocol import (
    ExecType,
    ExecutionReport,
    Instrument,
    NewOrder,
    OpenOrder,
    OrderFlags,
    OrderType,
    PositionReport,
    RiskEvent,
)
from libchronicle.risk import BREAKERS, ConfiguredLimits, RiskLimits, TokenBucket, resolve
from libchronicle.runtime.config import RiskConfig
from libchronicle.sim.paper_memory import VenueMemory
from services.router.riskwatch import Tripwires

__all__ = ["Client", "FeedPlace", "Remembered", "Sink", "State", "order_of"]


NO_RISK = RiskConfig()
_MOST_UNDELIVERED = 4096  # in memory; what is older is found in the journal


def _undelivered() -> deque[tuple[int, bytes]]:
    return deque(maxlen=_MOST_UNDELIVERED)


class FeedPlace(NamedTuple):
    """How far a feed's records have met the orders: `next_seq` is the first that has not; `epoch` that of the one before."""

    queue_id: int
    epoch: int
    next_seq: int


class Remembered(msgspec.Struct, frozen=True):
    """As the journal has it: of some instruments and feeds, or of all."""

    venue: VenueMemory = {}
    feeds: dict[str, FeedPlace] = {}


class Sink(Protocol):
    """The writing end of a queue; a Publisher is one."""

    def append(self, type_id: int, payload: bytes, ts_ns: int | None = None, /) -> int: ...


@dataclass(slots=True, eq=False)
class Client:
    """One strategy as the router sees it."""

    name: str
    rank: int  # source number in the journal; ties in time are broken by it
    queue_id: int = 0  # of its orders_out
    handled: tuple[int, int] = (0, -1)  # (epoch, seq) of the last request that has its answer
    last_exec_id: int = 0
    paused: bool = False  # by a person: its orders are refused as if killed
    account: str = "paper"
    limits: ConfiguredLimits | None = None
    risk: RiskConfig = NO_RISK
    wires: Tripwires = field(default_factory=Tripwires)
    bucket: TokenBucket | None = None
    reports: Sink | None = None  # orders_in; None until it is attached
    undelivered: deque[tuple[int, bytes]] = field(
        default_factory=_undelivered
    )  # committed, perhaps not in orders_in
    resolved: dict[int, RiskLimits] = field(default_factory=dict)

    def limits_for(self, terms: InstrumentTerms) -> RiskLimits:
        """This strategy's limits in an instrument."""
        found = self.resolved.get(terms.instrument_id)
        if found is None:
            found = (
                resolve(self.limits, terms, self.risk.allowed) if self.limits is not None else RiskLimits()
            )
            self.resolved[terms.instrument_id] = found
        return found

    def set_limits(self, limits: ConfiguredLimits, account: str, risk: RiskConfig = NO_RISK) -> None:
        """Limits as configured; what its breakers have measured and tripped stays."""
        self.limits, self.account, self.risk = limits, account, risk
        self.wires.configure(limits, risk)
        self.resolved.clear()
        rate = limits.max_orders_per_s
        self.bucket = TokenBucket(rate) if rate else None


@dataclass(slots=True, eq=False)
class State:
    """All strategies, positions and open orders, and the numbers that must never repeat."""

    ledger: Ledger = field(default_factory=Ledger)
    clients: dict[str, Client] = field(default_factory=dict)
    definitions: dict[int, Instrument] = field(default_factory=dict)
    owners: dict[int, Client] = field(
        default_factory=dict
    )  # by queue id of an orders_out, of replaced queues too
    undecided: dict[OrderKey, int] = field(
        default_factory=dict
    )  # submitted, no answer known -> template of the request
    venue: VenueMemory = field(default_factory=dict)  # what the paper venue remembered when this was written
    feeds: dict[str, FeedPlace] = field(default_factory=dict)
    next_rank: int = 1
    last_order_id: int = 0
    last_trade_id: int = 0

    def client(self, name: str) -> Client:
        """The strategy of that name; a new one gets the next rank."""
        found = self.clients.get(name)
        if found is None:
            found = self.clients[name] = Client(name, self.take_rank())
        return found

    def take_rank(self) -> int:
        """A source number that nobody had before."""
        self.next_rank += 1
        return self.next_rank - 1

    def attach_queue(self, client: Client, queue_id: int, handled: tuple[int, int]) -> None:
        """The strategy's requests come from this queue now, those up to `handled` have their answers."""
        client.queue_id, client.handled = queue_id, handled
        self.owners[queue_id] = client

    def define(self, definition: Instrument) -> bool:
        """Make an instrument known; True if this says something new."""
        if self.definitions.get(definition.instrument_id) == definition:
            return False
        self.definitions[definition.instrument_id] = definition
        self.ledger.define(InstrumentTerms.of(definition))
        for client in self.clients.values():
            client.resolved.pop(definition.instrument_id, None)
        return True

    def apply_report(self, report: ExecutionReport, request: NewOrder | None, place: int = 0) -> None:
        """Book one journaled report; `request` is the order it acknowledges, `place` as in Submitted. Raises
        UnknownInstrument."""
        client = self.owners[report.order_queue_id]
        client.last_exec_id = max(client.last_exec_id, report.exec_id)
        self.last_order_id = max(self.last_order_id, report.venue_order_id)
        self.last_trade_id = max(self.last_trade_id, report.trade_id)
        key = OrderKey(report.order_queue_id, report.order_epoch, report.order_seq)
        order = self.ledger.open_orders.get(key)
        if report.exec_type == ExecType.ACK and request is not None:
            order = order_of(request, key, client, report.order_ts)
            order.venue_order_id = report.venue_order_id
            order.advance(ExecType.ACK)
            order.ahead = place - 1
            self.ledger.enter(order)
            self.ledger.hold(order, order.leaves)
        elif order is not None:
            self._advance(order, report, place)

    def _advance(self, order: Order, report: ExecutionReport, place: int) -> None:
        leaves = order.leaves
        if report.last_qty:
            self.ledger.fill_again(order, report.last_qty, report.last_price, report.fee, report.venue_ts)
            order.cum = report.cum_qty
            leaves -= report.last_qty
        elif report.exec_type == ExecType.REPLACED:
            if report.price != order.price or report.qty > order.qty:
                order.ahead = place - 1
            self.ledger.replaced(order, report.price, report.qty)
        order.advance(report.exec_type)
        self.ledger.hold(order, order.leaves)
        if order.state in TERMINAL:
            self.ledger.leave(order, leaves)

    def carry_trip(self, event: RiskEvent) -> None:
        """A breaker that tripped, or what breakers have measured, by the journal."""
        terms = self.ledger.terms.get(event.instrument_id)
        if terms is None or (event.code and event.code not in BREAKERS):
            return
        wires = self.client(event.strategy).wires
        (wires.carried if event.code else wires.measured)[terms.settle_currency] = event

    def carry_position(self, owner: str, report: PositionReport) -> None:
        """Take up a position as a report says it stands. Raises UnknownInstrument."""
        self.ledger.restore(
            owner, report.instrument_id, report.qty, report.open_cost, report.realized_pnl, report.fees
        )

    def remember(self, told: Remembered | None) -> None:
        """What the journal says of the venue's memory."""
        if told is not None:
            self.venue.update(told.venue)
            self.feeds.update(told.feeds)

    def note_order(self, record: OpenOrder) -> None:
        """An open order has another place, or its stop price was reached."""
        order = self.ledger.open_orders.get(
            OrderKey(record.order_queue_id, record.order_epoch, record.order_seq)
        )
        if order is None:
            return
        order.ahead = record.place - 1
        if order.order_type == OrderType.STOP_LIMIT and record.order_type == OrderType.LIMIT:
            self.ledger.triggered(order)

    def carry_order(self, record: OpenOrder) -> None:
        """Take up a carried-over order. Raises UnknownInstrument."""
        key = OrderKey(record.order_queue_id, record.order_epoch, record.order_seq)
        order = order_of(record, key, self.owners[key.queue_id], record.order_ts)
        order.venue_order_id, order.cum = record.venue_order_id, record.cum_qty
        order.ahead = record.place - 1
        order.advance(ExecType.ACK)
        if order.cum:
            order.advance(ExecType.PARTIAL_FILL)
        self.ledger.enter(order)
        self.last_order_id = max(self.last_order_id, record.venue_order_id)


def order_of(request: NewOrder | OpenOrder, key: OrderKey, client: Client, order_ts: int) -> Order:
    """The order that a request asks for."""
    return Order(
        key,
        client.name,
        request.instrument_id,
        request.side,
        request.qty,
        request.price,
        order_type=request.order_type,
        time_in_force=request.time_in_force,
        post_only=OrderFlags.POST_ONLY in request.flags,
        reduce_only=OrderFlags.REDUCE_ONLY in request.flags,
        expire_ns=request.expire_ns,
        order_ts=order_ts,
        cause_ts=request.cause_ts,
        account=request.account or client.account,
        stop_price=request.stop_price,
        stp_mode=request.stp_mode,
    )
