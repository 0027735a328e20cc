# distutils: sources = libchronicle/native/agents.c libchronicle/native/clock.c libchronicle/native/control.c libchronicle/native/files.c libchronicle/native/fork.c libchronicle/native/liveness.c libchronicle/native/map.c libchronicle/native/notify.c libchronicle/native/page.c libchronicle/native/reader.c libchronicle/native/recover.c libchronicle/native/retain.c libchronicle/native/seek.c libchronicle/native/segment.c libchronicle/native/wait.c libchronicle/native/writer.c
# distutils: depends = libchronicle/native/chr_atomic.h libchronicle/native/chr_clock.h libchronicle/native/chr_core.h libchronicle/native/chr_crc.h libchronicle/native/chr_hot.h libchronicle/native/chr_layout.h
"""The thin binding over the C core: Publisher, Subscriber, Message.

One native call per message and no object between. Waiting and everything that may touch a disk releases the GIL. Errors of the core become
exceptions of libchronicle.errors in one place, `raise_error`.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_FillInfo, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from libchronicle.native.core cimport *
from libchronicle.native.hot cimport (
    CHR_LENGTH_MASK,
    chr_abort,
    chr_append,
    chr_clock,
    chr_commit,
    chr_control,
    chr_error,
    chr_frame,
    chr_frame_header,
    chr_map,
    chr_next,
    chr_now_ns,
    chr_reader,
    chr_reserve,
    chr_writer,
)

import enum
import os

from libchronicle import errors

cdef extern from "time.h" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    int nanosleep(const timespec *request, timespec *remaining)


# ---------------------------------------------------------------- errors

cdef object as_exception(chr_error *e, str path, object name):
    cdef int code = e.code
    where = os.fsdecode(<bytes>e.path) or path
    reason = (<bytes>e.reason).decode("utf-8", "replace")
    if code == CHR_E_WRITER_ACTIVE:
        return errors.WriterAlreadyActive(path=where, pid=e.a)
    if code == CHR_E_READER_ACTIVE:
        return errors.ReaderAlreadyActive(path=where, name=name, pid=e.a)
    if code == CHR_E_TOO_LARGE:
        return errors.PayloadTooLarge(path=where, size=e.a, limit=e.b)
    if code == CHR_E_TIME_ORDER:
        return errors.TimestampOrder(path=where, ts_ns=<int64_t>e.a, last_ns=<int64_t>e.b)
    if code == CHR_E_RESERVED_TYPE:
        return errors.ReservedType(path=where, type_id=e.a)
    if code == CHR_E_FENCED:
        return errors.Fenced(path=where, epoch=e.a, own_epoch=e.b)
    if code == CHR_E_FORKED:
        return errors.Forked(path=where, pid=e.a)
    if code == CHR_E_CLOSED:
        return errors.Closed(path=where)
    if code == CHR_E_CORRUPT:
        return errors.Corrupt(path=where, segment=e.a, offset=e.b, seq=e.c, reason=reason)
    if code == CHR_E_CONTROL:
        return errors.CorruptControl(path=where, reason=reason)
    if code == CHR_E_READER_PAGE:
        return errors.CorruptReader(path=where, name=name)
    if code == CHR_E_VERSION:
        return errors.UnsupportedVersion(path=where, version=e.a, supported=e.b)
    if code == CHR_E_REWOUND:
        return errors.Rewound(path=where, name=name, from_seq=e.a, to_seq=e.b)
    if code == CHR_E_EVICTED:
        return errors.Evicted(path=where, name=name, from_seq=e.a, to_seq=e.b)
    if code == CHR_E_REPLACED:
        return errors.QueueReplaced(path=where, queue_id=e.a, expected=e.b)
    if code == CHR_E_BROKEN:
        return errors.Broken(path=where, reason=reason)
    if code == CHR_E_NOT_READY:
        return errors.NotReady(path=where)
    if code == CHR_E_FORGOTTEN:
        return errors.ReaderForgotten(path=where, name=name, age_s=e.a / 1e9, lag_bytes=e.b)
    if code == CHR_E_FULL:
        return errors.QueueFull(path=where, limit_bytes=e.a)
    if code == CHR_E_NO_SPACE:
        return errors.NoSpace(path=where, size=e.a)
    if code == CHR_E_PERMISSION:
        return errors.NoPermission(path=where, reason=reason)
    if code == CHR_E_MISUSE:
        return errors.QueueMisuse(path=where, reason=reason)
    if code == CHR_E_HOST:
        return errors.HostError(path=where, reason=reason)
    return errors.InternalError(reason=f"{where}: unknown error {code} of the queue core")


cdef int raise_writer(Publisher publisher) except -1:
    """Raise what `publisher.w` failed with."""
    if publisher.w == NULL:
        raise errors.Closed(path=publisher.path)
    raise as_exception(&publisher.w.error, publisher.path, None)


cdef int raise_reader(Subscriber subscriber) except -1:
    """Raise what `subscriber.r` failed with."""
    if subscriber.r == NULL:
        raise errors.Closed(path=subscriber.path)
    raise as_exception(&subscriber.r.error, subscriber.path, subscriber.name)


# ---------------------------------------------------------------- configuration

cdef int fill_config(object config, chr_config *out) except -1:
    cdef bytes durable = b"".join([os.fsencode(name) + b"\0" for name in config.durable])
    if len(durable) > CHR_DURABLE_BYTES:
        raise errors.ConfigError(file="queue", key="durable", reason=f"names exceed {CHR_DURABLE_BYTES} bytes")
    memset(out, 0, sizeof(chr_config))
    out.segment_size = config.segment_size
    out.retain_segments = config.retain_segments
    out.budget_bytes = config.budget_bytes
    out.reserve_bytes = config.reserve_bytes
    out.max_lag_bytes = config.max_lag_bytes
    out.block_timeout_ns = <int64_t>(config.block_timeout_s * 1e9)
    out.reader_ttl_ns = <int64_t>(config.reader_ttl_s * 1e9)
    out.retain_age_ns = <int64_t>(config.retain_age_s * 1e9)
    out.max_segment_age_ns = <int64_t>(config.max_segment_age_s * 1e9)
    out.spin_ns = <int64_t>(config.spin_us * 1e3)
    out.on_full = ("fail", "block", "evict").index(config.on_full)
    out.wait_mode = ("hybrid", "spin", "sleep").index(config.wait)
    out.tsc = config.clock == "tsc"
    out.prefault = config.prefault
    out.memlock = config.memlock
    out.sync = config.sync
    out.agents = config.prepare
    out.durable_size = <uint32_t>len(durable)
    memcpy(out.durable, <char *>durable, len(durable))
    return 0


# ---------------------------------------------------------------- writer

@cython.final
cdef class Publisher:
    """The one writer of a queue. Use `libchronicle.queue.Queue.open_publisher`."""

    def __cinit__(self, str path, config):
        cdef chr_config c
        cdef chr_error e
        cdef bytes raw = os.fsencode(path)
        cdef const char *where = raw
        self.path = path
        self.config = config
        fill_config(config, &c)
        self.full_blocks = config.on_full == "block"
        self.block_timeout_ns = c.block_timeout_ns
        memset(&e, 0, sizeof(e))
        with nogil:
            self.w = chr_writer_open(where, &c, &e)
        if self.w == NULL:
            raise as_exception(&e, path, None)

    def __dealloc__(self):
        if self.w != NULL:
            chr_writer_close(self.w)
            self.w = NULL

    cdef int wait_for_room(self) except -1:
        """After QueueFull with on_full = "block": sleep a little, GIL released, signals seen."""
        cdef timespec t
        t.tv_sec = 0
        t.tv_nsec = 1000000
        with nogil:
            chr_writer_drain(self.w)
            nanosleep(&t, NULL)
        PyErr_CheckSignals()
        return 0

    cdef long long append_object(self, unsigned int type_id, object payload, long long ts_ns) except -1:
        cdef Py_buffer view
        cdef long long seq
        cdef long long deadline = 0
        if self.w == NULL:
            raise errors.Closed(path=self.path)
        if type_id > 0xFFFF:
            raise errors.ReservedType(path=self.path, type_id=type_id)
        while True:
            if PyBytes_CheckExact(payload):
                if PyBytes_GET_SIZE(payload) > CHR_LENGTH_MASK:
                    raise errors.PayloadTooLarge(path=self.path, size=len(payload), limit=CHR_LENGTH_MASK)
                seq = chr_append(self.w, type_id, PyBytes_AS_STRING(payload), <uint32_t>PyBytes_GET_SIZE(payload), ts_ns)
            else:
                PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
                if view.len > CHR_LENGTH_MASK:
                    PyBuffer_Release(&view)
                    raise errors.PayloadTooLarge(path=self.path, size=view.len, limit=CHR_LENGTH_MASK)
                seq = chr_append(self.w, type_id, view.buf, <uint32_t>view.len, ts_ns)
                PyBuffer_Release(&view)
            if seq >= 0:
                return seq
            if not (self.full_blocks and self.w.error.code == CHR_E_FULL):
                raise_writer(self)
            if deadline == 0:
                deadline = chr_monotonic_ns() + self.block_timeout_ns
            elif chr_monotonic_ns() >= deadline:
                raise_writer(self)
            self.wait_for_room()

    def append(self, unsigned int type_id, payload, ts_ns=None):
        """Append one record and return its seq. `ts_ns` None takes the writer's clock.

        Raises PayloadTooLarge, TimestampOrder, ReservedType, QueueFull, NoSpace, Fenced, Forked, Closed; none leaves a trace.
        """
        return self.append_object(type_id, payload, -1 if ts_ns is None else check_ts(ts_ns))

    def append_many(self, unsigned int type_id, payloads, ts_ns=None):
        """Append every payload of an iterable under one type; returns the seq of the last, -1 for none."""
        cdef long long seq = -1
        cdef long long ts = -1 if ts_ns is None else check_ts(ts_ns)
        for payload in payloads:
            seq = self.append_object(type_id, payload, ts)
        return seq

    def reserve(self, unsigned int type_id, Py_ssize_t size, ts_ns=None):
        """Context manager: a writable memoryview of `size` bytes in the queue itself. An exception inside leaves no trace."""
        return Reservation(self, type_id, size, -1 if ts_ns is None else check_ts(ts_ns))

    def roll(self):
        """Begin a new segment now; nothing happens while the present one is empty."""
        cdef int rc
        if self.w == NULL:
            raise errors.Closed(path=self.path)
        rc = chr_writer_roll(self.w)
        if rc < 0:
            raise_writer(self)

    def heartbeat(self):
        """Say that the owner's loop lives. Call it when there is nothing to append."""
        if self.w == NULL:
            raise errors.Closed(path=self.path)
        if chr_writer_heartbeat(self.w) < 0:
            raise_writer(self)

    def flush(self, bint sealed_only=False):
        """Put what was appended on the medium: survives power loss. `sealed_only` leaves the live segment alone (no write-protect faults)."""
        cdef int rc
        if self.w == NULL:
            raise errors.Closed(path=self.path)
        with nogil:
            rc = chr_writer_flush(self.w, not sealed_only)
        if rc < 0:
            raise_writer(self)

    def close(self):
        """Leave in order. Idempotent."""
        cdef chr_writer *w = self.w
        self.w = NULL
        if w != NULL:
            with nogil:
                chr_writer_close(w)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    cdef chr_control *control(self) except NULL:
        if self.w == NULL:
            raise errors.Closed(path=self.path)
        return self.w.control

    @property
    def closed(self):
        return self.w == NULL

    @property
    def queue_id(self):
        return self.control().queue_id

    @property
    def epoch(self):
        self.control()
        return self.w.epoch

    @property
    def next_seq(self):
        self.control()
        return self.w.seq

    @property
    def last_ts_ns(self):
        self.control()
        return self.w.last_ts

    @property
    def segment_size(self):
        return self.control().segment_size

    def metrics(self):
        """Counters of this queue as a dict."""
        cdef chr_control *c = self.control()
        return control_metrics(c)


