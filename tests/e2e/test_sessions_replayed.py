"""Journals that a suite wrote (strategies, router and an embedded exchange) are replayed as they were dispatched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from libchronicle.book import L2Book
from libchronicle.bus.paths import BusPaths
from libchronicle.protocol import (
    BookDelta,
    Dispatch,
    ExecType,
    ExecutionReport,
    SessionSource,
    SessionStart,
    decode,
    instrument_id,
)
from libchronicle.queue import Queue
from libchronicle.replay import Replay, session_source, sessions
from libchronicle.storage.archive import Archive
from libchronicle.storage.catalog import queue_segments
from libchronicle.storage.layout import ArchiveLayout
from libchronicle.storage.moves import adopt, freeze
from libchronicle.storage.sources import queues_on_bus
from libchronicle.testing.audit import audit_orders
from libchronicle.testing.live_suite import LiveSuite

pytestmark = [pytest.mark.suite, pytest.mark.timeout(240)]
Record = tuple[int, bytes]


@pytest.fixture
def suite(tmp_path: Path, project_root: Path) -> Iterator[LiveSuite]:
    with LiveSuite.of_deployment(tmp_path, project_root / "deploy") as made:
        made.tables.pop("archive", None)  # this test archives by itself, when it has looked
        for feed in made.tables["feeds"].values():
            feed.update(retain_age_s=3600.0, segment_size=256 << 10)
        made.write()
        yield made


def records_of(queue: Path) -> dict[int, Record]:
    with Queue.open_subscriber(queue, None, start="earliest") as reader:
        return {m.seq: (m.type_id, bytes(m)) for m in reader}


def dispatched(paths: BusPaths, name: str) -> tuple[list[Record], int]:
    """What the journal says was given, read from the queues with nothing of the replay; how many runs it was given in."""
    by_id = {}
    for source in queues_on_bus(paths):
        segments = queue_segments(source.path)
        if segments:
            by_id[segments[0].id.queue_id] = source.path
    contents: dict[int, dict[int, Record]] = {}
    queues: dict[int, int] = {}
    found: list[Record] = []
    runs = 0
    for type_id, payload in records_of(paths.session(name)).values():
        if type_id == Dispatch.TEMPLATE_ID:
            run = Dispatch.decode(payload)
            held = contents[queues[run.source]]
            found += [held[seq] for seq in range(run.first_seq, run.last_seq + 1) if seq in held]
            runs += 1
            continue
        if type_id == SessionSource.TEMPLATE_ID:
            told = SessionSource.decode(payload)
            queues[told.source] = told.queue_id
            if told.queue_id not in contents:
                contents[told.queue_id] = records_of(by_id[told.queue_id])
        found.append((type_id, payload))
    return found, runs


def replayed(paths: BusPaths, name: str) -> tuple[Replay, list[Record], list[int]]:
    found: list[Record] = []
    times: list[int] = []

    def look(event: object) -> None:
        found.append((event.type_id, bytes(event.payload)))  # type: ignore[attr-defined]
        times.append(event.ts_ns)  # type: ignore[attr-defined]

    with Archive(paths) as archive:
        replay = Replay([session_source(archive, name)], gaps="ignore")
        replay.run(look)
    return replay, found, times


def put_away(paths: BusPaths) -> int:
    """Every sealed segment of the suite into the archive, compressed; it is in no queue any more."""
    layout = ArchiveLayout.of(paths)
    count = 0
    for source in queues_on_bus(paths):
        for ref in queue_segments(source.path):
            if ref.last_ts is not None:
                freeze(layout, adopt(layout, ref.path, source.venue, source.symbol, source.stream), level=1)
                ref.path.unlink()
                count += 1
    return count


def test_sessions_that_a_suite_recorded_come_again_as_they_were_dispatched(suite: LiveSuite) -> None:
    suite.chronicle("up")

    def all_filled() -> bool:
        names = suite.paths.strategies()
        return bool(names) and all(audit_orders(suite.paths, name).fills > 5 for name in names)

    suite.wait_until(all_filled, "every strategy has orders filled")
    suite.chronicle("down")
    paths = suite.paths
    names = [*paths.strategies(), "router"]
    seen = {}
    for name in names:
        wanted, runs = dispatched(paths, name)
        replay, found, times = replayed(paths, name)
        with Archive(paths) as archive:
            assert len(sessions(archive, name)) == 1
        assert runs > 10, name
        assert found == wanted, name
        assert times == sorted(times)
        assert found[0][0] == SessionStart.TEMPLATE_ID
        assert replay.report().lost == 0
        reports = [decode(*one) for one in found if one[0] == ExecutionReport.TEMPLATE_ID]
        assert name == "router" or any(one.exec_type == ExecType.FILL for one in reports)
        assert the_books_are_right(replay, found) > 0
        seen[name] = replay.state_hash(), found, times
    assert put_away(paths) > 0
    for name in names:
        replay, found, times = replayed(paths, name)
        assert (replay.state_hash(), found, times) == seen[name], name


def the_books_are_right(replay: Replay, found: list[Record]) -> int:
    """Each is the one that the book records alone make; how many there are."""
    for name, book in replay.books.items():
        judge = L2Book(instrument_id(name))
        judge.apply_all(found)
        assert book.hash() == judge.hash(), name
        assert any(kind == BookDelta.TEMPLATE_ID for kind, _ in found)
    return len(replay.books)
