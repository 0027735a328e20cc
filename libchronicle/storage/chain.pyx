"""A queue's segments one behind the other, and several queues merged by time.

    Chain   one queue: asks `spans` for the next segment where one ends. A seq is given once: what a second copy of a segment repeats is passed, what
            is missing between two segments is told as a LOST record, like one of the queue's own.
    Merge   several chains: the earliest ts_ns first, of equal ones that of the earlier raw record, then of the chain added first. Up to `limit_ns`, which may be raised to go on.

Frames live until the next call. A chain whose segment is live ends where its writer stands, and goes on when asked again.
"""

cimport cython
from libc.stdint cimport INT64_MAX, INT64_MIN, int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcpy, memset

from libchronicle.native.binding cimport Mapping, Message, map_memory
from libchronicle.native.hot cimport chr_frame, chr_frame_header
from libchronicle.protocol.layout cimport chr_raw_seq_offset
from libchronicle.storage.scan cimport event_time
from libchronicle.storage.walk cimport SegmentSpan, SpanWalk

from libchronicle import errors

cdef enum:
    LOST = 0xFFFE
    COMMIT_LOST = 0xA0000010
    MAX_CHAINS = 64
    INSTRUMENT = 1
    RUN = 1024
    ALONE = 1 << 30


@cython.final
cdef class Chain:
    """The records of one queue, over all of its segments."""

    def __cinit__(self, spans, uint64_t queue_id, *, bint tolerant=False, int64_t since_ns=INT64_MIN, next_seq=None):
        self.spans = spans
        self.queue_id = queue_id
        self.tolerant = tolerant
        self.since_ns = since_ns
        if next_seq is not None:
            self.next_seq = next_seq
            self.known = True

    # ------------------------------------------------------------ the walk

    cdef int cross(self) except -1:
        """Into the next segment: 1, or 0 where there is none yet."""
        cdef SegmentSpan span = self.spans.next_span()
        if span is None:
            return 0
        if span.queue_id != self.queue_id:
            raise errors.BadSegment(path=span.path, reason="of another queue", offset=24, seq=span.first_seq)
        self.walk = SpanWalk(span)
        return 1

    cdef int lost(self, uint64_t upto, int64_t ts_ns, chr_frame *out) noexcept nogil:
        """A LOST record for everything before `upto`."""
        memset(&self.note, 0, sizeof(chain_note))
        self.note.header.commit = COMMIT_LOST
        self.note.header.type_id = LOST
        self.note.header.version = 1
        self.note.header.seq = upto - 1
        self.note.header.ts_ns = ts_ns
        self.note.from_seq = self.next_seq
        self.note.to_seq = upto - 1
        memset(out, 0, sizeof(chr_frame))
        out.payload = <const uint8_t *>&self.note.from_seq
        out.size = 16
        out.type_id = LOST
        out.version = 1
        out.seq = upto - 1
        out.ts_ns = ts_ns
        self.next_seq = upto
        return 1

    cdef int into_next(self) noexcept with gil:
        """cross() for who holds no GIL, apart from the loop. 2: a LOST record is due before the segment's first."""
        cdef int rc
        try:
            rc = self.cross()
        except Exception as error:
            self.error = error
            return -1
        if rc == 0:
            return 0
        self.state = &self.walk.state
        if not self.known:
            self.next_seq = self.walk.span.first_seq
            self.known = True
        if self.walk.span.first_seq > self.next_seq:
            self.gap_to = self.walk.span.first_seq
            self.gap_ts = self.walk.span.first_ts
            return 2
        return 1

    cdef int failed(self) noexcept with gil:
        """After -1 of the walk: is it damage that is only counted?"""
        if self.tolerant and self.walk.error is None:
            self.damaged += 1
            return 0
        return -1

    cdef int fetch(self, chr_frame *out) noexcept nogil:
        cdef int rc
        while True:
            if self.state == NULL or self.state.ended:
                rc = self.into_next()
                if rc == 2:
                    return self.lost(self.gap_to, self.gap_ts, out)
                if rc <= 0:
                    return rc
            rc = self.walk.next(out)
            if rc == 1:
                if out.seq < self.next_seq:
                    continue
                self.next_seq = out.seq + 1
                if out.ts_ns < self.since_ns:
                    if out.type_id == INSTRUMENT and out.size <= MAX_DEFINITION:
                        memcpy(self.passed, out.payload, out.size)
                        self.passed_size = out.size
                    continue
                return 1
            if rc < 0:
                if self.failed() < 0:
                    return -1
                continue
            if not self.state.ended:
                return 0

    cdef int peek(self, int64_t limit_ns) noexcept nogil:
        """1: a frame stands in `held`; 0: none before the limit."""
        cdef int rc
        if not self.has_held:
            rc = self.fetch(&self.held)
            if rc <= 0:
                return rc
            self.has_held = True
        return self.held.ts_ns < limit_ns

    cdef int next(self, chr_frame *out) noexcept nogil:
        if self.has_held:
            out[0] = self.held
            self.has_held = False
            return 1
        return self.fetch(out)

    cdef int fail(self) except -1:
        error = self.error
        self.error = None
        if error is not None:
            raise error
        return self.walk.fail()

    cdef Message message(self, const chr_frame *frame):
        cdef Message message
        cdef Mapping own
        if frame.payload != <const uint8_t *>&self.note.from_seq:
            return self.walk.message(frame)
        own = map_memory(4096)
        own.path = self.walk.span.path
        memcpy(own.map.base, &self.note.header, 48)
        message = Message.__new__(Message)
        message.frame = <const chr_frame_header *>own.map.base
        message.size = 16
        message.mapping = own
        return message

    # ------------------------------------------------------------ from Python

    @property
    def span(self):
        return None if self.walk is None else self.walk.span

    @property
    def definition(self):
        return self.passed[:self.passed_size]

    @property
    def pending(self):
        return bool(self.has_held)

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


