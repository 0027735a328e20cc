"""A router's engine on queues in memory, which can be killed at any append, and what its queues must say then."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from types import SimpleNamespace

import pytest

from libchronicle.book import L2Book
from libchronicle.portfolio import Account, FeeSchedule
from libchronicle.protocol import (
    BookMode,
    BookSnapshot,
    ContractKind,
    Dispatch,
    ExecType,
    ExecutionReport,
    Instrument,
    KillChange,
    NewOrder,
    OrderType,
    PositionReport,
    RejectCode,
    RunMode,
    SessionSource,
    SessionStart,
    Side,
    TimeInForce,
    decode,
    instrument_id,
)
from libchronicle.risk import MarketView
from libchronicle.sim.paper import PaperGateway
from services.router.engine import Engine, Request
from services.router.journal import Journal, orders_path, write_checkpoint
from services.router.recovery import bring_level, last_delivered, recover

BTC = instrument_id("binance-spot:BTCUSDT")
DEFINITION = Instrument(
    instrument_id=BTC, tick_size=1, lot_size=1, min_qty=1, max_qty=0, min_notional=0, contract_size=0, price_exponent=-2,
    qty_exponent=-3, contract_kind=ContractKind.SPOT, book_mode=BookMode.L2, trading=1, venue="binance-spot",
    symbol="BTCUSDT", base_currency="BTC", quote_currency="USDT", settle_currency="USDT",
)  # fmt: skip
NO_LIMITS = SimpleNamespace(
    max_order_qty=None, max_order_notional=None, max_position_qty=None, max_position_notional=None,
    max_open_orders=None, max_orders_per_s=None, price_band_bps=None, max_exposure=None, max_data_age_ms=None,
    max_drawdown=None, max_daily_loss=None, max_losses_in_a_row=None,
)  # fmt: skip
START = SessionStart(mode=RunMode.PAPER, name="router")
QUEUES = {"alpha": 0xA1, "beta": 0xB2}


class Crash(Exception):
    """kill -9, at an append."""


class Memory:
    """A queue in memory. `fuse` counts appends of all queues; at zero the process dies, before or after
    the append."""

    def __init__(self, fuse: list[int] | None = None, *, after: bool = False) -> None:
        self.records: list[tuple[int, bytes]] = []
        self.fuse, self.after = fuse if fuse is not None else [-1], after

    def append(self, type_id: int, payload: bytes, ts_ns: int | None = None, /) -> int:
        self.fuse[0] -= 1
        if self.fuse[0] == 0 and not self.after:
            raise Crash
        self.records.append((type_id, bytes(payload)))
        if self.fuse[0] == 0:
            raise Crash
        return len(self.records) - 1

    def decoded(self) -> list:
        return [decode(type_id, payload) for type_id, payload in self.records]


class FixedMarkets:
    """One book, always there unless told otherwise."""

    def __init__(self) -> None:
        self.l2 = L2Book(BTC)
        self.update_id = 0
        self.show([(9_990, 5), (9_980, 10)], [(10_010, 5), (10_020, 10), (10_030, 20)])
        self.lost = False
        self.reference = 10_000
        self.heard = 0  # when, ns; 0 = not known
        self.pending: list[Dispatch] = []

    def show(self, bids, asks) -> None:
        self.update_id += 1
        snapshot = BookSnapshot(instrument_id=BTC, last_update_id=self.update_id, bids=bids, asks=asks)
        self.l2.apply(BookSnapshot.TEMPLATE_ID, snapshot.encode())

    def book(self, instrument_id):
        return self.l2 if instrument_id == BTC else None

    def view(self, instrument_id):
        if self.lost or instrument_id != BTC or not self.l2.valid:
            return None
        bid, ask = self.l2.best_bid, self.l2.best_ask
        return MarketView(bid[0] if bid else 0, ask[0] if ask else 0, self.reference, self.heard)

    def is_from(self, instrument_id, rank):
        return rank == 99  # of `World.trade`

    def dispatches(self, now_ns):
        pending, self.pending = self.pending, []
        return pending


class World:
    """Queues that outlive the router, and a router that can be killed and started again."""

    def __init__(self, *, after: bool = False, open_account: Callable[[], Account] | None = None) -> None:
        self.open_account = open_account
        self.fuse = [-1]
        self.journal = Memory(self.fuse, after=after)
        self.orders_in = {name: Memory(self.fuse, after=after) for name in QUEUES}
        self.orders_out: dict[str, list[Request]] = {name: [] for name in QUEUES}
        self.markets = FixedMarkets()
        self.killed = False
        self.starts = 0
        self.now = 1_000_000

    def start(self) -> None:
        """What the daemon does: recover, checkpoint, attach each strategy."""
        self.starts += 1
        state = recover(self.journal.records, self.open_account)
        state.define(DEFINITION)
        self.state, journal = state, Journal(self.journal)
        write_checkpoint(journal, state, START, self.now)
        for name, sink in self.orders_in.items():
            client = state.client(name)
            client.set_limits(NO_LIMITS, "paper")
            client.reports = sink
            if client.queue_id != QUEUES[name]:
                state.attach_queue(client, QUEUES[name], (0, -1))
                journal.commit(
                    SessionSource(queue_id=QUEUES[name], source=client.rank, path=orders_path(name))
                )
            bring_level(
                state, journal, client, last_delivered(reversed(sink.records)),
                lambda after, client=client: iter([p for i, p in client.undelivered if i > after]),
                lambda after, name=name: self.ahead(name, after),
            )  # fmt: skip
        gateway = PaperGateway(state.ledger, FeeSchedule.from_bps(1, 5))
        self.engine = Engine(state, gateway, journal, self.markets, lambda: self.killed, valid_for_ns=10**9)
        gateway.place_readmitted(BTC, self.markets.l2)

    def ahead(self, name: str, after: int):
        for message in self.orders_in[name].decoded():
            if isinstance(message, ExecutionReport) and message.exec_id > after:
                request = None
                if message.exec_type == ExecType.ACK:
                    request = NewOrder.decode(self.orders_out[name][message.order_seq].payload)
                yield message, request

    def write(self, name: str, message) -> int:
        queue = self.orders_out[name]
        self.now += 1000
        queue.append(Request(message.TEMPLATE_ID, message.encode(), 1, len(queue), self.now))
        return len(queue) - 1

    def serve(self) -> None:
        """Handle what stands in the queues, from where the state says."""
        for name, queue in self.orders_out.items():
            client = self.state.client(name)
            for request in queue[client.handled[1] + 1 :]:
                self.now += 1000
                self.engine.on_request(client, request, self.now)

    def send(self, name: str, message) -> list:
        """Write a request and serve it; the reports it brought."""
        before = len(self.orders_in[name].records)
        self.write(name, message)
        self.serve()
        return [m for m in self.orders_in[name].decoded()[before:] if isinstance(m, ExecutionReport)]

    def send_quietly(self, name: str, message) -> None:
        """As send, without a look at the reports: for many."""
        seq = self.write(name, message)
        self.now += 1000
        self.engine.on_request(self.state.client(name), self.orders_out[name][seq], self.now)

    def trade(self, price: int, qty: int, aggressor: Side = Side.SELL) -> None:
        events = self.engine.gateway.on_trade(BTC, price, qty, aggressor)
        if events:
            self.engine.on_market(events, Dispatch(source=99, now_ns=self.now), [], self.now)

    def kill(self) -> None:
        self.killed = True
        end_all = partial(self.engine.gateway.cancel_all, None, code=RejectCode.KILLED)
        self.engine.on_event(KillChange(now_ns=self.now, killed=1), self.now, end_all)

    def reports(self, name: str) -> list[ExecutionReport]:
        return [m for m in self.orders_in[name].decoded() if isinstance(m, ExecutionReport)]


def order(side: Side = Side.BUY, qty: int = 2, price: int = 9_990, **more) -> NewOrder:
    kind = OrderType.LIMIT if price else OrderType.MARKET
    plain = {"order_type": kind, "time_in_force": TimeInForce.GTC}
    return NewOrder(instrument_id=BTC, side=side, qty=qty, price=price, **(plain | more))


@pytest.fixture
def world() -> World:
    w = World()
    w.start()
    return w


def kinds(reports) -> list[str]:
    return [r.exec_type.name + (f" {r.reject_code.name}" if r.reject_code else "") for r in reports]


def audit(world: World) -> None:
    """What the books of all queues must say, whatever happened."""
    for name, queue in world.orders_out.items():
        reports = world.reports(name)
        assert [r.exec_id for r in reports] == list(range(1, len(reports) + 1)), "execIds are contiguous"
        by_order: dict[int, list[ExecutionReport]] = defaultdict(list)
        answers: dict[int, int] = defaultdict(int)
        position = 0
        for r in reports:
            by_order[r.order_seq].append(r)
            if r.exec_type in (
                ExecType.ACK,
                ExecType.REJECT,
                ExecType.CANCEL_REJECT,
                ExecType.REPLACED,
                ExecType.REPLACE_REJECT,
            ):
                answers[r.request_seq] += 1
            if r.last_qty:
                position += r.last_qty if r.side == Side.BUY else -r.last_qty
        for request in queue:
            if request.type_id != NewOrder.TEMPLATE_ID:
                continue
            assert answers[request.seq] == 1, (
                f"order {request.seq} of {name} has {answers[request.seq]} answers"
            )
            events = [
                r
                for r in by_order[request.seq]
                if r.exec_type not in (ExecType.CANCEL_REJECT, ExecType.REPLACE_REJECT)
            ]
            final = [
                r
                for r in events
                if r.exec_type in (ExecType.REJECT, ExecType.FILL, ExecType.CANCELLED, ExecType.EXPIRED)
            ]
            assert len(final) <= 1
            assert not final or final[0] is events[-1]
            cum = 0
            for r in events:
                cum += r.last_qty
                assert r.cum_qty == cum <= r.qty
            message = NewOrder.decode(request.payload)
            if message.time_in_force == TimeInForce.FOK:
                assert cum in (0, message.qty), "fill or kill is atomic, also over a crash"
        holding = world.state.ledger.holding(name, BTC)
        assert holding.position.qty == position
        open_seqs = {o.key.seq for o in world.state.ledger.open_orders.values() if o.owner == name}
        assert open_seqs == {
            seq for seq, events in by_order.items()
            if events[0].exec_type == ExecType.ACK
            and not any(r.exec_type in (ExecType.FILL, ExecType.CANCELLED, ExecType.EXPIRED) for r in events)
        }  # fmt: skip
        if world.open_account is not None:
            audit_account(world, name, reports)
        positions = [m for m in world.orders_in[name].decoded() if isinstance(m, PositionReport)]
        if positions and positions[-1].last_exec_id == world.state.clients[name].last_exec_id:
            assert positions[-1].qty == position


def audit_account(world: World, name: str, reports: list[ExecutionReport]) -> None:
    """Balances are what was there and every fill that was told; open orders hold back what they may cost, no more."""
    account = world.state.ledger.accounts[name]
    coins, cash = Decimal(account_start(world, "BTC")), Decimal(account_start(world, "USDT"))
    for r in reports:
        qty, price = Decimal(r.last_qty).scaleb(-3), Decimal(r.last_price).scaleb(-2)
        sign = 1 if r.side == Side.BUY else -1
        coins += sign * qty
        cash -= sign * qty * price + Decimal(r.fee).scaleb(-8)
    assert (account.balance("BTC"), account.balance("USDT")) == (coins, cash)
    holding = world.state.ledger.holding(name, BTC)
    assert account.open_qty(holding.slot) == (holding.open_buy, holding.open_sell)
    assert coins - account.available("BTC") == Decimal(holding.open_sell).scaleb(-3)
    assert cash >= 0
    assert coins >= 0


def account_start(world: World, currency: str) -> Decimal:
    assert world.open_account is not None
    return world.open_account().balance(currency)
