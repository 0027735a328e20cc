"""ITCH 5.0: every message of the fixtures, every field of the messages that become records, packets and their gaps."""

from __future__ import annotations

import gzip
import struct
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from random import Random

import pytest

from libchronicle.errors import ImportRejected
from libchronicle.protocol import (
    AuctionInfo,
    BookSnapshot,
    Gap,
    OrderAdd,
    OrderDelete,
    OrderExecute,
    OrderModify,
    PhaseChange,
    Side,
    Trade,
    TradingPhase,
    instrument_id,
)
from libchronicle.venues.batch import RecordBatch
from libchronicle.venues.itch import LENGTHS, ItchParser
from libchronicle.venues.pcap import packets, udp_payload

MIDNIGHT = 1_692_676_800_000_000_000
SESSION = b"0000010059"


def head(kind: str, at: int, locate: int = 7) -> bytes:
    return kind.encode() + struct.pack(">HH", locate, 0) + at.to_bytes(6, "big")


def stock(name: str) -> bytes:
    return name.encode().ljust(8)


def add(
    at: int, order: int, side: str, shares: int, price: int, name: str = "IVOO", locate: int = 7
) -> bytes:
    body = struct.pack(">QcI", order, side.encode(), shares) + stock(name) + struct.pack(">I", price)
    return head("A", at, locate) + body


def in_file(messages: Iterable[bytes]) -> bytes:
    return b"".join(len(m).to_bytes(2, "big") + m for m in messages)


def in_packet(seq: int, messages: list[bytes], session: bytes = SESSION) -> bytes:
    return session + struct.pack(">QH", seq, len(messages)) + in_file(messages)


def parse(messages: Iterable[bytes], **options: object) -> tuple[ItchParser, list]:
    batch = RecordBatch()
    parser = ItchParser(MIDNIGHT, batch, file="day", **options)  # type: ignore[arg-type]
    parser.feed(in_file(messages))
    parser.finish()
    return parser, batch.messages()


def test_every_field_of_an_orders_life() -> None:
    match = 999
    parser, records = parse(
        [
            add(1000, 42, "B", 300, 1_234_500),
            head("E", 1001) + struct.pack(">QIQ", 42, 100, match),
            head("C", 1002) + struct.pack(">QIQcI", 42, 50, match + 1, b"Y", 1_234_400),
            head("C", 1003) + struct.pack(">QIQcI", 42, 10, match + 2, b"N", 1_234_300),
            head("X", 1004) + struct.pack(">QI", 42, 40),
            head("U", 1005) + struct.pack(">QQII", 42, 43, 80, 1_234_600),
            head("D", 1006) + struct.pack(">Q", 43),
        ]
    )
    assert list(parser.instruments) == [instrument_id("nasdaq:IVOO")]
    entered, first, printed, second, printed_too, crossed, cancelled, replaced, deleted = records
    assert isinstance(entered, OrderAdd)
    assert (entered.order_id, entered.side, entered.qty, entered.price) == (42, Side.BUY, 300, 1_234_500)
    assert (entered.venue_ts, entered.venue_seq, entered.recv_ts) == (MIDNIGHT + 1000, 1, 0)
    assert isinstance(first, OrderExecute)
    assert (first.qty, first.price, first.side, first.trade_id) == (100, 1_234_500, Side.BUY, match)
    assert isinstance(printed, Trade)
    assert (printed.qty, printed.price, printed.aggressor, printed.trade_id) == (
        100,
        1_234_500,
        Side.SELL,
        match,
    )
    assert isinstance(second, OrderExecute)
    assert (second.qty, second.price) == (50, 1_234_400)
    assert isinstance(printed_too, Trade)
    assert printed_too.price == 1_234_400
    assert isinstance(crossed, OrderExecute)
    assert crossed.qty == 10
    assert isinstance(cancelled, OrderDelete)
    assert (cancelled.qty, cancelled.side) == (40, Side.BUY)
    assert isinstance(replaced, OrderModify)
    assert (replaced.order_id, replaced.new_order_id, replaced.qty, replaced.price, replaced.side) == (
        42,
        43,
        80,
        1_234_600,
        Side.BUY,
    )
    assert isinstance(deleted, OrderDelete)
    assert (deleted.order_id, deleted.qty, deleted.side) == (43, 0, Side.BUY)


