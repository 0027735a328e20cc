"""Fixtures of the queue's tests: real processes, and no handle left behind."""

from __future__ import annotations

import gc
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator

import pytest

from libchronicle.native.binding import live_maps


@pytest.fixture(autouse=True)
def _no_mapping_is_left() -> Iterator[None]:
    before = live_maps()
    yield
    gc.collect()
    assert live_maps() <= before, "a mapping outlived its handles and messages"


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
