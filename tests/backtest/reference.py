"""A backtest in plain Python, slow and by the book: the live dispatcher, a list of requests, a list of reports, the matcher's
Python face.

It shares with the native engine what live shares with it (context, dispatcher, state machines, matcher, account) and nothing
else: no ring, no native loop, no rows.
"""

from __future__ import annotations

from typing import Any

from made_market import NAME, Timed

from libchronicle.book import L2Book
from libchronicle.portfolio import MONEY_EXPONENT, Account, InstrumentTerms
from libchronicle.protocol import (
    CancelAll,
    CancelOrder,
    ExecType,
    ExecutionReport,
    Instrument,
    Liquidity,
    NewOrder,
    OrderFlags,
    OrderType,
    PositionReport,
    RejectCode,
    ReplaceOrder,
    SbeMessage,
    Side,
    instrument_id,
)
from libchronicle.risk import Proposal, RiskGate
from libchronicle.sim.matcher import Matcher, MatchEvent
from libchronicle.strategy.context import Context
from libchronicle.strategy.dispatch import Dispatcher
from libchronicle.strategy.lifecycle import Lifecycle
from libchronicle.strategy.recorder import Recorder
from libchronicle.strategy.sink import MemorySink

NEVER = 1 << 62


class Reference:
    """One instrument, constant latencies."""

    def __init__(self, strategy: Any, account: Account, entry_ns: int = 0, response_ns: int = 0) -> None:
        self.strategy, self.account = strategy, account
        self.entry_ns, self.response_ns = entry_ns, response_ns
        self.now = 0
        self.sink = MemorySink(lambda: self.now)
        self.ctx = Context(self.sink, account="backtest")
        self.lifecycle = Lifecycle(self.ctx, Recorder(), strategy)
        self.dispatcher = self.lifecycle.dispatcher = Dispatcher(self.ctx, strategy, self.lifecycle)
        self.gate = RiskGate(account)
        self.matcher = Matcher()
        self.book = L2Book(instrument_id(NAME))
        self.requests: list[tuple[int, int]] = []  # when due, seq
        self.reports: list[tuple[int, SbeMessage]] = []
        self.seen = 0  # requests taken from the sink
        self.orders: dict[int, tuple[NewOrder, int]] = {}  # by seq: the order, when sent
        self.filled: dict[int, int] = {}
        self.exec_id = 0

    # ------------------------------------------------------------ time

    def run(self, records: list[Timed]) -> None:
        self.set_now(records[0][0])
        self.strategy.on_start(self.ctx)
        self.dispatcher.subscribe(self.ctx.close_subscriptions())
        self.lifecycle.start([self.ctx.instrument(NAME)])
        self.lifecycle.router_attached()
        self.lifecycle.feed_attached(self.ctx.instrument(NAME).venue)
        for seq, (ts, record) in enumerate(records):
            if ts > self.now:
                self.advance(ts, timers=True)
                self.set_now(ts)
            self.market(seq, record)
        self.lifecycle.stop("end of data")
        self.advance(NEVER, timers=False)

    def set_now(self, now: int) -> None:
        self.now = max(self.now, now)
        self.ctx.set_now(self.now)

    def collect(self) -> None:
        """What the strategy has sent since the last look."""
        while self.seen < len(self.sink.messages):
            before = self.requests[-1][0] if self.requests else 0
            self.requests.append((max(self.now + self.entry_ns, before), self.seen))
            self.seen += 1

    def advance(self, until: int, *, timers: bool) -> None:
        while True:
            self.collect()
            timer = self.ctx.timers.next_ns if timers else None
            request = self.requests[0][0] if self.requests else NEVER
            report = self.reports[0][0] if self.reports else NEVER
            if timer is not None and timer <= min(until, request, report):
                self.set_now(timer)
                self.dispatcher.fire_due(Recorder())
            elif min(request, report) < until:
                self.set_now(min(request, report))
                if request <= report:
                    self.request(self.requests.pop(0)[1])
                else:
                    due, message = self.reports.pop(0)
                    self.dispatcher.feed_report(message.TEMPLATE_ID, message.encode(), ts_ns=due)
            else:
                return

    # ------------------------------------------------------------ market, venue

    def market(self, seq: int, record: SbeMessage) -> None:
        payload = record.encode()
        self.book.apply(record.TEMPLATE_ID, payload)
        self.dispatcher.feed(record.TEMPLATE_ID, payload, seq=seq, ts_ns=self.now)
        self.collect()
        if isinstance(record, Instrument):
            self.terms = InstrumentTerms.of(record)
            self.slot = self.account.add(self.terms)
            self.gate.define(self.slot)
            self.matcher.add(
                record.instrument_id,
                self.book,
                tick=record.tick_size,
                lot=record.lot_size,
                qty_exponent=record.qty_exponent,
            )
        else:
            self.told(self.matcher.record(0, record.TEMPLATE_ID, payload, seq=seq, now=self.now))

    def request(self, seq: int) -> None:
        kind, payload = self.sink.messages[seq]
        if kind == NewOrder.TEMPLATE_ID:
            self.new(seq, NewOrder.decode(payload), self.now - self.entry_ns)
        elif kind == CancelOrder.TEMPLATE_ID:
            target = CancelOrder.decode(payload).order_seq
            if self.is_open(target):
                self.told(self.matcher.cancel(target + 1, request=seq + 1, now=self.now))
            else:
                self.refused(ExecType.CANCEL_REJECT, target, seq, RejectCode.UNKNOWN_ORDER)
        elif kind == ReplaceOrder.TEMPLATE_ID:
            self.replace(seq, ReplaceOrder.decode(payload))
        else:
            assert kind == CancelAll.TEMPLATE_ID
            self.told(self.matcher.cancel_all(owner=0, request=seq + 1, now=self.now))

    def is_open(self, seq: int) -> bool:
        return any(one.key == seq + 1 for one in self.matcher.working())

    def touch(self) -> dict[str, int]:
        bid, ask = self.book.best_bid, self.book.best_ask
        return {"best_bid": bid[0] if bid else 0, "best_ask": ask[0] if ask else 0}

    def new(self, seq: int, order: NewOrder, sent: int) -> None:
        self.orders[seq] = order, sent
        reduces = bool(order.flags & OrderFlags.REDUCE_ONLY)
        asked = Proposal(order.side == Side.BUY, order.qty, order.price, order.order_type, reduces)
        self.gate.open_orders = len(self.matcher.working())
        breach = self.gate.check(self.slot, asked, now_ns=self.now, **self.touch())
        code = breach.code if breach is not None else 0
        code = code or self.account.check(
            self.slot, order.side, order.order_type, order.price, order.qty, *self.touch().values(), reduces
        )
        if code:
            self.refused(ExecType.REJECT, seq, seq, RejectCode(code))
            return
        events = self.matcher.new(
            0, seq + 1, order.side, order.qty, order.price, type=order.order_type, time_in_force=order.time_in_force,
            post_only=bool(order.flags & OrderFlags.POST_ONLY), reduce_only=reduces, request=seq + 1, now=self.now,
        )  # fmt: skip
        self.told(events)

    def replace(self, seq: int, asked: ReplaceOrder) -> None:
        target = asked.order_seq
        if not self.is_open(target):
            self.refused(ExecType.REPLACE_REJECT, target, seq, RejectCode.UNKNOWN_ORDER)
            return
        order, _ = self.orders[target]
        done = self.filled.get(target, 0)
        if asked.qty > done:
            standing = next(one for one in self.matcher.working() if one.key == target + 1)
            wish = Proposal(
                order.side == Side.BUY, asked.qty - done, asked.price, OrderType.LIMIT,
                replaces_leaves=standing.qty - standing.cum, is_replace=True,
            )  # fmt: skip
            breach = self.gate.check(self.slot, wish, now_ns=self.now, **self.touch())
            if breach is not None:
                self.refused(ExecType.REPLACE_REJECT, target, seq, breach.code)
                return
        self.told(self.matcher.replace(target + 1, asked.price, asked.qty, request=seq + 1, now=self.now))

    # ------------------------------------------------------------ reports

    def send(self, message: SbeMessage) -> None:
        before = self.reports[-1][0] if self.reports else 0
        self.reports.append((max(self.now + self.response_ns, before), message))

    def refused(self, kind: ExecType, target: int, request: int, code: RejectCode) -> None:
        self.exec_id += 1
        report = ExecutionReport(
            order_queue_id=self.sink.queue_id, order_seq=target, order_epoch=1, exec_id=self.exec_id, exec_type=kind,
            reject_code=code, venue_ts=self.now, request_seq=request, fee_exponent=MONEY_EXPONENT,
        )  # fmt: skip
        if kind is ExecType.REJECT or self.is_open(target):
            order, sent = self.orders[target]
            report.instrument_id, report.side, report.order_ts = order.instrument_id, order.side, sent
            report.price, report.qty = order.price, order.qty
        self.send(report)

    def told(self, events: list[MatchEvent]) -> None:
        moved = False
        for event in events:
            self.exec_id += 1
            order, sent = self.orders[event.key - 1]
            fee = 0
            if event.last_qty:
                moved = True
                maker = event.liquidity == Liquidity.MAKER
                first = self.filled.get(event.key - 1, 0) == 0
                fee = self.account.trade(
                    self.slot,
                    order.side,
                    event.last_price,
                    event.last_qty,
                    maker=maker,
                    first=first,
                    ts_ns=self.now,
                )
                self.filled[event.key - 1] = event.cum
            self.send(
                ExecutionReport(
                    order_queue_id=self.sink.queue_id,
                    order_seq=event.key - 1,
                    order_epoch=1,
                    instrument_id=order.instrument_id,
                    exec_id=self.exec_id,
                    exec_type=event.kind,
                    reject_code=event.code,
                    side=order.side,
                    price=event.price,
                    qty=event.qty,
                    cum_qty=event.cum,
                    leaves_qty=event.leaves,
                    last_price=event.last_price,
                    last_qty=event.last_qty,
                    fee=fee,
                    fee_exponent=MONEY_EXPONENT,
                    venue_ts=self.now,
                    order_ts=sent,
                    liquidity=event.liquidity,
                    trade_id=event.trade_id,
                    request_seq=max(event.request - 1, 0),
                )
            )
        if moved:
            position = self.account.position(self.slot)
            self.send(
                PositionReport(
                    instrument_id=instrument_id(NAME),
                    ts=self.now,
                    qty=position.qty,
                    avg_price=position.average_price,
                    realized_pnl=position.realized,
                    fees=position.fees,
                    open_cost=position.cost,
                    last_exec_id=self.exec_id,
                    pnl_exponent=MONEY_EXPONENT,
                )
            )
