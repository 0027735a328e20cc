"""The strategy contract: what a strategy file imports, and nothing else.

    from libchronicle.strategy import Side, Strategy

    class Alpha(Strategy):
        def on_quote(self, ctx, quote):
            if quote.bid_qty > 10 * quote.ask_qty:
                ctx.send(quote.instrument.ioc(Side.BUY, quote.ask_price, quote.instrument.min_qty))

The same file runs live, on paper and in backtest. Importing this never loads a simulator or a backtest; the live runner
behind `ChronicleApp` is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from libchronicle.errors import (
    BadCombination,
    BadPrice,
    BadQuantity,
    FloatAmount,
    InstrumentNotDefined,
    OrderError,
    UnknownParameter,
)
from libchronicle.portfolio import OrderState
from libchronicle.protocol.enums import ExecType, Liquidity, OrderType, RejectCode, Side, StpMode, TimeInForce
from libchronicle.signals import (
    Acceleration,
    AverageRange,
    Column,
    DepthRatio,
    Ensemble,
    Feature,
    FeatureBuffer,
    FeatureSet,
    Imbalance,
    ImbalanceSignal,
    Microprice,
    Mid,
    ModelSignal,
    Momentum,
    MomentumFilter,
    NoSignal,
    OnnxModel,
    OrderFlowImbalance,
    PositionSizer,
    Pressure,
    Regimes,
    Signal,
    SignalGenerator,
    Spread,
    SpreadFilter,
    Suppressed,
    Touch,
    Toxicity,
    TradeFlowImbalance,
    Volatility,
    VolatilityFilter,
    VolumeSurge,
    VwapDeviation,
    WeightedImbalance,
    ZScore,
)
from libchronicle.strategy.base import Strategy
from libchronicle.strategy.bookview import Book
from libchronicle.strategy.context import Context
from libchronicle.strategy.instrument import Instrument
from libchronicle.strategy.order import Order
from libchronicle.strategy.refusal import Refusal
from libchronicle.strategy.states import FeedState, HostState, RouterState
from libchronicle.strategy.tracker import Balance, Position, WorkingOrder
from libchronicle.strategy.views import Fill, OrderUpdate, Quote, Trade

if TYPE_CHECKING:
    from libchronicle.strategy.app import ChronicleApp

__all__ = [
    "Acceleration",
    "AverageRange",
    "BadCombination",
    "BadPrice",
    "BadQuantity",
    "Balance",
    "Book",
    "ChronicleApp",
    "Column",
    "Context",
    "DepthRatio",
    "Ensemble",
    "ExecType",
    "Feature",
    "FeatureBuffer",
    "FeatureSet",
    "FeedState",
    "Fill",
    "FloatAmount",
    "HostState",
    "Imbalance",
    "ImbalanceSignal",
    "Instrument",
    "InstrumentNotDefined",
    "Liquidity",
    "Microprice",
    "Mid",
    "ModelSignal",
    "Momentum",
    "MomentumFilter",
    "NoSignal",
    "OnnxModel",
    "Order",
    "OrderError",
    "OrderFlowImbalance",
    "OrderState",
    "OrderType",
    "OrderUpdate",
    "Position",
    "PositionSizer",
    "Pressure",
    "Quote",
    "Refusal",
    "Regimes",
    "RejectCode",
    "RouterState",
    "Side",
    "Signal",
    "SignalGenerator",
    "Spread",
    "SpreadFilter",
    "StpMode",
    "Strategy",
    "Suppressed",
    "TimeInForce",
    "Touch",
    "Toxicity",
    "Trade",
    "TradeFlowImbalance",
    "UnknownParameter",
    "Volatility",
    "VolatilityFilter",
    "VolumeSurge",
    "VwapDeviation",
    "WeightedImbalance",
    "WorkingOrder",
    "ZScore",
]


def __getattr__(name: str) -> Any:
    if name == "ChronicleApp":
        from libchronicle.strategy.app import ChronicleApp

        return ChronicleApp
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
