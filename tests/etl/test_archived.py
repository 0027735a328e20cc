"""What the refinery wrote, archived: found again by the time it was recorded and by the time it happened."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from raw_world import DAY, MIDNIGHT, SECOND, VENUE, World, instrument, trade

from libchronicle.protocol import Trade
from libchronicle.storage.archive import Archive
from libchronicle.storage.catalog import queue_segments
from libchronicle.storage.layout import ArchiveLayout
from libchronicle.storage.moves import adopt

TODAY = MIDNIGHT + 700 * DAY


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """Three days of an old recording, played to the feed within a second of a later one."""
    world = World(tmp_path)
    world.put(instrument("AA"), at=TODAY)
    for day in range(3):
        for n in range(100):
            ts = MIDNIGHT + day * DAY + n * SECOND
            world.put(trade("AA", 100 * day + n, venue_ts=ts), at=TODAY + day * SECOND + n)
    refinery = world.refine()
    refinery.sweep(TODAY + DAY)
    world.close()
    layout = ArchiveLayout.of(world.paths)
    for ref in queue_segments(world.paths.clean(VENUE, "AA", "trade"))[:3]:
        record = adopt(layout, ref.path, VENUE, "AA", "trade")
        assert record.partition.day.isoformat() == f"2024-08-{9 + ref.id.number:02d}"
        ref.path.unlink()
    return Archive(tmp_path)


def ids(archive: Archive, **window: object) -> list[int]:
    return [
        record.trade_id
        for _, record in archive.read(VENUE, "AA", "trade", **window).decoded()
        if isinstance(record, Trade)
    ]


def test_an_old_recording_is_read_whole(archive: Archive) -> None:
    assert ids(archive) == list(range(300))


def test_it_is_found_by_the_time_it_was_recorded(archive: Archive) -> None:
    assert ids(archive, start=TODAY + SECOND, end=TODAY + 2 * SECOND) == list(range(100, 200))
    assert ids(archive, start=TODAY + DAY) == []


def test_and_by_the_time_it_happened(archive: Archive) -> None:
    assert ids(archive, start=MIDNIGHT + DAY, end=MIDNIGHT + 2 * DAY, time="venue") == list(range(100, 200))
