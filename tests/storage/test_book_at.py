"""Archive.book_at against a replay of everything, over queues, warm and cold files and an object store."""

from __future__ import annotations

import random
import sys
import urllib.request
from itertools import accumulate
from pathlib import Path

import pytest

from libchronicle.book import L2Book, L3Book
from libchronicle.bus.paths import BusPaths
from libchronicle.errors import InvalidArgument
from libchronicle.protocol import (
    BookDelta,
    BookMode,
    BookSnapshot,
    Gap,
    GapReason,
    OrderAdd,
    OrderExecute,
    Side,
    decode,
    instrument_id,
)
from libchronicle.queue import Queue, QueueConfig
from libchronicle.storage.archive import Archive
from libchronicle.storage.catalog import queue_segments
from libchronicle.storage.layout import ArchiveLayout
from libchronicle.storage.manifest import SegmentRecord
from libchronicle.storage.moves import adopt, freeze
from libchronicle.storage.objects import ObjectStore
from libchronicle.storage.remote import ship

sys.path.insert(0, str(Path(__file__).parent.parent / "replay"))
from stream import definition, market, name

KEYS = {"aws_access_key_id": "x", "aws_secret_access_key": "y", "aws_region": "us-east-1"}
DAY_NS = 86_400_000_000_000
NUMBER = instrument_id(name("AAA"))
BEFORE_MIDNIGHT = 20_000 * DAY_NS - 3_000_000_000


def fill(root: Path, stream, segment_size: int = 1 << 15) -> BusPaths:
    """A bus whose book stream of made-up:AAA holds the records; the segment left at the end is live."""
    paths = BusPaths(root)
    with Queue.open_publisher(
        paths.clean("made-up", "AAA", "book"), QueueConfig(segment_size=segment_size)
    ) as writer:
        for ts, message in stream:
            writer.append(message.TEMPLATE_ID, message.encode(), ts)
    return paths


def archive(paths: BusPaths, *, warm: int, cold: int) -> list[SegmentRecord]:
    """The oldest `cold` segments of the queue go to the cold tier, `warm` after them to the warm one. The cold ones."""
    queue = paths.clean("made-up", "AAA", "book")
    layout = ArchiveLayout.of(paths)
    found = []
    for number, ref in enumerate(queue_segments(queue)[: warm + cold]):
        record = adopt(layout, ref.path, "made-up", "AAA", "book")
        if number < cold:
            found.append(freeze(layout, record, level=1, block_size=8192))
        ref.path.unlink()
    return found


