"""LOBSTER message files: every column, every event type, and the published book after every message of a real file."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from random import Random

import pytest

from libchronicle.errors import ImportRejected
from libchronicle.protocol import (
    OrderAdd,
    OrderBookFlags,
    OrderDelete,
    OrderExecute,
    PhaseChange,
    Side,
    Trade,
    TradingPhase,
    instrument_id,
)
from libchronicle.venues.batch import RecordBatch
from libchronicle.venues.lobster import LobsterParser, book_levels

MSFT = instrument_id("nasdaq:MSFT")
MIDNIGHT = 1_340_251_200_000_000_000
FILE = "lobster/MSFT_2012-06-21_34200000_37800000_{}_50.csv"


def parse(text: bytes, chunk: int = 1 << 20) -> list:
    batch = RecordBatch()
    parser = LobsterParser(MSFT, MIDNIGHT, batch, "msft.csv")
    for start in range(0, len(text), chunk):
        parser.feed(text[start : start + chunk])
    parser.finish()
    return batch.messages()


class PlainBook:
    """Orders in a dictionary; levels are summed when asked for."""

    def __init__(self) -> None:
        self.orders: dict[int, list] = {}

    def apply(self, record: object) -> None:
        if isinstance(record, OrderAdd):
            self.orders[record.order_id] = [record.side, record.price, record.qty]
        elif isinstance(record, OrderDelete | OrderExecute):
            order = self.orders[record.order_id]
            order[2] -= record.qty or order[2]
            if order[2] <= 0:
                del self.orders[record.order_id]

    def levels(self, side: Side, count: int) -> list[tuple[int, int]]:
        sums: dict[int, int] = defaultdict(int)
        for own, price, qty in self.orders.values():
            if own == side:
                sums[price] += qty
        return sorted(sums.items(), reverse=side == Side.BUY)[:count]


@pytest.mark.recording
def test_the_book_after_every_message_is_the_published_one(chronicle_data: Path) -> None:
    messages = (chronicle_data / FILE.format("message")).read_bytes()
    rows = (chronicle_data / FILE.format("orderbook")).read_bytes().splitlines()
    batch = RecordBatch()
    parser = LobsterParser(MSFT, MIDNIGHT, batch)
    assert parser.seed(messages.splitlines()[0], rows[0]) == 100
    parser.feed(messages)
    parser.finish()
    assert parser.rows == 1000
    assert parser.kinds == {"new": 449, "cancel": 1, "delete": 435, "execution": 110, "hidden": 5}
    by_row: dict[int, list] = defaultdict(list)
    for record in batch.messages():
        if not isinstance(record, Trade):
            by_row[record.venue_seq].append(record)
    book = PlainBook()
    different = 0
    for number in range(1001):
        for record in by_row[number]:
            book.apply(record)
        if number:
            bids, asks = book_levels(rows[number - 1])
            different += book.levels(Side.BUY, 10) != bids[:10] or book.levels(Side.SELL, 10) != asks[:10]
    assert different == 0
    assert len([r for r in batch.messages() if isinstance(r, Trade)]) == 115


def test_every_event_type_becomes_its_records() -> None:
    records = parse(
        b"34200.5,1,11,200,308700,1\n"
        b"34200.500000001,2,11,50,308700,1\n"
        b"34200.6,4,11,30,308700,1\r\n"
        b"34200.7,5,0,70,308750,-1\n"
        b"34200.75,6,0,1000,308800,-1\n"
        b"34200.8,7,0,0,-1,-1\n34200.9,7,0,0,0,-1\n34201,7,0,0,1,1\n"
        b"34201.5,3,11,120,308700,1"
    )
    add, cancel, execution, trade, hidden, cross, halt, quoting, trading, gone = records
    at = MIDNIGHT + 34_200 * 10**9
    assert isinstance(add, OrderAdd)
    assert (add.venue_ts, add.order_id, add.price, add.qty, add.side, add.venue_seq) == (
        at + 500_000_000,
        11,
        308_700,
        200,
        Side.BUY,
        1,
    )
    assert isinstance(cancel, OrderDelete)
    assert (cancel.qty, cancel.venue_ts) == (50, at + 500_000_001)
    assert isinstance(execution, OrderExecute)
    assert (execution.qty, execution.price, execution.side) == (30, 308_700, Side.BUY)
    assert isinstance(trade, Trade)
    assert (trade.qty, trade.aggressor, trade.trade_id) == (30, Side.SELL, 3)
    assert isinstance(hidden, Trade)
    assert (hidden.price, hidden.qty, hidden.aggressor) == (308_750, 70, Side.BUY)
    assert isinstance(cross, Trade)
    assert (cross.qty, cross.aggressor) == (1000, Side.NONE)
    assert [p.phase for p in (halt, quoting, trading) if isinstance(p, PhaseChange)] == [
        TradingPhase.HALTED,
        TradingPhase.PRE_OPEN,
        TradingPhase.CONTINUOUS,
    ]
    assert isinstance(gone, OrderDelete)
    assert gone.qty == 0


def test_the_seed_is_the_book_before_the_first_message() -> None:
    batch = RecordBatch()
    parser = LobsterParser(MSFT, MIDNIGHT, batch)
    row = b"101,5,100,7,102,6,-9999999999,0"
    assert parser.seed(b"34200,1,11,3,100,1", row) == 3
    parser.feed(b"34200,1,11,3,100,1\n34201,4,5,4,100,1\n34202,3,6,5,101,-1\n34203,3,7,5,999,-1\n")
    adds = [r for r in batch.messages() if isinstance(r, OrderAdd)]
    assert [(a.price, a.qty, a.side) for a in adds] == [
        (100, 4, Side.BUY),
        (101, 5, Side.SELL),
        (102, 6, Side.SELL),
        (100, 3, Side.BUY),
    ]
    injected = OrderBookFlags.INJECTED
    assert [a.flags for a in adds] == [
        injected | OrderBookFlags.FIRST,
        injected,
        injected | OrderBookFlags.LAST,
        OrderBookFlags(0),
    ]
    execution = next(r for r in batch.messages() if isinstance(r, OrderExecute))
    deletion = next(r for r in batch.messages() if isinstance(r, OrderDelete))
    assert (execution.order_id, execution.qty) == (adds[0].order_id, 4)
    assert (deletion.order_id, deletion.qty) == (adds[1].order_id, 5)
    assert parser.unknown == 1


def test_chunks_may_be_cut_anywhere() -> None:
    text = b"".join(b"%d.%09d,1,%d,100,308700,-1\n" % (34_200 + i, i, i + 1) for i in range(50))
    whole = [r.encode() for r in parse(text)]
    for chunk in (1, 7, 64):
        assert [r.encode() for r in parse(text, chunk)] == whole


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"34200,1,11,200,308700", "six columns"),
        (b"34200,1,11,200,308700,1,9", "six columns"),
        (b"34200,8,11,200,308700,1", "event type"),
        (b"noon,1,11,200,308700,1", "time in seconds"),
        (b"1340251200,1,11,200,308700,1", "after midnight"),
        (b"34200,1,x,200,308700,1", "order id"),
        (b"34200,1,11,-5,308700,1", "size"),
        (b"34200,1,11,200,-4,1", "price"),
        (b"34200,1,11,200,30.87,1", "price"),
        (b"34200,1,11,200,308700,0", "direction"),
        (b"34199.9,1,11,200,308700,1", "sort the file"),
    ],
)
def test_a_bad_line_is_named(line: bytes, reason: str) -> None:
    with pytest.raises(ImportRejected, match=reason) as caught:
        parse(b"34200,1,10,200,308700,1\n" + line + b"\n")
    assert (caught.value.file, caught.value.place) == ("msft.csv", "line 2")


def test_orders_come_and_go_as_in_a_dictionary() -> None:
    """The parser forgets an order once nothing of it is left: later events of it are unknown, as in a plain dictionary."""
    seed = 20260
    random, known, unknown = Random(seed), {}, 0
    lines = []
    for number in range(20_000):
        kind = random.choice((1, 1, 2, 3, 4))
        order = random.randint(1, 3000) * 4096
        size = random.randint(1, 9)
        if kind == 1:
            known[order] = size
        elif order in known:
            known[order] -= size
            if known[order] <= 0 or kind == 3:
                del known[order]
        else:
            unknown += 1
        lines.append(b"%d,%d,%d,%d,308700,1\n" % (34_200 + number, kind, order, size))
    parser = LobsterParser(MSFT, MIDNIGHT, RecordBatch())
    parser.feed(b"".join(lines))
    assert parser.unknown == unknown, f"seed {seed}"
