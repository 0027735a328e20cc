"""Features: columns computed from recorded or live market data, row by row.

from libchronicle.signals import FeatureEngine, Mid, TimeBar

engine = FeatureEngine([Mid()], TimeBar(10**9), on_batch=lambda batch: print(batch.to_pylist()))
"""

from __future__ import annotations

from libchronicle.signals.builtin import (
    BUILTIN,
    Imbalance,
    Microprice,
    Mid,
    Spread,
    Time,
    Touch,
    TradeFlow,
    feature_named,
)
from libchronicle.signals.core import Column, ColumnBuffer, Feature, FeatureBatch, Market
from libchronicle.signals.engine import FeatureEngine
from libchronicle.signals.triggers import AnyOf, EachRecord, OnEvent, TimeBar, Trigger, trigger_named

__all__ = [
    "BUILTIN",
    "AnyOf",
    "Column",
    "ColumnBuffer",
    "EachRecord",
    "Feature",
    "FeatureBatch",
    "FeatureEngine",
    "Imbalance",
    "Market",
    "Microprice",
    "Mid",
    "OnEvent",
    "Spread",
    "Time",
    "TimeBar",
    "Touch",
    "TradeFlow",
    "Trigger",
    "feature_named",
    "trigger_named",
]
