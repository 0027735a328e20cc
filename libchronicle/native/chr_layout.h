/* Queue format, version 1: every byte on disk, and the arithmetic on positions. No algorithm lives here.
 *
 * Little-endian. A queue is a directory:
 *
 *   control.meta            chr_control, one page; its writer holds an OFD write lock on it
 *   notify.meta             chr_notify, one page; readers map it writable, for the waiter bit
 *   writer.lock             text for people
 *   000000000.q             segments: chr_segment_header, chr_seal, frames from byte 128
 *   000000000.idx           chr_index_header, then one chr_index_entry per 64 KiB of the segment
 *   readers/<name>.meta     chr_reader_page
 *   quarantine.json, READY
 *
 * A frame begins at a multiple of 32 and never spans segments. 32 bytes at a segment's end stay free for the padding frame, so every
 * segment that was left in order ends with one:
 *
 *   +0  u32 commit     0 not committed, else 0xA0000000 | payload length. Stored last, with release order
 *   +4  u16 type_id    0xFF00 and above are the queue's own
 *   +6  u8  flags
 *   +7  u8  version
 *   +8  u64 seq        a padding frame carries the seq of the frame that follows it and uses none up
 *   +16 i64 ts_ns
 *   +24 u32 crc        CRC32C over queue_id, bytes 0..24 (commit as it will stand), 28..32 and the payload (not a padding's)
 *   +28 u32 epoch
 *   +32 payload, zero padding to the next multiple of 32
 *
 * Bytes beyond the tail are zero up to the segment's end.
 */
#ifndef CHR_LAYOUT_H
#define CHR_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#define CHR_FORMAT_VERSION 1u
#define CHR_PAGE 4096u
#define CHR_ALIGN 32u
#define CHR_FRAME_HEADER 32u
#define CHR_SEGMENT_DATA 128u          /* first frame of a segment */
#define CHR_SEGMENT_MIN 4096u
#define CHR_SEGMENT_MAX (1u << 28)     /* so that a padding's length always fits */
#define CHR_SEGMENT_LAST 999999999u    /* nine digits name a segment */
#define CHR_STEP 65536u                /* bytes between index entries, marks and prefetch requests */

#define CHR_COMMIT_TAG 0xA0000000u
#define CHR_LENGTH_MASK 0x0FFFFFFFu
#define CHR_TYPE_RESERVED 0xFF00u
#define CHR_TYPE_PADDING 0xFFFFu
#define CHR_TYPE_LOST 0xFFFEu
#define CHR_FRAME_VERSION 1u

#define CHR_FLAG_CLAMPED 0x01u         /* own clock stood before the last timestamp */
#define CHR_FLAG_LATE 0x08u

#define CHR_MAGIC_CONTROL 0x4555455551524843ull /* "CHRQUEUE" */
#define CHR_MAGIC_SEGMENT 0x544E4D4753524843ull /* "CHRSGMNT" */
#define CHR_MAGIC_INDEX 0x5845444E49524843ull   /* "CHRINDEX" */
#define CHR_MAGIC_NOTIFY 0x594649544F4E4843ull  /* "CHNOTIFY" */
#define CHR_MAGIC_READER 0x5245444145524843ull  /* bytes "CHREADER" */
#define CHR_MAGIC_SEAL 0x4C414553u              /* "SEAL" */

#define CHR_SEQ_UNKNOWN UINT64_MAX     /* first_seq of a segment prepared but not yet begun */

typedef struct {
    uint32_t commit;
    uint16_t type_id;
    uint8_t flags, version;
    uint64_t seq;
    int64_t ts_ns;
    uint32_t crc, epoch;
} chr_frame_header;

typedef struct {
    uint64_t from_seq, to_seq; /* both lost, inclusive */
} chr_lost;

typedef struct {
    uint64_t magic;
    uint32_t version, features_incompat, features_compat;
    uint32_t prev_epoch;       /* of the last frame before this segment */
    uint64_t queue_id;
    uint32_t number, size;
    uint64_t first_seq;
    int64_t first_ts;          /* of the last frame before this segment: no frame here is older */
    uint32_t crc;              /* of bytes 0..56 */
    uint32_t reserved;
} chr_segment_header;

#define CHR_SEAL_QUARANTINED 1u

typedef struct {
    uint32_t magic, end_offset; /* frames are good below end_offset; the padding stands at it, unless quarantined */
    uint64_t last_seq;
    int64_t last_ts;
    uint64_t frames;
    uint32_t data_crc, flags;   /* CRC32C of bytes 128..end_offset */
    uint8_t prev_hash[16];      /* reserved */
    uint32_t crc;               /* of bytes 0..56 */
    uint32_t reserved;
} chr_seal;

typedef struct {
    uint64_t magic, queue_id;
    uint32_t version, number, slots, reserved;
} chr_index_header;

typedef struct {
    uint64_t seq;
    int64_t ts_ns;
    uint32_t offset, crc;       /* crc of the 20 bytes before it */
} chr_index_entry;

#define CHR_DURABLE_BYTES 1024u

