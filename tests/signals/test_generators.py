"""Signals: golden vectors of the imbalance signal, every branch of generators, filters, sizing and ensembles."""

from __future__ import annotations

import math
import random
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from feature_market import feed, random_market

from libchronicle.errors import InvalidArgument, MisuseError
from libchronicle.protocol import Side
from libchronicle.signals import (
    Ensemble,
    FeatureSet,
    Imbalance,
    ImbalanceSignal,
    MomentumFilter,
    NoSignal,
    PositionSizer,
    Regimes,
    Signal,
    SignalGenerator,
    Spread,
    SpreadFilter,
    Suppressed,
    VolatilityFilter,
)

MS = 1_000_000
START = 1_723_075_200_000_000_000


class Fixed(SignalGenerator):
    """Gives what it is told."""

    def __init__(self, outcome: Any, **options: Any) -> None:
        super().__init__(**options)
        self.name = "fixed"
        self.outcome = outcome

    def decide(self, values: Any, now_ns: int) -> Any:
        return self.outcome


def buy(strength: float = 0.5, confidence: float = 0.8) -> Signal:
    return Signal(Side.BUY, strength, confidence, START, "test")


def sell(strength: float = 0.5, confidence: float = 0.8) -> Signal:
    return Signal(Side.SELL, strength, confidence, START, "test")


def run(generator: SignalGenerator, points: list[tuple[int, float | None]]) -> list[Any]:
    """Outcomes for (ms, imbalance)."""
    return [generator({"imbalance_5": x}, START + ms * MS) for ms, x in points]


def told(outcome: Any) -> tuple[Any, ...]:
    if isinstance(outcome, Signal):
        return outcome.side.name, round(outcome.strength, 6), round(outcome.confidence, 6)
    if isinstance(outcome, Suppressed):
        return "held", outcome.reason, *told(outcome.signal)
    return "none", outcome.reason


# ---------------------------------------------------------------- the imbalance signal


def confidence(history: list[tuple[int, float]], memory: int = 1_000) -> float:
    """By its definition: the integral over the past of x, each moment weighted by its age, in steps of 1 ms."""
    weights = mean = square = 0.0
    now = history[-1][0]
    for (a, x), (b, _) in pairwise(history):
        for ms in range(a, b):
            w = 2 ** (-(now - ms - 0.5) / memory) * math.log(2) / memory
            weights, mean, square = weights + w, mean + w * x, square + w * x * x
    return weights * (abs(mean) / weights) / math.sqrt(square / weights)


def test_golden_vector_of_the_imbalance_signal() -> None:
    signal = ImbalanceSignal(
        threshold=0.4, persist_ms=200, half_life_ms=1_000, memory_ms=1_000, hold_ms=1_000, min_confidence=0.1
    )
    points = [
        (0, 0.1),
        (100, 0.7),
        (250, 0.7),
        (300, 0.7),
        (800, 0.7),
        (1300, 1.0),
        (4800, 1.0),
        (6000, 0.2),
        (6100, -0.9),
        (6300, -0.9),
        (6310, 0.0),
        (6320, 0.6),
        (6520, 0.6),
        (7520, 0.6),
    ]
    found = [told(outcome) for outcome in run(signal, points)]
    sure = [round(confidence(points[: n + 1]), 4) if n else 0.0 for n in range(len(points))]
    wanted = [
        ("none", "level"),
        ("none", "building"),
        ("none", "building"),
        ("BUY", 0.5, sure[3]),
        ("BUY", 0.5 * 2**-0.5, sure[4]),
        ("BUY", 1.0 * 0.5, sure[5]),
        ("none", "decayed"),
        ("none", "level"),
        ("none", "building"),
        ("held", "confidence", "SELL", 0.833333, 0.0),
        ("none", "level"),
        ("none", "building"),
        ("BUY", 0.333333, sure[12]),
        ("BUY", 0.333333 / 2, sure[13]),
    ]
    for one, other in zip(found, wanted, strict=True):
        assert (
            one[:-1] == pytest.approx(other[:-1], abs=1e-5) if isinstance(other[-1], float) else one == other
        )
        if isinstance(other[-1], float):
            assert one[-1] == pytest.approx(other[-1], abs=2e-3)
    assert signal.counts == {
        "none: level": 3,
        "none: building": 4,
        "signal": 5,
        "none: decayed": 1,
        "suppressed: confidence": 1,
    }


