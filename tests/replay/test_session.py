"""A recorded session is replayed in the order it was dispatched in, whatever the times of its records."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from libchronicle.book import L2Book
from libchronicle.bus.paths import BusPaths
from libchronicle.errors import InvalidArgument, ReplayGap, UnknownSession
from libchronicle.protocol import (
    Dispatch,
    RunMode,
    SessionSource,
    SessionStart,
    SessionStop,
    TimerFired,
    Trade,
    instrument_id,
)
from libchronicle.queue import Queue, QueueConfig
from libchronicle.replay import Replay, session_source, sessions
from libchronicle.storage.archive import Archive
from libchronicle.storage.catalog import queue_segments
from libchronicle.storage.layout import ArchiveLayout
from libchronicle.storage.moves import adopt

sys.path.insert(0, str(Path(__file__).parent))
from stream import STEP, market, name

CONFIG = QueueConfig(segment_size=1 << 15)


def feed(paths: BusPaths, feed_name: str, records) -> int:
    with Queue.open_publisher(paths.raw(feed_name), CONFIG) as writer:
        for ts, message in records:
            writer.append(message.TEMPLATE_ID, message.encode(), ts)
        return writer.queue_id


def journal(paths: BusPaths, strategy: str, start_ns: int, records) -> int:
    """A session whose journal holds the records; its id."""
    with Queue.open_publisher(paths.session(strategy), CONFIG) as writer:
        number = writer.next_seq + 7
        start = SessionStart(session_id=number, realtime_ns=start_ns, mode=RunMode.PAPER, name=strategy)
        for message in (start, *records, SessionStop(now_ns=start_ns + 10**12)):
            writer.append(message.TEMPLATE_ID, message.encode())
    return number


def source(rank: int, queue_id: int, path: str) -> SessionSource:
    return SessionSource(queue_id=queue_id, start_seq=0, epoch=1, source=rank, path=path)


@pytest.fixture
def world(tmp_path):
    paths = BusPaths(tmp_path)
    one, two = market("AAA", 1000), market("BBB", 400, seed=2)
    ids = feed(paths, "one", one), feed(paths, "two", two)
    now = one[-1][0] + STEP
    runs = [
        source(0, ids[0], "market_data/queue/one"),
        source(1, ids[1], "../elsewhere/market_data/queue/two"),
        Dispatch(source=0, first_seq=10, last_seq=700, now_ns=now, epoch=1, muted=1),
        Dispatch(source=1, first_seq=0, last_seq=150, now_ns=now + 5, epoch=1),
        TimerFired(name="quote", deadline_ns=now + 6, now_ns=now + 7),
        Dispatch(source=0, first_seq=701, last_seq=701, now_ns=now + 8, epoch=1),
        Dispatch(source=1, first_seq=151, last_seq=200, now_ns=now + 9, epoch=1),
        Dispatch(source=0, first_seq=702, last_seq=900, now_ns=now + 10, epoch=1),
    ]
    return paths, one, two, now, runs, ids


def told(paths: BusPaths, **options):
    found = []
    with Archive(paths) as archive:
        replay = Replay([session_source(archive, "alpha")], **options)
        replay.run(lambda e: found.append((e.ts_ns, e.message())))
    return replay, found


def test_records_come_as_they_were_dispatched_with_the_time_the_strategy_was_told(world):
    paths, one, two, now, runs, _ = world
    journal(paths, "alpha", now, runs)
    replay, found = told(paths)
    wanted = [(now, m) for _, m in one[10:701]]
    wanted += [(now + 5, m) for _, m in two[:151]]
    wanted += [(now + 7, runs[4])]
    wanted += [(now + 8, one[701][1])]
    wanted += [(now + 9, m) for _, m in two[151:201]]
    wanted += [(now + 10, m) for _, m in one[702:901]]
    market_records = [
        row for row in found if not isinstance(row[1], SessionStart | SessionSource | SessionStop)
    ]
    assert market_records == wanted
    assert [type(m) for _, m in found[:3]] == [SessionStart, SessionSource, SessionSource]
    assert isinstance(found[-1][1], SessionStop)
    judge = L2Book(instrument_id(name("AAA")))
    judge.apply_all((m.TEMPLATE_ID, m.encode()) for _, m in one[10:901])
    assert replay.book(name("AAA")).hash() == judge.hash()


def test_sources_that_were_archived_meanwhile_give_the_same(world):
    paths, _, _, now, runs, _ = world
    journal(paths, "alpha", now, runs)
    _, before = told(paths)
    for ref in queue_segments(paths.raw("one"))[:2]:
        adopt(ArchiveLayout.of(paths), ref.path, "_raw", "one", "raw")
        ref.path.unlink()
    _, after = told(paths)
    assert after == before


def test_what_no_tier_has_any_more_is_a_hole(world):
    paths, one, _, now, runs, _ = world
    journal(paths, "alpha", now, runs)
    queue_segments(paths.raw("one"))[1].path.unlink()
    replay, found = told(paths, types=[Trade])
    assert 0 < len(found) < sum(isinstance(m, Trade) for _, m in one)
    assert replay.report().lost == 1
    with pytest.raises(ReplayGap):
        told(paths, gaps="stop")


def test_one_of_several_sessions_is_chosen_by_its_id(world):
    paths, _, _, now, runs, ids = world
    first = journal(paths, "alpha", now, runs)
    second_runs = [
        source(0, ids[0], "market_data/queue/one"),
        Dispatch(source=0, first_seq=0, last_seq=4, now_ns=now, epoch=1),
    ]
    second = journal(paths, "alpha", now, second_runs)
    with Archive(paths) as archive:
        assert [s.session_id for s in sessions(archive, "alpha")] == [first, second]
        assert Replay([session_source(archive, "alpha")]).run().records == 3 + 5
        assert Replay([session_source(archive, "alpha", first)]).run().records == 5 + 691 + 151 + 1 + 50 + 199
        with pytest.raises(UnknownSession, match=str(second)):
            session_source(archive, "alpha", 12345)
        with pytest.raises(UnknownSession, match="none"):
            session_source(archive, "beta")


def test_a_source_that_is_not_archived_is_refused(world):
    paths, _, _, now, _, ids = world
    journal(paths, "alpha", now, [source(0, ids[0], "control/queue/x")])
    with pytest.raises(InvalidArgument, match="control/queue/x"):
        told(paths)
