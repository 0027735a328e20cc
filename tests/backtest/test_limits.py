"""Risk limits, breakers and TOML in a backtest: the same objects as live."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from libchronicle.backtest import BacktestRunner, ConstantLatency, JitterLatency, ProbQueue
from libchronicle.errors import MisuseError
from libchronicle.runtime.config import Limits, RiskConfig
from libchronicle.strategy import Context, OrderState

sys.path.insert(0, str(Path(__file__).parent))
from made_market import NAME, market, tape
from quoter import Quoter


def test_an_order_beyond_a_limit_is_refused_with_the_limits_code() -> None:
    runner = BacktestRunner(tape(market(800)), leverage=5, limits=Limits(max_order_qty="0.010"))
    result = runner.run(Quoter())
    assert result.rejects["ORDER_SIZE_LIMIT"] > 0
    refused = [row for row in range(len(result.orders)) if result.orders["qty"][row] > 10]
    reducing = result.orders["reduce_only"]
    assert all(result.orders["state"][row] == OrderState.REJECTED or reducing[row] for row in refused)


def test_a_position_limit_holds_after_every_fill() -> None:
    runner = BacktestRunner(tape(market(3000)), leverage=5, limits=Limits(max_position_qty="0.050"))
    result = runner.run(Quoter(2))
    assert len(result.fills) > 50
    assert abs(result.fills["position"]).max() <= 50


def test_a_breaker_trips_once_and_nothing_new_is_taken_until_it_is_reset() -> None:
    limits = Limits(max_drawdown="0.01")
    runner = BacktestRunner(tape(market(3000)), leverage=5, limits=limits, risk=RiskConfig(on_trip="cancel"))
    result = runner.run(Quoter(2))
    assert result.trips == 1
    assert sum(count for name, count in result.rejects.items() if "DRAWDOWN" in name) > 0


def test_what_may_not_be_traded_is_refused() -> None:
    runner = BacktestRunner(tape(market(300)), risk=RiskConfig(allowed=("other:*",)))
    result = runner.run(Quoter())
    assert len(result.fills) == 0
    assert len(result.rejects) == 1


STRATEGY = """
from libchronicle.strategy import Side, Strategy

class Small(Strategy):
    def on_start(self, ctx):
        self.heard = 0

    def on_book(self, ctx, book):
        self.heard += 1
        if self.heard == 1:
            ctx.send(book.instrument.market(Side.BUY, ctx.params.qty))
"""

TOML = """
version = 1
id = "small"
file = "small.py"
class = "Small"
subscribe = ["{name}"]
kinds = ["book"]

[params]
qty = 3

[limits]
max_order_qty = "0.005"
"""


def test_a_strategys_toml_runs_in_a_backtest_without_a_changed_line(tmp_path: Path) -> None:
    (tmp_path / "small.py").write_text(STRATEGY)
    toml = tmp_path / "small.toml"
    toml.write_text(TOML.format(name=NAME))
    result = BacktestRunner.from_toml(toml, tape(market(50))).run()
    assert result.fills["qty"].tolist() == [3]
    assert result.params == {"qty": 3}
    larger = BacktestRunner.from_toml(toml, tape(market(50)), params={"qty": 9}).run()
    assert larger.rejects == {"ORDER_SIZE_LIMIT": 1}


def test_a_run_without_a_strategy_is_misuse() -> None:
    with pytest.raises(MisuseError, match="from_toml"):
        BacktestRunner(tape(market(10))).run()


class Own:
    """A latency model of the user's."""

    def entry(self, now_ns: int) -> int:
        return 2_000_000

    def response(self, now_ns: int) -> int:
        return 1_000_000


def test_latency_models_of_every_kind_are_taken_and_a_seed_decides() -> None:
    def hashed(**settings: object) -> str:
        return (
            BacktestRunner(tape(market(1500)), leverage=5, queue=ProbQueue(2), **settings).run(Quoter()).hash
        )  # type: ignore[arg-type]

    jitter = JitterLatency(500, 500, sigma=0.5)
    assert hashed(latency=jitter, seed=1) == hashed(latency=jitter, seed=1)
    assert hashed(latency=jitter, seed=1) != hashed(latency=jitter, seed=2)
    assert hashed(latency=Own()) == hashed(latency=ConstantLatency(2000, 1000))


def test_time_told_to_a_strategy_never_goes_back_whatever_the_latency() -> None:
    strategy = Quoter(9)
    latency = JitterLatency(3000, 3000, sigma=1.5)
    BacktestRunner(tape(market(2500)), leverage=5, latency=latency).run(strategy)
    times = [row[1] for row in strategy.heard]
    assert times == sorted(times)


def test_exec_ids_are_contiguous_from_one() -> None:
    class Counts(Quoter):
        def on_start(self, ctx: Context) -> None:
            super().on_start(ctx)
            self.ids: list[int] = []

        def on_order(self, ctx: Context, update: object) -> None:
            self.ids.append(update.exec_id)  # type: ignore[attr-defined]

    strategy = Counts(3)
    BacktestRunner(tape(market(1500)), leverage=5).run(strategy)
    missing = set(range(1, strategy.ids[-1] + 1)) - set(strategy.ids)
    assert strategy.ids == sorted(strategy.ids)
    assert (
        len(missing) < len(strategy.ids) // 10
    )  # refused cancels of orders that are gone name no instrument
