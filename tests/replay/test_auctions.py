"""A made-up day with an opening and a closing auction, replayed to what it was made with."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

from libchronicle.errors import ReplayGap
from libchronicle.protocol import (
    AuctionFlags,
    AuctionInfo,
    OrderAdd,
    OrderBookFlags,
    OrderDelete,
    PhaseChange,
    PhaseFlags,
    Trade,
    TradingPhase,
)
from libchronicle.replay import RecordSource, Replay, SpanSource
from libchronicle.sim.auction_day import AuctionDay

sys.path.insert(0, str(Path(__file__).parent))
from stream import record, rows, spans


@pytest.fixture(scope="module", params=[1, 2, 3])
def day(request):
    print(f"seed {request.param}")
    made = AuctionDay(orders=2500, seed=request.param)
    return made, list(made.records())


def test_it_replays_to_its_volumes_its_auctions_and_its_closing_book(day, tmp_path):
    made, records = day
    replay = Replay([SpanSource(spans(record(tmp_path / "q", records)))], gaps="stop", channel=True)
    volumes: Counter[tuple[int, TradingPhase]] = Counter()
    auctions = {}

    def look(event):
        message = event.message()
        if isinstance(message, Trade):
            volumes[message.instrument_id, event.book.phase] += message.qty
        elif isinstance(message, AuctionInfo) and message.flags & AuctionFlags.FINAL:
            auctions[message.instrument_id, message.phase] = message.price, message.qty

    replay.run(look)
    assert len(made.truth) == 2
    for name, truth in made.truth.items():
        book = replay.book(name)
        number = book.instrument_id
        assert truth.volumes.keys() == {
            TradingPhase.OPENING_AUCTION,
            TradingPhase.CONTINUOUS,
            TradingPhase.CLOSING_AUCTION,
        }
        assert {phase: volumes[number, phase] for phase in truth.volumes} == truth.volumes
        assert {phase: auctions[number, phase] for phase in truth.auctions} == truth.auctions
        assert truth.auctions[TradingPhase.CLOSING_AUCTION][1] == truth.volumes[TradingPhase.CLOSING_AUCTION]
        assert [tuple(order) for order in book.orders()] == truth.closing
        assert book.valid
        assert not book.crossed
        assert (book.phase, book.forbidden) == (TradingPhase.CLOSED, both_sides_left(records, number))
        both = truth.volumes[TradingPhase.OPENING_AUCTION] + truth.volumes[TradingPhase.CLOSING_AUCTION]
        assert book.executed_qty == 2 * both + truth.volumes[TradingPhase.CONTINUOUS]


def both_sides_left(records, number):
    """Orders that the venue itself removes while it uncrosses; nobody else may."""
    uncrossing, count = False, 0
    for _, message in records:
        if getattr(message, "instrument_id", 0) != number:
            continue
        if isinstance(message, PhaseChange):
            uncrossing = bool(message.flags & PhaseFlags.UNCROSSING)
        count += isinstance(message, OrderDelete) and uncrossing
    return count


def test_nobody_cancels_where_none_may_and_orders_without_price_wait_for_auctions_only(day):
    _, records = day
    flags: dict[int, PhaseFlags] = {}
    unpriced = 0
    for _, message in records:
        if isinstance(message, PhaseChange):
            flags[message.instrument_id] = message.flags
            phase = message.phase
        if isinstance(message, OrderDelete):
            now = flags[message.instrument_id]
            assert not now & PhaseFlags.NO_CANCEL or now & PhaseFlags.UNCROSSING
        if isinstance(message, OrderAdd) and message.flags & OrderBookFlags.NO_PRICE:
            assert phase != TradingPhase.CONTINUOUS
            unpriced += 1
    assert unpriced > 50


def test_a_hole_in_the_channel_breaks_all_its_books(day):
    _, records = day
    victim = next(i for i, (_, m) in enumerate(records) if i > 900 and isinstance(m, OrderAdd))
    holed = rows(records[:victim] + records[victim + 1 :])
    with pytest.raises(ReplayGap, match="channel"):
        Replay([RecordSource(holed)], gaps="stop", channel=True).run()
    replay = Replay([RecordSource(holed)], gaps="resync", channel=True)
    report = replay.run()
    assert [row.gaps for row in report.instruments] == [1, 1]
    assert not any(book.valid for book in replay.books.values())


def test_the_same_seed_makes_the_same_day():
    one, two = AuctionDay(orders=300, seed=9), AuctionDay(orders=300, seed=9)
    assert rows(one.records()) == rows(two.records())
    assert one.truth == two.truth
    assert rows(AuctionDay(orders=300, seed=10).records()) != rows(two.records())
