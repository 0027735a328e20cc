import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from libchronicle.bus.discovery import Added, Removed
from libchronicle.bus.endpoint import Endpoint
from libchronicle.bus.paths import BusPaths
from libchronicle.bus.process import ProcessId, boot_id, is_running
from libchronicle.bus.scanner import RemoteDiscovery


@pytest.fixture
def paths(tmp_path: Path) -> BusPaths:
    return BusPaths(tmp_path)


@pytest.fixture
def discovery(paths: BusPaths) -> Iterator[RemoteDiscovery]:
    discovery = RemoteDiscovery(paths.orders_dir, cadence_s=0.1)
    yield discovery
    discovery.close()


def test_a_child_finds_what_comes_and_goes(paths: BusPaths, discovery: RemoteDiscovery) -> None:
    with Endpoint(paths.endpoint("a b"), epoch=3):
        assert discovery.wait(30) == [Added("a b", paths.endpoint("a b"), 3)]
        assert discovery.wait(0.3) == [], "told once"
    assert discovery.wait(30) == [Removed("a b", paths.endpoint("a b"), 3, "gone")]


def test_a_killed_child_is_replaced_and_nothing_is_told_twice(
    paths: BusPaths, discovery: RemoteDiscovery
) -> None:
    with Endpoint(paths.endpoint("one"), epoch=1), Endpoint(paths.endpoint("two"), epoch=1) as two:
        seen = discovery.wait(30)
        while len(seen) < 2:
            seen += discovery.wait(30)
        os.kill(discovery.pid, signal.SIGKILL)
        two.close()
        assert discovery.wait(30) == [Removed("two", paths.endpoint("two"), 1, "gone")]
        assert discovery.restarts == 1
    assert [type(event) for event in discovery.wait(30)] == [Removed]


def test_the_child_ends_with_its_parent(paths: BusPaths) -> None:
    discovery = RemoteDiscovery(paths.orders_dir, cadence_s=0.1)
    discovery.wait(1)
    child = discovery._child
    assert child is not None
    assert child.stdin is not None
    child.stdin.close()  # what the kernel does when the parent is killed
    child.wait(30)
    assert not is_running(ProcessId(child.pid, 0, boot_id()))
    discovery.close()


def test_a_wait_can_be_interrupted(discovery: RemoteDiscovery) -> None:
    discovery.wait(0)
    threading.Timer(0.1, discovery.interrupt).start()
    began = time.monotonic()
    assert discovery.wait(100) == []
    assert time.monotonic() - began < 100
