"""Pre-trade risk: limits, one table of checks, breakers, exits: native and pure, the same in router, strategy host and
backtest."""

from libchronicle.risk.breakers import Breakers, RoundTrips
from libchronicle.risk.checks import MOST_OPEN_ORDERS, TokenBucket, check
from libchronicle.risk.configured import BREAKERS, ConfiguredBreakers, ConfiguredExits, breakers_of, exits_of
from libchronicle.risk.exits import Exit, Exits
from libchronicle.risk.gate import RiskGate
from libchronicle.risk.limits import ConfiguredLimits, RiskLimits, resolve
from libchronicle.risk.situation import Breach, MarketView, Proposal, Situation

__all__ = [
    "BREAKERS",
    "MOST_OPEN_ORDERS",
    "Breach",
    "Breakers",
    "ConfiguredBreakers",
    "ConfiguredExits",
    "ConfiguredLimits",
    "Exit",
    "Exits",
    "MarketView",
    "Proposal",
    "RiskGate",
    "RiskLimits",
    "RoundTrips",
    "Situation",
    "TokenBucket",
    "breakers_of",
    "check",
    "exits_of",
    "resolve",
]
