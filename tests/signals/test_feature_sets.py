"""Sets of features: equal to an extract, blank after a gap, with the user's own, and refusing what makes no sense."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from feature_market import DAY, S, X, definition, delta, feed, gap, random_market, snapshot, trade

from libchronicle.errors import BadFeature, InvalidArgument
from libchronicle.protocol import Side, Trade
from libchronicle.replay import RecordSource, Replay
from libchronicle.signals import (
    AverageRange,
    Column,
    DepthRatio,
    EachRecord,
    Feature,
    FeatureEngine,
    FeatureSet,
    Imbalance,
    Market,
    Microprice,
    Mid,
    Momentum,
    NumericFeature,
    OrderFlowImbalance,
    Pressure,
    Spread,
    Time,
    TimeBar,
    Touch,
    Toxicity,
    TradeFlow,
    TradeFlowImbalance,
    VolumeSurge,
    WeightedImbalance,
    ZScore,
    feature_named,
    features_named,
    vector_features,
)

T = DAY  # a grid point
BOOK = snapshot(T + 1, [(9990, 3000), (9980, 1000), (9950, 2000)], [(10010, 1000), (10030, 500)])
WINDOWED = ("volatility:5", "momentum:5", "acceleration:2", "vwap:3", "trade_flow:3", "surge:2:10", "ofi:3")
WINDOWED += ("atr:2", "zscore:ofi:2", "imbalance:5", "microprice", "pressure")


def rows_of(records: list[tuple], features: list[Feature], trigger: object) -> list[dict]:
    rows: list[dict] = []
    engine = FeatureEngine(features, trigger, lambda batch: rows.extend(batch.to_pylist()), instrument_id=X)  # type: ignore[arg-type]
    frames = [(T, definition()), *records]
    Replay([RecordSource([(m.TEMPLATE_ID, m.encode(), at) for at, m in frames])], gaps="resync").run(engine)
    engine.finish()
    return rows


def test_an_extract_of_the_records_holds_the_values_a_strategy_saw() -> None:
    records = list(random_market(11, 2_000))
    features = FeatureSet()
    seen = []
    for record in records:
        feed(features, record)
        seen.append(features.vector().tolist())
    rows = rows_of(records, vector_features(), EachRecord())
    batch = [[math.nan if row[name] is None else row[name] for name in features.names] for row in rows]
    assert len(batch) == len(seen) == 2_001
    assert all(map(_same, batch, seen))
    assert not any(math.isnan(value) for value in seen[-1])


def _same(one: list[float], other: list[float]) -> bool:
    return all(a == b or (math.isnan(a) and math.isnan(b)) for a, b in zip(one, other, strict=True))


def test_looking_more_often_changes_nothing() -> None:
    often, seldom = FeatureSet(), FeatureSet()
    records = list(random_market(12, 900))
    for (ts, message), (next_ts, _) in pairwise(records):
        feed(often, (ts, message))
        feed(seldom, (ts, message))
        for part in range(3):
            often.vector(ts + (next_ts - ts) * part // 3)
    assert _same(often.vector().tolist(), seldom.vector().tolist())


def test_a_bar_knows_nothing_of_the_record_after_its_end() -> None:
    records = [
        snapshot(T + 1, [(9990, 3000)], [(10010, 1000)]),
        delta(T + S, bids=[(9990, 0), (9900, 1)], asks=[(10010, 0), (10100, 9)]),
        trade(T + 2 * S, 1, 1),
    ]
    rows = rows_of(records, [Mid(), Touch(), Spread(), Microprice(), Imbalance(5), Python()], TimeBar(S))
    assert [(row["mid"], row["bid"], row["ask_qty"]) for row in rows] == [
        (100.0, 99.9, 1.0),
        (100.0, 99.0, 0.009),
    ]
    assert [row["imbalance_5"] for row in rows] == [0.5, -0.8]
    assert [row["python_bid"] for row in rows] == [99.9, 99.0]
    assert [row["valid"] for row in rows] == [True, True]


def test_a_gap_right_after_a_bar_leaves_that_bar_valid() -> None:
    rows = rows_of([BOOK, gap(T + S), trade(T + 3 * S, 1, 1)], [Mid()], TimeBar(S))
    assert [(row["mid"], row["valid"]) for row in rows] == [(100.0, True), (None, False), (None, False)]


@pytest.mark.parametrize("text", WINDOWED)
def test_after_a_gap_every_window_begins_anew(text: str) -> None:
    before, after = list(random_market(13, 400)), list(random_market(14, 400))
    shift = before[-1][0] + 5 * S - after[0][0]
    after = [(ts + shift, message) for ts, message in after]
    broken, fresh = FeatureSet([feature_named(text)]), FeatureSet([feature_named(text)])
    feed(broken, *before, gap(before[-1][0] + S), trade(before[-1][0] + 2 * S, 1, 1))
    assert math.isnan(broken.vector()[0])
    for record in after:
        feed(broken, record)
        feed(fresh, record)
        assert _same(broken.vector().tolist(), fresh.vector().tolist())


class Python(Feature):
    """In Python: the bid, and how many trades came."""

    columns = (Column("python_bid", "float"), Column("python_trades", "int"))

    def __init__(self) -> None:
        self.trades = 0

    def on_event(self, market: Market) -> None:
        self.trades += market.type_id == Trade.TEMPLATE_ID

    def values(self, market: Market) -> tuple[float | None, int]:
        return market.bid, self.trades

    def forget(self) -> None:
        self.trades = 0


def test_a_feature_written_in_python_stands_beside_native_ones() -> None:
    features = feed(FeatureSet([Spread(), Python()]), BOOK, trade(T + 2, 1, 1))
    assert features.names == ("spread_bps", "python_bid", "python_trades")
    assert features["python_bid"] == 99.9
    assert features.to_dict() == {"spread_bps": 20.0, "python_bid": 99.9, "python_trades": 1.0}


class Wordy(Feature):
    """Gives a word where a number should be."""

    columns = (Column("word", "float"),)

    def values(self, market: Market) -> Any:
        return ("high",)


def test_what_is_no_number_or_no_feature_is_refused() -> None:
    features = feed(FeatureSet([Wordy()]), BOOK)
    with pytest.raises(BadFeature, match="feature Wordy: 'high' is no number for column word"):
        features.vector()
    with pytest.raises(BadFeature, match="derive a feature of your own from Feature"):
        NumericFeature()


def test_records_of_another_instrument_are_left_out() -> None:
    features = feed(FeatureSet([TradeFlowImbalance(1)]), BOOK)
    other = Trade(instrument_id=X + 1, price=1, qty=1, aggressor=Side.BUY)
    features.feed(Trade.TEMPLATE_ID, other.encode(), T + 2)
    assert features.records == 1


def test_values_are_had_by_name_and_by_order() -> None:
    np = pytest.importorskip("numpy")
    features = feed(FeatureSet([Imbalance(1), Momentum(5)]), BOOK)
    assert "imbalance_1" in features
    assert list(features) == ["imbalance_1", "momentum_5s_bps"]
    assert len(features) == 2
    assert (features["imbalance_1"], features.get("momentum_5s_bps"), features.ready()) == (0.5, None, False)
    assert np.array_equal(np.frombuffer(features.vector()), [0.5, np.nan], equal_nan=True)
    with pytest.raises(InvalidArgument, match="imbalance_1, momentum_5s_bps"):
        features["imbalance_5"]


def test_equal_fingerprints_are_equal_features_in_equal_order() -> None:
    assert FeatureSet().fingerprint == FeatureSet(vector_features()).fingerprint
    prints = {
        FeatureSet(features).fingerprint
        for features in (
            [Spread(), Imbalance(1)],
            [Imbalance(1), Spread()],
            [Imbalance(2), Spread()],
            [Imbalance(1), Spread(), Momentum(10)],
            [Imbalance(1), Spread(), Momentum(10, step_ms=500)],
            [Imbalance(1), Spread(), Python()],
        )
    }
    assert len(prints) == 6


@pytest.mark.parametrize(
    "features", [[], [Time()], [TradeFlow()], [Spread(), Spread()], ["spread"], [Feature()]]
)
def test_a_set_of_what_cannot_be_in_one_is_refused(features: list) -> None:
    with pytest.raises(InvalidArgument, match="FeatureSet"):
        FeatureSet(features)


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: WeightedImbalance(0), "levels"),
        (lambda: WeightedImbalance(5, decay=0), "decay"),
        (lambda: DepthRatio(1_001), "levels"),
        (lambda: Pressure(True), "levels"),
        (lambda: VolumeSurge(10, 10), "short_s"),
        (lambda: Toxicity(0), "buckets"),
        (lambda: Toxicity(5, bucket_qty=-1), "bucket_qty"),
        (lambda: ZScore(Pressure()), "feature"),
        (lambda: ZScore(Spread(), 1), "window_s"),
        (lambda: AverageRange(0), "capacity"),
        (lambda: OrderFlowImbalance(0.5), "window_s"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_named(make: Callable[[], object], field: str) -> None:
    with pytest.raises(InvalidArgument, match=field):
        make()


def test_features_are_had_by_name() -> None:
    names = [
        column[0]
        for one in features_named("vector,spread,surge:5:60,zscore:ofi:30")
        for column in one.columns
    ]
    assert names[:13] == list(FeatureSet().names)
    assert names[13:] == ["spread_bps", "surge_5s_60s", "z_ofi_30s_300s"]
    for bad in (
        "volatility:x",
        "volatility:1:2",
        "surge:1:2:3",
        "zscore:flow",
        "zscore:nosuch",
        "vwap:-1",
        "touch:1",
    ):
        with pytest.raises(InvalidArgument):
            feature_named(bad)
