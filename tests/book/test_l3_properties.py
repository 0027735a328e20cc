"""Whatever is applied, the native order-level book holds what lists of orders hold."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from libchronicle.book import L3Book
from libchronicle.errors import DecodeError
from libchronicle.protocol import OrderAdd, OrderBookFlags, OrderDelete, OrderExecute, OrderModify, Side

sys.path.insert(0, str(Path(__file__).parent))
from l3_reference import Contradiction, ReferenceL3

ID = 5
Record = OrderAdd | OrderModify | OrderDelete | OrderExecute


def draw(rng: random.Random, ids: int, spread: int, tick: int) -> Record:
    order_id = rng.randrange(1, ids)
    price = (1000 + rng.randint(-spread, spread)) * tick + (rng.random() < 0.02)
    flags = OrderBookFlags.NO_PRICE if rng.random() < 0.1 else OrderBookFlags(0)
    side = rng.choice([Side.BUY, Side.SELL])
    kind = rng.random()
    if kind < 0.5:
        return OrderAdd(
            instrument_id=ID, order_id=order_id, price=price, qty=rng.randint(1, 9), side=side, flags=flags
        )
    if kind < 0.7:
        new_id = rng.choice([0, order_id, rng.randrange(1, ids)])
        return OrderModify(
            instrument_id=ID,
            order_id=order_id,
            new_order_id=new_id,
            price=price,
            qty=rng.randint(0, 9),
            flags=flags,
        )
    if kind < 0.85:
        return OrderDelete(instrument_id=ID, order_id=order_id, qty=rng.choice([0, 0, 1, 3]))
    return OrderExecute(instrument_id=ID, order_id=order_id, qty=rng.randint(1, 4))


def assert_same(book: L3Book, reference: ReferenceL3) -> None:
    assert book.hash() == reference.hash()
    assert (book.bids(), book.asks()) == (reference.levels(Side.BUY), reference.levels(Side.SELL))
    assert book.order_count == len(reference.where)
    assert book.executed_qty == reference.executed
    for side in (Side.BUY, Side.SELL):
        assert book.unpriced(side) == [tuple(e) for e in reference.queues.get((side, None), [])]
        for price, qty in book.bids(5) if side == Side.BUY else book.asks(5):
            queue = book.orders_at(side, price)
            assert queue == [tuple(e) for e in reference.queues[side, price]]
            assert sum(q for _, q in queue) == qty


@pytest.mark.parametrize(("ids", "spread", "tick"), [(12, 3, 1), (400, 20, 100), (20_000, 40_000, 7)])
def test_random_records_give_the_queues_of_a_plain_book(ids, spread, tick):
    rng = random.Random(ids)
    print(f"seed {ids}")
    book, reference = L3Book(ID), ReferenceL3()
    book.lenient = True
    unknown = 0
    for number in range(20_000):
        record = draw(rng, ids, spread, tick)
        try:
            reference.apply(record)
        except Contradiction:
            unknown += 1
        book.apply(record.TEMPLATE_ID, record.encode())
        assert (book.unknown, book.valid) == (unknown, True)
        if number % 211 == 0:
            assert_same(book, reference)
    assert_same(book, reference)
    other = L3Book(ID)
    other.apply_all(book.snapshot())
    assert other.orders() == book.orders()


def test_a_strict_book_and_its_judge_find_the_same_first_contradiction():
    for seed in range(200):
        rng = random.Random(seed)
        book, reference = L3Book(ID), ReferenceL3()
        reference.apply(first := OrderAdd(instrument_id=ID, order_id=1, price=1000, qty=5, side=Side.BUY))
        book.apply(first.TEMPLATE_ID, first.encode())
        for _ in range(100):
            record = draw(rng, 30, 3, 1)
            try:
                reference.apply(record)
            except Contradiction:
                with pytest.raises(DecodeError):
                    book.apply(record.TEMPLATE_ID, record.encode())
                assert not book.valid
                break
            book.apply(record.TEMPLATE_ID, record.encode())
            assert book.hash() == reference.hash()
