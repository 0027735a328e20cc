"""The keeper of an archive: what it takes when, that any cut leaves one valid copy, and that damage stops nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from archive_world import NOON, SEGMENT, archive_up_to, config, expected, payload_of, rows, world

from libchronicle.bus.orders import ARCHIVE_READER
from libchronicle.bus.paths import BusPaths
from libchronicle.errors import ArchiveBusy, ChronicleError, NoSpace
from libchronicle.queue import Queue, QueueConfig
from libchronicle.storage.archive import Archive
from libchronicle.storage.catalog import queue_segments
from libchronicle.storage.keeper import Keeper
from libchronicle.storage.layout import ArchiveLayout
from libchronicle.storage.manifest import Manifest
from libchronicle.storage.policy import Compress, TierPolicy
from libchronicle.storage.rebuild import rebuild
from libchronicle.storage.verify import verify_archive

COUNT = 3000
HOUR = 3600 * 10**9
LATER = NOON + 24 * HOUR
AT_ONCE = TierPolicy(warm_after_ns=0, compress="immediate")


def quick(paths: BusPaths, policy: TierPolicy = AT_ONCE, **options: object) -> Keeper:
    return Keeper(paths, policy, level=1, block_size=16384, **options)  # type: ignore[arg-type]


def everything(paths: BusPaths) -> list[tuple[int, int, bytes]]:
    with Archive(paths) as archive:
        return rows(archive.read("v", "S", "trade"))


def tiers(paths: BusPaths) -> list[str]:
    layout = ArchiveLayout.of(paths)
    return [file.tier for partition in layout.partitions() for file in layout.files(partition)]


def test_segments_move_at_the_thresholds_and_not_before(tmp_path: Path) -> None:
    paths = world(tmp_path, COUNT)
    last = NOON + COUNT * 1000
    with quick(paths, TierPolicy()) as keeper:
        keeper.take_sealed(NOON + 2 * HOUR - 1)
        assert (tiers(paths), keeper.tally.waiting) == ([], 7)
        keeper.take_sealed(last + 2 * HOUR)
        assert (tiers(paths), keeper.tally.waiting) == (["warm"] * 7, 0)
        assert keeper.compress_due(NOON + 7 * 24 * HOUR - 1, 99) == 0
        assert keeper.compress_due(last + 7 * 24 * HOUR, 99) == 7
        assert tiers(paths) == ["cold"] * 7
    assert everything(paths) == expected(COUNT)


@pytest.mark.parametrize("compress", ["immediate", "age", "idle", "size"])
def test_a_pass_looks_at_what_is_due_and_not_at_all_that_waits(
    tmp_path: Path, compress: Compress, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = world(tmp_path, COUNT)

    def no_look(*_: object, **__: object) -> None:
        raise AssertionError("every row was looked at")

    with quick(paths, TierPolicy(warm_after_ns=0, compress=compress)) as keeper:
        for name in ("find", "waiting", "totals"):
            monkeypatch.setattr(Manifest, name, no_look)
        assert keeper.take_sealed(LATER) == 7
        assert keeper.compress_due(LATER + 30 * 24 * HOUR, 3) == 3
        assert keeper.compress_due(LATER + 30 * 24 * HOUR) == 4
        monkeypatch.undo()
        assert keeper.totals == keeper.manifest.totals()
    assert tiers(paths) == ["cold"] * 7


def test_segments_that_an_import_adds_meanwhile_are_compressed_too(tmp_path: Path) -> None:
    paths = world(tmp_path, COUNT)
    with quick(paths) as keeper, Manifest(keeper.layout.manifest) as other:
        assert keeper.compress_due(LATER) == 0
        other.put(*archive_up_to(paths, 2, retain=True))
        assert keeper.compress_due(LATER) == 3
        assert keeper.totals == keeper.manifest.totals()


def test_a_warm_file_is_the_queues_own_bytes_under_another_name(tmp_path: Path) -> None:
    paths = world(tmp_path, COUNT)
    with quick(paths) as keeper:
        keeper.take_sealed(LATER)
        queue = queue_segments(paths.clean("v", "S", "trade"))
        for partition in keeper.layout.partitions():
            for file, ref in zip(keeper.layout.files(partition), queue, strict=False):
                assert os.path.samefile(file.path, ref.path)


def test_on_two_devices_a_checked_copy_takes_its_place(tmp_path: Path, other_device: Path) -> None:
    paths = BusPaths(tmp_path, other_device)
    with Queue.open_publisher(paths.clean("v", "S", "trade"), config()) as writer:
        for seq in range(1000):
            writer.append(200, payload_of(seq), NOON + seq * 1000)
        writer.flush()
    with quick(paths) as keeper:
        assert keeper.take_sealed(LATER) == 2
    assert everything(paths) == expected(1000)


@pytest.fixture
def other_device(tmp_path: Path) -> Path:
    import shutil
    import tempfile

    if os.stat("/dev/shm").st_dev == os.stat(tmp_path).st_dev:
        pytest.skip("/dev/shm is on the same device as the temporary directory")
    path = Path(tempfile.mkdtemp(dir="/dev/shm"))
    yield path  # type: ignore[misc]
    shutil.rmtree(path)


def test_retention_waits_for_the_archive_and_goes_on_when_it_has_been_taken(tmp_path: Path) -> None:
    paths = BusPaths(tmp_path)
    path = paths.clean("v", "S", "trade")
    settings = QueueConfig(segment_size=SEGMENT, durable=(ARCHIVE_READER,), retain_segments=0, prefault=False)
    with Queue.open_publisher(path, settings) as writer:
        for seq in range(COUNT):
            writer.append(200, payload_of(seq), NOON + seq * 1000)
        writer.flush()
        time.sleep(1.2)  # a turn of the writer's clean thread, which must do nothing
        assert len(queue_segments(path)) == 8
        with quick(paths) as keeper:
            assert keeper.take_sealed(LATER) == 7
        deadline = time.monotonic() + 60
        while len(queue_segments(path)) > 1 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(queue_segments(path)) == 1
        assert everything(paths) == expected(COUNT)
        with quick(paths) as keeper:
            assert keeper.take_sealed(LATER) == 0


def test_what_has_been_passed_is_not_taken_again_after_a_restart(tmp_path: Path) -> None:
    paths = world(tmp_path, COUNT)
    with quick(paths) as keeper:
        keeper.take_sealed(LATER)
    with quick(paths) as keeper:
        assert keeper.take_sealed(LATER) == 0
        assert keeper.tally.adopted == 0


class Cut(Exception):
    """The process ends here."""


def test_cut_off_at_any_step_one_valid_copy_is_left_and_the_next_run_ends_as_if_nothing_had_been(
    tmp_path: Path,
) -> None:
    steps = 0
    cut_at = 0
    while True:
        paths = world(tmp_path / str(cut_at), 900)
        steps = 0

        def step(name: str) -> None:
            nonlocal steps
            steps += 1
            if steps == cut_at:  # noqa: B023
                raise Cut(name)

        finished = True
        try:
            with quick(paths, step=step) as keeper:
                keeper.take_sealed(LATER)
                while keeper.compress_due(LATER):
                    pass
        except Cut:
            finished = False
        assert everything(paths) == expected(900)
        with quick(paths) as keeper:
            keeper.take_sealed(LATER)
            while keeper.compress_due(LATER):
                pass
            assert tiers(paths) == ["cold"] * 2
            incremental = keeper.manifest.dump()
        with Manifest(tmp_path / str(cut_at) / "other.sqlite") as other:
            rebuild(ArchiveLayout.of(paths), other)
            assert other.dump() == incremental
        assert everything(paths) == expected(900)
        assert not list(paths.archive_dir.rglob(".making*"))
        if finished and cut_at:
            break
        cut_at += 1
    assert cut_at > 15


def test_a_segment_whose_file_is_torn_is_put_aside_and_the_rest_goes_on(tmp_path: Path) -> None:
    paths = world(tmp_path, COUNT)
    queue = paths.clean("v", "S", "trade")
    os.truncate(queue / "000000001.q", SEGMENT // 2)
    head = bytearray((queue / "000000003.q").read_bytes())
    head[0] ^= 1
    (queue / "000000003.q").write_bytes(head)
    told: list[ChronicleError] = []
    with quick(paths, tell=lambda what, error: told.append(error)) as keeper:
        keeper.take_sealed(LATER)
        assert (keeper.tally.adopted, keeper.tally.quarantined) == (5, 2)
    aside = sorted(path.name for path in (paths.archive_dir / "quarantine").iterdir())
    assert len(aside) == 4
    assert sum(name.endswith(".reason.json") for name in aside) == 2
    assert {"000000001.q", "000000003.q"} <= {Path(error.path).name for error in told}  # type: ignore[attr-defined]


def test_a_segment_with_a_bad_frame_is_archived_and_said_to_be_damaged(tmp_path: Path) -> None:
    paths = world(tmp_path, COUNT)
    queue = paths.clean("v", "S", "trade")
    data = bytearray((queue / "000000001.q").read_bytes())
    data[1000] ^= 1
    (queue / "000000001.q").write_bytes(data)
    with quick(paths) as keeper:
        keeper.take_sealed(LATER)
        assert (keeper.tally.adopted, keeper.tally.damaged) == (7, 1)
        while keeper.compress_due(LATER):
            pass
        assert [r.facts.damaged for r in keeper.manifest.find()] == [0, 1, 0, 0, 0, 0, 0]


def test_a_warm_file_that_changed_is_put_aside_instead_of_being_compressed(tmp_path: Path) -> None:
    paths = world(tmp_path, COUNT)
    archive_up_to(paths, 6)
    with quick(paths) as keeper:
        files = [f for p in keeper.layout.partitions() for f in keeper.layout.files(p)]
        data = bytearray(files[2].path.read_bytes())
        data[5000] ^= 1
        files[2].path.write_bytes(data)
        while keeper.compress_due(LATER):
            pass
        assert keeper.tally.quarantined == 1
    assert tiers(paths) == ["cold"] * 6


def test_one_keeper_works_on_an_archive_at_a_time(tmp_path: Path) -> None:
    paths = world(tmp_path, 10)
    with quick(paths), pytest.raises(ArchiveBusy, match="another process"), quick(paths):
        pass


def test_raw_orders_and_sessions_are_archived_under_venues_of_their_own(tmp_path: Path) -> None:
    paths = BusPaths(tmp_path)
    places = {
        paths.raw("binance-spot"): "_raw/binance-spot/2024-08-08/raw",
        paths.orders_out("alpha"): "_orders/alpha/2024-08-08/orders_out",
        paths.orders_in("alpha"): "_orders/alpha/2024-08-08/orders_in",
        paths.session("strategy-alpha"): "_sessions/strategy-alpha/2024-08-08/session",
        paths.clean("v", "S", "book.late"): "v/S/2024-08-08/book",
    }
    for path in places:
        with Queue.open_publisher(path, config()) as writer:
            writer.append(200, b"x", NOON)
            writer.roll()
            writer.append(200, b"y", NOON + 1)
            writer.flush()
    with quick(paths) as keeper:
        assert keeper.take_sealed(LATER) == 5
        assert sorted(map(str, keeper.layout.partitions())) == sorted(places.values())
    with Archive(paths) as archive:
        assert [bytes(m) for m in archive.read("_orders", "alpha", "orders_in")] == [b"x", b"y"]
        assert [bytes(m) for m in archive.read("_raw", "binance-spot", "raw")] == [b"x", b"y"]


def test_what_is_written_badly_is_written_again_and_the_good_file_stays(tmp_path: Path) -> None:
    paths = world(tmp_path, COUNT)
    spoiled: list[Path] = []

    def medium_that_lies_once(name: str) -> None:
        if name == "read back" and not spoiled:
            spoiled.extend(paths.archive_dir.rglob(".making-*"))
            content = bytearray(spoiled[0].read_bytes())
            content[len(content) // 3] ^= 1
            spoiled[0].write_bytes(content)

    with quick(paths, step=medium_that_lies_once) as keeper:
        keeper.take_sealed(LATER)
        for number in range(7):
            (paths.clean("v", "S", "trade") / f"{number:09d}.q").unlink(missing_ok=True)
        assert keeper.compress_due(LATER) == 0
        assert (keeper.tally.failures, keeper.tally.quarantined) == (1, 0)
        assert keeper.compress_due(LATER) == 7
    assert tiers(paths) == ["cold"] * 7
    assert everything(paths) == expected(COUNT)


def test_a_small_file_that_a_killed_process_left_half_made_is_swept_and_one_of_a_living_process_is_not(
    tmp_path: Path,
) -> None:
    """Stubs and reasons are published by their own rule, not by that of segments."""
    paths = world(tmp_path, COUNT)
    where = paths.archive_dir / "v1" / "somewhere"
    where.mkdir(parents=True)
    code = """
        import os, signal, sys
        from pathlib import Path
        from libchronicle.bus.files import publish_file
        os.fsync = lambda descriptor: os.kill(os.getpid(), getattr(signal, sys.argv[2]))
        publish_file(Path(sys.argv[1]), b"{}")
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(where / "a.remote")]
    subprocess.run([*command, "SIGKILL"], check=False)
    (killed,) = os.listdir(where)
    with subprocess.Popen([*command, "SIGSTOP"]) as stopped:
        os.waitid(os.P_PID, stopped.pid, os.WSTOPPED | os.WNOWAIT)
        with quick(paths) as keeper:
            assert keeper.tally.swept == 1
        (left,) = os.listdir(where)
        assert left != killed
        stopped.kill()
    with quick(paths) as keeper:
        assert keeper.tally.swept == 1
    assert os.listdir(where) == []


