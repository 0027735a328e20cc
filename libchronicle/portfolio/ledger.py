"""Every position of every owner (a strategy), and what its open orders could add to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from libchronicle.errors import UnknownInstrument
from libchronicle.portfolio.account import Account
from libchronicle.portfolio.orders import Order, OrderKey
from libchronicle.portfolio.position import Position
from libchronicle.portfolio.valuation import InstrumentTerms
from libchronicle.protocol import OrderType

__all__ = ["Holding", "Ledger"]


@dataclass(slots=True)
class Holding:
    """One owner's position in one instrument, and the leaves of its open orders by side. `slot`: of the instrument in the
    owner's account, where there is one; its position there is the same."""

    position: Position
    open_buy: int = 0
    open_sell: int = 0
    account: Account | None = None
    slot: int = -1

    def reducible(self, *, is_buy: bool) -> int:
        """How much an order of this side can take off the position without turning it."""
        qty = self.position.qty
        return max(0, -qty if is_buy else qty)


@dataclass(slots=True)
class Ledger:
    """Positions by (owner, instrument). Open orders are entered at their ack and left at their end.

    `open_account`: makes the account an owner begins with; None = no accounts, only positions.
    """

    terms: dict[int, InstrumentTerms] = field(default_factory=dict)
    holdings: dict[tuple[str, int], Holding] = field(default_factory=dict)
    open_orders: dict[OrderKey, Order] = field(default_factory=dict)
    open_count: dict[str, int] = field(default_factory=dict)
    open_account: Callable[[], Account] | None = None
    accounts: dict[str, Account] = field(default_factory=dict)

    def define(self, terms: InstrumentTerms) -> None:
        """Make an instrument known. Tick, lot and filters may change with a later definition, exponents
        never do."""
        self.terms[terms.instrument_id] = terms
        for (_, instrument_id), holding in self.holdings.items():
            if instrument_id == terms.instrument_id:
                holding.position.terms = terms
                if holding.account is not None:
                    holding.account.add(terms)

    def holding(self, owner: str, instrument_id: int) -> Holding:
        """The holding, flat if there was none. Raises UnknownInstrument."""
        found = self.holdings.get((owner, instrument_id))
        if found is None:
            terms = self.terms.get(instrument_id)
            if terms is None:
                raise UnknownInstrument(instrument=instrument_id)
            account = self.account(owner)
            slot = account.add(terms) if account is not None else -1
            found = self.holdings[owner, instrument_id] = Holding(Position(terms), account=account, slot=slot)
        return found

    def account(self, owner: str) -> Account | None:
        """The owner's account, as it begins if it is a new one; None where no accounts are kept."""
        found = self.accounts.get(owner)
        if found is None and self.open_account is not None:
            found = self.accounts[owner] = self.open_account()
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

    def hold(self, order: Order, leaves: int) -> None:
        """The owner's account holds back what so many leaves of an open order may cost; 0 gives all of it back."""
        holding = self.holding(order.owner, order.instrument_id)
        if holding.account is None:
            return
        price = order.reserve_price
        leaves = leaves if price else 0
        if order.held and (not leaves or price != order.held_price):
            holding.account.opened(holding.slot, order.side, -order.held, order.held_price)
            order.held = 0
        if leaves != order.held:
            holding.account.opened(holding.slot, order.side, leaves - order.held, price)
        order.held, order.held_price = leaves, price

    def replaced(self, order: Order, price: int, qty: int) -> None:
        """An open order has another price and total quantity; it loses its place in time unless it only became smaller."""
        self.shift_open(order, qty - order.qty)
        if price != order.price or qty > order.qty:
            self.requeue(order)
        order.price, order.qty = price, qty

    def triggered(self, order: Order) -> None:
        """A stop-limit order has become the limit order it waited to be: it stands behind those that were there."""
        order.order_type = OrderType.LIMIT
        self.requeue(order)

    def settle(self) -> None:
        """What accounts hold back and value, reckoned anew from positions and open orders alone: so it is the same whichever
        way the ledger came to them."""
        for order in self.open_orders.values():
            self.hold(order, 0)
        for order in self.open_orders.values():
            self.hold(order, order.leaves)
        for holding in self.holdings.values():
            if holding.account is not None:
                holding.account.mark(holding.slot, holding.position.average_price)

    def fill_again(self, order: Order, qty: int, price: int, fee: int, ts_ns: int) -> None:
        """Book a fill that a journal tells of, in the owner's account too. Raises FixedPointOverflow."""
        holding = self.holding(order.owner, order.instrument_id)
        if holding.account is not None:
            holding.account.book(holding.slot, order.side, price, qty, fee, ts_ns=ts_ns)
        self.fill(order, qty, price, fee)

    def liquidate(self, owner: str, instrument_id: int, price: int, ts_ns: int) -> int:
        """Close a position of an account at this price; what was charged. Raises FixedPointOverflow."""
        holding = self.holding(owner, instrument_id)
        if holding.account is None:
            return 0
        fee = holding.account.close_out(holding.slot, price, ts_ns=ts_ns)
        now = holding.account.position(holding.slot)
        holding.position.restore(now.qty, now.cost, now.realized, now.fees)
        return fee

    def restore(self, owner: str, instrument_id: int, qty: int, cost: int, realized: int, fees: int) -> None:
        """Take up a position as it stands; the balances follow. Raises UnknownInstrument, FixedPointOverflow."""
        holding = self.holding(owner, instrument_id)
        holding.position.restore(qty, cost, realized, fees)
        if holding.account is not None:
            holding.account.restore(holding.slot, holding.position)

    def fill(self, order: Order, qty: int, price: int, fee: int) -> int:
        """Book a fill of an open order; returns what it realised. Raises FixedPointOverflow and changes
        nothing then. The account's part is its gateway's."""
        realized = self.holding(order.owner, order.instrument_id).position.apply(order.sign * qty, price, fee)
        self.shift_open(order, -qty)
        return realized

    def orders_of(self, owner: str | None = None, instrument_id: int = 0) -> Iterator[Order]:
        """Open orders, oldest place first; 0 = every instrument, None = every owner."""
        for order in list(self.open_orders.values()):
            if owner in (None, order.owner) and instrument_id in (0, order.instrument_id):
                yield order
