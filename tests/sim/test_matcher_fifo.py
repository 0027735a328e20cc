"""The exact queue on books of single orders, against queues in which our orders stand as entries of their own."""

from __future__ import annotations

import random

import pytest

from libchronicle.book import L3Book
from libchronicle.protocol import (
    BookMode,
    BookReset,
    BookSnapshot,
    ExecType,
    GapReason,
    Instrument,
    OrderAdd,
    OrderBookFlags,
    OrderDelete,
    OrderExecute,
    OrderModify,
    Side,
    Trade,
)
from libchronicle.sim.matcher import Matcher
from libchronicle.sim.queues import FifoQueue

BUY, SELL = Side.BUY, Side.SELL
PRICES = (97, 98, 99)


class Queues:
    """Bids only: by price a queue of [name, quantity]; ours are named ("ours", key)."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.book, self.matcher = L3Book(7), Matcher()
        self.slot = self.matcher.add(7, self.book, queue=FifoQueue())
        self.queues: dict[int, list[list]] = {price: [] for price in PRICES}
        self.ids, self.keys, self.seq, self.fills = 0, 0, 0, 0
        self.put(BookSnapshot(instrument_id=7, last_update_id=0, bids=[], asks=[]))
        for price in PRICES:
            self.add(price)

    def put(self, message) -> list[tuple[int, int, int]]:
        self.book.apply(message.TEMPLATE_ID, message.encode())
        events = self.matcher.record(self.slot, message.TEMPLATE_ID, message.encode())
        self.fills += len(events)
        return [(e.key, e.last_price, e.last_qty) for e in events]

    def real(self) -> list[tuple[int, int]]:
        """(price, place) of every order of the market."""
        return [
            (p, i)
            for p, queue in self.queues.items()
            for i, (name, _) in enumerate(queue)
            if isinstance(name, int)
        ]

    # ------------------------------------------------------------ what the market does

    def add(self, price: int | None = None) -> None:
        self.ids, self.seq = self.ids + 1, self.seq + 1
        price, qty = price or self.random.choice(PRICES), self.random.randint(1, 9)
        self.queues[price].append([self.ids, qty])
        told = self.put(
            OrderAdd(instrument_id=7, venue_seq=self.seq, order_id=self.ids, price=price, qty=qty, side=BUY)
        )
        assert told == []

    def delete(self) -> None:
        price, i = self.random.choice(self.real())
        name, qty = self.queues[price][i]
        gone = self.random.choice([qty, self.random.randint(1, qty)])
        self.seq += 1
        self.queues[price][i][1] -= gone
        if gone == qty:
            del self.queues[price][i]
        assert (
            self.put(OrderDelete(instrument_id=7, venue_seq=self.seq, order_id=name, qty=gone, side=BUY))
            == []
        )

    def modify(self) -> None:
        price, i = self.random.choice(self.real())
        name, qty = self.queues[price][i]
        new_price, new_qty, self.seq = (
            self.random.choice([price, *PRICES]),
            self.random.randint(1, 12),
            self.seq + 1,
        )
        stays = new_price == price and new_qty <= qty
        if stays:
            self.queues[price][i][1] = new_qty
        else:
            del self.queues[price][i]
            self.queues[new_price].append([name, new_qty])
        message = OrderModify(
            instrument_id=7, venue_seq=self.seq, order_id=name, new_order_id=name, price=new_price, qty=new_qty, side=BUY
        )  # fmt: skip
        assert self.put(message) == []

    def execute(self) -> None:
        """A sell meets the first order of the market at the best price. Ours before it are filled with as much; those
        at better prices wholly, for the market went through them."""
        price = max(p for p, queue in self.queues.items() if any(isinstance(name, int) for name, _ in queue))
        i = next(i for i, (name, _) in enumerate(self.queues[price]) if isinstance(name, int))
        name, qty = self.queues[price][i]
        hit, self.seq = self.random.randint(1, qty), self.seq + 1
        expected = []
        for better in sorted((p for p in self.queues if p > price), reverse=True):
            expected += [(key, better, left) for (_, key), left in self.queues[better]]
            self.queues[better] = []
        left = hit
        for entry in self.queues[price][:i]:
            take = min(entry[1], left)
            if take:
                expected.append((entry[0][1], price, take))
            entry[1] -= take
            left -= take
        self.queues[price][i][1] -= hit
        self.queues[price] = [entry for entry in self.queues[price] if entry[1]]
        message = OrderExecute(
            instrument_id=7, venue_seq=self.seq, order_id=name, price=price, qty=hit, side=BUY
        )
        assert self.put(message) == expected

    # ------------------------------------------------------------ what we do

    def join(self) -> None:
        self.keys += 1
        price, qty = self.random.choice(PRICES), self.random.randint(1, 12)
        self.queues[price].append([("ours", self.keys), qty])
        events = self.matcher.new(self.slot, self.keys, BUY, qty, price)
        assert [e.kind for e in events] == [ExecType.ACK]

    def leave(self) -> None:
        working = self.matcher.working()
        if working:
            key = self.random.choice(working).key
            assert [e.kind for e in self.matcher.cancel(key)] == [ExecType.CANCELLED]
            for queue in self.queues.values():
                queue[:] = [entry for entry in queue if entry[0] != ("ours", key)]

    def compare(self) -> None:
        expected = {}
        for queue in self.queues.values():
            ahead = 0
            for name, qty in queue:
                if isinstance(name, int):
                    ahead += qty
                else:
                    expected[name[1]] = (ahead, qty)
        assert {w.key: (w.ahead, w.qty - w.cum) for w in self.matcher.working()} == expected


@pytest.mark.parametrize("seed", range(3))
def test_our_place_is_exact_whatever_the_market_does(seed: int) -> None:
    queues = Queues(seed)
    steps = [queues.add, queues.delete, queues.modify, queues.execute, queues.join, queues.leave]
    for step in range(2000):
        kind = queues.random.choices(steps, weights=[10, 3, 3, 6, 4, 1])[0]
        if len(queues.real()) < 3:
            kind = queues.add
        try:
            kind()
            queues.compare()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, step {step}, {kind.__name__}: {error}") from error
    assert queues.fills > 100


def test_after_the_queues_began_anew_an_order_stands_at_the_back() -> None:
    queues = Queues(3)
    first, last = (
        OrderBookFlags.INJECTED | OrderBookFlags.FIRST,
        OrderBookFlags.INJECTED | OrderBookFlags.LAST,
    )
    queues.matcher.new(queues.slot, 1, BUY, 3, 99)
    queues.put(BookReset(instrument_id=7, reason=GapReason.SEQUENCE))
    for order_id, qty, flags in ((8, 40, first), (9, 2, last)):
        again = OrderAdd(
            instrument_id=7, venue_seq=50, order_id=order_id, price=99, qty=qty, side=BUY, flags=flags
        )
        assert queues.put(again) == []
    assert queues.matcher.working()[0].ahead == 42
    through = OrderExecute(instrument_id=7, venue_seq=51, order_id=8, price=98, qty=1, side=BUY)
    assert queues.put(through) == [(1, 99, 3)]


def test_an_execution_out_of_turn_fills_nobody_who_still_waits() -> None:
    queues = Queues(3)
    queues.matcher.new(queues.slot, 1, BUY, 3, 99)  # behind the first order there
    first = queues.ids
    queues.add(99)
    behind = OrderExecute(instrument_id=7, venue_seq=50, order_id=queues.ids, price=99, qty=1, side=BUY)
    assert queues.put(behind) == []
    hidden = Trade(instrument_id=7, price=99, qty=5, aggressor=SELL)  # of an order that no book shows
    assert queues.put(hidden) == []
    queues.put(OrderDelete(instrument_id=7, venue_seq=51, order_id=first, side=BUY))
    assert queues.put(hidden) == [(1, 99, 3)]


def test_a_definition_between_the_records_changes_nothing() -> None:
    queues = Queues(9)
    queues.join()
    definition = Instrument(
        instrument_id=7, tick_size=1, lot_size=1, book_mode=BookMode.L3, venue="v", symbol="S"
    )
    assert queues.put(definition) == []
    queues.compare()
