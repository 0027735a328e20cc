"""Raw records of all symbols in, clean queues of one instrument and stream each out."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from raw_world import SECOND, World, delta, instrument, number, quote, snapshot, trade

from libchronicle.book import L2Book
from libchronicle.errors import ExponentChanged
from libchronicle.protocol import (
    AuctionInfo,
    BookDelta,
    BookFlags,
    BookMode,
    BookReset,
    BookSnapshot,
    Gap,
    GapReason,
    Instrument,
    OrderAdd,
    OrderBookFlags,
    PhaseChange,
    Side,
    Trade,
    TradingPhase,
    VenueState,
    VenueStatus,
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def injected(messages: list[object]) -> list[BookSnapshot]:
    return [m for m in messages if isinstance(m, BookSnapshot) and m.flags & BookFlags.INJECTED]


# ---------------------------------------------------------------- which record goes where


def test_each_stream_holds_its_symbols_records_in_order_with_their_raw_reference(world: World) -> None:
    world.put(instrument("AA"), instrument("BB"), snapshot("AA", 10), snapshot("BB", 20))
    for n in range(100):
        world.put(delta("AA", 11 + n), trade("BB", n), quote("AA", n), delta("BB", 21 + n), trade("AA", n))
    world.refine()
    for symbol, first in (("AA", 10), ("BB", 20)):
        head, *book = world.messages(symbol, "book")
        assert isinstance(head, Instrument)
        assert head.symbol == symbol
        assert [m.last_update_id for m in book] == list(range(first, first + 101))
        assert {m.instrument_id for m in book} == {number(symbol)}
        trades = world.messages(symbol, "trade")[1:]
        assert [m.trade_id for m in trades] == list(range(100))
    seqs = [m.raw_seq for m in world.messages("AA", "book")[1:]]
    assert seqs == [2, *range(4, 504, 5)]
    assert [m.raw_seq for m in world.messages("BB", "trade")[1:]] == list(range(5, 505, 5))
    assert len(world.messages("AA", "quote")) == 101
    assert not world.messages("BB", "quote")


def test_a_record_is_the_raw_one_byte_for_byte_but_for_its_reference_and_keeps_its_time(world: World) -> None:
    sent = trade("AA", 1, venue_ts=world.now, event_ts=world.now + 1, recv_ts=world.now + 2)
    world.put(instrument("AA"), sent)
    world.refine()
    (head_ts, _, head), (ts, _, payload) = world.clean("AA", "trade")
    assert head == instrument("AA").encode()
    assert (head_ts, ts) == (world.now, world.now)
    sent.raw_seq = 1
    assert payload == sent.encode()


def test_order_level_records_go_to_the_book_stream_as_they_are(world: World) -> None:
    adds = [
        OrderAdd(instrument_id=number("L3"), order_id=n, price=10_000, qty=5, side=Side.BUY)
        for n in (7, 8, 9)
    ]
    world.put(instrument("L3", book_mode=BookMode.L3), *adds, adds[0])
    refinery = world.refine()
    orders = [m for m in world.messages("L3", "book")[1:] if not m.flags & OrderBookFlags.INJECTED]
    assert [m.order_id for m in orders] == [7, 8, 9, 7]
    assert refinery.figures["refused"] == 1


def test_trading_phases_go_to_the_book_stream_and_those_of_the_venue_to_every_one(world: World) -> None:
    own = PhaseChange(instrument_id=number("AA"), venue_ts=world.now, phase=TradingPhase.OPENING_AUCTION)
    price = AuctionInfo(instrument_id=number("AA"), venue_ts=world.now, price=10_000)
    world.put(instrument("AA"), instrument("BB"), instrument("CC"), own, price, snapshot("BB", 1))
    world.put(trade("CC", 1), PhaseChange(venue_ts=world.now, phase=TradingPhase.CONTINUOUS))
    world.refine()
    assert [type(m) for m in world.messages("AA", "book")[1:]] == [PhaseChange, AuctionInfo, PhaseChange]
    assert [type(m) for m in world.messages("BB", "book")[1:]] == [BookSnapshot, PhaseChange]
    assert [m.raw_seq for m in world.messages("AA", "book")[1:]] == [3, 4, 7]
    assert not world.clean("CC", "book")


def test_an_order_of_the_schemas_first_version_is_taken(world: World) -> None:
    payload = bytearray(
        OrderAdd(instrument_id=number("L3"), order_id=7, price=1, qty=5, side=Side.BUY).encode()
    )
    payload[0:2], payload[6:8] = (80).to_bytes(2, "little"), (1).to_bytes(2, "little")
    world.put(instrument("L3", book_mode=BookMode.L3))
    world.writer.append(OrderAdd.TEMPLATE_ID, bytes(payload[:88]), ts_ns=world.now)
    refinery = world.refine()
    assert refinery.figures["malformed"] == 0
    assert [m.order_id for m in world.messages("L3", "book")[1:]] == [7]


def test_types_that_have_no_place_are_skipped_and_instruments_nobody_defined_are_counted(
    world: World,
) -> None:
    status = VenueStatus(recv_ts=1, state=VenueState.CONNECTED, venue="x")
    world.put(instrument("AA"), status, trade("ZZ", 1), trade("AA", 1))
    world.writer.append(4000, b"of another schema")
    refinery = world.refine()
    assert refinery.figures["skipped"] == 2
    assert refinery.figures["unknown"] == 1
    assert list(world.everything()) == [f"binance-spot/AA/{'trade'}"]


def test_every_raw_record_is_counted_once(world: World) -> None:
    world.put(instrument("AA"), snapshot("AA", 1), Gap(reason=GapReason.SEQUENCE))
    for n in range(50):
        world.put(delta("AA", n + 2), trade("AA", n), quote("AA", n), trade("ZZ", n))
    refinery = world.refine()
    figures = refinery.figures
    once = ("book", "trade", "quote", "gaps", "definitions", "skipped", "others", "repeated")
    once += ("malformed", "unknown", "too_late", "too_large")
    assert sum(figures[name] for name in once) == refinery.frames == world.writer.next_seq


# ---------------------------------------------------------------- definitions


def test_a_changed_definition_goes_before_the_next_record_and_an_equal_one_nowhere(world: World) -> None:
    world.put(instrument("AA"), trade("AA", 1), instrument("AA"), trade("AA", 2))
    world.put(instrument("AA", tick_size=50), instrument("AA", tick_size=20), trade("AA", 3))
    world.refine()
    found = [getattr(m, "tick_size", m) for m in world.messages("AA", "trade")]
    assert [m if isinstance(m, int) else m.trade_id for m in found] == [100, 1, 2, 20, 3]


def test_a_definition_with_other_exponents_is_refused_and_the_old_one_stays(world: World) -> None:
    world.put(instrument("AA"), trade("AA", 1), instrument("AA", price_exponent=-4), trade("AA", 2))
    refinery = world.refine()
    assert [type(error) for error in refinery.faults] == [ExponentChanged]
    assert [m.trade_id for m in world.messages("AA", "trade")[1:]] == [1, 2]
    assert world.messages("AA", "trade")[0].price_exponent == -2


def test_every_segment_begins_with_the_definition_and_a_book_segment_goes_on_with_a_snapshot(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, segment_size=64 << 10)
    world.stop()
    world.policy = world.policy.__class__(segment_size=16 << 10, sync=False)
    world.put(instrument("AA"), snapshot("AA", 1, 20))
    for n in range(1000):
        world.put(delta("AA", n + 2, levels=3), trade("AA", n))
    world.refine()
    for stream in ("book", "trade"):
        segments = world.segments("AA", stream)
        assert len(segments) > 5
        assert all(records[0][1] == Instrument.TEMPLATE_ID for records in segments)
    books = world.segments("AA", "book")
    assert all(records[1][1] == BookSnapshot.TEMPLATE_ID for records in books)
    raw = L2Book(number("AA"))
    expected: dict[int, int] = {}
    for m in [snapshot("AA", 1, 20), *(delta("AA", n + 2, levels=3) for n in range(1000))]:
        raw.apply(m.TEMPLATE_ID, m.encode())
        expected[m.last_update_id] = raw.hash()
    for records in books:
        alone = L2Book(number("AA"))
        for _, type_id, payload in records:
            alone.apply(type_id, payload)
            assert type_id == Instrument.TEMPLATE_ID or alone.hash() == expected[alone.last_update_id]
    world.close()


# ---------------------------------------------------------------- snapshots of our own


def test_a_snapshot_goes_before_the_delta_at_which_the_interval_has_passed(world: World) -> None:
    world.put(instrument("AA"), snapshot("AA", 1))
    for n in range(125):
        world.put(delta("AA", n + 2), step_ns=SECOND)
    refinery = world.refine()
    messages = world.messages("AA", "book")
    found = injected(messages)
    assert refinery.figures["snapshots"] == len(found) == 2
    assert [m.last_update_id for m in found] == [60, 120]
    places = [messages.index(m) for m in found]
    for place, snap in zip(places, found, strict=True):
        following = messages[place + 1]
        assert isinstance(following, BookDelta)
        assert following.raw_seq == snap.raw_seq
        book = L2Book(number("AA"))
        for m in messages[:place]:
            book.apply(m.TEMPLATE_ID, m.encode())
        assert list(snap.bids) == book.bids()
        assert list(snap.asks) == book.asks()


def test_a_snapshot_goes_before_the_delta_after_so_many_levels(tmp_path: Path) -> None:
    world = World(tmp_path, snapshot_levels=100)
    world.put(instrument("AA"), snapshot("AA", 1))
    for n in range(50):
        world.put(delta("AA", n + 2, levels=7))
    world.refine()
    assert [m.last_update_id for m in injected(world.messages("AA", "book"))] == [16, 31, 46]
    world.close()


def test_a_venues_own_snapshot_counts_and_a_stale_one_does_not(world: World) -> None:
    world.put(instrument("AA"), snapshot("AA", 1))
    for n in range(100):
        world.put(delta("AA", n + 2), step_ns=SECOND)
        if n == 50:
            world.put(snapshot("AA", n + 2))
        if n in (58, 90):
            world.put(snapshot("AA", 1, flags=BookFlags.STALE))
    world.refine()
    assert injected(world.messages("AA", "book")) == []


def test_no_snapshot_is_made_of_a_book_that_is_not_valid(world: World) -> None:
    world.put(instrument("AA"))
    for n in range(200):
        world.put(delta("AA", n + 2), step_ns=SECOND)
    world.put(snapshot("AA", 300), Gap(instrument_id=number("AA"), reason=GapReason.SEQUENCE))
    for n in range(200):
        world.put(delta("AA", 301 + n), step_ns=SECOND)
    world.put(snapshot("AA", 600), BookReset(instrument_id=number("AA"), reason=GapReason.CROSSED))
    for n in range(200):
        world.put(delta("AA", 601 + n), step_ns=SECOND)
    world.refine()
    assert injected(world.messages("AA", "book")) == []
    assert len(world.messages("AA", "book")) == 1 + 600 + 2 + 2


def test_a_book_too_large_for_a_segment_gets_no_snapshot_and_loses_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.policy = world.policy.__class__(segment_size=16 << 10, sync=False)
    world.put(instrument("AA"), snapshot("AA", 1, 200))
    for n in range(600):
        bids = [(5_000_000 + 1000 * n + i, 1) for i in range(4)]
        world.put(BookDelta(instrument_id=number("AA"), last_update_id=n + 2, bids=bids))
    refinery = world.refine()
    assert refinery.figures["unfit"] > 0
    assert len([m for m in world.messages("AA", "book") if isinstance(m, BookDelta)]) == 600
    world.close()


# ---------------------------------------------------------------- what is missing


def test_a_gap_of_an_instrument_goes_to_its_streams_and_one_of_the_feed_to_all(world: World) -> None:
    world.put(instrument("AA"), instrument("BB"), snapshot("AA", 1), trade("AA", 1), trade("BB", 1))
    world.put(Gap(instrument_id=number("AA"), reason=GapReason.SEQUENCE), Gap(reason=GapReason.RECONNECT))
    world.refine()
    for stream in ("book", "trade"):
        *_, own, all_of_it = world.messages("AA", stream)
        assert (own.reason, own.raw_seq) == (GapReason.SEQUENCE, 5)
        assert (all_of_it.reason, all_of_it.raw_seq) == (GapReason.RECONNECT, 6)
    assert [m.reason for m in world.messages("BB", "trade")[2:]] == [GapReason.RECONNECT]
    assert not world.messages("BB", "book")
    assert not world.messages("AA", "quote")


def test_a_record_cut_off_leaves_a_gap_in_its_place(world: World) -> None:
    world.put(instrument("AA"), snapshot("AA", 1), trade("AA", 1))
    for message in (delta("AA", 2), trade("AA", 2)):
        world.writer.append(message.TEMPLATE_ID, message.encode()[:-9], ts_ns=world.now)
    world.put(delta("AA", 3), trade("AA", 3))
    refinery = world.refine()
    assert refinery.figures["malformed"] == 2
    book = world.messages("AA", "book")
    assert [type(m) for m in book] == [Instrument, BookSnapshot, Gap, BookDelta]
    assert (book[2].reason, book[2].raw_seq) == (GapReason.MALFORMED, 3)
    assert [type(m) for m in world.messages("AA", "trade")] == [Instrument, Trade, Gap, Trade]
    assert not refinery.targets["binance-spot:AA"].book.valid


def test_a_record_larger_than_a_segment_leaves_a_gap(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.policy = world.policy.__class__(segment_size=8 << 10, sync=False)
    world.put(instrument("AA"), snapshot("AA", 1), delta("AA", 2), delta("AA", 3, levels=600), delta("AA", 4))
    refinery = world.refine()
    assert refinery.figures["too_large"] == 1
    kinds = [type(m) for m in world.messages("AA", "book")]
    assert kinds.count(Gap) == 1
    assert kinds.count(BookDelta) == 2
    world.close()


def test_a_record_the_book_cannot_apply_is_kept_and_counted(world: World) -> None:
    bad = BookDelta(instrument_id=number("AA"), last_update_id=2, bids=[(10_000, -5)])
    world.put(instrument("AA"), snapshot("AA", 1), bad, delta("AA", 3))
    refinery = world.refine()
    assert refinery.figures["refused"] == 1
    assert [type(m) for m in world.messages("AA", "book")[1:]] == [BookSnapshot, BookDelta, BookDelta]


def test_a_damaged_raw_record_becomes_a_gap_in_every_stream(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put(instrument("AA"), snapshot("AA", 1), trade("AA", 1), trade("AA", 2), trade("AA", 3))
    world.writer.close()
    segment = world.raw / "000000000.q"
    payload = trade("AA", 2).encode()
    at = segment.read_bytes().index(payload) + len(payload) - 16
    with open(segment, "r+b") as file:
        file.seek(at)
        file.write(b"\xff")
    world.refine()
    trades = world.messages("AA", "trade")[1:]
    assert [type(m) for m in trades] == [Trade, Gap, Trade]
    assert (trades[1].reason, trades[1].raw_seq) == (GapReason.LOST, 3)
    assert [type(m) for m in world.messages("AA", "book")[1:]] == [BookSnapshot, Gap]
    world.stop()
