from libc.stdint cimport int64_t, uint8_t, uint64_t

cdef extern from "order_map.h" nogil:
    ctypedef struct chr_known_order:
        uint64_t id
        int64_t price
        int64_t qty
        uint64_t instrument_id
        uint8_t side, used

    ctypedef struct chr_order_map:
        chr_known_order *slots
        uint64_t mask, count

    chr_known_order *chr_orders_find(const chr_order_map *m, uint64_t id)
    chr_known_order *chr_orders_put(chr_order_map *m, uint64_t id)
    void chr_orders_drop(chr_order_map *m, chr_known_order *gone)
    void chr_orders_free(chr_order_map *m)
