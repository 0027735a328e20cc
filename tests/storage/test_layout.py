"""Names of the archive: every path goes to its meaning and back, and strangers are told apart."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libchronicle.bus.paths import BusPaths
from libchronicle.errors import ForeignFile, InvalidName
from libchronicle.storage.layout import (
    ArchiveLayout,
    Partition,
    SegmentId,
    Tier,
    day_bounds,
    day_of,
    plain_stream,
)

LAYOUT = ArchiveLayout("/r/archive")
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=12).filter(
    lambda name: not (set(name) & set("/\\") or name.startswith("."))
)


@given(
    venue=NAMES,
    symbol=NAMES,
    day=st.dates(),
    stream=st.sampled_from(["book", "trade", "quote", "raw", "orders_in", "session"]),
    queue_id=st.integers(1, 2**64 - 1),
    number=st.integers(0, 999_999_999),
    tier=st.sampled_from(["warm", "cold", "remote"]),
)
def test_a_segments_path_says_what_it_is(
    venue: str, symbol: str, day: date, stream: str, queue_id: int, number: int, tier: Tier
) -> None:
    partition = Partition(venue, symbol, day, stream)
    segment = SegmentId(queue_id, number)
    path = LAYOUT.segment(partition, segment, tier)
    found, file = LAYOUT.parse(path)
    assert (found, file.id, file.tier, file.path) == (partition, segment, tier, path)


@pytest.mark.parametrize(
    "path",
    [
        "v/S/2024-08-08/book/1.q",
        "v/S/2024-08-08/book/0000000000000001-000000001.q.tmp",
        "v/S/2024-08-08/book/000000000000000G-000000001.q",
        "v/S/2024-8-8/book/0000000000000001-000000001.q",
        "v/S/20240808/book/0000000000000001-000000001.q",
        "v/S/2024-08-08/books/0000000000000001-000000001.q",
        "v/S/book/0000000000000001-000000001.q",
        "v/S/T/2024-08-08/book/0000000000000001-000000001.q",
        "v/%zz/2024-08-08/book/0000000000000001-000000001.q",
    ],
)
def test_a_path_the_archive_never_makes_is_a_strangers(path: str) -> None:
    with pytest.raises(ForeignFile, match="move it out"):
        LAYOUT.parse(LAYOUT.partitions_dir / path)


def test_the_bus_and_the_archive_agree_on_a_partition() -> None:
    paths = BusPaths("/r", "/hot")
    day = date(2024, 8, 8)
    ours = ArchiveLayout.of(paths).partition_dir(Partition("v", "A/B".replace("/", "-"), day, "book"))
    assert ours == paths.archive("v", "A-B", day, "book")


def test_names_no_partition_can_have_are_refused() -> None:
    with pytest.raises(InvalidName, match="stream"):
        LAYOUT.partition_dir(Partition("v", "S", date(2024, 8, 8), "book.late"))
    with pytest.raises(InvalidName, match="venue"):
        LAYOUT.partition_dir(Partition("", "S", date(2024, 8, 8), "book"))
    assert plain_stream("book.late") == plain_stream("book") == "book"


@given(st.integers(-(2**61), 2**61))
def test_a_day_holds_the_times_between_its_bounds(ts_ns: int) -> None:
    begin, end = day_bounds(day_of(ts_ns))
    assert begin <= ts_ns < end
    assert day_of(begin) == day_of(end - 1) == datetime.fromtimestamp(begin // 10**9, UTC).date()


def test_partitions_and_files_are_found_in_order_and_strangers_named(tmp_path: Path) -> None:
    layout = ArchiveLayout(tmp_path)
    days = [date(2024, 8, 7), date(2024, 8, 8)]
    for day in days:
        for stream in ("trade", "book"):
            partition = Partition("v", "S:1", day, stream)
            layout.partition_dir(partition).mkdir(parents=True)
            for tier in ("cold", "warm", "remote"):
                layout.segment(partition, SegmentId(2, 1), tier).touch()
            layout.segment(partition, SegmentId(1, 7), "cold").touch()
    last = layout.partition_dir(Partition("v", "S:1", days[1], "book"))
    (last / "notes.txt").touch()
    (last / ".being-made").touch()
    layout.provenance(Partition("v", "S:1", days[1], "book"), SegmentId(1, 7)).touch()
    (layout.partitions_dir / "v" / "readme").touch()
    (layout.partitions_dir / "v" / "S%3A1" / "yesterday" / "book").mkdir(parents=True)

    assert [str(p) for p in layout.partitions()] == [
        f"v/S:1/{day}/{stream}" for day in days for stream in ("book", "trade")
    ]
    assert list(layout.partitions("v", "S:1", "book", first=days[1])) == [
        Partition("v", "S:1", days[1], "book")
    ]
    assert list(layout.partitions(venue="w")) == []
    names = [(str(f.id), f.tier) for f in layout.files(Partition("v", "S:1", days[1], "book"))]
    assert names == [
        ("0000000000000001-000000007", "cold"),
        ("0000000000000002-000000001", "warm"),
        ("0000000000000002-000000001", "cold"),
        ("0000000000000002-000000001", "remote"),
    ]
    strangers = [path.relative_to(layout.partitions_dir).as_posix() for path in layout.strangers()]
    assert sorted(strangers) == ["v/S%3A1/2024-08-08/book/notes.txt", "v/S%3A1/yesterday/book", "v/readme"]
    assert layout.files(Partition("v", "other", days[0], "book")) == []


def test_dates_without_the_stream_asked_for_are_no_partitions_of_it(tmp_path: Path) -> None:
    layout = ArchiveLayout(tmp_path)
    for day, stream in (("2024-08-08", "trade"), ("2024-08-09", "book")):
        (tmp_path / "v1" / "v" / "S" / day / stream).mkdir(parents=True)
    found = [(one.day.isoformat(), one.stream) for one in layout.partitions("v", "S", "book")]
    assert found == [("2024-08-09", "book")]
