"""The whole suite with a refinery that is killed again and again: clean queues hold exactly what the feeds wrote."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "etl"))
from raw_world import records

from libchronicle.book import L2Book
from libchronicle.protocol import (
    BestBidAsk,
    BookDelta,
    BookFlags,
    BookReset,
    BookSnapshot,
    Gap,
    Instrument,
    Trade,
    decode,
    instrument_id,
)
from libchronicle.testing.live_suite import LiveSuite

pytestmark = [pytest.mark.suite, pytest.mark.timeout(240)]

STREAMS = {
    "book": (BookSnapshot, BookDelta, BookReset, Gap),
    "trade": (Trade, Gap),
    "quote": (BestBidAsk, Gap),
}
KILLS = 3


@pytest.fixture
def suite(tmp_path: Path, project_root: Path) -> Iterator[LiveSuite]:
    with LiveSuite.of_deployment(tmp_path, project_root / "deploy") as made:
        yield made


def test_clean_queues_hold_what_the_feeds_wrote(suite: LiveSuite) -> None:
    suite.tables["etl"].update(segment_size=65536, snapshot_levels=2000)
    suite.tables.pop("archive", None)  # which would take segments away
    for feed in suite.tables["feeds"].values():
        feed["retain_age_s"] = 3600.0
    suite.write()
    suite.chronicle("up")
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    for _ in range(KILLS):
        time.sleep(rng.random())
        suite.kill("etl")
    suite.wait_until(lambda: suite.rows()["etl"]["lag_records"] < 100, "the refinery has caught up")
    suite.chronicle("down")
    compared = 0
    for name, feed in suite.tables["feeds"].items():
        raw = [(decode(type_id, payload), ts) for ts, type_id, payload in records(suite.paths.raw(name))]
        for symbol in feed["symbols"]:
            for stream in STREAMS:
                compared += compare(suite, raw, feed["venue"], symbol, stream)
    assert compared > 1000
    print(f"{compared} records compared")


def compare(suite: LiveSuite, raw: list, venue: str, symbol: str, stream: str) -> int:
    """The stream is the beginning of what the raw queue has of it; its book is the raw one at every record."""
    number = instrument_id(f"{venue}:{symbol}")
    expected, books, book = [], [], L2Book(number)
    for seq, (message, ts) in enumerate(raw):
        if isinstance(message, STREAMS[stream]) and message.instrument_id in (number, 0):
            message.raw_seq = seq
            book.apply(message.TEMPLATE_ID, message.encode())
            expected.append((ts, message.TEMPLATE_ID, message.encode()))
            books.append((book.valid, book.hash()))
    first = next(i for i, record in enumerate(expected) if record[1] != Gap.TEMPLATE_ID)
    found, clean = [], L2Book(number)
    for record in records(suite.paths.clean(venue, symbol, stream)):
        clean.apply(record[1], record[2])
        message = decode(record[1], record[2])
        if isinstance(message, Instrument) or getattr(message, "flags", 0) & BookFlags.INJECTED:
            continue
        if stream == "book":
            assert (clean.valid, clean.hash()) == books[first + len(found)]
        found.append(record)
    assert found == expected[first : first + len(found)], (venue, symbol, stream)
    assert len(expected) - first - len(found) < 200  # the refinery was stopped beside its feed
    return len(found)
