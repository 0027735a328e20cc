# distutils: include_dirs = libchronicle/native libchronicle/bus
"""The reader's side of the kill word: mapped once, read for every order as one load.

`word` always points at readable memory: at the mapped file, or, where the file is missing, unreadable or of the wrong size, at a word
of zeros, which means killed. `refresh()` compares path and mapping (the file may have been removed or replaced) and belongs into the
slow part of a loop, at heartbeat cadence. A file cut short while it is mapped reads as zeros: killed at the next load.
"""

import os

from libc.stdint cimport uint64_t

from libchronicle.native.binding cimport map_file

cdef uint64_t _KILLED = 0

WORD_ALLOWED = CHR_TRADING_ALLOWED
FILE_SIZE = 4096


cdef class KillSwitch:
    """Reader's side of the kill word at `path`; missing, unreadable or of the wrong size means killed."""

    def __cinit__(self, path):
        self.word = &_KILLED
        self._path = path
        self._reason = ""
        self.refresh()

    @property
    def killed(self) -> bool:
        return chr_killed(self.word)

    @property
    def reason(self) -> str:
        """Why the file itself cannot be used; empty when it is mapped."""
        return self._reason

    def refresh(self) -> bool:
        """See that the mapping still is the file of that name; True if killed."""
        try:
            found = os.stat(self._path)
            if found.st_size != FILE_SIZE:
                self._unmap()
                self._reason = f"{found.st_size} bytes instead of {FILE_SIZE}"
            elif self._mapping is None or self._mapping.map.broken or (found.st_dev, found.st_ino) != (self._device, self._inode):
                self._unmap()
                self._reason = self._map()
        except OSError as error:
            self._unmap()
            self._reason = error.strerror or "not readable"
        return chr_killed(self.word)

    def close(self) -> None:
        """Killed from here on."""
        self._unmap()
        self._reason = "closed"

    cdef void _unmap(self) noexcept:
        self.word = &_KILLED
        self._mapping = None

    cdef str _map(self):
        descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        found = os.fstat(descriptor)
        if found.st_size != FILE_SIZE:
            os.close(descriptor)
            return f"{found.st_size} bytes instead of {FILE_SIZE}"
        self._mapping = map_file(descriptor, FILE_SIZE)
        self._device, self._inode = found.st_dev, found.st_ino
        self.word = <const uint64_t *> self._mapping.map.base
        return ""
