"""Every position of every owner (a strategy), and what its open orders could add to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from libchronicle.errors import UnknownInstrument
from libchronicle.portfolio.orders import Order, OrderKey
from libchronicle.portfolio.position import Position
from libchronicle.portfolio.valuation import InstrumentTerms

__all__ = ["Holding", "Ledger"]


@dataclass(slots=True)
class Holding:
    """One owner's position in one instrument, and the leaves of its open orders by side."""

    position: Position
    open_buy: int = 0
    open_sell: int = 0

    def reducible(self, *, is_buy: bool) -> int:
        """How much an order of this side can take off the position without turning it."""
        qty = self.position.qty
        return max(0, -qty if is_buy else qty)


@dataclass(slots=True)
class Ledger:
    """Positions by (owner, instrument). Open orders are entered at their ack and left at their end."""

    terms: dict[int, InstrumentTerms] = field(default_factory=dict)
    holdings: dict[tuple[str, int], Holding] = field(default_factory=dict)
    open_orders: dict[OrderKey, Order] = field(default_factory=dict)
    open_count: dict[str, int] = field(default_factory=dict)

    def define(self, terms: InstrumentTerms) -> None:
        """Make an instrument known. Tick, lot and filters may change with a later definition, exponents
        never do."""
        self.terms[terms.instrument_id] = terms
        for (_, instrument_id), holding in self.holdings.items():
            if instrument_id == terms.instrument_id:
                holding.position.terms = terms

    def holding(self, owner: str, instrument_id: int) -> Holding:
        """The holding, flat if there was none. Raises UnknownInstrument."""
        found = self.holdings.get((owner, instrument_id))
        if found is None:
            terms = self.terms.get(instrument_id)
            if terms is None:
                raise UnknownInstrument(instrument=instrument_id)
            found = self.holdings[owner, instrument_id] = Holding(Position(terms))
        return found

    def enter(self, order: Order) -> None:
        """An order has been accepted: its leaves count from now on."""
        self.open_orders[order.key] = order
        self.open_count[order.owner] = self.open_count.get(order.owner, 0) + 1
        self.shift_open(order, order.qty - order.cum)

    def leave(self, order: Order, leaves: int) -> None:
        """An order has ended with `leaves` unfilled."""
        if self.open_orders.pop(order.key, None) is None:
            return
        self.open_count[order.owner] -= 1
        self.shift_open(order, -leaves)

    def requeue(self, order: Order) -> None:
        """A change has cost the order its place in time: it comes after every other."""
        if self.open_orders.pop(order.key, None) is not None:
            self.open_orders[order.key] = order

    def shift_open(self, order: Order, delta: int) -> None:
        """Leaves of an open order grew by `delta` (a fill or a replace makes them shrink)."""
        holding = self.holding(order.owner, order.instrument_id)
        if order.is_buy:
            holding.open_buy += delta
        else:
            holding.open_sell += delta

    def fill(self, order: Order, qty: int, price: int, fee: int) -> int:
        """Book a fill of an open order; returns what it realised. Raises FixedPointOverflow and changes
        nothing then."""
        realized = self.holding(order.owner, order.instrument_id).position.apply(order.sign * qty, price, fee)
        self.shift_open(order, -qty)
        return realized

    def orders_of(self, owner: str | None = None, instrument_id: int = 0) -> Iterator[Order]:
        """Open orders, oldest place first; 0 = every instrument, None = every owner."""
        for order in list(self.open_orders.values()):
            if owner in (None, order.owner) and instrument_id in (0, order.instrument_id):
                yield order
