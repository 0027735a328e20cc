# distutils: depends = libchronicle/native/chr_span.h libchronicle/protocol/messages.h libchronicle/protocol/sbe.h
"""One pass over a segment for what the manifest keeps of it."""

cimport cython
from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from libchronicle.native.hot cimport chr_frame
from libchronicle.protocol.layout cimport CHR_BOOK_DELTA, CHR_BOOK_SNAPSHOT, CHR_GAP
from libchronicle.protocol.sbe cimport chr_book_levels, chr_instrument_of, chr_levels
from libchronicle.storage.walk cimport SegmentSpan, SpanWalk



cdef enum:
    TYPES = 256
    INSTRUMENTS = 64
    LOST = 0xFFFE


cdef struct tally:
    uint64_t frames
    uint64_t payload_bytes
    uint64_t levels
    uint64_t lost
    uint64_t malformed
    uint64_t counts[TYPES]
    uint64_t others
    uint64_t first_seq
    uint64_t last_seq
    int64_t first_ts
    int64_t last_ts
    int64_t first_event
    int64_t last_event
    int64_t day_event       # of the first record of an event: what dates the segment
    uint32_t instruments
    uint64_t ids[INSTRUMENTS]


cdef inline void note_instrument(tally *t, const chr_frame *f) noexcept nogil:
    cdef uint64_t id = chr_instrument_of(f.type_id, f.payload, f.size)
    cdef uint32_t i
    if id == 0:
        return
    for i in range(min(t.instruments, <uint32_t>INSTRUMENTS)):
        if t.ids[i] == id:
            return
    if t.instruments < INSTRUMENTS:
        t.ids[t.instruments] = id
    t.instruments += 1


cdef inline void note_frame(tally *t, const chr_frame *f) noexcept nogil:
    cdef chr_levels bids, asks
    cdef int64_t event
    if t.frames == 0:
        t.first_seq = f.seq
        t.first_ts = f.ts_ns
    t.last_seq = f.seq
    t.last_ts = f.ts_ns
    t.frames += 1
    t.payload_bytes += f.size
    if f.type_id < TYPES:
        t.counts[f.type_id] += 1
    else:
        t.others += 1
    note_instrument(t, f)
    event = event_time(f)
    if event:
        if t.day_event == 0:
            t.day_event = event
        t.first_event = min(t.first_event, event)
        t.last_event = max(t.last_event, event)
    if f.type_id == CHR_BOOK_SNAPSHOT or f.type_id == CHR_BOOK_DELTA:
        if chr_book_levels(f.payload, f.size, &bids, &asks) == 0:
            t.levels += bids.count + asks.count
        else:
            t.malformed += 1


def scan(SegmentSpan span not None, bint tolerant=False):
    """What one pass over `span` finds, as keyword arguments of SegmentFacts.

    Damage raises BadSegment; with `tolerant` it is stepped over, and `damaged` counts the places.
    """
    cdef SpanWalk walk = SpanWalk(span)
    cdef tally t
    cdef chr_frame f
    cdef int n
    cdef uint64_t damaged = 0
    memset(&t, 0, sizeof(t))
    t.first_event = INT64_MAX
    t.last_event = INT64_MIN
    while True:
        with nogil:
            n = walk.next(&f)
            while n == 1:
                if f.type_id == LOST:
                    t.others += 1
                else:
                    note_frame(&t, &f)
                n = walk.next(&f)
        if n == 0:
            break
        if not tolerant or walk.error is not None:
            walk.fail()
        damaged += 1
    return {
        "records": t.frames,
        "payload_bytes": t.payload_bytes,
        "levels": t.levels,
        "gaps": t.counts[CHR_GAP],
        "lost": walk.state.lost,
        "malformed": t.malformed,
        "damaged": damaged,
        "types": {str(i): t.counts[i] for i in range(TYPES) if t.counts[i]},
        "first_seq": t.first_seq if t.frames else span.first_seq,
        "last_seq": t.last_seq if t.frames else span.first_seq - 1 if span.first_seq else 0,
        "first_ts": t.first_ts if t.frames else span.first_ts,
        "last_ts": t.last_ts if t.frames else span.first_ts,
        "first_event": t.first_event if t.day_event else None,
        "last_event": t.last_event if t.day_event else None,
        "dated_by": t.day_event if t.day_event else None,
        "instruments": [t.ids[i] for i in range(min(t.instruments, <uint32_t>INSTRUMENTS))],
        "mixed": t.instruments > 1,
        "next_seq": walk.state.next_seq,
    }


def dated_by(SegmentSpan span not None):
    """The time whose UTC date a segment is of: that of its first event at the venue, else of its first record. None: it is empty.

    Reads no further than that; damage is stepped over.
    """
    cdef SpanWalk walk = SpanWalk(span)
    cdef chr_frame f
    cdef int n
    cdef int64_t event, first = 0
    while True:
        n = walk.next(&f)
        if n == 0:
            return first if first else None
        if n < 0:
            if walk.error is not None:
                walk.fail()
            continue
        if f.type_id == LOST:
            continue
        event = event_time(&f)
        if event:
            return event
        if first == 0:
            first = f.ts_ns
