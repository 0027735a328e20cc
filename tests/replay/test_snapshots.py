"""Snapshot files: a replay that begins with one ends where a whole replay does; a file that is not whole is refused."""

from __future__ import annotations

import random
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from libchronicle.book import L2Book
from libchronicle.errors import BadSnapshot, InvalidArgument
from libchronicle.protocol import (
    AuctionInfo,
    BookDelta,
    BookMode,
    BookSnapshot,
    Gap,
    GapReason,
    OrderAdd,
    OrderBookFlags,
    OrderDelete,
    PhaseChange,
    Side,
    TradingPhase,
    instrument_id,
)
from libchronicle.replay import RecordSource, Replay, SnapshotStore, Snapshotter, SpanSource, load_snapshot

sys.path.insert(0, str(Path(__file__).parent))
from stream import START, STEP, definition, market, merged, name, record, reference, rows, spans


def orders(count: int = 1500, seed: int = 4):
    """An order-level market with phases and orders without a price."""
    rng = random.Random(seed)
    number = instrument_id(name("CCC"))
    found = [
        (START, definition("CCC", BookMode.L3)),
        (START, PhaseChange(instrument_id=number, phase=TradingPhase.OPENING_AUCTION)),
        (START + 1, AuctionInfo(instrument_id=number, venue_seq=1, price=100, qty=5)),
    ]
    live: list[int] = []
    for count_ in range(1, count):
        ts = START + count_ * STEP
        if rng.random() < 0.6 or not live:
            flags = OrderBookFlags.NO_PRICE if rng.random() < 0.1 else OrderBookFlags(0)
            side = rng.choice([Side.BUY, Side.SELL])
            price = 10 * rng.randint(900, 1100)
            add = OrderAdd(
                instrument_id=number,
                order_id=count_,
                price=price,
                qty=rng.randint(1, 9),
                side=side,
                flags=flags,
            )
            found.append((ts, add))
            live.append(count_)
        else:
            found.append((ts, OrderDelete(instrument_id=number, order_id=live.pop(rng.randrange(len(live))))))
    return found


@pytest.fixture(scope="module")
def stream():
    return merged(market("AAA", 1500), market("BBB", 1500, seed=2), orders())


def test_a_replay_that_begins_with_a_snapshot_ends_as_a_whole_one(stream, tmp_path):
    store = SnapshotStore(tmp_path / "s", keep=None)
    whole = Replay([RecordSource(rows(stream))], snapshotter=Snapshotter(store, records=500))
    wanted = whole.run()
    assert len(store.paths()) > 5
    for path in store.paths():
        snapshot = load_snapshot(path)
        rest = [row for row in stream if row[0] > snapshot.upto_ns]
        again = Replay(
            [RecordSource([r for r in rows(stream) if r[2] > snapshot.upto_ns])], begin_with=snapshot
        )
        for symbol in ("AAA", "BBB"):
            assert again.book(name(symbol)).hash() == reference(stream, symbol, snapshot.upto_ns).hash()
        again.run()
        for symbol in ("AAA", "BBB", "CCC"):
            assert again.book(name(symbol)).hash() == whole.book(name(symbol)).hash()
        assert len(rest) == len(stream) - snapshot.records
    book = again.book(name("CCC"))
    assert (book.phase, book.auction.price) == (TradingPhase.OPENING_AUCTION, 100)
    assert wanted.gaps == 0


def test_the_state_hash_is_the_same_when_the_seqs_are(stream, tmp_path):
    path = record(tmp_path / "q", stream)
    store = SnapshotStore(tmp_path / "s")
    whole = Replay([SpanSource(spans(path))], snapshotter=Snapshotter(store, interval_ns=300 * STEP)).run()
    snapshot = store.latest()
    assert snapshot is not None
    again = Replay([SpanSource(spans(path), start_ns=snapshot.upto_ns + 1)], begin_with=snapshot).run()
    assert again.state_hash == whole.state_hash
    assert again.records == whole.records - snapshot.records
    mark = snapshot.marks[0]
    assert mark.next_seq == snapshot.records
    assert mark.queue_id == spans(path)[0].queue_id


def test_a_wrong_book_stays_wrong_and_a_quarantined_one_quarantined(tmp_path):
    stream = market("AAA", 400, every=10_000)
    gap = (stream[200][0], Gap(instrument_id=instrument_id(name("AAA")), reason=GapReason.SEQUENCE))
    broken = [*stream[:200], gap, *stream[200:]]
    for policy in ("resync", "quarantine"):
        store = SnapshotStore(tmp_path / policy)
        snapshotter = Snapshotter(store, records=300)
        whole = Replay([RecordSource(rows(broken))], gaps=policy, snapshotter=snapshotter).run()
        snapshot = store.latest()
        left = [row for row in rows(broken) if row[2] > snapshot.upto_ns]
        again = Replay([RecordSource(left)], gaps=policy, begin_with=snapshot)
        report = again.run()
        assert not again.book(name("AAA")).valid
        assert report.instruments[0].quarantined == (policy == "quarantine")
        assert report.instruments[0].book_hash == whole.instruments[0].book_hash


