"""Real recordings through the pipeline: every frame becomes its record, and the rebuilt book is the venue's own."""

from __future__ import annotations

import gzip
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from libchronicle.book import L2Book
from libchronicle.protocol import (
    BestBidAsk,
    BookDelta,
    BookFlags,
    BookSnapshot,
    Gap,
    Instrument,
    Side,
    Trade,
    VenueStatus,
    parse_decimal,
)
from libchronicle.venues.binance.profile import PROFILES

pytestmark = pytest.mark.recording

FILES = [
    ("binance-spot", "BTCUSDT", "spot/btcusdt_20240808.gz"),
    ("binance-spot", "ETHUSDT", "spot/ethusdt_20240808.gz"),
    ("binance-usdm", "BTCUSDT", "usdm/btcusdt_20240808.gz"),
]


def lines(path: Path) -> list[tuple[int, bytes]]:
    with gzip.open(path) as file:
        return [(int(ts), text) for ts, _, text in (line.rstrip().partition(b" ") for line in file)]


@pytest.fixture(params=FILES, ids=lambda item: f"{item[0]}-{item[1]}")
def played(
    request: pytest.FixtureRequest, chronicle_data: Path, make_rig: Callable[..., Any]
) -> tuple[Any, list[Any]]:
    venue, symbol, name = request.param
    rig = make_rig(PROFILES[venue], symbol, segment_size=64 << 20)
    recorded = lines(chronicle_data / "binance" / name)
    rig.pipeline.connected(recorded[0][0])
    for ts, text in recorded:
        if text.startswith(b'{"stream"'):
            rig.pipeline.frame(text, ts)
        else:
            rig.pipeline.snapshot(0, text, ts)
    return rig, recorded


def test_every_frame_becomes_its_record_and_the_book_is_the_venues(played: tuple[Any, list[Any]]) -> None:
    rig, recorded = played
    frames = Counter(
        msgspec.json.decode(text)["stream"].split("@")[1]
        for _, text in recorded
        if text.startswith(b'{"stream"')
    )
    counted = rig.pipeline.tally.kinds()
    assert counted["depth"] == frames["depth"]
    assert counted["trade"] == frames["trade"]
    assert counted["book_ticker"] == frames["bookTicker"]
    assert not any(rig.pipeline.tally.rejected().values())

    kinds: Counter[int] = Counter()
    tops: dict[int, tuple[Any, Any]] = {}
    tickers: list[BestBidAsk] = []
    bad: list[Gap] = []

    def look(book: L2Book, message: Any) -> None:
        kinds[message.type_id] += 1
        if message.type_id == BookDelta.TEMPLATE_ID and book.valid:
            tops[book.last_update_id] = (book.best_bid, book.best_ask)
            assert not book.crossed
        elif message.type_id == BestBidAsk.TEMPLATE_ID:
            tickers.append(BestBidAsk.decode(message))
        elif message.type_id == Gap.TEMPLATE_ID:
            bad.append(Gap.decode(message))

    rig.book(look)
    assert kinds == {
        BookDelta.TEMPLATE_ID: frames["depth"],
        Trade.TEMPLATE_ID: frames["trade"],
        BestBidAsk.TEMPLATE_ID: frames["bookTicker"],
        BookSnapshot.TEMPLATE_ID: 1,
        Instrument.TEMPLATE_ID: 1,
        VenueStatus.TEMPLATE_ID: 2,
    }
    assert bad == []
    # The ticker in force when a diff ends is the last one up to its update id; mostly its own id is not the diff's.
    ids = [t.update_id for t in tickers]
    exact = wrong = compared = 0
    for update_id, top in tops.items():
        place = bisect_right(ids, update_id) - 1
        if place < 0:
            continue
        t = tickers[place]
        compared += 1
        exact += t.update_id == update_id
        wrong += top != ((t.bid_price, t.bid_qty), (t.ask_price, t.ask_qty))
    assert compared > 3400
    assert exact > 500
    assert wrong <= 2, f"{wrong} of {compared} tickers differ from the book"


def test_the_snapshot_stands_after_the_last_diff_it_covers(played: tuple[Any, list[Any]]) -> None:
    rig, _ = played
    records = [r for r in rig.records() if isinstance(r, BookDelta | BookSnapshot)]
    place = next(i for i, r in enumerate(records) if isinstance(r, BookSnapshot))
    snapshot, before, after = records[place], records[:place], records[place + 1 :]
    assert snapshot.flags == BookFlags.RESYNC
    assert all(d.flags == BookFlags.STALE for d in before)
    assert not any(d.flags for d in after)
    if rig.profile.futures:
        assert all(d.last_update_id < snapshot.last_update_id for d in before)
        assert after[0].prev_update_id <= snapshot.last_update_id <= after[0].last_update_id
        assert all(b.prev_update_id == a.last_update_id for a, b in pairwise(after))
    else:
        assert all(d.last_update_id <= snapshot.last_update_id for d in before)
        assert after[0].first_update_id <= snapshot.last_update_id + 1 <= after[0].last_update_id
        assert all(b.first_update_id == a.last_update_id + 1 for a, b in pairwise(after))


def test_every_number_of_every_record_is_the_frames(played: tuple[Any, list[Any]]) -> None:
    """An oracle that shares no code with the native parser but the decimals: the json of the frame, field by field."""
    rig, recorded = played
    records: dict[str, list[Any]] = {"d": [], "t": [], "b": []}
    for record in rig.records():
        if isinstance(record, BookDelta):
            records["d"].append(record)
        elif isinstance(record, Trade):
            records["t"].append(record)
        elif isinstance(record, BestBidAsk):
            records["b"].append(record)

    def number(text: str) -> int:
        return parse_decimal(text, -8)

    used = Counter[str]()
    for ts, text in recorded[:20_000]:
        message = msgspec.json.decode(text)
        if "stream" not in message:
            continue
        kind, data = message["stream"].split("@")[1][0], message["data"]
        record = records[kind][used[kind]]
        used[kind] += 1
        assert record.recv_ts == ts
        assert record.instrument_id == rig.instruments[0].instrument_id
        event_ts = data.get("E", 0) * 10**6
        assert (record.event_ts, record.venue_ts) == (event_ts, data.get("T", data.get("E", 0)) * 10**6)
        if kind == "d":
            ids = (data["U"], data["u"], data.get("pu", 0))
            assert (record.first_update_id, record.last_update_id, record.prev_update_id) == ids
            assert list(record.bids) == [(number(p), number(q)) for p, q in data["b"]]
            assert list(record.asks) == [(number(p), number(q)) for p, q in data["a"]]
        elif kind == "t":
            assert (record.trade_id, record.price, record.qty) == (
                data["t"],
                number(data["p"]),
                number(data["q"]),
            )
            assert record.aggressor == (Side.SELL if data["m"] else Side.BUY)
        else:
            sides = (record.bid_price, record.bid_qty, record.ask_price, record.ask_qty)
            assert record.update_id == data["u"]
            assert sides == tuple(number(data[key]) for key in "bBaA")
