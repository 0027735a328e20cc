"""A descriptor that wakes a thread out of poll(2)."""

from __future__ import annotations

import os

__all__ = ["Interrupt"]


class Interrupt:
    """Set by any thread or signal handler, taken by the one that polls `fileno()`."""

    __slots__ = ("_descriptor",)

    def __init__(self) -> None:
        self._descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def fileno(self) -> int:
        return self._descriptor

    def set(self) -> None:
        if self._descriptor >= 0:
            os.eventfd_write(self._descriptor, 1)

    def take(self) -> bool:
        """True once for any number of `set` since the last call."""
        try:
            return os.eventfd_read(self._descriptor) > 0
        except BlockingIOError:
            return False

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
