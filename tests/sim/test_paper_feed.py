"""The native market reader: books equal to those of a plain replay, every record before the paper venue's matcher, and only
what concerned an order before Python."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from libchronicle.book import L2Book
from libchronicle.portfolio import FeeSchedule, InstrumentTerms, Ledger, Order, OrderKey
from libchronicle.protocol import (
    BookDelta,
    BookMode,
    BookSnapshot,
    ContractKind,
    Gap,
    GapReason,
    Instrument,
    OrderType,
    Side,
    Trade,
    instrument_id,
)
from libchronicle.queue import Publisher, Queue, QueueConfig
from libchronicle.sim.matcher import Matcher
from libchronicle.sim.paper import PaperGateway, VenueEvent
from libchronicle.sim.paper_feed import DEFINITION, MATCHED, NOTHING, SYNC, MarketReader

SMALL = QueueConfig(segment_size=1 << 16)
BTC, ETH = instrument_id("binance-spot:BTCUSDT"), instrument_id("binance-spot:ETHUSDT")


def definition(symbol: str) -> Instrument:
    return Instrument(
        instrument_id=instrument_id(f"binance-spot:{symbol}"), tick_size=1, lot_size=1, min_qty=1, max_qty=0, min_notional=0,
        contract_size=0, price_exponent=-2, qty_exponent=-3, contract_kind=ContractKind.SPOT, book_mode=BookMode.L2,
        trading=1, venue="binance-spot", symbol=symbol, base_currency=symbol[:3], quote_currency="USDT",
    )  # fmt: skip


class Feed:
    """Writes market data as a feed would."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.writer: Publisher = Queue.open_publisher(path, SMALL)
        self.update_id = 0

    def put(self, message) -> int:
        return self.writer.append(message.TEMPLATE_ID, message.encode())

    def snapshot(self, id: int = BTC, bids=((99, 5), (98, 5)), asks=((101, 5), (102, 5))) -> int:
        self.update_id += 1
        return self.put(
            BookSnapshot(instrument_id=id, last_update_id=self.update_id, bids=list(bids), asks=list(asks))
        )

    def delta(self, id: int = BTC, bids=(), asks=()) -> int:
        self.update_id += 1
        first = last = self.update_id
        return self.put(
            BookDelta(
                instrument_id=id, first_update_id=first, last_update_id=last, bids=list(bids), asks=list(asks)
            )
        )

    def trade(self, price: int, qty: int, aggressor: Side, id: int = BTC) -> int:
        return self.put(Trade(instrument_id=id, price=price, qty=qty, aggressor=aggressor))


@pytest.fixture
def feed(tmp_path: Path):
    feed = Feed(tmp_path / "raw")
    yield feed
    feed.writer.close()


@pytest.fixture
def reader(feed: Feed):
    reader = MarketReader(Queue.open_subscriber(feed.path, "router", SMALL, "earliest"))
    yield reader
    reader.close()


def test_definitions_and_first_snapshots_are_told(feed: Feed, reader: MarketReader) -> None:
    feed.put(definition("BTCUSDT"))
    feed.snapshot()
    assert reader.poll() == DEFINITION
    assert Instrument.decode(reader.payload).symbol == "BTCUSDT"
    assert (reader.poll(), reader.instrument_id) == (SYNC, BTC)
    assert reader.poll() == NOTHING
    assert reader.books[BTC].best_bid == (99, 5)


class Venue:
    """A paper venue that a reader feeds, and short words for orders."""

    def __init__(self, reader: MarketReader) -> None:
        ledger = Ledger()
        for id in (BTC, ETH):
            ledger.define(InstrumentTerms(id, tick_size=1, lot_size=1, price_exponent=-2, qty_exponent=-3))
        self.gateway, self.reader, self.seq = PaperGateway(ledger, FeeSchedule()), reader, 0

    def join(self, id: int = BTC) -> None:
        self.reader.join(self.gateway, id)

    def send(self, side: Side, qty: int, price: int, id: int = BTC, **more) -> list[tuple[str, int]]:
        self.seq += 1
        order = Order(OrderKey(1, 1, self.seq), "alpha", id, side, qty, price, **more)
        return self.told(self.gateway.submit(order, self.reader.books[id], 0))

    def told(self, events: list[VenueEvent] | None = None) -> list[tuple[str, int]]:
        return [(e.kind.name, e.last_qty) for e in (self.gateway.drain() if events is None else events)]


@pytest.fixture
def venue(reader: MarketReader) -> Venue:
    return Venue(reader)


