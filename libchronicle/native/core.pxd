"""chr_core.h for the binding: the cold side of the queue."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from libchronicle.native.hot cimport chr_clock, chr_control, chr_error, chr_map, chr_reader, chr_writer


cdef extern from "chr_core.h" nogil:
    enum:
        CHR_DURABLE_BYTES
        CHR_SEGMENT_MIN
        CHR_SEGMENT_MAX
        CHR_E_WRITER_ACTIVE
        CHR_E_READER_ACTIVE
        CHR_E_TOO_LARGE
        CHR_E_TIME_ORDER
        CHR_E_RESERVED_TYPE
        CHR_E_FENCED
        CHR_E_FORKED
        CHR_E_CLOSED
        CHR_E_MISUSE
        CHR_E_CORRUPT
        CHR_E_CONTROL
        CHR_E_READER_PAGE
        CHR_E_VERSION
        CHR_E_REWOUND
        CHR_E_EVICTED
        CHR_E_REPLACED
        CHR_E_BROKEN
        CHR_E_NOT_READY
        CHR_E_FORGOTTEN
        CHR_E_FULL
        CHR_E_NO_SPACE
        CHR_E_PERMISSION
        CHR_E_HOST
        CHR_GONE_NOT
        CHR_GONE_LOCK
        CHR_GONE_STALE
        CHR_GONE_SEGMENT
        CHR_GONE_REPLACED
        CHR_SEAL_QUARANTINED
        CHR_FRAME_OK
        CHR_TYPE_LOST
        CHR_TYPE_PADDING

    ctypedef struct chr_config:
        uint32_t segment_size
        uint32_t retain_segments
        uint64_t budget_bytes
        uint64_t reserve_bytes
        uint64_t max_lag_bytes
        int64_t block_timeout_ns
        int64_t reader_ttl_ns
        int64_t retain_age_ns
        int64_t max_segment_age_ns
        int64_t spin_ns
        int32_t on_full
        int32_t wait_mode
        int32_t tsc
        int32_t prefault
        int32_t memlock
        int32_t sync
        int32_t agents
        uint32_t durable_size
        char durable[1024]


    const uint64_t CHR_MAGIC_CONTROL
    const uint64_t CHR_MAGIC_READER
    const uint64_t CHR_MAGIC_SEGMENT
    const uint32_t CHR_MAGIC_SEAL
    const uint64_t CHR_SEQ_UNKNOWN

    ctypedef struct chr_segment_header:
        uint64_t magic
        uint32_t version
        uint32_t prev_epoch
        uint64_t queue_id
        uint32_t number
        uint32_t size
        uint64_t first_seq
        int64_t first_ts
        uint32_t crc

    ctypedef struct chr_seal:
        uint32_t magic
        uint32_t end_offset
        uint64_t last_seq
        int64_t last_ts
        uint64_t frames
        uint32_t data_crc
        uint32_t flags
        uint32_t crc

    ctypedef struct chr_slot:
        uint64_t generation
        uint64_t queue_id
        uint64_t position
        uint64_t seq
        uint32_t epoch
        uint32_t back

    ctypedef struct chr_reader_page:
        uint64_t magic
        uint32_t version
        uint32_t pid
        uint64_t start_time
        uint8_t boot_id[16]
        int64_t heartbeat_ns

    uint32_t chr_checksum(const void *data, size_t size)
    uint32_t chr_crc_seed(uint64_t queue_id)
    int chr_examine_full(const uint8_t *base, uint64_t offset, uint64_t size, uint32_t seed, uint64_t *following)
    const char *chr_verdict_text(int verdict)
    int chr_page_read(const chr_reader_page *page, chr_slot *out, uint64_t *generation)
    int chr_lock_probe(int fd)
    void chr_boot_id(uint8_t *out)

    ctypedef struct chr_platform_facts:
        int32_t reserve, prefault, lock, shared_words, many_words

    void chr_platform_probe(int fd, chr_platform_facts *out)
    int64_t chr_heartbeat_age(const chr_control *c)
    int64_t chr_beat_age(const uint8_t *boot_then, const uint8_t *boot_now, int64_t beat_ns)
    int chr_reader_disconnect(chr_subscriber *s, int64_t ttl_ns)

    ctypedef struct chr_pages:
        chr_map *control
        chr_map *notify
        int fd

    ctypedef struct chr_publisher:
        int32_t forked
        int owner
        uint32_t mended

    ctypedef struct chr_subscriber:
        chr_pages pages
        int32_t forked
        int32_t read_only
        int owner
        uint32_t segment_size
        uint64_t queue_id
        uint64_t crossings
        uint64_t gaps

    chr_map *chr_map_lent(uint8_t *base, uint64_t size)
    chr_map *chr_map_fd(int fd, uint64_t size, bint writable, uint32_t number)
    void chr_map_hold(chr_map *map)
    void chr_map_release(chr_map *map)
    int64_t chr_map_count()
    void chr_map_collect()
    int64_t chr_monotonic_ns()
    void chr_clock_init(chr_clock *clock, bint tsc)
    bint chr_clock_tsc_usable()

    chr_writer *chr_writer_open(const char *path, const chr_config *config, chr_error *e)
    void chr_writer_close(chr_writer *w)
    int chr_writer_roll(chr_writer *w)
    int chr_writer_heartbeat(chr_writer *w)
    int chr_writer_flush(chr_writer *w, bint all)
    int chr_writer_drain(chr_writer *w)

    chr_reader *chr_reader_open(const char *path, const char *name, const chr_config *config, int start, uint64_t seq,
                                int64_t ts_ns, chr_error *e)
    void chr_reader_close(chr_reader *r)
    int chr_reader_commit(chr_reader *r)
    int chr_reader_flush(chr_reader *r)
    int chr_reader_heartbeat(chr_reader *r)
    int chr_reader_seek_seq(chr_reader *r, uint64_t seq)
    int chr_reader_seek_time(chr_reader *r, int64_t ts_ns)
    uint64_t chr_reader_position(const chr_reader *r)
    int chr_reader_wait(chr_reader *r, int64_t timeout_ns)
    int chr_readers_wait(chr_reader **readers, int count, int64_t timeout_ns)
    int chr_reader_fileno(chr_reader *r)
    int chr_reader_peek(chr_reader *r)
    bint chr_word_gone(const chr_subscriber *s)
    void chr_touch(const void *start, size_t size)

    enum:
        CHR_FOUND_FRAME
        CHR_FOUND_SEQ
        CHR_FOUND_EPOCH
        CHR_FOUND_TIME
        CHR_FOUND_LOST
        CHR_FOUND_BAD_LOST
        CHR_FOUND_TRAIL
        CHR_FOUND_PADDING
        CHR_FOUND_SEAL
        CHR_SEAL_NONE
        CHR_SEAL_GOOD
        CHR_SEAL_CLOSED
        CHR_SEAL_BAD
        CHR_FINDINGS

    ctypedef struct chr_finding:
        uint32_t kind
        uint32_t detail
        uint64_t offset
        uint64_t until
        uint64_t seq
        uint64_t to_seq

    ctypedef struct chr_audit:
        uint64_t seq
        int64_t ts_ns
        uint32_t epoch
        uint32_t known
        uint64_t frames
        uint64_t payload_bytes
        uint64_t lost
        uint64_t end
        uint64_t seal_end
        uint64_t seal_last_seq
        int32_t stopped
        uint32_t seal
        uint32_t damaged
        uint32_t tail_clean
        uint32_t index_header
        uint32_t index_empty
        uint32_t index_bad
        uint32_t found
        chr_finding findings[64]

    void chr_audit_segment(chr_audit *a, const uint8_t *base, uint64_t bytes, uint32_t segment_size, uint32_t seed, uint64_t upto)
    void chr_audit_index(chr_audit *a, const uint8_t *index, const uint8_t *base, uint64_t bytes, uint32_t segment_size,
                         uint32_t number, uint64_t queue_id)
    uint64_t chr_index_bytes(uint32_t segment_size)
    void chr_map_populate(chr_map *map, uint64_t begin, uint64_t end, bint write)

    const uint64_t CHR_MAGIC_NOTIFY

    ctypedef struct chr_notify:
        uint32_t word
        uint64_t magic
        uint64_t queue_id

    enum:
        CHR_MENDED_CONTROL
        CHR_MENDED_NOTIFY
        CHR_MENDED_HEADER
        CHR_MENDED_MARKS

    int chr_notify_mend(const char *path, uint64_t queue_id, chr_error *e)
    chr_map *chr_segment_mend(const char *path, uint64_t number, uint32_t size, uint64_t queue_id, chr_error *e)
    chr_map *chr_segment_open(const char *path, uint64_t number, uint32_t size, uint64_t queue_id, bint writable, chr_error *e)
    chr_map *chr_index_open(const char *path, uint64_t number, uint32_t size, uint64_t queue_id, bint writable, chr_error *e)
    void chr_index_rebuild(chr_map *index, const chr_map *segment, uint32_t seed, uint64_t upto)
    void chr_segment_seal(chr_map *map, uint32_t end, uint32_t flags, uint32_t seed)
