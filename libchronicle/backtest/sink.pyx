"""Requests on their way to the venue: encoded nowhere, due when the entry latency has passed.

A request never overtakes one sent before it: it is due at max(sent + latency, when the one before it is due), as on one connection.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint64_t
from libc.string cimport memcpy

from libchronicle.backtest.hashing cimport chr_fold, chr_fold_bytes
from libchronicle.sim.latency cimport LatencyModel, latency_model

from libchronicle.errors import InternalError


cdef class BacktestSink(OrderSink):
    """Where a backtest's strategy sends to. Orders are named as live: epoch and seq of a queue, here queue `queue_id`, epoch 1."""

    def __cinit__(self, latency=None, uint64_t queue_id=1, *, uint64_t seed=1):
        if chr_ring_init(&self.ring, sizeof(chr_request)):
            raise MemoryError("no memory for requests")
        self.queue_id = queue_id
        self.epoch = 1
        self.latency = latency_model(latency)
        self.latency.start(seed)

    def __dealloc__(self):
        chr_ring_free(&self.ring)

    cdef int put(self, uint16_t type_id, const void *block, uint16_t block_size) except -1:
        cdef int64_t latency = self.latency.entry(self.now)
        cdef chr_request *request
        if block_size > sizeof(chr_request_body):
            raise InternalError(reason=f"a request of {block_size} bytes")
        request = <chr_request *>chr_ring_push(&self.ring)
        if request == NULL:
            raise MemoryError("no memory for requests")
        request.due = max(self.last_due, self.now + latency)
        request.sent_ns = self.now
        request.seq = self.next_seq
        request.type_id = type_id
        memcpy(&request.body, block, block_size)
        self.last_due = request.due
        self.hash = chr_fold_bytes(chr_fold(self.hash, self.now, type_id, request.seq), <const uint8_t *>block, block_size)
        self.seq = request.seq
        self.ts_ns = self.now
        self.next_seq += 1
        self.requests += 1
        return 0

    def tell_time(self, int64_t now):
        """The time at which what is sent next is sent."""
        self.now = now
        self.last_due = max(self.last_due, now)