def test_after_a_signal_the_other_side_must_wait() -> None:
    signal = ImbalanceSignal(threshold=0.2, persist_ms=10, memory_ms=20, hold_ms=500, min_confidence=0.1)
    points = [(0, 0.9), (20, 0.9), (30, -0.9), (400, -0.9), (519, -0.9), (520, -0.9)]
    found = [told(outcome)[:2] for outcome in run(signal, points)]
    assert [one[0] for one in found] == ["none", "BUY", "none", "held", "held", "SELL"]
    assert found[3] == ("held", "holding")


def test_release_lets_a_lean_waver_without_beginning_anew() -> None:
    points = [(0, 0.5), (100, 0.35), (200, 0.5)]
    strict = ImbalanceSignal(threshold=0.4, persist_ms=150, min_confidence=0)
    lenient = ImbalanceSignal(threshold=0.4, release=0.3, persist_ms=150, min_confidence=0)
    assert told(run(strict, points)[-1]) == ("none", "building")
    assert told(run(lenient, points)[-1])[0] == "BUY"
    assert told(run(lenient, [(300, 0.35)])[0]) == ("none", "weak")


def test_a_null_begins_anew_but_keeps_the_holding_period() -> None:
    signal = ImbalanceSignal(threshold=0.2, persist_ms=10, memory_ms=10, hold_ms=1_000, min_confidence=0.1)
    points = [(0, 0.9), (20, 0.9), (30, None), (40, 0.9), (60, 0.9), (70, None), (80, -0.9), (100, -0.9)]
    found = [told(outcome) for outcome in run(signal, points)]
    assert [one[0] for one in found] == ["none", "BUY", "none", "none", "BUY", "none", "none", "held"]
    assert found[2] == ("none", "imbalance_5 unknown")
    assert found[3] == ("none", "building")
    assert found[7][1] == "holding"


@given(st.floats(-1, 1), st.floats(0, 0.95), st.integers(0, 5_000))
def test_strength_is_full_only_for_an_empty_side_at_the_first_moment(
    x: float, threshold: float, late_ms: int
) -> None:
    signal = ImbalanceSignal(threshold=threshold, persist_ms=100, min_confidence=0, min_strength=0)
    outcome = run(signal, [(0, x), (100 + late_ms, x)])[1]
    if isinstance(outcome, Signal):
        assert 0 < outcome.strength <= 1
        assert outcome.strength < 1 or (abs(x) > 1 - 1e-12 and late_ms == 0) or abs(x) == 1
        assert 0 <= outcome.confidence <= 1
        assert outcome.direction * x > 0
    else:
        assert abs(x) <= threshold or late_ms > 0


def test_how_often_it_is_asked_does_not_matter() -> None:
    rng = random.Random(3)
    changes = sorted((rng.randrange(20_000), rng.uniform(-1, 1)) for _ in range(100))
    rare, often = (ImbalanceSignal(threshold=0.3, persist_ms=50, min_confidence=0.2) for _ in range(2))
    for (ms, x), (until, _) in pairwise(changes):
        one = rare({"imbalance_5": x}, START + ms * MS)
        two = often({"imbalance_5": x}, START + ms * MS)
        assert told(one) == told(two)
        for between in range(ms + 1, until, 7):
            often.decide({"imbalance_5": x}, START + between * MS)
        often._held, often._held_ns = rare._held, rare._held_ns  # asking more often may find a signal earlier


