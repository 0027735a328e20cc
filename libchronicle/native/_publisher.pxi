"""Publisher and Reservation. Included by binding.pyx."""

@cython.final
cdef class Publisher:
    """The one writer of a queue. Use `libchronicle.queue.Queue.open_publisher`."""

    def __cinit__(self, str path, config):
        cdef chr_config c
        cdef chr_error e
        cdef bytes raw = as_path(path)
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
        if self.leaving != NULL:
            chr_writer_close(self.leaving)

    cdef chr_writer *enter(self) except NULL:
        """The handle, which close() from another thread, a signal handler or a callback leaves alone until leave()."""
        self.check()
        self.inside += 1
        return self.w

    cdef int check(self) except -1:
        """Before whatever is not a plain append: is this handle good for anything but close()?"""
        if self.w == NULL:
            raise errors.Closed(path=self.path)
        if (<chr_publisher *>self.w).forked:
            raise errors.Forked(path=self.path, pid=(<chr_publisher *>self.w).owner)
        return 0

    cdef void leave(self) noexcept:
        """The last one out closes what was closed meanwhile."""
        cdef chr_writer *w = self.leaving
        self.inside -= 1
        if self.inside == 0 and w != NULL:
            self.leaving = NULL
            with nogil:
                chr_writer_close(w)

    cdef long long wait_or_raise(self, long long deadline) except -1:
        """After a refusal: with on_full = "block" and no room sleep a little, GIL released, signals seen; else raise."""
        cdef timespec t
        cdef chr_writer *w
        if not (self.full_blocks and self.w.error.code == CHR_E_FULL):
            raise_writer(self)
        if deadline == 0:
            deadline = chr_monotonic_ns() + self.block_timeout_ns
        elif chr_monotonic_ns() >= deadline:
            raise_writer(self)
        t.tv_sec = 0
        t.tv_nsec = 1000000
        w = self.enter()
        with nogil:
            chr_writer_drain(w)
            nanosleep(&t, NULL)
        self.leave()
        PyErr_CheckSignals()
        if self.w == NULL:
            raise errors.Closed(path=self.path)
        return deadline

    cdef long long append_object(self, int type_id, object payload, long long ts_ns) except -1:
        cdef Py_buffer view
        cdef long long seq
        cdef long long deadline = 0
        if self.w == NULL:
            raise errors.Closed(path=self.path)
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
            deadline = self.wait_or_raise(deadline)

    def append(self, type_id, payload, ts_ns=None):
        """Append one record and return its seq. `ts_ns` None takes the writer's clock.

        Raises PayloadTooLarge, TimestampOrder, ReservedType, InvalidArgument, QueueFull, NoSpace, Fenced, Forked, Closed; none leaves a
        trace.
        """
        return self.append_object(type_of(self.path, type_id), payload, -1 if ts_ns is None else check_ts(self.path, ts_ns))

    def append_many(self, type_id, payloads, ts_ns=None, *, item_size=None, offsets=None):
        """Append many records under one type; returns the seq of the last, -1 for none.

        `payloads` is an iterable of buffers; or, with `item_size` (bytes) or `offsets`, one contiguous buffer that holds them all, which
        costs a tenth. `offsets` is a buffer of int64, one more than records: record i is payloads[offsets[i]:offsets[i + 1]]. `ts_ns` is
        one time for all, or with a contiguous buffer also a buffer of int64, one for each; None takes the writer's clock, one reading for
        up to 256 records. Each record is committed in its own right. Raises as append() does; what was appended before then stays, and
        `next_seq` tells how much that is.
        """
        cdef int kind = type_of(self.path, type_id)
        self.check()
        if item_size is not None or offsets is not None:
            return append_contiguous(self, kind, payloads, ts_ns, item_size, offsets)
        return append_iterable(self, kind, payloads, -1 if ts_ns is None else check_ts(self.path, ts_ns))

    def reserve(self, type_id, size, ts_ns=None):
        """Context manager: a writable memoryview of `size` bytes in the queue itself. An exception inside leaves no trace."""
        cdef int kind = type_of(self.path, type_id)
        cdef Py_ssize_t room = whole(size, self.path, "size", 0, PY_SSIZE_T_MAX)
        return Reservation(self, kind, room, -1 if ts_ns is None else check_ts(self.path, ts_ns))

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
        cdef chr_writer *w = self.enter()
        with nogil:
            rc = chr_writer_flush(w, not sealed_only)
        try:
            if rc < 0:
                raise as_exception(&w.error, self.path, None)
        finally:
            self.leave()

    def close(self):
        """Leave in order. Idempotent. What another thread is in the middle of, and an open reservation, end first."""
        cdef chr_writer *w = self.w
        self.w = NULL
        if self.inside:
            if w != NULL:
                self.leaving = w
        elif w != NULL:
            with nogil:
                chr_writer_close(w)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    cdef chr_control *control(self) except NULL:
        self.check()
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

    @property
    def mended(self):
        """What open found damaged and put right, in words for an operator; empty when all was sound."""
        self.control()
        return mended_words((<chr_publisher *>self.w).mended)

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
        "rescues": c.rescues,
    }


