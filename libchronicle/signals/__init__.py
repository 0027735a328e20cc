"""Features: columns computed from recorded or live market data, row by row.

from libchronicle.signals import FeatureEngine, Mid, TimeBar

engine = FeatureEngine([Mid()], TimeBar(10**9), on_batch=lambda batch: print(batch.to_pylist()))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from libchronicle.signals.builtin import Imbalance, Microprice, Mid, Spread, Time, Touch, TradeFlow
from libchronicle.signals.core import Column, ColumnBuffer, Feature, FeatureBatch, Market, NumericFeature
from libchronicle.signals.depth import DepthRatio, OrderFlowImbalance, Pressure, WeightedImbalance
from libchronicle.signals.ensemble import Ensemble, Regimes
from libchronicle.signals.filters import MomentumFilter, SpreadFilter, VolatilityFilter
from libchronicle.signals.generator import Filter, SignalGenerator, Values
from libchronicle.signals.imbalance import ImbalanceSignal
from libchronicle.signals.manifest import Manifest
from libchronicle.signals.model import ModelReport, OnnxModel, check_model, package_model
from libchronicle.signals.model_signal import ModelSignal
from libchronicle.signals.outcomes import NoSignal, Outcome, Signal, Suppressed
from libchronicle.signals.prices import Acceleration, AverageRange, Momentum, Volatility
from libchronicle.signals.registry import BUILTIN, VECTOR, feature_named, features_named, vector_features
from libchronicle.signals.scores import ZScore
from libchronicle.signals.sizing import PositionSizer
from libchronicle.signals.trades import Toxicity, TradeFlowImbalance, VolumeSurge, VwapDeviation
from libchronicle.signals.triggers import AnyOf, EachRecord, OnEvent, TimeBar, Trigger, trigger_named
from libchronicle.signals.vector import FeatureSet
from libchronicle.signals.windows import FeatureBuffer

if TYPE_CHECKING:
    from libchronicle.signals.engine import FeatureEngine

__all__ = [
    "BUILTIN",
    "VECTOR",
    "Acceleration",
    "AnyOf",
    "AverageRange",
    "Column",
    "ColumnBuffer",
    "DepthRatio",
    "EachRecord",
    "Ensemble",
    "Feature",
    "FeatureBatch",
    "FeatureBuffer",
    "FeatureEngine",
    "FeatureSet",
    "Filter",
    "Imbalance",
    "ImbalanceSignal",
    "Manifest",
    "Market",
    "Microprice",
    "Mid",
    "ModelReport",
    "ModelSignal",
    "Momentum",
    "MomentumFilter",
    "NoSignal",
    "NumericFeature",
    "OnEvent",
    "OnnxModel",
    "OrderFlowImbalance",
    "Outcome",
    "PositionSizer",
    "Pressure",
    "Regimes",
    "Signal",
    "SignalGenerator",
    "Spread",
    "SpreadFilter",
    "Suppressed",
    "Time",
    "TimeBar",
    "Touch",
    "Toxicity",
    "TradeFlow",
    "TradeFlowImbalance",
    "Trigger",
    "Values",
    "Volatility",
    "VolatilityFilter",
    "VolumeSurge",
    "VwapDeviation",
    "WeightedImbalance",
    "ZScore",
    "check_model",
    "feature_named",
    "features_named",
    "package_model",
    "trigger_named",
    "vector_features",
]


def __getattr__(name: str) -> Any:
    if name == "FeatureEngine":  # a strategy needs features, but no replay
        from libchronicle.signals.engine import FeatureEngine

        return FeatureEngine
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
