"""chr_hot.h for Cython: `from libchronicle.native.hot cimport chr_next, chr_frame`. Inline C, nothing to link."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from "chr_clock.h" nogil:
    ctypedef struct chr_clock:
        pass
    int64_t chr_now_ns(chr_clock *clock)
    uint64_t chr_cycles()


cdef extern from "chr_hot.h" nogil:
    ctypedef struct chr_error:
        int32_t code
        int32_t sys
        uint64_t a
        uint64_t b
        uint64_t c
        char path[512]
        char reason[96]

    ctypedef struct chr_map:
        uint8_t *base
        uint64_t size
        uint32_t number
        uint32_t broken

    ctypedef struct chr_frame:
        const uint8_t *payload
        uint32_t size
        uint16_t type_id
        uint8_t flags
        uint8_t version
        uint64_t seq
        int64_t ts_ns
        uint32_t epoch

    ctypedef struct chr_frame_header:
        uint32_t commit
        uint16_t type_id
        uint8_t flags
        uint8_t version
        uint64_t seq
        int64_t ts_ns
        uint32_t crc
        uint32_t epoch

    ctypedef struct chr_control:
        uint64_t magic
        uint32_t version
        uint32_t crc
        int64_t created_ns
        uint64_t start_time
        int64_t reader_ttl_ns
        uint32_t on_full
        uint32_t durable_size
        char durable[1024]
        uint8_t boot_id[16]
        uint32_t segment_size
        uint32_t epoch
        uint64_t queue_id
        uint64_t head
        uint64_t next_seq
        int64_t last_ts
        uint64_t checked
        uint64_t touched
        uint64_t synced
        uint64_t oldest
        uint64_t oldest_seq
        uint64_t bytes
        uint64_t rolls
        uint64_t roll_stalls
        uint64_t wakes
        uint64_t evicted
        uint64_t forgotten
        uint64_t sync_errors
        uint64_t full
        uint64_t rescues
        uint64_t unlinked
        int64_t heartbeat_ns
        int64_t heartbeat_real_ns
        uint32_t pid
        uint32_t closed
        uint64_t budget_bytes
        uint64_t max_lag_bytes

    ctypedef struct chr_writer:
        chr_control *control
        uint64_t offset
        uint64_t end
        uint64_t seq
        int64_t last_ts
        uint32_t epoch
        uint64_t position_base
        uint64_t reserved
        chr_clock clock
        chr_error error

    ctypedef struct chr_reader:
        const uint8_t *base
        uint64_t offset
        uint64_t end
        uint64_t next_seq
        uint64_t beat_cycles
        uint32_t crc_seed
        uint32_t epoch
        uint32_t crc_seed
        chr_map *map
        chr_error error

    const uint32_t CHR_COMMIT_TAG
    const uint32_t CHR_LENGTH_MASK

    uint64_t chr_frame_bytes(uint32_t size)
    uint32_t chr_crc_seed(uint64_t queue_id)
    uint32_t chr_frame_crc(uint32_t seed, uint32_t commit, const chr_frame_header *f, const void *payload, uint32_t size)

    void *chr_reserve(chr_writer *w, uint16_t type_id, uint32_t size)
    int64_t chr_commit(chr_writer *w, uint32_t size, int64_t ts_ns)
    void chr_abort(chr_writer *w)
    int64_t chr_append(chr_writer *w, uint16_t type_id, const void *payload, uint32_t size, int64_t ts_ns)
    int64_t chr_tell(chr_writer *w)
    int chr_next(chr_reader *r, chr_frame *out)


cdef extern from "chr_batch.h" nogil:
    ctypedef struct chr_batch:
        const uint8_t *data
        const int64_t *offsets
        const int64_t *times
        uint64_t count
        uint64_t done
        int64_t ts_ns
        uint32_t item
        uint16_t type_id

    ctypedef struct chr_columns:
        uint64_t *seqs
        int64_t *ts_ns
        uint32_t *epochs
        uint16_t *type_ids
        int64_t *offsets
        uint8_t *payload
        uint64_t rows
        uint64_t rows_room
        uint64_t bytes
        uint64_t bytes_room
        chr_frame held
        int32_t is_held

    enum:
        CHR_BATCH_RUN
        CHR_COLUMN_SLACK

    int chr_append_after(chr_writer *w, uint16_t type_id, const void *payload, uint32_t size, int64_t ts_ns)
    int chr_append_batch(chr_writer *w, chr_batch *b)
    int chr_drain_columns(chr_reader *r, chr_columns *c)