@cython.final
cdef class Reservation:
    """See Publisher.reserve. `.seq` holds the record's seq after the block.

    Its place in the queue stays taken as long as anything can write there: a view kept beyond the block would alter later records.
    """

    cdef Publisher publisher
    cdef unsigned int type_id
    cdef Py_ssize_t size
    cdef long long ts_ns
    cdef chr_writer *w  # from the reserve until no view is left
    cdef void *at
    cdef object view
    cdef int exports
    cdef bint over
    cdef readonly object seq

    def __cinit__(self, Publisher publisher not None, unsigned int type_id, Py_ssize_t size, long long ts_ns):
        if size < 0:
            raise errors.QueueMisuse(path=publisher.path, reason=f"a reservation of {size} bytes")
        if size > CHR_LENGTH_MASK:
            raise errors.PayloadTooLarge(path=publisher.path, size=size, limit=CHR_LENGTH_MASK)
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
        if self.exports == 0 and self.over:
            self.give_back()

    cdef void give_back(self) noexcept:
        """Without a trace; the writer may append again."""
        chr_abort(self.w)
        self.w = NULL
        self.publisher.leave()

    def __enter__(self):
        cdef long long deadline = 0
        cdef chr_writer *w
        cdef void *at
        if self.w != NULL:
            raise errors.QueueMisuse(path=self.publisher.path, reason="this reservation is open already")
        w = self.publisher.enter()
        try:
            at = chr_reserve(w, self.type_id, <uint32_t>self.size)
            while at == NULL:
                deadline = self.publisher.wait_or_raise(deadline)
                at = chr_reserve(w, self.type_id, <uint32_t>self.size)
        except BaseException:
            self.publisher.leave()
            raise
        self.w = w
        self.at = at
        self.over = False
        self.view = memoryview(self)
        return self.view

    def __exit__(self, kind, value, traceback):
        cdef long long seq
        if self.w == NULL or self.over:
            raise errors.QueueMisuse(path=self.publisher.path, reason="nothing is reserved")
        view, self.view = self.view, None
        self.at = NULL
        try:
            view.release()
        except BufferError:
            pass  # something was built upon it: counted in exports
        if self.exports:  # slices of the view can still write
            self.over = True  # given back with the last of them
            if kind is None:
                raise errors.QueueMisuse(path=self.publisher.path, reason="a view into the reservation is still held; nothing was appended")
            return
        if kind is not None:
            self.give_back()
            return
        if self.publisher.w == NULL:
            self.give_back()
            raise errors.Closed(path=self.publisher.path)
        seq = chr_commit(self.w, <uint32_t>self.size, self.ts_ns)
        if seq < 0:
            error = as_exception(&self.w.error, self.publisher.path, None)
            self.give_back()
            raise error
        self.w = NULL
        self.publisher.leave()
        self.seq = seq
