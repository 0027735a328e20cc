from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t

from libchronicle.protocol.layout cimport (
    chr_cancel_all_t,
    chr_cancel_order_t,
    chr_new_order_t,
    chr_replace_order_t,
)
from libchronicle.sim.latency cimport LatencyModel
from libchronicle.strategy.sink cimport OrderSink

cdef extern from "ring.h" nogil:
    ctypedef struct chr_ring:
        uint64_t first, count, room

    int chr_ring_init(chr_ring *r, uint32_t size)
    void chr_ring_free(chr_ring *r)
    void *chr_ring_at(const chr_ring *r, uint64_t i)
    void *chr_ring_push(chr_ring *r)
    void chr_ring_pop(chr_ring *r)
    int64_t chr_ring_due(const chr_ring *r)


cdef union chr_request_body:
    chr_new_order_t new
    chr_cancel_order_t cancel
    chr_cancel_all_t cancel_all
    chr_replace_order_t replace


cdef struct chr_request:
    int64_t due                  # when it reaches the venue
    int64_t sent_ns
    uint64_t seq
    uint16_t type_id
    chr_request_body body


cdef class BacktestSink(OrderSink):
    cdef chr_ring ring
    cdef int64_t now             # the engine keeps it at ctx.now
    cdef int64_t last_due
    cdef LatencyModel latency
    cdef uint64_t next_seq
    cdef uint64_t hash
    cdef readonly uint64_t requests
