"""Recording → exchange daemon → feed daemon → queue → book, held to the tickers that the venue published.

The truth: at every diff, the best price and quantity of the book rebuilt from the queue equal those of the newest
`bookTicker` up to the diff's last id; where an id is the very one the diff ends on, so much the more.
"""

from __future__ import annotations

import gzip
from bisect import bisect_right
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from libchronicle.book import L2Book
from libchronicle.protocol import BestBidAsk, BookDelta, BookFlags, BookSnapshot, Gap, Trade, instrument_id
from libchronicle.queue import Message

pytestmark = pytest.mark.recording

KINDS = {BookDelta.TEMPLATE_ID: "depth", Trade.TEMPLATE_ID: "trade", BestBidAsk.TEMPLATE_ID: "bookTicker"}
TICKER, DELTA, SNAPSHOT = BestBidAsk.TEMPLATE_ID, BookDelta.TEMPLATE_ID, BookSnapshot.TEMPLATE_ID

Top = tuple[Any, Any]


class File:
    """What the recording itself says: frames by kind, and the ids of its cases."""

    def __init__(self, path: Path) -> None:
        self.frames: Counter[str] = Counter()
        self.tickers: set[int] = set()
        self.diffs: list[int] = []
        self.snapshot_id = -1
        for line in gzip.decompress(path.read_bytes()).splitlines():
            message = msgspec.json.decode(line.split(b" ", 1)[1])
            if "stream" not in message:
                self.snapshot_id = message["lastUpdateId"]
                continue
            kind = message["stream"].split("@")[1]
            self.frames[kind] += 1
            if kind == "bookTicker":
                self.tickers.add(message["data"]["u"])
            elif kind == "depth":
                self.diffs.append(message["data"]["u"])

    def exact_cases(self) -> int:
        return sum(last in self.tickers for last in self.diffs if last > self.snapshot_id)

    def all_cases(self) -> int:
        return sum(last > self.snapshot_id for last in self.diffs)


class Checker:
    """Reads the queue as a consumer would and compares."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.gaps = 0
        self.book = L2Book()
        self.tickers: dict[int, Top] = {}
        self.tops: dict[int, Top] = {}

    def take(self, message: Message) -> None:
        kind = message.type_id
        if kind in KINDS:
            self.seen[KINDS[kind]] += 1
        self.gaps += kind == Gap.TEMPLATE_ID
        if kind == TICKER:
            ticker = BestBidAsk.decode(message)
            self.tickers[ticker.update_id] = (
                (ticker.bid_price, ticker.bid_qty),
                (ticker.ask_price, ticker.ask_qty),
            )
        self.book.apply(kind, message)
        if kind == SNAPSHOT or (kind == DELTA and not BookDelta.decode(message).flags & BookFlags.STALE):
            assert not self.book.crossed
            if self.book.valid:
                self.tops[self.book.last_update_id] = self.book.best_bid, self.book.best_ask

    def exact(self) -> tuple[int, int]:
        """Cases compared and wrong where a ticker's id is the last of a diff."""
        both = self.tops.keys() & self.tickers.keys()
        return len(both), sum(self.tops[last] != self.tickers[last] for last in both)

    def all(self) -> tuple[int, int]:
        ids = sorted(self.tickers)
        pairs = [(bisect_right(ids, last), top) for last, top in self.tops.items()]
        return len(pairs), sum(at > 0 and self.tickers[ids[at - 1]] != top for at, top in pairs)


@pytest.mark.parametrize(
    ("market", "symbols", "client"),
    [
        ("binance-spot", ["BTCUSDT"], "websockets"),
        ("binance-usdm", ["BTCUSDT"], "websockets"),
        ("binance-usdm", ["BTCUSDT"], "picows"),
        ("binance-spot", ["BTCUSDT", "ETHUSDT"], "picows"),
    ],
)
def test_the_rebuilt_book_equals_the_published_tickers_and_no_frame_is_missing(
    pipeline: Any, chronicle_data: Path, market: str, symbols: list[str], client: str
) -> None:
    if client == "picows":
        pytest.importorskip("picows", reason="the fast client is an extra")
    folder = chronicle_data / "binance" / market.removeprefix("binance-")
    paths = [folder / f"{symbol.lower()}_20240808.gz" for symbol in symbols]
    files = [File(path) for path in paths]
    checkers = {instrument_id(f"{market}:{symbol}"): Checker() for symbol in symbols}
    recordings = [flag for path in paths for flag in ("--recording", str(path))]
    pipeline.start_exchange(market, *recordings, "--speed", "inf")
    pipeline.start_feed(market, ",".join(symbols), "--client", client)
    frames = sum(file.frames.total() for file in files)

    def take(message: Message) -> bool:
        # every market data record begins with its SBE header and the instrument
        checker = checkers.get(int.from_bytes(memoryview(message)[8:16], "little"))
        if checker is not None:
            checker.take(message)
        return sum(checker.seen.total() for checker in checkers.values()) >= frames

    pipeline.read(pipeline.records(market), take)
    for file, checker in zip(files, checkers.values(), strict=True):
        assert checker.seen == file.frames
        assert checker.gaps == 0
        compared, wrong = checker.exact()
        assert file.exact_cases() - compared + wrong <= 2, (file.exact_cases(), compared, wrong)
        compared, wrong = checker.all()
        assert file.all_cases() - compared + wrong <= 2, (file.all_cases(), compared, wrong)
