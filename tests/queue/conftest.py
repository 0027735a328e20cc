"""Fixtures of the queue's tests: real processes, and no handle left behind."""

from __future__ import annotations

import gc
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator

import pytest

from libchronicle.native.binding import live_maps, platform_facts


@pytest.fixture(autouse=True)
def _no_mapping_is_left() -> Iterator[None]:
    before = live_maps()
    yield
    gc.collect()
    assert live_maps() <= before, "a mapping outlived its handles and messages"


@pytest.fixture
def woken() -> None:
    """For tests of wake-ups, and of system calls by their Linux names: skips where the core was built without them."""
    with tempfile.TemporaryFile() as scratch:
        if platform_facts(scratch.fileno())["shared_words"]:
            pytest.skip("this host has no futex: readers look each millisecond")


Spawn = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """spawn(code, *args): a Python process; args are sys.argv[1:]. Killed at the end of the test."""
    children: list[subprocess.Popen[str]] = []

    def start(code: str, *args: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-u", "-c", textwrap.dedent(code), *map(str, args)]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        children.append(child)
        return child

    yield start
    for child in children:
        child.kill()
        child.communicate()
