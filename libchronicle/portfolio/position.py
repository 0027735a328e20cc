"""One position at average cost.

Rules:
- `qty` is signed; `cost` is what the open quantity was bought for, signed like it (a short's is negative).
- Opening adds the fill's value to the cost. Closing takes out cost × closed ÷ open, rounded half-even
  once, and realises the difference.
- A flip closes all, then opens the rest at the fill's price; the two parts' values sum to the fill's value.
- Always, to the last digit:  realized == cash + cost,  and flat means cost == 0. So equity = cash - fees +
  value at the mark is what any independent ledger of the same fills says.
- Fees are kept apart; realised profit is before fees.
"""

from __future__ import annotations

from dataclasses import dataclass

from libchronicle.portfolio.fixed import checked_i64, half_even_div
from libchronicle.portfolio.valuation import InstrumentTerms

__all__ = ["Position"]


@dataclass(slots=True)
class Position:
    """Position in one instrument: quantities at the instrument's exponent, money at MONEY_EXPONENT."""

    terms: InstrumentTerms
    qty: int = 0
    cost: int = 0
    cash: int = 0
    realized: int = 0
    fees: int = 0

    def apply(self, signed_qty: int, price: int, fee: int = 0) -> int:
        """Book a fill; returns what it realised. Nothing changes when it raises FixedPointOverflow."""
        value = self.terms.signed_value(price, signed_qty)
        closed, removed, closing_value = self._closing(signed_qty, price, value)
        gained = -(closing_value + removed)
        qty = checked_i64(self.qty + signed_qty, "position")
        cost = checked_i64(self.cost - removed + (value - closing_value), "cost")
        cash = checked_i64(self.cash - value, "cash")
        realized = checked_i64(self.realized + gained, "realised profit")
        fees = checked_i64(self.fees + fee, "fees")
        self.qty, self.cost, self.cash, self.realized, self.fees = qty, cost, cash, realized, fees
        assert realized == cash + cost, "cash and inventory disagree"
        return gained if closed else 0

    def _closing(self, signed_qty: int, price: int, value: int) -> tuple[int, int, int]:
        """(quantity closed, cost it takes out, value of the closing part) of a fill."""
        if self.qty == 0 or (self.qty > 0) == (signed_qty > 0):
            return 0, 0, 0
        if abs(signed_qty) < abs(self.qty):
            return abs(signed_qty), half_even_div(self.cost * abs(signed_qty), abs(self.qty)), value
        if signed_qty == -self.qty:
            return abs(signed_qty), self.cost, value
        return abs(self.qty), self.cost, self.terms.signed_value(price, -self.qty)

    @property
    def average_price(self) -> int:
        """Average entry price at the instrument's price exponent; 0 when flat."""
        return self.terms.price_of(self.cost, self.qty)

    def unrealized(self, mark: int) -> int:
        """Profit of the open quantity at the price `mark`."""
        return (
            checked_i64(self.terms.signed_value(mark, self.qty) - self.cost, "unrealised profit")
            if self.qty
            else 0
        )

    def equity(self, mark: int) -> int:
        """Cash from all fills, less fees, and the open quantity at `mark`."""
        held = self.terms.signed_value(mark, self.qty) if self.qty else 0
        return checked_i64(self.cash - self.fees + held, "equity")

    def restore(self, qty: int, cost: int, realized: int, fees: int) -> None:
        """Take up a position that was carried over; its cash follows from the identity."""
        self.qty, self.cost, self.realized, self.fees = qty, cost, realized, fees
        self.cash = realized - cost