cdef dict control_metrics(chr_control *c):
    return {
        "rolls": c.rolls,
        "roll_stalls": c.roll_stalls,
        "wakes": c.wakes,
        "evicted": c.evicted,
        "forgotten": c.forgotten,
        "unlinked": c.unlinked,
        "sync_errors": c.sync_errors,
        "full": c.full,
        "bytes": c.bytes,
        "head": c.head,
        "next_seq": c.next_seq,
        "epoch": c.epoch,
        "oldest": c.oldest,
        "oldest_seq": c.oldest_seq,
        "synced": c.synced,
    }


cdef long long check_ts(object ts_ns) except? -1:
    cdef long long ts = ts_ns
    if ts < 0:
        raise ValueError(f"ts_ns must not be negative: {ts_ns}")
    return ts


@cython.final
cdef class Reservation:
    """See Publisher.reserve. `.seq` holds the record's seq after the block."""

    cdef Publisher publisher
    cdef unsigned int type_id
    cdef Py_ssize_t size
    cdef long long ts_ns
    cdef void *at
    cdef object view
    cdef int exports
    cdef readonly object seq

    def __cinit__(self, Publisher publisher, unsigned int type_id, Py_ssize_t size, long long ts_ns):
        if size < 0 or size > CHR_LENGTH_MASK:
            raise errors.PayloadTooLarge(path=publisher.path, size=size, limit=CHR_LENGTH_MASK)
        if type_id > 0xFFFF:
            raise errors.ReservedType(path=publisher.path, type_id=type_id)
        self.publisher = publisher
        self.type_id = type_id
        self.size = size
        self.ts_ns = ts_ns

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        if self.at == NULL:
            raise BufferError("the reservation is over")
        PyBuffer_FillInfo(buffer, self, self.at, self.size, 0, flags)
        self.exports += 1

    def __releasebuffer__(self, Py_buffer *buffer):
        self.exports -= 1

    def __enter__(self):
        if self.publisher.w == NULL:
            raise errors.Closed(path=self.publisher.path)
        self.at = chr_reserve(self.publisher.w, self.type_id, <uint32_t>self.size)
        if self.at == NULL:
            raise_writer(self.publisher)
        self.view = memoryview(self)
        return self.view

    def __exit__(self, kind, value, traceback):
        cdef long long seq
        self.at = NULL
        if self.publisher.w == NULL:
            return
        try:
            self.view.release()
        except BufferError:
            pass  # something was built upon it: counted in exports
        if kind is not None:
            chr_abort(self.publisher.w)
            return
        if self.exports:  # slices of the view can still write
            chr_abort(self.publisher.w)
            raise errors.QueueMisuse(path=self.publisher.path, reason="a view into the reservation is still held; nothing was appended")
        seq = chr_commit(self.publisher.w, <uint32_t>self.size, self.ts_ns)
        if seq < 0:
            error = as_exception(&self.publisher.w.error, self.publisher.path, None)
            chr_abort(self.publisher.w)
            raise error
        self.seq = seq


