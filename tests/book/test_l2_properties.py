"""Whatever is applied, the native book holds what two dicts hold."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libchronicle.book import L2Book
from libchronicle.errors import DecodeError
from libchronicle.protocol import (
    BookDelta,
    BookFlags,
    BookMode,
    BookReset,
    BookSnapshot,
    Gap,
    GapReason,
    Instrument,
    SbeMessage,
    Side,
)

sys.path.insert(0, str(Path(__file__).parent))
from l2_reference import ReferenceBook

ID = 77
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
TICKS = [1, 3, 10, 1_000_000, 2**40, 7 * 2**50, 2**62]


def assert_same(book: L2Book, reference: ReferenceBook) -> None:
    assert book.valid == reference.valid
    assert book.last_update_id == reference.last_update_id
    bids, asks = reference.bids, reference.asks
    assert book.bids() == bids
    assert book.asks() == asks
    assert book.best_bid == (bids[0] if bids else None)
    assert book.best_ask == (asks[0] if asks else None)
    assert book.hash() == reference.hash()
    assert (book.levels(Side.BUY), book.levels(Side.SELL)) == (len(bids), len(asks))
    assert book.crossed == bool(bids and asks and bids[0][0] >= asks[0][0])
    for count in (0, 1, 3):
        assert book.bids(count) == bids[:count]
        assert book.depth(Side.SELL, count) == sum(qty for _, qty in asks[:count])


def centre_of(tick: int) -> int:
    return min(5_000, INT64_MAX // tick - 1) * tick


def prices(tick: int) -> st.SearchStrategy[int]:
    near = st.integers(-40, 40).map(lambda n: centre_of(tick) + n * tick)
    edge = st.integers(-3, 3).flatmap(
        lambda n: st.sampled_from([32768, -32768, 65536]).map(lambda w: (w + n) * tick)
    )
    anywhere = st.integers(INT64_MIN, INT64_MAX)
    extreme = st.sampled_from([INT64_MIN, INT64_MIN + 1, INT64_MAX, INT64_MAX - 1, 0, -1, 1])
    wanted = st.one_of(near, near, near, edge, near.map(lambda p: p + 1), extreme, anywhere)
    return wanted.map(lambda p: max(INT64_MIN, min(INT64_MAX, p)))


def levels(tick: int, quantities: st.SearchStrategy[int]) -> st.SearchStrategy[list[tuple[int, int]]]:
    return st.lists(st.tuples(prices(tick), quantities), max_size=12)


def messages(tick: int) -> st.SearchStrategy[SbeMessage]:
    absolute = st.integers(0, 9) | st.sampled_from([0, 0, INT64_MAX])
    change = st.integers(-3, 9)
    ids = st.integers(0, 12)
    flags = st.sampled_from([BookFlags(0), BookFlags(0), BookFlags(0), BookFlags.STALE, BookFlags.RESYNC])
    side = levels(tick, absolute)
    changes = levels(tick, change)
    header = {"instrument_id": st.just(ID), "last_update_id": ids, "flags": flags}
    delta = st.builds(BookDelta, bids=side, asks=side, **header)
    changed = st.just(BookFlags.QUANTITY_IS_CHANGE)
    return st.one_of(
        st.builds(BookSnapshot, bids=side, asks=side, **header),
        delta,
        delta,
        delta,
        st.builds(BookDelta, bids=changes, asks=changes, **{**header, "flags": changed}),
        st.builds(Gap, instrument_id=st.sampled_from([0, ID]), reason=st.just(GapReason.SEQUENCE)),
        st.builds(BookReset, instrument_id=st.just(ID), reason=st.just(GapReason.RECONNECT)),
    )


def feed(book: L2Book, reference: ReferenceBook, message: SbeMessage) -> None:
    """A quantity out of range makes both books invalid, with the levels before it applied."""
    try:
        reference.apply(message)
    except OverflowError:
        with pytest.raises(DecodeError, match="quantity"):
            book.apply(message.TEMPLATE_ID, message.encode())
        reference.last_update_id = book.last_update_id
    else:
        book.apply(message.TEMPLATE_ID, message.encode())


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(TICKS).flatmap(
        lambda tick: st.tuples(st.just(tick), st.lists(messages(tick), max_size=25))
    ),
    st.booleans(),
)
def test_any_sequence_of_records_leaves_what_two_dicts_hold(case, told_the_tick):
    tick, records = case
    book, reference = L2Book(ID), ReferenceBook()
    if told_the_tick:
        book.apply(1, Instrument(instrument_id=ID, tick_size=tick, book_mode=BookMode.L2).encode())
    snapshot = BookSnapshot(instrument_id=ID, bids=[(centre_of(tick), 1)], asks=[(centre_of(tick) + tick, 1)])
    for message in [snapshot, *records]:
        feed(book, reference, message)
        assert_same(book, reference)


@pytest.mark.parametrize("seed", range(6))
def test_a_market_that_wanders_far_keeps_its_book(seed):
    """The window has to move many times; a tenth of the levels are off the grid or far away."""
    print(f"seed {seed}")
    rng = random.Random(seed)
    tick = rng.choice([1, 5, 1_000_000])
    book, reference = L2Book(ID), ReferenceBook()
    centre = 10_000_000 * tick
    feed(book, reference, BookSnapshot(instrument_id=ID, bids=[(centre - tick, 5)], asks=[(centre, 5)]))
    for number in range(250):
        centre += rng.choice([-1, 1]) * rng.choice([1, 50, 20_000, 90_000]) * tick
        sides: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
        for side, sign in zip(sides, (-1, 1), strict=True):
            for _ in range(100):
                price = centre + sign * int(rng.expovariate(1 / 3000)) * tick
                if rng.random() < 0.1:
                    price = rng.choice(
                        [price + 1, rng.randrange(INT64_MIN, INT64_MAX), price + 2_000_000 * tick]
                    )
                side.append((price, rng.choice([0, 0, 1, 2, 3])))
        delta = BookDelta(instrument_id=ID, bids=sides[0], asks=sides[1])
        feed(book, reference, delta)
        if number % 10 == 0:
            assert_same(book, reference)
        if rng.random() < 0.02:
            step = Instrument(
                instrument_id=ID, tick_size=tick * rng.choice([1, 2, 10]), book_mode=BookMode.L2
            )
            book.apply(1, step.encode())
            assert_same(book, reference)
    assert_same(book, reference)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(-200, 200), st.integers(0, 5)), max_size=60), st.randoms())
def test_equal_content_has_an_equal_hash_whatever_its_history(sets, rng):
    one = L2Book(ID)
    one.apply(2, BookSnapshot(instrument_id=ID).encode())
    for price, qty in sets:
        one.apply(3, BookDelta(instrument_id=ID, bids=[(price, qty)]).encode())
    content = one.bids()
    rng.shuffle(content)
    two = L2Book(ID)
    two.apply(1, Instrument(instrument_id=ID, tick_size=1_000, book_mode=BookMode.L2).encode())
    two.apply(2, BookSnapshot(instrument_id=ID, bids=content, last_update_id=99).encode())
    assert two.hash() == one.hash()
    assert two.bids() == one.bids()


@pytest.mark.parametrize("order", ["best first", "worst first", "shuffled"])
def test_a_deep_snapshot_loads_in_any_order(order):
    rng = random.Random(7)
    bids = [(10**12 - n * 997, n % 9 + 1) for n in range(9_000)]
    asks = [(10**12 + 1 + n * n, n % 7 + 1) for n in range(9_000)]
    reference = ReferenceBook()
    reference.apply(BookSnapshot(bids=bids, asks=asks))
    for side in (bids, asks):
        if order == "worst first":
            side.reverse()
        elif order == "shuffled":
            rng.shuffle(side)
    book = L2Book(ID)
    book.apply(2, BookSnapshot(instrument_id=ID, bids=bids, asks=asks).encode())
    assert_same(book, reference)
