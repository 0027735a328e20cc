"""Tardis CSV files: the vendor's own fixtures, every data type, and what unsound files get."""

from __future__ import annotations

import csv
from decimal import Decimal
from pathlib import Path

import pytest

from libchronicle.book import L2Book
from libchronicle.errors import ImportRejected
from libchronicle.protocol import BestBidAsk, BookDelta, BookFlags, BookSnapshot, Gap, GapReason, Side, Trade
from libchronicle.venues.batch import RecordBatch
from libchronicle.venues.definition import Figures, recorded_instrument
from libchronicle.venues.tardis import TardisParser, TardisSurvey, read_header
from libchronicle.venues.tardis.layout import Kind

T = 1_585_699_200_000_000
L2 = b"exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount\n"
TRADES = b"exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n"
QUOTES = b"exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount\n"


def survey(text: bytes) -> TardisSurvey:
    header, _, rows = text.partition(b"\n")
    found = TardisSurvey(read_header(header, "x.csv"), "x.csv")
    found.feed(rows)
    found.finish()
    return found


def parse(text: bytes, chunk: int = 1 << 20) -> tuple[list, TardisParser]:
    header, _, rows = text.partition(b"\n")
    layout, looked = read_header(header, "x.csv"), survey(text)
    batch = RecordBatch()
    instrument = recorded_instrument("deribit", looked.symbol, looked.price, looked.qty)
    parser = TardisParser(layout, instrument, batch, "x.csv")
    for start in range(0, len(rows), chunk):
        parser.feed(rows[start : start + chunk])
    parser.finish()
    return batch.messages(), parser


def level(at: int, snapshot: str, side: str, price: str, amount: str) -> bytes:
    return f"deribit,BTC-PERPETUAL,{T + at},{T + at + 5},{snapshot},{side},{price},{amount}\n".encode()


def e8(text: str) -> int:
    return int(Decimal(text).scaleb(8))


def test_rows_of_one_message_are_one_delta_and_a_run_of_snapshot_rows_one_snapshot() -> None:
    text = L2 + b"".join(
        [
            level(0, "true", "ask", "101.5", "3"),
            level(0, "true", "bid", "100", "1"),
            level(0, "true", "bid", "100.5", "2"),
            level(7, "false", "bid", "100.5", "0"),
            level(7, "false", "ask", "101.5", "9"),
            level(8, "false", "bid", "99", "4"),
            level(90, "true", "bid", "98", "5"),
        ]
    )
    records, parser = parse(text)
    first, delta, next_delta, gap, second = records
    assert isinstance(first, BookSnapshot)
    assert first.bids == [(e8("100.5"), e8("2")), (e8("100"), e8("1"))]
    assert first.asks == [(e8("101.5"), e8("3"))]
    assert (first.venue_ts, first.recv_ts, first.last_update_id) == (T * 1000, (T + 5) * 1000, 3)
    assert isinstance(delta, BookDelta)
    assert (delta.bids, delta.asks) == ([(e8("100.5"), 0)], [(e8("101.5"), e8("9"))])
    assert (delta.first_update_id, delta.last_update_id) == (4, 5)
    assert isinstance(next_delta, BookDelta)
    assert next_delta.raw_seq == 6
    assert isinstance(gap, Gap)
    assert gap.reason == GapReason.RECONNECT
    assert isinstance(second, BookSnapshot)
    assert second.flags == BookFlags.RESYNC
    assert parser.gaps == 1
    for chunk in (1, 13):
        assert parse(text, chunk)[0] == records


def test_a_book_follows_the_records() -> None:
    text = L2 + b"".join(
        [level(0, "true", "bid", "1000", "1")]
        + [level(0, "true", "ask", str(2000 + i), "2") for i in range(25_000)]
        + [level(9, "false", "ask", "2000", "0")]
    )
    book = L2Book()
    header, _, rows = text.partition(b"\n")
    looked = survey(text)
    batch = RecordBatch()
    parser = TardisParser(
        read_header(header), recorded_instrument("deribit", "X", looked.price, looked.qty), batch
    )
    parser.feed(rows)
    parser.finish()
    for type_id, _, payload in batch:
        assert book.apply(type_id, payload)
    assert book.best_ask == (e8("2001"), e8("2"))
    assert book.levels(Side.SELL) == 24_999  # more than one record holds: the rest came as a delta


def test_trades_keep_number_and_side() -> None:
    rows = [
        f"deribit,X,{T},{T + 1},77,buy,6421.5,10",
        f"deribit,X,{T},{T + 1},ccc3c1fa-212c,sell,6421.5,0.5",
        f"deribit,X,{T},{T + 2},,unknown,6421,1e-3",
    ]
    records, _ = parse(TRADES + "\n".join(rows).encode())
    assert all(isinstance(r, Trade) for r in records)
    assert [(r.price, r.qty, r.aggressor) for r in records] == [
        (e8("6421.5"), e8("10"), Side.BUY),
        (e8("6421.5"), e8("0.5"), Side.SELL),
        (e8("6421"), e8("0.001"), Side.NONE),
    ]
    assert records[0].trade_id == 77
    assert records[1].trade_id > 1 << 32
    assert records[2].trade_id == 0


def test_a_quote_with_an_empty_side() -> None:
    records, _ = parse(QUOTES + f"deribit,X,{T},{T},,,6421,3\n".encode())
    (quote,) = records
    assert isinstance(quote, BestBidAsk)
    assert (quote.ask_price, quote.ask_qty, quote.bid_price, quote.bid_qty) == (0, 0, e8("6421"), e8("3"))


