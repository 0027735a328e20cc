# distutils: include_dirs = libchronicle/native libchronicle/bus
# distutils: depends = libchronicle/bus/fanin.h libchronicle/native/chr_hot.h
"""Fan-in N to 1 over subscribers. The merge itself is fanin.h; this is its Python face."""

cimport cython
from libc.stdint cimport INT64_MAX, int32_t, int64_t
from libc.string cimport memmove, memset

from libchronicle.native.binding cimport Message, Subscriber, raise_reader
from libchronicle.native.hot cimport chr_frame, chr_frame_header

from libchronicle import errors
from libchronicle.native.binding import now_ns as clock_now_ns
from libchronicle.native.binding import wait_any

MAX_SOURCES = CHR_FANIN_MAX


@cython.final
cdef class FanIn:
    """Many queues read as one, ordered by (timestamp, name of the source); see fanin.pyi."""

    def __cinit__(self, double watermark_s=0.0):
        memset(&self.merge, 0, sizeof(self.merge))
        self.merge.delay_ns = <int64_t>(watermark_s * 1e9)
        self.merge.release_ns = INT64_MAX
        self._subscribers = []
        self._names = []
        self._slots = {}
        self.source = ""
        self.failed = ""

    # ------------------------------------------------------------ sources

    def add(self, Subscriber subscriber not None, name=None):
        cdef str label = name if name is not None else (subscriber.name or subscriber.path)
        cdef int32_t at, slot
        if subscriber.r == NULL:
            raise errors.Closed(path=subscriber.path)
        if label in self._slots:
            raise errors.InvalidName(name=label, kind="source", reason="this fan-in has one of that name")
        if self.merge.count == CHR_FANIN_MAX:
            raise errors.ChannelFull(channel="fan-in", capacity=CHR_FANIN_MAX)
        slot = min(set(range(CHR_FANIN_MAX)) - set(self._slots.values()))
        at = sum(1 for other in self._names if other < label)
        memmove(&self.merge.sources[at + 1], &self.merge.sources[at], (self.merge.count - at) * sizeof(chr_source))
        memset(&self.merge.sources[at], 0, sizeof(chr_source))
        self.merge.sources[at].reader = subscriber.r
        self.merge.sources[at].slot = slot
        self.merge.count += 1
        self._names.insert(at, label)
        self._subscribers.insert(at, subscriber)
        self._slots[label] = slot
        return slot

    def remove(self, str name not None):
        cdef int at = self._index(name)
        cdef Subscriber subscriber = self._subscribers[at]
        if subscriber.r != NULL:
            chr_source_rewind(&self.merge.sources[at])
        memmove(&self.merge.sources[at], &self.merge.sources[at + 1], (self.merge.count - at - 1) * sizeof(chr_source))
        self.merge.count -= 1
        del self._subscribers[at], self._names[at], self._slots[name]
        return subscriber

    def pause(self, str name not None):
        self.merge.sources[self._index(name)].paused = 1

    def resume(self):
        cdef int32_t i
        for i in range(self.merge.count):
            self.merge.sources[i].paused = 0

    @property
    def names(self):
        return tuple(self._names)

    def subscriber(self, str name not None):
        return self._subscribers[self._index(name)]

    def slot(self, str name not None):
        return self._slots[self._names[self._index(name)]]

    def __len__(self):
        return self.merge.count

    # ------------------------------------------------------------ read

    def next(self, now_ns=None):
        cdef chr_frame frame
        cdef int64_t now = 0
        cdef int32_t slot, i
        cdef Subscriber subscriber
        cdef Message message
        memset(&frame, 0, sizeof(frame))
        self._check_open()
        if self.merge.delay_ns > 0:
            now = clock_now_ns() if now_ns is None else now_ns
        slot = chr_fanin_next(&self.merge, now, &frame)
        if slot == CHR_FANIN_NOTHING:
            return None
        if slot < 0:
            self.raise_failed()
        i = 0
        while self.merge.sources[i].slot != slot:
            i += 1
        subscriber = self._subscribers[i]
        self.source = self._names[i]
        if subscriber.r.map != subscriber.mapped:
            subscriber.remap()
        message = Message.__new__(Message)
        message.frame = <const chr_frame_header *>frame.payload - 1
        message.size = frame.size
        message.mapping = subscriber.mapping
        return message

    def wait(self, timeout=None, now_ns=None):
        """Sleeping is the business of the sources that show nothing; a frame the watermark holds back only shortens it."""
        cdef int32_t i
        cdef double left
        cdef list silent = []
        self._check_open()
        if self.merge.count == 0:
            raise errors.NotReady(path="fan-in without a source")
        self.heartbeat()
        if self.merge.delay_ns > 0 and self.merge.release_ns != INT64_MAX:
            left = max(0.0, (self.merge.release_ns - (clock_now_ns() if now_ns is None else now_ns)) * 1e-9)
            timeout = left if timeout is None else min(left, timeout)
            silent = [s for s in self._subscribers if not wait_any([s], 0)]
            if not silent or left == 0.0:
                return True
            return bool(wait_any(silent, timeout)) or timeout == left
        return bool(wait_any(self._subscribers, timeout))

    def commit(self):
        self._check_open()
        chr_fanin_rewind(&self.merge)
        for self.failed, subscriber in zip(self._names, self._subscribers):
            subscriber.commit()
        self.failed = ""

    def flush(self):
        cdef Subscriber subscriber
        self._check_open()
        chr_fanin_rewind(&self.merge)
        for subscriber in self._subscribers:
            subscriber.flush()

    def heartbeat(self):
        cdef Subscriber subscriber
        self._check_open()
        chr_fanin_rewind(&self.merge)
        for subscriber in self._subscribers:
            subscriber.heartbeat()

    # ------------------------------------------------------------ inside

    cdef int raise_failed(self) except -1:
        cdef int32_t at = self.merge.failed
        self.failed = self._names[at]
        return raise_reader(<Subscriber>self._subscribers[at])

    cdef int _index(self, str name) except -1:
        try:
            return self._names.index(name)
        except ValueError:
            raise errors.InvalidName(name=name, kind="source", reason="this fan-in has none of that name") from None

    cdef int _check_open(self) except -1:
        cdef Subscriber subscriber
        for subscriber in self._subscribers:
            if subscriber.r == NULL:
                raise errors.Closed(path=subscriber.path)
        return 0
