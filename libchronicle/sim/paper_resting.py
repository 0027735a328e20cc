"""The resting paper orders of one instrument, in the order a venue would fill them: better price first,
then older."""

from __future__ import annotations

from bisect import insort

from libchronicle.portfolio import Order
from libchronicle.protocol import Side

__all__ = ["RestingOrders"]


class RestingOrders:
    """Two short sorted lists; an order that comes back after a replace stands behind its new equals."""

    __slots__ = ("_arrivals", "_buys", "_place", "_sells")

    def __init__(self) -> None:
        self._buys: list[tuple[int, int, Order]] = []  # (-price, arrival, order)
        self._sells: list[tuple[int, int, Order]] = []  # (price, arrival, order)
        self._place: dict[int, tuple[int, int, Order]] = {}  # id of the order -> its entry
        self._arrivals = 0

    def add(self, order: Order) -> None:
        """Put an order behind all others of its price."""
        self._arrivals += 1
        entry = (-order.price if order.side == Side.BUY else order.price, self._arrivals, order)
        self._place[id(order)] = entry
        insort(self._buys if order.side == Side.BUY else self._sells, entry, key=_priority)

    def remove(self, order: Order) -> None:
        """Take an order out; one that does not rest here changes nothing."""
        entry = self._place.pop(id(order), None)
        if entry is not None:
            (self._buys if order.side == Side.BUY else self._sells).remove(entry)

    def by_priority(self, side: int) -> list[Order]:
        """A copy of one side, so that filling may take orders out while the caller walks it."""
        return [order for _, _, order in (self._buys if side == Side.BUY else self._sells)]

    def reach(self) -> tuple[int, int]:
        """(highest buy, lowest sell); 0 where there is none."""
        return (-self._buys[0][0] if self._buys else 0, self._sells[0][0] if self._sells else 0)

    def __len__(self) -> int:
        return len(self._place)


def _priority(entry: tuple[int, int, Order]) -> tuple[int, int]:
    return entry[0], entry[1]
