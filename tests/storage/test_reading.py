"""One reader over all tiers: every record once, in order, wherever its segment is and while it moves."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest
from archive_world import DAY_NS, NOON, TYPE, archive_up_to, config, expected, payload_of, rows, world
from hypothesis import given, settings
from hypothesis import strategies as st

from libchronicle.bus.paths import BusPaths
from libchronicle.errors import ArchiveError, BadSegment, ForeignFile, InvalidArgument
from libchronicle.native.binding import LOST_TYPE, Message
from libchronicle.protocol import BestBidAsk, Trade
from libchronicle.queue import Queue
from libchronicle.storage.archive import Archive, to_ns
from libchronicle.storage.catalog import Stream, queue_segments
from libchronicle.storage.layout import ArchiveLayout
from libchronicle.storage.moves import freeze, thaw

COUNT = 3000


def test_hot_warm_and_cold_read_as_one_without_a_seam(tmp_path: Path) -> None:
    paths = world(tmp_path, COUNT)
    queue = paths.clean("v", "S", "trade")
    assert len(queue_segments(queue)) == 8
    with Archive(tmp_path) as archive:
        reading = archive.read("v", "S", "trade")
        assert rows(reading) == expected(COUNT)
        archive_up_to(paths, 4, cold=2)
        assert rows(reading) == expected(COUNT)
        archive_up_to(paths, 6, retain=True)
        assert rows(reading) == expected(COUNT)


def test_an_instrument_is_told_as_one_word_or_as_two(tmp_path: Path) -> None:
    world(tmp_path, COUNT)
    since, until = NOON + 100_000, NOON + 200_000
    with Archive(tmp_path) as archive:
        wanted = rows(archive.read("v", "S", "trade", since, until))
        assert len(wanted) == 100
        for reading in (
            archive.read("v:S", "trade", since, until),
            archive.read("v:S", "trade", since, end=until),
            archive.read("v:S", "trade", end=until, start=since),
            archive.read("v:S", stream="trade", start=since, end=until),
            archive.read(instrument="v:S", stream="trade", start=since, end=until),
            archive.read(venue="v", symbol="S", stream="trade", start=since, end=until),
            archive.read("v", "S", "trade", start=since, end=until),
        ):
            assert rows(reading) == wanted
        assert len(rows(archive.read("v:S", "trade", None, until))) == 200
        tail = archive.tail("v:S", "trade", since, timeout_s=0)
        assert next(iter(tail)).ts_ns == since
        for wrong in (("v:", "trade"), ("v:S",), ("v", "S")):
            with pytest.raises(InvalidArgument, match="venue:SYMBOL"):
                archive.read(*wrong)
        with pytest.raises(TypeError, match="unexpected"):
            archive.read("v:S", "trade", since, start=since)  # type: ignore[call-overload]


def test_a_reading_goes_on_while_its_segments_move_from_tier_to_tier(tmp_path: Path) -> None:
    paths = world(tmp_path, COUNT)
    layout = ArchiveLayout.of(paths)
    source = random.Random(7)
    records = {}
    found = []
    with Archive(tmp_path) as archive:
        for at, message in enumerate(archive.read("v", "S", "trade")):
            found.append((message.seq, message.ts_ns, bytes(message)))
            if at % 100 == 50:
                for record in archive_up_to(paths, min(at // 400, 6), retain=False):
                    records[record.id] = record
                for segment, record in records.items():
                    move = freeze if record.tier == "warm" else thaw
                    if source.random() < 0.5:
                        records[segment] = move(layout, record)
    assert found == expected(COUNT)
    assert {record.tier for record in records.values()} == {"warm", "cold"}


@settings(max_examples=40)
@given(
    since=st.one_of(st.none(), st.integers(-5000, COUNT * 1000 + 5000)),
    length=st.one_of(st.none(), st.integers(0, COUNT * 1200)),
)
def test_a_range_of_time_is_half_open_over_every_tier(
    mixed: Path, since: int | None, length: int | None
) -> None:
    start = None if since is None else NOON + since
    end = None if length is None else NOON + (since or 0) + length
    with Archive(mixed) as archive:
        found = rows(archive.read("v", "S", "trade", start, end))
    wanted = [
        row for row in expected(COUNT) if (start is None or row[1] >= start) and (end is None or row[1] < end)
    ]
    assert found == wanted


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("mixed")
    archive_up_to(world(root, COUNT), 4, cold=2)
    return root


def test_many_days_are_gone_through_in_order(tmp_path: Path) -> None:
    step = DAY_NS // 500
    paths = world(tmp_path, COUNT, step_ns=step)
    archive_up_to(paths, 6, cold=3)
    days = sorted(p.day.isoformat() for p in ArchiveLayout.of(paths).partitions())
    assert days[0] == "2024-08-08"
    with Archive(tmp_path) as archive:
        assert rows(archive.read("v", "S", "trade")) == expected(COUNT, step_ns=step)
        middle = archive.read("v", "S", "trade", "2024-08-10", "2024-08-12")
        assert [m.ts_ns for m in middle] == [
            row[1]
            for row in expected(COUNT, step_ns=step)
            if to_ns("2024-08-10") <= row[1] < to_ns("2024-08-12")
        ]


def test_an_archive_of_one_day_is_listed_once_and_one_of_many_day_by_day(tmp_path: Path) -> None:
    for days in (1, 9):
        step_ns = days * DAY_NS // COUNT
        paths = world(tmp_path / str(days), COUNT, step_ns=step_ns, start_ns=NOON - DAY_NS // 2)
        archive_up_to(paths, 6)
        with Archive(tmp_path / str(days)) as archive:
            reading = archive.read("v", "S", "trade")
            assert rows(reading) == expected(COUNT, step_ns=step_ns, start_ns=NOON - DAY_NS // 2)
            dated = len(archive.catalog.days(reading.stream))
            assert (len(list(reading.merges())) == 1) == (dated == 1) == (days == 1)
            assert dated == 1 or len(list(reading.merges())) > dated


def test_records_that_came_late_stand_where_they_were_recorded(tmp_path: Path) -> None:
    paths = world(tmp_path, 1000, step_ns=2000)
    with Queue.open_publisher(paths.clean("v", "S", "trade.late"), config()) as late:
        for seq in range(500):
            late.append(201, payload_of(seq), NOON + seq * 4000 + 1000)
    with Archive(tmp_path) as archive:
        found = list(archive.read("v", "S", "trade"))
    assert len(found) == 1500
    assert [m.ts_ns for m in found] == sorted(m.ts_ns for m in found)


@settings(max_examples=25)
@given(late=st.sets(st.integers(0, 59)), every=st.integers(1, 20))
def test_records_of_one_time_stand_in_the_order_of_their_raw_records(
    tmp_path_factory: pytest.TempPathFactory, late: set[int], every: int
) -> None:
    root = tmp_path_factory.mktemp("ties")
    paths = BusPaths(root)
    for stream, chosen in (("trade", set(range(60)) - late), ("trade.late", late)):
        with Queue.open_publisher(paths.clean("v", "S", stream), config()) as writer:
            for raw in sorted(chosen):
                record = Trade(trade_id=raw, raw_seq=raw)
                writer.append(record.TEMPLATE_ID, record.encode(), NOON + raw // every)
    with Archive(root) as archive:
        reading = archive.read("v", "S", "trade")
        assert [Trade.decode(bytes(message)).raw_seq for message in reading] == list(range(60))
        assert reading.to_numpy()["raw_seq"].tolist() == list(range(60))


def test_a_segment_that_is_gone_is_told_as_a_lost_record(tmp_path: Path) -> None:
    paths = world(tmp_path, COUNT)
    archive_up_to(paths, 4, cold=2)
    with Archive(tmp_path) as archive:
        gone = next(
            f for p in archive.layout.partitions() for f in archive.layout.files(p) if f.id.number == 1
        )
        gone.path.unlink()
        found = list(archive.read("v", "S", "trade"))
    lost = [m for m in found if m.type_id == LOST_TYPE]
    assert len(lost) == 1
    first, last = struct.unpack("<QQ", bytes(lost[0]))
    kept = [row for row in expected(COUNT) if not first <= row[0] <= last]
    assert rows(m for m in found if m.type_id != LOST_TYPE) == kept


def test_damage_is_raised_once_and_the_same_iterator_goes_on_behind_it(tmp_path: Path) -> None:
    paths = world(tmp_path, COUNT)
    archive_up_to(paths, 4, cold=-1)
    with Archive(tmp_path) as archive:
        file = next(
            f for p in archive.layout.partitions() for f in archive.layout.files(p) if f.id.number == 2
        )
        data = bytearray(file.path.read_bytes())
        data[5000] ^= 1
        file.path.unlink()
        file.path.write_bytes(data)
        records = iter(archive.read("v", "S", "trade"))
        found: list[Message] = []
        raised: list[BadSegment] = []
        while True:
            try:
                message = next(records)
            except StopIteration:
                break
            except BadSegment as error:
                raised.append(error)
                continue
            found.append(message)
        assert [error.path for error in raised] == [str(file.path)]
        lost = [struct.unpack("<QQ", bytes(m)) for m in found if m.type_id == LOST_TYPE]
        assert len(lost) == 1
        kept = [row for row in expected(COUNT) if not lost[0][0] <= row[0] <= lost[0][1]]
        assert rows(m for m in found if m.type_id != LOST_TYPE) == kept
        skipped = rows(m for m in archive.read("v", "S", "trade", damage="skip") if m.type_id != LOST_TYPE)
        assert skipped == kept


def test_only_the_kinds_asked_for_are_given(tmp_path: Path) -> None:
    with Queue.open_publisher(BusPaths(tmp_path).clean("v", "S", "trade"), config()) as writer:
        for seq in range(10):
            record = Trade(trade_id=seq) if seq % 2 else BestBidAsk(update_id=seq)
            writer.append(record.TEMPLATE_ID, record.encode(), NOON + seq)
    with Archive(tmp_path) as archive:
        assert [m.seq for m in archive.read("v", "S", "trade", types=[Trade])] == [1, 3, 5, 7, 9]
        assert len(list(archive.read("v", "S", "trade", types=[Trade, BestBidAsk]))) == 10


def test_a_queue_being_written_is_read_to_its_present_end_and_further_the_next_time(tmp_path: Path) -> None:
    paths = world(tmp_path, 10)
    with (
        Archive(tmp_path) as archive,
        Queue.open_publisher(paths.clean("v", "S", "trade"), config()) as writer,
    ):
        reading = archive.read("v", "S", "trade")
        assert len(rows(reading)) == 10
        for seq in range(10, 1000):
            writer.append(200, payload_of(seq), NOON + seq * 1000)
        assert rows(reading) == expected(1000)


def test_an_archive_without_its_bus_is_read_by_itself(tmp_path: Path) -> None:
    paths = world(tmp_path / "run", COUNT)
    kept = archive_up_to(paths, 4, cold=2)
    with Archive(tmp_path / "run" / "archive") as archive:
        assert rows(archive.read("v", "S", "trade")) == expected(kept[-1].facts.next_seq)
        assert list(map(str, archive.streams())) == ["v/S/trade"]


def test_what_is_not_there_reads_as_nothing(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        assert list(archive.read("v", "S", "trade")) == []
        with pytest.raises(InvalidArgument, match="damage"):
            archive.read("v", "S", "trade", damage="maybe")
        with pytest.raises(InvalidArgument, match="ISO"):
            archive.read("v", "S", "trade", "yesterday")


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("2024-08-08", NOON - DAY_NS // 2),
        ("2024-08-08T12:00:00.000000001", NOON + 1),
        ("2024-08-08T12:00:00Z", NOON),
        ("2024-08-08T14:00:00.5+02:00", NOON + 500_000_000),
    ],
)
def test_a_time_is_read_to_the_nanosecond_and_as_utc(text: str, ns: int) -> None:
    assert to_ns(text) == ns


def test_a_compressed_file_cut_short_takes_only_its_own_records_also_without_a_manifest(
    tmp_path: Path,
) -> None:
    paths = world(tmp_path, COUNT)
    records = archive_up_to(paths, 6, cold=6)
    cold = ArchiveLayout.of(paths).segment(records[2].partition, records[2].id, "cold")
    cold.write_bytes(cold.read_bytes()[:-5])
    errors, found = [], []
    with Archive(paths) as archive:
        reading = iter(archive.read("v", "S", "trade"))
        while len(errors) < 10:
            try:
                found.append(next(reading))
            except ArchiveError as error:
                errors.append(error)
            except StopIteration:
                break
    assert [type(error) for error in errors] == [ForeignFile]
    first, last = records[2].facts.first_seq, records[2].facts.last_seq
    assert [m.seq for m in found if m.type_id == TYPE] == [
        seq for seq in range(COUNT) if not first <= seq <= last
    ]
    assert [m.seq for m in found if m.type_id != TYPE] == [last]


def test_a_run_directory_by_name_finds_its_market_data_where_up_put_it(tmp_path: Path) -> None:
    hot = world(tmp_path / "memory", COUNT)
    run = tmp_path / "run"
    (run / "supervisor").mkdir(parents=True)
    with Archive(run) as archive:
        assert not list(archive.catalog.hot(Stream("v", "S", "trade")))
    for text in ("", "[bus]\nhot = 5", "[bus", "\0"):
        (run / "supervisor" / "host.toml").write_text(text)
        Archive(run).close()
    (run / "supervisor" / "host.toml").write_text(f'[bus]\nroot = "{run}"\nhot = "{hot.root}"\n')
    with Archive(run) as archive:
        assert len(list(archive.read("v", "S", "trade"))) == COUNT