def test_triggers_by_time_records_and_bytes(stream, tmp_path):
    for at, trigger in enumerate([{"interval_ns": 200 * STEP}, {"records": 700}, {"bytes": 90_000}]):
        store = SnapshotStore(tmp_path / str(at), keep=None)
        snapshotter = Snapshotter(store, **trigger)
        report = Replay([RecordSource(rows(stream))], snapshotter=snapshotter).run()
        found = [load_snapshot(path) for path in store.paths()]
        assert len(found) == snapshotter.published > 2
        if "interval_ns" in trigger:
            assert len(found) == (report.last_ns - report.first_ns) // (200 * STEP)
        if "records" in trigger:
            assert all(700 <= b.records - a.records <= 710 for a, b in pairwise(found))


def test_the_newest_are_kept(stream, tmp_path):
    every = SnapshotStore(tmp_path / "all", keep=None)
    few = SnapshotStore(tmp_path / "few", keep=3)
    for store in (every, few):
        Replay([RecordSource(rows(stream))], snapshotter=Snapshotter(store, records=500)).run()
    assert [p.name for p in few.paths()] == [p.name for p in every.paths()][-3:]
    assert sorted(p.name for p in few.directory.iterdir()) == [p.name for p in few.paths()]


def test_the_latest_before_a_time_is_found(stream, tmp_path):
    store = SnapshotStore(tmp_path, keep=None)
    Replay([RecordSource(rows(stream))], snapshotter=Snapshotter(store, records=500)).run()
    times = [load_snapshot(path).upto_ns for path in store.paths()]
    assert store.latest(times[2]).upto_ns == times[2]
    assert store.latest(times[2] - 1).upto_ns == times[1]
    assert store.latest(times[0] - 1) is None
    assert SnapshotStore(tmp_path / "none").latest() is None


def test_a_file_with_any_flipped_bit_or_cut_anywhere_is_refused_and_an_older_one_taken(tmp_path):
    store = SnapshotStore(tmp_path, keep=None)
    stream = market("AAA", 300)
    Replay([RecordSource(rows(stream))], snapshotter=Snapshotter(store, records=100)).run()
    older, victim = store.paths()[-2:]
    good = victim.read_bytes()
    rng = random.Random(1)
    for _ in range(200):
        data = bytearray(good)
        data[rng.choice([rng.randrange(12), rng.randrange(16, 24), rng.randrange(32, len(data))])] ^= (
            1 << rng.randrange(8)
        )
        victim.write_bytes(data)
        with pytest.raises(BadSnapshot, match=victim.name):
            load_snapshot(victim)
    for size in (0, 7, 63, 64, len(good) - 1):
        victim.write_bytes(good[:size])
        with pytest.raises(BadSnapshot):
            load_snapshot(victim)
    assert store.latest().upto_ns == load_snapshot(older).upto_ns


def test_a_book_that_is_not_the_one_written_is_refused(tmp_path):
    import msgspec

    replay = Replay([RecordSource(rows(market("AAA", 200)))])
    replay.run()
    snapshot = replay.snapshot()
    state = snapshot.books[0]
    wrong = msgspec.structs.replace(state, book_hash=state.book_hash ^ 1)
    with pytest.raises(BadSnapshot, match="hash"):
        Replay([], begin_with=msgspec.structs.replace(snapshot, books=[wrong]))
    with pytest.raises(BadSnapshot, match="together"):
        Replay([], begin_with=msgspec.structs.replace(snapshot, state_hash=1))


def test_a_book_with_more_levels_than_a_record_holds_is_kept_whole():
    number = instrument_id(name("AAA"))
    book = L2Book(number)
    for at, kind in enumerate((BookSnapshot, BookDelta)):
        levels = [(10 * (at * 60_000 + i) + 10, 1) for i in range(60_000)]
        book.apply(kind.TEMPLATE_ID, kind(instrument_id=number, asks=levels).encode())
    from libchronicle.replay.snapshots import _l2_records

    other = L2Book(number)
    other.apply_all(_l2_records(book))
    assert other.hash() == book.hash()


def test_triggers_and_keep_are_checked(tmp_path):
    for wrong in ({}, {"records": 0}, {"interval_ns": -1}):
        with pytest.raises(InvalidArgument):
            Snapshotter(SnapshotStore(tmp_path), **wrong)
    with pytest.raises(InvalidArgument):
        SnapshotStore(tmp_path, keep=0)


def test_a_directory_named_like_a_snapshot_is_none(tmp_path):
    store = SnapshotStore(tmp_path)
    (tmp_path / f"{5:019d}-{1:012d}.snapshot").mkdir()
    assert (store.paths(), store.latest()) == ([], None)
    with pytest.raises(BadSnapshot, match="a directory"):
        load_snapshot(tmp_path / f"{5:019d}-{1:012d}.snapshot")