@pytest.mark.parametrize(
    "options",
    [{"threshold": 1.0}, {"threshold": -0.1}, {"release": 0.5}, {"persist_ms": -1}, {"half_life_ms": 0},
     {"memory_ms": math.nan},     {"hold_ms": math.inf}, {"min_strength": 2}, {"min_confidence": -1}, {"threshold": "0.4"}],
)  # fmt: skip
def test_a_setting_that_makes_no_sense_is_named(options: dict) -> None:
    with pytest.raises(InvalidArgument, match=next(iter(options))):
        ImbalanceSignal(**options)


# ---------------------------------------------------------------- generators and filters

CALM = {"spread_bps": 1.0, "volatility_60s": 0.5, "momentum_10s_bps": 0.0}


@pytest.mark.parametrize(
    ("values", "signal", "reason"),
    [
        ({}, buy(), None),
        ({"spread_bps": 2.0}, buy(), None),
        ({"spread_bps": 2.1}, buy(), "spread"),
        ({"spread_bps": None}, buy(), "spread unknown"),
        ({"volatility_60s": 0.09}, buy(), "volatility"),
        ({"volatility_60s": 1.01}, buy(), "volatility"),
        ({"volatility_60s": None}, sell(), "volatility unknown"),
        ({"momentum_10s_bps": -3.1}, buy(), "momentum"),
        ({"momentum_10s_bps": -3.1}, sell(), None),
        ({"momentum_10s_bps": 3.1}, sell(), "momentum"),
        ({"momentum_10s_bps": 3.1}, buy(), None),
        ({"spread_bps": 9.0, "momentum_10s_bps": None}, buy(), "spread"),
    ],
)
def test_a_filter_holds_back_and_says_why(values: dict, signal: Signal, reason: str | None) -> None:
    filters = [SpreadFilter(2.0), VolatilityFilter(least=0.1, most=1.0), MomentumFilter(3.0)]
    generator = Fixed(signal, filters=filters)
    outcome = generator(CALM | values, START)
    if reason is None:
        assert outcome is signal
        assert generator.counts == {"signal": 1}
    else:
        assert outcome == Suppressed(reason, signal)
        assert generator.counts == {f"suppressed: {reason}": 1}


def test_what_is_no_signal_is_not_filtered() -> None:
    nothing = NoSignal("quiet")
    generator = Fixed(nothing, filters=[SpreadFilter(1)])
    assert generator({"spread_bps": 99.0}, START) is nothing
    assert generator.counts == {"none: quiet": 1}


def test_a_column_that_is_not_among_the_features_is_told_at_the_first_call() -> None:
    generator = ImbalanceSignal(column="imbalance_3", filters=[SpreadFilter(1)])
    with pytest.raises(InvalidArgument, match=r"imbalance_5.*imbalance_3, spread_bps"):
        generator(FeatureSet([Imbalance(5)]), START)
    assert told(generator(FeatureSet([Imbalance(3), Spread()]), START)) == ("none", "imbalance_3 unknown")


def test_an_outcome_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="Signal, NoSignal or Suppressed"):
        Fixed(None)({}, START)
    with pytest.raises(MisuseError, match="has no decide"):
        SignalGenerator()({}, START)


@pytest.mark.parametrize(
    ("strength", "confidence"),
    [(0.0, 1.0), (1.1, 1.0), (math.nan, 1.0), (0.5, -0.1), (0.5, 1.1), (0.5, math.nan)],
)
def test_a_signal_out_of_bounds_is_refused(strength: float, confidence: float) -> None:
    with pytest.raises(InvalidArgument, match="strength above 0"):
        Fixed(buy(strength, confidence))({}, START)


@pytest.mark.parametrize(
    "make",
    [lambda: SpreadFilter(0), lambda: VolatilityFilter(least=2, most=1), lambda: MomentumFilter(math.inf)],
)
def test_a_filter_that_makes_no_sense_is_refused(make: Any) -> None:
    with pytest.raises(InvalidArgument, match="Filter"):
        make()


def test_a_score_has_direction() -> None:
    assert (buy(0.5, 0.5).score, sell(0.5, 0.5).score, sell().direction) == (0.25, -0.25, -1)