cdef inline uint64_t raw_seq(const chr_frame *f) noexcept nogil:
    """Of the raw record it was made of; 0: none is told."""
    cdef uint32_t at = chr_raw_seq_offset(f.type_id)
    return (<const uint64_t *>(f.payload + at))[0] if at and at + 8 <= f.size else 0


cdef inline bint before(const chr_frame *one, const chr_frame *other) noexcept nogil:
    return one.ts_ns < other.ts_ns or (one.ts_ns == other.ts_ns and raw_seq(one) < raw_seq(other))


@cython.final
cdef class Merge:
    """The records of several chains by ts_ns."""

    def __cinit__(self, int64_t limit_ns=INT64_MAX):
        self.chains = []
        self.limit_ns = limit_ns
        self.at = -1

    def add(self, Chain chain not None):
        if self.count == MAX_CHAINS:
            raise errors.InvalidArgument(where="Merge", field="chains", value=self.count + 1, allowed=f"up to {MAX_CHAINS} queues at once")
        self.chains.append(chain)
        self.count += 1

    cdef int next(self, chr_frame *out) noexcept nogil:
        """1 a frame, of chain `at`; 0 none before the limit; -1 see fail()."""
        cdef int rc
        cdef int64_t event
        while True:
            rc = 0
            if self.run_left > 0:
                rc = self.running.peek(self.run_ns)
            if rc == 0:
                rc = self.choose()
                if rc == 1:
                    continue
            if rc <= 0:
                return rc
            self.run_left -= 1
            out[0] = self.running.held
            self.running.has_held = False
            if not self.by_event:
                return 1
            event = event_time(out)
            if event == 0:
                event = out.ts_ns
            if self.event_since <= event < self.event_until:
                return 1

    cdef int choose(self) noexcept with gil:
        """The chain that is due, and how far it may run before another is. 1; 0 none; -1 see fail().

        Apart from the loop, which needs no GIL then. Of equal times the earlier raw record goes first, so records of a
        queue and of its late one stand as they were recorded. A run among others is cut: one that had nothing may have by now.
        """
        cdef int32_t i, best = -1
        cdef int rc
        cdef int64_t next_ns = INT64_MAX
        cdef Chain chain, first = None
        self.run_left = 0
        for i in range(self.count):
            chain = <Chain>self.chains[i]
            rc = chain.peek(self.limit_ns)
            if rc < 0:
                self.at = i
                return -1
            if rc == 0:
                continue
            if first is None or before(&chain.held, &first.held):
                if first is not None:
                    next_ns = min(next_ns, first.held.ts_ns)
                first, best = chain, i
            else:
                next_ns = min(next_ns, chain.held.ts_ns)
        if first is None:
            return 0
        self.running, self.at = first, best
        self.run_left = ALONE if self.count == 1 else RUN
        self.run_ns = min(self.limit_ns, next_ns)
        if first.held.ts_ns >= self.run_ns:
            self.run_ns = first.held.ts_ns + 1
            self.run_left = 1
        return 1

    def by_venue_time(self, int64_t since_ns, int64_t until_ns):
        """From now on give only records whose events lie in [since, until); of others their own time counts."""
        self.by_event = True
        self.event_since = since_ns
        self.event_until = until_ns

    cdef int fail(self) except -1:
        return (<Chain>self.chains[self.at]).fail()

    cdef Message message(self, const chr_frame *frame):
        return (<Chain>self.chains[self.at]).message(frame)

    # ------------------------------------------------------------ from Python

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
