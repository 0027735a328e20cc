"""A ledger that knows nothing of the one under test: fractions, lists of fills, sums from the beginning at every question.

It shares three rules with it, because venues state them: the value of a fill is rounded half-even to 1e-8, a charge is rounded
up to 1e-8, and a close at average cost takes out its part of the cost, rounded half-even.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction

from libchronicle.portfolio import InstrumentTerms

UNIT = 10**8


def ten(exponent: int) -> Fraction:
    return Fraction(10) ** exponent


def up(amount: Fraction) -> Fraction:
    return Fraction(math.ceil(amount * UNIT), UNIT)


def near(amount: Fraction) -> Fraction:
    return Fraction(round(amount * UNIT), UNIT)  # of a Fraction: half-even


@dataclass
class Book:
    """Everything that was done in one instrument."""

    terms: InstrumentTerms
    rate: dict[bool, Fraction] = field(
        default_factory=lambda: {True: Fraction(0), False: Fraction(0)}
    )  # by maker
    initial_rate: Fraction = Fraction(1)
    fills: list[tuple[Fraction, Fraction, bool]] = field(
        default_factory=list
    )  # signed quantity, price, maker
    fundings: list[Fraction] = field(default_factory=list)
    orders: dict[int, tuple[int, int, int]] = field(
        default_factory=dict
    )  # key: side, price, leaves (mantissas)
    mark: int = 0

    @property
    def spot(self) -> bool:
        return self.terms.kind == 0

    def price(self, mantissa: int) -> Fraction:
        return mantissa * ten(self.terms.price_exponent)

    def qty(self, mantissa: int) -> Fraction:
        return mantissa * ten(self.terms.qty_exponent)

    def value(self, price: Fraction, qty: Fraction) -> Fraction:
        """Money, of the sign of the quantity for linear and spot, against it for inverse."""
        size = self.qty(self.terms.contract_size) if self.terms.contract_size else Fraction(1)
        return near(-qty * size / price if self.terms.inverse else qty * size * price)

    def position(self) -> Fraction:
        return sum((qty for qty, _, _ in self.fills), Fraction(0))

    def fees(self) -> Fraction:
        return sum((up(abs(self.value(p, q)) * self.rate[maker]) for q, p, maker in self.fills), Fraction(0))

    def paid(self) -> Fraction:
        return sum((self.value(p, q) for q, p, _ in self.fills), Fraction(0))

    def funding(self) -> Fraction:
        return sum(self.fundings, Fraction(0))

    def cost(self) -> Fraction:
        """Of the open quantity, at average cost."""
        held = cost = Fraction(0)
        for qty, price, _ in self.fills:
            if held * qty >= 0:
                cost += self.value(price, qty)
            elif abs(qty) <= abs(held):
                cost -= near(cost * abs(qty) / abs(held))
            else:
                cost = self.value(price, qty) - self.value(price, -held)
            held += qty
        return cost

    def unrealized(self) -> Fraction:
        held = self.position()
        return self.value(self.price(self.mark), held) - self.cost() if held and self.mark else Fraction(0)

    def initial(self) -> Fraction:
        """By the venue's rule: the larger of position with buys, position with sells."""
        held = self.position()
        worth = abs(self.value(self.price(self.mark), held)) if self.mark else Fraction(0)
        worth = -worth if held < 0 else worth
        sides = [Fraction(0), Fraction(0)]
        for side, price, leaves in self.orders.values():
            sides[side == 2] += abs(self.value(self.price(price), self.qty(leaves)))
        return up(max(abs(worth + sides[0]), abs(worth - sides[1])) * self.initial_rate)
