"""The router's engine and market reader on records in memory, at times of the test's choosing; and a strategy in a backtest
whose requests it is given."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, NamedTuple

from libchronicle.backtest import Tape
from libchronicle.backtest.tape import records_of
from libchronicle.protocol import (
    AccountReport,
    CancelOrder,
    ExecutionReport,
    NewOrder,
    PositionReport,
    ReplaceOrder,
    RiskEvent,
    SessionSource,
    decode,
)
from libchronicle.replay.recorded import Recorded
from libchronicle.runtime.config import RiskConfig, RouterConfig
from libchronicle.sim.paper_terms import paper_accounts, paper_latency
from libchronicle.sim.recorded_feed import RecordedMarket
from libchronicle.strategy import Side, Strategy
from services.router.engine import Request, make_engine
from services.router.journal import Journal, feed_path, orders_path, write_checkpoint
from services.router.market import Feed, MarketData
from services.router.recovery import recover
from services.router.settings import RouterSettings
from services.router.transit import Transit
from tests.services.router_world import START, Memory

EVENTS = (ExecutionReport, AccountReport, PositionReport, RiskEvent)
QUEUE = 0xA1


class MemoryQueue:
    """What RecordedMarket asks of a queue."""

    queue_id, oldest_seq = 7, 0

    def __init__(self, tape: Tape) -> None:
        self.records = [
            Recorded(kind, bytes(payload), seq, ts_ns, 1)
            for seq, (kind, payload, ts_ns) in enumerate(records_of(tape))
        ]

    def since(self, seq: int) -> Iterator[Recorded]:
        return iter(self.records[seq:])


class Told(Memory):
    """An orders_in; and when each record came into it, where that is not when it was sent."""

    def __init__(self, desk: PaperDesk) -> None:
        super().__init__()
        self.desk = desk
        self.times: list[int] = []

    def append(self, type_id: int, payload: bytes, ts_ns: int | None = None, /) -> int:
        self.times.append(self.desk.now)
        return super().append(type_id, payload)


class PaperDesk:
    """A router of one strategy, `alpha`. `journal` outlives a `restart`."""

    def __init__(
        self, router: RouterConfig, tape: Tape, risk: RiskConfig | None = None, *, remembers: bool = True
    ) -> None:
        self.router, self.queue = router, MemoryQueue(tape)
        self.remembers = remembers
        self.risk = risk or RiskConfig()
        self.journal, self.told = Memory(), Told(self)
        self.at = 0  # next record
        self.now = 0
        latency = router.paper.latency
        model = paper_latency(latency)
        self.transit = Transit(None)
        if latency is not None and model is not None:
            self.transit = Transit(lambda sent: model.sample(sent, seed=latency.seed)[0])
            self.response = lambda now: model.sample(now, seed=latency.seed)[1]
        self.start()

    def start(self) -> None:
        state = recover(self.journal.records, paper_accounts(self.router))
        journal = Journal(self.journal)
        write_checkpoint(journal, state, START, 0)
        self.state, self.markets = state, MarketData(state)
        settings = RouterSettings(router=self.router, remembers=self.remembers)
        self.engine = make_engine(settings, state, journal, self.markets, lambda: False)
        self.client = state.client("alpha")
        self.client.set_limits(self.router.limits, "paper", self.risk)
        self.engine.watch.begin(self.client)
        self.client.reports = self.told
        if self.client.queue_id != QUEUE:
            state.attach_queue(self.client, QUEUE, (0, -1))
            journal.commit(SessionSource(queue_id=QUEUE, source=self.client.rank, path=orders_path("alpha")))
        place = state.feeds.get("feed")
        self.at = place.next_seq if place is not None else 0
        self.reader = RecordedMarket(self.queue, self.at, 1)
        self.reader.rebuild()
        self.feed = Feed("feed", 99, self.reader)
        source = SessionSource(
            queue_id=self.queue.queue_id, start_seq=self.at, epoch=1, source=99, path=feed_path("feed")
        )
        self.engine.on_event(source, 0)
        self.markets.attach(self.feed, self.engine, {}, 0)
        self.engine.delivery.carry_over(self.client, 0)
        if self.router.paper.latency is not None:
            self.engine.delivery.latency = self.response

    def stop(self) -> None:
        """In order: all that is known stands in the checkpoint."""
        self.engine.remember_all(self.now)
        write_checkpoint(self.engine.journal, self.state, START, self.now)

    def until(self, ns: int) -> None:
        """Every record up to that time, each at its own."""
        while self.at < len(self.queue.records) and self.queue.records[self.at].ts_ns <= ns:
            record = self.queue.records[self.at]
            self.reader.let(record.seq, record.seq)
            while self.markets.poll(self.feed, self.engine, record.ts_ns):
                pass
            self.replies()
            self.at += 1

    def send(self, seq: int, message: Any, sent_ns: int, now_ns: int | None = None) -> None:
        request = Request(message.TEMPLATE_ID, message.encode(), 1, seq, sent_ns)
        self.engine.on_request(self.client, request, sent_ns if now_ns is None else now_ns)

    def play(self, sent: list[Sent]) -> None:
        """Requests of a strategy as they come, each when it arrives."""
        for one in sent:
            request = Request(one.message.TEMPLATE_ID, one.message.encode(), 1, one.seq, one.sent_ns)
            due = one.sent_ns
            if self.transit.takes("alpha", request, 0):
                due, request = self.transit.held.pop("alpha")
            self.until(due)
            self.engine.on_request(self.client, request, due)
            self.replies()

    def replies(self) -> None:
        """What is on its way, each at its time."""
        delivery = self.engine.delivery
        while delivery.next_due_ns:
            self.now = delivery.next_due_ns
            delivery.arrive(self.now)

    def events(self) -> list[Any]:
        found = [decode(kind, payload) for kind, payload in self.told.records]
        return [one for one in found if isinstance(one, EVENTS)]

    @property
    def account(self) -> Any:
        return self.state.ledger.accounts["alpha"]


class Sent(NamedTuple):
    seq: int
    message: Any
    sent_ns: int


class Heard(NamedTuple):
    """What a strategy is told of its orders. A fill comes twice: what it was, and what became of its order."""

    kind: str
    code: str
    seq: int
    price: int
    qty: int
    fee: int = 0
    maker: str = ""


def heard_in(reports: list[Any]) -> list[Heard]:
    """What execution reports tell."""
    found = []
    for one in reports:
        if not isinstance(one, ExecutionReport):
            continue
        if one.last_qty:
            found.append(
                Heard("fill", "", one.order_seq, one.last_price, one.last_qty, one.fee, one.liquidity.name)
            )
        found.append(Heard(one.exec_type.name, one.reject_code.name, one.order_seq, one.price, one.qty))
    return found


def had_at(
    events: list[Any], times: list[int], came: list[int] | None = None
) -> list[dict[str, tuple[int, int, int]]]:
    """The balances that reports before each time told; they came when they were sent, or at other times."""
    now: dict[str, tuple[int, int, int]] = {}
    found, at = [], 0
    when = came if came is not None else [getattr(one, "ts", 0) for one in events]
    balances = [(ts, one) for ts, one in zip(when, events, strict=True) if isinstance(one, AccountReport)]
    for time in times:
        while at < len(balances) and balances[at][0] < time:
            one = balances[at][1]
            now[one.currency] = (one.balance, one.available, one.exponent)
            at += 1
        found.append(dict(now))
    return found


class Scripted(Strategy):
    """Sends this and that on a timer, and writes down what it sent, what it heard and what it had."""

    def __init__(self, name: str, seed: int, lots: int = 6, every_ms: int = 20) -> None:
        self.name, self.rng, self.lots, self.every_ms = name, random.Random(seed), lots, every_ms
        self.sent: list[Sent] = []
        self.heard: list[Heard] = []
        self.had: list[tuple[int, dict[str, tuple[int, int, int]]]] = []

    def on_start(self, ctx: Any) -> None:
        ctx.set_timer("act", every_ms=self.every_ms)

    def on_timer(self, ctx: Any, name: str) -> None:
        i = ctx.instrument(self.name)
        self.had.append((ctx.now_ns(), {c: self.balance(ctx, c) for c in ("USDT", "BTC")}))
        if i.is_synced and i.book.bid_price is not None and i.book.ask_price is not None:
            self.act(ctx, i)

    def act(self, ctx: Any, i: Any) -> None:
        rng, bid, ask = self.rng, i.book.bid_price, i.book.ask_price
        side = rng.choice([Side.BUY, Side.SELL])
        qty = i.lot_size * rng.randrange(1, self.lots + 1) * 100
        near, far = (ask, bid) if side is Side.BUY else (bid, ask)
        away = i.tick_size * rng.randrange(0, 30) * (-1 if side is Side.BUY else 1)
        draw = rng.randrange(8)
        orders = ctx.orders(i)
        if draw == 0:
            self.new(ctx, i, i.market(side, qty))
        elif draw == 1:
            self.new(ctx, i, i.ioc(side, near, qty))
        elif draw in (2, 3, 4):
            self.new(ctx, i, i.limit(side, far + away, qty))
        elif draw == 5:
            stop = near + 5 * i.tick_size if side is Side.BUY else near - 5 * i.tick_size
            self.new(ctx, i, i.stop_market(side, stop, qty))
        elif draw == 6 and orders:
            one = orders[rng.randrange(len(orders))]
            more = {"price": far + away, "qty": one.cum_qty + qty}
            if one.side is side and not one.stop_price and ctx.replace(one.id, **more) is True:
                message = ReplaceOrder(
                    instrument_id=i.id, order_seq=seq_of(one.id), order_epoch=1,
                    price=more["price"], qty=more["qty"],
                )  # fmt: skip
                self.sent.append(Sent(len(self.sent), message, ctx.now_ns()))
        elif orders:
            one = orders[rng.randrange(len(orders))]
            if ctx.cancel(one.id):
                message = CancelOrder(instrument_id=i.id, order_seq=seq_of(one.id), order_epoch=1)
                self.sent.append(Sent(len(self.sent), message, ctx.now_ns()))

    def new(self, ctx: Any, i: Any, order: Any) -> None:
        found = ctx.send(order)
        assert isinstance(found, int), found
        assert seq_of(found) == len(self.sent)
        one = ctx.order(found)
        message = NewOrder(
            instrument_id=i.id, side=one.side, qty=one.qty, price=one.price, stop_price=one.stop_price,
            order_type=one.type, time_in_force=one.tif, flags=one.flags,
        )  # fmt: skip
        self.sent.append(Sent(len(self.sent), message, ctx.now_ns()))

    @staticmethod
    def balance(ctx: Any, currency: str) -> tuple[int, int, int]:
        found = ctx.balance(currency)
        return found.total, found.available, found.exponent

    def on_order(self, ctx: Any, update: Any) -> None:
        self.heard.append(
            Heard(
                update.exec_type.name,
                update.reject_code.name,
                seq_of(update.order_id),
                update.price,
                update.qty,
            )
        )

    def on_fill(self, ctx: Any, fill: Any) -> None:
        told = ("fill", "", seq_of(fill.order_id), fill.price, fill.qty, fill.fee, fill.liquidity.name)
        self.heard.append(Heard(*told))


def seq_of(order_id: int) -> int:
    return order_id & ((1 << 40) - 1)
