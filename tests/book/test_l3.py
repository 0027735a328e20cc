"""The order-level book: queues, what keeps a place, what is refused, snapshots, auctions."""

from __future__ import annotations

import pytest

from libchronicle.book import L2Book, L3Book
from libchronicle.errors import BookModeMismatch, DecodeError
from libchronicle.protocol import (
    AuctionInfo,
    BookDelta,
    BookMode,
    BookReset,
    BookSnapshot,
    Gap,
    GapReason,
    Instrument,
    OrderAdd,
    OrderBookFlags,
    OrderDelete,
    OrderExecute,
    OrderModify,
    PhaseChange,
    PhaseFlags,
    SbeMessage,
    Side,
    TradingPhase,
    decode,
)

ID = 77
REASON = GapReason.SEQUENCE
INTERRUPTIONS = [
    Gap(instrument_id=ID, reason=REASON),
    Gap(reason=REASON),
    BookReset(instrument_id=ID, reason=REASON),
]


def apply(book: L3Book, *messages: SbeMessage) -> L3Book:
    for message in messages:
        book.apply(message.TEMPLATE_ID, message.encode())
    return book


def add(order_id: int, qty: int = 5, price: int = 100, side: Side = Side.BUY, **more: object) -> OrderAdd:
    return OrderAdd(instrument_id=ID, order_id=order_id, qty=qty, price=price, side=side, **more)


def modify(order_id: int, qty: int, price: int = 100, **more: object) -> OrderModify:
    return OrderModify(instrument_id=ID, order_id=order_id, qty=qty, price=price, **more)


def delete(order_id: int, qty: int = 0) -> OrderDelete:
    return OrderDelete(instrument_id=ID, order_id=order_id, qty=qty)


def execute(order_id: int, qty: int) -> OrderExecute:
    return OrderExecute(instrument_id=ID, order_id=order_id, qty=qty, price=100)


@pytest.fixture
def book() -> L3Book:
    return apply(L3Book(ID), add(1), add(2, qty=7), add(3), add(9, price=101, side=Side.SELL))


def test_orders_of_a_price_stand_in_the_order_they_came(book):
    assert book.orders_at(Side.BUY, 100) == [(1, 5), (2, 7), (3, 5)]
    assert book.ahead_of(3) == (2, 12)
    assert (book.best_bid, book.best_ask) == ((100, 17), (101, 5))
    assert (book.order_count, book.valid, book.spread) == (4, True, 1)


def test_a_partial_fill_keeps_its_place(book):
    apply(book, execute(1, 2))
    assert book.orders_at(Side.BUY, 100) == [(1, 3), (2, 7), (3, 5)]
    apply(book, execute(1, 3))
    assert book.orders_at(Side.BUY, 100) == [(2, 7), (3, 5)]
    assert (book.executed_qty, book.executions, book.qty_at(Side.BUY, 100)) == (5, 2, 12)


def test_a_partial_cancel_keeps_its_place_and_a_whole_one_leaves(book):
    apply(book, delete(2, 3))
    assert book.orders_at(Side.BUY, 100) == [(1, 5), (2, 4), (3, 5)]
    apply(book, delete(2))
    assert book.orders_at(Side.BUY, 100) == [(1, 5), (3, 5)]


def test_only_less_at_the_same_price_keeps_the_place(book):
    assert apply(book, modify(1, 4)).orders_at(Side.BUY, 100) == [(1, 4), (2, 7), (3, 5)]
    assert apply(book, modify(1, 6)).orders_at(Side.BUY, 100) == [(2, 7), (3, 5), (1, 6)]
    assert apply(book, modify(2, 7, new_order_id=20)).orders_at(Side.BUY, 100) == [(3, 5), (1, 6), (20, 7)]
    apply(book, modify(3, 5, price=99))
    assert book.orders_at(Side.BUY, 99) == [(3, 5)]
    assert book.order(2) is None
    assert book.order(20).qty == 7


