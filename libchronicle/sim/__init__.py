"""The exchange simulator: matching, order flow, recordings, and the venue's protocol without its sockets.

Names are loaded on first use: the router needs one module of this package and none of the rest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from libchronicle.sim.faults import FaultInjector, FaultPlan
    from libchronicle.sim.generator import Generator
    from libchronicle.sim.instruments import Instrument
    from libchronicle.sim.latency import (
        ConstantLatency,
        InterpolatedLatency,
        JitterLatency,
        LatencyModel,
        PythonLatency,
        SpikeLatency,
    )
    from libchronicle.sim.matcher import FillRule, Matcher, MatchEvent, StopTrigger
    from libchronicle.sim.matching import Order, OrderBook
    from libchronicle.sim.paper import PaperGateway
    from libchronicle.sim.player import Player, Tape
    from libchronicle.sim.queues import (
        FifoQueue,
        FillChances,
        LogProbQueue,
        ProbQueue,
        QueueModel,
        RiskAverseQueue,
        UserQueue,
    )
    from libchronicle.sim.recording import describe
    from libchronicle.sim.rest import RestApi
    from libchronicle.sim.source import MarketSource
    from libchronicle.sim.streams import Subscriptions

_HOMES = {
    "ConstantLatency": "latency",
    "FaultInjector": "faults",
    "FaultPlan": "faults",
    "FifoQueue": "queues",
    "FillChances": "queues",
    "FillRule": "matcher",
    "Generator": "generator",
    "Instrument": "instruments",
    "InterpolatedLatency": "latency",
    "JitterLatency": "latency",
    "LatencyModel": "latency",
    "LogProbQueue": "queues",
    "MarketSource": "source",
    "MatchEvent": "matcher",
    "Matcher": "matcher",
    "Order": "matching",
    "OrderBook": "matching",
    "PaperGateway": "paper",
    "Player": "player",
    "ProbQueue": "queues",
    "PythonLatency": "latency",
    "QueueModel": "queues",
    "RestApi": "rest",
    "RiskAverseQueue": "queues",
    "SpikeLatency": "latency",
    "StopTrigger": "matcher",
    "Subscriptions": "streams",
    "Tape": "player",
    "UserQueue": "queues",
    "describe": "recording",
}

__all__ = [
    "ConstantLatency",
    "FaultInjector",
    "FaultPlan",
    "FifoQueue",
    "FillChances",
    "FillRule",
    "Generator",
    "Instrument",
    "InterpolatedLatency",
    "JitterLatency",
    "LatencyModel",
    "LogProbQueue",
    "MarketSource",
    "MatchEvent",
    "Matcher",
    "Order",
    "OrderBook",
    "PaperGateway",
    "Player",
    "ProbQueue",
    "PythonLatency",
    "QueueModel",
    "RestApi",
    "RiskAverseQueue",
    "SpikeLatency",
    "StopTrigger",
    "Subscriptions",
    "Tape",
    "UserQueue",
    "describe",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"libchronicle.sim.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
