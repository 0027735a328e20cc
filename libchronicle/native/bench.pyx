"""Native loops for the benchmarks: what the queue costs without Python around it."""

from libc.stdint cimport int64_t, uint64_t

from libchronicle.native.binding cimport Publisher, Subscriber, raise_reader, raise_writer
from libchronicle.native.hot cimport chr_append, chr_cycles, chr_frame, chr_next

from libchronicle.native.binding import monotonic_ns

cdef extern from "chr_atomic.h" nogil:
    void chr_pause()


def append_loop(Publisher writer not None, bytes payload not None, int64_t count):
    """Append `count` records; nanoseconds for all."""
    cdef const char *data = payload
    cdef unsigned int size = len(payload)
    cdef int64_t i
    cdef int64_t began = monotonic_ns()
    cdef int64_t seq = 0
    with nogil:
        for i in range(count):
            seq = chr_append(writer.w, 1, data, size, -1)
            if seq < 0:
                break
    if seq < 0:
        raise_writer(writer)
    return monotonic_ns() - began


def read_loop(Subscriber reader not None, int64_t count):
    """Read up to `count` records: (nanoseconds, records, sum of seqs)."""
    cdef chr_frame frame
    cdef int64_t n = 0
    cdef uint64_t total = 0
    cdef int rc = 1
    cdef int64_t began = monotonic_ns()
    with nogil:
        while n < count:
            rc = chr_next(reader.r, &frame)
            if rc <= 0:
                break
            total += frame.seq
            n += 1
    if rc < 0:
        raise_reader(reader)
    return monotonic_ns() - began, n, total


cdef double cycles_per_ns():
    cdef int64_t began = monotonic_ns()
    cdef uint64_t cycles = chr_cycles()
    while monotonic_ns() - began < 20000000:
        pass
    return (chr_cycles() - cycles) / <double>(monotonic_ns() - began)


def paced_appends(Publisher writer not None, bytes payload not None, int64_t count, double interval_ns):
    """Append on a fixed schedule; returns (ns of each append that rolled, ns of every 64th other append, ns of the slowest other append).

    Paced by the cycle counter; an append that comes late is followed at once, as a feed would.
    """
    cdef double rate = cycles_per_ns()
    cdef const char *data = payload
    cdef unsigned int size = len(payload)
    cdef uint64_t due = chr_cycles()
    cdef uint64_t step = <uint64_t>(interval_ns * rate)
    cdef uint64_t before
    cdef uint64_t took
    cdef uint64_t slowest = 0
    cdef uint64_t offset
    cdef int64_t i
    rolls = []
    others = []
    for i in range(count):
        with nogil:
            while chr_cycles() < due:
                chr_pause()
            due += step
            offset = writer.w.offset
            before = chr_cycles()
            if chr_append(writer.w, 1, data, size, -1) < 0:
                with gil:
                    raise_writer(writer)
            took = chr_cycles() - before
        if writer.w.offset < offset:
            rolls.append(took / rate)
        else:
            if took > slowest:
                slowest = took
            if i % 64 == 0:
                others.append(took / rate)
    return rolls, others, slowest / rate
