"""Stop-loss and take-profit: the level, the side of the book they look at, and the average true range."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libchronicle.errors import BadAmount
from libchronicle.risk import Exit, Exits

S = 10**9
NONE, STOP, TAKE = Exit.NONE, Exit.STOP_LOSS, Exit.TAKE_PROFIT


def test_a_long_is_left_at_the_bid_and_a_short_at_the_ask() -> None:
    for qty, before, at, expected in (
        (5, (99_001, 99_002), (99_000, 99_500), STOP),
        (5, (101_999, 102_500), (102_000, 102_001), TAKE),
        (-5, (100_500, 100_999), (100_990, 101_000), STOP),
        (-5, (97_000, 98_001), (97_990, 98_000), TAKE),
    ):
        exits = Exits(stop_loss_bps=100, take_profit_bps=200)
        assert exits.on_prices(*before, qty, 100_000, S) == NONE
        assert exits.on_prices(*at, qty, 100_000, 2 * S) == expected


def test_flat_or_without_a_price_there_is_nothing_to_leave() -> None:
    exits = Exits(stop_loss_bps=1)
    assert exits.on_prices(1, 2, 0, 100, S) == NONE
    assert exits.on_prices(0, 2, 5, 100, S) == NONE
    assert exits.on_prices(1, 2, 5, 0, S) == NONE  # the entry price is not known yet


def test_an_exit_is_told_once_and_again_when_it_did_not_help() -> None:
    exits = Exits(stop_loss_bps=100, again_ms=500)
    look = [
        exits.on_prices(90, 91, 5, 100, at)
        for at in (S, S + 1, S + 499_999_999, S + 500_000_000, S + 500_000_001)
    ]
    assert look == [STOP, NONE, NONE, STOP, NONE]
    assert exits.on_prices(90, 91, 3, 100, S + 500_000_002) == STOP  # it filled in part: another quantity
    assert exits.on_prices(90, 91, 0, 0, S + 500_000_003) == NONE
    assert exits.on_prices(90, 91, 3, 100, S + 500_000_004) == STOP  # a new position


def wilder(bars: list[tuple[int, int, int]], count: int) -> Fraction | None:
    """Average true range of (high, low, close) bars, by the book."""
    ranges = []
    for at, (high, low, _) in enumerate(bars):
        before = bars[at - 1][2] if at else None
        ranges.append(
            high - low if before is None else max(high - low, abs(high - before), abs(low - before))
        )
    if len(ranges) < count:
        return None
    average = Fraction(sum(ranges[:count]), count)
    for extent in ranges[count:]:
        average = (average * (count - 1) + extent) / count
    return average


@given(st.lists(st.lists(st.integers(1000, 2000), min_size=1, max_size=5), max_size=30), st.integers(1, 5))
def test_the_average_true_range_is_wilders(bars, count) -> None:
    exits = Exits(stop_loss_atr=1, atr_bars=count, atr_bar_s=1)
    for number, prices in enumerate(bars):
        for at, price in enumerate(prices):
            exits.on_prices(price - 1, price + 1, 0, 0, number * S + at)
    expected = wilder([(max(p), min(p), p[-1]) for p in bars[:-1]], count)
    if expected is None:
        assert exits.atr == 0
    else:
        assert abs(exits.atr - float(expected)) <= 1e-4 * len(bars)


def test_a_stop_by_true_range_takes_the_range_of_the_moment_of_entry() -> None:
    exits = Exits(stop_loss_atr="1.5", take_profit_atr=3, atr_bars=2, atr_bar_s=1)
    for number, price in enumerate([1000, 1010, 1000, 1010]):  # ranges of 0, 10, 10
        exits.on_prices(price - 1, price + 1, 0, 0, number * S)
    assert exits.atr == 7.5  # (0 + 10) / 2, then (5 + 10) / 2
    assert exits.on_prices(1009, 1011, 5, 1000, 3 * S + 1) == NONE
    for number in range(4, 40):
        exits.on_prices(1009, 1011, 5, 1000, number * S)  # nothing moves: the range shrinks
    assert exits.atr < 0.1
    assert exits.on_prices(989, 991, 5, 1000, 41 * S) == NONE  # 1000 - 1.5 × 7.5 = 988.75
    assert exits.on_prices(988, 990, 5, 1000, 42 * S) == STOP


def test_the_nearer_of_two_distances_counts() -> None:
    exits = Exits(stop_loss_bps=50, stop_loss_atr=10, atr_bars=1, atr_bar_s=1)
    for number, price in enumerate([1000, 1010, 1000]):
        exits.on_prices(price, price, 0, 0, number * S)
    assert exits.on_prices(994, 996, 1, 1000, 3 * S) == STOP  # 50 bps = 5, not 10 × 10


@pytest.mark.parametrize(
    "options",
    [
        {"stop_loss_bps": 0},
        {"take_profit_bps": -1},
        {"stop_loss_atr": 0},
        {"take_profit_atr": "x"},
        {"atr_bars": 0},
        {"atr_bar_s": 0},
    ],
)
def test_what_is_no_exit_is_refused(options) -> None:
    with pytest.raises(BadAmount):
        Exits(**options)


def test_nothing_set_is_nothing_done() -> None:
    assert not Exits().is_set
    assert Exits(take_profit_atr=1).is_set
    assert Exits().on_prices(1, 2, 5, 10**9, S) == NONE
