"""A call auction: at which price most trades, and who trades with whom there. Plain integers: ticks and lots.

Rules
  - The price is that of a limit order at which the largest quantity can trade; of several, the one that leaves the smallest
    surplus; then the one nearest to the reference; then the higher. With no limit order on either side it is the reference.
  - An order without a price trades at any. It comes before all that have one; then the better price, then who came first.
  - Nobody trades at a worse price than his own. Quantity is conserved: both sides trade the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate
from typing import NamedTuple

__all__ = ["BUY", "SELL", "CallOrder", "Clearing", "Match", "clear", "match"]

BUY = 1
SELL = -1


class CallOrder:
    """`price` None: at any. `remaining` is what has neither traded nor been cancelled."""

    __slots__ = ("order_id", "price", "remaining", "side")

    def __init__(self, order_id: int, side: int, price: int | None, qty: int) -> None:
        self.order_id = order_id
        self.side = side
        self.price = price
        self.remaining = qty


class Clearing(NamedTuple):
    """`surplus` > 0: buyers were left over, < 0: sellers."""

    price: int
    qty: int
    surplus: int


class Match(NamedTuple):
    buy_id: int
    sell_id: int
    qty: int


def clear(orders: Iterable[CallOrder], reference: int) -> Clearing | None:
    """Price and quantity of an auction of these orders; None when nothing would trade."""
    demand: dict[int, int] = {}
    supply: dict[int, int] = {}
    at_any = {BUY: 0, SELL: 0}
    for order in orders:
        if order.price is None:
            at_any[order.side] += order.remaining
        else:
            side = demand if order.side == BUY else supply
            side[order.price] = side.get(order.price, 0) + order.remaining
    prices = sorted({*demand, *supply} or {reference})
    sellers = [at_any[SELL] + sold for sold in accumulate(supply.get(p, 0) for p in prices)]
    falling = accumulate(demand.get(p, 0) for p in reversed(prices))
    buyers = [at_any[BUY] + bought for bought in falling][::-1]

    def rank(at: int) -> tuple[int, int, int, int]:
        price = prices[at]
        return -min(buyers[at], sellers[at]), abs(buyers[at] - sellers[at]), abs(price - reference), -price

    best = min(range(len(prices)), key=rank)
    qty = min(buyers[best], sellers[best])
    return Clearing(prices[best], qty, buyers[best] - sellers[best]) if qty else None


def match(orders: Iterable[CallOrder], clearing: Clearing) -> list[Match]:
    """Who trades with whom; takes it off their `remaining`. `orders` in the order they came."""
    listed = list(orders)
    buys, sells = (_queue([o for o in listed if o.side == side], clearing.price) for side in (BUY, SELL))
    found = []
    left = clearing.qty
    while left:
        buy, sell = buys[-1], sells[-1]
        qty = min(buy.remaining, sell.remaining, left)
        buy.remaining -= qty
        sell.remaining -= qty
        left -= qty
        found.append(Match(buy.order_id, sell.order_id, qty))
        for queue in (buys, sells):
            if not queue[-1].remaining:
                queue.pop()
    return found


def _queue(orders: list[CallOrder], price: int) -> list[CallOrder]:
    """Of one side, those that may trade at a price; the first to trade last."""
    able = [o for o in orders if o.price is None or (price - o.price) * o.side <= 0]
    able.sort(
        key=lambda o: (0, 0) if o.price is None else (1, -o.price * o.side)
    )  # stable: within a price by arrival
    return able[::-1]
