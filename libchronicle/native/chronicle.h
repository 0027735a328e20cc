/* Chronicle's queues from C, and from whatever can call C: append to and read from the queues that Python uses at the same time.
 *
 *     cc -o app app.c $(chronicle native --cflags --sources --libs)          or link with what `chronicle native --build DIR` makes
 *
 * Stable: with the same CHRONICLE_ABI functions keep their meaning, structs only grow at their end (each carries its size), codes keep their number.
 *
 * Rules
 *  - A handle belongs to one thread at a time, and not to a forked child, which may only close it.
 *  - Functions return < 0 or NULL when they fail; the handle's error says why (of an open: the error passed in). Nothing prints, nothing exits.
 *  - A message's payload stays valid until the chronicle_next that crosses into the next segment returns: copy what must live longer.
 *  - Times are nanoseconds since the Unix epoch; a time of CHRONICLE_NOW takes the writer's own clock.
 *  - The first queue opened starts two native threads that serve all queues of the process, and a SIGBUS handler for files cut short by strangers.
 */
#ifndef CHRONICLE_H
#define CHRONICLE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CHRONICLE_ABI 1
#define CHRONICLE_NOW ((int64_t)-1)
#define CHRONICLE_LOST 0xFFFE /* type_id of a record whose payload names the first and the last of the records lost before it (two u64) */

#if defined(__GNUC__)
#define CHRONICLE_API __attribute__((visibility("default")))
#else
#define CHRONICLE_API
#endif

typedef struct chronicle_writer chronicle_writer;
typedef struct chronicle_reader chronicle_reader;

typedef enum {
    CHRONICLE_OK = 0,
    CHRONICLE_WRITER_ACTIVE = 1,   /* facts[0] = pid of the writer that owns the queue */
    CHRONICLE_READER_ACTIVE = 2,   /* facts[0] = pid */
    CHRONICLE_TOO_LARGE = 3,       /* size, limit */
    CHRONICLE_TIME_ORDER = 4,      /* time, last time */
    CHRONICLE_RESERVED_TYPE = 5,   /* type_id */
    CHRONICLE_FENCED = 6,          /* epoch found, own */
    CHRONICLE_FORKED = 7,          /* pid of the owner */
    CHRONICLE_CLOSED = 8,
    CHRONICLE_MISUSE = 9,
    CHRONICLE_CORRUPT = 10,        /* segment, offset, seq */
    CHRONICLE_BAD_CONTROL = 11,
    CHRONICLE_BAD_READER_PAGE = 12,
    CHRONICLE_BAD_VERSION = 13,    /* found, supported */
    CHRONICLE_REWOUND = 14,        /* seq where the reader stood, seq the queue has */
    CHRONICLE_EVICTED = 15,        /* first, last of the records that are gone; the next call goes on behind them */
    CHRONICLE_REPLACED = 16,       /* queue_id found, expected */
    CHRONICLE_BROKEN = 17,
    CHRONICLE_NOT_READY = 18,      /* no queue there yet: try again */
    CHRONICLE_FORGOTTEN = 19,      /* age in ns, lag in bytes: open the reader again */
    CHRONICLE_FULL = 20,           /* limit in bytes */
    CHRONICLE_NO_SPACE = 21,       /* bytes wanted */
    CHRONICLE_NO_PERMISSION = 22,
    CHRONICLE_HOST = 23
} chronicle_code;

typedef struct {
    int32_t code;                  /* chronicle_code */
    int32_t sys_errno;             /* 0 = none */
    uint64_t facts[3];             /* see the code */
    char path[512], reason[96];
} chronicle_error;

typedef enum { CHRONICLE_FULL_FAIL, CHRONICLE_FULL_BLOCK, CHRONICLE_FULL_EVICT } chronicle_on_full;
typedef enum { CHRONICLE_RESUME, CHRONICLE_RESUME_OR_OLDEST, CHRONICLE_LATEST, CHRONICLE_EARLIEST, CHRONICLE_SEQ, CHRONICLE_TIME } chronicle_start;
typedef enum { CHRONICLE_HYBRID, CHRONICLE_SPIN, CHRONICLE_SLEEP } chronicle_wait_mode;

