"""tail: the archive first, then what is being written, with no seam between."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from archive_world import NOON, archive_up_to, config, expected, payload_of, rows, world

from libchronicle.bus.orders import ARCHIVE_READER
from libchronicle.bus.paths import BusPaths
from libchronicle.queue import Queue, QueueConfig
from libchronicle.storage import Archive
from libchronicle.storage.keeper import Keeper
from libchronicle.storage.policy import TierPolicy

COUNT = 3000


def test_archived_records_come_first_and_then_those_that_are_written(tmp_path: Path) -> None:
    paths = world(tmp_path, COUNT)
    archive_up_to(paths, 4, cold=2)
    with (
        Archive(tmp_path) as archive,
        Queue.open_publisher(paths.clean("v", "S", "trade"), config()) as writer,
    ):
        records = archive.tail("v", "S", "trade", NOON, timeout_s=10.0)
        found = rows(next(records) for _ in range(COUNT))
        for seq in range(COUNT, 2 * COUNT):
            writer.append(200, payload_of(seq), NOON + seq * 1000)
        found += rows(next(records) for _ in range(COUNT))
    assert found == expected(2 * COUNT)


def test_a_queue_made_later_is_joined(tmp_path: Path) -> None:
    paths = BusPaths(tmp_path)
    with Archive(tmp_path) as archive:
        assert list(archive.tail("v", "S", "trade", NOON, timeout_s=0.05)) == []
        records = archive.tail("v", "S", "trade", NOON, timeout_s=30.0)
        found: list[int] = []
        reader = threading.Thread(target=lambda: found.append(next(records).seq))
        reader.start()
        world(tmp_path, 10)
        reader.join(60)
        assert found == [0]
        with Queue.open_publisher(paths.clean("v", "S", "trade.late"), config()) as late:
            late.append(201, b"late", NOON + 500)
        assert {next(records).type_id for _ in range(10)} == {200, 201}


def test_nothing_is_lost_or_doubled_while_the_keeper_moves_what_the_tail_reads(tmp_path: Path) -> None:
    paths = BusPaths(tmp_path)
    path = paths.clean("v", "S", "trade")
    settings = QueueConfig(
        segment_size=64 << 10, durable=(ARCHIVE_READER,), retain_segments=0, prefault=False
    )
    stop = threading.Event()
    policy = TierPolicy(warm_after_ns=0, compress="immediate")

    def keep() -> None:
        with Keeper(paths, policy, level=1) as keeper:
            while not stop.is_set():
                keeper.take_sealed(1 << 62)
                keeper.compress_due(1 << 62)
                stop.wait(0.01)

    with Queue.open_publisher(path, settings) as writer, Archive(tmp_path) as archive:
        mover = threading.Thread(target=keep)
        mover.start()
        try:
            records = archive.tail("v", "S", "trade", NOON, timeout_s=60.0)
            found = []
            for start in range(0, 6000, 500):
                for seq in range(start, start + 500):
                    writer.append(200, payload_of(seq), NOON + seq * 1000)
                found += rows(next(records) for _ in range(500))
            writer.flush()
            deadline = time.monotonic() + 60
            while not any(archive.layout.partitions()) and time.monotonic() < deadline:
                time.sleep(0.01)  # the keeper may not have had its turn yet
        finally:
            stop.set()
            mover.join()
        assert found == expected(6000)
        assert rows(archive.read("v", "S", "trade")) == expected(6000)
        assert any(archive.layout.partitions())
