"""Requests on their way to the venue: encoded nowhere, due when the entry latency has passed.

A request never overtakes one sent before it to the same venue: it is due at max(sent + latency, when the one before it is due), as on one
connection. Venues with a latency of their own have a connection each; where one latency serves all there is one. A cancel of everything
goes to each of them under one number.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from libchronicle.backtest.hashing cimport chr_fold, chr_fold_bytes
from libchronicle.protocol.layout cimport CHR_CANCEL_ALL
from libchronicle.sim.latency cimport LatencyModel, latency_model

from libchronicle.errors import InternalError


cdef class BacktestSink(OrderSink):
    """Where a backtest's strategy sends to. Orders are named as live: epoch and seq of a queue, here queue `queue_id`, epoch 1.
    `latencies`: a model or None for each lane."""

    def __cinit__(self, latencies=(None,), uint64_t queue_id=1, *, uint64_t seed=1):
        cdef LatencyModel model
        self.models = [latency_model(one) for one in latencies]
        if chr_lanes_init(&self.lanes, len(self.models), sizeof(chr_request)):
            raise MemoryError("no memory for requests")
        self.queue_id = queue_id
        self.epoch = 1
        self.routes = {}
        for model in self.models:
            model.start(seed)

    def __dealloc__(self):
        chr_lanes_free(&self.lanes)

    def route(self, dict routes not None):
        """Lanes by instrument id."""
        self.routes = routes

    cdef uint32_t lane_of(self, uint64_t instrument_id) except? 0xFFFFFFFF:
        return self.routes.get(instrument_id, 0) if self.lanes.count > 1 else 0

    cdef int put(self, uint16_t type_id, const void *block, uint16_t block_size) except -1:
        cdef uint64_t instrument_id = (<const uint64_t *>block)[0]  # each request begins with it
        cdef uint32_t lane
        if block_size > sizeof(chr_request_body):
            raise InternalError(reason=f"a request of {block_size} bytes")
        if type_id == CHR_CANCEL_ALL and instrument_id == 0:
            for lane in range(self.lanes.count):
                self.post(lane, type_id, block, block_size)
        else:
            self.post(self.lane_of(instrument_id), type_id, block, block_size)
        self.hash = chr_fold_bytes(chr_fold(self.hash, self.now, type_id, self.next_seq), <const uint8_t *>block, block_size)
        self.seq = self.next_seq
        self.ts_ns = self.now
        self.next_seq += 1
        self.requests += 1
        return 0

    cdef int post(self, uint32_t lane, uint16_t type_id, const void *block, uint16_t block_size) except -1:
        cdef int64_t latency = (<LatencyModel>self.models[lane]).entry(self.now)
        cdef chr_request *request = <chr_request *>chr_lanes_push(&self.lanes, lane, self.now + latency)
        if request == NULL:
            raise MemoryError("no memory for requests")
        request.sent_ns = self.now
        request.seq = self.next_seq
        request.type_id = type_id
        memcpy(&request.body, block, block_size)
        return 0

    def tell_time(self, int64_t now):
        """The time at which what is sent next is sent."""
        cdef uint32_t lane
        self.now = now
        for lane in range(self.lanes.count):
            self.lanes.last_due[lane] = max(self.lanes.last_due[lane], now)