def test_market_data_that_fills_nothing_stays_below_python(
    feed: Feed, reader: MarketReader, venue: Venue
) -> None:
    feed.snapshot()
    assert reader.poll() == SYNC
    venue.join()
    venue.send(Side.BUY, 2, 98)
    venue.send(Side.SELL, 2, 103)
    for _ in range(500):
        feed.delta(bids=[(99, 7)], asks=[(101, 7)])
        feed.trade(99, 1, Side.SELL)
        feed.trade(97, 1, Side.BUY)  # the wrong side for our buy
        feed.trade(50, 1, Side.SELL, id=ETH)
    assert reader.poll(10_000) == NOTHING
    assert reader.frames == 2001
    feed.trade(98, 3, Side.SELL)  # five stand before our two
    feed.trade(98, 3, Side.SELL)
    assert (reader.poll(), reader.instrument_id, venue.told()) == (MATCHED, BTC, [("PARTIAL_FILL", 1)])
    feed.trade(104, 1, Side.NONE)
    assert (reader.poll(), venue.told()) == (MATCHED, [("FILL", 2)])
    feed.delta(asks=[(98, 1)])
    assert (reader.poll(), venue.told()) == (MATCHED, [("FILL", 1)])


def test_the_matcher_sees_a_level_go_and_come_back_between_two_orders(
    feed: Feed, reader: MarketReader, venue: Venue
) -> None:
    feed.snapshot()
    assert reader.poll() == SYNC
    venue.join()
    assert venue.send(Side.BUY, 5, 101) == [("ACK", 0), ("FILL", 5)]
    feed.delta(asks=[(101, 0)])
    feed.delta(asks=[(101, 5)])
    assert reader.poll() == NOTHING
    assert venue.send(Side.BUY, 5, 101) == [("ACK", 0), ("FILL", 5)], "those are new ones"


def test_after_a_gap_what_was_taken_and_displayed_before_says_nothing(
    feed: Feed, reader: MarketReader, venue: Venue
) -> None:
    feed.snapshot()
    assert reader.poll() == SYNC
    venue.join()
    venue.send(Side.BUY, 5, 101)
    feed.put(Gap(instrument_id=BTC, reason=GapReason.SEQUENCE))
    assert reader.poll() == NOTHING
    assert venue.send(Side.BUY, 1, 101) == [("REJECT", 0)]
    feed.snapshot()
    assert reader.poll() == SYNC
    assert venue.send(Side.BUY, 5, 101) == [("ACK", 0), ("FILL", 5)]


def test_an_instrument_that_another_reader_feeds_is_left_alone(
    feed: Feed, reader: MarketReader, venue: Venue
) -> None:
    feed.snapshot()
    assert reader.poll() == SYNC
    venue.join()
    venue.send(Side.BUY, 2, 99)
    reader.leave(BTC)
    feed.trade(90, 1, Side.SELL)
    assert (reader.poll(), venue.told()) == (NOTHING, [])


def test_a_new_stop_looks_at_the_last_trade_that_was_read_before_the_orders_came(
    feed: Feed, reader: MarketReader, venue: Venue
) -> None:
    def stop(price: int) -> list[tuple[str, int]]:
        return venue.send(Side.SELL, 1, 0, order_type=OrderType.STOP_MARKET, stop_price=price)

    feed.snapshot()
    feed.trade(97, 1, Side.SELL)
    assert (reader.poll(), reader.poll()) == (SYNC, NOTHING)
    venue.join()
    assert (stop(96), stop(97)) == ([("ACK", 0)], [("ACK", 0), ("FILL", 1)])
    feed.trade(100, 1, Side.BUY)
    assert reader.poll() == NOTHING
    reader.leave(BTC)
    venue.join()
    assert stop(97) == [("ACK", 0)]  # the older trade does not come back


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_paper_fills_as_a_matcher_that_is_given_every_record(
    feed: Feed, reader: MarketReader, venue: Venue, seed: int
) -> None:
    rng, book, other = random.Random(seed), L2Book(BTC), Matcher()
    slot, fills = other.add(BTC, book), 0

    def plain(events) -> list[tuple]:
        return [(e.kind, e.price, e.qty, e.cum, e.leaves, e.last_price, e.last_qty, e.code) for e in events]

    def read() -> list[tuple]:
        found: list[tuple] = []
        while (what := reader.poll()) != NOTHING:
            if what == SYNC:
                venue.join()
                venue.gateway.on_reset(BTC)
            found += plain(
                venue.gateway.drain() if what == MATCHED else venue.gateway.on_book(BTC, reader.books[BTC])
            )
        return found

    def levels(best: int, step: int) -> list[tuple[int, int]]:
        return [(best + step * i, rng.choice([0, 3, 9])) for i in range(3)]

    for turn in range(1500):
        put = rng.choices([feed.delta, feed.trade, feed.snapshot, feed.put], weights=[60, 40, 2, 1])[0]
        if put == feed.trade:
            put(rng.randint(97, 103), rng.randint(1, 9), rng.choice([Side.BUY, Side.SELL]))
        elif put == feed.put:
            put(Gap(instrument_id=BTC, reason=GapReason.SEQUENCE))
        else:
            put(bids=levels(rng.randint(97, 101), -1), asks=levels(rng.randint(99, 103), 1))
        with Queue.open_subscriber(feed.path, None, SMALL, "earliest") as last:
            last.seek_seq(last.head_seq - 1)
            message = last.next()
        if turn == 0 or message.type_id != Trade.TEMPLATE_ID:
            book.apply(message.type_id, message)
        again = plain(other.record(slot, message.type_id, bytes(message)))
        told = read()
        assert told == again, (seed, turn)
        fills += sum(one[6] > 0 for one in told)
        if rng.random() < 0.4 and BTC in reader.books:
            side, qty, price = rng.choice([Side.BUY, Side.SELL]), rng.randint(1, 20), rng.randint(96, 104)
            venue.seq += 1
            order = Order(OrderKey(1, 1, venue.seq), "alpha", BTC, side, qty, price)
            events = venue.gateway.submit(order, reader.books[BTC], 0)
            assert plain(events) == plain(other.new(slot, venue.seq, side, qty, price)), (seed, turn)
            fills += sum(e.last_qty > 0 for e in events)
    assert fills > 200


