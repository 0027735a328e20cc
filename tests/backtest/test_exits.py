"""Stop-loss, take-profit and a breaker that flattens, in a backtest: the host's own code, so the same as live."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from libchronicle.backtest import BacktestResult, BacktestRunner, ConstantLatency, Plan
from libchronicle.protocol import OrderType
from libchronicle.runtime.config import Limits, RiskConfig
from libchronicle.strategy import Context, Side, Strategy

sys.path.insert(0, str(Path(__file__).parent))
from made_market import NAME, archive, market, tape


class Once(Strategy):
    """Buys or sells once, and holds on."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self.done = False

    def on_start(self, ctx: Context) -> None:
        ctx.subscribe(NAME)

    def on_book(self, ctx: Context, book) -> None:
        if not self.done and ctx.can_send:
            self.done = True
            ctx.send(book.instrument.market(self.side, "0.005"))


def run(side: Side, limits: Limits | None = None, **risk) -> BacktestResult:
    runner = BacktestRunner(
        tape(market(3000)),
        leverage=5,
        latency=ConstantLatency(100, 100),
        limits=limits,
        risk=RiskConfig(**risk),
    )
    return runner.run(Once(side))


def closing(result: BacktestResult) -> list[int]:
    """Rows of the orders the host sent."""
    kinds, reducing = result.orders["type"], result.orders["reduce_only"]
    return [row for row in range(len(result.orders)) if reducing[row] and kinds[row] == OrderType.MARKET]


OF_PRICE, OF_PROFIT, OF_RANGE = (
    {"stop_loss_bps": 3},
    {"take_profit_bps": 3},
    {"stop_loss_atr": "2", "atr_bar_s": 0.05},
)


@pytest.mark.parametrize(
    ("side", "exits", "left"),
    [
        (Side.BUY, OF_PRICE, True),
        (Side.SELL, OF_PRICE, True),
        (Side.BUY, OF_PROFIT, False),  # the market never rises so far
        (Side.SELL, OF_PROFIT, True),
        (Side.BUY, OF_RANGE, True),
        (Side.SELL, OF_RANGE, False),
    ],
)
def test_the_position_is_left_when_the_level_is_reached(
    side: Side, exits: dict[str, object], left: bool
) -> None:
    held = 5 if side == Side.BUY else -5
    assert run(side).fills["position"].tolist() == [held]
    result = run(side, **exits)
    assert len(closing(result)) == left
    assert result.fills["position"][-1] == (0 if left else held)
    other = "take_profit_bps" if "take_profit_bps" not in exits else "stop_loss_bps"
    both = run(side, **exits, **{other: 3})
    assert len(closing(both)) == 1
    assert both.fills["position"][-1] == 0
    assert both.hash == run(side, **exits, **{other: 3}).hash


def test_a_stop_is_where_it_was_set() -> None:
    result = run(Side.BUY, stop_loss_bps=5, take_profit_bps=5)
    entry, left = result.fills["price"][0], result.fills["price"][-1]
    moved = abs(left - entry) / entry * 10_000
    assert 4 <= moved <= 15  # a level is reached by a whole move of the book, and the order takes its time


@pytest.mark.parametrize("on_trip", ["reject", "cancel", "flatten"])
def test_a_breaker_closes_the_position_only_where_it_is_to_flatten(on_trip: str) -> None:
    result = run(Side.BUY, Limits(max_drawdown="0.001"), on_trip=on_trip)
    assert result.trips == 1
    assert len(closing(result)) == (1 if on_trip == "flatten" else 0)
    assert result.fills["position"][-1] == (0 if on_trip == "flatten" else 5)


class Spread(Once):
    """Once, with orders that rest far from the market, and one more whenever the breaker has closed the position."""

    def on_book(self, ctx: Context, book) -> None:
        if not self.done and ctx.can_send:
            for side, price in ((Side.BUY, 90_000), (Side.SELL, 110_000)):
                ctx.send(book.instrument.post_only(side, price, 1))
        super().on_book(ctx, book)

    def on_fill(self, ctx: Context, fill) -> None:
        if fill.leaves_qty == 0 and ctx.position(NAME).qty == 0:
            ctx.send(fill.instrument.market(Side.BUY, 1))


def test_flattening_cancels_what_rests_closes_at_the_market_and_takes_no_new_risk() -> None:
    runner = BacktestRunner(
        tape(market(3000)),
        leverage=5,
        latency=ConstantLatency(100, 100),
        limits=Limits(max_drawdown="0.001"),
        risk=RiskConfig(on_trip="flatten"),
    )
    result = runner.run(Spread(Side.BUY))
    resting = range(2)
    (closed,) = closing(result)
    tripped = int(result.orders["sent_ns"][closed])
    assert [int(result.orders["done_ns"][row]) <= tripped + 100_000 for row in resting] == [True, True]
    assert (result.orders["done_ns"][:2] < result.end_ns).all()
    assert result.fills["position"].tolist()[-1] == 0
    assert result.rejects["DRAWDOWN_LIMIT"] == 1 + len(
        resting
    )  # the order after it; those that rested went with the code


TOML = """
version = 1
id = "once"
file = "once.py"
class = "Bought"
subscribe = ["made-up:AAAUSD"]

[limits]
max_drawdown = "0.001"

[risk]
on_trip = "flatten"
"""
BOUGHT = """
from libchronicle.strategy import Side, Strategy

class Bought(Strategy):
    done = False

    def on_book(self, ctx, book):
        if not self.done and ctx.can_send:
            self.done = True
            ctx.send(book.instrument.market(Side.BUY, 5))
"""


@pytest.mark.parametrize(
    ("risk", "left"),
    [
        ('on_trip = "flatten"', 0),
        ('on_trip = "cancel"', 5),
        ("stop_loss_bps = 3", 0),
        ("take_profit_bps = 3", 5),
    ],
)
def test_the_toml_decides_in_a_plan_and_in_a_runner(risk: str, left: int, tmp_path: Path) -> None:
    (tmp_path / "once.py").write_text(BOUGHT)
    (tmp_path / "once.toml").write_text(TOML.replace('on_trip = "flatten"', risk))
    data = archive(tmp_path / "data", market(3000))
    settings = {"leverage": 5, "latency": ConstantLatency(100, 100)}
    one = BacktestRunner.from_toml(tmp_path / "once.toml", data, **settings).run()
    plan = Plan.of_toml(tmp_path / "once.toml", data=(str(data),), latency="constant:100,100", leverage=5)
    assert one.fills["position"][-1] == left
    assert plan.run().hash == one.hash
