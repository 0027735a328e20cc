"""Accounts, positions, fees, margin, orders and the ledger: fixed-point and pure."""

from libchronicle.portfolio.account import Account
from libchronicle.portfolio.fees import RATE_EXPONENT, FeeSchedule, FlatFees, MakerTaker, TieredFees
from libchronicle.portfolio.fixed import MONEY_EXPONENT, money
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
from libchronicle.portfolio.valuation import InstrumentTerms

__all__ = [
    "AHEAD_UNKNOWN",
    "MONEY_EXPONENT",
    "RATE_EXPONENT",
    "TERMINAL",
    "TRANSITIONS",
    "Account",
    "FeeSchedule",
    "FlatFees",
    "Holding",
    "InstrumentTerms",
    "Ledger",
    "MakerTaker",
    "Order",
    "OrderKey",
    "OrderState",
    "Position",
    "TieredFees",
    "money",
    "next_state",
]