@pytest.fixture(scope="module")
def world(tmp_path_factory, endpoint):
    """About 30 segments around a midnight, in four tiers; how to open them; and the records."""
    stream = [
        (ts, m)
        for ts, m in market("AAA", 8000, start=BEFORE_MIDNIGHT)
        if isinstance(m, BookDelta | BookSnapshot)
    ]
    paths = fill(tmp_path_factory.mktemp("bus"), stream)
    count = len(queue_segments(paths.clean("made-up", "AAA", "book")))
    assert count > 20
    cold = archive(paths, warm=count // 4, cold=count // 2)
    bucket = urllib.request.Request(f"{endpoint}/books", method="PUT")
    urllib.request.urlopen(bucket, timeout=30).read()
    options = {**KEYS, "aws_endpoint": endpoint}
    store = ObjectStore("s3://books/lake", options)
    for segment in cold[: count // 4]:
        ship(ArchiveLayout.of(paths), segment, store)

    def opened() -> Archive:
        return Archive(paths, remote_options=options)

    tiers = {
        file.tier for p in ArchiveLayout.of(paths).partitions() for file in ArchiveLayout.of(paths).files(p)
    }
    assert tiers == {"warm", "cold", "remote"}
    return opened, stream


def test_a_thousand_times_give_the_books_of_a_whole_replay(world):
    opened, stream = world
    rng = random.Random(7)
    print("seed 7")
    times = sorted(rng.randint(stream[0][0] - 1000, stream[-1][0] + 1000) for _ in range(900))
    times += rng.sample([ts for ts, _ in stream], 100)
    judge, at = L2Book(NUMBER), 0
    with opened() as found:
        for ts in sorted(times):
            while at < len(stream) and stream[at][0] <= ts:
                judge.apply(stream[at][1].TEMPLATE_ID, stream[at][1].encode())
                at += 1
            book = found.book_at("made-up:AAA", ts)
            if at == 0:
                assert book is None
                continue
            assert (book.hash(), book.valid) == (judge.hash(), judge.valid)
            assert book.last_update_id == judge.last_update_id


def test_no_more_is_read_than_to_the_last_snapshot(world):
    opened, stream = world
    snapshots = [ts for ts, m in stream if isinstance(m, BookSnapshot)]
    with opened() as found:
        for ts in random.Random(3).sample([ts for ts, _ in stream], 50):
            told = found.find_book("made-up:AAA", ts)
            assert told.from_ns == max(s for s in snapshots if s <= ts)
            assert told.last_ns == max(t for t, _ in stream if t <= ts)
            assert told.segments <= 4
            assert told.records <= 260


def test_a_stranger_has_no_book_and_a_wrong_name_is_refused(world):
    opened, _ = world
    with opened() as found:
        assert found.book_at("made-up:ZZZ", 5) is None
        with pytest.raises(InvalidArgument, match="venue:SYMBOL"):
            found.book_at("AAA", 5)


def test_by_venue_time_it_is_the_book_up_to_the_first_later_event(tmp_path):
    """Here the host's clock is 1.3 s behind the venue's, and what arrives is up to 300 ms late."""
    rng = random.Random(5)
    stream = []
    behind = -1_300_000_000
    for ts, message in market("AAA", 3000, start=BEFORE_MIDNIGHT):
        if isinstance(message, BookDelta):
            message.venue_ts = ts
        if isinstance(message, BookDelta | BookSnapshot):
            stream.append((ts, message))
    arrived = [ts + behind + rng.randint(0, 300_000_000) for ts, _ in stream]
    recorded = list(zip(accumulate(arrived, max), (m for _, m in stream), strict=True))
    paths = fill(tmp_path, recorded)
    archive(paths, warm=4, cold=3)
    judge, at = L2Book(NUMBER), 0
    times = sorted(rng.randint(stream[0][0], stream[-1][0]) for _ in range(100))
    with Archive(paths) as found:
        for ts in times:
            while at < len(stream) and stream[at][0] <= ts:
                judge.apply(stream[at][1].TEMPLATE_ID, stream[at][1].encode())
                at += 1
            book = found.book_at("made-up:AAA", ts, time="venue")
            assert book.hash() == judge.hash()
        with pytest.raises(InvalidArgument, match="ingest"):
            found.book_at("made-up:AAA", 5, time="other")


def test_a_gap_before_the_time_is_told_by_the_book(tmp_path):
    stream = market("AAA", 300, every=1000)
    at = stream[200][0]
    broken = [*stream[:200], (at, Gap(instrument_id=NUMBER, reason=GapReason.SEQUENCE)), *stream[200:]]
    with Archive(fill(tmp_path, broken)) as found:
        assert found.book_at("made-up:AAA", stream[199][0]).valid
        assert not found.book_at("made-up:AAA", stream[-1][0]).valid


def test_a_segment_that_is_gone_makes_the_book_wrong_until_the_next_snapshot(tmp_path):
    stream = [(ts, m) for ts, m in market("AAA", 1500, every=10_000) if not hasattr(m, "trade_id")]
    paths = fill(tmp_path, stream)
    refs = queue_segments(paths.clean("made-up", "AAA", "book"))
    assert len(refs) > 4
    archive(paths, warm=len(refs) - 1, cold=0)
    with Archive(paths) as found:
        assert found.book_at("made-up:AAA", stream[-1][0]).valid
        victim = sorted(paths.archive_dir.rglob("*-000000002.q"))[0]
        victim.unlink()
        assert not found.book_at("made-up:AAA", stream[-1][0]).valid


def test_records_of_a_late_queue_are_merged(tmp_path):
    stream = [(ts, m) for ts, m in market("AAA", 400) if not hasattr(m, "trade_id")]
    late = [row for at, row in enumerate(stream) if at % 9 == 5]
    plain = [row for at, row in enumerate(stream) if at % 9 != 5]
    paths = fill(tmp_path, plain)
    with Queue.open_publisher(
        paths.clean("made-up", "AAA", "book.late"), QueueConfig(segment_size=1 << 15)
    ) as writer:
        for ts, message in late:
            writer.append(message.TEMPLATE_ID, message.encode(), ts)
    judge = L2Book(NUMBER)
    judge.apply_all((m.TEMPLATE_ID, m.encode()) for _, m in stream)
    with Archive(paths) as found:
        assert found.book_at("made-up:AAA", stream[-1][0]).hash() == judge.hash()


def test_a_book_of_single_orders_is_read_from_its_beginning_or_its_snapshot(tmp_path):
    judge = L3Book(NUMBER)
    stream = [(1, definition("AAA", BookMode.L3))]
    for number in range(1, 600):
        stream.append(
            (
                number * 10,
                OrderAdd(instrument_id=NUMBER, order_id=number, price=number % 9 * 10, qty=5, side=Side.BUY),
            )
        )
        if number % 3 == 0:
            stream.append((number * 10 + 1, OrderExecute(instrument_id=NUMBER, order_id=number - 1, qty=2)))
    judge.apply_all((m.TEMPLATE_ID, m.encode()) for _, m in stream)
    with Archive(fill(tmp_path / "a", stream)) as found:
        told = found.find_book("made-up:AAA", 10_000)
        assert told.from_ns is None
        assert told.book.hash() == judge.hash()
    paths = fill(tmp_path / "b", stream)
    with Queue.open_publisher(
        paths.clean("made-up", "AAA", "book"), QueueConfig(segment_size=1 << 15)
    ) as writer:
        for kind, payload in judge.snapshot():
            writer.append(kind, payload, 20_000)
    with Archive(paths) as found:
        told = found.find_book("made-up:AAA", 30_000)
        assert told.from_ns == 20_000
        assert (told.book.hash(), told.records) == (judge.hash(), judge.order_count)


def test_a_snapshot_of_orders_may_lie_in_several_segments_and_one_cut_off_is_passed_over(tmp_path):
    """32 KiB segments take 255 orders: the first snapshot lies in three of them; the second lacks its last order."""
    judge = L3Book(NUMBER)
    stream = [(1, definition("AAA", BookMode.L3))]

    def add(number: int) -> None:
        order = OrderAdd(
            instrument_id=NUMBER,
            order_id=number,
            price=number % 9 * 10,
            qty=5,
            side=Side.BUY,
            venue_seq=number,
        )
        stream.append((number * 10, order))
        judge.apply(OrderAdd.TEMPLATE_ID, order.encode())

    def snapshot(ts_ns: int, leave: int = 0) -> None:
        records = judge.snapshot()
        stream.extend((ts_ns, decode(*record)) for record in records[: len(records) - leave])

    for number in range(1, 601):
        add(number)
    snapshot(6_001)
    for number in range(601, 1_000):
        add(number)
    snapshot(9_991, leave=1)
    for number in range(1_000, 1_100):
        add(number)
    with Archive(fill(tmp_path, stream)) as found:
        told = found.find_book("made-up:AAA", 100_000)
        assert told.book.valid
        assert told.from_ns == 6_001
        assert (told.book.hash(), told.book.orders()) == (judge.hash(), judge.orders())
        early = found.find_book("made-up:AAA", 6_000)
        assert (early.from_ns, early.book.order_count) == (None, 600)
