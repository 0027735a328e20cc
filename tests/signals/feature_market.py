"""Made-up markets for tests of features: messages, and a random walk of them by seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from libchronicle.protocol import (
    BookDelta,
    BookMode,
    BookSnapshot,
    Gap,
    GapReason,
    Instrument,
    SbeMessage,
    Side,
    Trade,
    instrument_id,
)
from libchronicle.signals import FeatureSet

NAME = "my:X"
X = instrument_id(NAME)
MS = 10**6
S = 10**9
DAY = 19_943 * 86_400 * S
PRICE, QTY = 100.0, 1000.0  # what a mantissa is divided by

Timed = tuple[int, SbeMessage]


def definition() -> Instrument:
    return Instrument(
        instrument_id=X,
        tick_size=10,
        lot_size=1,
        price_exponent=-2,
        qty_exponent=-3,
        book_mode=BookMode.L2,
        venue="my",
        symbol="X",
    )


def snapshot(ts: int, bids: Any, asks: Any, last: int = 1) -> Timed:
    return ts, BookSnapshot(instrument_id=X, last_update_id=last, bids=list(bids), asks=list(asks))


def delta(ts: int, bids: Any = (), asks: Any = ()) -> Timed:
    return ts, BookDelta(instrument_id=X, bids=list(bids), asks=list(asks))


def trade(ts: int, price: int, qty: int, side: Side = Side.BUY) -> Timed:
    return ts, Trade(instrument_id=X, price=price, qty=qty, aggressor=side)


def gap(ts: int) -> Timed:
    return ts, Gap(instrument_id=X, reason=GapReason.SEQUENCE)


def feed(features: FeatureSet, *records: Timed) -> FeatureSet:
    if features.records == 0:
        features.scale(-2, -3)
    for ts, message in records:
        features.feed(message.TEMPLATE_ID, message.encode(), ts)
    return features


def random_market(seed: int, count: int, *, mean_ms: float = 120.0) -> Iterator[Timed]:
    """A snapshot, then deltas and trades. The book is never crossed, its sides are 1 to 14 deep, and at times nothing comes
    for many seconds."""
    rng = random.Random(seed)
    at, mid = DAY + rng.randrange(S), 100_000
    bids, asks = _ladder(rng, mid)
    yield snapshot(at, bids.items(), asks.items())
    for _ in range(count):
        at += int(rng.expovariate(1 / mean_ms) * MS) if rng.random() > 0.01 else rng.randrange(30 * S)
        if rng.random() < 0.4:
            side = rng.choice((Side.BUY, Side.SELL, Side.SELL, Side.NONE))
            yield trade(at, mid + rng.randrange(-3, 4) * 10, rng.randrange(1, 5_000), side)
            continue
        mid += rng.choice((-10, 0, 0, 0, 10))
        new_bids, new_asks = _ladder(rng, mid)
        yield delta(at, _change(bids, new_bids), _change(asks, new_asks))
        bids, asks = new_bids, new_asks


def _ladder(rng: random.Random, mid: int) -> tuple[dict[int, int], dict[int, int]]:
    gap_ticks = rng.choice((1, 1, 2, 5))
    bids = {
        mid - 10 * (gap_ticks + n * rng.choice((1, 2))): rng.randrange(1, 9_000)
        for n in range(rng.randrange(1, 15))
    }
    asks = {
        mid + 10 * (gap_ticks + n * rng.choice((1, 2))): rng.randrange(1, 9_000)
        for n in range(rng.randrange(1, 15))
    }
    return bids, asks


def _change(before: dict[int, int], after: dict[int, int]) -> list[tuple[int, int]]:
    gone = [(price, 0) for price in before if price not in after]
    return gone + [(price, qty) for price, qty in after.items() if before.get(price) != qty]
