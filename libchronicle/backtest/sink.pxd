from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t

from libchronicle.protocol.layout cimport (
    chr_cancel_all_t,
    chr_cancel_order_t,
    chr_new_order_t,
    chr_replace_order_t,
)
from libchronicle.strategy.sink cimport OrderSink

cdef extern from "ring.h" nogil:
    ctypedef struct chr_ring:
        uint64_t count

cdef extern from "lanes.h" nogil:
    ctypedef struct chr_lanes:
        chr_ring *rings
        int64_t *last_due
        uint32_t count, first

    int chr_lanes_init(chr_lanes *l, uint32_t count, uint32_t size)
    void chr_lanes_free(chr_lanes *l)
    void *chr_lanes_push(chr_lanes *l, uint32_t lane, int64_t due)
    int64_t chr_lanes_due(chr_lanes *l)
    void *chr_lanes_at(const chr_lanes *l)
    void chr_lanes_pop(chr_lanes *l)


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
    cdef chr_lanes lanes
    cdef list models             # LatencyModel by lane
    cdef dict routes             # instrument id -> lane; empty where there is one lane
    cdef int64_t now             # the engine keeps it at ctx.now
    cdef uint64_t next_seq
    cdef uint64_t hash
    cdef readonly uint64_t requests

    cdef uint32_t lane_of(self, uint64_t instrument_id) except? 0xFFFFFFFF
    cdef int post(self, uint32_t lane, uint16_t type_id, const void *block, uint16_t block_size) except -1
