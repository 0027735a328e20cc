"""inotify(7) through the C library: be told of names that come and go in a directory.

An optimisation, never the truth: whoever watches also rescans, since the kernel drops events when its queue overflows and knows
nothing of a directory that is replaced. Runs off the hot path.
"""

from __future__ import annotations

import ctypes
import os
import select
import struct
from pathlib import Path
from typing import Final

__all__ = ["DirectoryWatch"]

_IN_ATTRIB: Final = 0x4
_IN_MOVED: Final = 0x40 | 0x80
_IN_CREATE: Final = 0x100
_IN_DELETE: Final = 0x200
_IN_DELETE_SELF: Final = 0x400
_IN_MOVE_SELF: Final = 0x800
_IN_Q_OVERFLOW: Final = 0x4000
_IN_IGNORED: Final = 0x8000
_IN_ONLYDIR: Final = 0x01000000
_MASK: Final = _IN_MOVED | _IN_CREATE | _IN_DELETE | _IN_DELETE_SELF | _IN_MOVE_SELF | _IN_ONLYDIR
_EVENT: Final = struct.Struct("<iIII")
_READ_SIZE: Final = 64 * 1024

_libc: Final = ctypes.CDLL(None, use_errno=True)


class DirectoryWatch:
    """Watches any number of directories. `fileno()` is readable when something changed; `drain()` says only that it did.

    Where the host gives no inotify instance (limits of the user), `active` is False and the rescan carries on alone.
    """

    __slots__ = ("_descriptor", "_watched", "overflows")

    def __init__(self) -> None:
        self._descriptor: int = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self._watched: dict[int, Path] = {}
        self.overflows = 0
        """How often the kernel dropped events; each made a rescan."""

    @property
    def active(self) -> bool:
        return self._descriptor >= 0

    def fileno(self) -> int:
        return self._descriptor

    def watched(self) -> set[Path]:
        return set(self._watched.values())

    def add(self, directory: Path) -> bool:
        """Watch `directory`; False if it is not there (yet) or the host refuses. Harmless if watched already."""
        if not self.active:
            return False
        watch = _libc.inotify_add_watch(self._descriptor, os.fsencode(directory), _MASK)
        if watch < 0:
            return False
        self._watched[watch] = directory
        return True

    def wait(self, timeout_s: float, *also: int) -> bool:
        """Sleep until something changed, one of the descriptors `also` is readable, or the time is over."""
        poller = select.poll()
        for descriptor in (self._descriptor, *also):
            if descriptor >= 0:
                poller.register(descriptor, select.POLLIN)
        return bool(poller.poll(max(0.0, timeout_s) * 1000))

    def drain(self) -> bool:
        """Take all events; True if there were any. Names are not given: what is there is found by looking."""
        changed = False
        while self.active:
            try:
                events = os.read(self._descriptor, _READ_SIZE)
            except BlockingIOError:
                break
            changed = True
            self._note(events)
        return changed

    def close(self) -> None:
        if self.active:
            os.close(self._descriptor)
            self._descriptor = -1
            self._watched.clear()

    def _note(self, events: bytes) -> None:
        offset = 0
        while offset < len(events):
            watch, mask, _, length = _EVENT.unpack_from(events, offset)
            offset += _EVENT.size + length
            if mask & _IN_Q_OVERFLOW:
                self.overflows += 1
            if mask & _IN_MOVE_SELF:  # the path leads elsewhere now: this watch follows the wrong directory
                _libc.inotify_rm_watch(self._descriptor, watch)
            if mask & (_IN_IGNORED | _IN_MOVE_SELF | _IN_DELETE_SELF):
                self._watched.pop(watch, None)
