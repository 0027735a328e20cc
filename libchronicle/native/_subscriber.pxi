"""Subscriber. Included by binding.pyx."""

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


cdef int start_mode(str path, object start) except -1:
    if start not in STARTS:
        raise errors.InvalidArgument(where=path, field="start", value=start, allowed=", ".join(STARTS))
    return STARTS.index(start)


@cython.final
cdef class Subscriber:
    """One reader of a queue. Use `libchronicle.queue.Queue.open_subscriber`."""

    def __cinit__(self, str path, name, config, start="resume", seq=None, time_ns=None):
        cdef chr_config c
        cdef chr_error e
        cdef bytes raw = as_path(path)
        cdef bytes raw_name = as_name(name)
        cdef const char *where = raw
        cdef const char *who = NULL
        cdef int mode = 4 if seq is not None else 5 if time_ns is not None else start_mode(path, start)
        cdef uint64_t at_seq = 0 if seq is None else whole(seq, path, "seq", 0, UINT64_MAX)
        cdef int64_t at_ns = 0 if time_ns is None else whole(time_ns, path, "time_ns", INT64_MIN, INT64_MAX)
        self.path = path
        self.name = name
        self.row_bytes = 64
        self.config = config
        fill_config(config, &c)
        if name is not None:
            who = raw_name
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
        self.check()
        self.inside += 1
        return self.r

    cdef int check(self) except -1:
        """Before whatever is not a plain read: is this handle good for anything but close()?"""
        if self.r == NULL:
            raise errors.Closed(path=self.path)
        if (<chr_subscriber *>self.r).forked:
            raise errors.Forked(path=self.path, pid=(<chr_subscriber *>self.r).owner)
        return 0

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
        mapping.path = self.path
        mapping.seed = self.r.crc_seed
        self.mapping = mapping
        self.mapped = self.r.map
        return 0

    cdef int keep_error(self, bint later) except -1:
        """What the core failed with. `later`: records came before it; they go to the caller first, and the next call that reads raises it."""
        error = as_exception(&self.r.error, self.path, self.name)
        if not later:
            raise error
        self.pending = error
        return 0

    cdef int raise_pending(self) except -1:
        error, self.pending = self.pending, None
        raise error

    cdef Message take(self):
        """The next record, or None."""
        cdef chr_frame f
        cdef Message m
        cdef int rc
        if self.r == NULL:
            raise errors.Closed(path=self.path)
        if self.pending is not None:
            self.raise_pending()
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

    def next(self):
        """The next record, or None. Costs no system call; a reader that polls this stays alive by it."""
        return self.take()

    def __iter__(self):
        return self

    def __next__(self):
        cdef Message m = self.take()
        if m is None:
            raise StopIteration
        return m

    def drain(self, max=None):
        """Up to `max` records as a list; None = as many as there are.

        An error after the first record does not cost those before it: they come back, and the next call that reads raises it.
        """
        cdef Py_ssize_t left = room_for(self.path, max)
        cdef list out = []
        cdef Message m
        self.check()
        try:
            while left > 0:
                m = self.take()
                if m is None:
                    break
                out.append(m)
                left -= 1
        except errors.ChronicleError as error:
            if not out:
                raise
            self.pending = error
        return out

    def drain_columns(self, max=16384):
        """Up to `max` records as Columns: arrays of their fields and one buffer of their payloads, copied out of the queue in one native call.

        The way to read millions of records per second; what numpy.frombuffer and pyarrow take without a copy. Errors as in drain().
        """
        cdef Py_ssize_t most = room_for(self.path, max)
        self.check()
        if self.pending is not None:
            self.raise_pending()
        return drain_columns(self, most)

    def for_each(self, callback, max=None):
        """Call `callback(message)` for up to `max` records; returns how many. An exception stops after the record that raised it."""
        cdef Py_ssize_t left = room_for(self.path, max)
        cdef Py_ssize_t n = 0
        cdef Message m
        self.check()
        while n < left:
            m = self.take()
            if m is None:
                break
            n += 1
            callback(m)
        return n

    def wait(self, timeout=None):
        """True as soon as next() has something to tell; False when `timeout` seconds (None = for ever) are over.

        Raises Closed, within a second, when another thread or a signal handler closes the reader meanwhile.
        """
        cdef int64_t deadline = deadline_in(self.path, timeout)
        cdef int64_t left
        cdef int rc
        cdef chr_reader *r
        if self.pending is not None:
            self.check()
            return True
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
        if self.pending is not None:
            self.raise_pending()  # a hole is told before a position behind it is remembered
        if chr_reader_commit(self.r) < 0:
            raise_reader(self)

    def flush(self):
        """commit() that survives power loss."""
        cdef int rc
        cdef chr_reader *r
        if self.pending is not None:
            self.raise_pending()
        r = self.enter()
        with nogil:
            rc = chr_reader_flush(r)
        self.after(rc)

    def heartbeat(self):
        """Say that this reader lives, without reading or waiting."""
        if self.r == NULL:
            raise errors.Closed(path=self.path)
        if chr_reader_heartbeat(self.r) < 0:
            raise_reader(self)

    def seek_seq(self, seq):
        """Stand at the first record with a seq of at least `seq`."""
        cdef uint64_t target = whole(seq, self.path, "seq", 0, UINT64_MAX)
        cdef int rc
        cdef chr_reader *r = self.enter()
        with nogil:
            rc = chr_reader_seek_seq(r, target)
        self.moved(rc)

    def seek_token(self, token):
        """Stand at the record a `token()` names. Raises QueueReplaced if it is of another queue."""
        if not isinstance(token, tuple) or len(token) != 3:
            raise errors.InvalidArgument(where=self.path, field="token", value=token, allowed="what token() returned")
        queue_id, _epoch, seq = token
        if queue_id != self.queue_id:
            raise errors.QueueReplaced(path=self.path, queue_id=self.queue_id, expected=queue_id)
        self.seek_seq(seq)

    def seek_time(self, ts_ns):
        """Stand at the first record with a timestamp of at least `ts_ns`."""
        cdef int64_t target = whole(ts_ns, self.path, "ts_ns", INT64_MIN, INT64_MAX)
        cdef int rc
        cdef chr_reader *r = self.enter()
        with nogil:
            rc = chr_reader_seek_time(r, target)
        self.moved(rc)

    cdef int moved(self, int rc) except -1:
        self.pending = None
        self.after(rc)
        self.remap()
        return 0

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
        self.check()
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

    def writer_status(self, ttl=1.0):
        """WriterStatus: is there a writer, and does its loop run? `ttl` in seconds bounds the age of its heartbeat; infinite = any age."""
        cdef int64_t oldest_ns = span_ns(self.path, "ttl", ttl)
        cdef chr_control *c = self.control()
        cdef int gone = chr_reader_disconnect(<chr_subscriber *>self.r, oldest_ns)
        if gone == CHR_GONE_NOT:
            return WriterStatus.ALIVE
        if gone == CHR_GONE_STALE:
            return WriterStatus.STALE
        return WriterStatus.CLOSED if c.closed and gone == CHR_GONE_LOCK else WriterStatus.LOST

    def heartbeat_age(self):
        """Seconds since the writer's loop last said that it lives; infinite once it has left in order. No system call."""
        cdef chr_control *c = self.control()
        cdef int64_t age = chr_monotonic_ns() - c.heartbeat_ns
        if c.closed or age < -1000000:  # from the future: written before the machine's last start
            return float("inf")
        return age * 1e-9

    def detect_disconnect(self, ttl=1.0):
        """DisconnectReason, or None while the writer is there. Some system calls: not for the hot loop. `ttl` as in writer_status()."""
        cdef int64_t oldest_ns = span_ns(self.path, "ttl", ttl)
        cdef int gone
        self.control()
        gone = chr_reader_disconnect(<chr_subscriber *>self.r, oldest_ns)
        return None if gone == CHR_GONE_NOT else _REASONS[gone]

    def lag(self):
        """(bytes, records) between this reader and the head."""
        cdef chr_control *c = self.control()
        cdef uint64_t head = c.head
        cdef uint64_t seq = c.next_seq
        cdef uint64_t at = chr_reader_position(self.r)
        return (head - at if head > at else 0, seq - self.r.next_seq if seq > self.r.next_seq else 0)

    def metrics(self):
        """Counters as a dict. `polls` is 1 for a reader whose wait looks each millisecond because it cannot ask to be woken."""
        cdef chr_subscriber *s = <chr_subscriber *>self.r
        lag_bytes, lag_records = self.lag()
        polls = self.name is None or s.read_only or chr_word_gone(s)
        return {"crossings": s.crossings, "gaps": s.gaps, "lag_bytes": lag_bytes, "lag_records": lag_records, "polls": int(polls)}
