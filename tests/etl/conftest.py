"""Directories of the refinery's tests lie in memory: a busy disk would be most of what they take.

What is on the medium after a power cut is for tests/proof; a killed process leaves the same in either place.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")


class Directories:
    """Makes them as pytest's own factory does, and takes them away at the end."""

    def __init__(self, top: Path) -> None:
        self._top = top

    def mktemp(self, name: str, numbered: bool = True) -> Path:
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self._top))


@pytest.fixture(scope="session")
def tmp_path_factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    if not os.access(MEMORY, os.W_OK):
        yield tmp_path_factory
        return
    top = Path(tempfile.mkdtemp(prefix="chronicle-etl-", dir=MEMORY))
    yield Directories(top)
    shutil.rmtree(top, ignore_errors=True)


@pytest.fixture
def tmp_path(tmp_path_factory: Directories) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("test")
    yield path
    shutil.rmtree(path, ignore_errors=True)  # memory is dear