@pytest.mark.parametrize("damaged", [0, 3])
def test_a_queues_file_with_a_damaged_header_is_put_aside_wherever_it_stands(
    tmp_path: Path, damaged: int
) -> None:
    paths = world(tmp_path, COUNT)
    path = paths.clean("v", "S", "trade") / f"{damaged:09d}.q"
    _overwrite(path, 16, b"\xff\xff")
    with quick(paths) as keeper:
        assert keeper.take_sealed(LATER) == 6
        assert keeper.take_sealed(LATER) == 0
        assert [p.name[13:] for p in keeper.layout.quarantine.glob("*.q")] == [path.name]
        assert keeper.tally.quarantined == 1


def test_a_damaged_seal_holds_up_nothing_and_the_records_are_archived(tmp_path: Path) -> None:
    paths = world(tmp_path, COUNT)
    _overwrite(paths.clean("v", "S", "trade") / "000000003.q", 100, b"\xff\xff")
    with quick(paths) as keeper:
        assert keeper.take_sealed(LATER) == 7
    for number in range(7):
        (paths.clean("v", "S", "trade") / f"{number:09d}.q").unlink()
    assert everything(paths) == expected(COUNT)


def _overwrite(path: Path, offset: int, content: bytes) -> None:
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(content)


def test_a_segment_that_moved_on_before_the_queue_was_told_is_not_taken_twice(tmp_path: Path) -> None:
    paths = world(tmp_path, COUNT)
    full = [True]

    def step(name: str) -> None:
        if name == "commit" and full[0]:
            raise NoSpace(path=str(tmp_path), size=4096)

    with quick(paths, step=step) as keeper:
        keeper.take_sealed(LATER)
        assert keeper.compress_due(LATER) == 1
        full[0] = False
        assert keeper.take_sealed(LATER) == 7
        assert (keeper.compress_due(LATER), keeper.tally.adopted) == (6, 7)
        assert tiers(paths) == ["cold"] * 7
        assert verify_archive(keeper.layout, keeper.manifest).sound
    assert everything(paths) == expected(COUNT)