def test_a_modify_to_nothing_removes(book):
    assert apply(book, modify(9, 0, price=101)).best_ask is None


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (delete(44), "does not hold"),
        (execute(44, 1), "does not hold"),
        (modify(44, 1), "does not hold"),
        (add(1), "already"),
        (modify(1, 3, new_order_id=2), "already"),
        (execute(1, 6), "more than the order has left"),
        (delete(1, 6), "more than the order has left"),
        (add(50, qty=0), "quantity"),
        (add(50, qty=2**63 - 5), "quantity"),
        (modify(1, -1), "quantity"),
    ],
)
def test_a_record_that_contradicts_the_book_makes_it_wrong(book, message, reason):
    with pytest.raises(DecodeError, match=reason):
        apply(book, message)
    assert not book.valid
    assert not book.apply(OrderAdd.TEMPLATE_ID, add(60).encode())


def test_a_lenient_book_counts_what_it_does_not_know_and_goes_on(book):
    book.lenient = True
    apply(book, delete(44), execute(45, 3), add(1))
    assert (book.unknown, book.valid, book.order_count) == (3, True, 4)


def test_a_channel_begins_with_an_empty_book():
    book = L3Book(ID)
    assert not book.valid
    with pytest.raises(DecodeError):
        apply(book, execute(1, 1))
    assert apply(L3Book(ID), add(1)).valid


@pytest.mark.parametrize("interruption", INTERRUPTIONS)
def test_after_an_interruption_only_a_snapshot_helps(book, interruption):
    records = book.snapshot()
    wanted = book.hash()
    apply(book, interruption, add(70))
    assert not book.valid
    assert book.order(70) is None
    assert book.apply_all(records) == len(records)
    assert (book.valid, book.hash()) == (True, wanted)


def test_a_snapshot_makes_an_equal_book_with_its_queues_and_orders_without_price(book):
    apply(
        book, add(80, flags=OrderBookFlags.NO_PRICE), add(81, side=Side.SELL, flags=OrderBookFlags.NO_PRICE)
    )
    other = L3Book(ID)
    other.apply_all(book.snapshot())
    assert other.orders() == book.orders()
    assert (other.hash(), other.levels_hash()) == (book.hash(), book.levels_hash())
    apply(other, add(99))
    records = L3Book(ID).snapshot()
    assert [kind for kind, _ in records] == [BookSnapshot.TEMPLATE_ID]
    other.apply_all(records)
    assert (other.order_count, other.valid, other.hash()) == (0, True, 0)


def test_records_that_the_snapshot_already_holds_are_passed_over(book):
    apply(book, add(10, venue_seq=100))
    records = book.snapshot()
    other = L3Book(ID)
    other.apply_all(records)
    assert not other.apply(OrderAdd.TEMPLATE_ID, add(10, venue_seq=100).encode())
    assert other.apply(OrderAdd.TEMPLATE_ID, add(11, venue_seq=101).encode())


def test_a_snapshot_of_what_the_book_holds_already_leaves_what_one_that_begins_with_it_is(book):
    other = apply(L3Book(ID), *(decode(*record) for record in apply(book, add(10, venue_seq=100)).snapshot()))
    apply(book, add(11, venue_seq=101), delete(11))
    told = [decode(*record) for record in book.snapshot()]
    for message in told:
        message.venue_seq, message.venue_ts = 200, 7
    fresh = L3Book(ID)
    for one in (book, other, fresh):
        apply(one, *told)
        assert [one.apply(OrderAdd.TEMPLATE_ID, add(12, venue_seq=seq).encode()) for seq in (200, 201)] == [
            0,
            1,
        ]
    assert book.snapshot() == other.snapshot() == fresh.snapshot()


def test_a_snapshot_that_does_not_end_leaves_no_book(book):
    other = L3Book(ID)
    other.apply_all(book.snapshot()[:-1])
    assert not other.valid
    apply(other, add(10))
    assert not other.valid


