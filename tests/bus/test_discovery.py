import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from libchronicle.bus.discovery import Added, Discovery, Removed, Roster, Sighting, scan
from libchronicle.bus.endpoint import Endpoint
from libchronicle.bus.lease import Liveness
from libchronicle.bus.paths import BusPaths

ALIVE = Liveness.ALIVE


def seen(name: str, liveness: Liveness = ALIVE, made: int = 1, epoch: int = 1) -> Sighting:
    return Sighting(name, Path(name), liveness, epoch, (1, 1, made))


def test_a_roster_tells_each_change_once_and_in_order() -> None:
    roster = Roster()
    assert roster.update([seen("b"), seen("a")]) == [Added("a", Path("a"), 1), Added("b", Path("b"), 1)]
    assert roster.update([seen("a"), seen("b")]) == []
    assert roster.update([seen("b")]) == [Removed("a", Path("a"), 1, "gone")]
    assert roster.names() == ["b"]


@pytest.mark.parametrize("end", [Liveness.EXPIRED, Liveness.DEAD, Liveness.RELEASED, Liveness.ABSENT])
def test_an_endpoint_whose_lease_ended_is_removed_though_its_marker_stays(end: Liveness) -> None:
    roster = Roster()
    roster.update([seen("a")])
    assert roster.update([seen("a", end)]) == [Removed("a", Path("a"), 1, end.value)]
    assert roster.update([seen("a", end)]) == []


def test_a_lease_that_cannot_be_read_changes_nothing() -> None:
    roster = Roster()
    assert roster.update([seen("a", Liveness.UNKNOWN)]) == []
    roster.update([seen("a")])
    assert roster.update([seen("a", Liveness.UNKNOWN)]) == []


def test_a_restart_between_two_scans_is_told_as_removed_and_added() -> None:
    roster = Roster()
    roster.update([seen("a", made=1, epoch=1)])
    assert roster.update([seen("a", made=2, epoch=2)]) == [
        Removed("a", Path("a"), 1, "registered anew"),
        Added("a", Path("a"), 2),
    ]


@pytest.fixture
def paths(tmp_path: Path) -> BusPaths:
    return BusPaths(tmp_path)


@pytest.fixture
def slow(paths: BusPaths) -> Iterator[Discovery]:
    """Rescans once an hour: whatever is found in time was told by inotify."""
    discovery = Discovery(paths.orders_dir, cadence_s=3600)
    discovery.poll()
    yield discovery
    discovery.close()


def test_an_endpoint_is_found_and_lost_by_event_before_its_directory_even_exists(
    paths: BusPaths, slow: Discovery
) -> None:
    with Endpoint(paths.endpoint("alpha 1"), epoch=4):
        events = slow.wait(30)
        while not events:
            events = slow.wait(30)
        assert events == [Added("alpha 1", paths.endpoint("alpha 1"), 4)]
        assert slow.wait(0.05) == []
    assert slow.wait(30) == [Removed("alpha 1", paths.endpoint("alpha 1"), 4, "gone")]


def test_a_directory_without_the_marker_is_no_endpoint(paths: BusPaths) -> None:
    paths.orders_out("half").mkdir(parents=True)
    (paths.endpoint("half") / "LEASE").write_bytes(b"junk")
    (paths.orders_dir / "a stranger").mkdir()
    assert scan(paths.orders_dir) == []


def test_what_inotify_missed_is_found_by_the_rescan(paths: BusPaths) -> None:
    discovery = Discovery(paths.orders_dir, cadence_s=0.05)
    discovery.watcher._watch.close()  # the host gave no inotify instance
    assert not discovery.watcher._watch.active
    with Endpoint(paths.endpoint("alpha"), epoch=1):
        assert [type(event) for event in discovery.wait(30)] == [Added]
    assert [type(event) for event in discovery.wait(30)] == [Removed]
    discovery.close()


def test_the_cadence_is_honoured(paths: BusPaths) -> None:
    now = 0.0
    discovery = Discovery(paths.orders_dir, cadence_s=0.5, monotonic_s=lambda: now)
    discovery.poll()
    for now in (0.1, 0.2, 0.49):  # noqa: B007 -- read by the clock above
        discovery.poll()
    assert discovery.watcher.scans == 1
    now = 0.5
    discovery.poll()
    assert discovery.watcher.scans == 2
    discovery.close()


def test_a_replaced_directory_is_watched_again(paths: BusPaths, slow: Discovery) -> None:
    with Endpoint(paths.endpoint("alpha"), epoch=1):
        assert slow.wait(30)
        paths.orders_dir.rename(paths.orders_dir.with_name("old"))
        assert slow.wait(30) == [Removed("alpha", paths.endpoint("alpha"), 1, "gone")]
        shutil.move(paths.orders_dir.with_name("old"), paths.orders_dir)
        events = slow.wait(30)
        assert [type(event) for event in events] == [Added]


def test_a_killed_holder_is_removed_within_the_cadence(paths: BusPaths) -> None:
    code = (
        "import sys, time; from pathlib import Path; from libchronicle.bus.endpoint import Endpoint\n"
        "with Endpoint(Path(sys.argv[1]), epoch=1, ttl_s=60): print('up', flush=True); time.sleep(60)"
    )
    discovery = Discovery(paths.orders_dir, cadence_s=0.1)
    command = [sys.executable, "-c", code, str(paths.endpoint("alpha"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert [type(event) for event in discovery.wait(30)] == [Added]
        process.kill()
        process.wait()
        assert discovery.wait(30) == [Removed("alpha", paths.endpoint("alpha"), 1, "process ended")]
    discovery.close()


def test_many_comings_and_goings_end_in_the_truth(paths: BusPaths) -> None:
    discovery = Discovery(paths.orders_dir, cadence_s=0.02)
    known: dict[str, int] = {}
    for round_ in range(60):
        endpoint = Endpoint(paths.endpoint(f"s{round_ % 7}"), epoch=round_)
        endpoint.register()
        if round_ % 7 != 6:
            endpoint.close()
        for event in discovery.poll():
            if isinstance(event, Added):
                assert event.name not in known, "added twice"
                known[event.name] = event.epoch
            else:
                assert known.pop(event.name) == event.epoch
        if round_ % 7 == 6:
            endpoint.close()
    deadline = time.monotonic() + 30
    while known and time.monotonic() < deadline:
        for event in discovery.wait(1):
            assert isinstance(event, Removed)
            known.pop(event.name)
    assert known == {}
    assert discovery.roster.names() == []
    discovery.close()


def test_a_wait_can_be_interrupted_from_another_thread(slow: Discovery) -> None:
    threading.Timer(0.05, slow.interrupt).start()
    assert slow.wait(None) == []
