"""Exchange daemon with seeded damage → feed daemon → queue: every gap is told, no book is ever crossed, each one heals.

Covers the fault model's line "venue drop, reorder, duplicate, gap, malformed and hostile frames".
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from libchronicle.book import L2Book
from libchronicle.protocol import BestBidAsk, BookDelta, BookFlags, BookSnapshot, Gap
from libchronicle.queue import Message

ORDER = "drop=0.01,duplicate=0.01,swap=0.01"
HOSTILE = "drop=0.003,truncate=0.003,garbage=0.01,binary=0.003,huge=0.0005,disconnect=0.0005"
GAPS = 8
"""That must heal in one run; the feed asks for snapshots within the venue's request weight, so more take minutes."""


class Follower:
    """A consumer of the queue that checks what it is promised."""

    def __init__(self, market: str) -> None:
        self.futures = market == "binance-usdm"
        self.book = L2Book()
        self.gaps = self.healed = self.compared = 0
        self._in_gap = True
        self._last = 0
        self._tickers: dict[int, Any] = {}

    def take(self, message: Message) -> None:
        kind = message.type_id
        self.book.apply(kind, message)
        if kind == Gap.TEMPLATE_ID and Gap.decode(message).instrument_id:
            self.gaps += not self._in_gap
            self._in_gap = True
        elif kind == BookSnapshot.TEMPLATE_ID:
            self.healed += self._in_gap
            self._in_gap = False
            self._last = BookSnapshot.decode(message).last_update_id
        elif kind == BookDelta.TEMPLATE_ID:
            self._delta(BookDelta.decode(message))
        elif kind == BestBidAsk.TEMPLATE_ID:
            ticker = BestBidAsk.decode(message)
            self._tickers[ticker.update_id] = (
                (ticker.bid_price, ticker.bid_qty),
                (ticker.ask_price, ticker.ask_qty),
            )

    def _delta(self, delta: BookDelta) -> None:
        if delta.flags & BookFlags.STALE or self._in_gap:
            return
        straddles = delta.first_update_id <= self._last + 1 <= delta.last_update_id + 1
        follows = straddles or (self.futures and delta.prev_update_id == self._last)
        assert follows, f"no gap record between {self._last} and {delta.first_update_id}"
        self._last = delta.last_update_id
        assert self.book.valid
        assert not self.book.crossed
        if (ticker := self._tickers.get(self._last)) is not None:
            self.compared += 1
            assert ticker == (self.book.best_bid, self.book.best_ask)


@pytest.mark.parametrize(
    ("market", "faults", "seed"),
    [
        ("binance-spot", ORDER, 1),
        ("binance-spot", ORDER, 2),
        ("binance-usdm", ORDER, 3),
        ("binance-spot", HOSTILE, 4),
        ("binance-usdm", HOSTILE, 5),
    ],
)
def test_every_gap_is_told_and_heals_and_the_book_never_crosses(
    pipeline: Any, market: str, faults: str, seed: int
) -> None:
    print(f"seed {seed}")
    flags = [
        "--rate",
        "100",
        "--speed",
        "30",
        "--seed",
        str(seed),
        "--faults",
        f"{faults},seed={seed},skip=200",
    ]
    pipeline.start_exchange(market, *flags)
    follow(pipeline, market, gaps=GAPS)


@pytest.mark.recording
@pytest.mark.parametrize("market", ["binance-spot", "binance-usdm"])
def test_a_damaged_recording_heals_too(pipeline: Any, chronicle_data: Path, market: str) -> None:
    path = chronicle_data / "binance" / market.removeprefix("binance-") / "btcusdt_20240808.gz"
    flags = ["--recording", str(path), "--speed", "50", "--at-end", "loop", "--faults", f"{ORDER},seed=5"]
    pipeline.start_exchange(market, *flags)
    follow(pipeline, market, gaps=GAPS)


def follow(pipeline: Any, market: str, gaps: int) -> None:
    """Reads the queue until so many gaps have come and healed."""
    pipeline.start_feed(market)
    follower = Follower(market)

    def take(message: Message) -> bool:
        follower.take(message)
        return follower.gaps >= gaps and follower.healed > follower.gaps and follower.compared >= 20

    pipeline.read(pipeline.records(market), take)
    assert pipeline.stop("feed") == 0
