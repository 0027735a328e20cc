"""The router's engine on queues in memory: what each request gets, and a crash at every single append."""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from types import SimpleNamespace

import pytest

from libchronicle.book import L2Book
from libchronicle.portfolio import FeeSchedule
from libchronicle.protocol import (
    BookMode,
    BookSnapshot,
    CancelAll,
    CancelOrder,
    ContractKind,
    Dispatch,
    ExecType,
    ExecutionReport,
    Instrument,
    KillChange,
    NewOrder,
    OrderFlags,
    OrderType,
    PositionReport,
    RejectCode,
    ReplaceOrder,
    RunMode,
    SessionSource,
    SessionStart,
    Side,
    Submitted,
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
    max_open_orders=None, max_orders_per_s=None, price_band_bps=None,
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
        return MarketView(bid[0] if bid else 0, ask[0] if ask else 0, 10_000)

    def set_reach(self, instrument_id, highest_buy, lowest_sell):
        self.reach = (highest_buy, lowest_sell)

    def dispatches(self, now_ns):
        pending, self.pending = self.pending, []
        return pending


class World:
    """Queues that outlive the router, and a router that can be killed and started again."""

    def __init__(self, *, after: bool = False) -> None:
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
        state = recover(self.journal.records)
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

    def trade(self, price: int, qty: int, aggressor: Side = Side.SELL) -> None:
        events = self.engine.gateway.on_trade(BTC, price, qty, aggressor)
        if events:
            self.engine.on_market(events, Dispatch(source=99, now_ns=self.now), [], self.now)

    def kill(self) -> None:
        self.killed = True
        events = self.engine.gateway.cancel_all(None, code=RejectCode.KILLED)
        self.engine.on_event(events, KillChange(now_ns=self.now, killed=1), self.now)

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


def test_a_market_order_is_acknowledged_and_filled_and_the_position_told(world: World) -> None:
    reports = world.send("alpha", order(qty=7, price=0))
    assert kinds(reports) == ["ACK", "PARTIAL_FILL", "FILL"]
    assert [r.exec_id for r in reports] == [1, 2, 3]
    assert [(r.last_price, r.last_qty, r.cum_qty, r.leaves_qty) for r in reports[1:]] == [
        (10_010, 5, 5, 2),
        (10_020, 2, 7, 0),
    ]
    position = world.orders_in["alpha"].decoded()[-1]
    assert isinstance(position, PositionReport)
    assert (position.qty, position.last_exec_id) == (7, 3)
    assert world.orders_in["beta"].records == []


def test_submitted_stands_in_the_journal_before_the_answer_and_the_cause_after(world: World) -> None:
    before = len(world.journal.records)
    world.send("alpha", order())
    names = [type(m).__name__ for m in world.journal.decoded()[before:]]
    assert names == ["NewOrder", "Submitted", "ExecutionReport", "Dispatch"]


def test_each_refusal_has_its_code_and_takes_an_exec_id(world: World) -> None:
    assert kinds(world.send("alpha", order(qty=0))) == ["REJECT BAD_QTY"]
    assert kinds(world.send("alpha", order(valid_until_ns=1))) == ["REJECT STALE"]
    assert kinds(world.send("alpha", order(side=Side.NONE))) == ["REJECT MALFORMED"]
    assert kinds(world.send("alpha", order(price=10_020, flags=OrderFlags.POST_ONLY))) == [
        "REJECT WOULD_CROSS"
    ]
    unknown = order()
    unknown.instrument_id = 5
    assert kinds(world.send("alpha", unknown)) == ["REJECT UNKNOWN_INSTRUMENT"]
    world.markets.lost = True
    assert kinds(world.send("alpha", order())) == ["REJECT NO_MARKET"]
    world.killed = True
    assert kinds(world.send("alpha", order())) == ["REJECT KILLED"]
    assert [r.exec_id for r in world.reports("alpha")] == list(range(1, 8))


def test_an_order_that_waited_longer_than_it_is_valid_is_stale(world: World) -> None:
    world.write("alpha", order())
    world.now += 2 * 10**9
    world.serve()
    assert kinds(world.reports("alpha")) == ["REJECT STALE"]


def test_a_truncated_request_is_refused_and_an_unknown_type_skipped(world: World) -> None:
    whole = order().encode()
    world.orders_out["alpha"] += [
        Request(20, whole[:30], 1, 0, world.now),
        Request(21, whole[:9], 1, 1, world.now),
    ]
    world.orders_out["alpha"] += [Request(777, b"what", 1, 2, world.now)]
    world.serve()
    assert kinds(world.reports("alpha")) == ["REJECT MALFORMED", "CANCEL_REJECT MALFORMED"]
    assert world.state.clients["alpha"].handled == (1, 2)


def test_cancel_and_replace_answer_their_own_request(world: World) -> None:
    world.send("alpha", order())
    replaced = world.send(
        "alpha", ReplaceOrder(instrument_id=BTC, order_seq=0, order_epoch=1, price=9_980, qty=9)
    )
    assert (kinds(replaced), replaced[0].request_seq, replaced[0].qty) == (["REPLACED"], 1, 9)
    cancelled = world.send("alpha", CancelOrder(instrument_id=BTC, order_seq=0, order_epoch=1))
    assert (kinds(cancelled), cancelled[0].request_seq, cancelled[0].leaves_qty) == (["CANCELLED"], 2, 0)
    again = world.send("alpha", CancelOrder(instrument_id=BTC, order_seq=0, order_epoch=1))
    assert kinds(again) == ["CANCEL_REJECT UNKNOWN_ORDER"]
    late = world.send(
        "alpha", ReplaceOrder(instrument_id=BTC, order_seq=0, order_epoch=1, price=9_980, qty=9)
    )
    assert kinds(late) == ["REPLACE_REJECT UNKNOWN_ORDER"]


def test_one_strategy_cannot_touch_the_orders_of_another(world: World) -> None:
    world.send("alpha", order())
    assert kinds(world.send("beta", CancelOrder(order_seq=0, order_epoch=1))) == [
        "CANCEL_REJECT UNKNOWN_ORDER"
    ]
    assert world.send("beta", CancelAll()) == []
    assert kinds(world.send("alpha", CancelAll())) == ["CANCELLED"]


def test_cancelling_is_allowed_when_everything_else_is_not(world: World) -> None:
    world.send("alpha", order())
    world.killed = world.markets.lost = True
    assert kinds(world.send("alpha", CancelOrder(order_seq=0, order_epoch=1))) == ["CANCELLED"]


def test_the_kill_cancels_everything_at_once(world: World) -> None:
    world.send("alpha", order())
    world.send("beta", order(Side.SELL, 3, 10_050))
    world.kill()
    assert kinds(world.reports("alpha")) == ["ACK", "CANCELLED KILLED"]
    assert kinds(world.reports("beta")) == ["ACK", "CANCELLED KILLED"]


def test_positions_and_open_orders_survive_a_restart(world: World) -> None:
    world.send("alpha", order(qty=7, price=0))
    world.send("alpha", order())
    world.send("alpha", order(Side.SELL, 3, 10_050))
    holding = world.state.ledger.holding("alpha", BTC)
    before = (
        holding.position.qty,
        holding.position.cost,
        holding.position.fees,
        holding.open_buy,
        holding.open_sell,
    )
    for _ in range(3):
        world.start()
        holding = world.state.ledger.holding("alpha", BTC)
        p = holding.position
        assert (p.qty, p.cost, p.fees, holding.open_buy, holding.open_sell) == before
    world.trade(9_980, 1)
    assert kinds(world.reports("alpha"))[-1] == "FILL"
    assert world.reports("alpha")[-1].trade_id == 3


def test_a_checkpoint_in_the_middle_of_a_session_changes_nothing(world: World) -> None:
    world.send("alpha", order(qty=7, price=0))
    write_checkpoint(world.engine.journal, world.state, START, world.now)
    world.send("alpha", order())
    world.start()
    holding = world.state.ledger.holding("alpha", BTC)
    assert (holding.position.qty, holding.open_buy, world.state.clients["alpha"].handled) == (7, 2, (1, 1))
    audit(world)


def test_fills_of_a_strategy_that_is_not_attached_yet_reach_it_later(world: World) -> None:
    world.send("alpha", order())
    alpha = world.state.clients["alpha"]
    alpha.reports = None
    world.trade(9_980, 1)
    assert kinds(world.reports("alpha")) == ["ACK"]
    alpha.reports = world.orders_in["alpha"]
    delivered = last_delivered(reversed(world.orders_in["alpha"].records))
    journal = Journal(world.journal)
    moved = bring_level(
        world.state, journal, alpha, delivered, lambda after: iter([p for i, p in alpha.undelivered if i > after]),
        lambda after: iter(()),
    )  # fmt: skip
    assert moved == 1
    audit(world)


def test_an_order_submitted_without_an_answer_is_lost_and_never_sent_again(world: World) -> None:
    world.write("alpha", order(price=0))
    world.fuse[0] = 3  # NewOrder, Submitted, then the process dies
    with pytest.raises(Crash):
        world.serve()
    assert [type(m) for m in world.journal.decoded()[-2:]] == [NewOrder, Submitted]
    world.start()
    world.start()  # and dies again before it has answered
    world.serve()
    assert kinds(world.reports("alpha")) == ["REJECT LOST"]
    assert kinds(world.send("alpha", order(price=0))) == ["ACK", "FILL"]


def test_a_cancel_whose_fate_is_open_is_done_again(world: World) -> None:
    world.send("alpha", order())
    world.write("alpha", CancelAll())
    world.fuse[0] = 2
    with pytest.raises(Crash):
        world.serve()
    world.start()
    world.serve()
    assert kinds(world.reports("alpha")) == ["ACK", "CANCELLED"]


def test_reports_that_the_journal_lost_are_taken_up_from_orders_in(world: World) -> None:
    world.send("alpha", order(qty=7, price=0))
    world.send("alpha", order())
    world.send("beta", order())
    del world.journal.records[8:]  # power loss: the journal's tail is gone, orders_in is not
    world.start()
    holding = world.state.ledger.holding("alpha", BTC)
    assert (holding.position.qty, holding.open_buy) == (7, 2)
    assert world.state.clients["alpha"].handled == (1, 1)
    world.serve()
    audit(world)


# ---------------------------------------------------------------- a crash at every append


def script(rng: random.Random) -> list:
    """Actions of a short session: requests of both strategies, and the market."""
    actions: list = []
    sent = {"alpha": 0, "beta": 0}
    for _ in range(14):
        name = rng.choice(["alpha", "beta"])
        kind = rng.random()
        if kind < 0.55:
            side = rng.choice([Side.BUY, Side.SELL])
            price = rng.choice([0, 9_980, 9_990, 10_000, 10_010, 10_020])
            tif = rng.choice([TimeInForce.GTC, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK])
            actions.append((name, order(side, rng.randint(1, 15), price, time_in_force=tif)))
            sent[name] += 1
        elif kind < 0.65:
            actions.append((name, CancelOrder(order_seq=rng.randint(0, max(0, sent[name])), order_epoch=1)))
            sent[name] += 1
        elif kind < 0.75:
            target = rng.randint(0, max(0, sent[name]))
            price, qty = rng.choice([9_980, 10_010]), rng.randint(1, 9)
            actions.append((name, ReplaceOrder(order_seq=target, order_epoch=1, price=price, qty=qty)))
            sent[name] += 1
        elif kind < 0.8:
            actions.append((name, CancelAll()))
            sent[name] += 1
        else:
            actions.append(
                (
                    "trade",
                    rng.choice([9_970, 9_990, 10_010, 10_040]),
                    rng.randint(1, 20),
                    rng.choice([Side.BUY, Side.SELL]),
                )
            )
    return actions


def play(world: World, actions: list, crash_at: int) -> int:
    """Run the script with one crash at the given append; returns how many appends there were."""
    world.fuse[0] = crash_at
    appends = 0

    def guarded(step) -> None:
        nonlocal appends
        left = world.fuse[0]
        try:
            step()
        except Crash:
            again = 3
            world.fuse[0] = again  # and die once more while recovering
            try:
                world.start()
            except Crash:
                world.fuse[0] = -1
                world.start()
            world.fuse[0] = -1
            world.serve()
        appends += left - world.fuse[0]

    guarded(world.start)
    for action in actions:
        if action[0] == "trade":
            guarded(lambda action=action: world.trade(*action[1:]))
        else:
            world.write(*action)
            guarded(world.serve)
    return appends


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
        positions = [m for m in world.orders_in[name].decoded() if isinstance(m, PositionReport)]
        if positions and positions[-1].last_exec_id == world.state.clients[name].last_exec_id:
            assert positions[-1].qty == position


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_a_crash_at_any_append_loses_nothing_and_repeats_nothing(seed, after) -> None:
    actions = script(random.Random(seed))
    for crash_at in itertools.count(1):
        world = World(after=after)
        play(world, actions, crash_at)
        world.serve()
        audit(world)
        if world.fuse[0] > 0:
            break  # the script is over before the fuse
    assert crash_at > 30


@pytest.mark.parametrize("after", [False, True])
def test_fill_or_kill_over_three_levels_is_all_or_nothing_at_every_crash(after) -> None:
    whole = order(qty=20, price=10_030, time_in_force=TimeInForce.FOK)
    outcomes = set()
    for crash_at in itertools.count(1):
        world = World(after=after)
        play(world, [("alpha", whole)], crash_at)
        audit(world)
        outcomes.add(kinds(world.reports("alpha"))[-1])
        if world.fuse[0] > 0:
            break
    assert outcomes == {"FILL", "REJECT LOST"}


def test_an_immediate_order_that_power_loss_cut_in_two_does_not_rest(world: World) -> None:
    world.send("alpha", order(qty=50, price=0))
    del world.journal.records[6:]
    del world.orders_in["alpha"].records[2:]  # the ack and one fill are left
    world.start()
    world.engine.on_event(world.engine.gateway.expire_immediate(), KillChange(), world.now)
    assert kinds(world.reports("alpha")) == ["ACK", "PARTIAL_FILL", "EXPIRED LOST"]
    assert not world.state.ledger.open_orders


def test_without_a_crash_the_journal_alone_gives_the_same_state_again() -> None:
    world = World()
    play(world, script(random.Random(9)), -1)
    again = recover(world.journal.records)
    assert again.clients["alpha"].last_exec_id == world.state.clients["alpha"].last_exec_id
    for key, holding in world.state.ledger.holdings.items():
        other = again.ledger.holdings[key]
        assert (other.position.qty, other.position.cost, other.position.realized, other.position.fees) == (
            holding.position.qty, holding.position.cost, holding.position.realized, holding.position.fees,
        )  # fmt: skip
        assert (other.open_buy, other.open_sell) == (holding.open_buy, holding.open_sell)
    assert list(again.ledger.open_orders) == list(world.state.ledger.open_orders)
