"""Files that appear complete or not at all, and locks on directories."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from libchronicle.bus.process import ProcessId, boot_id, is_running
from libchronicle.errors import HostError, NoPermission, NoSpace

__all__ = [
    "DIRECTORY_MODE",
    "ENDPOINT_MODE",
    "abandoned",
    "directory_lock",
    "host_error",
    "make_directory",
    "publish_file",
]

DIRECTORY_MODE = 0o2750
"""setgid: what is made inside belongs to the directory's group, which is how read access is given."""


ENDPOINT_MODE = 0o3770
"""Strategy and router each make a queue in an endpoint's directory; sticky: neither may remove the other's."""


def host_error(error: OSError, path: Path, size: int = 0) -> NoPermission | NoSpace | HostError:
    """The error of the tree that tells the operator what to do about `error`."""
    if isinstance(error, PermissionError):
        return NoPermission(path=str(path), reason=error.strerror or "not allowed")
    if error.errno in (28, 122):  # ENOSPC, EDQUOT
        return NoSpace(path=str(path), size=size)
    return HostError(path=str(path), reason=error.strerror or str(error))


def make_directory(path: Path, mode: int = DIRECTORY_MODE) -> None:
    """Make `path` and its parents; a directory that is there keeps the owner and mode the operator gave it."""
    try:
        missing = []
        while not path.is_dir():
            missing.append(path)
            path = path.parent
        for path in reversed(missing):
            with contextlib.suppress(FileExistsError):
                path.mkdir()
                path.chmod(mode)
    except OSError as error:
        raise host_error(error, path) from error


def publish_file(path: Path, content: bytes, mode: int = 0o640, *, keep_open: bool = False) -> int:
    """Write `content` beside `path`, then rename it there. Returns a read-write descriptor if `keep_open`, else -1.

    The bytes are synced before the rename: after a crash of the machine the file is the old one or the new one.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            os.fchmod(descriptor, mode)
            rest = memoryview(content)
            while rest:  # a disk that is almost full takes a part, and says nothing
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
            beside.rename(path)
        except BaseException:
            os.close(descriptor)
            beside.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise host_error(error, path, len(content)) from error
    if keep_open:
        return descriptor
    os.close(descriptor)
    return -1


_BESIDE = re.compile(r"\..+\.(\d{1,9})\.[0-9a-f]{8}")


def abandoned(name: str) -> bool:
    """Is that what a `publish_file` that was killed has left? Not while another process of its number lives."""
    found = _BESIDE.fullmatch(name)
    if found is None:
        return False
    pid = int(found[1])  # our own: a container gives each life the same
    return pid == os.getpid() or not is_running(ProcessId(pid=pid, start_time=0, boot_id=boot_id()))


@contextlib.contextmanager
def directory_lock(path: Path) -> Iterator[None]:
    """Exclusive among all who take it on this directory; given back by the kernel if the holder dies."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise host_error(error, path) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
