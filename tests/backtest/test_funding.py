"""Funding of contracts in a backtest, by hand."""

from __future__ import annotations

import itertools
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from libchronicle.backtest import BacktestResult, BacktestRunner
from libchronicle.backtest.funding import EVERY_NS, payments
from libchronicle.errors import InvalidArgument
from libchronicle.protocol import ContractKind, RejectCode, Side
from libchronicle.strategy import Book, Context, Strategy

sys.path.insert(0, str(Path(__file__).parent))
from made_market import NAME, START, definition, market, tape

MS = 1_000_000


class Holds(Strategy):
    """Takes once, and holds."""

    def __init__(self, side: Side, qty: int = 7) -> None:
        self.side, self.qty, self.sent = side, qty, False

    def on_book(self, ctx: Context, book: Book) -> None:
        if not self.sent:
            self.sent = True
            ctx.send(book.instrument.market(self.side, self.qty))


def run(side: Side, funding: Any, **more: Any) -> BacktestResult:
    (start, _), *records = market(2000, seed=4)
    data = tape([(start, definition(kind=ContractKind.LINEAR)), *records])
    settings = {"cash": 100_000, "leverage": 10, **more}
    return BacktestRunner(data, instruments=[NAME], funding=funding, sample_ms=1, **settings).run(Holds(side))


def paid_by_hand(result: BacktestResult, times: list[int], rates: list[Fraction]) -> Fraction:
    terms, total = definition(), Fraction(0)
    for time, rate in zip(times, rates, strict=True):
        marks = [
            row
            for row in map(result.marks.row, range(len(result.marks)))
            if row["ts_ns"] <= time and row["bid"]
        ]
        middle = (marks[-1]["bid"] + (marks[-1]["ask"] - marks[-1]["bid"]) // 2) * Fraction(
            10
        ) ** terms.price_exponent
        total += rate * marks[-1]["position"] * Fraction(10) ** terms.qty_exponent * middle
    return total


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_a_long_pays_and_a_short_receives_at_the_middle(side: Side) -> None:
    times = [START + 500 * MS, START + 1200 * MS]
    result = run(side, {NAME: list(zip(times, ("0.001", "-0.0005"), strict=True))})
    paid = Fraction(int(result.equity["funding"][-1]), 10**8)
    by_hand = paid_by_hand(result, times, [Fraction("0.001"), Fraction("-0.0005")])
    assert by_hand != 0
    assert abs(paid - by_hand) <= Fraction(2, 10**8)  # each payment is rounded against the account
    assert paid >= by_hand
    free = run(side, None)
    assert int(free.equity["equity"][-1]) - int(result.equity["equity"][-1]) == int(
        result.equity["funding"][-1]
    )
    assert result.metrics["profit_split"]["rest"] == 0
    assert free.hash != result.hash


def test_funding_that_the_account_cannot_pay_ends_in_liquidation() -> None:
    held = run(Side.BUY, None, cash=3, leverage=5)
    assert held.liquidations == 0
    result = run(Side.BUY, {NAME: [(START + 500 * MS, "0.9")]}, cash=3, leverage=5)
    assert result.liquidations == 1
    assert int(result.marks["position"][-1]) == 0


def test_a_constant_rate_is_paid_at_the_hours_of_the_venue() -> None:
    found = list(itertools.islice(payments({"a": 0.0001, "b": "-0.00005"}, START), 4))
    assert [(name, rate) for _, name, rate in found] == [("a", 10_000), ("b", -5_000)] * 2
    assert all(time % EVERY_NS == 0 and time > START for time, _, _ in found)


def test_a_payment_before_the_start_or_of_a_stranger_moves_nothing() -> None:
    result = run(Side.BUY, {NAME: [(START - 1, "0.5")], "elsewhere:BBB": [(START + 500 * MS, "0.5")]})
    assert int(result.equity["funding"][-1]) == 0


def test_rates_that_can_be_read_but_once_are_paid_in_every_run() -> None:
    (start, _), *records = market(2000, seed=4)
    data = tape([(start, definition(kind=ContractKind.LINEAR)), *records])
    rates = zip([START + 500 * MS], ["0.001"], strict=True)
    runner = BacktestRunner(data, instruments=[NAME], funding={NAME: rates}, leverage=10)
    first, second = (int(runner.run(Holds(Side.BUY)).equity["funding"][-1]) for _ in range(2))
    assert first == second > 0


@pytest.mark.parametrize("told", ["much", 2, [("2024-08-08", "x")], 5.0, [1, 2]])
def test_a_rate_that_is_none_is_refused_at_once(told: Any) -> None:
    with pytest.raises(InvalidArgument, match=NAME):
        BacktestRunner(tape(market(10)), funding={NAME: told})


def test_a_liquidation_is_told_as_one() -> None:
    assert RejectCode.LIQUIDATION.value == 29