def test_trades_crosses_halts_and_imbalances() -> None:
    paired, lacking = 5000, 700
    _, records = parse(
        [
            head("R", 1) + stock("IVOO") + b"QN" + struct.pack(">I", 100) + b"NQZ PNN1N" + bytes(4) + b"N",
            head("I", 2)
            + struct.pack(">QQc", paired, lacking, b"B")
            + stock("IVOO")
            + struct.pack(">III", 100, 200, 300)
            + b"OL",
            head("Q", 3) + struct.pack(">Q", 5000) + stock("IVOO") + struct.pack(">IQ", 200, 77) + b"O",
            head("Q", 3) + struct.pack(">Q", 0) + stock("IVOO") + struct.pack(">IQ", 0, 78) + b"I",
            head("S", 4, 0) + b"Q",
            head("P", 5) + struct.pack(">QcI", 0, b"B", 9) + stock("IVOO") + struct.pack(">IQ", 201, 79),
            head("H", 6) + stock("IVOO") + b"H " + b"LUDP",
            head("H", 7) + stock("IVOO") + b"Q " + b"LUDP",
            head("H", 8) + stock("IVOO") + b"T " + b"LUDP",
            head("S", 9, 0) + b"M",
        ]
    )
    empty, auction, cross, market, hidden, *phases = records
    assert isinstance(empty, BookSnapshot)
    assert (empty.bids, empty.asks) == ([], [])
    assert isinstance(auction, AuctionInfo)
    assert (auction.qty, auction.imbalance_qty, auction.imbalance_side) == (paired, lacking, Side.BUY)
    assert (auction.far_price, auction.price, auction.reference_price) == (100, 200, 300)
    assert auction.phase == TradingPhase.OPENING_AUCTION
    assert isinstance(cross, Trade)
    assert (cross.qty, cross.price, cross.trade_id, cross.aggressor) == (5000, 200, 77, Side.NONE)
    assert isinstance(market, PhaseChange)
    assert market.phase == TradingPhase.CONTINUOUS
    assert isinstance(hidden, Trade)
    assert (hidden.qty, hidden.price, hidden.trade_id) == (9, 201, 79)
    assert [p.phase for p in phases] == [
        TradingPhase.HALTED,
        TradingPhase.PRE_OPEN,
        TradingPhase.CONTINUOUS,
        TradingPhase.POST_CLOSE,
    ]


def test_only_the_stocks_asked_for_are_kept() -> None:
    parser, records = parse(
        [add(1, 1, "B", 1, 10, "AAA", 1), add(2, 2, "S", 1, 10, "BBB", 2), add(3, 3, "S", 1, 10, "AAA", 1)],
        symbols={"BBB"},
    )
    assert [r.order_id for r in records] == [2]
    assert parser.kinds == {"A": 3}


def test_a_stock_nobody_named_is_counted_and_known_once_it_is_named() -> None:
    parser, records = parse(
        [head("D", 1) + bytes(8), add(2, 1, "B", 1, 10), head("D", 3) + struct.pack(">Q", 1)]
    )
    assert parser.unknown_stock == 1
    assert [type(r) for r in records] == [OrderAdd, OrderDelete]


def test_missing_packets_leave_a_gap_and_doubled_messages_are_passed_over() -> None:
    batch = RecordBatch()
    parser = ItchParser(MIDNIGHT, batch)
    parser.packet(in_packet(10, [add(1, 1, "B", 1, 10), add(2, 2, "B", 1, 10)]), 5_000)
    parser.packet(in_packet(11, [add(2, 2, "B", 1, 10), add(3, 3, "B", 1, 10)]), 6_000)
    parser.packet(in_packet(13, []), 6_500)
    parser.packet(in_packet(20, [add(4, 4, "B", 1, 10)]), 5_500)
    parser.packet(in_packet(1, [add(5, 5, "B", 1, 10)], b"another   "), 7_000)
    assert (parser.gaps, parser.missing, parser.doubled, parser.unordered) == (1, 7, 1, 1)
    records = batch.messages()
    assert [r.venue_seq for r in records if isinstance(r, OrderAdd)] == [10, 11, 12, 20, 1]
    gaps = [r for r in records if isinstance(r, Gap)]
    assert [(g.expected_id, g.received_id) for g in gaps] == [(13, 20)] * 2  # for the book and for the trades
    assert [ts for _, ts, _ in batch] == [5_000, 5_000, 6_000, 6_500, 6_500, 6_500, 7_000]


