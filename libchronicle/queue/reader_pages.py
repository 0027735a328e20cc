"""Files under readers/: anybody of the queue's group puts them there, so they may be anything."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from libchronicle.native.binding import lock_held

__all__ = ["read_reader_page"]

_PAGE = 4096


def read_reader_page(file: Path) -> tuple[bytes, bool]:
    """(its first page, is its lock held); no bytes of what is no file or may not be read.

    Never waits, as open() of a pipe would.
    """
    try:
        fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return b"", False
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return b"", False
        return os.pread(fd, _PAGE, 0), lock_held(fd)
    finally:
        os.close(fd)
