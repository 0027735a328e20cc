from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "hashing.h" nogil:
    uint64_t chr_fold(uint64_t hash, int64_t ts_ns, uint16_t type_id, uint64_t seq)
    uint64_t chr_fold_bytes(uint64_t hash, const uint8_t *bytes, uint32_t size)
