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
    from libchronicle.sim.matching import Order, OrderBook
    from libchronicle.sim.player import Player, Tape
    from libchronicle.sim.recording import describe
    from libchronicle.sim.rest import RestApi
    from libchronicle.sim.source import MarketSource
    from libchronicle.sim.streams import Subscriptions

_HOMES = {
    "FaultInjector": "faults",
    "FaultPlan": "faults",
    "Generator": "generator",
    "Instrument": "instruments",
    "MarketSource": "source",
    "Order": "matching",
    "OrderBook": "matching",
    "Player": "player",
    "RestApi": "rest",
    "Subscriptions": "streams",
    "Tape": "player",
    "describe": "recording",
}

__all__ = [
    "FaultInjector",
    "FaultPlan",
    "Generator",
    "Instrument",
    "MarketSource",
    "Order",
    "OrderBook",
    "Player",
    "RestApi",
    "Subscriptions",
    "Tape",
    "describe",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"libchronicle.sim.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
