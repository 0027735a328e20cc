"""Frames in, callbacks out: what reaches a strategy, when, and with what."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from stage import BTC, ETH, PERP, Stage

from libchronicle.protocol import (
    AccountReport,
    BestBidAsk,
    BookReset,
    CancelAll,
    ExecType,
    ExecutionReport,
    Gap,
    GapReason,
    Heartbeat,
    NewOrder,
    PositionReport,
    RejectCode,
    StateChange,
    Trade,
    VenueState,
    VenueStatus,
    instrument_id,
)
from libchronicle.strategy import FeedState, Fill, HostState, OrderState, Refusal, RouterState, Side, Strategy
from libchronicle.strategy.states import Machine

KEY = instrument_id(BTC)
QTY = 1_000_000


class Listener(Strategy):
    """Writes down every call."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []

    def on_book(self, ctx: Any, book: Any) -> None:
        self.heard.append(("book", book.instrument.name, book.bid_price, book.ask_price))

    def on_trade(self, ctx: Any, trade: Any) -> None:
        self.heard.append(("trade", trade.price, trade.qty, trade.aggressor, trade.trade_id))

    def on_quote(self, ctx: Any, quote: Any) -> None:
        self.heard.append(("quote", quote.bid_price, quote.ask_price, quote.spread, quote.mid))

    def on_order(self, ctx: Any, update: Any) -> None:
        self.heard.append(("order", update.exec_type, update.state, update.leaves_qty))

    def on_fill(self, ctx: Any, fill: Any) -> None:
        self.heard.append(("fill", fill.price, fill.qty, fill.instrument.position.qty))

    def on_feed_state(self, ctx: Any, feed: str, state: FeedState) -> None:
        self.heard.append(("feed", feed, state))

    def on_router_state(self, ctx: Any, state: RouterState) -> None:
        self.heard.append(("router", state))

    def kinds(self) -> list[str]:
        return [one[0] for one in self.heard]


@pytest.fixture
def stage() -> Stage:
    stage = Stage(Listener())
    stage.strategy.heard.clear()
    return stage


def trade(price: int = 5, name: str = BTC) -> Trade:
    return Trade(instrument_id=instrument_id(name), price=price, qty=7, aggressor=Side.SELL, trade_id=9)


def quote(bid: int = 100, ask: int = 104) -> BestBidAsk:
    return BestBidAsk(instrument_id=KEY, bid_price=bid, bid_qty=1, ask_price=ask, ask_qty=2)


def test_views_show_what_the_record_holds(stage: Stage) -> None:
    stage.put(trade())
    stage.put(quote())
    stage.delta(bids=[(6_000_050, 3)])
    assert stage.strategy.heard == [
        ("trade", 5, 7, Side.SELL, 9),
        ("quote", 100, 104, 4, 102.0),
        ("book", BTC, 6_000_050, 6_000_100),
    ]


def test_now_is_constant_within_a_callback_and_the_cause_is_its_record() -> None:
    class Sender(Strategy):
        def on_trade(self, ctx: Any, trade: Any) -> None:
            self.times = {ctx.now_ns() for _ in range(100)}
            ctx.send(trade.instrument.buy(QTY, 6_000_000))

    stage = Stage(Sender())
    stage.put(trade())
    order = stage.sent()[-1]
    assert stage.strategy.times == {stage.now}
    assert (order.cause_queue_id, order.cause_seq, order.cause_ts) == (77, stage.seq, stage.now)


def test_what_is_not_subscribed_or_not_overridden_is_not_called(stage: Stage) -> None:
    assert not stage.put(trade(name=ETH))
    assert not stage.put(Heartbeat())
    stage.dispatcher.subscribe({BTC: ("trade",)})
    assert not stage.put(quote())
    assert not stage.delta(bids=[(6_000_050, 3)])
    assert stage.put(trade())
    quiet = Stage(Strategy())
    assert not quiet.put(trade())
    assert quiet.dispatcher.callbacks == 0


def test_muted_and_not_yet_trading_the_book_is_kept_and_nobody_called() -> None:
    stage = Stage(Listener(), trading=False)
    stage.put(trade())
    stage.snapshot()
    stage.delta(bids=[(6_000_070, 3)])
    assert "trade" not in stage.strategy.kinds()
    assert "book" not in stage.strategy.kinds()
    assert stage.instrument.book.bid_price == 6_000_070
    stage.connect()
    stage.put(trade(), muted=True)
    assert "trade" not in stage.strategy.kinds()


