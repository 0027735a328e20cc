"""Breakers: what trips them, and how they reset."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libchronicle.errors import BadAmount
from libchronicle.portfolio import Account, InstrumentTerms, money
from libchronicle.protocol import ContractKind, RejectCode, Side
from libchronicle.risk import Breach, Breakers, Proposal, RiskGate, RoundTrips

DAY = 86_400 * 10**9
S = 10**9
LINEAR = InstrumentTerms(1, 1, 1, 0, 0, kind=ContractKind.LINEAR, name="f:X", settle_currency="USDT")


def test_a_drawdown_is_measured_from_the_peak() -> None:
    b = Breakers(max_drawdown=100)
    steps = [(1000, None), (1050, None), (951, None), (1200, None), (1101, None)]
    for at, (equity, expected) in enumerate(steps):
        assert b.equity(money(equity), at) is expected
    assert b.peak == money(1200)
    breach = Breach(RejectCode.DRAWDOWN_LIMIT, money(100), money(101))
    assert b.equity(money(1099), 9) == breach
    assert b.tripped(10) == breach
    assert b.equity(money(1000), 11) is None  # it has tripped already
    assert b.tripped(300 * DAY) == breach  # only a person resets it
    b.reset()
    assert b.tripped(300 * DAY) is None
    assert b.equity(money(950), 300 * DAY) is None  # from 1000 on
    assert b.equity(money(900), 300 * DAY) == Breach(RejectCode.DRAWDOWN_LIMIT, money(100), money(100))


def test_a_daily_loss_is_measured_from_the_days_start() -> None:
    b = Breakers(max_daily_loss="50.5", reset="day")
    assert b.equity(money(1000), 10 * DAY) is None
    assert b.equity(money("949.6"), 10 * DAY + 1) is None
    assert b.equity(money("949.6"), 11 * DAY) is None  # a new day begins at 949.6
    assert b.equity(money("900"), 11 * DAY + S) is None
    assert b.equity(money("899.1"), 11 * DAY + 2 * S) == Breach(
        RejectCode.DAILY_LOSS_LIMIT, money("50.5"), money("50.5")
    )
    assert b.tripped(12 * DAY - 1) is not None
    assert b.tripped(12 * DAY) is None
    assert b.equity(money("848.7"), 12 * DAY) is None


def test_losses_in_a_row_trip_and_cool_down() -> None:
    b = Breakers(max_losses_in_a_row=3, reset="cooldown", cooldown_s=60)
    results = [-1, -1, 5, -1, 0, -1]  # one that brings nothing neither counts nor ends the row
    assert [b.result(result, at) for at, result in enumerate(results)] == [None] * 6
    assert b.losses == 2
    assert b.result(-1, 10 * S) == Breach(RejectCode.LOSS_STREAK, 3, 3)
    assert b.tripped(70 * S - 1) is not None
    assert b.tripped(70 * S) is None
    assert b.losses == 0


def test_a_reset_policy_that_is_none_is_refused() -> None:
    with pytest.raises(BadAmount, match="manual, day, cooldown"):
        Breakers(reset="never")


@given(st.lists(st.integers(-1000, 1000), max_size=50), st.integers(1, 2000))
def test_it_trips_exactly_when_the_peak_is_that_far_above(moves, limit) -> None:
    b, equity, peak = Breakers(max_drawdown=limit), 0, 0
    b.equity(0, 0)
    for move in moves:
        equity += move
        peak = max(peak, equity)
        tripped = b.equity(money(equity), 1)
        assert (tripped is not None) == (peak - equity >= limit)
        if tripped:
            return


def test_a_round_trip_ends_flat_or_where_the_position_turns() -> None:
    trips = RoundTrips()
    #       position, net so far, result
    steps = [(5, -1, None), (8, -2, None), (3, 10, None), (0, 12, 12), (-4, 11, None), (2, 5, -7), (0, 9, 4)]
    for qty, net, result in steps:
        assert trips.moved("x", qty, net) == result
    trips.begin("y", 5, 100)
    assert trips.moved("y", 0, 90) == -10
    assert trips.moved("x", 0, 9) is None


def test_what_a_restart_has_interrupted_stays_tripped_until_its_policy_says() -> None:
    for reset, cooldown_s, until in (
        ("manual", 0, None),
        ("day", 0, 6 * DAY),
        ("cooldown", 60, 5 * DAY + 70 * S),
    ):
        b = Breakers(max_drawdown=100, reset=reset, cooldown_s=cooldown_s)
        b.trip(RejectCode.DRAWDOWN_LIMIT, 5, 7, 5 * DAY + 10 * S)
        assert b.tripped(5 * DAY + 20 * S) == Breach(RejectCode.DRAWDOWN_LIMIT, 5, 7)
        assert b.equity(money(3), 5 * DAY + 30 * S) is None
        assert b.tripped(until - 1 if until else 99 * DAY) is not None
        assert until is None or b.tripped(until) is None


def test_other_limits_take_over_what_was_measured() -> None:
    former, later = Breakers(max_drawdown=100), Breakers(max_drawdown=50)
    former.equity(money(500), 1)
    former.equity(money(460), 2)
    later.take_over(former)
    assert later.peak == money(500)
    assert later.equity(money(450), 3) == Breach(RejectCode.DRAWDOWN_LIMIT, money(50), money(50))
    again = Breakers(max_drawdown=500)
    again.take_over(later)
    assert again.tripped(9) is not None


def test_a_gate_trips_on_equity_and_still_lets_a_position_go() -> None:
    account = Account(1000, leverage=10)
    account.add(LINEAR)
    gate = RiskGate(account, None, breakers=Breakers(max_drawdown=100))
    gate.after_mark(0)
    account.trade(0, Side.BUY, 100, 10)
    assert gate.after_fill(0, 0, 1) is None
    account.mark(0, 91)
    assert gate.after_mark(2) is None
    account.mark(0, 90)
    assert gate.after_mark(3) == Breach(RejectCode.DRAWDOWN_LIMIT, money(100), money(100))

    def code(order: Proposal) -> RejectCode | None:
        breach = gate.check(0, order, best_bid=90, best_ask=91, now_ns=4)
        return breach and breach.code

    assert code(Proposal(True, 1, 90)) == RejectCode.DRAWDOWN_LIMIT
    assert code(Proposal(False, 10, 90)) is None
    assert code(Proposal(False, 11, 90)) == RejectCode.DRAWDOWN_LIMIT
    gate.breakers.reset()
    assert code(Proposal(True, 1, 90)) is None


def test_a_gate_counts_round_trips_with_their_fees() -> None:
    from libchronicle.portfolio import MakerTaker

    account = Account(1000, leverage=10, fees=MakerTaker(100, 100))
    account.add(LINEAR)
    gate = RiskGate(account, None, breakers=Breakers(max_losses_in_a_row=2))
    for buy_at, sell_at in ((100, 101), (100, 101)):  # a profit of 1 less fees of 2.01
        for side, price, before in ((Side.BUY, buy_at, 0), (Side.SELL, sell_at, 1)):
            account.trade(0, side, price, 1)
            found = gate.after_fill(0, before, 1)
    assert found == Breach(RejectCode.LOSS_STREAK, 2, 2)