# ---------------------------------------------------------------- messages

@cython.final
@cython.no_gc
cdef class Mapping:
    """Keeps one mapped file alive."""

    def __dealloc__(self):
        if self.map != NULL:
            chr_map_release(self.map)


@cython.final
@cython.freelist(1024)
@cython.no_gc
cdef class Message:
    """One record. Speaks the buffer protocol without a copy; the mapping lives as long as the message or a view of it."""

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


# ---------------------------------------------------------------- reader

class WriterStatus(enum.StrEnum):
    ALIVE = "alive"
    STALE = "stale"  # holds the lock, its loop has not beaten for ttl
    CLOSED = "closed"  # left in order
    LOST = "lost"  # died, or the queue is no longer what the reader opened


class DisconnectReason(enum.StrEnum):
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
            self.r = NULL

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
        """True as soon as next() has something to tell; False when `timeout` seconds (None = for ever) are over."""
        cdef int64_t deadline = -1
        cdef int64_t left
        cdef int rc
        if self.r == NULL:
            raise errors.Closed(path=self.path)
        if timeout is not None:
            deadline = chr_monotonic_ns() + <int64_t>(max(timeout, 0.0) * 1e9)
        while True:
            left = -1
            if deadline >= 0:
                left = deadline - chr_monotonic_ns()
                if left < 0:
                    left = 0
            with nogil:
                rc = chr_reader_wait(self.r, left)
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
        if self.r == NULL:
            raise errors.Closed(path=self.path)
        with nogil:
            rc = chr_reader_flush(self.r)
        if rc < 0:
            raise_reader(self)

    def heartbeat(self):
        """Say that this reader lives, without reading or waiting."""
        if self.r == NULL:
            raise errors.Closed(path=self.path)
        if chr_reader_heartbeat(self.r) < 0:
            raise_reader(self)

    def seek_seq(self, uint64_t seq):
        """Stand at the first record with a seq of at least `seq`."""
        cdef int rc
        if self.r == NULL:
            raise errors.Closed(path=self.path)
        with nogil:
            rc = chr_reader_seek_seq(self.r, seq)
        if rc < 0:
            raise_reader(self)
        self.remap()

    def seek_time(self, int64_t ts_ns):
        """Stand at the first record with a timestamp of at least `ts_ns`."""
        cdef int rc
        if self.r == NULL:
            raise errors.Closed(path=self.path)
        with nogil:
            rc = chr_reader_seek_time(self.r, ts_ns)
        if rc < 0:
            raise_reader(self)
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
        """Give the handle back. Does not commit. Idempotent."""
        cdef chr_reader *r = self.r
        self.r = NULL
        self.mapping = None
        if r != NULL:
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