@pytest.mark.parametrize(
    "break_it",
    [
        lambda stage: stage.put(Gap(instrument_id=KEY, reason=GapReason.SEQUENCE)),
        lambda stage: stage.put(Gap(instrument_id=0, reason=GapReason.RECONNECT)),
        lambda stage: stage.put(BookReset(instrument_id=KEY, reason=GapReason.LOST)),
        lambda stage: stage.put(VenueStatus(instrument_id=KEY, state=VenueState.SYNCING)),
        lambda stage: stage.delta(bids=[(6_000_050, -1)]),
        lambda stage: stage.lifecycle.discontinuity("binance-spot", "epoch 1 became 2"),
    ],
    ids=["gap", "gap of the feed", "reset", "venue syncing", "bad record", "epoch"],
)
def test_a_broken_book_silences_its_instrument_until_the_snapshot(stage: Stage, break_it: Any) -> None:
    break_it(stage)
    assert not stage.instrument.is_synced
    for message in (trade(), quote()):
        assert not stage.put(message)
    assert not stage.delta(bids=[(6_000_050, 3)])
    assert stage.ctx.send(stage.instrument.buy(QTY, 6_000_000)) is Refusal.NOT_SYNCED
    assert stage.ctx.send(stage.instrument.sell(QTY).instrument.market(Side.SELL, QTY, reduce_only=True)) >= 0
    assert stage.lifecycle.host is HostState.TRADING
    stage.snapshot()
    assert stage.put(trade())
    assert [one[2] for one in stage.strategy.heard if one[0] == "feed"] == [
        FeedState.SYNCING,
        FeedState.CONNECTED,
    ]


def test_one_instruments_gap_leaves_the_others_alone() -> None:
    stage = Stage(Listener(), BTC, ETH)
    stage.put(Gap(instrument_id=KEY, reason=GapReason.SEQUENCE))
    assert not stage.put(trade())
    assert stage.put(trade(name=ETH))


def test_stale_deltas_and_malformed_records_change_nothing(stage: Stage) -> None:
    before = stage.instrument.book.hash()
    assert not stage.dispatcher.feed(Trade.TEMPLATE_ID, trade().encode()[:40], seq=1)
    assert not stage.dispatcher.feed(BestBidAsk.TEMPLATE_ID, b"\0" * 8, seq=2)
    assert not stage.dispatcher.feed(60_000, b"\0" * 64, seq=3)
    assert stage.dispatcher.malformed == 1
    assert stage.instrument.book.hash() == before


# ---------------------------------------------------------------- feeds, router, host


def test_trading_needs_every_feed_and_a_loss_of_one_stops_all() -> None:
    stage = Stage(Listener(), BTC, PERP, trading=False)
    stage.lifecycle.router_attached()
    stage.lifecycle.feed_attached("binance-spot")
    stage.snapshot(BTC)
    assert stage.lifecycle.host is HostState.WAITING_FOR_FEED
    stage.lifecycle.feed_attached("binance-usdm")
    stage.snapshot(PERP)
    assert stage.lifecycle.host is HostState.TRADING
    stage.lifecycle.feed_lost("binance-usdm", "lock lost")
    stage.lifecycle.feed_lost("binance-spot", "lock lost")
    assert stage.lifecycle.host is HostState.WAITING_FOR_FEED
    assert sum(isinstance(one, CancelAll) for one in stage.sent()) == 1
    assert not stage.put(trade())


def test_the_cancel_goes_out_before_the_strategy_hears_of_the_loss() -> None:
    class Watcher(Strategy):
        def on_feed_state(self, ctx: Any, feed: str, state: FeedState) -> None:
            if state is FeedState.DISCONNECTED:
                self.sent_before = [type(one) for one in stage.sent()]
                self.answer = ctx.send(ctx.instrument(BTC).buy(QTY, 6_000_000))

    stage = Stage(Watcher())
    stage.lifecycle.feed_lost("binance-spot", "heartbeat stale")
    assert stage.strategy.sent_before == [CancelAll]
    assert stage.strategy.answer is Refusal.NOT_TRADING
    changes = [one for one in stage.journal.messages if isinstance(one, StateChange)][-3:]
    assert [one.machine for one in changes] == [Machine.HOST, Machine.BOOK, Machine.FEED]


def test_a_venue_that_disconnects_counts_as_a_lost_feed_until_it_is_back(stage: Stage) -> None:
    stage.put(VenueStatus(state=VenueState.DISCONNECTED, reason="24 h"))
    assert stage.lifecycle.host is HostState.WAITING_FOR_FEED
    stage.lifecycle.feed_attached("binance-spot")  # its queue is fine, but the venue is not
    assert stage.lifecycle.feeds["binance-spot"] is FeedState.DISCONNECTED
    stage.put(VenueStatus(state=VenueState.CONNECTING))
    assert stage.lifecycle.feeds["binance-spot"] is FeedState.DISCONNECTED
    stage.put(VenueStatus(state=VenueState.CONNECTED))
    stage.snapshot()
    assert stage.lifecycle.host is HostState.TRADING


