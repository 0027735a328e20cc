"""A disk that can be filled without filling the user's.

image    where root may mount and the file system is ext4: another ext4 in a file under the directory
tmpfs    where root may mount otherwise
limit    else RLIMIT_FSIZE of the writer: no file may grow, which meets the same code as a full disk (EFBIG as ENOSPC)
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from libchronicle.testing.torture.host import file_system

__all__ = ["Room", "can_be_filled", "small_disk"]

_UNLIMITED = resource.RLIM_INFINITY


class Room:
    """Space that can be taken away and given back."""

    def __init__(self, path: Path, how: str, *, mounted: bool) -> None:
        self.path = path
        self.how = how
        self._mounted = mounted
        self._ballast = path / "ballast"

    def shrink(self, pid: int, left: int, segment_size: int) -> None:
        """Leave `left` bytes; with a limit: let `pid` make no file of a segment's size."""
        if not self._mounted:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (segment_size - 1, _UNLIMITED))
            return
        fd = os.open(self._ballast, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            room = os.statvfs(fd)
            wanted = room.f_bavail * room.f_frsize - left
            size = os.fstat(fd).st_size
            while wanted >= room.f_frsize:
                try:
                    os.posix_fallocate(fd, size, wanted)
                    return
                except OSError:  # the file system's own bookkeeping takes some
                    wanted //= 2
        finally:
            os.close(fd)

    def widen(self, pid: int) -> None:
        """Give the room back."""
        if not self._mounted:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (_UNLIMITED, _UNLIMITED))
            return
        with contextlib.suppress(FileNotFoundError):
            self._ballast.unlink()


def _succeeds(*command: str | Path) -> bool:
    try:
        return (
            subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=30
            ).returncode
            == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return False


def _mount(arena: Path, where: Path, size: int) -> str | None:
    """How it was mounted; None if it may not be."""
    kind, _ = file_system(arena)
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return None
    if kind == "ext4" and shutil.which("mkfs.ext4"):
        image = arena / "image"
        with image.open("wb") as file:
            file.truncate(size)
        made = _succeeds("mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^has_journal", image)
        if made and _succeeds("mount", "-o", "loop", image, where):
            return f"an ext4 of {size >> 20} MiB in a file"
        image.unlink()
    if _succeeds("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", where):
        return f"a tmpfs of {size >> 20} MiB"
    return None


def can_be_filled() -> bool:
    """May a disk be mounted here, or a limit set for another process? Linux only."""
    return hasattr(resource, "prlimit")


@contextlib.contextmanager
def small_disk(arena: Path, size: int) -> Iterator[Room]:
    """The smallest stretch of the truth that the host allows; unmounted at the end."""
    where = arena / "disk"
    where.mkdir()
    how = _mount(arena, where, size)
    try:
        yield Room(where, how or "RLIMIT_FSIZE of the writer (may not mount)", mounted=how is not None)
    finally:
        if how is not None and not _succeeds("umount", where):
            _succeeds("umount", "-l", where)
