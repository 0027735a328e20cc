"""A segment's bytes wherever they come from, and the one walk over their frames (chr_span.h).

A `SegmentSpan` owns the bytes: a file mapped read-only (hot and warm; cut short under our feet it reads as zeros and says so), or memory that is filled
block by block when the walk gets there (cold and remote; one of a single block is walked where it was unpacked). A `SpanWalk` steps through it; any number of walks may share a span, each on one thread.
"""

cimport cython
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from libchronicle.native.binding cimport Mapping, Message, map_bytes, map_file, map_memory, populate
from libchronicle.native.core cimport (
    CHR_MAGIC_SEGMENT,
    CHR_SEAL_QUARANTINED,
    CHR_SEQ_UNKNOWN,
    chr_crc_seed,
    chr_seal,
    chr_segment_header,
)
from libchronicle.native.hot cimport chr_frame, chr_frame_header

import os

from libchronicle import errors
from libchronicle.native.binding import parse_segment, verdict_text

_HEAD = 128
cdef enum:
    _WANTS = 2  # what chr_span_next says where bytes are wanted


@cython.final
cdef class SegmentSpan:
    """The bytes of one segment."""

    def __init__(self):
        raise TypeError("spans come from SegmentSpan.open_file or SegmentSpan.from_source")

    @staticmethod
    def open_file(path, bint live=False):
        cdef SegmentSpan self = SegmentSpan.__new__(SegmentSpan)
        self.path = os.fspath(path)
        fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            head = os.pread(fd, _HEAD, 0)
            size = self.check_head(head)
            there = os.fstat(fd).st_size
            if there != size:
                raise errors.BadSegment(path=self.path, reason=f"{there} bytes, its header says {size}", offset=min(there, size), seq=-1)
        except BaseException:
            os.close(fd)
            raise
        self.mapping = map_file(fd, size)
        self.read_head(live)
        return self

    @staticmethod
    def from_source(source, str path not None):
        cdef SegmentSpan self = SegmentSpan.__new__(SegmentSpan)
        self.path = path
        self.source = source
        self.block_size = source.block_size
        size = source.size
        if self.block_size < _HEAD or size < 4096 or size > 1 << 28:
            raise errors.BadSegment(path=path, reason="no segment has that size", offset=0, seq=-1)
        self.size = size
        if self.block_size >= size:
            self.whole(source.read_block(0))
        else:
            self.filled = bytearray((size + self.block_size - 1) // self.block_size)
            self.mapping = map_memory(size)
            self.base = self.mapping.map.base
            self.ensure(0)
        wanted = self.check_head((<const char *>self.base)[:_HEAD])
        if wanted != size:
            raise errors.BadSegment(path=path, reason=f"{size} bytes, its header says {wanted}", offset=size, seq=-1)
        self.read_head(False)
        return self

    def check_head(self, bytes head not None):
        """The size that the header tells. Raises BadSegment, UnsupportedVersion."""
        facts = parse_segment(head)
        if facts is not None and facts["sound"] and facts["version"] != 1:
            raise errors.UnsupportedVersion(path=self.path, version=facts["version"], supported=1)
        if facts is None or not facts["sound"] or not facts["begun"]:
            reason = "no segment" if facts is None else "segment header" if not facts["sound"] else "a segment not begun"
            raise errors.BadSegment(path=self.path, reason=reason, offset=0, seq=-1)
        return facts["size"]

    cdef int read_head(self, bint live) except -1:
        cdef chr_span state
        cdef const chr_segment_header *h
        cdef const chr_seal *seal
        self.base = self.mapping.map.base
        h = <const chr_segment_header *>self.base
        seal = <const chr_seal *>(self.base + sizeof(chr_segment_header))
        chr_span_begin(&state, self.base, _HEAD, CHR_SPAN_LIVE if live else 0)
        self.size = h.size
        self.queue_id = h.queue_id
        self.number = h.number
        self.first_seq = h.first_seq
        self.first_ts = h.first_ts
        self.sealed = state.sealed
        self.quarantined = state.known_bad
        self.live = state.live
        self.end = state.end
        if self.sealed:
            self.frames = seal.frames
            self.seal_last_seq = seal.last_seq
            self.seal_last_ts = seal.last_ts
        self.mapping.path = self.path
        self.mapping.map.number = h.number
        self.mapping.seed = chr_crc_seed(h.queue_id)
        return 0

    @property
    def last_seq(self):
        return self.seal_last_seq if self.sealed else None

    @property
    def last_ts(self):
        return self.seal_last_ts if self.sealed else None

    @property
    def broken(self):
        return bool(self.mapping.map.broken)

    def populate(self):
        """Bring all of it into memory at once: for who will walk it whole."""
        cdef uint64_t at = 0
        if self.source is None:
            populate(self.mapping, self.end)
        while self.source is not None and at < self.size:
            at = self.ensure(at)

    def data(self):
        """memoryview of the segment's bytes, all of them there. It does not keep the span alive for itself: hold the span."""
        if self.source is not None:
            self.populate()
        return memoryview(<const uint8_t[:self.size]>self.base)

    cdef uint64_t ensure(self, uint64_t offset) except 0:
        """Make the block that holds byte `offset` be there, and say up to where there is no hole from there on."""
        cdef uint64_t block, blocks = <uint64_t>len(self.filled) if self.source is not None else 0
        cdef uint64_t start, upto
        if self.source is None or offset >= self.size:
            return self.size
        block = offset // self.block_size
        if not self.filled[block]:
            start = block * self.block_size
            upto = min(start + self.block_size, self.size)
            data = self.source.read_block(block)
            if <uint64_t>len(data) != upto - start:
                raise errors.BadSegment(path=self.path, reason=f"a block of {len(data)} bytes", offset=start, seq=-1)
            self.take(start, data)
            self.filled[block] = 1
        while block < blocks and self.filled[block]:
            block += 1
        if block == blocks:
            self.source = None
            return self.size
        return block * self.block_size

    cdef int whole(self, data) except -1:
        """All of it is there: it is taken as it lies."""
        if <uint64_t>len(data) != self.size:
            raise errors.BadSegment(path=self.path, reason=f"a block of {len(data)} bytes", offset=0, seq=-1)
        self.mapping = map_bytes(data if isinstance(data, bytes) else bytes(data))
        self.base = self.mapping.map.base
        self.source = None
        return 0

    def take(self, uint64_t start, const uint8_t[::1] data not None):
        if data.shape[0]:
            memcpy(<uint8_t *>self.base + start, &data[0], data.shape[0])

    def walk(self):
        """A new SpanWalk at the first frame."""
        return SpanWalk(self)

    def __repr__(self):
        return f"SegmentSpan({self.path!r}, queue_id={self.queue_id:#018x}, number={self.number}, first_seq={self.first_seq})"


@cython.final
cdef class SpanWalk:
    """Frames of a span in order."""

    def __cinit__(self, SegmentSpan span not None):
        cdef uint64_t ready = span.ensure(0)
        self.span = span
        chr_span_begin(&self.state, span.base, ready, CHR_SPAN_LIVE if span.live else 0)

    cdef int refill(self) except -1:
        self.state.ready = self.span.ensure(self.state.ready)
        return 0

    cdef int wanted(self) noexcept with gil:
        """refill() for who holds no GIL. Apart from the loop: a function that may take the GIL pays for it at every call."""
        try:
            return self.refill()
        except Exception as error:
            self.error = error
            return -1

    cdef int next(self, chr_frame *out) noexcept nogil:
        cdef int rc
        while True:
            rc = chr_span_next(&self.state, out)
            if rc != _WANTS:
                return rc
            if self.wanted() < 0:
                return -1

    cdef int seek(self, bint by_time, uint64_t seq, int64_t ts_ns) noexcept nogil:
        cdef int rc
        while True:
            rc = chr_span_seek(&self.state, by_time, seq, ts_ns)
            if rc != _WANTS:
                return rc
            if self.wanted() < 0:
                return -1

    cdef int place(self, uint64_t offset, uint64_t seq) except -1:
        chr_span_place(&self.state, offset, seq)
        self.state.ready = self.span.ensure(offset)
        return 0

    cdef int fail(self) except -1:
        error = self.error
        self.error = None
        if error is not None:
            raise error
        if self.span.mapping.map.broken:
            raise errors.Broken(path=self.span.path, reason="its bytes are gone")
        raise errors.BadSegment(
            path=self.span.path, reason=verdict_text(self.state.verdict), offset=self.state.offset, seq=self.state.next_seq
        )

    cdef Message message(self, const chr_frame *frame):
        cdef Message message = Message.__new__(Message)
        cdef Mapping own
        message.frame = <const chr_frame_header *>frame.payload - 1
        message.size = frame.size
        message.mapping = self.span.mapping
        if frame.payload < self.span.base or frame.payload >= self.span.base + self.span.size:  # a LOST record made by the walk
            own = map_memory(4096)
            own.path = self.span.path
            own.seed = self.span.mapping.seed
            memcpy(own.map.base, message.frame, 32 + frame.size)
            message.frame = <const chr_frame_header *>own.map.base
            message.mapping = own
        return message

    # ------------------------------------------------------------ from Python

    @property
    def offset(self):
        return self.state.offset

    @property
    def next_seq(self):
        return self.state.next_seq

    @property
    def lost(self):
        return self.state.lost

    @property
    def ended(self):
        return bool(self.state.ended)

    def seek_seq(self, uint64_t seq):
        cdef int rc
        with nogil:
            rc = self.seek(False, seq, 0)
        if rc < 0:
            self.fail()
        return rc == 1

    def seek_time(self, int64_t ts_ns):
        cdef int rc
        with nogil:
            rc = self.seek(True, 0, ts_ns)
        if rc < 0:
            self.fail()
        return rc == 1

    def goto(self, uint64_t offset, uint64_t seq):
        if offset < 128 or offset % 32 or offset > self.span.size:
            raise errors.InvalidArgument(where="SpanWalk.goto", field="offset", value=offset, allowed="the offset of a frame")
        self.place(offset, seq)

    def __iter__(self):
        return self

    def __next__(self):
        cdef chr_frame frame
        cdef int rc = self.next(&frame)
        if rc < 0:
            self.fail()
        if rc == 0:
            raise StopIteration
        return self.message(&frame)
