"""matcher.h for Cython: `from libchronicle.sim.matcher cimport chr_sim, chr_sim_new`. Inline C, nothing to link."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from libchronicle.book.l2 cimport chr_l2
from libchronicle.book.l3 cimport chr_l3
from libchronicle.protocol.layout cimport chr_new_order_t

cdef extern from "sim_store.h":  # named so that a change of it rebuilds what uses it
    pass

cdef extern from "sim_queue.h":
    pass

cdef extern from "sim_rules.h":
    pass

cdef extern from "sim_layout.h" nogil:
    enum:
        CHR_SIM_AHEAD_UNKNOWN
        CHR_SIM_PENDING, CHR_SIM_OPEN, CHR_SIM_PARTIAL, CHR_SIM_FILLED, CHR_SIM_CANCELLED, CHR_SIM_EXPIRED
        CHR_SIM_REJECTED
        CHR_SIM_RULE_NONE, CHR_SIM_RULE_TAKE, CHR_SIM_RULE_STOP, CHR_SIM_RULE_QUEUE, CHR_SIM_RULE_THROUGH
        CHR_SIM_RULE_REACHED
        CHR_SIM_QUEUE_TRADES, CHR_SIM_QUEUE_CAPPED, CHR_SIM_QUEUE_POWER, CHR_SIM_QUEUE_LOG, CHR_SIM_QUEUE_POWER_2
        CHR_SIM_QUEUE_LOG_2, CHR_SIM_QUEUE_POWER_3, CHR_SIM_QUEUE_FIFO, CHR_SIM_QUEUE_USER
        CHR_SIM_TRIGGER_TRADE, CHR_SIM_TRIGGER_BOOK
        CHR_SIM_TRIGGERED, CHR_SIM_WAITING, CHR_SIM_THROUGH_ONLY, CHR_SIM_RESTING, CHR_SIM_ENDED, CHR_SIM_MOVED
        CHR_SIM_ON_NEW, CHR_SIM_ON_TRADE, CHR_SIM_ON_DEPTH

    ctypedef struct chr_sim_order:
        uint64_t key, venue_order_id
        int64_t price, stop_price, qty, cum, ahead, expire_ns, arrived_ns
        uint32_t owner, slot
        uint32_t next, prev
        uint8_t side, type, tif, stp, post_only, reduce_only, state, flags

    ctypedef struct chr_sim_event:
        uint8_t kind, liquidity, code, rule
        uint32_t owner, slot, order
        uint64_t key, request, trade_id, cause_seq
        int64_t price, qty, cum, leaves, last_price, last_qty
        int64_t ahead, level_price, level_qty

    ctypedef int64_t (*chr_sim_ahead)(void *context, int what, const chr_sim_order *order, int64_t a, int64_t b) noexcept
    ctypedef int (*chr_sim_book_fill)(
        void *context, const chr_sim_order *order, int64_t price, int64_t qty, uint8_t liquidity
    ) noexcept

    ctypedef struct chr_sim_terms:
        int64_t tick, lot
        double unit, power
        chr_sim_ahead ahead
        void *context
        uint32_t miss_ppm, through_ppm, slip_ppm, slip_ticks
        uint8_t queue, trigger

    ctypedef struct chr_sim_taken:
        int64_t key, shown, qty

    ctypedef struct chr_sim_memory:
        chr_sim_taken *at
        uint32_t count
        uint8_t changed

    ctypedef struct chr_sim_slot:
        int64_t reach[2]
        int64_t last_trade
        uint64_t last_seq, id
        const chr_l2 *book
        const chr_l3 *l3
        chr_sim_memory taken[2]
        chr_sim_terms terms
        uint8_t has_trade, moved

    ctypedef struct chr_sim:
        chr_sim_event *events      # [0 .. count); the caller sets count = 0
        uint32_t count
        chr_sim_order *orders
        uint32_t orders_used
        uint32_t open, first, last
        uint32_t expiries_count
        chr_sim_slot *slots
        uint32_t slots_count
        uint64_t next_order_id, next_trade_id
        chr_sim_book_fill book_fill
        void *book_context

cdef extern from "matcher.h" nogil:
    int chr_sim_init(chr_sim *m, uint64_t seed)
    void chr_sim_free(chr_sim *m)
    int chr_sim_instrument(chr_sim *m, uint64_t id, const chr_l2 *book, const chr_l3 *l3, const chr_sim_terms *terms)
    void chr_sim_set_book(chr_sim *m, uint32_t slot, const chr_l2 *book, const chr_l3 *l3)
    int64_t chr_sim_position(const chr_sim *m, uint32_t slot, uint32_t owner)
    int chr_sim_set_position(chr_sim *m, uint32_t slot, uint32_t owner, int64_t qty)
    uint32_t chr_sim_order_at(const chr_sim *m, uint64_t key)
    int chr_sim_new(
        chr_sim *m, uint32_t slot, uint32_t owner, const chr_new_order_t *order, uint64_t key, uint64_t request, int64_t now
    )
    int chr_sim_cancel(chr_sim *m, uint64_t key, uint32_t owner, uint64_t request, int64_t now)
    int chr_sim_cancel_all(chr_sim *m, uint32_t owner, int32_t slot, uint64_t request, uint8_t code, int64_t now)
    int chr_sim_replace(
        chr_sim *m, uint64_t key, uint32_t owner, int64_t price, int64_t qty, uint64_t request, int64_t now
    )
    int chr_sim_trade(chr_sim *m, uint32_t slot, int64_t price, int64_t qty, uint8_t aggressor, uint64_t seq, int64_t now)
    int chr_sim_book(chr_sim *m, uint32_t slot, uint64_t seq, int64_t now)
    int chr_sim_record(
        chr_sim *m, uint32_t slot, uint16_t type_id, const void *payload, uint32_t size, uint64_t seq, int64_t now
    )
    int chr_sim_reset(chr_sim *m, uint32_t slot)
    int64_t chr_sim_next_expiry(chr_sim *m)
    int chr_sim_expire(chr_sim *m, int64_t now)
    int chr_sim_readmit(chr_sim *m, const chr_sim_order *was)
    void chr_sim_place_unknown(chr_sim *m, uint32_t slot)
    int chr_sim_recall_taken(chr_sim *m, uint32_t slot, int side, int64_t price, int64_t shown, int64_t qty)
    void chr_sim_recall_trade(chr_sim *m, uint32_t slot, int64_t price)
    int chr_sim_end_order(chr_sim *m, uint64_t key, uint8_t kind, uint8_t code)


cdef class Matcher:
    cdef chr_sim sim
    cdef readonly list books      # L2Book by slot
    cdef list models              # QueueModel by slot
    cdef bint asks                # one of them is in Python

    cdef list _drain(self, int result)
