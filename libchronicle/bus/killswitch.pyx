# distutils: include_dirs = libchronicle/native libchronicle/bus
"""The reader's side of the kill word: mapped once, read for every order as one load.

`word` always points at readable memory: at the mapped file, or, where the file is missing, unreadable or of the wrong size, at a word
of zeros, which means killed. `refresh()` compares path and mapping (the file may have been removed or replaced) and belongs into the
slow part of a loop, at heartbeat cadence.
"""

import os

from libc.stdint cimport uint64_t

cdef extern from "<sys/mman.h>" nogil:
    void *mmap(void *addr, size_t length, int prot, int flags, int fd, long offset)
    int munmap(void *addr, size_t length)
    int PROT_READ, MAP_SHARED
    void *MAP_FAILED

cdef uint64_t _KILLED = 0
cdef size_t _PAGE = 4096

WORD_ALLOWED = CHR_TRADING_ALLOWED
FILE_SIZE = 4096


cdef class KillSwitch:
    def __cinit__(self, path):
        self.word = &_KILLED
        self._page = NULL
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
            elif self._page == NULL or (found.st_dev, found.st_ino) != (self._device, self._inode):
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

    def __dealloc__(self):
        self._unmap()

    cdef void _unmap(self) noexcept:
        self.word = &_KILLED
        if self._page != NULL:
            munmap(self._page, _PAGE)
            self._page = NULL

    cdef str _map(self):
        cdef void *page
        descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            found = os.fstat(descriptor)
            if found.st_size != FILE_SIZE:
                return f"{found.st_size} bytes instead of {FILE_SIZE}"
            page = mmap(NULL, _PAGE, PROT_READ, MAP_SHARED, descriptor, 0)
        finally:
            os.close(descriptor)
        if page == MAP_FAILED:
            return "cannot be mapped"
        self._page = page
        self._device, self._inode = found.st_dev, found.st_ino
        self.word = <const uint64_t *>page
        return ""
