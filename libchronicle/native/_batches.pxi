"""Many records per call: append_many over objects and over one buffer, and Columns. The loops are chr_batch.h. Included by binding.pyx."""

cdef long long append_iterable(Publisher publisher, int type_id, object payloads, long long ts_ns) except? -2:
    """The seq of the last, -1 for none. Lists and tuples of bytes go in runs, for nothing of the caller's runs in between."""
    cdef long long seq = -1
    cdef Py_ssize_t at = 0
    if not isinstance(payloads, (list, tuple)):
        for payload in payloads:
            seq = publisher.append_object(type_id, payload, ts_ns)
        return seq
    while at < PySequence_Fast_GET_SIZE(payloads):
        seq = publisher.append_object(type_id, <object>PySequence_Fast_GET_ITEM(payloads, at), ts_ns)
        at += 1
        at += append_run(publisher, type_id, payloads, at)
        seq = publisher.w.seq - 1
    return seq


cdef Py_ssize_t append_run(Publisher publisher, int type_id, object payloads, Py_ssize_t at) except -1:
    """After an append: the bytes objects from `at` on, with its time, as far as its step and a run go. How many those were."""
    cdef chr_writer *w = publisher.w
    cdef Py_ssize_t left = min(PySequence_Fast_GET_SIZE(payloads) - at, <Py_ssize_t>CHR_BATCH_RUN)
    cdef Py_ssize_t done = 0
    cdef PyObject *payload
    if w == NULL:
        raise errors.Closed(path=publisher.path)
    while done < left:
        payload = PySequence_Fast_GET_ITEM(payloads, at + done)
        if not PyBytes_CheckExact(<object>payload) or PyBytes_GET_SIZE(<object>payload) > CHR_LENGTH_MASK:
            break
        if not chr_append_after(w, type_id, PyBytes_AS_STRING(<object>payload), <uint32_t>PyBytes_GET_SIZE(<object>payload), w.last_ts):
            break
        done += 1
    if done and chr_tell(w) < 0:
        raise_writer(publisher)
    return done


cdef long long append_contiguous(Publisher publisher, int type_id, object payloads, object ts_ns, object item_size, object offsets) except? -2:
    cdef Py_buffer data
    cdef const int64_t[::1] ends
    cdef const int64_t[::1] times
    cdef chr_batch b
    memset(&b, 0, sizeof(b))
    b.type_id = type_id
    PyObject_GetBuffer(payloads, &data, PyBUF_SIMPLE)
    try:
        b.data = <const uint8_t *>data.buf
        if offsets is None:
            count_items(publisher.path, &b, item_size, data.len)
        else:
            ends = as_int64(publisher.path, "offsets", offsets)
            check_offsets(publisher.path, ends, item_size, data.len)
            b.offsets = &ends[0]
            b.count = ends.shape[0] - 1
        if ts_ns is None or isinstance(ts_ns, int):
            b.ts_ns = -1 if ts_ns is None else check_ts(publisher.path, ts_ns)
        else:
            times = as_int64(publisher.path, "ts_ns", ts_ns)
            check_times(publisher.path, times, b.count)
            b.times = &times[0] if b.count else NULL
        return append_batch(publisher, &b)
    finally:
        PyBuffer_Release(&data)


cdef long long append_batch(Publisher publisher, chr_batch *b) except? -2:
    cdef long long deadline = 0
    while chr_append_batch(publisher.w, b) < 0:
        deadline = publisher.wait_or_raise(deadline)
    return publisher.w.seq - 1 if b.count else -1


cdef int count_items(str path, chr_batch *b, object item_size, Py_ssize_t size) except -1:
    b.item = whole(item_size, path, "item_size", 1, CHR_LENGTH_MASK)
    if size % b.item:
        raise errors.QueueMisuse(path=path, reason=f"a buffer of {size} bytes is no whole number of records of {item_size}")
    b.count = size // b.item
    return 0


cdef const int64_t[::1] as_int64(str path, str field, object numbers):
    """A buffer of 64-bit integers; unsigned ones are taken as they are."""
    cdef object view = memoryview(numbers)
    if view.ndim != 1 or view.itemsize != 8 or view.format not in ("q", "Q", "l", "L"):
        raise errors.InvalidArgument(where=path, field=field, value=view.format, allowed="a buffer of int64: array('q'), numpy int64")
    return view.cast("B").cast("q")


cdef int check_offsets(str path, const int64_t[::1] offsets, object item_size, Py_ssize_t size) except -1:
    cdef Py_ssize_t i
    cdef int64_t step
    if item_size is not None:
        raise errors.QueueMisuse(path=path, reason="append_many takes item_size or offsets, not both")
    if offsets.shape[0] == 0:
        raise errors.QueueMisuse(path=path, reason="offsets are one more than records, so at least one")
    if offsets[0] < 0 or offsets[offsets.shape[0] - 1] > size:
        raise errors.QueueMisuse(path=path, reason=f"offsets reach from {offsets[0]} to {offsets[offsets.shape[0] - 1]} in {size} bytes")
    for i in range(offsets.shape[0] - 1):
        step = offsets[i + 1] - offsets[i]
        if step < 0 or step > CHR_LENGTH_MASK:
            raise errors.QueueMisuse(path=path, reason=f"record {i} would begin at {offsets[i]} and end at {offsets[i + 1]}")
    return 0


