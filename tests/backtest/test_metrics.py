"""Figures of a run, against other code: pandas, statistics and fractions."""

from __future__ import annotations

import math
import statistics
import sys
from fractions import Fraction
from pathlib import Path

import numpy
import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libchronicle.backtest import BacktestResult, BacktestRunner, ConstantLatency, MakerTaker, ProbQueue
from libchronicle.backtest.metrics import drawdown, grid, of, splits
from libchronicle.protocol import ContractKind, Side
from libchronicle.strategy import Strategy

sys.path.insert(0, str(Path(__file__).parent))
from made_market import NAME, definition, market, tape
from quoter import Quoter

MONEY = 10**8


def run() -> BacktestResult:
    (start, _), *records = market(4000, seed=5)
    return BacktestRunner(
        tape([(start, definition(kind=ContractKind.LINEAR)), *records]),
        latency=ConstantLatency(entry_us=200, response_us=200),
        queue=ProbQueue(power=2),
        fees=MakerTaker(-0.2, 3),
        cash=100_000,
        leverage=10,
        sample_ms=50,
    ).run(Quoter())


@pytest.fixture(scope="module")
def result() -> BacktestResult:
    found = run()
    assert len(found.fills) > 50
    return found


def test_the_parts_of_the_profit_are_the_profit_to_the_last_digit(result: BacktestResult) -> None:
    equity = result.equity["equity"]
    part = splits(result)[0]
    assert part.profit == int(equity[-1]) - int(equity[0])
    assert of(result)["profit_split"]["rest"] == 0
    assert part.fees == int(result.fills["fee"].sum())


def test_spread_and_adverse_selection_by_fractions(result: BacktestResult) -> None:
    """The same sums from decimal prices and quantities, without the valuation the run uses."""
    terms, horizon = definition(), 1_000_000_000
    price, qty = Fraction(10) ** terms.price_exponent, Fraction(10) ** terms.qty_exponent
    marks = [row for row in map(result.marks.row, range(len(result.marks))) if row["bid"] and row["ask"]]

    def middle(bid: int, ask: int) -> Fraction:
        return (bid + (ask - bid) // 2) * price

    spread = adverse = Fraction(0)
    for row in map(result.fills.row, range(len(result.fills))):
        held = (row["qty"] if row["side"] == Side.BUY else -row["qty"]) * qty
        then = middle(row["bid"], row["ask"])
        after = next((one for one in marks if one["ts_ns"] >= row["ts_ns"] + horizon), marks[-1])
        spread += held * (then - row["price"] * price)
        adverse += held * (middle(after["bid"], after["ask"]) - then)
    part = splits(result, horizon)[0]
    assert (Fraction(part.spread, MONEY), Fraction(part.adverse, MONEY)) == (spread, adverse)


def test_sharpe_and_sortino_by_pandas_from_the_actual_sampling(result: BacktestResult) -> None:
    curve = pandas.Series(result.equity["equity"], index=pandas.to_datetime(result.equity["ts_ns"]))
    curve = curve.groupby(level=0).last()
    beats = pandas.date_range(curve.index[0].ceil("50ms"), curve.index[-1], freq="50ms")
    r = curve.reindex(beats, method="ffill").pct_change().dropna()
    yearly = math.sqrt(365 * 86_400 * 20)
    figures = of(result)
    assert figures["sharpe"] == pytest.approx(r.mean() / r.std() * yearly, rel=1e-9)
    assert figures["sortino"] == pytest.approx(
        r.mean() / math.sqrt((r.clip(upper=0) ** 2).mean()) * yearly, rel=1e-9
    )
    assert figures["volatility"] == pytest.approx(statistics.stdev(r) * yearly, rel=1e-9)


def test_the_sharpe_ratio_depends_on_the_year_by_its_root(result: BacktestResult) -> None:
    assert of(result, year_days=252)["sharpe"] == pytest.approx(of(result)["sharpe"] * math.sqrt(252 / 365))


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=60))
def test_drawdown_by_looking_at_every_pair(steps: list[int]) -> None:
    equity = numpy.cumsum(numpy.array([10_000, *steps], dtype=numpy.int64))
    ts = numpy.arange(len(equity), dtype=numpy.int64) * 7
    deepest = max(int(equity[i] - equity[j]) for i in range(len(equity)) for j in range(i, len(equity)))
    longest, high_at = 0, 0
    for i in range(1, len(equity)):
        longest = max(longest, int(ts[i] - ts[high_at]))
        if equity[i] >= equity[: i + 1].max():
            high_at = i
    assert drawdown(ts, equity) == (deepest, longest)


def test_a_beat_takes_the_last_row_at_or_before_it() -> None:
    ts = numpy.array([5, 10, 10, 14, 31], dtype=numpy.int64)
    beats, values = grid(ts, numpy.array([1, 2, 3, 4, 5], dtype=numpy.int64), 10)
    assert (beats.tolist(), values.tolist()) == ([10, 20, 30], [3, 4, 4])


def test_counts_ratios_and_turnover(result: BacktestResult) -> None:
    figures, fills = of(result), result.fills
    exponent = definition().price_exponent + definition().qty_exponent
    traded = sum(int(p) * int(q) for p, q in zip(fills["price"], fills["qty"], strict=True))
    assert figures["turnover"] == pytest.approx(traded * 10.0**exponent, rel=1e-12)
    assert figures["fills"] == len(fills)
    assert figures["orders"] == len(result.orders)
    assert 0 < figures["fill_ratio"] <= 1
    assert figures["split"][NAME]["fills"] == len(fills)
    assert figures["order_to_venue_us"]["p50"] == 200


def test_a_printed_result_tells_profit_fills_and_orders(result: BacktestResult) -> None:
    figures = of(result)
    said = str(result)
    assert (
        f": profit {figures['profit']:,.2f} USD, {figures['fills']:,} fills, {figures['orders']:,} orders, "
        in said
    )
    assert said.endswith(result.hash)


def test_a_run_that_never_trades_has_figures_and_no_ratios() -> None:
    result = BacktestRunner(tape(market(50)), cash=0, instruments=[NAME]).run(Strategy())
    figures = of(result)
    assert figures["profit"] == 0
    assert figures["fills"] == 0
    assert figures["sharpe"] is None
    assert figures["fill_ratio"] is None
    assert figures["return"] is None
