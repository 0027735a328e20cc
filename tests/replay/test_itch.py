"""TotalView-ITCH through importer, archive and replay: order books of several stocks, day by day."""

from __future__ import annotations

import shutil
from datetime import date

import pytest

from libchronicle.bus.paths import BusPaths
from libchronicle.replay import archive_replay
from libchronicle.storage.archive import Archive
from libchronicle.storage.importers import ImportOptions, import_file
from libchronicle.storage.layout import ArchiveLayout


@pytest.mark.recording
def test_a_second_day_begins_with_empty_books_though_its_order_ids_come_again(chronicle_data, tmp_path):
    """The stocks are artificial and some records name orders that never came, so contradictions are counted, not heeded."""
    source = chronicle_data / "itch" / "ex20101224.TEST_ITCH_50.gz"
    paths = BusPaths(tmp_path / "bus")
    names: list[str] = []
    for day in (date(2010, 12, 23), date(2010, 12, 24)):  # the same messages twice
        copy = tmp_path / f"{day}.gz"
        shutil.copy(source, copy)
        names = import_file(ArchiveLayout.of(paths), copy, ImportOptions(kind="itch", day=day)).instruments
    with Archive(paths) as archive:
        one = archive_replay(archive, names, end="2010-12-24", gaps="ignore")
        both = archive_replay(archive, names, gaps="ignore")
        assert both.run().records > 2 * 12_000
        one.run()
    assert len(both.books) == 3
    for name, book in both.books.items():
        once = one.book(name)
        assert once is not None
        assert (book.valid, book.hash(), book.order_count) == (True, once.hash(), once.order_count)
        assert (book.unknown, book.executed_qty) == (2 * once.unknown, 2 * once.executed_qty)