cdef int check_times(str path, const int64_t[::1] times, uint64_t count) except -1:
    cdef Py_ssize_t i
    if <uint64_t>times.shape[0] != count:
        raise errors.QueueMisuse(path=path, reason=f"{times.shape[0]} times for {count} records")
    for i in range(times.shape[0]):
        if times[i] < 0:
            raise errors.InvalidArgument(where=path, field="ts_ns", value=times[i], allowed="nanoseconds from 0 to 2**63 - 1")
    return 0


@cython.final
cdef class Columns:
    """Records as columns, each an array that memoryview, struct and numpy.frombuffer read without a copy.

    seqs array('Q'), ts_ns array('q') in nanoseconds, epochs array('I'), type_ids array('H'), one entry for each record; offsets array('q'), one
    more: the payload of record i is payload[offsets[i]:offsets[i + 1]]. `item_size` is the payload size in bytes if all have the same, else None.
    """

    cdef readonly array seqs
    cdef readonly array ts_ns
    cdef readonly array epochs
    cdef readonly array type_ids
    cdef readonly array offsets
    cdef readonly bytearray payload

    def __init__(self):
        raise TypeError("columns come from a Subscriber")

    def __len__(self):
        return len(self.seqs)

    @property
    def item_size(self):
        cdef const int64_t[::1] offsets = self.offsets
        cdef Py_ssize_t i
        cdef int64_t size
        if offsets.shape[0] < 2:
            return None
        size = offsets[1]
        for i in range(1, offsets.shape[0]):
            if offsets[i] != i * size:
                return None
        return size

    def __repr__(self):
        return f"Columns({len(self)} records, {len(self.payload)} bytes)"


cdef Columns new_columns(Py_ssize_t rows, Py_ssize_t room):
    cdef Columns c = Columns.__new__(Columns)
    c.seqs = array_clone(_U64, rows, False)
    c.ts_ns = array_clone(_I64, rows, False)
    c.epochs = array_clone(_U32, rows, False)
    c.type_ids = array_clone(_U16, rows, False)
    c.offsets = array_clone(_I64, rows + 1, False)
    c.payload = PyByteArray_FromStringAndSize(NULL, room + CHR_COLUMN_SLACK)
    return c


cdef int point_into(Columns c, chr_columns *out) except -1:
    out.seqs = <uint64_t *>c.seqs.data.as_ulonglongs
    out.ts_ns = <int64_t *>c.ts_ns.data.as_longlongs
    out.epochs = c.epochs.data.as_uints
    out.type_ids = c.type_ids.data.as_ushorts
    out.offsets = <int64_t *>c.offsets.data.as_longlongs
    out.payload = <uint8_t *>PyByteArray_AS_STRING(c.payload)
    out.bytes_room = PyByteArray_GET_SIZE(c.payload) - CHR_COLUMN_SLACK
    return 0


cdef int trim(Columns c, uint64_t rows, uint64_t size) except -1:
    array_resize(c.seqs, rows)
    array_resize(c.ts_ns, rows)
    array_resize(c.epochs, rows)
    array_resize(c.type_ids, rows)
    array_resize(c.offsets, rows + 1)
    PyByteArray_Resize(c.payload, size)
    return 0


cdef array _U64 = array_type("Q")
cdef array _I64 = array_type("q")
cdef array _U32 = array_type("I")
cdef array _U16 = array_type("H")


cdef Columns drain_columns(Subscriber subscriber, Py_ssize_t most):
    """What there is, at most `most` records. With an error after the first the rows before it come back; the next call raises it."""
    cdef chr_columns c
    cdef chr_control *control = subscriber.control()
    cdef uint64_t head = control.head
    cdef uint64_t at = chr_reader_position(subscriber.r)
    cdef uint64_t behind = head - at if head > at else 0
    cdef uint64_t rows = min(<uint64_t>most, behind // 32 + CHR_BATCH_RUN)
    cdef Columns out
    cdef int rc = 0
    memset(&c, 0, sizeof(c))
    c.rows_room = rows
    out = new_columns(rows, min(behind, rows * subscriber.row_bytes) + 4096)
    point_into(out, &c)
    c.offsets[0] = 0
    while rows:
        rc = chr_drain_columns(subscriber.r, &c)
        if rc <= 0 or c.rows == c.rows_room:
            break
        PyByteArray_Resize(out.payload, max(c.bytes_room * 2, c.bytes + c.held.size) + CHR_COLUMN_SLACK)
        point_into(out, &c)
    if rc < 0:
        subscriber.keep_error(c.rows > 0)
    if c.rows:
        subscriber.row_bytes = c.bytes // c.rows + 1  # so that the next batch is neither grown nor cut: both cost page faults
    trim(out, c.rows, c.bytes)
    return out
