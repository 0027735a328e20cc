"""Funding of contracts in a backtest, by hand."""

from __future__ import annotations

import itertools
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from libchronicle.backtest import BacktestResult, BacktestRunner, ConstantLatency
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
    found = list(itertools.islice(payments({"x:a": 0.0001, "x:b": "-0.00005"}, START), 4))
    assert [(name, rate) for _, name, rate in found] == [("x:a", 10_000), ("x:b", -5_000)] * 2
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


class Acts(Strategy):
    """Sends market orders of these quantities at these times after the start."""

    def __init__(self, orders: dict[int, int]) -> None:
        self.orders = orders

    def on_start(self, ctx: Context) -> None:
        for ms in self.orders:
            ctx.set_timer(str(ms), at_ns=START + ms * MS)

    def on_timer(self, ctx: Context, name: str) -> None:
        qty = self.orders[int(name)]
        ctx.send(ctx.instrument(NAME).market(Side.BUY if qty > 0 else Side.SELL, abs(qty)))


@pytest.mark.parametrize("feed_us", [0, 100])
@pytest.mark.parametrize("recorded", [True, False], ids=["a record then", "none"])
@pytest.mark.parametrize("late_ms", [0, 1])
@pytest.mark.parametrize(
    ("orders", "pays"),
    [({500: 7}, True), ({1000: 7}, False), ({500: 7, 1000: -7}, True), ({500: 7, 1000: -14}, True)],
    ids=["held", "opened then", "closed then", "turned then"],
)
def test_funding_is_of_what_is_held_as_its_time_comes(
    orders: dict[int, int], pays: bool, late_ms: int, recorded: bool, feed_us: int
) -> None:
    """Orders that reach the venue at that very time come after it, whether or not a market record comes then."""
    (start, _), (_, snapshot), *_ = market(1)
    times = [start, START + 2000 * MS, *([START + 1000 * MS] if recorded else [])]
    data = tape([(start, definition(kind=ContractKind.LINEAR)), *((ts, snapshot) for ts in sorted(times))])
    sent = {ms - late_ms: qty for ms, qty in orders.items()}
    latency = ConstantLatency(late_ms * 1000, 0, feed_us=feed_us)
    settings: dict[str, Any] = {"cash": 100_000, "leverage": 10, "latency": latency}
    due = {NAME: [(START + 1000 * MS, "0.001")]}
    result = BacktestRunner(data, instruments=[NAME], funding=due, **settings).run(Acts(sent))
    assert len(result.fills) == len(orders)
    assert (int(result.equity["funding"][-1]) > 0) == pays


def test_a_rate_for_spot_is_refused_when_it_would_be_paid() -> None:
    due = {NAME: [(START + 500 * MS, "0.001")]}
    with pytest.raises(InvalidArgument, match=f"funding: {NAME} is 'spot'"):
        BacktestRunner(tape(market(2000, seed=4)), instruments=[NAME], funding=due).run(Holds(Side.BUY))


@pytest.mark.parametrize(
    "funding",
    [
        5,
        [1],
        {"AAAUSD": "0.1"},
        {5: "0.1"},
        {NAME: [(START, "0.1"), (START, "0.2")]},
        {NAME: [(None, "0.1")]},
        {NAME: [(float("nan"), "0.1")]},
        {NAME: [(-5, "0.1")]},
        {NAME: [(1 << 70, "0.1")]},
    ],
)
def test_times_and_names_that_are_none_are_refused_at_once(funding: Any) -> None:
    with pytest.raises(InvalidArgument):
        BacktestRunner(tape(market(10)), funding=funding)


@pytest.mark.parametrize("told", ["much", 2, [("2024-08-08", "x")], 5.0, [1, 2]])
def test_a_rate_that_is_none_is_refused_at_once(told: Any) -> None:
    with pytest.raises(InvalidArgument, match=NAME):
        BacktestRunner(tape(market(10)), funding={NAME: told})


def test_a_liquidation_is_told_as_one() -> None:
    assert RejectCode.LIQUIDATION.value == 29
