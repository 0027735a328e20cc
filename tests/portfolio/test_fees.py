"""Fee schedules: tiers by what was traded on the thirty days before, rounding against the account."""

from __future__ import annotations

import copy
import math
import pickle
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libchronicle.errors import BadAmount, FixedPointOverflow
from libchronicle.portfolio import (
    Account,
    FeeSchedule,
    FlatFees,
    InstrumentTerms,
    MakerTaker,
    TieredFees,
    money,
)
from libchronicle.protocol import Side

LINEAR = InstrumentTerms(3, 1, 1, 0, 0, kind=1, name="f:BTCUSDT", settle_currency="USDT")
DAY = 86_400 * 10**9
TIERS = [(0, 2, 5), (1000, 1.6, 4), (5000, 0, 3)]


def traded(schedule: FeeSchedule) -> Account:
    account = Account(10**6, fees=schedule)
    account.add(LINEAR)
    return account


def test_a_tier_holds_from_the_day_after_its_volume_was_reached_for_thirty_days() -> None:
    a = traded(TieredFees(TIERS))
    assert a.trade(0, Side.BUY, 1000, 1, ts_ns=100 * DAY) == money("0.5")
    assert a.trade(0, Side.BUY, 1000, 1, ts_ns=101 * DAY - 1) == money("0.5")  # still today
    assert a.trade(0, Side.BUY, 1000, 1, ts_ns=101 * DAY) == money("0.4")  # 2000 yesterday
    assert a.trade(0, Side.BUY, 1000, 1, maker=True, ts_ns=101 * DAY) == money("0.16")
    assert a.trade(0, Side.BUY, 1000, 5, ts_ns=130 * DAY) == money("2")  # day 100 is thirty days ago
    assert a.trade(0, Side.BUY, 1000, 1, ts_ns=131 * DAY) == money("0.3")  # 7000: day 100 has left
    assert a.trade(0, Side.BUY, 1000, 1, ts_ns=300 * DAY) == money("0.5")
    assert a.trade(0, Side.BUY, 1000, 1, ts_ns=299 * DAY) == money(
        "0.5"
    )  # a clock that steps back opens no day


def test_a_volume_from_before_is_spread_over_the_thirty_days_before() -> None:
    a = traded(TieredFees(TIERS, volume=6000))
    assert a.trade(0, Side.BUY, 1, 100, ts_ns=50 * DAY) == money("0.03")
    assert a.trade(0, Side.BUY, 1, 100, ts_ns=55 * DAY) == money("0.03")  # 25 days of 200, and 100
    assert a.trade(0, Side.BUY, 1, 100, ts_ns=57 * DAY) == money("0.04")  # 23 days of 200, and 200
    assert a.trade(0, Side.BUY, 1, 100, ts_ns=80 * DAY) == money("0.05")


def test_accounts_that_use_one_schedule_do_not_share_their_volume() -> None:
    schedule = TieredFees(TIERS)
    one, other = traded(schedule), traded(schedule)
    one.trade(0, Side.BUY, 1000, 9, ts_ns=DAY)
    assert one.trade(0, Side.BUY, 1000, 1, ts_ns=2 * DAY) == money("0.3")
    assert other.trade(0, Side.BUY, 1000, 1, ts_ns=2 * DAY) == money("0.5")


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 3000)), max_size=60), st.integers(0, 9000))
def test_the_window_is_what_a_list_of_trades_says(steps, start) -> None:
    a, day, trades = traded(TieredFees(TIERS, volume=start)), 400, []
    for gap, value in steps:
        day += gap
        first = trades[0][0] if trades else day
        before = sum(traded_value for when, traded_value in trades if day - 30 <= when < day)
        left = 30 - (day - first)
        kept = Fraction(start, 30) * max(0, left)
        rate = next(taker for volume, _, taker in reversed(TIERS) if before + kept >= volume)
        nearly = any(abs(before + kept - volume) < 1 for volume, _, _ in TIERS)  # the seed's last digits
        fee = a.trade(0, Side.BUY, value, 1, ts_ns=day * DAY)
        assert nearly or fee == math.ceil(Fraction(value * rate, 10_000) * 10**8)
        trades.append((day, value))


def test_a_schedule_is_a_value() -> None:
    for schedule in (
        MakerTaker(-0.5, 4),
        TieredFees(TIERS, volume=7),
        FlatFees("1", "0.5", "2", taker_bps=3),
    ):
        assert pickle.loads(pickle.dumps(schedule)) == schedule
        assert copy.deepcopy(schedule) == schedule
        assert type(copy.copy(schedule)) is type(schedule)
    assert MakerTaker(1, 2) == FeeSchedule.from_bps(1, 2) == FeeSchedule(10_000, 20_000)
    assert MakerTaker(1, 2) != MakerTaker(2, 2)
    assert len({MakerTaker(1, 2), MakerTaker(1, 2)}) == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: MakerTaker("x", 1),
        lambda: MakerTaker(float("nan"), 1),
        lambda: MakerTaker(0, 10_001),
        lambda: FlatFees("a lot"),
        lambda: FlatFees(True),
        lambda: TieredFees([]),
        lambda: TieredFees([(1, 1, 1)]),
        lambda: TieredFees([(0, 1, 1), (0, 2, 2)]),
        lambda: TieredFees([(volume, 1, 1) for volume in range(20)]),
    ],
)
def test_what_is_no_schedule_is_refused(make) -> None:
    with pytest.raises(BadAmount):
        make()


def test_a_fee_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(FixedPointOverflow):
        FeeSchedule(0, 10**9).fee((1 << 62), is_maker=False)
    with pytest.raises(FixedPointOverflow):
        FeeSchedule(1 << 64)
