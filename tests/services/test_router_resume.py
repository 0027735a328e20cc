"""A restart of the router on paper changes nothing: the same fills as without it, which are those of a backtest."""

from __future__ import annotations

import functools
import random
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from libchronicle.backtest import BacktestRunner, Tape
from libchronicle.portfolio import MakerTaker
from libchronicle.protocol import (
    Dispatch,
    ExecutionReport,
    NewOrder,
    OpenOrder,
    OrderType,
    TimeInForce,
    TimerFired,
    decode,
    instrument_id,
)
from libchronicle.replay.journal import recorded_sessions
from libchronicle.runtime.config import FeesConfig, PaperConfig, RouterConfig, load_host
from libchronicle.sim.paper_memory import has_news
from libchronicle.storage.archive import Archive
from libchronicle.strategy import Side
from libchronicle.testing import sample_market
from services.router.rerun import rerun_router
from tests.services.paper_desk import PaperDesk, Scripted, heard_in
from tests.services.router_bench import FeedWriter, Router, Strategy, order, until

SPOT, USDM = "binance-spot:BTCUSDT", "binance-usdm:BTCUSDT"
CASH = {
    SPOT: {"USDT": "1000000", "BTC": "100"},
    USDM: {"USDT": "12000"},
}  # the second one's does not always do
LEVERAGE = {SPOT: None, USDM: 5.0}


def config(name: str) -> RouterConfig:
    leverage = LEVERAGE[name]
    paper = PaperConfig(
        cash=CASH[name],
        leverage={"*": leverage} if leverage else {},
        fees={"*": FeesConfig(maker_bps=1.0, taker_bps=5.0)},
    )
    return RouterConfig(valid_for_ms=3_600_000, paper=paper)


class Busy(Scripted):
    """Takes the same levels again and again, and waits with stops of both kinds."""

    def act(self, ctx: Any, i: Any) -> None:
        draw = self.rng.randrange(10)
        side = self.rng.choice([Side.BUY, Side.SELL])
        near = i.book.ask_price if side is Side.BUY else i.book.bid_price
        sign, qty = (1, i.lot_size * 400) if side is Side.BUY else (-1, i.lot_size * 400)
        if draw < 2:
            self.new(ctx, i, i.ioc(side, near + sign * 3 * i.tick_size, qty))
        elif draw < 4:
            stop = near + sign * self.rng.randrange(1, 9) * i.tick_size
            self.new(ctx, i, i.stop_limit(side, stop, stop - sign * 4 * i.tick_size, qty))
        else:
            super().act(ctx, i)


@functools.cache
def backtested(name: str, seed: int) -> tuple[Tape, Busy]:
    tape = sample_market(name, seconds=3, seed=seed)
    strategy = Busy(name, seed)
    runner = BacktestRunner(
        tape, instruments=[name], cash=CASH[name], leverage=LEVERAGE[name], fees=MakerTaker(1, 5), guard="off"
    )
    runner.run(strategy)
    return tape, strategy


def on_paper(
    name: str, tape: Tape, strategy: Busy, restarts: str, seed: int, *, remembers: bool = True
) -> PaperDesk:
    rng = random.Random(seed)
    desk = PaperDesk(config(name), tape, remembers=remembers)
    for one in strategy.sent:
        if restarts and rng.random() < 0.15:
            if restarts == "in order":
                desk.stop()
            desk.start()
        desk.until(one.sent_ns)
        desk.send(one.seq, one.message, one.sent_ns)
    return desk


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", [SPOT, USDM])
@pytest.mark.parametrize("restarts", ["", "in order", "kill -9"])
def test_paper_with_restarts_fills_as_a_backtest_does(restarts: str, name: str, seed: int) -> None:
    tape, strategy = backtested(name, seed)
    desk = on_paper(name, tape, strategy, restarts, seed)
    again = heard_in(desk.events())
    assert again == strategy.heard[: len(again)]
    assert len(again) > 100
    sent = {one.message.order_type for one in strategy.sent if hasattr(one.message, "order_type")}
    assert {OrderType.STOP_LIMIT, OrderType.STOP_MARKET} <= sent


@pytest.mark.parametrize("restarts", ["in order", "kill -9"])
def test_a_router_that_remembered_nothing_would_fill_otherwise(restarts: str) -> None:
    tape, strategy = backtested(SPOT, 1)
    again = heard_in(on_paper(SPOT, tape, strategy, restarts, 1, remembers=False).events())
    assert again != strategy.heard[: len(again)]


