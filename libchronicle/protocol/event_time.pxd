from libc.stdint cimport int64_t, uint16_t, uint32_t

cdef extern from "event_time.h" nogil:
    const int64_t CHR_DAY_NS
    const int64_t CHR_AHEAD_NS

    int64_t chr_event_ns(uint16_t type_id, const void *payload, uint32_t size, int64_t frame_ts)
    int64_t chr_dating_ns(uint16_t type_id, const void *payload, uint32_t size, int64_t frame_ts)
    bint chr_is_injected(uint16_t type_id, const void *payload, uint32_t size)