def test_exponents_are_those_of_eight_decimals_unless_that_would_overflow() -> None:
    plain = Figures(digits=5, decimals=1, grid=50_000_000)
    assert plain.exponent("price") == -8
    assert plain.step(-8) == 50_000_000
    assert plain.step(-1) == 5
    huge = Figures(digits=14, decimals=1)
    assert huge.exponent("qty") == -2
    fine = Figures(digits=1, decimals=12)
    assert fine.exponent("price") == -12
    assert fine.step(-12) == 1


@pytest.mark.parametrize(
    ("rows", "line", "reason"),
    [
        (level(0, "true", "bid", "1", "1") + b"deribit,ETH,1,1,true,bid,1,1\n", 3, "split the file"),
        (level(0, "true", "bid", "1", "1") + b"bitmex,BTC-PERPETUAL,1,1,true,bid,1,1\n", 3, "exchange"),
        (level(5, "true", "bid", "1", "1") + level(4, "false", "bid", "1", "1"), 3, "sort the file"),
        (b"deribit,X,%d,%d,true,bid,1,1\n" % (T * 1000, T * 1000), 2, "looks like ns"),
        (b"deribit,X,%d,%d,true,bid,1,1\n" % (T // 1000, T // 1000), 2, "looks like ms"),
        (b"deribit,X,soon,%d,true,bid,1,1\n" % T, 2, "whole number of µs"),
        (b"deribit,X,%d,%d,true,bid,1\n" % (T, T), 2, "7 columns; the header has 8"),
        (b"deribit,X,%d,%d,maybe,bid,1,1\n" % (T, T), 2, "is_snapshot"),
        (b"deribit,X,%d,%d,true,buy,1,1\n" % (T, T), 2, "neither bid nor ask"),
        (b"deribit,X,%d,%d,true,bid,abc,1\n" % (T, T), 2, "no decimal"),
        (b"deribit,X,%d,%d,true,bid,1,-1\n" % (T, T), 2, "below 0"),
        (b",,%d,%d,true,bid,1,-1\n" % (T, T), 2, "empty"),
    ],
)
def test_an_unsound_row_is_named(rows: bytes, line: int, reason: str) -> None:
    with pytest.raises(ImportRejected, match=reason) as caught:
        parse(L2 + rows)
    assert (caught.value.file, caught.value.place) == ("x.csv", f"line {line}")


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (L2.replace(b"side", b"Side"), "unknown column 'Side'"),
        (L2.replace(b",amount", b""), "column 'amount' is missing"),
        (L2.replace(b"local_timestamp", b"received"), "no header"),
        (L2.replace(b"side", b"price"), "no header"),
        (b"exchange,symbol,timestamp,local_timestamp,asks[0].price,asks[0].amount", "levels are missing"),
        (b"\x00\xff\x17", "no header"),
    ],
)
def test_an_unknown_header_is_refused(header: bytes, reason: str) -> None:
    with pytest.raises(ImportRejected, match=reason.replace("[", r"\[")):
        read_header(header.rstrip(b"\n"))


def test_columns_may_stand_in_any_order() -> None:
    layout = read_header(b"price,amount,side,is_snapshot,local_timestamp,timestamp,symbol,exchange")
    assert layout.kind == Kind.INCREMENTAL_BOOK_L2
    assert layout.columns == (7, 6, 5, 4, 3, 2, 0, 1)


FIXTURES = {
    "deribit_incremental_book_L2_BTC-PERPETUAL.csv": (Kind.INCREMENTAL_BOOK_L2, 1),
    "binance-futures_book_snapshot_5_BTCUSDT.csv": (Kind.BOOK_SNAPSHOT, None),
    "binance-futures_book_snapshot_25_BTCUSDT.csv": (Kind.BOOK_SNAPSHOT, None),
    "bitmex_trades_XBTUSD.csv": (Kind.TRADES, None),
    "huobi-dm-swap_quotes_BTC-USD.csv": (Kind.QUOTES, None),
}


@pytest.mark.recording
@pytest.mark.parametrize("name", FIXTURES)
def test_the_vendors_files_become_exactly_their_rows(chronicle_data: Path, name: str) -> None:
    """Every number of every row, beside Python's own csv module."""
    kind, records_wanted = FIXTURES[name]
    text = (chronicle_data / "tardis" / name).read_bytes()
    assert read_header(text.partition(b"\n")[0]).kind == kind
    rows = list(csv.DictReader(text.decode().splitlines()))
    records, _ = parse(text)
    assert len(records) == (records_wanted or len(rows))
    if kind == Kind.INCREMENTAL_BOOK_L2:
        asks = sorted((e8(r["price"]), e8(r["amount"])) for r in rows if r["side"] == "ask")
        assert records[0].asks == asks
        return
    for row, record in zip(rows, records, strict=True):
        assert record.venue_ts == int(row["timestamp"]) * 1000
        assert record.recv_ts == int(row["local_timestamp"]) * 1000
        if kind == Kind.TRADES:
            assert (record.price, record.qty) == (e8(row["price"]), e8(row["amount"]))
            assert record.aggressor == Side[row["side"].upper()]
        elif kind == Kind.QUOTES:
            found = (record.bid_price, record.bid_qty, record.ask_price, record.ask_qty)
            assert found == tuple(e8(row[c]) for c in ("bid_price", "bid_amount", "ask_price", "ask_amount"))
        else:
            for side, levels in (("bids", record.bids), ("asks", record.asks)):
                assert levels == [
                    (e8(row[f"{side}[{i}].price"]), e8(row[f"{side}[{i}].amount"]))
                    for i in range(len(levels))
                ]
