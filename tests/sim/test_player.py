"""The recording player: bytes, order, the book at the play position, the seam of a loop."""

import json
import re
from bisect import bisect_right
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from libchronicle.sim.files import read_lines
from libchronicle.sim.instruments import MARKETS, SPOT, USDM
from libchronicle.sim.player import Player, Tape
from libchronicle.sim.recording import RecordingCorrupt, RecordingUnusable, describe, parse_line
from libchronicle.sim.textbook import DepthEvent, SnapshotEvent, TextBook
from libchronicle.testing.recordings import generated_lines

FOREVER = 1 << 62
SAMPLE = 5
"""Every so many diffs the best of the book is looked for, which costs a walk over all its levels."""


def player(lines: list[bytes], *, loop: bool = False) -> Player:
    return Player([Tape(describe(lines), lambda: lines, loop)])


def texts(lines: list[bytes]) -> list[bytes]:
    return [line.split(b" ", 1)[1].rstrip() for line in lines if b"lastUpdateId" not in line[:60]]


@pytest.mark.parametrize("market", MARKETS)
def test_every_frame_is_played_byte_for_byte_in_order(market: str) -> None:
    lines = generated_lines(market)
    source = player(lines)
    played = []
    while batch := source.take(FOREVER, 100):
        played += batch
    assert [frame.combined for frame in played] == texts(lines)
    assert source.ended


def test_frames_come_when_they_are_due() -> None:
    lines = generated_lines(SPOT)
    source = player(lines)
    middle = source.start_ns + 1_000_000_000
    played = source.take(middle, 1 << 30)
    while batch := source.take(middle, 1 << 30):
        played += batch
    assert len(played) == sum(int(line.split(b" ")[0]) <= middle for line in lines) - 1
    assert source.next_time_ns() > middle  # type: ignore[operator]


@pytest.mark.parametrize("market", MARKETS)
def test_there_is_no_book_before_the_recorded_snapshot_and_then_it_follows(market: str) -> None:
    lines = generated_lines(market)
    at = next(index for index, line in enumerate(lines) if b"lastUpdateId" in line[:60])
    source = player(lines)
    for _ in range(at):
        assert source.depth("BTCUSDT", 5) is None
        source.take(FOREVER, 1)
    source.take(FOREVER, 1)
    while source.take(FOREVER, 100):
        pass
    reference = TextBook()
    reference.load(msgspec.json.decode(lines[at].split(b" ", 1)[1], type=SnapshotEvent))
    for line in lines[at:]:
        if b"@depth" in line[:60]:
            reference.apply(msgspec.json.decode(parse_line(line).data, type=DepthEvent))
    view = source.depth("BTCUSDT", 1000)
    assert view is not None
    assert view.last_update_id == reference.last_update_id
    assert (
        [tuple(x) for x in json.loads(view.bids)],
        [tuple(x) for x in json.loads(view.asks)],
    ) == reference.top(1000)


class Follower:
    """A subscriber that keeps a book by the venue's sync rules and checks each ticker against it."""

    def __init__(self, market: str) -> None:
        self.market = market
        self.book = TextBook()
        self.tickers: dict[int, Any] = {}
        self.tops: dict[int, Any] = {}
        self.diffs = 0
        self.last: Counter[str] = Counter()

    def take(self, combined: bytes) -> None:
        message = json.loads(combined)
        event, kind = message["data"], message["stream"].split("@")[1]
        self._check_order(event, kind)
        if kind == "bookTicker":
            self.tickers[event["u"]] = (event["b"], event["B"]), (event["a"], event["A"])
        if kind != "depth" or not self.book.valid or event["u"] <= self.book.last_update_id:
            return
        if self.last["synced"]:
            follows = (
                event["U"] == self.book.last_update_id + 1
                if self.market == SPOT
                else event["pu"] == self.book.last_update_id
            )
            assert follows, f"gap before {event['U']}"
        self.last["synced"] = 1
        self.book.apply(msgspec.convert(event, DepthEvent))
        self.diffs += 1
        if self.diffs % SAMPLE:
            return
        bid, ask = max(self.book.bids, key=float), min(self.book.asks, key=float)
        assert float(bid) < float(ask)
        self.tops[event["u"]] = (bid, self.book.bids[bid]), (ask, self.book.asks[ask])

    def truth(self) -> tuple[int, int]:
        """Diffs compared with the newest ticker up to their last id, and how many of them differ."""
        ids = sorted(self.tickers)
        pairs = [(bisect_right(ids, last), top) for last, top in self.tops.items()]
        wrong = sum(self.tickers[ids[at - 1]] != top for at, top in pairs if at)
        return sum(at > 0 for at, _ in pairs), wrong

    def _check_order(self, event: dict[str, Any], kind: str) -> None:
        number = event["t"] if kind == "trade" else event["u"]
        assert number > self.last[kind], f"{kind} went back"
        self.last[kind] = number
        if "E" in event and kind != "bookTicker":
            assert event["E"] >= self.last["E" + kind]
            self.last["E" + kind] = event["E"]


