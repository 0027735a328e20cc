"""Sources of a replay. Each gives the frames of one queue in order; the engine merges several.

Rules
  - A frame's payload lives until the next call.
  - Where a segment ends and the next does not begin with the record due, a LOST record is given first: nothing is missing in silence.
    Another queue under the same name (its id differs) begins anew; that is no hole.
  - Damage is told once as `error`; the next call goes on behind it, after a LOST record for what it took.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memset

from libchronicle.native.core cimport CHR_TYPE_LOST
from libchronicle.native.hot cimport chr_frame
from libchronicle.storage.walk cimport SegmentSpan, SpanWalk

from libchronicle import errors

__all__ = ["FrameSource", "RecordSource", "SpanSource"]


cdef class FrameSource:
    cdef int next(self, chr_frame *out) noexcept nogil:
        return SOURCE_NONE


cdef class SpanSource(FrameSource):
    """The segments of a queue, in order; `start_ns`: from the first frame that is not before it."""

    def __init__(self, spans, str name="", start_ns=None):
        self.spans = iter(spans)
        self.name = name
        self.start_ns = -1 if start_ns is None else start_ns

    cdef int next(self, chr_frame *out) noexcept nogil:
        cdef int rc
        while True:
            if self.walk is not None:
                rc = self.walk.next(out)
                if rc == SOURCE_FRAME:
                    self.next_seq = out.seq + 1
                    self.last_ns = out.ts_ns
                    return rc
                if rc < 0:
                    with gil:
                        self.keep_damage()
                    return SOURCE_ERROR
                if not self.walk.state.ended:
                    return SOURCE_NONE
            with gil:
                try:
                    rc = self.cross(out)
                except Exception as error:
                    self.error = error
                    self.walk = None
                    return SOURCE_ERROR
            if rc != 2:
                return rc

    def keep_damage(self):
        try:
            self.walk.fail()
        except Exception as error:
            self.error = error

    cdef int cross(self, chr_frame *out) except -2:
        """Into the next segment: 1 a hole was found on the way, 2 walk on, 0 there is none."""
        if self.walk is not None:
            self.lost += self.walk.state.lost
            if self.walk.state.next_seq > self.next_seq:
                self.next_seq = self.walk.state.next_seq
            self.walk = None
        if self.following is not None:
            span, self.following = self.following, None
            return self.enter(span, out)
        try:
            span = next(self.spans, None)
        except errors.BadSegment as error:
            self.error = error
            return SOURCE_ERROR
        if span is None:
            self.ended = True
            return SOURCE_NONE
        return self.enter(span, out)

    cdef int enter(self, span, chr_frame *out) except -2:
        cdef SegmentSpan found = span
        cdef SpanWalk walk
        cdef int rc
        if self.begun and found.queue_id == self.queue_id and found.first_seq < self.next_seq:
            walk = SpanWalk(found)  # what was read already is passed over
            rc = walk.seek(False, self.next_seq, 0)
        elif self.begun and found.queue_id == self.queue_id and found.first_seq > self.next_seq:
            self.following = found
            self.tell_hole(found.first_seq - 1, max(found.first_ts, self.last_ns), out)
            return SOURCE_FRAME
        else:
            walk = SpanWalk(found)
            rc = walk.seek(True, 0, self.start_ns) if self.start_ns >= 0 and not self.begun else 1
        if rc < 0:
            walk.fail()
        self.queue_id = found.queue_id
        self.walk = walk
        if rc == 1:
            self.begun = True
            self.next_seq = walk.state.next_seq
        return 2

    cdef void tell_hole(self, uint64_t to_seq, int64_t ts_ns, chr_frame *out) noexcept:
        """A LOST record for what is due up to `to_seq`."""
        self.hole.from_seq = self.next_seq
        self.hole.to_seq = to_seq
        self.lost += to_seq - self.next_seq + 1
        self.next_seq = to_seq + 1
        memset(out, 0, sizeof(chr_frame))
        out.payload = <const uint8_t *>&self.hole
        out.size = sizeof(self.hole)
        out.type_id = CHR_TYPE_LOST
        out.version = 1
        out.seq = to_seq
        out.ts_ns = ts_ns


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
