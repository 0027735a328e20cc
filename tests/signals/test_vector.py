"""The vector of 13 and its neighbours: by hand, and beside a slow reference over random markets."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from feature_market import DAY, QTY, S, delta, feed, random_market, snapshot, trade
from feature_reference import History

from libchronicle.protocol import Side
from libchronicle.signals import (
    Acceleration,
    AverageRange,
    DepthRatio,
    FeatureSet,
    Imbalance,
    Microprice,
    Momentum,
    NumericFeature,
    OrderFlowImbalance,
    Pressure,
    Spread,
    Toxicity,
    TradeFlowImbalance,
    Volatility,
    VolumeSurge,
    VwapDeviation,
    WeightedImbalance,
    ZScore,
)

T = DAY  # a grid point
BIDS = [(9990, 3000), (9980, 1000), (9950, 2000)]
ASKS = [(10010, 1000), (10030, 500)]
BOOK = snapshot(T + 1, BIDS, ASKS)


def value_of(feature: NumericFeature, *records: tuple, at: int = 0) -> float | None:
    features = feed(FeatureSet([feature]), *records)
    (value,) = features.vector(at)
    return None if math.isnan(value) else value


def mids(*prices: int, step: int = S) -> list[tuple]:
    """The mid takes these values (mantissas), each in the middle of its own step."""
    first, *others = prices
    records = [snapshot(T + step // 2, [(first - 10, 5)], [(first + 10, 5)])]
    for n, price in enumerate(others, 1):
        before = prices[n - 1]
        gone = [] if before == price else [(before - 10, 0)], [] if before == price else [(before + 10, 0)]
        records.append(
            delta(T + n * step + step // 2, [*gone[0], (price - 10, 5)], [*gone[1], (price + 10, 5)])
        )
    return records


# ---------------------------------------------------------------- of one moment


def test_the_vector_has_thirteen_columns_in_a_stated_order() -> None:
    assert FeatureSet().names == (
        "volatility_60s",
        "momentum_10s_bps",
        "imbalance_5",
        "weighted_imbalance_5",
        "spread_bps",
        "depth_ratio_10",
        "bid_pressure_10",
        "ask_pressure_10",
        "vwap_60s_bps",
        "trade_flow_10s",
        "toxicity_50",
        "acceleration_10s",
        "surge_10s_300s",
    )


def test_spread_is_in_hundredths_of_a_percent_of_the_mid() -> None:
    assert value_of(Spread(), BOOK) == pytest.approx((100.10 - 99.90) / 100.0 * 1e4)


def test_imbalance_is_of_the_quantity_of_the_best_levels() -> None:
    assert value_of(Imbalance(2), BOOK) == (4000 - 1500) / (4000 + 1500)


def test_weighted_imbalance_halves_the_weight_from_level_to_level() -> None:
    bids, asks = 3000 + 0.5 * 1000 + 0.25 * 2000, 1000 + 0.5 * 500
    assert value_of(WeightedImbalance(5), BOOK) == pytest.approx((bids - asks) / (bids + asks))
    assert value_of(WeightedImbalance(2, decay=1), BOOK) == (4000 - 1500) / (4000 + 1500)


def test_depth_ratio_is_bids_over_asks() -> None:
    assert value_of(DepthRatio(10), BOOK) == 6000 / 1500
    assert value_of(DepthRatio(1), BOOK) == 3.0


def test_pressure_counts_a_level_by_how_near_it_is() -> None:
    bid, ask = feed(FeatureSet([Pressure(10)]), BOOK).vector()
    assert bid == pytest.approx(3.0 + 1.0 * 10 / 20 + 2.0 * 10 / 50)
    assert ask == pytest.approx(1.0 + 0.5 * 10 / 30)


def test_microprice_leans_to_the_side_with_less() -> None:
    assert value_of(Microprice(), BOOK) == pytest.approx((99.9 * 1.0 + 100.1 * 3.0) / 4.0)


# ---------------------------------------------------------------- of the mid


def test_volatility_is_annualised_by_its_own_step() -> None:
    prices = (10_000, 10_100, 10_100, 10_050)
    a, b, c = math.log(1.01), 0.0, math.log(10_050 / 10_100)
    mean = (a + b + c) / 3
    deviation = math.sqrt(((a - mean) ** 2 + (b - mean) ** 2 + (c - mean) ** 2) / 2)
    found = value_of(Volatility(3), *mids(*prices), at=T + 4 * S)
    assert found == pytest.approx(deviation * math.sqrt(365 * 86_400))
    half = value_of(Volatility(1.5, step_ms=500), *mids(*prices, step=S // 2), at=T + 2 * S)
    assert half == pytest.approx(deviation * math.sqrt(365 * 86_400 * 2))
    year = value_of(Volatility(3, year_s=252 * 23_400), *mids(*prices), at=T + 4 * S)
    assert year == pytest.approx(deviation * math.sqrt(252 * 23_400))


def test_volatility_waits_for_its_window_and_sees_nothing_of_the_step_that_is_open() -> None:
    feature = Volatility(3)
    features = feed(FeatureSet([feature]), *mids(10_000, 10_100, 10_200, 10_300))
    assert features["volatility_3s"] is None
    assert features.vector(T + 4 * S - 1)[0] != features.vector(T + 4 * S - 1)[0]
    settled = features.vector(T + 4 * S)[0]
    feed(features, delta(T + 4 * S + 1, [(10_290, 0), (9_000, 5)]))
    assert features["volatility_3s"] == settled


def test_a_quiet_market_is_one_that_does_not_move() -> None:
    assert value_of(Volatility(3), *mids(10_000, 10_100), at=T + 1_000 * S) == 0.0


def test_momentum_is_since_the_grid_point_a_window_ago() -> None:
    records = mids(10_000, 10_100, 10_300, 10_400)
    assert value_of(Momentum(2), *records) == pytest.approx((10_400 / 10_000 - 1) * 1e4)
    assert value_of(Momentum(2), *records, at=T + 4 * S) == pytest.approx((10_400 / 10_100 - 1) * 1e4)
    assert value_of(Momentum(4), *records) is None


def test_acceleration_is_the_change_of_speed_per_second() -> None:
    records = mids(10_000, 10_050, 10_100, 10_200, 10_400)
    now, before = (10_400 / 10_100 - 1) * 1e4 / 2, (10_100 / 10_000 - 1) * 1e4 / 2
    assert value_of(Acceleration(2), *records, at=T + 5 * S) == pytest.approx((now - before) / 2)


def test_the_average_range_is_that_of_whole_bars_with_the_close_before_each() -> None:
    prices = (
        10_000,
        10_050,
        9_990,
        10_010,
        10_200,
        10_100,
    )  # bars of 2 s: the first is only begun, so not one
    found = value_of(AverageRange(2, bar_s=2), *mids(*prices), at=T + 6 * S)
    first = max(10_050, 10_010) - min(9_990, 10_010)  # opens at 10,050, the close before
    second = 10_200 - 10_010
    assert found == pytest.approx((first + second) / 2 / 10_100 * 1e4)


# ---------------------------------------------------------------- of trades


def test_vwap_deviation_is_that_of_the_mid_from_what_was_paid() -> None:
    trades = [trade(T + 2 * S, 10_000, 30), trade(T + 3 * S, 10_100, 10, Side.SELL)]
    vwap = (10_000 * 30 + 10_100 * 10) / 40
    assert value_of(VwapDeviation(2), BOOK, *trades) == pytest.approx((10_000 / vwap - 1) * 1e4)
    assert value_of(VwapDeviation(2), BOOK, *trades, at=T + 5 * S) == pytest.approx(
        (10_000 / 10_100 - 1) * 1e4
    )
    assert value_of(VwapDeviation(2), BOOK, *trades, at=T + 6 * S) is None


def test_trade_flow_is_what_takers_bought_less_what_they_sold() -> None:
    trades = [
        trade(T + 2 * S, 10_000, 30),
        trade(T + 3 * S, 10_000, 10, Side.SELL),
        trade(T + 3 * S, 10_000, 99, Side.NONE),
    ]
    assert value_of(TradeFlowImbalance(2), BOOK, *trades) == (30 - 10) / 40
    assert value_of(TradeFlowImbalance(2), BOOK, *trades, at=T + 5 * S) == -1.0
    assert value_of(TradeFlowImbalance(2), BOOK, *trades, at=T + 6 * S) == 0.0
    assert value_of(TradeFlowImbalance(3), BOOK, *trades) is None


def test_a_surge_is_volume_per_second_beside_the_usual() -> None:
    trades = [trade(T + n * S, 10_000, 10) for n in range(1, 6)] + [trade(T + 6 * S, 10_000, 100)]
    found = value_of(VolumeSurge(1, 4), BOOK, *trades)
    assert found == pytest.approx((110 / 1) / ((40 + 100) / 4))
    assert value_of(VolumeSurge(1, 4), BOOK, *trades, at=T + 11 * S) is None


def test_toxicity_is_the_mean_lean_of_equal_volumes() -> None:
    trades = [
        trade(T + 10, 1, 6_000),  # bucket of 10: 6 bought, then 4 of the 9 sold: lean 2
        trade(T + 11, 1, 9_000, Side.SELL),  # 5 sold in the next
        trade(T + 12, 1, 5_000),  # lean 0
        trade(T + 13, 1, 25_000),  # two of lean 10, 5 left over
    ]
    assert value_of(Toxicity(4, bucket_qty=10), BOOK, *trades) == pytest.approx((2 + 0 + 10 + 10) / (4 * 10))
    assert value_of(Toxicity(2, bucket_qty=10), BOOK, *trades) == 1.0
    assert value_of(Toxicity(5, bucket_qty=10), BOOK, *trades) is None


def test_a_trade_larger_than_all_buckets_fills_them_and_leaves_its_rest() -> None:
    huge = trade(T + 10, 1, 123_456_789_000_001)
    assert value_of(Toxicity(3, bucket_qty=10), BOOK, huge) == 1.0
    neither = trade(T + 10, 1, 123_456_789_000_000, Side.NONE)
    assert value_of(Toxicity(3, bucket_qty=10), BOOK, neither) == 0.0


def test_a_bucket_that_is_not_given_is_learnt_and_nothing_learnt_from_is_in_one() -> None:
    toxicity = Toxicity(2, learn_s=10, bucket_s=5)
    early = [trade(T + 1 + n * S, 1, 2_000, Side.SELL) for n in range(10)]  # 20 in 10 s: 10 in 5 s
    late = [trade(T + 10 * S + 1, 1, 15_000), trade(T + 11 * S, 1, 5_000, Side.SELL)]
    assert value_of(toxicity, BOOK, *early, *late) == pytest.approx((10 + 0) / 20)


def test_order_flow_imbalance_follows_its_four_cases() -> None:
    records = [
        BOOK,
        delta(T + 2 * S, bids=[(9990, 3500)]),  # grown by 500
        delta(T + 2 * S + 1, asks=[(10010, 400)]),  # 600 gone from the ask
        delta(T + 2 * S + 2, bids=[(10000, 70)]),  # a better bid of 70
        delta(T + 2 * S + 3, asks=[(10010, 0)]),  # the ask of 400 gives way
        delta(T + 2 * S + 4, bids=[(10000, 0)]),  # the bid of 70 gives way
        trade(T + 2 * S + 5, 10000, 999),
    ]
    assert value_of(OrderFlowImbalance(1), *records) == pytest.approx((500 + 600 + 70 + 400 - 70) / QTY)
    assert value_of(OrderFlowImbalance(2), *records) is None
    assert value_of(OrderFlowImbalance(1), *records, at=T + 4 * S) == 0.0


def test_a_z_score_is_of_the_samples_before_now() -> None:
    records = mids(10_000, 10_010, 10_030, 10_100)
    spreads = [20 / p * 1e4 for p in (10_000, 10_010, 10_030)]
    mean = sum(spreads) / 3
    deviation = math.sqrt(sum((s - mean) ** 2 for s in spreads) / 2)
    found = value_of(ZScore(Spread(), 3), *records)
    assert found == pytest.approx((20 / 10_100 * 1e4 - mean) / deviation, rel=1e-6)
    assert value_of(ZScore(Spread(), 4), *records) is None
    assert value_of(ZScore(Spread(), 3), *mids(*[10_000] * 5)) is None  # nothing varies: no scale


# ---------------------------------------------------------------- beside the reference

CASES: dict[str, tuple[Callable[[], NumericFeature], Callable[[History, int], float | None]]] = {
    "volatility": (lambda: Volatility(20), lambda h, now: h.volatility(now, 20)),
    "volatility, fast": (lambda: Volatility(2, step_ms=100), lambda h, now: h.volatility(now, 20, S // 10)),
    "momentum": (lambda: Momentum(10), lambda h, now: h.momentum(now, 10)),
    "acceleration": (lambda: Acceleration(5), lambda h, now: h.acceleration(now, 5)),
    "imbalance": (lambda: Imbalance(5), lambda h, _: h.imbalance(5)),
    "weighted": (lambda: WeightedImbalance(4, decay=0.7), lambda h, _: h.imbalance(4, 0.7)),
    "spread": (Spread, lambda h, _: h.spread()),
    "depth ratio": (lambda: DepthRatio(3), lambda h, _: h.depth_ratio(3)),
    "vwap": (lambda: VwapDeviation(7), lambda h, now: h.vwap(now, 7)),
    "trade flow": (lambda: TradeFlowImbalance(5), lambda h, now: h.trade_flow(now, 5)),
    "surge": (lambda: VolumeSurge(3, 20), lambda h, now: h.surge(now, 3, 20)),
    "toxicity": (lambda: Toxicity(8, bucket_qty=7.5), lambda h, _: h.toxicity(8, Fraction(7_500), 0)),
    "ofi": (lambda: OrderFlowImbalance(5), lambda h, now: h.ofi(now, 5)),
    "microprice": (Microprice, lambda h, _: h.microprice()),
}


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("name", CASES)
def test_a_feature_kept_up_record_by_record_equals_its_definition_over_the_whole_history(
    name: str, seed: int
) -> None:
    print(f"seed {seed}")
    make, defined = CASES[name]
    features, history, known = FeatureSet([make()]), History(), 0
    records = list(random_market(seed, 700))
    for n, ((ts, message), (next_ts, _)) in enumerate(pairwise(records)):
        feed(features, (ts, message))
        history.take(ts, message)
        if n % 5 == 4:
            continue  # it is not looked at every time
        now = ts + (next_ts - ts) * (n % 5) // 3 * (n % 2)  # at times later than the record, as a timer is
        (found,) = features.vector(now)
        wanted = defined(history, now)
        assert math.isnan(found) == (wanted is None), (n, found, wanted)
        if wanted is not None:
            assert found == pytest.approx(wanted, rel=1e-8, abs=1e-8), n
            known += 1
    assert known > 150


@pytest.mark.parametrize("seed", [4, 5])
def test_pressure_equals_its_definition(seed: int) -> None:
    features, history = FeatureSet([Pressure(6)]), History()
    for ts, message in random_market(seed, 300):
        feed(features, (ts, message))
        history.take(ts, message)
        assert tuple(features.vector()) == pytest.approx(history.pressure(6))