def wait_any(readers, timeout=None):
    """Wait until one of `readers` has something to tell; returns those that have, [] on time-out."""
    cdef chr_reader *handles[128]
    cdef int count = 0
    cdef int rc
    cdef int64_t deadline = -1
    cdef int64_t left
    cdef Subscriber s
    readers = list(readers)
    if not readers or len(readers) > 128:
        raise ValueError("wait_any takes 1 to 128 readers")
    for s in readers:
        if s.r == NULL:
            raise errors.Closed(path=s.path)
        handles[count] = s.r
        count += 1
    if timeout is not None:
        deadline = chr_monotonic_ns() + <int64_t>(max(timeout, 0.0) * 1e9)
    while True:
        left = -1
        if deadline >= 0:
            left = deadline - chr_monotonic_ns()
            if left < 0:
                left = 0
        with nogil:
            rc = chr_readers_wait(handles, count, left)
        if rc >= 0:
            return [s for s in readers if chr_reader_peek((<Subscriber>s).r) != 0]
        PyErr_CheckSignals()


# ---------------------------------------------------------------- looking from outside: pages as bytes, no lock taken

def parse_control(bytes page not None):
    """The facts of a control page as a dict; None if these bytes are none."""
    cdef const chr_control *c = <const chr_control *><const char *>page
    if len(page) < sizeof(chr_control) or c.magic != CHR_MAGIC_CONTROL:
        return None
    facts = control_metrics(<chr_control *>c)
    facts.update(
        version=c.version,
        queue_id=c.queue_id,
        segment_size=c.segment_size,
        created_ns=c.created_ns,
        sound=c.crc == chr_checksum(c, 60),
        last_ts_ns=c.last_ts,
        pid=c.pid,
        start_time=c.start_time,
        closed=bool(c.closed),
        heartbeat_age_ns=chr_heartbeat_age(c),
        heartbeat_real_ns=c.heartbeat_real_ns,
        checked=c.checked,
        touched=c.touched,
        budget_bytes=c.budget_bytes,
        on_full=("fail", "block", "evict")[c.on_full % 3],
        reader_ttl_ns=c.reader_ttl_ns,
        durable=tuple([os.fsdecode(name) for name in (<bytes>c.durable[:min(c.durable_size, CHR_DURABLE_BYTES)]).split(b"\0") if name]),
    )
    return facts