@pytest.mark.parametrize(
    ("close", "why", "reopen"),
    [
        (lambda s: s.router_lost("gone"), Refusal.ROUTER_LOST, lambda s: s.router_attached()),
        (lambda s: s.set_killed(True, "test"), Refusal.KILLED, lambda s: s.set_killed(False, "test")),
        (lambda s: s.set_paused(True), Refusal.PAUSED, lambda s: s.set_paused(False)),
    ],
)
def test_a_closed_gate_refuses_orders_but_never_cancels(
    stage: Stage, close: Any, why: Refusal, reopen: Any
) -> None:
    id = stage.ctx.send(stage.instrument.buy(QTY, 6_000_000))
    close(stage.lifecycle)
    assert not stage.ctx.can_send
    assert stage.ctx.send(stage.instrument.buy(QTY, 6_000_000)) is why
    assert stage.ctx.replace(id, qty=2 * QTY) is why
    assert stage.ctx.cancel(id) is True
    reopen(stage.lifecycle)
    assert stage.ctx.send(stage.instrument.buy(QTY, 6_000_000)) > 0


def test_flatten_sends_reduce_only_orders_after_the_cancel_and_skips_what_is_below_a_lot() -> None:
    stage = Stage(Listener(), BTC, ETH, flatten=True)
    position(stage, BTC, -5 * QTY)
    position(stage, ETH, 999)
    stage.lifecycle.feed_lost("binance-spot", "gone")
    cancel, flat = stage.sent()
    assert isinstance(cancel, CancelAll)
    assert (flat.instrument_id, flat.side, flat.qty) == (KEY, Side.BUY, 5 * QTY)


def position(stage: Stage, name: str, qty: int) -> None:
    report = PositionReport(instrument_id=instrument_id(name), qty=qty, avg_price=10, last_exec_id=1)
    stage.dispatcher.feed_report(PositionReport.TEMPLATE_ID, report.encode())


# ---------------------------------------------------------------- reports


def report(stage: Stage, id: int, kind: ExecType, exec_id: int, **fields: Any) -> bool:
    message = ExecutionReport(
        order_queue_id=1,
        order_epoch=id >> 40,
        order_seq=id & ((1 << 40) - 1),
        instrument_id=KEY,
        exec_id=exec_id,
        exec_type=kind,
        **{"side": Side.BUY, "price": 6_000_000, "qty": QTY, **fields},
    )
    return stage.dispatcher.feed_report(ExecutionReport.TEMPLATE_ID, message.encode(), seq=exec_id)


def test_an_orders_life_as_the_strategy_sees_it(stage: Stage) -> None:
    id = stage.ctx.send(stage.instrument.buy(QTY, 6_000_000))
    assert [one.id for one in stage.ctx.orders()] == [id]
    report(stage, id, ExecType.ACK, 1, leaves_qty=QTY)
    report(
        stage,
        id,
        ExecType.PARTIAL_FILL,
        2,
        last_qty=400_000,
        last_price=5,
        cum_qty=400_000,
        leaves_qty=600_000,
    )
    (order,) = stage.ctx.orders()
    assert (order.state, order.leaves_qty, order.is_open) == (OrderState.PARTIAL, 600_000, True)
    report(stage, id, ExecType.FILL, 3, last_qty=600_000, last_price=6, cum_qty=QTY)
    assert stage.ctx.orders() == []
    assert stage.strategy.heard == [
        ("order", ExecType.ACK, OrderState.OPEN, QTY),
        ("fill", 5, 400_000, 400_000),
        ("order", ExecType.PARTIAL_FILL, OrderState.PARTIAL, 600_000),
        ("fill", 6, 600_000, QTY),
        ("order", ExecType.FILL, OrderState.FILLED, 0),
    ]


def test_a_report_that_comes_twice_counts_once(stage: Stage) -> None:
    id = stage.ctx.send(stage.instrument.buy(QTY, 6_000_000))
    fields: dict[str, Any] = {"last_qty": QTY, "cum_qty": QTY}
    assert report(stage, id, ExecType.FILL, 1, **fields)
    assert not report(stage, id, ExecType.FILL, 1, **fields)
    assert stage.instrument.position.qty == QTY
    assert stage.ctx.tracker.duplicates == 1