def test_packets_missing_before_a_stock_is_named_are_a_gap_of_that_stock_too() -> None:
    batch = RecordBatch()
    parser = ItchParser(MIDNIGHT, batch)
    parser.packet(in_packet(10, [head("S", 1, 0) + b"O"]), 5_000)
    parser.packet(in_packet(13, [add(2, 2, "B", 1, 10)]), 6_000)
    parser.packet(in_packet(15, [add(3, 3, "B", 1, 10), add(3, 4, "B", 1, 10, "ALC", 8)]), 7_000)
    assert (parser.gaps, parser.missing) == (2, 3)
    first, second = (instrument_id(f"nasdaq:{name}") for name in ("IVOO", "ALC"))
    told = [(r.instrument_id, type(r).__name__, getattr(r, "expected_id", 0)) for r in batch.messages()]
    assert told == [
        (first, "Gap", 11),  # once for the book, once for the trades
        (first, "Gap", 11),
        (first, "OrderAdd", 0),
        (first, "Gap", 14),
        (first, "Gap", 14),
        (first, "OrderAdd", 0),
        (second, "Gap", 11),
        (second, "Gap", 11),
        (second, "OrderAdd", 0),
    ]


def test_a_file_may_be_cut_anywhere_into_chunks() -> None:
    seed = 5
    random = Random(seed)
    text = in_file(add(i, i, "B", 1, 10) for i in range(300))
    batch = RecordBatch()
    parser = ItchParser(MIDNIGHT, batch)
    at = 0
    while at < len(text):
        step = random.randint(1, 90)
        parser.feed(text[at : at + step])
        at += step
    parser.finish()
    assert [r.order_id for r in batch.messages()] == list(range(300)), f"seed {seed}"


def whole_file(data: bytes) -> None:
    parser = ItchParser(MIDNIGHT, RecordBatch(), file="day")
    parser.feed(data)
    parser.finish()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x00\x0cZ" + bytes(11), "no message type"),
        (b"\x00\x00Z" + bytes(11), "length of 0"),
        (b"\x00\x0dS" + bytes(12), "it has 12"),
        (b"\x00\x0cS" + bytes(4) + b"\xff" * 6 + b"O", "after midnight"),
        (in_file([add(9, 1, "B", 1, 10), add(8, 2, "B", 1, 10)]), "before that of the message above"),
        (in_file([add(9, 1, "B", 1, 10)])[:-1], "cut off"),
    ],
)
def test_damage_is_named_with_its_place(data: bytes, reason: str) -> None:
    with pytest.raises(ImportRejected, match=reason):
        whole_file(data)


def test_a_packet_that_is_cut_off_is_refused() -> None:
    whole = in_packet(1, [add(1, 1, "B", 1, 10), add(2, 2, "B", 1, 10)])
    for size in range(len(whole)):
        with pytest.raises(ImportRejected):
            ItchParser(MIDNIGHT, RecordBatch()).packet(whole[:size], 5)


@pytest.mark.recording
def test_the_daily_file_parses_completely(chronicle_data: Path) -> None:
    batch = RecordBatch()
    parser = ItchParser(MIDNIGHT, batch)
    parser.feed(gzip.decompress((chronicle_data / "itch" / "ex20101224.TEST_ITCH_50.gz").read_bytes()))
    parser.finish()
    expected = {"P": 5000, "A": 4997, "D": 1745, "E": 198, "X": 45, "U": 12, "S": 6, "R": 3, "H": 3, "F": 3}
    assert parser.kinds == expected
    assert parser.total == 12_012
    assert {i.symbol for i in parser.instruments.values()} == {"ALC", "BOB", "CHAR"}
    kinds = Counter(type(r) for r in batch.messages())
    assert kinds[OrderAdd] == 5000
    assert (kinds[OrderDelete], kinds[OrderExecute], kinds[OrderModify]) == (1790, 198, 12)
    assert kinds[Trade] == 5000 + 198 - parser.unknown_order
    assert parser.unknown_stock == 0
    assert parser.unknown_order == 18  # the made-up stocks execute orders that were deleted before


@pytest.mark.recording
def test_every_captured_packet_parses_with_its_own_time(chronicle_data: Path) -> None:
    seen: Counter[str] = Counter()
    for file in sorted((chronicle_data / "itch").glob("*.pcap")):
        parser = ItchParser(MIDNIGHT, RecordBatch(), file=file.name)
        for packet in packets([file.read_bytes()], file.name):
            payload = udp_payload(packet)
            assert payload is not None
            parser.packet(payload, packet.ts_ns)
        seen.update(parser.kinds)
    assert set(seen) <= set(LENGTHS)
    assert set(seen) >= set("ALDEUHI")
