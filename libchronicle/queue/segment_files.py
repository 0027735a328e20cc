"""Which files of a queue's directory are segments, and what stands at their beginning.

A directory, a pipe or a link to nowhere may bear such a name too: nothing here waits for one, and it counts as damage.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Final

from libchronicle.errors import HostError

__all__ = ["SEGMENT_HEAD", "is_file", "open_to_read", "read_head", "segment_numbers"]

SEGMENT_HEAD: Final = 128
"""Bytes of header and seal, before the first frame."""

_NAME: Final = re.compile(r"([0-9]{9})\.q")


def segment_numbers(path: Path) -> list[int]:
    """By their names, ascending."""
    found = (_NAME.fullmatch(name) for name in os.listdir(path))
    return sorted(int(match[1]) for match in found if match is not None)


def is_file(file: Path) -> bool:
    """Raises FileNotFoundError or NotADirectoryError if there is nothing of that name."""
    try:
        return stat.S_ISREG(os.stat(file).st_mode)
    except FileNotFoundError:
        if file.is_symlink():
            return False
        raise
    except NotADirectoryError:
        raise
    except OSError:  # a link to itself
        return False


def open_to_read(file: Path) -> int:
    """A descriptor, at once: open() of a pipe would wait for its other end.

    Raises FileNotFoundError also for a segment that its writer is making into another one at this moment, HostError for
    one on which a process that is no writer holds a lease.
    """
    try:
        return os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except BlockingIOError:
        os.stat(file)  # the writer hides a file before it takes a lease
        raise HostError(
            path=str(file), reason="another process holds a lease on it; `lslocks` tells which"
        ) from None


def read_head(file: Path) -> tuple[bytes, int]:
    """(header and seal, size of the file); nothing of what is no file. Raises FileNotFoundError, PermissionError."""
    if not is_file(file):
        return b"", 0
    fd = open_to_read(file)
    try:
        return os.pread(fd, SEGMENT_HEAD, 0), os.fstat(fd).st_size
    finally:
        os.close(fd)
