"""What L2Book promises its user, case by case."""

from __future__ import annotations

import math

import pytest

from libchronicle.book import L2Book
from libchronicle.errors import BookModeMismatch, DecodeError, InvalidArgument
from libchronicle.protocol import (
    BestBidAsk,
    BookDelta,
    BookFlags,
    BookMode,
    BookReset,
    BookSnapshot,
    Gap,
    GapReason,
    Heartbeat,
    Instrument,
    OrderAdd,
    OrderDelete,
    OrderExecute,
    OrderModify,
    SbeMessage,
    Side,
    Trade,
    VenueState,
    VenueStatus,
)

ID = 42


def apply(book: L2Book, message: SbeMessage) -> bool:
    return book.apply(message.TEMPLATE_ID, message.encode())


@pytest.fixture
def book() -> L2Book:
    made = L2Book(ID)
    apply(
        made,
        BookSnapshot(
            instrument_id=ID,
            last_update_id=10,
            venue_ts=1,
            event_ts=2,
            recv_ts=3,
            bids=[(100, 3), (99, 5), (98, 7)],
            asks=[(102, 1), (103, 4)],
        ),
    )
    return made


def test_an_empty_book_answers_every_question():
    book = L2Book(ID)
    assert not book.valid
    assert book.best_bid is book.best_ask is book.spread is book.mid is book.weighted_mid is None
    assert book.bid_price is book.bid_qty is book.ask_price is book.ask_qty is None
    assert book.bids() == book.asks(5) == []
    assert book.imbalance(5) == 0.0
    assert book.depth(Side.BUY, 5) == book.levels(Side.SELL) == book.qty_at(Side.BUY, 7) == 0
    assert book.hash() == 0
    assert not book.crossed


def test_the_touch_and_its_measures(book):
    assert book.best_bid == (100, 3)
    assert book.best_ask == (102, 1)
    assert (book.bid_price, book.bid_qty, book.ask_price, book.ask_qty) == (100, 3, 102, 1)
    assert book.spread == 2
    assert book.mid == 101.0
    assert book.weighted_mid == (100 * 1 + 102 * 3) / 4
    assert (book.venue_ts, book.event_ts, book.recv_ts, book.last_update_id) == (1, 2, 3, 10)


def test_depth_and_imbalance_over_the_best_levels(book):
    assert book.bids(2) == [(100, 3), (99, 5)]
    assert book.asks() == [(102, 1), (103, 4)]
    assert book.depth(Side.BUY, 2) == 8
    assert book.depth(Side.SELL, 9) == 5
    assert book.imbalance(1) == (3 - 1) / 4
    assert book.imbalance(2) == (8 - 5) / 13
    assert book.qty_at(Side.BUY, 99) == 5
    for side in (Side.NONE, "buy", 2**70):
        with pytest.raises(InvalidArgument, match="side"):
            book.depth(side, 1)


def test_a_depth_beyond_64_bits_is_exact():
    book = L2Book(ID)
    apply(book, BookSnapshot(instrument_id=ID, bids=[(n, 2**63 - 1) for n in range(9)]))
    assert book.depth(Side.BUY, 9) == 9 * (2**63 - 1)
    assert math.isclose(book.imbalance(9), 1.0)


def test_absolute_quantities_replace_and_zero_removes(book):
    assert apply(
        book, BookDelta(instrument_id=ID, last_update_id=11, bids=[(100, 0), (99, 6)], asks=[(101, 2)])
    )
    assert book.bids() == [(99, 6), (98, 7)]
    assert book.best_ask == (101, 2)


def test_changes_are_added_to_what_is_there(book):
    flags = BookFlags.QUANTITY_IS_CHANGE
    apply(
        book, BookDelta(instrument_id=ID, last_update_id=11, flags=flags, bids=[(100, -3), (99, 2), (97, 1)])
    )
    assert book.bids() == [(99, 7), (98, 7), (97, 1)]


@pytest.mark.parametrize("quantity", [-4, 2**63 - 1])
def test_a_change_below_zero_or_beyond_64_bits_makes_the_book_invalid(book, quantity):
    delta = BookDelta(instrument_id=ID, flags=BookFlags.QUANTITY_IS_CHANGE, bids=[(100, quantity)])
    with pytest.raises(DecodeError, match="quantity"):
        apply(book, delta)
    assert not book.valid


@pytest.mark.parametrize("kind", [BookDelta, BookSnapshot])
def test_a_negative_quantity_makes_the_book_invalid(book, kind):
    with pytest.raises(DecodeError, match="quantity"):
        apply(book, kind(instrument_id=ID, asks=[(102, -1)]))
    assert not book.valid


@pytest.mark.parametrize("instrument_id", [0, ID])
def test_after_a_gap_only_a_snapshot_makes_it_valid_again(book, instrument_id):
    assert apply(book, Gap(instrument_id=instrument_id, reason=GapReason.SEQUENCE))
    assert not book.valid
    before = book.hash()
    assert not apply(book, BookDelta(instrument_id=ID, last_update_id=20, bids=[(100, 9)]))
    assert book.hash() == before
    apply(book, BookSnapshot(instrument_id=ID, last_update_id=15, bids=[(90, 1)]))
    assert book.valid
    assert book.bids() == [(90, 1)]


def test_a_gap_of_another_instrument_does_not_matter(book):
    assert not apply(book, Gap(instrument_id=ID + 1, reason=GapReason.SEQUENCE))
    assert book.valid


