"""Real recordings: the native book equals two dicts, and after every diff its touch is the one the venue last published.

The venue sends a ticker whenever best price or quantity changes, so the latest ticker whose update id a diff has reached
must equal the book's touch after that diff; a touch that moved and came back inside one diff may differ.
"""

from __future__ import annotations

import gzip
import json
import sys
from bisect import bisect_right
from pathlib import Path
from typing import Any

import pytest

from libchronicle.book import L2Book
from libchronicle.protocol import BookDelta, BookMode, BookSnapshot, Instrument

sys.path.insert(0, str(Path(__file__).parent))
from l2_reference import ReferenceBook

ID = 3


def mantissa(text: str) -> int:
    """Eight decimals, by string surgery: not the parser under test elsewhere."""
    whole, _, fraction = text.partition(".")
    return int(whole + fraction.ljust(8, "0"))


def levels(pairs: list[list[str]]) -> list[tuple[int, int]]:
    return [(mantissa(price), mantissa(qty)) for price, qty in pairs]


def load(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]], dict[int, dict[str, Any]]]:
    """Snapshot, depth diffs, and tickers by update id."""
    snapshot: dict[str, Any] = {}
    deltas, tickers = [], {}
    with gzip.open(path, "rt") as lines:
        for line in lines:
            event = json.loads(line.partition(" ")[2])
            data = event.get("data", event)
            stream = event.get("stream", "")
            if "lastUpdateId" in data:
                snapshot = data
            elif "@depth" in stream:
                deltas.append(data)
            elif "@bookTicker" in stream:
                tickers[data["u"]] = data
    return snapshot, deltas, tickers


@pytest.mark.recording
@pytest.mark.parametrize(
    ("recording", "tick", "cases"),
    [
        ("binance/spot/btcusdt_20240808.gz", 1_000_000, 3_450),
        ("binance/spot/ethusdt_20240808.gz", 1_000_000, 3_433),
        ("binance/usdm/btcusdt_20240808.gz", 10_000_000, 6_548),
    ],
)
@pytest.mark.parametrize("told_the_tick", [True, False])
def test_the_touch_is_the_published_one_and_the_levels_are_two_dicts(
    chronicle_data, recording, tick, cases, told_the_tick
):
    snapshot, deltas, tickers = load(chronicle_data / recording)
    book, reference = L2Book(ID), ReferenceBook()
    if told_the_tick:
        book.apply(1, Instrument(instrument_id=ID, tick_size=tick, book_mode=BookMode.L2).encode())
    last = snapshot["lastUpdateId"]
    messages = [
        BookSnapshot(
            instrument_id=ID,
            last_update_id=last,
            bids=levels(snapshot["bids"]),
            asks=levels(snapshot["asks"]),
        )
    ]
    messages += [
        BookDelta(instrument_id=ID, last_update_id=d["u"], bids=levels(d["b"]), asks=levels(d["a"]))
        for d in deltas
        if d["u"] > last
    ]
    ids = sorted(tickers)
    compared = differing = 0
    for number, message in enumerate(messages):
        assert book.apply(message.TEMPLATE_ID, message.encode())
        reference.apply(message)
        assert not book.crossed
        if number % 500 == 0 or message is messages[-1]:
            assert book.hash() == reference.hash()
            assert book.bids() == reference.bids
            assert book.asks() == reference.asks
        latest = bisect_right(ids, message.last_update_id) - 1
        if latest >= 0:
            ticker = tickers[ids[latest]]
            compared += 1
            bid = (mantissa(ticker["b"]), mantissa(ticker["B"]))
            ask = (mantissa(ticker["a"]), mantissa(ticker["A"]))
            differing += (book.best_bid, book.best_ask) != (bid, ask)
    print(f"{recording}: {compared} tickers compared, {differing} differ")
    assert compared == cases
    assert differing <= 2
