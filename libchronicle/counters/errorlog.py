"""A deduplicated error log in a mapped file: text, count, first and last time; readable when its daemon is dead.

    0   u64 magic  8 u32 version  12 u32 entries
    64  entries of 512 bytes: 0 u64 count (stored last of a new entry)  8 i64 first ns  16 i64 last ns  24 u32 length  32 text

One process writes. The same text counts up; when all entries are taken, further new texts count in the last one. The log is
kept over restarts: what went wrong yesterday is still there in the morning.
"""

from __future__ import annotations

import errno
import mmap
import os
import struct
import time
from dataclasses import dataclass
from os import PathLike, fspath

from libchronicle.errors import HostError, NoSpace

MAGIC = 0x31474F4C52524543  # "CERRLOG1" read as little-endian
VERSION = 1
ENTRIES = 128
_START, _SIZE, _TEXT = 64, 512, 480
_ENTRY = struct.Struct("<QqqI4x")
_OVERFLOW = "further errors of other kinds (the log is full)"


@dataclass(frozen=True, slots=True)
class LoggedError:
    """One kind of error."""

    text: str
    count: int
    first_ns: int
    last_ns: int


class ErrorLog:
    """The writing side.

    Raises:
        NoSpace: the disk is full.
        HostError: the file cannot be created or mapped.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = fspath(path)
        size = _START + ENTRIES * _SIZE
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
            try:
                os.posix_fallocate(fd, 0, size)
                self._map = mmap.mmap(fd, size)
            finally:
                os.close(fd)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise NoSpace(path=self.path, size=size) from error
            raise HostError(path=self.path, reason=f"cannot open the error log: {error.strerror}") from error
        if struct.unpack_from("<QII", self._map) != (MAGIC, VERSION, ENTRIES):
            self._map[:] = bytes(size)
            struct.pack_into("<QII", self._map, 0, MAGIC, VERSION, ENTRIES)
        self._index = {entry.text: i for i, entry in enumerate(_entries(self._map))}

    def record(self, error: BaseException | str, now_ns: int | None = None) -> None:
        """Count one occurrence."""
        text = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
        text = text.encode(errors="replace")[:_TEXT].decode(errors="ignore")
        now = time.time_ns() if now_ns is None else now_ns
        i = self._index.get(text)
        if i is None:
            if len(self._index) >= ENTRIES - 1:
                text = _OVERFLOW
            i = self._index.setdefault(text, len(self._index))
        at = _START + i * _SIZE
        (count,) = struct.unpack_from("<Q", self._map, at)
        if count == 0:
            raw = text.encode()
            self._map[at + 32 : at + 32 + len(raw)] = raw
            _ENTRY.pack_into(self._map, at, 0, now, now, len(raw))
        struct.pack_into("<q", self._map, at + 16, now)
        struct.pack_into("<Q", self._map, at, count + 1)

    def close(self) -> None:
        """Unmap."""
        self._map.close()


def read_errors(path: str | PathLike[str]) -> list[LoggedError]:
    """All errors on record, the latest first; empty if there is no log."""
    try:
        with open(path, "rb") as file:
            raw = file.read()
    except FileNotFoundError:
        return []
    if len(raw) < _START + ENTRIES * _SIZE or struct.unpack_from("<QII", raw) != (MAGIC, VERSION, ENTRIES):
        return []
    return sorted(_entries(raw), key=lambda entry: -entry.last_ns)


def _entries(raw: bytes | mmap.mmap) -> list[LoggedError]:
    found = []
    for i in range(ENTRIES):
        at = _START + i * _SIZE
        count, first, last, length = _ENTRY.unpack_from(raw, at)
        if count == 0:
            break
        found.append(
            LoggedError(
                raw[at + 32 : at + 32 + min(length, _TEXT)].decode(errors="replace"), count, first, last
            )
        )
    return found