def test_a_manifest_that_cannot_be_written_now_is_told_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libchronicle.storage.manifest._BUSY_S", 0.05)
    paths = world(tmp_path, COUNT)
    with quick(paths) as keeper, Manifest(keeper.layout.manifest) as other:
        keeper.take_sealed(LATER)
        with other.replacing():  # a rebuild that takes its time
            assert keeper.compress_due(LATER) == 0
            for record in list(keeper.manifest.find()):
                other.put(record)
        assert keeper.compress_due(LATER) == 7
        assert keeper.tally.failures == 1
        assert verify_archive(keeper.layout, keeper.manifest).sound
    assert tiers(paths) == ["cold"] * 7


def test_what_one_segment_is_refused_stops_no_other(tmp_path: Path) -> None:
    paths = world(tmp_path, COUNT)
    with quick(paths) as keeper:
        keeper.take_sealed(LATER)
        oldest = list(keeper.manifest.find())[:3]
        in_the_way = [keeper.layout.segment(one.partition, one.id, "cold") for one in oldest]
        for path in in_the_way:
            path.mkdir()
        for _ in range(8):
            keeper.compress_due(LATER, 2)
        cold = [record.id.number for record in keeper.manifest.find(tier="cold")]
        assert cold == [3, 4, 5, 6]
        for path in in_the_way:
            path.rmdir()
        for _ in range(2):
            keeper.compress_due(LATER, 2)
        assert tiers(paths) == ["cold"] * 7


def test_records_with_times_of_the_future_do_not_stay_in_their_queue(tmp_path: Path) -> None:
    paths = world(tmp_path, COUNT, start_ns=NOON + 3650 * 24 * HOUR)
    with quick(paths, TierPolicy()) as keeper:
        assert keeper.take_sealed(LATER) == 7
