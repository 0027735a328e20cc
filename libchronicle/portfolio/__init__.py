"""Positions, fees, orders and the ledger: fixed-point and pure."""

from libchronicle.portfolio.fees import RATE_EXPONENT, FeeSchedule
from libchronicle.portfolio.ledger import Holding, Ledger
from libchronicle.portfolio.orders import (
    AHEAD_UNKNOWN,
    TERMINAL,
    TRANSITIONS,
    Order,
    OrderKey,
    OrderState,
    next_state,
)
from libchronicle.portfolio.position import Position
from libchronicle.portfolio.valuation import MONEY_EXPONENT, InstrumentTerms

__all__ = [
    "AHEAD_UNKNOWN",
    "MONEY_EXPONENT",
    "RATE_EXPONENT",
    "TERMINAL",
    "TRANSITIONS",
    "FeeSchedule",
    "Holding",
    "InstrumentTerms",
    "Ledger",
    "Order",
    "OrderKey",
    "OrderState",
    "Position",
    "next_state",
]
