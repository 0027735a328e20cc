"""Limits as configured, and as they hold for one instrument."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol

from libchronicle.portfolio import MONEY_EXPONENT, InstrumentTerms
from libchronicle.protocol import parse_decimal

__all__ = [
    "BPS",
    "ConfiguredLimits",
    "RiskLimits",
    "resolve",
]

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
    @property
    def max_exposure(self) -> str | None: ...
    @property
    def max_data_age_ms(self) -> int | None: ...
    @property
    def max_drawdown(self) -> str | None: ...
    @property
    def max_daily_loss(self) -> str | None: ...
    @property
    def max_losses_in_a_row(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class RiskLimits:
    """Limits of one strategy in one instrument, as mantissas. None = no limit."""

    max_order_qty: int | None = None
    max_order_notional: int | None = None
    max_position_qty: int | None = None
    max_position_notional: int | None = None
    max_open_orders: int | None = None
    price_band_bps: int | None = None
    max_exposure: int | None = None  # of all instruments settled in one currency
    max_data_age_ns: int | None = None
    allowed: bool = True


def resolve(
    limits: ConfiguredLimits, terms: InstrumentTerms, allowed: Iterable[str] | None = None
) -> RiskLimits:
    """The limits at the instrument's exponents, rounded down: never wider than what was written. `allowed`: patterns of
    venue:SYMBOL, None = every instrument. Raises DecimalError."""
    age_ms = limits.max_data_age_ms
    return RiskLimits(
        max_order_qty=_floor(limits.max_order_qty, terms.qty_exponent),
        max_order_notional=_floor(limits.max_order_notional, MONEY_EXPONENT),
        max_position_qty=_floor(limits.max_position_qty, terms.qty_exponent),
        max_position_notional=_floor(limits.max_position_notional, MONEY_EXPONENT),
        max_open_orders=limits.max_open_orders,
        price_band_bps=limits.price_band_bps,
        max_exposure=_floor(limits.max_exposure, MONEY_EXPONENT),
        max_data_age_ns=None if age_ms is None else age_ms * 1_000_000,
        allowed=allowed is None or any(fnmatchcase(terms.name, pattern) for pattern in allowed),
    )


def _floor(text: str | None, exponent: int) -> int | None:
    if text is None:
        return None
    whole, _, fraction = text.partition(".")
    kept = fraction[: max(0, -exponent)]
    return parse_decimal(f"{whole}.{kept}".rstrip(".").encode(), exponent)