# ---------------------------------------------------------------- sizing


def test_size_follows_strength_and_confidence_down_to_the_lot() -> None:
    sizer = PositionSizer(1_000, 10_000, lot=7)
    assert sizer.size(buy(0.5, 0.8), 0) == 399
    assert PositionSizer(1_000, 10_000, proportional=False).size(buy(0.01, 0.01), 0) == 1_000


@pytest.mark.parametrize(
    ("signal", "position", "qty"),
    [(buy(1, 1), 9_700, 300), (buy(1, 1), 10_000, 0), (buy(1, 1), 12_000, 0), (sell(1, 1), 10_000, 1_000),
     (sell(1, 1), -9_950, 0), (sell(1, 1), -9_900, 100), (buy(1, 1), -10_000, 1_000)],
)  # fmt: skip
def test_size_leaves_the_position_within_its_limit(signal: Signal, position: int, qty: int) -> None:
    assert PositionSizer(1_000, 10_000, min_qty=60).size(signal, position) == qty


def test_size_is_bounded_by_quantity_and_by_what_it_is_worth() -> None:
    assert PositionSizer(1_000, 10_000, max_qty=250).size(buy(1, 1), 0) == 250
    sizer = PositionSizer(1_000, 10_000, max_notional=60_000, lot=5)
    assert (sizer.size(buy(1, 1), 0, price=101), sizer.size(buy(1, 1), 0)) == (590, 1_000)
    least = PositionSizer(1_000, 10_000, min_notional=50_000)
    assert [least.size(buy(0.5, 1), 0, price=price) for price in (99, 100)] == [0, 500]


def test_where_nothing_can_be_sold_short_no_more_is_sold_than_there_is() -> None:
    sizer = PositionSizer(1_000, 10_000, short=False)
    assert [sizer.size(sell(1, 1), position) for position in (5_000, 400, 0, -10)] == [1_000, 400, 0, 0]
    assert sizer.size(buy(1, 1), 0) == 1_000


def test_losses_in_a_row_halve_and_gains_take_halvings_back() -> None:
    sizer = PositionSizer(1_000, 10_000, halve_after=2, max_halvings=2)
    sizes = []
    for pnl in (-1, -1, 0, -1, -1, -1, -1, 5, -1, 5, 5):
        sizer.closed(pnl)
        sizes.append(sizer.size(buy(1, 1), 0))
    assert sizes == [1000, 500, 500, 500, 250, 250, 250, 500, 500, 1000, 1000]
    other = PositionSizer(1_000, 10_000, halve_after=2)
    sizer.closed(-1)
    other.load(sizer.save())
    assert other.save() == {"losses": 1, "halvings": 0}


@given(
    st.integers(1, 10**12), st.integers(1, 10**12), st.integers(1, 1_000), st.integers(0, 10**6), st.integers(0, 10**12),
    st.floats(0.001, 1), st.floats(0, 1), st.integers(-(10**13), 10**13), st.sampled_from([1, -1]),
    st.lists(st.integers(-1, 1)),)  # fmt: skip
def test_size_never_breaks_a_bound(
    base: int,
    limit: int,
    lot: int,
    least: int,
    most: int,
    strength: float,
    sure: float,
    position: int,
    way: int,
    results: list[int],
) -> None:
    sizer = PositionSizer(base, limit, lot=lot, min_qty=least, max_qty=most)
    for pnl in results:
        sizer.closed(pnl)
    qty = sizer.size(Signal(Side.BUY if way > 0 else Side.SELL, strength, sure, 0), position)
    assert qty == 0 or (qty % lot == 0 and least <= qty <= base and (not most or qty <= most))
    assert qty == 0 or way * (position + way * qty) <= limit


@pytest.mark.parametrize(
    "options",
    [{"base_qty": 0}, {"max_position": 0}, {"lot": 0}, {"min_qty": -1}, {"halve_after": 0}, {"max_qty": 1.5}],
)
def test_a_size_that_makes_no_sense_is_refused(options: dict) -> None:
    with pytest.raises(InvalidArgument, match=next(iter(options))):
        PositionSizer(**{"base_qty": 10, "max_position": 100} | options)