typedef struct {
    /* 0: written once, at creation */
    uint64_t magic;
    uint32_t version, features_incompat, features_compat, segment_size;
    uint64_t queue_id;
    uint8_t host_id[16];
    int64_t created_ns;
    uint32_t reserved0;
    uint32_t crc;               /* of bytes 0..60 */
    /* 64: the hot line. Stored in this order after each commit: last_ts, next_seq, head; so that next_seq is exact when no frame stands at head */
    uint64_t head, next_seq;
    int64_t last_ts;
    uint32_t epoch, reserved1;
    uint8_t pad1[32];
    /* 128: marks of recovery, every 64 KiB */
    uint64_t checked;           /* all before is good, for boot_id below */
    uint64_t touched;           /* no byte of the head's segment at or above this one was ever written */
    uint8_t boot_id[16];
    uint8_t pad2[32];
    /* 192: liveness, written by the loop that appends */
    int64_t heartbeat_ns;       /* CLOCK_MONOTONIC of boot_id */
    int64_t heartbeat_real_ns;
    uint32_t pid, closed;       /* closed = 1: the writer left in order */
    uint64_t start_time;        /* of pid, from /proc, against reuse */
    uint8_t pad3[32];
    /* 256: what the clean thread knows */
    uint64_t synced;            /* all before is on the medium */
    uint64_t oldest;            /* number of the oldest segment kept */
    uint64_t oldest_seq;
    uint64_t bytes;             /* of all segments and indexes */
    uint8_t pad4[32];
    /* 320: counters */
    uint64_t rolls, roll_stalls, wakes, evicted, forgotten, sync_errors, full, unlinked;
    /* 384: policy of the present writer */
    uint64_t budget_bytes;
    uint64_t max_lag_bytes;
    int64_t reader_ttl_ns;
    uint32_t on_full, durable_size;
    uint64_t rescues;           /* times this page was built anew from the segments */
    uint8_t pad5[24];
    /* 448 */
    char durable[CHR_DURABLE_BYTES]; /* names of durable readers, each ended by NUL */
    uint8_t pad6[CHR_PAGE - 448 - CHR_DURABLE_BYTES];
} chr_control;

typedef struct {
    uint32_t word;              /* generation << 1 | waiter */
    uint32_t moved;             /* 1: another file has taken this one's place under its name; nobody wakes who sleeps here */
    uint64_t magic, queue_id;
    uint8_t pad[CHR_PAGE - 24];
} chr_notify;

typedef struct {
    uint64_t generation, queue_id, position, seq; /* of the next frame to read */
    uint32_t epoch;             /* of the last frame read */
    uint32_t back;              /* bytes from that frame to position; 0 = none in this segment */
    uint8_t pad[20];
    uint32_t crc;               /* of bytes 0..60 */
} chr_slot;

typedef struct {
    uint64_t magic;
    uint32_t version, pid;
    uint64_t start_time;
    uint8_t boot_id[16];
    int64_t heartbeat_ns;       /* CLOCK_MONOTONIC of boot_id */
    uint8_t pad0[16];
    chr_slot slots[2];
    uint8_t pad1[CHR_PAGE - 192];
} chr_reader_page;

_Static_assert(sizeof(chr_frame_header) == 32 && offsetof(chr_frame_header, crc) == 24, "frame");
_Static_assert(sizeof(chr_segment_header) == 64 && offsetof(chr_segment_header, crc) == 56, "segment header");
_Static_assert(sizeof(chr_seal) == 64 && offsetof(chr_seal, crc) == 56, "seal");
_Static_assert(sizeof(chr_index_header) == 32 && sizeof(chr_index_entry) == 24, "index");
_Static_assert(sizeof(chr_control) == CHR_PAGE && offsetof(chr_control, head) == 64, "control page");
_Static_assert(offsetof(chr_control, checked) == 128 && offsetof(chr_control, heartbeat_ns) == 192, "control page");
_Static_assert(offsetof(chr_control, synced) == 256 && offsetof(chr_control, rolls) == 320, "control page");
_Static_assert(offsetof(chr_control, budget_bytes) == 384 && offsetof(chr_control, durable) == 448, "control page");
_Static_assert(sizeof(chr_notify) == CHR_PAGE && sizeof(chr_reader_page) == CHR_PAGE, "pages");
_Static_assert(sizeof(chr_slot) == 64 && offsetof(chr_reader_page, slots) == 64, "reader page");

static inline uint64_t chr_align(uint64_t size) { return (size + (CHR_ALIGN - 1)) & ~(uint64_t)(CHR_ALIGN - 1); }

/* Bytes of a frame with that payload. */
static inline uint64_t chr_frame_bytes(uint32_t size) { return CHR_FRAME_HEADER + chr_align(size); }

/* The largest payload a segment of that size can hold. */
static inline uint32_t chr_payload_limit(uint32_t segment_size)
{
    return segment_size - CHR_SEGMENT_DATA - 2 * CHR_FRAME_HEADER;
}

static inline uint64_t chr_position(uint32_t segment_size, uint64_t number, uint64_t offset)
{
    return number * segment_size + offset;
}

static inline uint32_t chr_index_slots(uint32_t segment_size) { return (segment_size + CHR_STEP - 1) / CHR_STEP; }

static inline uint64_t chr_index_bytes(uint32_t segment_size)
{
    return sizeof(chr_index_header) + (uint64_t)chr_index_slots(segment_size) * sizeof(chr_index_entry);
}

#endif
