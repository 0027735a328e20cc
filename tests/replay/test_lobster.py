"""A published order-level recording: imported, archived, replayed; after every message the book is the published one."""

from __future__ import annotations

import shutil

import pytest

from libchronicle.bus.paths import BusPaths
from libchronicle.protocol import Side, Trade
from libchronicle.replay import archive_replay
from libchronicle.storage.archive import Archive
from libchronicle.storage.importers import import_file
from libchronicle.storage.layout import ArchiveLayout
from libchronicle.venues.lobster.parser import book_levels

FILE = "MSFT_2012-06-21_34200000_37800000_{}_50.csv"


@pytest.fixture
def imported(chronicle_data, tmp_path):
    """The archive, the instrument's name, and the rows of the published book."""
    for kind in ("message", "orderbook"):
        shutil.copy(chronicle_data / "lobster" / FILE.format(kind), tmp_path)
    paths = BusPaths(tmp_path / "bus")
    report = import_file(ArchiveLayout.of(paths), tmp_path / FILE.format("message"))
    rows = (tmp_path / FILE.format("orderbook")).read_bytes().splitlines()
    return paths, report.instruments[0], [book_levels(row) for row in rows]


@pytest.mark.recording
def test_the_book_after_every_message_is_the_published_one_and_its_queues_add_up(imported):
    paths, instrument, rows = imported
    after = {}
    executed = 0

    def look(event):
        nonlocal executed
        message = event.message()
        if isinstance(message, Trade):
            executed += message.qty
        seq = getattr(message, "venue_seq", 0)
        if seq:
            after[seq] = event.book.bids(10), event.book.asks(10)

    with Archive(paths) as archive:
        replay = archive_replay(archive, [instrument], gaps="stop")
        report = replay.run(look)
        middle = archive.book_at(instrument, (report.first_ns + report.last_ns) // 2)
    assert middle is not None
    assert middle.valid
    assert (report.gaps, report.refused) == (0, 0)
    missing = 0
    told = None
    for number, (bids, asks) in enumerate(rows, start=1):
        told = after.get(number, told)  # hidden executions change no book
        if told is None:
            missing += 1
            continue
        assert told == (bids[:10], asks[:10]), f"row {number}"
    assert missing <= 1
    book = replay.book(instrument)
    for side, levels in ((Side.BUY, book.bids()), (Side.SELL, book.asks())):
        for price, qty in levels:
            assert sum(one for _, one in book.orders_at(side, price)) == qty
    assert executed >= book.executed_qty > 0
