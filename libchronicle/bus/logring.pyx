# distutils: include_dirs = libchronicle/native libchronicle/bus
# distutils: depends = libchronicle/bus/logring.h
"""Log lines leave the hot thread by a memory copy; see logring.h."""

cimport cython
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport uint64_t

import os

from libchronicle import errors

cdef extern from "logring.h" nogil:
    ctypedef struct chr_logring:
        uint64_t head
        uint64_t tail
        uint64_t dropped
        uint64_t lost
        uint64_t capacity

    chr_logring *chr_logring_open(int fd, uint64_t capacity)
    void chr_logring_close(chr_logring *ring)
    bint chr_logring_put(chr_logring *ring, const void *text, uint64_t size)


@cython.final
cdef class LogRing:
    """A text stream whose lines a native thread writes to a descriptor; see logring.pyi."""

    cdef chr_logring *ring
    cdef int _fd
    cdef int _pid

    def __cinit__(self, int fd, uint64_t capacity_bytes=1 << 20):
        if capacity_bytes < 64 or capacity_bytes & (capacity_bytes - 1):
            raise errors.ConfigError(file="LogRing", key="capacity_bytes", reason="is no power of two of at least 64")
        self._fd = os.dup(fd)
        self._pid = os.getpid()
        self.ring = chr_logring_open(self._fd, capacity_bytes)
        if self.ring == NULL:
            os.close(self._fd)
            raise errors.HostError(path="log ring", reason="no memory or no thread")

    def write(self, str text not None):
        cdef Py_ssize_t size
        cdef const char *utf8 = PyUnicode_AsUTF8AndSize(text, &size)
        if self.ring == NULL:
            raise errors.Closed(path="log ring")
        chr_logring_put(self.ring, utf8, size)
        return len(text)

    def flush(self):
        """Nothing: the writing thread is never waited for. `close()` writes what is left."""

    @property
    def dropped(self):
        return self.ring.dropped if self.ring != NULL else 0

    @property
    def lost_bytes(self):
        return self.ring.lost if self.ring != NULL else 0

    @property
    def waiting_bytes(self):
        return self.ring.head - self.ring.tail if self.ring != NULL else 0

    def close(self):
        cdef chr_logring *ring = self.ring
        self.ring = NULL
        if ring == NULL:
            return
        if os.getpid() == self._pid:  # a forked child has no such thread to join
            with nogil:
                chr_logring_close(ring)
        os.close(self._fd)

    def __dealloc__(self):
        if self.ring != NULL and os.getpid() == self._pid:
            chr_logring_close(self.ring)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