/* Begin with chronicle_config_default; what is stored in the queue (segment_size) wins over what is asked for. docs/queue.md explains each. */
typedef struct {
    uint32_t struct_size, segment_size, retain_segments;
    int32_t on_full, wait_mode, sync, prefault, memlock;
    uint64_t budget_bytes, reserve_bytes, max_lag_bytes;
    int64_t block_timeout_ns, reader_ttl_ns, retain_age_ns, max_segment_age_ns, spin_ns;
    const char *const *durable;    /* names of readers that hold back retention, NULL-terminated; NULL = none */
} chronicle_config;

typedef struct {
    const void *payload;
    uint32_t size;
    uint16_t type_id;
    uint8_t flags, version;
    uint64_t seq;
    int64_t ts_ns;
    uint32_t epoch, reserved;
} chronicle_message;

CHRONICLE_API int chronicle_abi(void); /* CHRONICLE_ABI of the library that runs */
CHRONICLE_API void chronicle_config_default(chronicle_config *config);
CHRONICLE_API const char *chronicle_code_name(int code);
CHRONICLE_API const char *chronicle_error_text(const chronicle_error *error, char *out, size_t size); /* one sentence for people; returns out */

/* `path` is the queue's directory, made if need be. NULL: *error. `config` NULL = the default. */
CHRONICLE_API chronicle_writer *chronicle_open_writer(const char *path, const chronicle_config *config, chronicle_error *error);
CHRONICLE_API int64_t chronicle_append(chronicle_writer *w, uint16_t type_id, const void *payload, uint32_t size, int64_t ts_ns); /* its seq */
CHRONICLE_API void *chronicle_reserve(chronicle_writer *w, uint16_t type_id, uint32_t size); /* `size` bytes in the queue itself, to be filled */
CHRONICLE_API int64_t chronicle_commit(chronicle_writer *w, uint32_t size, int64_t ts_ns);   /* publishes them, or the first `size`; its seq */
CHRONICLE_API void chronicle_abort(chronicle_writer *w);                                     /* gives them back, without a trace */
CHRONICLE_API int chronicle_heartbeat(chronicle_writer *w); /* a quiet writer says that its loop lives: several times a second */
CHRONICLE_API int chronicle_flush(chronicle_writer *w);     /* what was appended survives power loss when this returns 0 */
CHRONICLE_API int chronicle_roll(chronicle_writer *w);
CHRONICLE_API void chronicle_close_writer(chronicle_writer *w);
CHRONICLE_API const chronicle_error *chronicle_writer_error(chronicle_writer *w);

/* `name` NULL = anonymous: leaves no page, is never waited for, polls. `at` is the seq or the time for CHRONICLE_SEQ and CHRONICLE_TIME. */
CHRONICLE_API chronicle_reader *chronicle_open_reader(const char *path, const char *name, const chronicle_config *config, int start, int64_t at,
                                                      chronicle_error *error);
CHRONICLE_API int chronicle_next(chronicle_reader *r, chronicle_message *out);      /* 1 a message, 0 none yet */
CHRONICLE_API int chronicle_wait(chronicle_reader *r, int64_t timeout_ns);          /* 1 something to read, 0 time is up or a signal came; < 0 waits for ever */
CHRONICLE_API int chronicle_commit_cursor(chronicle_reader *r);                     /* remembers the position; survives a crash of this process */
CHRONICLE_API int chronicle_seek_seq(chronicle_reader *r, uint64_t seq);
CHRONICLE_API int chronicle_seek_time(chronicle_reader *r, int64_t ts_ns);
CHRONICLE_API void chronicle_close_reader(chronicle_reader *r);
CHRONICLE_API const chronicle_error *chronicle_reader_error(chronicle_reader *r);

#ifdef __cplusplus
}
#endif

#endif
