"""What a pre-trade check is asked, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from libchronicle.portfolio import Holding, InstrumentTerms
from libchronicle.protocol import OrderType, RejectCode
from libchronicle.risk.limits import RiskLimits

if TYPE_CHECKING:
    from libchronicle.risk.checks import TokenBucket

__all__ = ["Breach", "MarketView", "Proposal", "Situation"]

UNLIMITED = RiskLimits()


class Breach(NamedTuple):
    """Why an order is refused: the stable code, the limit and what was asked for."""

    code: RejectCode
    limit: int = 0
    actual: int = 0


class MarketView(NamedTuple):
    """What is known of the market: best prices (0 = that side is empty), a price to measure others against, and when the
    instrument was last heard of (ns, 0 = not known)."""

    best_bid: int
    best_ask: int
    reference: int
    ts_ns: int = 0


@dataclass(slots=True)
class Proposal:
    """An order that wants to be sent, or the terms a replace asks for. A stop-market order has its stop price as price."""

    is_buy: bool
    qty: int
    price: int = 0
    order_type: int = OrderType.LIMIT
    reduce_only: bool = False
    valid_until_ns: int = 0
    replaces_leaves: int = 0  # leaves of the order it replaces: they no longer count as open
    is_replace: bool = False


@dataclass(slots=True)
class Situation:
    """Everything a check may look at."""

    now_ns: int
    killed: bool
    terms: InstrumentTerms | None
    market: MarketView | None  # None: lost, stale or without a valid book
    holding: Holding | None = None
    limits: RiskLimits = UNLIMITED
    open_orders: int = 0
    bucket: TokenBucket | None = None
    exposure: int = 0  # money of all other instruments settled in the same currency
    tripped: Breach | None = None  # of a breaker
    permitted: bool = True  # by the external risk gateway, where there is one
