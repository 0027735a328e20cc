"""Mapping, Message, Subscriber. Included by binding.pyx."""

@cython.final
@cython.no_gc
cdef class Mapping:
    """Keeps one mapped file alive."""

    def __dealloc__(self):
        if self.map != NULL:
            chr_map_release(self.map)


cdef chr_frame_header _NO_FRAME  # what a Message shows that never came from a queue
memset(&_NO_FRAME, 0, sizeof(_NO_FRAME))


@cython.final
@cython.freelist(1024)
@cython.no_gc
cdef class Message:
    """One record. Speaks the buffer protocol without a copy; the mapping lives as long as the message or a view of it."""

    def __cinit__(self):
        self.frame = &_NO_FRAME

    def __init__(self):
        raise TypeError("messages come from a Subscriber")

    @property
    def seq(self):
        return self.frame.seq

    @property
    def ts_ns(self):
        return self.frame.ts_ns

    @property
    def type_id(self):
        return self.frame.type_id

    @property
    def epoch(self):
        return self.frame.epoch

    @property
    def flags(self):
        return self.frame.flags

    @property
    def payload(self):
        """memoryview of the payload, zero copy."""
        return memoryview(self)

    def __len__(self):
        return self.size

    def __bytes__(self):
        return PyBytes_FromStringAndSize(<const char *>(self.frame + 1), self.size)

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        PyBuffer_FillInfo(buffer, self, <void *>(self.frame + 1), self.size, 1, flags)

    def __releasebuffer__(self, Py_buffer *buffer):
        pass

    def __repr__(self):
        return f"Message(seq={self.seq}, type_id={self.type_id}, ts_ns={self.ts_ns}, epoch={self.epoch}, size={self.size})"


class WriterStatus(enum.StrEnum):
    """Is there a writer, and does its loop run?"""

    ALIVE = "alive"
    STALE = "stale"  # holds the lock, its loop has not beaten for ttl
    CLOSED = "closed"  # left in order
    LOST = "lost"  # died, or the queue is no longer what the reader opened


class DisconnectReason(enum.StrEnum):
    """Why a reader gets nothing more from where it reads."""

    LOCK_LOST = "lock lost"
    HEARTBEAT_STALE = "heartbeat stale"
    SEGMENT_MISSING = "segment missing"
    QUEUE_REPLACED = "queue replaced"


_REASONS = {
    CHR_GONE_LOCK: DisconnectReason.LOCK_LOST,
    CHR_GONE_STALE: DisconnectReason.HEARTBEAT_STALE,
    CHR_GONE_SEGMENT: DisconnectReason.SEGMENT_MISSING,
    CHR_GONE_REPLACED: DisconnectReason.QUEUE_REPLACED,
}

LOST_TYPE = 0xFFFE  # a record of the queue itself: seqs from..to (two u64) are lost

STARTS = ("resume", "resume_or_oldest", "latest", "earliest")


