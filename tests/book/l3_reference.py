"""An order-level book as plainly as can be written: a list of orders per price. The judge of the native one."""

from __future__ import annotations

import sys
from pathlib import Path

from libchronicle.protocol import OrderAdd, OrderBookFlags, OrderDelete, OrderExecute, OrderModify, Side

sys.path.insert(0, str(Path(__file__).parent))
from l2_reference import MASK, mix64

Queue = list[list[int]]  # [order id, quantity], first come first


class Contradiction(Exception):
    pass


class ReferenceL3:
    def __init__(self) -> None:
        self.queues: dict[tuple[Side, int | None], Queue] = {}
        self.where: dict[int, tuple[Side, int | None]] = {}
        self.executed = 0

    def apply(self, m: OrderAdd | OrderModify | OrderDelete | OrderExecute) -> None:
        if isinstance(m, OrderAdd):
            self._enter(m.order_id, (m.side, self._price(m)), m.qty)
        elif isinstance(m, OrderModify):
            self._modify(m)
        elif isinstance(m, OrderDelete):
            self._take(m.order_id, m.qty or self._entry(m.order_id)[1])
        else:
            self._take(m.order_id, m.qty)
            self.executed += m.qty

    def _price(self, m: OrderAdd | OrderModify) -> int | None:
        return None if m.flags & OrderBookFlags.NO_PRICE else m.price

    def _entry(self, order_id: int) -> list[int]:
        if order_id not in self.where:
            raise Contradiction(order_id)
        return next(e for e in self.queues[self.where[order_id]] if e[0] == order_id)

    def _enter(self, order_id: int, key: tuple[Side, int | None], qty: int) -> None:
        if order_id in self.where or qty <= 0:
            raise Contradiction(order_id)
        self.where[order_id] = key
        self.queues.setdefault(key, []).append([order_id, qty])

    def _take(self, order_id: int, qty: int) -> None:
        entry = self._entry(order_id)
        if qty > entry[1]:
            raise Contradiction(order_id)
        entry[1] -= qty
        if not entry[1]:
            key = self.where.pop(order_id)
            self.queues[key].remove(entry)
            if not self.queues[key]:
                del self.queues[key]

    def _modify(self, m: OrderModify) -> None:
        entry = self._entry(m.order_id)
        side, price = self.where[m.order_id]
        new_id = m.new_order_id or m.order_id
        if new_id != m.order_id and new_id in self.where:
            raise Contradiction(new_id)
        if new_id == m.order_id and price == self._price(m) and m.qty <= entry[1]:
            self._take(m.order_id, entry[1] - m.qty)
            return
        self._take(m.order_id, entry[1])
        if m.qty:
            self._enter(new_id, (side, self._price(m)), m.qty)

    def levels(self, side: Side) -> list[tuple[int, int]]:
        sums = [
            (p, sum(q for _, q in queue))
            for (s, p), queue in self.queues.items()
            if s == side and p is not None
        ]
        return sorted(sums, reverse=side == Side.BUY)

    def hash(self) -> int:
        total = 0
        for (side, price), queue in self.queues.items():
            h = mix64(mix64(side)) if price is None else mix64((price + side) & MASK)
            for order_id, qty in queue:
                h = mix64((mix64((h + order_id) & MASK) + qty) & MASK)
            total += h
        return total & MASK
