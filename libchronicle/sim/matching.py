"""A limit order book with price-time priority: the matching engine of the embedded venue.

Prices are ticks and quantities are lots, both plain integers, so nothing is ever rounded. Rules that always hold:

- The book is never crossed: an incoming order trades until it no longer meets the other side, only then it rests.
- A trade happens at the resting order's price; within a level the oldest order trades first.
- Quantity is conserved: accepted = traded (both sides) + cancelled + resting.
"""

from __future__ import annotations

from typing import NamedTuple

BUY = 1
SELL = -1


class Order:
    """One resting (or just now incoming) order. `remaining` is what has neither traded nor been cancelled."""

    __slots__ = ("order_id", "price", "qty", "remaining", "side")

    def __init__(self, order_id: int, side: int, price: int, qty: int) -> None:
        self.order_id = order_id
        self.side = side
        self.price = price
        self.qty = qty
        self.remaining = qty


class Fill(NamedTuple):
    maker_id: int
    taker_id: int
    price: int
    qty: int
    taker_side: int


class Level:
    """Orders of one price in arrival order, and the sum of what remains of them."""

    __slots__ = ("orders", "qty")

    def __init__(self) -> None:
        self.orders: dict[int, Order] = {}
        self.qty = 0


class BookSide:
    """One side. `best` is kept; finding the next best costs a walk over the levels, only when the best empties."""

    __slots__ = ("best", "changed", "levels", "side")

    def __init__(self, side: int) -> None:
        self.side = side
        self.levels: dict[int, Level] = {}
        self.best: int | None = None
        self.changed: set[int] = set()

    def add(self, order: Order) -> None:
        level = self.levels.get(order.price)
        if level is None:
            level = self.levels[order.price] = Level()
            if self.best is None or (order.price - self.best) * self.side > 0:
                self.best = order.price
        level.orders[order.order_id] = order
        level.qty += order.remaining
        self.changed.add(order.price)

    def reduce(self, order: Order, qty: int) -> None:
        """Takes `qty` off a resting order; an empty order and an empty level disappear."""
        level = self.levels[order.price]
        level.qty -= qty
        order.remaining -= qty
        self.changed.add(order.price)
        if order.remaining:
            return
        del level.orders[order.order_id]
        if not level.orders:
            del self.levels[order.price]
            if order.price == self.best:
                self.best = self._next_best()

    def _next_best(self) -> int | None:
        if not self.levels:
            return None
        return max(self.levels) if self.side == BUY else min(self.levels)

    def best_qty(self) -> int:
        return self.levels[self.best].qty if self.best is not None else 0

    def top(self, limit: int) -> list[tuple[int, int]]:
        """The best `limit` levels as (price, qty), best first."""
        prices = sorted(self.levels, reverse=self.side == BUY)[:limit]
        return [(price, self.levels[price].qty) for price in prices]

    def drain_changed(self) -> list[tuple[int, int]]:
        """Levels touched since the last call as (price, qty now; 0 = gone), best first."""
        prices = sorted(self.changed, reverse=self.side == BUY)
        self.changed.clear()
        levels = self.levels
        return [(price, levels[price].qty if price in levels else 0) for price in prices]


class OrderBook:
    """Both sides and the index of resting orders."""

    __slots__ = ("asks", "bids", "orders")

    def __init__(self) -> None:
        self.bids = BookSide(BUY)
        self.asks = BookSide(SELL)
        self.orders: dict[int, Order] = {}

    def submit(self, order: Order, *, rest: bool = True) -> list[Fill]:
        """Matches a limit order; what remains rests unless `rest` is false (immediate or cancel)."""
        fills = self._match(order, order.price)
        if order.remaining and rest:
            (self.bids if order.side == BUY else self.asks).add(order)
            self.orders[order.order_id] = order
        return fills

    def submit_market(self, order: Order) -> list[Fill]:
        """Takes the other side at any price; what finds no counterpart is dropped."""
        return self._match(order, None)

    def cancel(self, order_id: int) -> Order | None:
        """Takes a resting order out and returns it with `remaining` as it was, None if it is not resting."""
        order = self.orders.pop(order_id, None)
        if order is None:
            return None
        remaining = order.remaining
        (self.bids if order.side == BUY else self.asks).reduce(order, remaining)
        order.remaining = remaining
        return order

    def _match(self, taker: Order, worst_price: int | None) -> list[Fill]:
        other = self.asks if taker.side == BUY else self.bids
        fills: list[Fill] = []
        while taker.remaining and (price := other.best) is not None:
            if worst_price is not None and (price - worst_price) * taker.side > 0:
                break
            maker = next(iter(other.levels[price].orders.values()))
            qty = min(maker.remaining, taker.remaining)
            other.reduce(maker, qty)
            taker.remaining -= qty
            if not maker.remaining:
                del self.orders[maker.order_id]
            fills.append(Fill(maker.order_id, taker.order_id, price, qty, taker.side))
        return fills