# ---------------------------------------------------------------- ensembles


def test_members_are_weighted() -> None:
    ensemble = Ensemble(
        [Fixed(buy(0.8, 0.9)), Fixed(sell(0.4, 0.6)), Fixed(NoSignal("quiet"))], [0.5, 0.3, 0.2]
    )
    outcome = ensemble({}, START)
    assert outcome == Signal(
        Side.BUY, pytest.approx(0.5 * 0.8 - 0.3 * 0.4), pytest.approx(0.45), START, "ensemble"
    )
    against = Ensemble([Fixed(buy(0.8)), Fixed(sell(0.8))], [0.5, 0.5])
    assert against({}, START) == NoSignal("undecided")
    held = Ensemble([Fixed(Suppressed("spread", buy())), Fixed(NoSignal("x"))], [0.5, 0.5])
    assert held({}, START) == NoSignal("none has one")


@pytest.mark.parametrize("options", [{"weights": [0.5, 0.5], "enabled": False}, {"weights": [1.0, 0.0]}])
def test_switched_off_it_is_the_rules(options: dict) -> None:
    def rules() -> ImbalanceSignal:
        return ImbalanceSignal(
            threshold=0.1, persist_ms=50, min_confidence=0.1, filters=[SpreadFilter(1_000)]
        )

    class Never(SignalGenerator):
        needs = ("nosuch",)

        def decide(self, values: Any, now_ns: int) -> Any:
            raise AssertionError("it was asked")

    alone = rules()
    model = Never() if not options.get("enabled", True) else Fixed(buy())
    ensemble = Ensemble([rules(), model], **options)
    features = FeatureSet([Imbalance(5), Spread()])
    for ts, message in random_market(21, 500):
        feed(features, (ts, message))
        assert ensemble(features, ts) == alone(features, ts)
    assert ensemble.counts == alone.counts
    assert alone.counts["signal"] > 20


def test_weights_follow_the_regime() -> None:
    regimes = Regimes("volatility_60s", [0.3, 0.8], [[1, 0], [0.5, 0.5], [0, 1]])
    ensemble = Ensemble([Fixed(buy(0.4)), Fixed(sell(0.8))], regimes)
    found = {
        v: told(ensemble({"volatility_60s": v}, START))[:2] for v in (0.0, 0.29, 0.3, 0.79, 0.8, 5.0, None)
    }
    assert found == {
        0.0: ("BUY", 0.4),
        0.29: ("BUY", 0.4),
        0.3: ("SELL", 0.2),
        0.79: ("SELL", 0.2),
        0.8: ("SELL", 0.8),
        5.0: ("SELL", 0.8),
        None: ("none", "volatility_60s unknown"),
    }
    assert ensemble.columns() == ("volatility_60s",)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Ensemble([Fixed(buy()), Fixed(buy())], [0.5, 0.4]),
        lambda: Ensemble([Fixed(buy()), Fixed(buy())], [1.5, -0.5]),
        lambda: Ensemble([Fixed(buy())], [0.5, 0.5]),
        lambda: Ensemble([], []),
        lambda: Ensemble([Fixed(buy())], [math.nan]),
        lambda: Ensemble([Fixed(buy())], [1.0], min_strength=0),
        lambda: Ensemble([Fixed(buy())], Regimes("x", [1.0], [[0.5, 0.5], [1, 0]])),
        lambda: Regimes("x", [2.0, 1.0], [[1], [1], [1]]),
        lambda: Regimes("x", [1.0], [[1]]),
        lambda: Regimes("x", [1.0], [[1], [0.9]]),
        lambda: Regimes("x", [], [[1]]),
    ],
)
def test_weights_that_do_not_sum_to_one_are_refused(make: Any) -> None:
    with pytest.raises(InvalidArgument):
        make()