def parse_reader(bytes page not None):
    """The facts of a reader page as a dict; None if these bytes are none. `slot` says which of the two holds, -1 none yet, -2 both bad."""
    cdef const chr_reader_page *r = <const chr_reader_page *><const char *>page
    cdef chr_slot slot
    cdef uint64_t generation = 0
    cdef int which
    if len(page) < sizeof(chr_reader_page) or r.magic != CHR_MAGIC_READER:
        return None
    memset(&slot, 0, sizeof(slot))
    which = chr_page_read(r, &slot, &generation)
    return {
        "version": r.version,
        "pid": r.pid,
        "start_time": r.start_time,
        "boot_id": (<bytes>(<const char *>r.boot_id)[:16]),
        "heartbeat_ns": r.heartbeat_ns,
        "slot": which,
        "generation": generation,
        "queue_id": slot.queue_id,
        "position": slot.position,
        "seq": slot.seq,
        "epoch": slot.epoch,
    }


def parse_segment(bytes head not None):
    """Header and seal (the first 128 bytes of a segment) as a dict; None if these bytes are none."""
    cdef const chr_segment_header *h = <const chr_segment_header *><const char *>head
    cdef const chr_seal *s = <const chr_seal *>(<const char *>head + sizeof(chr_segment_header))
    if len(head) < 128 or h.magic != CHR_MAGIC_SEGMENT:
        return None
    sealed = s.magic == CHR_MAGIC_SEAL and s.crc == chr_checksum(s, 56)
    return {
        "version": h.version,
        "queue_id": h.queue_id,
        "number": h.number,
        "size": h.size,
        "begun": h.first_seq != CHR_SEQ_UNKNOWN,
        "first_seq": h.first_seq,
        "first_ts_ns": h.first_ts,
        "sound": h.crc == chr_checksum(h, 56),
        "sealed": sealed,
        "quarantined": sealed and bool(s.flags & CHR_SEAL_QUARANTINED),
        "end_offset": s.end_offset if sealed else 0,
        "last_seq": s.last_seq if sealed else 0,
        "last_ts_ns": s.last_ts if sealed else 0,
        "frames": s.frames if sealed else 0,
        "data_crc": s.data_crc if sealed else 0,
    }