def test_what_moved_an_order_stands_in_the_journal_before_what_ended_it() -> None:
    """A timer or a person ends an order just after market records that no fill made a step: a rerun has them first."""
    tape, _ = backtested(SPOT, 1)
    desk = PaperDesk(config(SPOT), tape)
    desk.until(desk.queue.records[len(desk.queue.records) // 4].ts_ns)
    book = desk.markets.book(instrument_id(SPOT))
    assert book is not None
    qty, sent = desk.state.definitions[book.instrument_id].lot_size, 0
    while not has_news(desk.engine.gateway):
        if not desk.state.ledger.open_orders:  # the first, or the market went through the last one
            resting = order(Side.BUY, qty, book.bid_price or 0)
            desk.send(sent, msgspec.structs.replace(resting, instrument_id=book.instrument_id), desk.now)
            sent += 1
        desk.now = desk.queue.records[desk.at].ts_ns
        desk.until(desk.now)
    assert desk.state.ledger.open_orders
    begun, now = len(desk.journal.records), desk.now
    desk.engine.on_event(
        TimerFired(now_ns=now, name="gtd"), now, functools.partial(desk.engine.gateway.cancel_all, "alpha")
    )
    kinds = [type(decode(kind, payload)) for kind, payload in desk.journal.records[begun:]]
    assert kinds == [OpenOrder, Dispatch, ExecutionReport, TimerFired]


def limit_behind_a_stop(side: Side, stop: int, price: int, qty: int) -> NewOrder:
    return order(side, qty, price, order_type=OrderType.STOP_LIMIT, stop_price=stop)


OUTCOME = [
    ("FILL", 0, 10_010, 300),
    (
        "PARTIAL_FILL",
        1,
        9_990,
        10,
    ),  # 500 were shown: 200 traded before the restart, 310 while the router was away
    (
        "FILL",
        3,
        9_999,
        60,
    ),  # its stop was reached before the restart, and it went on waiting as a limit order
    ("FILL", 1, 9_990, 90),
    ("FILL", 2, 9_990, 50),  # its stop was reached while the router was away
    ("PARTIAL_FILL", 5, 10_010, 200),  # of the 500 shown, 300 were ours before
]


@pytest.mark.parametrize("way", ["no restart", "in order", "kill -9"])
def test_what_the_market_does_while_the_router_is_away_meets_the_orders_when_it_is_back(
    tmp_path: Path, way: str
) -> None:
    router = Router(tmp_path)
    feed, alpha = FeedWriter(router.paths), Strategy(router.paths, "alpha")
    try:
        router.start()
        all_day = (
            order(Side.BUY, 300, 10_010, time_in_force=TimeInForce.IOC),
            order(Side.BUY, 100, 9_990),
            order(Side.SELL, 50, 0, order_type=OrderType.STOP_MARKET, stop_price=9_985),
            limit_behind_a_stop(Side.SELL, 9_992, 9_999, 60),
        )
        for one in all_day:
            alpha.answer(alpha.send(one))
        feed.trade(9_992, 1, Side.BUY)
        feed.trade(9_990, 200, Side.SELL)
        expire_ns = time.time_ns() + 1_000_000_000
        dated = order(Side.BUY, 40, 9_985, time_in_force=TimeInForce.GTD, expire_ns=expire_ns)
        alpha.answer(alpha.send(dated))  # by a router that has read the feed before
        if way == "in order":
            assert router.stop() == 0
        elif way == "kill -9":
            router.kill()
        feed.trade(9_990, 310, Side.SELL)
        feed.trade(10_000, 1, Side.BUY)
        until(lambda: time.time_ns() > expire_ns)
        if way == "no restart":
            until(lambda: "EXPIRED" in [one.exec_type.name for one in alpha.reports()])
        feed.trade(9_984, 1, Side.SELL)
        if way != "no restart":
            router.start()
        last = order(Side.BUY, 500, 10_010, time_in_force=TimeInForce.IOC)
        alpha.answer(alpha.send(last))
        assert router.stop() == 0
        reports = alpha.reports()
        told = [(one.exec_type.name, one.order_seq, one.last_price, one.last_qty) for one in reports]
        assert [one for one in told if one[3]] == OUTCOME
        assert [one[:2] for one in told if one[0] == "EXPIRED"] == [("EXPIRED", 4), ("EXPIRED", 5)]
        with Archive(router.paths) as archive:
            sessions = recorded_sessions(archive, "router")
            assert len(sessions) == (1 if way == "no restart" else 2)
            for one in sessions:
                verdict = rerun_router(archive, one, load_host(router.config))
                assert verdict.difference is None, verdict.difference.lines()
    finally:
        router.close()
        feed.close()
        alpha.close()
