"""Passive orders among the single orders of a market, in plain Python: lists by price.

Events are tuples: ("add", id, side, price, qty), ("less", id, qty), ("gone", id), ("moved", id, new id, price, qty),
("exec", id, qty, price), ("print", price, qty, side that was hit or 0). Side 1 = bids, -1 = asks.
Ours rest only, and never meet.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from typing import NamedTuple

Event = tuple[object, ...]
Fill = tuple[int, int, int, int]  # time, number of our order, price, quantity


class Ours(NamedTuple):
    """An order of ours as it reached the venue."""

    number: int
    arrived: int
    side: int
    price: int
    qty: int


class _Resting:
    def __init__(self, order: Ours, ahead: set[int]) -> None:
        self.order, self.left, self.ahead = order, order.qty, ahead


class Queues:
    """The market's orders by side and price, first come first, and ours among them."""

    def __init__(self) -> None:
        self.at: dict[tuple[int, int], list[list[int]]] = {}  # (side, price): [id, qty]
        self.where: dict[int, tuple[int, int]] = {}
        self.prices: dict[int, list[int]] = {1: [], -1: []}  # rising
        self.ours: list[_Resting] = []  # that are not filled yet, by age
        self.taken: dict[
            tuple[int, int], list[int]
        ] = {}  # level: [displayed when we looked last, taken by us]
        self.fills: list[Fill] = []
        self.now = 0

    def levels(self, side: int, count: int = 1 << 30) -> list[tuple[int, int]]:
        prices = self.prices[side][:count] if side < 0 else self.prices[side][::-1][:count]
        return [(price, sum(qty for _, qty in self.at[side, price])) for price in prices]

    # ------------------------------------------------------------ the market

    def add(self, name: int, side: int, price: int, qty: int) -> None:
        if (side, price) not in self.at:
            self.at[side, price] = []
            insort(self.prices[side], price)
        self.at[side, price].append([name, qty])
        self.where[name] = side, price

    def take_off(self, name: int, qty: int | None) -> None:
        level = self.where[name]
        entry = next(one for one in self.at[level] if one[0] == name)
        entry[1] -= entry[1] if qty is None else qty
        if entry[1] <= 0:
            self.at[level].remove(entry)
            del self.where[name]
            for one in self.ours:
                one.ahead.discard(name)  # should it come again, it comes behind
            if not self.at[level]:
                del self.at[level]
                self.prices[level[0]].remove(level[1])

    def move(self, name: int, renamed: int, price: int, qty: int) -> None:
        side, was = self.where[name]
        entry = next(one for one in self.at[side, was] if one[0] == name)
        if renamed == name and price == was and 0 < qty <= entry[1]:
            entry[1] = qty
            return
        self.take_off(name, None)
        if qty:
            self.add(renamed, side, price, qty)

    # ------------------------------------------------------------ ours

    def join(self, order: Ours) -> None:
        ahead = {name for name, _ in self.at.get((order.side, order.price), [])}
        self.ours.append(_Resting(order, ahead))

    def waiting(self, one: _Resting) -> bool:
        """Is any of those that stood before it still there?"""
        return bool(one.ahead)

    def fill(self, one: _Resting, qty: int) -> int:
        qty = min(qty, one.left)
        one.left -= qty
        if not one.left:
            self.ours.remove(one)
        self.fills.append((self.now, one.order.number, one.order.price, qty))
        return qty

    def by_priority(self, side: int) -> list[_Resting]:
        chosen = [one for one in self.ours if one.order.side == side]
        return sorted(chosen, key=lambda one: -side * one.order.price)  # the sort keeps age

    def traded(self, side: int, price: int, qty: int, before: tuple[_Resting, ...] = ()) -> None:
        """A trade hit bids (1) or asks (-1). Those of `before` stood behind the order that was hit."""
        for one in self.by_priority(side):
            if side * one.order.price > side * price:
                self.fill(one, one.left)
            elif one.order.price == price and qty and one not in before and not self.waiting(one):
                qty -= self.fill(one, qty)

    def reached(self) -> None:
        """The other side's displayed quantity stands at our price or beyond."""
        for side in (1, -1):
            best = self.levels(-side, 1)
            if not self.taken and (
                not best
                or all(
                    one.order.side != side or side * best[0][0] > side * one.order.price for one in self.ours
                )
            ):
                continue
            for level in [one for one in self.taken if one[0] == -side]:
                if not best or -side * level[1] > -side * best[0][0]:
                    del self.taken[level]  # the market has passed it
            for one in self.by_priority(side):
                crossed = sum(side * price <= side * one.order.price for price in self.prices[-side])
                for price, shown in self.levels(-side, crossed):
                    if one.left:
                        memory = self.taken.setdefault((-side, price), [shown, 0])
                        memory[1] = max(0, memory[1] - max(0, memory[0] - shown))
                        memory[0] = shown
                        memory[1] += self.fill(one, shown - memory[1]) if shown > memory[1] else 0

    def see(self, event: Event) -> None:
        kind, *rest = event
        what: list[int] = rest  # type: ignore[assignment]
        if kind == "add":
            self.add(*what)
        elif kind == "less":
            self.take_off(*what)
        elif kind == "gone":
            self.take_off(*what, None)
        elif kind == "moved":
            self.move(*what)
        elif kind == "exec":
            name, qty, price = what
            side, stood = self.where[name]
            before = tuple(
                one for one in self.by_priority(side) if one.order.price == stood and name in one.ahead
            )
            self.take_off(name, qty)
            self.traded(side, price, qty, before)
        elif kind == "print":
            price, qty, hit = what
            for side in (1, -1):
                if hit in (0, side):
                    self.traded(side, price, qty)
        self.reached()


def fills_of(events: Iterable[tuple[int, Event]], orders: Iterable[Ours]) -> list[Fill]:
    """(time, event) and our orders, each in order of time; of one time the market comes first."""
    queues, waiting = Queues(), list(orders)
    for ts, event in events:
        while waiting and waiting[0].arrived < ts:
            queues.join(waiting.pop(0))
        queues.now = ts
        queues.see(event)
    return queues.fills
