"""A made-up market as clean records, and queues that hold them."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterable
from pathlib import Path

from libchronicle.book import L2Book
from libchronicle.errors import BadSegment
from libchronicle.protocol import (
    BookDelta,
    BookFlags,
    BookMode,
    BookSnapshot,
    Instrument,
    SbeMessage,
    Trade,
    instrument_id,
)
from libchronicle.queue import Queue, QueueConfig
from libchronicle.storage.walk import SegmentSpan

START = 1_700_000_000_000_000_000
STEP = 1_000_000

Timed = tuple[int, SbeMessage]  # ts_ns, record


def name(symbol: str) -> str:
    return f"made-up:{symbol}"


def definition(symbol: str, mode: BookMode = BookMode.L2) -> Instrument:
    return Instrument(
        instrument_id=instrument_id(name(symbol)),
        venue="made-up",
        symbol=symbol,
        tick_size=10,
        lot_size=1,
        price_exponent=-2,
        qty_exponent=-3,
        book_mode=mode,
    )


def market(symbol: str, records: int, seed: int = 1, start: int = START, every: int = 200) -> list[Timed]:
    """Deltas with a trade now and then; an injected snapshot before each `every`-th delta. No time comes twice."""
    rng = random.Random(f"{seed}:{symbol}")
    number = instrument_id(name(symbol))
    book = L2Book(number)
    found: list[Timed] = [(start, definition(symbol))]
    centre, update, ts = 100_000, 10, start
    for count in range(records):
        ts += rng.randint(1, 2 * STEP)
        if count % every == 0:
            snapshot = BookSnapshot(
                instrument_id=number,
                bids=book.bids() or [(centre - 10, 5)],
                asks=book.asks() or [(centre + 10, 5)],
                last_update_id=update,
                flags=BookFlags.INJECTED,
            )
            found.append((ts, snapshot))
            book.apply(snapshot.TEMPLATE_ID, snapshot.encode())
            ts += 1
        if rng.random() < 0.2:
            price = centre + 10 * rng.randint(-3, 3)
            found.append(
                (ts, Trade(instrument_id=number, price=price, qty=rng.randint(1, 9), trade_id=count))
            )
            continue
        centre += 10 * rng.randint(-1, 1)
        delta = BookDelta(
            instrument_id=number,
            venue_ts=ts,
            first_update_id=update + 1,
            last_update_id=update + 3,
            prev_update_id=update,
            bids=[(centre - 10 * rng.randint(1, 30), rng.randint(0, 9)) for _ in range(rng.randint(0, 6))],
            asks=[(centre + 10 * rng.randint(1, 30), rng.randint(0, 9)) for _ in range(rng.randint(0, 6))],
        )
        update += 3
        book.apply(delta.TEMPLATE_ID, delta.encode())
        found.append((ts, delta))
    return found


def merged(*streams: Iterable[Timed]) -> list[Timed]:
    """By time; equal times in the order of the streams."""
    tagged = [(ts, rank, at, m) for rank, s in enumerate(streams) for at, (ts, m) in enumerate(s)]
    return [(ts, m) for ts, _, _, m in sorted(tagged, key=lambda row: row[:3])]


def record(path: Path, records: Iterable[Timed], segment_size: int = 1 << 16) -> Path:
    """A queue of them, its writer gone."""
    with Queue.open_publisher(path, QueueConfig(segment_size=segment_size)) as writer:
        for ts, message in records:
            writer.append(message.TEMPLATE_ID, message.encode(), ts)
        writer.roll()
    return path


def spans(path: Path) -> list[SegmentSpan]:
    """The sealed segments; `record` leaves nothing in any other."""
    found = []
    for file in sorted(path.glob("[0-9]*.q")):
        with contextlib.suppress(BadSegment):  # prepared, not begun
            found.append(SegmentSpan.open_file(file))
    return [span for span in found if span.sealed]


def rows(records: Iterable[Timed]) -> list[tuple[int, bytes, int]]:
    """As RecordSource takes them."""
    return [(message.TEMPLATE_ID, message.encode(), ts) for ts, message in records]


def reference(records: Iterable[Timed], symbol: str, upto: int | None = None) -> L2Book:
    """The book of a symbol after all records up to and including a time."""
    book = L2Book(instrument_id(name(symbol)))
    for ts, message in records:
        if upto is not None and ts > upto:
            break
        book.apply(message.TEMPLATE_ID, message.encode())
    return book