def test_after_a_gap_the_book_is_invalid_until_a_snapshot(feed: Feed, reader: MarketReader) -> None:
    feed.snapshot()
    assert reader.poll() == SYNC
    feed.put(Gap(instrument_id=0, reason=GapReason.SEQUENCE))
    assert reader.poll() == NOTHING
    assert not reader.books[BTC].valid
    feed.snapshot()
    assert reader.poll() == SYNC


def test_a_new_writer_of_the_feed_makes_every_book_wait_for_its_snapshot(
    feed: Feed, reader: MarketReader
) -> None:
    feed.snapshot()
    feed.snapshot(ETH)
    assert [reader.poll(), reader.poll()] == [SYNC, SYNC]
    feed.writer.close()
    feed.writer = Queue.open_publisher(feed.path, SMALL)
    feed.snapshot(ETH)
    assert (reader.poll(), reader.instrument_id) == (SYNC, ETH)
    assert not reader.books[BTC].valid


def test_what_was_read_is_told_once_as_a_range(feed: Feed, reader: MarketReader) -> None:
    assert reader.unsaid() is None
    for _ in range(3):
        feed.snapshot()
    while reader.poll():
        pass
    assert reader.unsaid() == (0, 2, 1)
    assert reader.unsaid() is None


def test_more_instruments_than_slots_make_room(feed: Feed, reader: MarketReader) -> None:
    ids = [instrument_id(f"binance-spot:S{i}") for i in range(300)]
    for id in ids:
        feed.snapshot(id)
    assert sum(1 for _ in range(300) if reader.poll() == SYNC) == 300
    assert all(reader.books[id].valid for id in ids)
    feed.trade(100, 1, Side.SELL, id=ids[7])
    assert reader.poll() == NOTHING


@pytest.mark.parametrize("since", [10, 5000, 30_000])
def test_a_rebuild_gives_the_books_of_a_full_replay_and_stands_at_the_head(feed: Feed, since: int) -> None:
    for symbol in ("BTCUSDT", "ETHUSDT"):
        feed.put(definition(symbol))
        feed.snapshot(instrument_id(f"binance-spot:{symbol}"))
    for i in range(since):
        feed.delta(bids=[(99 - i % 7, i % 5)], asks=[(101 + i % 7, i % 3)])
    feed.delta(ETH, bids=[(97, 1)])
    plain = {BTC: L2Book(BTC), ETH: L2Book(ETH)}
    with Queue.open_subscriber(feed.path, None, SMALL, "earliest") as everything:
        for message in everything:
            for book in plain.values():
                book.apply(message.type_id, message)
    reader = MarketReader(Queue.open_subscriber(feed.path, "router", SMALL, "latest"))
    applied, definitions = reader.rebuild([BTC, ETH])
    assert applied >= since
    assert {Instrument.decode(p).symbol for p in definitions.values()} == {"BTCUSDT", "ETHUSDT"}
    for id, book in plain.items():
        assert reader.books[id].valid
        assert reader.books[id].hash() == book.hash()
    assert (reader.poll(), reader.lag) == (NOTHING, 0)
    feed.trade(1, 1, Side.SELL)
    assert reader.lag == 1
    reader.close()


def test_a_rebuild_of_an_empty_queue_finds_nothing(feed: Feed) -> None:
    reader = MarketReader(Queue.open_subscriber(feed.path, "router", SMALL, "latest"))
    assert reader.rebuild() == (0, {})
    feed.snapshot()
    assert reader.poll() == SYNC
    reader.close()
