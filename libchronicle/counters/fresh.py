"""A mapped file that others look at while its one writer lives, made anew at every start."""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
from collections.abc import Iterator

from libchronicle.errors import HostError, NoSpace

__all__ = ["fresh_mapping"]


@contextlib.contextmanager
def fresh_mapping(path: str, size: int, what: str) -> Iterator[mmap.mmap]:
    """Zeros that are really there; by rename they take the place of `path` when the block has ended.

    Raises NoSpace, HostError.
    """
    beside = f"{path}.{os.getpid()}.tmp"
    try:
        fd = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        try:
            os.posix_fallocate(fd, 0, size)
            mapping = mmap.mmap(fd, size)
        finally:
            os.close(fd)
        yield mapping
        os.rename(beside, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoSpace(path=path, size=size) from error
        raise HostError(path=path, reason=f"cannot create the {what}: {error.strerror}") from error
