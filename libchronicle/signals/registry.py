"""Features by name, as the command line and manifests of models write them: `mid`, `imbalance:5`, `surge:10:300`, `vector`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from libchronicle.errors import InvalidArgument
from libchronicle.signals.builtin import Imbalance, Microprice, Mid, Spread, Time, Touch, TradeFlow
from libchronicle.signals.core import Feature, NumericFeature
from libchronicle.signals.depth import DepthRatio, OrderFlowImbalance, Pressure, WeightedImbalance
from libchronicle.signals.prices import Acceleration, AverageRange, Momentum, Volatility
from libchronicle.signals.scores import ZScore
from libchronicle.signals.trades import Toxicity, TradeFlowImbalance, VolumeSurge, VwapDeviation

__all__ = ["BUILTIN", "VECTOR", "feature_named", "features_named", "vector_features"]

BUILTIN: Final[dict[str, Callable[..., Feature]]] = {
    "time": Time,
    "touch": Touch,
    "mid": Mid,
    "spread": Spread,
    "microprice": Microprice,
    "imbalance": Imbalance,
    "flow": TradeFlow,
    "volatility": Volatility,
    "momentum": Momentum,
    "weighted_imbalance": WeightedImbalance,
    "depth_ratio": DepthRatio,
    "pressure": Pressure,
    "vwap": VwapDeviation,
    "trade_flow": TradeFlowImbalance,
    "toxicity": Toxicity,
    "acceleration": Acceleration,
    "surge": VolumeSurge,
    "ofi": OrderFlowImbalance,
    "atr": AverageRange,
    "zscore": ZScore,
}

_ARGUMENTS: Final[dict[str, int]] = {
    "time": 0,
    "touch": 0,
    "mid": 0,
    "spread": 0,
    "microprice": 0,
    "flow": 0,
    "surge": 2,
}  # how many numbers a name takes; 1 where nothing is said

VECTOR: Final = (
    "volatility",
    "momentum",
    "imbalance:5",
    "weighted_imbalance",
    "spread",
    "depth_ratio",
    "pressure",
    "vwap",
    "trade_flow",
    "toxicity",
    "acceleration",
    "surge",
)
"""The vector of 13 columns: `pressure` has two."""


def feature_named(text: str) -> Feature:
    """`mid`, or with arguments `imbalance:5`, `surge:10:300`, `zscore:ofi:10`. Raises InvalidArgument."""
    name, *arguments = text.split(":")
    if name not in BUILTIN:
        raise InvalidArgument(where="features", field="name", value=text, allowed=", ".join(BUILTIN))
    if name == "zscore" and arguments:
        inner = feature_named(":".join(arguments))
        if not isinstance(inner, NumericFeature):
            raise InvalidArgument(where="features", field=name, value=text, allowed="a feature of one number")
        return ZScore(inner)
    most = _ARGUMENTS.get(name, 1)
    if len(arguments) > most or not all(a.isdecimal() and len(a) < 10 for a in arguments):
        takes = f"{name} with at most {most} whole numbers" if most else f"{name} alone"
        raise InvalidArgument(where="features", field=name, value=text, allowed=takes)
    return BUILTIN[name](*map(int, arguments))


def vector_features() -> list[Feature]:
    """New features of the vector of 13, in its order."""
    return [feature_named(name) for name in VECTOR]


def features_named(text: str, other: Callable[[str], Any] = feature_named) -> list[Feature]:
    """`spread,vector,imbalance:1`: `vector` stands for its twelve; `other` makes the rest. Raises InvalidArgument."""
    found: list[Feature] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        found.extend(vector_features() if part == "vector" else [other(part)])
    return found