def test_a_book_that_is_right_stays_as_it_was_until_a_snapshot_is_whole(book):
    wanted, records = book.hash(), L3Book(ID)
    apply(records, add(7, price=10_100), add(8, price=10_100))
    *most, last = records.snapshot()
    for kind, payload in most:
        book.apply(kind, payload)
        assert (book.valid, book.hash()) == (True, wanted)
    book.apply(*last)
    assert (book.valid, book.hash(), book.orders()) == (True, records.hash(), records.orders())


def test_a_snapshot_cut_off_changes_nothing_for_a_book_that_is_right(book):
    other, records = L3Book(ID), book.snapshot()
    other.apply_all([*records, *records[:-1]])
    assert (other.valid, other.hash()) == (True, book.hash())
    apply(book, add(50)), apply(other, add(50))
    assert (other.valid, other.hash()) == (True, book.hash())
    assert not other.apply(*records[-1])
    assert other.orders() == book.orders()


def test_who_stands_first_is_part_of_the_hash():
    assert apply(L3Book(ID), add(1), add(2)).hash() != apply(L3Book(ID), add(2), add(1)).hash()
    again = apply(L3Book(ID), add(3), add(1), add(2), delete(3))
    assert again.hash() == apply(L3Book(ID), add(1), add(2)).hash()


def test_the_levels_are_those_of_an_l2_book(book):
    flat = L2Book(ID)
    flat.apply(
        BookSnapshot.TEMPLATE_ID, BookSnapshot(instrument_id=ID, bids=[(100, 17)], asks=[(101, 5)]).encode()
    )
    assert book.levels_hash() == flat.hash()
    assert isinstance(book, L2Book)


def test_orders_without_price_stand_apart_from_the_levels():
    book = apply(
        L3Book(ID), add(1, flags=OrderBookFlags.NO_PRICE), add(2, qty=3, flags=OrderBookFlags.NO_PRICE)
    )
    assert book.best_bid is None
    assert book.unpriced(Side.BUY) == [(1, 5), (2, 3)]
    assert book.unpriced_qty(Side.BUY) == 8
    assert book.unpriced_qty(Side.SELL) == 0
    assert book.order(1).price is None
    apply(book, modify(1, 5, price=100))
    assert (book.best_bid, book.unpriced(Side.BUY)) == ((100, 5), [(2, 3)])


def test_a_record_of_the_first_schema_has_a_price():
    payload = bytearray(add(1, flags=OrderBookFlags.NO_PRICE).encode()[:88])
    payload[0:2] = (80).to_bytes(2, "little")
    book = L3Book(ID)
    book.apply(OrderAdd.TEMPLATE_ID, payload)
    assert book.best_bid == (100, 5)


def test_phases_and_auction_prices_are_kept_and_forbidden_cancels_counted(book):
    assert (book.phase, book.auction) == (TradingPhase.UNKNOWN, None)
    told = AuctionInfo(instrument_id=ID, price=101, qty=3, imbalance_side=Side.BUY)
    phase = PhaseChange(instrument_id=ID, phase=TradingPhase.CLOSING_AUCTION, flags=PhaseFlags.NO_CANCEL)
    apply(book, phase, told, delete(1))
    assert (book.phase, book.phase_flags) == (TradingPhase.CLOSING_AUCTION, PhaseFlags.NO_CANCEL)
    assert (book.auction, book.forbidden) == (told, 1)


def test_records_of_price_levels_are_refused(book):
    with pytest.raises(BookModeMismatch, match="L3"):
        apply(book, BookDelta(instrument_id=ID, bids=[(1, 1)]))
    with pytest.raises(BookModeMismatch):
        apply(L3Book(ID), BookSnapshot(instrument_id=ID, bids=[(1, 1)]))
    with pytest.raises(BookModeMismatch):
        apply(L3Book(ID), Instrument(instrument_id=ID, book_mode=BookMode.L2))


def test_other_instruments_and_cut_records(book):
    assert not book.apply(OrderAdd.TEMPLATE_ID, OrderAdd(instrument_id=ID + 1, order_id=5, qty=1).encode())
    with pytest.raises(DecodeError, match="cut off"):
        book.apply(OrderAdd.TEMPLATE_ID, add(5).encode()[:-30])
