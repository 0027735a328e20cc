"""kill -9 of the refinery and of the archive-tier daemon, as the processes they are, at random moments of their lives.

Covers DESIGN's fault "kill -9 of any daemon at any instruction": whatever is killed however often, in the end there are
the same files with the same bytes as where nothing was killed.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from libchronicle.bus.paths import BusPaths
from libchronicle.queue import Queue, QueueConfig, inspect
from libchronicle.storage import ArchiveLayout, Manifest
from libchronicle.storage.catalog import queue_segments
from libchronicle.storage.layout import day_bounds, day_of
from libchronicle.storage.rebuild import rebuild
from libchronicle.storage.remote import RemoteOpener
from libchronicle.storage.verify import verify_archive

sys.path.insert(0, str(Path(__file__).parents[1] / "etl"))
from hard_day import write_raw
from raw_world import records_by_segment

pytestmark = pytest.mark.timeout(1800)
TOML = """
version = 1
[bus]
root = "{root}"
{table}
[feeds.feed]
venue = "binance-spot"
symbols = ["AA", "BB"]
rest_url = "http://127.0.0.1:1"
ws_url = "ws://127.0.0.1:1"
"""
ETL = """
[etl]
segment_size = 65536
snapshot_levels = 60
snapshot_interval_s = 20.0
segment_age_s = 31536000.0
late_limit_s = 1800.0
sync = false
"""
ARCHIVE = """
[archive]
warm_after_s = 0.0
compress = "immediate"
level = 1
block_size = 16384
interval_s = 0.05
remote = "file://{root}/store"
remote_after_s = 0.0
"""
Report = Callable[..., None]
Done = Callable[[], object]
WAIT_S = 120.0
KEEPING, REFINING = "event=keeping", "event=refining"


class Life:
    """One process of a daemon: in the middle of its start, or at work."""

    def __init__(self, module: str, root: Path, table: str) -> None:
        config = root.with_suffix(".toml")
        config.write_text(TOML.format(root=root, table=table.format(root=root)))
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, "--config", str(config)], stderr=subprocess.PIPE, text=True
        )

    def at_work(self, event: str) -> None:
        assert self.process.stderr is not None
        said = []
        for line in self.process.stderr:
            said.append(line)
            if event in line:
                return
        self.end()
        raise AssertionError("".join(said))

    def kill(self) -> None:
        self.process.kill()
        self.end()

    def stop(self) -> None:
        self.process.terminate()
        assert self.end() == 0

    def end(self) -> int:
        assert self.process.stderr is not None
        code = self.process.wait(60)
        self.process.stderr.close()
        return code


def undisturbed(module: str, root: Path, table: str, event: str, done: Done) -> None:
    life = Life(module, root, table)
    life.at_work(event)
    deadline = time.monotonic() + WAIT_S
    try:
        while not done():
            assert life.process.poll() is None
            assert time.monotonic() < deadline, "it does not come to its end"
            time.sleep(0.02)
    except BaseException:
        life.kill()
        raise
    life.stop()


def kill_until_done(
    module: str, root: Path, table: str, event: str, done: Done, dice: random.Random, longest_s: float
) -> int:
    """How many lives it took but the last."""
    kills = 0
    while not done():
        life = Life(module, root, table)
        if dice.random() < 0.2:
            time.sleep(dice.random() * 0.6)  # anywhere in its start
        else:
            life.at_work(event)
            time.sleep(dice.random() ** 2 * longest_s)
        life.kill()
        kills += 1
    return kills


def files_below(top: Path, root: Path) -> dict[str, bytes]:
    """What lies there, by name; where it lies is cut out of what stubs say."""
    own = str(root).encode()
    return {
        str(path.relative_to(root)): path.read_bytes().replace(own, b"ROOT")
        for path in sorted(top.rglob("*"))
        if path.is_file() and "manifest" not in path.name and path.name != ".lock"
    }


@pytest.fixture
def queues(memory_dir: Path) -> Path:
    """A bus with four raw queues: many segments of 64 KiB, one of them live."""
    root = memory_dir / "template"
    for feed in range(4):
        config = QueueConfig(segment_size=64 << 10, prefault=False, durable=("archive-tier",))
        with Queue.open_publisher(BusPaths(root).raw(f"feed{feed}"), config) as writer:
            for seq in range(6000):
                writer.append(
                    200, seq.to_bytes(8, "little") * (8 + (seq + feed) % 9), 1_700_000_000 * 10**9 + seq
                )
    return root


def shipped(root: Path, wanted: int) -> bool:
    files = [
        f
        for p in ArchiveLayout(root / "archive").partitions()
        for f in ArchiveLayout(root / "archive").files(p)
    ]
    return len(files) == wanted and {file.tier for file in files} == {"remote"}


def test_archive_tier_killed_as_a_process_leaves_the_files_that_one_left_alone_leaves(
    memory_dir: Path, queues: Path, scale: Callable[[int, int], int], seed: int, report: Report
) -> None:
    pytest.importorskip("obstore")
    dice = random.Random(seed)
    wanted = sum(len(queue_segments(path)) - 1 for path in BusPaths(queues).raw_dir.iterdir())
    whole = memory_dir / "whole"
    shutil.copytree(queues, whole)
    (whole / "store").mkdir()
    undisturbed("services.archive_tier", whole, ARCHIVE, KEEPING, lambda: shipped(whole, wanted))
    expected = files_below(whole / "archive", whole) | files_below(whole / "store", whole)
    assert len(expected) == 2 * wanted > 80
    kills = rounds = 0
    while kills < scale(8, 250):
        root = memory_dir / f"round{rounds}"
        shutil.copytree(queues, root)
        (root / "store").mkdir()
        done = lambda: shipped(root, wanted)  # noqa: B023, E731  (asked within this round)
        kills += kill_until_done("services.archive_tier", root, ARCHIVE, KEEPING, done, dice, 0.3)
        undisturbed("services.archive_tier", root, ARCHIVE, KEEPING, done)  # what was left half made is swept
        assert files_below(root / "archive", root) | files_below(root / "store", root) == expected
        the_manifest_is_that_of_the_files(root)
        shutil.rmtree(root)
        rounds += 1
    report(kills=kills, rounds=rounds, segments=wanted)


def the_manifest_is_that_of_the_files(root: Path) -> None:
    layout = ArchiveLayout(root / "archive")
    with Manifest(layout.manifest) as kept, Manifest(root / "other.sqlite") as made:
        rebuild(layout, made)
        assert made.dump() == kept.dump()
        assert verify_archive(layout, kept, RemoteOpener()).findings == []


def clean(root: Path) -> dict[str, list[list[tuple[int, int, bytes]]]]:
    top = BusPaths(root).clean_dir
    return {
        str(control.parent.relative_to(top)): records_by_segment(control.parent)
        for control in sorted(top.rglob("control.meta"))
    }


def refined(root: Path) -> bool:
    info = inspect(BusPaths(root).raw("feed"))
    return any(reader.name == "etl" and reader.lag_records == 0 for reader in info.readers)


@pytest.fixture
def hard_day(memory_dir: Path) -> Path:
    """Around the last midnight there was: its segments have no age to be rolled for."""
    root = memory_dir / "template"
    write_raw(BusPaths(root).raw("feed"), 60_000, 1, day_bounds(day_of(time.time_ns()))[0])
    return root


def test_the_refinery_killed_as_a_process_writes_what_one_left_alone_writes(
    memory_dir: Path, hard_day: Path, scale: Callable[[int, int], int], seed: int, report: Report
) -> None:
    dice = random.Random(seed)
    whole = memory_dir / "whole"
    shutil.copytree(hard_day, whole)
    undisturbed("services.etl", whole, ETL, REFINING, lambda: refined(whole))
    expected = clean(whole)
    assert len(expected) >= 14
    assert sum(map(len, expected.values())) > 100
    kills = rounds = 0
    while kills < scale(8, 250):
        root = memory_dir / f"round{rounds}"
        shutil.copytree(hard_day, root)
        done = lambda: refined(root)  # noqa: B023, E731
        kills += kill_until_done("services.etl", root, ETL, REFINING, done, dice, 0.1)
        undisturbed("services.etl", root, ETL, REFINING, done)
        assert clean(root) == expected
        with suppress(OSError):
            shutil.rmtree(root)
        rounds += 1
    report(kills=kills, rounds=rounds, queues=len(expected))
