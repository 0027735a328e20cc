"""Pre-trade risk: limits and one table of checks, pure, the same in router, strategy host and backtest."""

from libchronicle.risk.bucket import TokenBucket
from libchronicle.risk.checks import CHECKS, Breach, MarketView, Proposal, Situation, check
from libchronicle.risk.limits import ConfiguredLimits, RiskLimits, resolve

__all__ = [
    "CHECKS",
    "Breach",
    "ConfiguredLimits",
    "MarketView",
    "Proposal",
    "RiskLimits",
    "Situation",
    "TokenBucket",
    "check",
    "resolve",
]