@cython.final
cdef class Subscriber:
    """One reader of a queue. Use `libchronicle.queue.Queue.open_subscriber`."""

    def __cinit__(self, str path, name, config, str start="resume", seq=None, time_ns=None):
        cdef chr_config c
        cdef chr_error e
        cdef bytes raw = os.fsencode(path)
        cdef bytes raw_name = b"" if name is None else os.fsencode(name)
        cdef const char *where = raw
        cdef const char *who = NULL
        cdef int mode
        cdef uint64_t at_seq = 0 if seq is None else seq
        cdef int64_t at_ns = 0 if time_ns is None else time_ns
        self.path = path
        self.name = name
        self.config = config
        fill_config(config, &c)
        if name is not None:
            who = raw_name
        mode = 4 if seq is not None else 5 if time_ns is not None else STARTS.index(start)
        memset(&e, 0, sizeof(e))
        with nogil:
            self.r = chr_reader_open(where, who, &c, mode, at_seq, at_ns, &e)
        if self.r == NULL:
            raise as_exception(&e, path, name)
        self.remap()

    def __dealloc__(self):
        if self.r != NULL:
            chr_reader_close(self.r)
        if self.leaving != NULL:
            chr_reader_close(self.leaving)

    cdef chr_reader *enter(self) except NULL:
        """The handle, which close() from another thread or a signal handler leaves alone until leave()."""
        if self.r == NULL:
            raise errors.Closed(path=self.path)
        self.inside += 1
        return self.r

    cdef void leave(self) noexcept:
        """The last one out closes what was closed meanwhile."""
        cdef chr_reader *r = self.leaving
        self.inside -= 1
        if self.inside == 0 and r != NULL:
            self.leaving = NULL
            with nogil:
                chr_reader_close(r)

    cdef int after(self, int rc) except -1:
        """After a call without the GIL: leave, and raise what it failed with, or that the handle was closed meanwhile."""
        cdef object error = None
        if self.r == NULL:
            error = errors.Closed(path=self.path)
        elif rc < 0:
            error = as_exception(&self.r.error, self.path, self.name)
        self.leave()
        if error is not None:
            raise error
        return 0

    cdef int remap(self) except -1:
        cdef Mapping mapping = Mapping.__new__(Mapping)
        chr_map_hold(self.r.map)
        mapping.map = self.r.map
        self.mapping = mapping
        self.mapped = self.r.map
        return 0

    def next(self):
        """The next record, or None. Costs no system call; a reader that polls this stays alive by it."""
        cdef chr_frame f
        cdef Message m
        cdef int rc
        if self.r == NULL:
            raise errors.Closed(path=self.path)
        rc = chr_next(self.r, &f)
        if rc == 0:
            return None
        if rc < 0:
            raise_reader(self)
        if self.r.map != self.mapped:
            self.remap()
        m = Message.__new__(Message)
        m.frame = <const chr_frame_header *>f.payload - 1
        m.size = f.size
        m.mapping = self.mapping
        return m

    def __iter__(self):
        return self

    def __next__(self):
        m = self.next()
        if m is None:
            raise StopIteration
        return m

    def drain(self, Py_ssize_t max=1 << 62):
        """Up to `max` records as a list."""
        cdef list out = []
        while len(out) < max:
            m = self.next()
            if m is None:
                break
            out.append(m)
        return out

    def for_each(self, callback, Py_ssize_t max=1 << 62):
        """Call `callback(message)` for up to `max` records; returns how many. An exception stops after the record that raised it."""
        cdef Py_ssize_t n = 0
        while n < max:
            m = self.next()
            if m is None:
                break
            n += 1
            callback(m)
        return n

    def wait(self, timeout=None):
        """True as soon as next() has something to tell; False when `timeout` seconds (None = for ever) are over.

        Raises Closed, within a second, when another thread or a signal handler closes the reader meanwhile.
        """
        cdef int64_t deadline = -1 if timeout is None else deadline_in(timeout)
        cdef int64_t left
        cdef int rc
        cdef chr_reader *r
        while True:
            left = time_left(deadline)
            r = self.enter()
            with nogil:
                rc = chr_reader_wait(r, left)
            self.after(0)
            if rc >= 0:
                return rc == 1
            PyErr_CheckSignals()

    def commit(self):
        """Remember the position: a store, no system call. Survives a crash of the process."""
        if self.r == NULL:
            raise errors.Closed(path=self.path)
        if chr_reader_commit(self.r) < 0:
            raise_reader(self)

    def flush(self):
        """commit() that survives power loss."""
        cdef int rc
        cdef chr_reader *r = self.enter()
        with nogil:
            rc = chr_reader_flush(r)
        self.after(rc)

    def heartbeat(self):
        """Say that this reader lives, without reading or waiting."""
        if self.r == NULL:
            raise errors.Closed(path=self.path)
        if chr_reader_heartbeat(self.r) < 0:
            raise_reader(self)

    def seek_seq(self, uint64_t seq):
        """Stand at the first record with a seq of at least `seq`."""
        cdef int rc
        cdef chr_reader *r = self.enter()
        with nogil:
            rc = chr_reader_seek_seq(r, seq)
        self.after(rc)
        self.remap()

    def seek_token(self, token):
        """Stand at the record a `token()` names. Raises QueueReplaced if it is of another queue."""
        queue_id, _epoch, seq = token
        if queue_id != self.queue_id:
            raise errors.QueueReplaced(path=self.path, queue_id=self.queue_id, expected=queue_id)
        self.seek_seq(seq)

    def seek_time(self, int64_t ts_ns):
        """Stand at the first record with a timestamp of at least `ts_ns`."""
        cdef int rc
        cdef chr_reader *r = self.enter()
        with nogil:
            rc = chr_reader_seek_time(r, ts_ns)
        self.after(rc)
        self.remap()

    def fileno(self):
        """A descriptor that polls readable when next() has something to tell."""
        cdef int fd
        if self.r == NULL:
            raise errors.Closed(path=self.path)
        fd = chr_reader_fileno(self.r)
        if fd < 0:
            raise_reader(self)
        return fd

    def close(self):
        """Give the handle back. Does not commit. Idempotent. A wait in another thread ends first."""
        cdef chr_reader *r = self.r
        self.r = NULL
        self.mapping = None
        if self.inside:
            if r != NULL:
                self.leaving = r
        elif r != NULL:
            with nogil:
                chr_reader_close(r)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    cdef chr_control *control(self) except NULL:
        if self.r == NULL:
            raise errors.Closed(path=self.path)
        return <chr_control *>(<chr_subscriber *>self.r).pages.control.base

    @property
    def closed(self):
        return self.r == NULL

    @property
    def queue_id(self):
        self.control()
        return (<chr_subscriber *>self.r).queue_id

    @property
    def epoch(self):
        """Epoch of the last record read; 0 before the first."""
        self.control()
        return self.r.epoch

    @property
    def writer_epoch(self):
        """Epoch of the writer that opened the queue last, whether it has appended yet or not."""
        return self.control().epoch

    @property
    def next_seq(self):
        self.control()
        return self.r.next_seq

    @property
    def position(self):
        """Segment number * segment size + offset of the next record."""
        self.control()
        return chr_reader_position(self.r)

    @property
    def head_seq(self):
        """Seq the writer will use next."""
        return self.control().next_seq

    @property
    def oldest_seq(self):
        """Seq of the oldest record that is still kept."""
        return self.control().oldest_seq

    def token(self):
        """(queue_id, epoch, seq) of the next record to read: a reference that is never reused."""
        self.control()
        return ((<chr_subscriber *>self.r).queue_id, self.r.epoch, self.r.next_seq)

    def writer_status(self, double ttl=1.0):
        """WriterStatus: is there a writer, and does its loop run? `ttl` in seconds bounds the age of its heartbeat."""
        cdef chr_control *c = self.control()
        cdef int gone = chr_reader_disconnect(<chr_subscriber *>self.r, <int64_t>(ttl * 1e9))
        if gone == CHR_GONE_NOT:
            return WriterStatus.ALIVE
        if gone == CHR_GONE_STALE:
            return WriterStatus.STALE
        return WriterStatus.CLOSED if c.closed and gone == CHR_GONE_LOCK else WriterStatus.LOST

    def detect_disconnect(self, double ttl=1.0):
        """DisconnectReason, or None while the writer is there. Some system calls: not for the hot loop."""
        cdef int gone
        self.control()
        gone = chr_reader_disconnect(<chr_subscriber *>self.r, <int64_t>(ttl * 1e9))
        return None if gone == CHR_GONE_NOT else _REASONS[gone]

    def lag(self):
        """(bytes, records) between this reader and the head."""
        cdef chr_control *c = self.control()
        cdef uint64_t head = c.head
        cdef uint64_t seq = c.next_seq
        cdef uint64_t at = chr_reader_position(self.r)
        return (head - at if head > at else 0, seq - self.r.next_seq if seq > self.r.next_seq else 0)

    def metrics(self):
        cdef chr_subscriber *s = <chr_subscriber *>self.r
        lag_bytes, lag_records = self.lag()
        return {"crossings": s.crossings, "gaps": s.gaps, "lag_bytes": lag_bytes, "lag_records": lag_records}


