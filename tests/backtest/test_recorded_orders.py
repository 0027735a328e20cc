"""Recordings of single orders: exact places in the queue, and the published book, against the files read anew."""

from __future__ import annotations

import gzip
import struct
import sys
from pathlib import Path

import pytest

from libchronicle.backtest import ConstantLatency
from libchronicle.strategy import Book, Context

sys.path.insert(0, str(Path(__file__).parent))
from joiner import Joiner, fills, ours, run
from orders_reference import Event, Queues, fills_of

LOBSTER = "lobster/MSFT_2012-06-21_34200000_37800000_{}_50.csv"
MIDNIGHT = 1_340_251_200_000_000_000  # of New York, 2012-06-21


def _lobster(home: Path) -> tuple[list[tuple[int, Event]], list[list[int]]]:
    """The recording as events, read anew: orders from before the file stand as one for each level."""
    rows = [
        [int(x) for x in line.split(",")] for line in (home / LOBSTER.format("orderbook")).read_text().split()
    ]
    found: list[tuple[int, Event]] = []
    sizes: dict[int, int] = {}
    for number, line in enumerate((home / LOBSTER.format("message")).read_text().split()):
        time, kind, name, size, price, side = line.split(",")
        seconds, _, rest = time.partition(".")
        ts = MIDNIGHT + int(seconds) * 10**9 + int(rest.ljust(9, "0"))
        order, qty, at, hit = int(name), int(size), int(price), int(side)
        if number == 0:
            assert kind == "1"
            for i in range(0, 200, 4):
                for way, (p, q) in ((-1, rows[0][i : i + 2]), (1, rows[0][i + 2 : i + 4])):
                    left = q - qty if (way, p) == (hit, at) else q
                    if left:
                        sizes[-p * way] = left
                        found.append((ts, ("add", -p * way, way, p, left)))
        if kind == "1":
            sizes[order] = qty
            found.append((ts, ("add", order, hit, at, qty)))
            continue
        known = order if order in sizes else -at * hit
        told = kind in "234" and sizes.get(known, 0) >= qty
        if told:
            whole = sizes[known] == qty or (known == order and kind == "3")
            sizes[known] -= sizes[known] if whole else qty
            found.append(
                (
                    ts,
                    ("exec", known, qty, at)
                    if kind == "4"
                    else ("gone", known)
                    if whole
                    else ("less", known, qty),
                )
            )
            if not sizes[known]:
                del sizes[known]
        if kind == "5" or (kind == "4" and not told):
            found.append((ts, ("print", at, qty, hit)))
    return found, rows


@pytest.mark.recording
@pytest.mark.parametrize("feed_us", [0, 5000])
def test_a_recording_fills_by_exact_place_and_shows_the_published_book(
    chronicle_data: Path, feed_us: int
) -> None:
    market_events, rows = _lobster(chronicle_data)
    shown: dict[int, tuple[list[tuple[int, int]], list[tuple[int, int]]]] = {}

    class Looks(Joiner):
        def on_book(self, ctx: Context, book: Book) -> None:
            shown[book.last_update_id] = book.bids(10), book.asks(10)
            super().on_book(ctx, book)

    latency = ConstantLatency(50, 50, feed_us=feed_us)
    data = chronicle_data / LOBSTER.format("message")
    result = run(data, Looks("nasdaq:MSFT", share=0.3, biggest=300), latency=latency)
    told = 0
    for number, row in enumerate(rows[1:], start=2):
        bids = [(row[i + 2], row[i + 3]) for i in range(0, 40, 4)]
        asks = [(row[i], row[i + 1]) for i in range(0, 40, 4)]
        if number in shown:
            told += 1
            assert shown[number] == (bids, asks), f"row {number}"
    assert told > 900
    at_the_venue = [(ts - feed_us * 1000, event) for ts, event in market_events]
    expected = fills_of(at_the_venue, ours(result))
    assert fills(result) == expected
    assert len(expected) > 30


ITCH = "itch/ex20101224.TEST_ITCH_50.gz"
LENGTHS = dict(
    zip("SRHYLAFECXDUPQBI", (12, 39, 25, 20, 26, 36, 40, 31, 36, 23, 19, 35, 44, 40, 19, 50), strict=True)
)


def _itch(home: Path, symbol: str) -> list[tuple[int, Event]]:
    """One stock of a TotalView-ITCH 5.0 file, read anew. What names an order that never came is left out."""
    data, at = gzip.decompress((home / ITCH).read_bytes()), 0
    midnight = 1_293_166_800_000_000_000  # of New York, 2010-12-24
    found: list[tuple[int, Event]] = []
    queues, locate = Queues(), -1
    while at + 3 <= len(data):
        size = struct.unpack_from(">H", data, at)[0] or LENGTHS[chr(data[at + 2])]
        m = data[at + 2 : at + 2 + size]
        at += 2 + size
        kind, here = chr(m[0]), struct.unpack_from(">H", m, 1)[0]
        ts = midnight + int.from_bytes(m[5:11], "big")
        if kind == "R" and m[11:19].decode().strip() == symbol:
            locate = here
        if here != locate:
            continue
        event = _itch_event(kind, m, queues)
        if event is not None:
            queues.see(event)
            found.append((ts, event))
    return found


def _itch_event(kind: str, m: bytes, queues: Queues) -> Event | None:
    if kind in "AF":
        name, side, qty, price = struct.unpack_from(">QcI8xI", m, 11)
        return ("add", name, 1 if side == b"B" else -1, price, qty)
    if kind == "P":
        qty, price = struct.unpack_from(">I8xI", m, 20)
        return ("print", price, qty, 0)
    if kind not in "ECXDU":
        return None
    name = struct.unpack_from(">Q", m, 11)[0]
    if name not in queues.where:
        return None
    side, price = queues.where[name]
    left = next(qty for one, qty in queues.at[side, price] if one == name)
    if kind in "EC":
        qty = struct.unpack_from(">I", m, 19)[0]
        return ("exec", name, qty, struct.unpack_from(">I", m, 32)[0] if kind == "C" else price)
    if kind == "U":
        renamed, qty, price = struct.unpack_from(">QII", m, 19)
        return ("moved", name, renamed, price, qty)
    qty = struct.unpack_from(">I", m, 19)[0] if kind == "X" else left
    return ("gone", name) if qty == left else ("less", name, qty)


@pytest.mark.recording
def test_a_nasdaq_file_fills_by_exact_place(chronicle_data: Path) -> None:
    """Its stocks are artificial, and some of its records name orders that never came: they are passed over."""
    filled = 0
    for symbol in ("ALC", "BOB", "CHAR"):
        market_events = _itch(chronicle_data, symbol)
        result = run(
            chronicle_data / ITCH, Joiner(f"nasdaq:{symbol}", share=0.5, biggest=20, deep=1), gaps="ignore"
        )
        expected = fills_of(market_events, ours(result))
        assert fills(result) == expected, symbol
        filled += len(expected)
    assert filled > 5  # few of its messages are executions
