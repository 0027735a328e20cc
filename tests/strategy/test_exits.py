"""Stop-loss and take-profit are the host's: sent before the strategy sees the record, and what a breaker asks for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from stage import BTC, Stage

from libchronicle.protocol import (
    CancelAll,
    NewOrder,
    OrderFlags,
    OrderType,
    PositionReport,
    RejectCode,
    RiskEvent,
    Side,
    instrument_id,
)
from libchronicle.runtime.config import RiskConfig
from libchronicle.strategy import Strategy

KEY = instrument_id(BTC)
QTY = 1_000_000


class Watcher(Strategy):
    """Writes down how many requests stood in the queue when it was called."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.count: Any = lambda: 0

    def on_book(self, ctx: Any, book: Any) -> None:
        self.seen.append(self.count())


def holding(qty: int, entry: int = 6_000_000, **risk: Any) -> Stage:
    strategy = Watcher()
    stage = Stage(strategy, exits=RiskConfig(**risk))
    strategy.count = lambda: len(stage.sink.messages)
    position(stage, qty, entry)
    return stage


def position(stage: Stage, qty: int, entry: int = 6_000_000) -> None:
    report = PositionReport(instrument_id=KEY, qty=qty, avg_price=entry, last_exec_id=1)
    stage.dispatcher.feed_report(PositionReport.TEMPLATE_ID, report.encode())


def orders(stage: Stage) -> list[NewOrder]:
    return [message for message in stage.sent() if isinstance(message, NewOrder)]


@pytest.mark.parametrize(
    ("qty", "bid", "side", "tag"),
    [
        (QTY, 5_940_000, Side.SELL, "stop-loss"),
        (QTY, 6_120_000, Side.SELL, "take-profit"),
        (-QTY, 6_059_900, Side.BUY, "stop-loss"),  # the ask is a dollar above
        (-QTY, 5_879_900, Side.BUY, "take-profit"),
    ],
)
def test_a_position_is_left_at_its_level_before_the_strategy_sees_the_record(qty, bid, side, tag) -> None:
    stage = holding(qty, stop_loss_bps=100, take_profit_bps=200)
    near = bid + 100 if (side == Side.SELL) == (tag == "stop-loss") else bid - 100
    stage.snapshot(bid=near, ask=near + 100)
    assert orders(stage) == []
    stage.snapshot(bid=bid, ask=bid + 100)
    (sent,) = orders(stage)
    assert (sent.side, sent.order_type, sent.qty, sent.tag) == (side, OrderType.MARKET, QTY, tag)
    assert sent.flags == OrderFlags.REDUCE_ONLY
    assert sent.cause_seq == stage.seq
    assert isinstance(stage.strategy, Watcher)
    assert stage.strategy.seen[-1] == 1


def test_orders_that_are_open_are_cancelled_first() -> None:
    stage = holding(QTY, stop_loss_bps=100)
    stage.ctx.send(stage.instrument.buy("0.01", "59000"))
    stage.snapshot(bid=5_930_000, ask=5_930_100)
    assert [type(message) for message in stage.sent()] == [NewOrder, CancelAll, NewOrder]


def test_it_is_sent_once_and_again_after_a_second() -> None:
    stage = holding(QTY, stop_loss_bps=100)
    for _ in range(5):
        stage.snapshot(bid=5_930_000, ask=5_930_100)
    assert len(orders(stage)) == 1
    stage.now += 1_000_000_000
    stage.snapshot(bid=5_930_000, ask=5_930_100)
    assert len(orders(stage)) == 2
    position(stage, 0, 0)
    stage.snapshot(bid=5_920_000, ask=5_920_100)
    assert len(orders(stage)) == 2


def test_nothing_is_watched_while_the_books_are_rebuilt_or_the_host_does_not_trade() -> None:
    stage = Stage(trading=False, exits=RiskConfig(stop_loss_bps=100))
    position(stage, QTY)
    stage.snapshot(bid=5_000_000, ask=5_000_100)
    assert stage.sent() == []


def test_without_levels_there_is_nothing_to_watch() -> None:
    stage = holding(QTY)
    stage.snapshot(bid=1_000_000, ask=1_000_100)
    assert stage.sent() == []


def test_a_position_below_a_lot_cannot_be_left_and_ends_nothing() -> None:
    stage = holding(7, stop_loss_bps=100)
    stage.snapshot(bid=5_930_000, ask=5_930_100)
    assert orders(stage) == []


@pytest.mark.parametrize("flatten", [True, False])
def test_a_breaker_flattens_where_the_toml_says_so(flatten: bool) -> None:
    stage = Stage(flatten_on_trip=flatten)
    position(stage, QTY)
    event = RiskEvent(instrument_id=KEY, code=RejectCode.DAILY_LOSS_LIMIT, strategy="x")
    stage.dispatcher.feed_report(RiskEvent.TEMPLATE_ID, event.encode())
    if flatten:
        assert [type(message) for message in stage.sent()] == [CancelAll, NewOrder]
        assert orders(stage)[0].flags == OrderFlags.REDUCE_ONLY
    else:
        assert stage.sent() == []
    other = RiskEvent(instrument_id=KEY, code=RejectCode.NOTIONAL_LIMIT, strategy="x")
    stage.dispatcher.feed_report(RiskEvent.TEMPLATE_ID, other.encode())
    assert len(orders(stage)) == flatten
