"""Files under way, until all of them are whole.

    <root>/.extract-<8 hex digits>/<number>.making

The directory is locked by who fills it, and the kernel gives the lock back when he dies. So whoever makes the next one in
the same root removes those that nobody holds: what a kill left.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["Making", "sweep"]

_PREFIX: Final = ".extract-"


class Making:
    """Raises OSError, as all of its methods do."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        sweep(root)
        self._targets: list[tuple[Path, Path]] = []
        self._home, self._lock = _locked_directory(root)

    def path(self, target: Path) -> Path:
        """Where to write what becomes `target`."""
        beside = self._home / f"{len(self._targets)}.making"
        self._targets.append((beside, target))
        return beside

    def publish(self) -> list[Path]:
        """All are whole, and appear under their names."""
        for beside, target in self._targets:
            target.parent.mkdir(parents=True, exist_ok=True)
            beside.rename(target)
        self.abandon()
        return [target for _, target in self._targets]

    def abandon(self) -> None:
        """Nothing that has not appeared does."""
        shutil.rmtree(self._home, ignore_errors=True)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def sweep(root: Path) -> None:
    """Remove what dead makers left in `root`; what cannot be removed stays."""
    for left in root.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError), _held(left):
            shutil.rmtree(left)


def _locked_directory(root: Path) -> tuple[Path, int]:
    """A sweeper may come between making it and locking it: then another one."""
    while True:
        home = root / f"{_PREFIX}{secrets.token_hex(4)}"
        home.mkdir()
        try:
            lock = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        fcntl.flock(lock, fcntl.LOCK_EX)
        if home.exists():
            return home, lock
        os.close(lock)


@contextlib.contextmanager
def _held(directory: Path) -> Iterator[None]:
    """Raises OSError where somebody else holds it."""
    lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(lock)