@pytest.mark.parametrize("market", MARKETS)
def test_a_looped_recording_goes_on_without_gap_and_stays_true(market: str) -> None:
    lines = generated_lines(market)
    source, follower = player(lines, loop=True), Follower(market)
    for _ in range(4 * len(lines)):
        for frame in source.take(FOREVER, 1):
            assert frame.combined is not None
            follower.take(frame.combined)
        if not follower.book.valid and (view := source.depth("BTCUSDT", 5000)) is not None:
            follower.book.load(
                SnapshotEvent(view.last_update_id, json.loads(view.bids), json.loads(view.asks))
            )
    assert source.tapes["BTCUSDT"].passes >= 3
    compared, wrong = follower.truth()
    assert compared > 10
    assert wrong == 0
    assert not source.ended


@pytest.mark.recording
@pytest.mark.parametrize(
    ("name", "market", "counts", "passes"),
    [
        ("spot/btcusdt", SPOT, {"depth": 3451, "trade": 9757, "bookTicker": 28040}, 2),
        ("usdm/btcusdt", USDM, {"depth": 6551, "trade": 21313, "bookTicker": 66089}, 1),
    ],
)
def test_a_real_recording_is_played_whole_and_loops_true(
    chronicle_data: Path, name: str, market: str, counts: dict[str, int], passes: int
) -> None:
    lines = list(read_lines(str(chronicle_data / "binance" / f"{name}_20240808.gz")))
    source, follower = player(lines, loop=True), Follower(market)
    assert (source.market, list(source.instruments)) == (market, ["BTCUSDT"])
    total, seen = sum(counts.values()), Counter[str]()
    while source.tapes["BTCUSDT"].passes <= passes:
        for frame in source.take(FOREVER, 100 if follower.book.valid else 1):
            assert frame.combined is not None
            follower.take(frame.combined)
            if seen.total() < total:
                seen[frame.key.split("@")[1]] += 1
        if not follower.book.valid and (view := source.depth("BTCUSDT", 5000)) is not None:
            follower.book.load(
                SnapshotEvent(view.last_update_id, json.loads(view.bids), json.loads(view.asks))
            )
    assert seen == counts
    compared, wrong = follower.truth()
    assert compared > (counts["depth"] - 20) * (passes + 1) // SAMPLE
    assert wrong <= 2 * (passes + 1)


def test_the_grid_is_read_off_the_snapshot() -> None:
    spot = describe(generated_lines(SPOT)).instrument
    assert (spot.tick, spot.price_decimals, spot.lot, spot.qty_decimals) == (10**6, 8, 1000, 8)
    usdm = describe(generated_lines(USDM)).instrument
    assert (usdm.tick, usdm.price_decimals, usdm.lot, usdm.qty_decimals) == (10, 2, 1, 3)


@pytest.mark.parametrize(
    "line",
    [b"", b"hello\n", b'123 {"stream":"x@depth","da', b"123 []\n", b'123 {"stream":"x@depth"}\n', b"x {}\n"],
)
def test_a_damaged_line_is_named(line: bytes) -> None:
    with pytest.raises(RecordingCorrupt, match="line 5"):
        parse_line(line, 5)


def test_a_recording_without_a_snapshot_is_refused() -> None:
    lines = [line for line in generated_lines(SPOT) if b"lastUpdateId" not in line[:60]]
    with pytest.raises(RecordingUnusable, match="snapshot"):
        describe(lines)


def test_the_lines_that_the_docs_show_are_a_recording(project_root: Path) -> None:
    page = (project_root / "docs" / "exchange.md").read_text()
    lines = [line.encode() + b"\n" for line in page.splitlines() if re.match(r"\d{19} \{", line)]
    assert len(lines) == 3
    info = describe(lines)
    assert (info.instrument.symbol, info.instrument.tick, info.instrument.lot) == ("BTCUSDT", 1, 1)
    with pytest.raises(RecordingCorrupt, match="without spaces"):
        describe([lines[0].replace(b'":', b'": ')])
