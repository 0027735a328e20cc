"""What another Cython module may cimport: a segment's bytes, and the walk over its frames.

    from libchronicle.native.hot cimport chr_frame
    from libchronicle.storage.walk cimport SegmentSpan, SpanWalk

    cdef chr_frame f
    while True:
        n = walk.next(&f)          # nogil; 1 a frame, 0 nothing more (walk.span_.ended) or nothing yet, -1 see walk.fail()
        if n < 0:
            walk.fail()            # raises; or, to go on behind the damage, call next() again: a LOST record (type 0xFFFE) tells what is missing

`f.payload` points into the span and lives as long as the span does (that of a LOST record made by the walk only until the next call).
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from libchronicle.native.binding cimport Mapping, Message
from libchronicle.native.hot cimport chr_frame


cdef extern from "chr_span.h" nogil:
    enum:
        CHR_SPAN_LIVE

    ctypedef struct chr_span:
        const uint8_t *base
        uint64_t offset
        uint64_t end
        uint64_t limit
        uint64_t ready
        uint64_t next_seq
        uint64_t last_seq
        uint64_t lost
        int64_t ts_ns
        uint32_t epoch
        uint32_t live
        uint32_t sealed
        uint32_t known_bad
        uint32_t ended
        int32_t verdict

    void chr_span_begin(chr_span *s, const uint8_t *base, uint64_t ready, uint32_t flags)
    void chr_span_place(chr_span *s, uint64_t offset, uint64_t seq)
    int chr_span_next(chr_span *s, chr_frame *out)
    int chr_span_seek(chr_span *s, bint by_time, uint64_t seq, int64_t ts_ns)


cdef class SegmentSpan:
    cdef Mapping mapping
    cdef const uint8_t *base
    cdef readonly str path
    cdef readonly uint64_t size          # of the segment, bytes
    cdef readonly uint64_t queue_id
    cdef readonly uint32_t number
    cdef readonly uint64_t first_seq     # of the first record
    cdef readonly int64_t first_ts       # no record here is older (it is the last time before the segment)
    cdef readonly bint sealed
    cdef readonly bint quarantined
    cdef readonly bint live
    cdef readonly uint64_t end           # sealed: where records end; else the segment's size
    cdef readonly uint64_t frames        # by the seal; 0 without one
    cdef uint64_t seal_last_seq
    cdef int64_t seal_last_ts
    cdef object source                   # of a span filled block by block; None: all is there
    cdef uint64_t block_size
    cdef bytearray filled                # a byte per block
    cdef int read_head(self, bint live) except -1
    cdef uint64_t ensure(self, uint64_t offset) except 0
    cdef int whole(self, data) except -1


cdef class SpanWalk:
    cdef chr_span state
    cdef readonly SegmentSpan span
    cdef object error
    cdef int refill(self) except -1
    cdef int wanted(self) noexcept with gil
    cdef int next(self, chr_frame *out) noexcept nogil
    cdef int seek(self, bint by_time, uint64_t seq, int64_t ts_ns) noexcept nogil
    cdef int place(self, uint64_t offset, uint64_t seq) except -1
    cdef int fail(self) except -1
    cdef Message message(self, const chr_frame *frame)
