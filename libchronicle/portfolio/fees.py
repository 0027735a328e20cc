"""Maker and taker fees as integer rates.

A rate is a mantissa at RATE_EXPONENT of the trade's value: 0.1 % = 100_000, a rebate is negative. A fee is
rounded up to the next unit of money (a rebate toward zero): a simulated account never pays less than the
venue would take.
"""

from __future__ import annotations

from dataclasses import dataclass

from libchronicle.portfolio.fixed import ceil_div, checked_i64, checked_product

__all__ = ["RATE_EXPONENT", "FeeSchedule"]

RATE_EXPONENT = -8
_UNIT = 10**-RATE_EXPONENT


@dataclass(frozen=True, slots=True)
class FeeSchedule:
    """Rates of one account on one venue."""

    maker_rate: int = 0
    taker_rate: int = 0

    @classmethod
    def from_bps(cls, maker: float, taker: float) -> FeeSchedule:
        """Basis points as configured (1 bp = 0.01 %), exact to a ten-thousandth of one."""
        return cls(round(maker * 10_000), round(taker * 10_000))

    def fee(self, value: int, *, is_maker: bool) -> int:
        """Fee for a trade of `value` (money, not negative). Raises FixedPointOverflow."""
        rate = self.maker_rate if is_maker else self.taker_rate
        return checked_i64(ceil_div(checked_product(value, rate, "fee"), _UNIT), "fee")
