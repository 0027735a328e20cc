"""Stop-loss, take-profit and a breaker that flattens, in a backtest: the host's own code, so the same as live."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from libchronicle.backtest import BacktestResult, BacktestRunner, ConstantLatency
from libchronicle.protocol import OrderType
from libchronicle.runtime.config import Limits, RiskConfig
from libchronicle.strategy import Context, Side, Strategy

sys.path.insert(0, str(Path(__file__).parent))
from made_market import NAME, market, tape


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


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
@pytest.mark.parametrize(
    "exits", [{"stop_loss_bps": 3}, {"take_profit_bps": 3}, {"stop_loss_atr": "2", "atr_bar_s": 0.05}]
)
def test_the_position_is_left_when_the_level_is_reached(side: Side, exits: dict[str, object]) -> None:
    assert len(run(side).fills) == 1
    result = run(side, **exits)
    if closing(result):
        assert len(closing(result)) == 1
        assert result.fills["position"][-1] == 0
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


@pytest.mark.parametrize("on_trip", ["reject", "flatten"])
def test_a_breaker_closes_the_position_only_where_it_is_to_flatten(on_trip: str) -> None:
    found = [run(side, Limits(max_drawdown="0.001"), on_trip=on_trip) for side in (Side.BUY, Side.SELL)]
    assert any(result.trips for result in found)
    for result in found:
        assert len(closing(result)) == (1 if result.trips and on_trip == "flatten" else 0)
