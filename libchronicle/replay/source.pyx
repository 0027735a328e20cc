"""Sources of a replay. Each gives frames in order; the engine merges several.

    SpanSource     the segments of one queue
    ReadingSource  a stream of the archive and of the queue before it, whatever tiers it lies in
    RecordSource   records in memory

Rules
  - A frame's payload lives until the next call.
  - What is missing between two segments is given as a LOST record; what two copies of a segment repeat is given once (storage/chain.pyx).
  - Damage is told once as `error`; the next call goes on behind it, after a LOST record for what it took.
  - A source that follows does not end: where the queue's writer stands it has nothing yet. The archive hands over to the queue inside its chain, by
    seq, so nothing is given twice and nothing is missed.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport INT64_MIN, int64_t, uint8_t

from libchronicle.native.hot cimport chr_frame
from libchronicle.storage.chain cimport Chain, Merge

__all__ = ["FrameSource", "ReadingSource", "RecordSource", "SpanSource"]


cdef class FrameSource:
    """Where a replay's records come from, in their order; see the kinds below."""

    cdef int next(self, chr_frame *out) noexcept nogil:
        return SOURCE_NONE


class _Spans:
    """Spans in order, as a Chain asks for them."""

    def __init__(self, spans):
        self.spans = iter(spans)
        self.first = next(self.spans, None)

    def next_span(self):
        found, self.first = self.first, None
        return found if found is not None else next(self.spans, None)


cdef class SpanSource(FrameSource):
    """Segments of one queue, in order; `start_ns`: from the first record that is not before it. `follow`: the last one is live."""

    def __init__(self, spans, str name="", *, start_ns=None, bint follow=False):
        given = _Spans(spans)
        self.name = name
        self.follow = follow
        self.ended = given.first is None
        if given.first is not None:
            since = INT64_MIN if start_ns is None else start_ns
            self.chain = Chain(given, given.first.queue_id, since_ns=since)

    cdef int next(self, chr_frame *out) noexcept nogil:
        cdef int rc
        if self.chain is None:
            return SOURCE_NONE
        rc = self.chain.next(out)
        if rc == 0 and not self.follow:
            self.ended = True
        if rc < 0:
            with gil:
                self.error = _failure(self.chain)
        return rc

    @property
    def queue_id(self) -> int:
        return 0 if self.chain is None else self.chain.queue_id

    @property
    def next_seq(self) -> int:
        return 0 if self.chain is None else self.chain.next_seq


ctypedef fused Walk:
    Chain
    Merge

cdef object _failure(Walk walk):
    try:
        walk.fail()
    except Exception as error:
        return error


cdef class ReadingSource(FrameSource):
    """What `Archive.read` gives. `follow`: at its end it waits for more, for ever."""

    def __init__(self, reading, name=None, *, bint follow=False):
        self.name = str(reading.stream) if name is None else name
        self.reading = reading
        self.merges = reading.merges()
        self.follow = follow

    cdef int next(self, chr_frame *out) noexcept nogil:
        cdef int rc
        while True:
            if self.merge is not None:
                rc = self.merge.next(out)
                if rc > 0:
                    return rc
                if rc < 0:
                    with gil:
                        self.error = _failure(self.merge)
                    return SOURCE_ERROR
            with gil:
                try:
                    rc = self.turn()
                except Exception as error:
                    self.error = error
                    return SOURCE_ERROR
            if rc == 0:
                return SOURCE_NONE

    cdef int turn(self) except -2:
        """To the next stretch of time: 1; 0 there is none."""
        cdef Merge merge = next(self.merges, None)
        if merge is None:
            self.ended = not self.follow
            if self.follow and (self.merge is None or not self.merge.chains):
                self.merges = self.reading.merges()  # there was no queue yet: look again when asked again
            return 0
        self.merge = merge
        return 1


cdef class RecordSource(FrameSource):
    """Records (type_id, payload, ts_ns) from anything that yields them; numbered from 0."""

    def __init__(self, records, str name=""):
        self.records = iter(records)
        self.name = name

    cdef int next(self, chr_frame *out) noexcept nogil:
        with gil:
            try:
                return self.take(out)
            except Exception as error:
                self.error = error
                return SOURCE_ERROR

    cdef int take(self, chr_frame *out) except -2:
        cdef Py_buffer view
        found = next(self.records, None)
        if found is None:
            self.ended = True
            return SOURCE_NONE
        kind, payload, ts_ns = found
        self.held = payload if isinstance(payload, bytes) else bytes(payload)
        PyObject_GetBuffer(self.held, &view, PyBUF_SIMPLE)
        out.payload = <const uint8_t *>view.buf
        out.size = <unsigned int>view.len
        PyBuffer_Release(&view)  # `held` keeps the bytes
        out.type_id = kind
        out.flags = 0
        out.version = 1
        out.seq = self.seq
        out.ts_ns = ts_ns
        out.epoch = 0
        self.seq += 1
        return SOURCE_FRAME