def test_a_refused_cancel_leaves_the_order_open_and_lets_it_be_cancelled_again(stage: Stage) -> None:
    id = stage.ctx.send(stage.instrument.buy(QTY, 6_000_000))
    assert stage.ctx.cancel(id)
    report(stage, id, ExecType.CANCEL_REJECT, 1, leaves_qty=QTY, reject_code=RejectCode.VENUE)
    assert stage.ctx.orders()[0].is_open
    assert stage.ctx.cancel(id)


def test_a_replace_changes_the_working_order(stage: Stage) -> None:
    id = stage.ctx.send(stage.instrument.buy(QTY, 6_000_000))
    report(stage, id, ExecType.REPLACED, 1, price=5_999_000, qty=2 * QTY, leaves_qty=2 * QTY)
    assert [(one.price, one.qty) for one in stage.ctx.orders()] == [(5_999_000, 2 * QTY)]


@pytest.mark.parametrize("kind", [ExecType.REJECT, ExecType.CANCELLED, ExecType.EXPIRED])
def test_final_reports_end_an_order(stage: Stage, kind: ExecType) -> None:
    id = stage.ctx.send(stage.instrument.buy(QTY, 6_000_000))
    report(stage, id, kind, 1)
    assert stage.ctx.orders() == []


def test_a_position_report_is_the_truth_unless_it_is_older_than_a_fill(stage: Stage) -> None:
    id = stage.ctx.send(stage.instrument.buy(QTY, 6_000_000))
    report(stage, id, ExecType.FILL, 5, last_qty=QTY, cum_qty=QTY)
    for last, qty in ((4, 0), (5, QTY), (9, 3 * QTY)):
        message = PositionReport(instrument_id=KEY, qty=qty, avg_price=last, last_exec_id=last)
        stage.dispatcher.feed_report(PositionReport.TEMPLATE_ID, message.encode())
        assert stage.instrument.position.qty == (QTY if last < 9 else 3 * QTY)
    assert stage.instrument.position.avg_price == 9


def test_an_order_of_an_earlier_life_becomes_known_by_its_report(stage: Stage) -> None:
    old = (7 << 40) | 123
    report(stage, old, ExecType.ACK, 1, leaves_qty=QTY)
    assert [(one.id, one.price) for one in stage.ctx.orders()] == [(old, 6_000_000)]
    assert stage.ctx.tracker.strangers == 1


def test_a_view_kept_is_overwritten_and_a_copy_stays() -> None:
    class Keeper(Strategy):
        def __init__(self) -> None:
            self.kept: list[Any] = []

        def on_trade(self, ctx: Any, trade: Any) -> None:
            self.kept.append((trade, trade.copy()))

        def on_fill(self, ctx: Any, fill: Fill) -> None:
            self.fill = fill.copy()

    stage = Stage(Keeper())
    stage.put(trade(1))
    stage.put(trade(2))
    assert [view.price for view, _ in stage.strategy.kept] == [2, 2]
    assert [copy.price for _, copy in stage.strategy.kept] == [1, 2]
    id = stage.ctx.send(stage.instrument.buy(QTY, 6_000_000))
    report(stage, id, ExecType.FILL, 1, last_qty=QTY, last_price=44, cum_qty=QTY, fee=-3, fee_currency="BNB")
    fill = stage.strategy.fill
    assert (type(fill), fill.price, fill.fee, fill.fee_currency) == (Fill, 44, -3, "BNB")


def test_close_position_takes_it_all_and_nothing_when_flat(stage: Stage) -> None:
    assert stage.ctx.close_position(BTC) is None
    position(stage, BTC, 3 * QTY)
    stage.ctx.close_position(BTC)
    order = stage.sent()[-1]
    assert isinstance(order, NewOrder)
    assert (order.side, order.qty) == (Side.SELL, 3 * QTY)


def test_a_balance_is_kept_as_it_was_last_reported() -> None:
    stage = Stage(Strategy())
    balance = stage.ctx.balance("USDT")
    assert (balance.total, balance.amount, stage.ctx.account) == (0, 0, "paper")
    for total, available in ((10_050_000_000, 50_000_000), (-1, -1)):
        report = AccountReport(
            ts=7, balance=total, available=available, exponent=-8, account="paper", currency="USDT"
        )
        stage.dispatcher.feed_report(report.TEMPLATE_ID, report.encode())
        assert (balance.total, balance.available, balance.exponent) == (total, available, -8)
    assert stage.ctx.balance("USDT") is balance
    assert repr(balance) == "<Balance -1E-8 USDT, -1E-8 free>"
    assert stage.ctx.balance("BTC").amount == 0