def walk_segment(const uint8_t[::1] segment not None, uint64_t queue_id):
    """One frame walk over a whole segment: (frames, end offset, next seq or None, what stopped it).

    The last is "" at a padding or at the tail, else the reason the frame at `end offset` is refused.
    """
    cdef uint32_t seed = chr_crc_seed(queue_id)
    cdef uint64_t at = 128
    cdef uint64_t following = 0
    cdef uint64_t size = segment.shape[0]
    cdef uint64_t frames = 0
    cdef uint64_t seq = 0
    cdef int verdict = 0
    cdef const chr_frame_header *f
    cdef const uint8_t *base = &segment[0]
    with nogil:
        while at + 32 <= size:
            f = <const chr_frame_header *>(base + at)
            verdict = chr_examine_full(base, at, size, seed, &following)
            if verdict == CHR_FRAME_OK and frames and f.seq != seq and not (f.type_id == CHR_TYPE_LOST and f.seq > seq):
                verdict = -5
            if verdict != CHR_FRAME_OK or f.type_id == CHR_TYPE_PADDING:
                break
            frames += 1
            seq = f.seq + 1
            at = following
    reason = (<bytes>chr_verdict_text(verdict)).decode() if verdict < 0 else ""
    return frames, at, seq if frames else None, reason


def lock_held(int fd):
    """Does any process hold the OFD lock of this file? Takes none."""
    return bool(chr_lock_probe(fd))


cdef Mapping map_file(int fd, uint64_t size):
    """`fd`, which now belongs to the mapping, mapped read-only. A file cut short reads as zeros instead of raising SIGBUS."""
    cdef Mapping mapping = Mapping.__new__(Mapping)
    mapping.map = chr_map_fd(fd, size, False, 0)
    if mapping.map == NULL:
        raise OSError(errno, os.strerror(errno))
    return mapping


# ---------------------------------------------------------------- clocks, leaks

cdef chr_clock process_clock
chr_clock_init(&process_clock, True)


def now_ns():
    """Nanoseconds since the Unix epoch, from the TSC where that is invariant."""
    return chr_now_ns(&process_clock)


def monotonic_ns():
    """CLOCK_MONOTONIC in nanoseconds, as heartbeats use it."""
    return chr_monotonic_ns()


def tsc_usable():
    return bool(chr_clock_tsc_usable())


def live_maps():
    """Mappings of this process that are still held: for leak tests."""
    chr_map_collect()
    return chr_map_count()
