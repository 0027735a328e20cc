"""The writing side of a counters file: one store per update. Layout and rules: layout.py."""

import os

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from libchronicle.counters import layout
from libchronicle.counters.fresh import fresh_mapping
from libchronicle.counters.reader import read_counters
from libchronicle.errors import AlreadyRunning, ChronicleError, MisuseError

cdef extern from *:
    """
    #include <time.h>
    static inline int64_t chr_monotonic_coarse(void) {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);   /* vDSO: no system call */
        return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
    }
    static inline void chr_release_u32(void *p, uint32_t v) { __atomic_store_n((uint32_t *)p, v, __ATOMIC_RELEASE); }
    """
    int64_t chr_monotonic_coarse() noexcept nogil
    void chr_release_u32(void *p, uint32_t v) noexcept nogil

cdef Py_ssize_t HEADER = layout.HEADER_BYTES
cdef Py_ssize_t DESCRIPTOR = layout.DESCRIPTOR_BYTES
cdef Py_ssize_t SLOT = layout.SLOT_BYTES
cdef Py_ssize_t USED = layout.USED_OFFSET
cdef Py_ssize_t HEARTBEAT = layout.HEARTBEAT_OFFSET
cdef Py_ssize_t STATE = layout.STATE_OFFSET
cdef Py_ssize_t STATE_SIZE = layout.STATE_BYTES


cdef class Counter:
    """One number; `add` and `set` are one store each."""

    def add(self, uint64_t n=1):
        self.slot[0] += n

    def set(self, value):
        self.slot[0] = <uint64_t> <int64_t> value

    @property
    def value(self):
        return <int64_t> self.slot[0]


cdef class Histogram:
    """Counts per bucket and their sum."""

    cdef void observe_native(self, int64_t value) noexcept nogil:
        cdef int i = 0
        while i < self.buckets and value > self.bounds[i]:
            i += 1
        (<uint64_t *> (self.base + i * 64))[0] += 1
        (<int64_t *> (self.base + (self.buckets + 1) * 64))[0] += value

    def observe(self, int64_t value):
        self.observe_native(value)


cdef class CounterFile:
    """The counters of one daemon, in a mapped file that outlives it."""

    @staticmethod
    def create(path, name, capacity=layout.CAPACITY):
        """A fresh file that takes the place of an older one by rename: counts start at 0, as after any restart.

        Raises:
            AlreadyRunning: the file belongs to another process that lives; its counters stay.
            HostError: the directory cannot be written.
        """
        return _create(os.fspath(path), name, capacity)

    cdef char *_claim(self, int kind, str name, str help, object labels, double scale, int slots) except NULL:
        cdef bytes text
        cdef char *d
        cdef int first = self.used
        if self._map is None:
            raise MisuseError(reason=f"{self.path}: the counters file is closed")
        if first + slots > self.capacity:
            raise MisuseError(reason=f"{self.path}: all {self.capacity} counters are taken; raise capacity")
        d = self.base + HEADER + first * DESCRIPTOR
        text = layout.descriptor(slots, scale, name, layout.join_labels(labels), help)
        memcpy(d + 4, <char *> text + 4, len(text) - 4)
        chr_release_u32(d, kind)
        self.used = first + slots
        chr_release_u32(self.base + USED, self.used)
        return self.base + HEADER + self.capacity * DESCRIPTOR + first * SLOT

    def counter(self, name, help="", labels=None, scale=1.0):
        """A number that only grows; `scale` turns it into the unit of its name when exported."""
        cdef Counter c = Counter.__new__(Counter)
        c.slot = <uint64_t *> self._claim(layout.KIND_COUNTER, name, help, labels, scale, 1)
        c._file = self._map
        return c

    def gauge(self, name, help="", labels=None, scale=1.0):
        """A signed number that goes both ways."""
        cdef Counter c = Counter.__new__(Counter)
        c.slot = <uint64_t *> self._claim(layout.KIND_GAUGE, name, help, labels, scale, 1)
        c._file = self._map
        return c

    def histogram(self, name, help="", bounds=(), labels=None, scale=1.0):
        """Counts per bucket; `bounds` are inclusive upper bounds, ascending, at most 32, in raw units (before `scale`)."""
        cdef Histogram h = Histogram.__new__(Histogram)
        cdef int i
        if not bounds or len(bounds) > 32 or list(bounds) != sorted(set(bounds)):
            raise MisuseError(reason=f"{name}: histogram bounds must be 1 to 32 ascending numbers, not {bounds!r}")
        h.buckets = len(bounds)
        h.base = self._claim(layout.KIND_HISTOGRAM, name, help, labels, scale, h.buckets + 2)
        for i in range(h.buckets):
            h.bounds[i] = bounds[i]
            (<int64_t *> (h.base + i * 64))[1] = bounds[i]
        h._file = self._map
        return h

    cdef void heartbeat_native(self) noexcept nogil:
        self.beat[0] = chr_monotonic_coarse()

    def heartbeat(self):
        """Called by the loop that does the work, never by a helper that would hide a hung loop."""
        if self._map is not None:
            self.beat[0] = chr_monotonic_coarse()

    def set_state(self, str text):
        """A word for the operator: what the daemon is doing (`TRADING`, `SYNCING` …)."""
        cdef bytes raw = text.encode()[:STATE_SIZE - 1].ljust(STATE_SIZE, b"\0")
        if self._map is not None:
            memcpy(self.base + STATE, <char *> raw, STATE_SIZE)

    def close(self):
        """Heartbeat 0 marks an orderly end. The mapping lives as long as a counter of it does."""
        if self._map is not None:
            self.beat[0] = 0
            self.set_state("STOPPED")
            self._map = None


cdef _refuse_if_owned(str path):
    try:
        owner = read_counters(path)
    except (ChronicleError, OSError):
        return
    if owner.alive and owner.heartbeat_age_s is not None and owner.pid != os.getpid():
        raise AlreadyRunning(name=owner.name, pid=owner.pid, path=path)


cdef _create(str path, str name, int capacity):
    cdef CounterFile self = CounterFile.__new__(CounterFile)
    cdef unsigned char[:] view
    _refuse_if_owned(path)
    size = layout.file_size(capacity)
    with fresh_mapping(path, size, "counters file") as self._map:
        header = layout.header(name, capacity)
        self._map[:len(header)] = header
        view = self._map
        self.base = <char *> &view[0]
        self.beat = <int64_t *> (self.base + HEARTBEAT)
        self.path, self.name, self.capacity, self.used = path, name, capacity, 0
        self.heartbeat()
    return self