cdef int64_t deadline_in(object timeout) except? -1:
    """`timeout` seconds from now; more than a century is for ever."""
    cdef double seconds = timeout
    if seconds != seconds:
        raise ValueError("the timeout is not a number")
    if seconds > 3e9:
        return -1
    return chr_monotonic_ns() + (<int64_t>(seconds * 1e9) if seconds > 0 else 0)


cdef int64_t time_left(int64_t deadline) noexcept:
    cdef int64_t left
    if deadline < 0:
        return -1
    left = deadline - chr_monotonic_ns()
    return left if left > 0 else 0


def wait_any(readers, timeout=None):
    """Wait until one of `readers` has something to tell; returns those that have, [] on time-out.

    Raises Closed, within a second, when one of them is closed meanwhile.
    """
    cdef chr_reader *handles[128]
    cdef int count = 0
    cdef int rc
    cdef int64_t deadline = -1 if timeout is None else deadline_in(timeout)
    cdef int64_t left
    cdef Subscriber s
    readers = list(readers)
    if not readers or len(readers) > 128:
        raise ValueError("wait_any takes 1 to 128 readers")
    for reader in readers:
        if not isinstance(reader, Subscriber):
            raise TypeError(f"wait_any takes readers, not {type(reader).__name__}")
    while True:
        left = time_left(deadline)
        count = 0
        try:
            for s in readers:
                handles[count] = s.enter()
                count += 1
            with nogil:
                rc = chr_readers_wait(handles, count, left)
        finally:
            for s in readers[:count]:
                s.leave()
        for s in readers:
            if s.r == NULL:
                raise errors.Closed(path=s.path)
        if rc >= 0:
            return [s for s in readers if chr_reader_peek((<Subscriber>s).r) != 0]
        PyErr_CheckSignals()
