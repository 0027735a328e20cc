"""Walks over whole queues, tier by tier, and several of them in one order of time."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from libchronicle.native.binding cimport Message
from libchronicle.native.hot cimport chr_frame, chr_frame_header
from libchronicle.storage.walk cimport SegmentSpan, SpanWalk, chr_span


cdef enum:
    MAX_DEFINITION = 512


cdef struct chain_note:
    chr_frame_header header
    uint64_t from_seq
    uint64_t to_seq


cdef class Chain:
    cdef readonly object spans          # .next_span() -> SegmentSpan | None
    cdef readonly uint64_t queue_id
    cdef readonly uint64_t next_seq     # 0 with `known` unset: any
    cdef readonly bint known
    cdef readonly bint tolerant
    cdef readonly uint64_t damaged
    cdef public int64_t since_ns        # records before it are passed
    cdef SpanWalk walk
    cdef object error
    cdef chain_note note
    cdef chr_frame held
    cdef bint has_held
    cdef uint8_t passed[MAX_DEFINITION]
    cdef uint32_t passed_size
    cdef chr_span *state                # of the walk
    cdef uint64_t gap_to
    cdef int64_t gap_ts
    cdef int cross(self) except -1
    cdef int into_next(self) noexcept with gil
    cdef int failed(self) noexcept with gil
    cdef int lost(self, uint64_t upto, int64_t ts_ns, chr_frame *out) noexcept nogil
    cdef int fetch(self, chr_frame *out) noexcept nogil
    cdef int peek(self, int64_t limit_ns) noexcept nogil
    cdef int next(self, chr_frame *out) noexcept nogil
    cdef int fail(self) except -1
    cdef Message message(self, const chr_frame *frame)


cdef class Merge:
    cdef readonly list chains
    cdef public int64_t limit_ns        # records at or after it stay
    cdef int32_t at                     # chain that gave the last frame
    cdef Chain running                  # it gives, until `run_ns` or for `run_left` records, before the others are looked at again
    cdef int64_t run_ns
    cdef int64_t run_left
    cdef int32_t count
    cdef bint by_event
    cdef int64_t event_since
    cdef int64_t event_until
    cdef int next(self, chr_frame *out) noexcept nogil
    cdef int choose(self) noexcept with gil
    cdef int fail(self) except -1
    cdef Message message(self, const chr_frame *frame)
