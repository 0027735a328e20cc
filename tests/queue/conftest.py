"""Fixtures of the queue's tests: real processes, and no handle left behind."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

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


Under = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def under(tmp_path_factory: pytest.TempPathFactory) -> Under:
    """under(library, code, *args, **environment): Python code that ran to its end with a C library loaded before all others.

    `library` is C source; what it defines stands in for the functions of that name in the process. Built once.
    """
    if sys.platform != "linux" or shutil.which("gcc") is None:
        pytest.skip("needs gcc and LD_PRELOAD")
    built: dict[str, Path] = {}

    def build(library: str) -> Path:
        where = tmp_path_factory.mktemp("under")
        (where / "library.c").write_text(textwrap.dedent(library))
        command = ["gcc", "-shared", "-fPIC", "-O1", where / "library.c", "-o", where / "library.so"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return where / "library.so"

    def run(library: str, code: str, *args: object, **environment: str) -> subprocess.CompletedProcess[str]:
        if library not in built:
            built[library] = build(library)
        return subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code), *map(str, args)],
            env={**os.environ, "LD_PRELOAD": str(built[library]), **environment},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    return run


@pytest.fixture
def another_boot(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """another_boot("name"): what is opened from now on finds this boot id."""

    def play(name: str) -> None:
        monkeypatch.setenv("CHRONICLE_BOOT_ID", name)

    return play
