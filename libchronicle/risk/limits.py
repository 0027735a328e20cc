"""Limits as configured, and as they hold for one instrument."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from libchronicle.portfolio import MONEY_EXPONENT, InstrumentTerms
from libchronicle.protocol import parse_decimal

__all__ = ["BPS", "ConfiguredLimits", "RiskLimits", "resolve"]

BPS = 10_000


class ConfiguredLimits(Protocol):
    """Decimal strings as in the TOML; None = no limit. Notionals are in the settle currency."""

    @property
    def max_order_qty(self) -> str | None: ...
    @property
    def max_order_notional(self) -> str | None: ...
    @property
    def max_position_qty(self) -> str | None: ...
    @property
    def max_position_notional(self) -> str | None: ...
    @property
    def max_open_orders(self) -> int | None: ...
    @property
    def max_orders_per_s(self) -> int | None: ...
    @property
    def price_band_bps(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class RiskLimits:
    """Limits of one strategy in one instrument, as mantissas. None = no limit."""

    max_order_qty: int | None = None
    max_order_notional: int | None = None
    max_position_qty: int | None = None
    max_position_notional: int | None = None
    max_open_orders: int | None = None
    price_band_bps: int | None = None


def resolve(limits: ConfiguredLimits, terms: InstrumentTerms) -> RiskLimits:
    """The limits at the instrument's exponents, rounded down: never wider than what was written. Raises
    DecimalError."""
    return RiskLimits(
        max_order_qty=_floor(limits.max_order_qty, terms.qty_exponent),
        max_order_notional=_floor(limits.max_order_notional, MONEY_EXPONENT),
        max_position_qty=_floor(limits.max_position_qty, terms.qty_exponent),
        max_position_notional=_floor(limits.max_position_notional, MONEY_EXPONENT),
        max_open_orders=limits.max_open_orders,
        price_band_bps=limits.price_band_bps,
    )


def _floor(text: str | None, exponent: int) -> int | None:
    if text is None:
        return None
    whole, _, fraction = text.partition(".")
    kept = fraction[: max(0, -exponent)]
    return parse_decimal(f"{whole}.{kept}".rstrip(".").encode(), exponent)
