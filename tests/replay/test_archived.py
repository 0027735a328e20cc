"""Replays of an archive: all tiers, warm starts, threads, and on into the live queue."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from libchronicle.book import L2Book
from libchronicle.bus.paths import BusPaths
from libchronicle.errors import InvalidArgument
from libchronicle.protocol import BookDelta, Trade, instrument_id
from libchronicle.queue import Queue, QueueConfig
from libchronicle.replay import SnapshotStore, Snapshotter, archive_replay, follow, replay_parallel
from libchronicle.storage.archive import Archive
from libchronicle.storage.catalog import queue_segments
from libchronicle.storage.layout import ArchiveLayout
from libchronicle.storage.moves import adopt, freeze

sys.path.insert(0, str(Path(__file__).parent))
from stream import definition, market, name

SYMBOLS = ("AAA", "BBB", "CCC")


def streams_of(symbol: str, records):
    split = {"book": [], "trade": []}
    for ts, message in records:
        split["trade" if isinstance(message, Trade) else "book"].append((ts, message))
    split["trade"].insert(0, (records[0][0], definition(symbol)))
    return split


def write(paths: BusPaths, symbol: str, stream: str, records) -> None:
    config = QueueConfig(segment_size=1 << 15, durable=("archive-tier",))
    with Queue.open_publisher(paths.clean("made-up", symbol, stream), config) as writer:
        for ts, message in records:
            writer.append(message.TEMPLATE_ID, message.encode(), ts)


def put_away(paths: BusPaths, symbol: str, stream: str, *, warm: int, cold: int) -> None:
    layout = ArchiveLayout.of(paths)
    sealed = [
        ref for ref in queue_segments(paths.clean("made-up", symbol, stream)) if ref.last_ts is not None
    ]
    for number, ref in enumerate(sealed[: warm + cold]):
        record = adopt(layout, ref.path, "made-up", symbol, stream)
        if number < cold:
            freeze(layout, record, level=1, block_size=8192)
        ref.path.unlink()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    paths = BusPaths(tmp_path_factory.mktemp("bus"))
    markets = {symbol: market(symbol, 2000, seed=n) for n, symbol in enumerate(SYMBOLS)}
    for symbol, records in markets.items():
        for stream, part in streams_of(symbol, records).items():
            write(paths, symbol, stream, part)
            put_away(paths, symbol, stream, warm=3, cold=2)
    return paths, markets


def judge(symbol: str, records, upto: int | None = None) -> L2Book:
    book = L2Book(instrument_id(name(symbol)))
    book.apply_all((m.TEMPLATE_ID, m.encode()) for ts, m in records if upto is None or ts <= upto)
    return book


def test_all_tiers_of_all_streams_come_as_one(world):
    paths, markets = world
    found = {symbol: [] for symbol in SYMBOLS}
    with Archive(paths) as archive:
        replay = archive_replay(archive, [name(s) for s in SYMBOLS])
        report = replay.run(lambda e: found[SYMBOLS[e.source // 2]].append((e.ts_ns, e.message())))
    for symbol, records in markets.items():
        told = [row for row in found[symbol] if row[1].TEMPLATE_ID != 1]
        assert sorted(told, key=lambda r: r[0]) == told
        assert told == [row for row in records if row[1].TEMPLATE_ID != 1]
        assert replay.book(name(symbol)).hash() == judge(symbol, records).hash()
    assert (report.gaps, report.lost, replay.finished) == (0, 0, True)


def test_a_replay_that_starts_in_the_middle_has_right_books_from_its_first_record(world):
    paths, markets = world
    records = markets["AAA"]
    start = records[1234][0]
    seen = []
    with Archive(paths) as archive:

        def look(event):
            if not seen:
                expected = judge("AAA", records, event.ts_ns)
                assert (event.book.hash(), event.book.valid) == (expected.hash(), True)
            seen.append(event.ts_ns)

        report = archive_replay(archive, [name("AAA")], ["book"], start).run(look)
    wanted = [ts for ts, m in records if ts >= start and not isinstance(m, Trade)]
    assert seen == wanted
    assert report.records - len(seen) < 260


def test_instruments_on_their_own_threads_give_the_report_of_one_replay(world):
    paths, _ = world
    names = [name(s) for s in SYMBOLS]
    with Archive(paths) as archive:
        serial = archive_replay(archive, names).run()
    for workers in (1, 3):
        assert replay_parallel(lambda: Archive(paths), names, workers=workers) == serial


def test_a_snapshot_file_starts_a_replay_of_the_archive(world, tmp_path):
    paths, _ = world
    store = SnapshotStore(tmp_path)
    with Archive(paths) as archive:
        names = [name(s) for s in SYMBOLS]
        whole = archive_replay(archive, names, snapshotter=Snapshotter(store, records=3000)).run()
        snapshot = store.latest()
        rest = archive_replay(archive, names, begin_with=snapshot).run()
    assert rest.state_hash == whole.state_hash
    assert rest.records == whole.records - snapshot.records


def test_from_the_archive_into_the_live_queue_nothing_is_missed_or_given_twice(tmp_path):
    paths = BusPaths(tmp_path)
    records = [row for row in market("AAA", 6000) if not isinstance(row[1], Trade)]
    queue = paths.clean("made-up", "AAA", "book")
    half = len(records) // 2
    write(paths, "AAA", "book", records[:half])
    put_away(paths, "AAA", "book", warm=2, cold=2)
    seen = []
    arrived = threading.Event()

    def look(event):
        seen.append((event.ts_ns, event.message()))
        if len(seen) == half:
            arrived.set()

    def go_on():
        assert arrived.wait(60)
        config = QueueConfig(segment_size=1 << 15, durable=("archive-tier",))
        with Queue.open_publisher(queue, config) as writer:
            for at, (ts, message) in enumerate(records[half:]):
                writer.append(message.TEMPLATE_ID, message.encode(), ts)
                if at == half // 2:
                    put_away(paths, "AAA", "book", warm=4, cold=0)

    writer = threading.Thread(target=go_on)
    writer.start()
    with Archive(paths) as archive:
        replay = archive_replay(archive, [name("AAA")], ["book"], live=True)
        follow(replay, look, until=lambda: not writer.is_alive() and len(seen) >= len(records))
    writer.join()
    assert seen == records
    assert replay.book(name("AAA")).hash() == judge("AAA", records).hash()


def test_a_range_of_venue_time_gives_the_events_of_that_range(world):
    paths, markets = world
    records = [(ts, m) for ts, m in markets["BBB"] if isinstance(m, BookDelta)]
    start, end = records[500][0], records[900][0]
    found = []
    with Archive(paths) as archive:
        replay = archive_replay(archive, [name("BBB")], ["book"], start, end, time="venue", types=[BookDelta])
        replay.run(lambda e: found.append(e.message()))
    assert found == [m for ts, m in records if start <= ts < end]


def test_a_live_replay_may_start_before_its_queue_is_there(tmp_path):
    paths = BusPaths(tmp_path)
    records = [row for row in market("AAA", 50) if not isinstance(row[1], Trade)]
    seen = []
    with Archive(paths) as archive:
        replay = archive_replay(archive, [name("AAA")], ["book"], live=True)
        assert replay.run().records == 0
        write(paths, "AAA", "book", records)
        follow(replay, lambda e: seen.append((e.ts_ns, e.message())), until=lambda: len(seen) >= len(records))
    assert seen == records


def test_a_live_replay_ends_with_the_first_record_behind_its_end(tmp_path):
    paths = BusPaths(tmp_path)
    records = [row for row in market("AAA", 300) if not isinstance(row[1], Trade)]
    write(paths, "AAA", "book", records)
    seen = []
    end = records[150][0]
    with Archive(paths) as archive:
        replay = archive_replay(archive, [name("AAA")], ["book"], end=end, live=True)
        follow(replay, lambda e: seen.append(e.ts_ns), until=lambda: False)
    assert replay.finished
    assert seen == [ts for ts, _ in records if ts < end]


def test_wrong_arguments_are_named(world):
    paths, _ = world
    with Archive(paths) as archive, pytest.raises(InvalidArgument, match="venue:SYMBOL"):
        archive_replay(archive, ["AAA"])
    with pytest.raises(InvalidArgument, match="workers"):
        replay_parallel(lambda: Archive(paths), [], workers=0)
