"""Records whose event lies far from their ingest: a recording that was played, or imported, years later."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from archive_world import DAY_NS, NOON, config

from libchronicle.bus.paths import BusPaths
from libchronicle.protocol import BookSnapshot, Trade, instrument_id
from libchronicle.queue import Queue
from libchronicle.storage.archive import Archive
from libchronicle.storage.catalog import queue_segments
from libchronicle.storage.layout import ArchiveLayout
from libchronicle.storage.moves import adopt, freeze

YEARS = 600 * DAY_NS
KEY = instrument_id("v:S")


def archive(paths: BusPaths, stream: str, rows: list[tuple[int, Trade | BookSnapshot]], cold: bool) -> None:
    """Rows (ingest, record) through a queue of their own into the archive; the queue goes."""
    queue = paths.root / "queue"
    with Queue.open_publisher(queue, config()) as writer:
        for at, (ts, record) in enumerate(rows):
            writer.append(record.TEMPLATE_ID, record.encode(), ts)
            if at % 10 == 9:
                writer.roll()
        writer.roll()
    layout = ArchiveLayout.of(paths)
    for ref in queue_segments(queue):
        if ref.last_ts is not None:
            record = adopt(layout, ref.path, "v", "S", stream)
            if cold:
                freeze(layout, record)
    shutil.rmtree(queue)


def trades(count: int, ingest: int, event: int) -> list[tuple[int, Trade]]:
    return [
        (ingest + n * 10_000, Trade(instrument_id=KEY, trade_id=n, venue_ts=event + n * 10_000))
        for n in range(count)
    ]


@pytest.mark.parametrize("cold", [False, True])
def test_a_recording_played_beside_live_records_is_found_by_the_time_it_was_played(
    tmp_path: Path, cold: bool
) -> None:
    paths = BusPaths(tmp_path)
    live, played = NOON + YEARS, NOON + YEARS + 5000
    for days in (-2, 0, 1):
        archive(paths, "trade", trades(50, live + days * DAY_NS, live + days * DAY_NS), cold)
    archive(paths, "trade", trades(50, played, NOON), cold)
    archive(paths, "trade", trades(50, played + DAY_NS, NOON + 3 * YEARS), cold)
    with Archive(paths) as opened:
        assert len(list(opened.layout.partitions())) == 5
        whole = [m.ts_ns for m in opened.read("v", "S", "trade")]
        assert len(whole) == 250
        assert whole == sorted(whole)
        part = [m.ts_ns for m in opened.read("v", "S", "trade", live, live + 400_000)]
        assert part == [ts for ts in whole if live <= ts < live + 400_000]
        assert len(part) == 80


def test_the_book_of_a_time_counts_what_was_played_then(tmp_path: Path) -> None:
    paths = BusPaths(tmp_path)

    def snapshots(ingest: int, event: int, price: int) -> list[tuple[int, BookSnapshot]]:
        book = BookSnapshot(instrument_id=KEY, venue_ts=event, bids=[(price, 1)], asks=[(price + 1, 1)])
        return [(ingest, book)]

    archive(paths, "book", snapshots(NOON + YEARS, NOON + YEARS, 100), cold=False)
    archive(paths, "book", snapshots(NOON + YEARS + 1000, NOON, 200), cold=False)
    archive(paths, "book", snapshots(NOON + YEARS + 2000, NOON + 2 * YEARS, 300), cold=False)
    with Archive(paths) as opened:
        for after, price in ((0, 100), (1000, 200), (2000, 300), (5 * DAY_NS, 300)):
            book = opened.book_at("v:S", NOON + YEARS + after)
            assert book is not None
            assert book.bids(1) == [(price, 1)]
        assert opened.book_at("v:S", NOON + YEARS - 1) is None
