"""Positions: hand-computed golden ledger, and the identity against an independent ledger of fractions."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libchronicle.errors import FixedPointOverflow
from libchronicle.portfolio import MONEY_EXPONENT, FeeSchedule, InstrumentTerms, Position
from libchronicle.protocol import ContractKind

SPOT = InstrumentTerms(1, tick_size=1, lot_size=1, price_exponent=-2, qty_exponent=-5)
LINEAR = InstrumentTerms(2, 1, 1, -1, -3, kind=ContractKind.LINEAR, contract_size=1000)
FINE = InstrumentTerms(3, 1, 1, -8, -8)
INVERSE = InstrumentTerms(4, 1, 1, -1, 0, kind=ContractKind.INVERSE, contract_size=100)
UNIT = 10**-MONEY_EXPONENT


def money(text: str) -> int:
    return int(Fraction(text) * UNIT)


def test_average_cost_partial_close_flip_and_short_agree_with_a_hand_computed_ledger() -> None:
    p = Position(SPOT)
    #        qty (1e-5), price (0.01), realised by this fill, position, average price
    steps = [
        (100_000, 6_000_000, "0", 100_000, 6_000_000),  # buy 1 @ 60000
        (100_000, 6_200_000, "0", 200_000, 6_100_000),  # buy 1 @ 62000: average 61000
        (-50_000, 6_300_000, "1000", 150_000, 6_100_000),  # sell 0.5 @ 63000: +0.5 × 2000
        (-200_000, 6_000_000, "-1500", -50_000, 6_000_000),  # sell 2 @ 60000: -1.5 × 1000, short 0.5 @ 60000
        (-50_000, 5_800_000, "0", -100_000, 5_900_000),  # short 0.5 more @ 58000: average 59000
        (40_000, 5_900_000, "0", -60_000, 5_900_000),  # cover 0.4 at the average
        (60_000, 5_000_000, "5400", 0, 0),  # cover 0.6 @ 50000: +0.6 × 9000
    ]
    for qty, price, realized, position, average in steps:
        assert p.apply(qty, price) == money(realized)
        assert (p.qty, p.average_price) == (position, average)
    assert p.realized == p.cash == money("4900")
    assert p.cost == 0


def test_a_linear_contract_of_one_unit_counts_like_spot() -> None:
    p = Position(LINEAR)
    p.apply(10, 600_000)  # 0.010 @ 60000.0
    assert p.apply(-10, 601_000) == money("1")  # +100 × 0.01
    assert p.unrealized(0) == 0


def test_an_inverse_contract_earns_coin_as_the_price_rises() -> None:
    p = Position(INVERSE)  # 100 USD a contract
    p.apply(100, 500_000)  # 10000 USD at 50000.0 = 0.2 coin
    assert p.average_price == 500_000
    assert p.apply(-100, 625_000) == money("0.04")  # 0.2 - 0.16
    p.apply(-50, 500_000)
    assert p.unrealized(400_000) == money("0.025")  # 5000/40000 - 5000/50000


def test_fees_are_kept_apart_and_reduce_equity() -> None:
    p = Position(SPOT)
    schedule = FeeSchedule.from_bps(maker=-0.5, taker=10)
    fee = schedule.fee(SPOT.notional(6_000_000, 100_000), is_maker=False)
    assert fee == money("60")
    p.apply(100_000, 6_000_000, fee)
    assert (p.realized, p.fees, p.equity(6_000_000)) == (0, fee, -fee)
    assert schedule.fee(money("60000"), is_maker=True) == -money("3")


def test_a_fee_is_rounded_against_the_account() -> None:
    schedule = FeeSchedule(maker_rate=-1, taker_rate=1)
    assert schedule.fee(1, is_maker=False) == 1
    assert schedule.fee(1, is_maker=True) == 0


def test_what_does_not_fit_is_an_error_and_changes_nothing() -> None:
    p = Position(SPOT)
    p.apply(1, 1)
    before = (p.qty, p.cost, p.cash, p.realized, p.fees)
    for qty, price in [(1 << 62, 1 << 62), (1 << 40, 1 << 40), (1 << 63, 1)]:
        with pytest.raises(FixedPointOverflow):
            p.apply(qty, price)
        assert (p.qty, p.cost, p.cash, p.realized, p.fees) == before


def test_a_carried_over_position_goes_on_as_if_it_had_never_stopped() -> None:
    one, other = Position(FINE), Position(FINE)
    one.apply(3, 100_000_001)
    one.apply(4, 100_000_003, fee=7)
    other.restore(one.qty, one.cost, one.realized, one.fees)
    for p in (one, other):
        p.apply(-5, 99_999_999)
    assert (one.cash, one.cost, one.realized) == (other.cash, other.cost, other.realized)


terms = st.sampled_from([SPOT, LINEAR, FINE, INVERSE])
fills = st.lists(
    st.tuples(st.integers(-(10**6), 10**6).filter(bool), st.integers(1, 10**7), st.integers(-(10**6), 10**6)),
    max_size=40,
)


def fraction_value(t: InstrumentTerms, price: int, qty: int) -> Fraction:
    p, q = price * Fraction(10) ** t.price_exponent, qty * Fraction(10) ** t.qty_exponent
    size = t.contract_size * Fraction(10) ** t.qty_exponent if t.contract_size else Fraction(1)
    return -q * size / p if t.inverse else q * size * p


@given(terms, fills)
def test_cash_and_inventory_agree_with_an_independent_ledger_at_every_step(t, trades) -> None:
    p = Position(t)
    cash, qty, fees = Fraction(0), 0, 0
    for count, (signed, price, fee) in enumerate(trades, 1):
        p.apply(signed, price, fee)
        cash -= fraction_value(t, price, signed)
        qty += signed
        fees += fee
        assert p.qty == qty
        assert p.fees == fees
        assert p.realized == p.cash + p.cost
        assert (p.cost == 0) or qty != 0
        assert p.realized + p.unrealized(price) == p.cash + (t.signed_value(price, qty) if qty else 0)
        # each fill is rounded once, to half a unit at most: never more drift than that
        assert abs(p.cash - cash * UNIT) <= Fraction(count, 2)


@given(terms, fills)
def test_average_cost_follows_the_textbook_rule(t, trades) -> None:
    p = Position(t)
    qty, cost = 0, Fraction(0)  # exact average cost
    for count, (signed, price, _) in enumerate(trades, 1):
        p.apply(signed, price)
        if qty * signed >= 0:
            cost += fraction_value(t, price, signed)
        elif abs(signed) <= abs(qty):
            cost -= cost * Fraction(abs(signed), abs(qty))
        else:
            cost = fraction_value(t, price, qty + signed)
        qty += signed
        assert abs(p.cost - cost * UNIT) <= 2 * count


@given(st.integers(-(1 << 70), 1 << 70), st.integers(1, 1 << 40))
def test_division_rounds_half_to_even(numerator, denominator) -> None:
    from libchronicle.portfolio.fixed import ceil_div, half_even_div

    assert half_even_div(numerator, denominator) == round(Fraction(numerator, denominator))
    assert ceil_div(numerator, denominator) == -((-numerator) // denominator)
