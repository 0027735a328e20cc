"""The market reader of the paper venue on a recorded queue: the same books and the same stops, up to a record that is moved on.

What a router was given of a feed is in its journal, run by run: `let(first, last)` makes a run's records readable, `poll()`
reads them as it reads a live queue. Before the first run `rebuild()` brings the books to `start_seq`, as the router did when it
attached the feed.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset

from libchronicle.native.hot cimport chr_frame
from libchronicle.sim.paper_feed cimport MarketReader


cdef class RecordedMarket(MarketReader):
    def __init__(self, queue not None, uint64_t start_seq, uint32_t epoch):
        self.queue = queue
        self.limit = start_seq
        self.next_seq = start_seq
        self.start = min(<uint64_t> queue.oldest_seq, start_seq)
        self.records = None
        self.begin(queue.queue_id, epoch)

    def let(self, uint64_t first, uint64_t last):
        """Records `first` to `last` may be read."""
        self.limit = last + 1
        if self.records is None or self.next_seq != first:
            self.seek(first)

    cdef int next(self, chr_frame *f) except -1:
        if self.next_seq >= self.limit:
            return 0
        if self.records is None:
            self.records = self.queue.since(self.next_seq)
        record = next(self.records, None)
        if record is None:
            return 0
        type_id, self.held, seq, ts_ns, epoch = record
        if seq >= self.limit:  # what was asked for is nowhere any more
            self.records = None
            return 0
        memset(f, 0, sizeof(f[0]))
        f.payload = <const unsigned char *> <const char *> (<bytes> self.held)
        f.size = <uint32_t> len(<bytes> self.held)
        f.type_id = type_id
        f.seq = seq
        f.ts_ns = ts_ns
        f.epoch = epoch
        self.next_seq = f.seq + 1
        return 1

    cdef int seek(self, uint64_t seq) except -1:
        self.next_seq = seq
        self.records = None
        return 0

    cdef uint64_t at(self) noexcept:
        return self.next_seq

    cdef uint64_t head(self) noexcept:
        return self.limit

    cdef uint64_t oldest(self) noexcept:
        return self.start

    def close(self):
        """Idempotent; the queue is the caller's."""
        self.records = None