def test_a_reset_empties_it(book):
    apply(book, BookReset(instrument_id=ID, reason=GapReason.RECONNECT))
    assert not book.valid
    assert book.hash() == 0


def test_stale_records_and_passed_ids_are_ignored(book):
    before = book.hash()
    assert not apply(book, BookDelta(instrument_id=ID, last_update_id=10, bids=[(100, 9)]))
    assert not apply(
        book, BookDelta(instrument_id=ID, last_update_id=12, flags=BookFlags.STALE, bids=[(100, 9)])
    )
    assert not apply(book, BookSnapshot(instrument_id=ID, flags=BookFlags.STALE))
    assert book.hash() == before
    assert book.valid


def test_a_snapshot_applies_whatever_its_id(book):
    assert apply(book, BookSnapshot(instrument_id=ID, last_update_id=4, asks=[(7, 7)]))
    assert book.last_update_id == 4
    assert book.asks() == [(7, 7)]


def test_crossed_is_seen(book):
    apply(book, BookDelta(instrument_id=ID, last_update_id=11, bids=[(102, 1)]))
    assert book.crossed
    assert book.spread == 0


@pytest.mark.parametrize("kind", [OrderAdd, OrderModify, OrderDelete, OrderExecute])
def test_order_level_records_are_refused(book, kind):
    with pytest.raises(BookModeMismatch, match=kind.__name__):
        apply(book, kind(instrument_id=ID))
    assert not book.valid


def test_an_instrument_with_an_order_level_book_is_refused(book):
    with pytest.raises(BookModeMismatch, match="Instrument"):
        apply(book, Instrument(instrument_id=ID, book_mode=BookMode.L3))


@pytest.mark.parametrize(
    "message",
    [
        Trade(instrument_id=ID, price=1, qty=1),
        BestBidAsk(instrument_id=ID),
        Heartbeat(),
        VenueStatus(state=VenueState.CONNECTED),
        OrderAdd(instrument_id=ID + 1),
        BookSnapshot(instrument_id=ID + 1),
    ],
)
def test_records_of_other_kinds_and_instruments_are_left_alone(book, message):
    before = book.hash()
    assert not apply(book, message)
    assert not book.apply(9_999, b"whatever")
    assert book.valid
    assert book.hash() == before


@pytest.mark.parametrize("kind", [BookDelta, BookSnapshot])
def test_a_record_cut_off_anywhere_is_refused(book, kind):
    payload = kind(instrument_id=ID, last_update_id=99, bids=[(100, 1)], asks=[(102, 1)]).encode()
    for size in range(16, len(payload)):
        with pytest.raises(DecodeError, match="cut off"):
            book.apply(kind.TEMPLATE_ID, payload[:size])
        assert not book.valid
    assert not book.apply(BookSnapshot.TEMPLATE_ID, BookSnapshot(instrument_id=ID + 1).encode())


def test_a_book_for_no_instrument_adopts_the_first():
    book = L2Book()
    apply(book, BookSnapshot(instrument_id=5, bids=[(1, 1)]))
    assert book.instrument_id == 5
    assert not apply(book, BookSnapshot(instrument_id=6))


def test_two_instruments_of_different_scale_share_a_stream():
    """Exponents are frozen per instrument: each book is right in its own units."""
    books = {1: L2Book(1), 2: L2Book(2)}
    stream = [
        Instrument(instrument_id=1, price_exponent=-2, qty_exponent=-3, tick_size=1, book_mode=BookMode.L2),
        Instrument(
            instrument_id=2, price_exponent=-8, qty_exponent=-8, tick_size=10**6, book_mode=BookMode.L2
        ),
        BookSnapshot(instrument_id=1, bids=[(6182130, 1_000)]),
        BookSnapshot(instrument_id=2, bids=[(6182130000000, 100_000_000)]),
        BookDelta(instrument_id=1, bids=[(6182131, 2_000)]),
        BookDelta(instrument_id=2, bids=[(6182131000000, 200_000_000)]),
    ]
    for message in stream:
        for book in books.values():
            apply(book, message)
    assert books[1].bids() == [(6182131, 2_000), (6182130, 1_000)]
    assert books[2].bids() == [(6182131000000, 200_000_000), (6182130000000, 100_000_000)]


def test_a_flood_of_levels_ends_in_an_error_not_in_memory():
    """Levels off the window are bounded; the book says so instead of growing for ever."""
    book = L2Book(ID)
    apply(book, BookSnapshot(instrument_id=ID, bids=[(10**15, 1), (10**15 - 1, 1)]))
    for step in range(1, 3):
        flood = BookDelta(instrument_id=ID, bids=[(-step * 10**12 + n * 10**7, 1) for n in range(60_000)])
        assert apply(book, flood)
    with pytest.raises(DecodeError, match="more levels"):
        apply(book, BookDelta(instrument_id=ID, bids=[(-(10**15) + n * 10**7, 1) for n in range(60_000)]))
    assert not book.valid


def test_any_buffer_is_taken(book):
    payload = BookDelta(instrument_id=ID, last_update_id=11, bids=[(101, 1)]).encode()
    shifted = memoryview(b"x" + payload)[1:]
    assert book.apply(3, shifted)
    assert book.best_bid == (101, 1)
    assert book.apply_all([(3, BookDelta(instrument_id=ID, last_update_id=12).encode()), (12, b"")]) == 1


def test_clear_makes_it_as_new(book):
    book.clear()
    assert not book.valid
    assert book.bids() == book.asks() == []
    assert book.last_update_id == 0
    assert "invalid" in repr(book)
