/* The cold side of the queue: handles, slow paths, agents. Linked into libchronicle.native.binding only; others include chr_hot.h.
 *
 * Every function that can fail returns < 0 (or NULL) and fills a chr_error: a code, its facts and the path. Nothing prints, nothing exits.
 */
#ifndef CHR_CORE_H
#define CHR_CORE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include "chr_hot.h"
#include "chr_platform.h"

typedef enum {
    CHR_OK = 0,
    CHR_E_WRITER_ACTIVE,  /* a = pid */
    CHR_E_READER_ACTIVE,  /* a = pid */
    CHR_E_TOO_LARGE,      /* a = size, b = limit */
    CHR_E_TIME_ORDER,     /* a = ts, b = last */
    CHR_E_RESERVED_TYPE,  /* a = type_id */
    CHR_E_FENCED,         /* a = epoch found, b = own */
    CHR_E_FORKED,         /* a = owner's pid */
    CHR_E_CLOSED,
    CHR_E_MISUSE,         /* reason */
    CHR_E_CORRUPT,        /* a = segment, b = offset, c = seq, reason */
    CHR_E_CONTROL,        /* reason */
    CHR_E_READER_PAGE,
    CHR_E_VERSION,        /* a = found, b = supported */
    CHR_E_REWOUND,        /* a = from seq, b = to seq */
    CHR_E_EVICTED,        /* a = from seq, b = to seq */
    CHR_E_REPLACED,       /* a = queue_id found, b = expected */
    CHR_E_BROKEN,         /* reason */
    CHR_E_NOT_READY,
    CHR_E_FORGOTTEN,      /* a = age ns, b = lag bytes */
    CHR_E_FULL,           /* a = limit */
    CHR_E_NO_SPACE,       /* a = bytes */
    CHR_E_PERMISSION,     /* reason */
    CHR_E_HOST            /* reason, sys */
} chr_code;

typedef enum { CHR_FULL_FAIL, CHR_FULL_BLOCK, CHR_FULL_EVICT } chr_on_full;
typedef enum { CHR_START_RESUME, CHR_START_RESUME_OR_OLDEST, CHR_START_LATEST, CHR_START_EARLIEST, CHR_START_SEQ, CHR_START_TIME } chr_start;
typedef enum { CHR_WAIT_HYBRID, CHR_WAIT_SPIN, CHR_WAIT_SLEEP } chr_wait_mode;

typedef struct {
    uint32_t segment_size, retain_segments;
    uint64_t budget_bytes, reserve_bytes, max_lag_bytes;
    int64_t block_timeout_ns, reader_ttl_ns, retain_age_ns, max_segment_age_ns, spin_ns;
    int32_t on_full, wait_mode;
    int32_t tsc, prefault, memlock, sync, agents;
    uint32_t durable_size;
    char durable[CHR_DURABLE_BYTES];
} chr_config;

/* ---------------------------------------------------------------- agents.c: two native threads serve all handles of a process */

typedef struct chr_task chr_task;
struct chr_task {
    chr_task *next;
    int64_t (*run)(void *owner); /* ns until it wants to run again, < 0: when asked */
    void *owner;
    uint32_t wanted;
    int32_t busy;
    int64_t due_ns;
};

typedef enum { CHR_AGENT_PREPARE, CHR_AGENT_CLEAN, CHR_AGENTS } chr_agent_kind;

void chr_task_add(chr_agent_kind kind, chr_task *task, int64_t (*run)(void *), void *owner);
void chr_task_remove(chr_agent_kind kind, chr_task *task); /* waits until it does not run */
void chr_task_want(chr_agent_kind kind, chr_task *task);   /* one futex wake */
void chr_agent_wake(chr_agent_kind kind);
void chr_task_note(chr_task *task);                        /* no system call; seen at the next wake-up */

/* ---------------------------------------------------------------- files.c */

int chr_fail(chr_error *e, int32_t code, const char *path, const char *reason, uint64_t a, uint64_t b, uint64_t c);
int chr_fail_sys(chr_error *e, const char *path, const char *what, uint64_t bytes); /* by errno */
bool chr_join(char *out, size_t size, const char *dir, const char *name);
int64_t chr_monotonic_ns(void);
int64_t chr_realtime_ns(void);
void chr_boot_id(uint8_t out[16]);
uint64_t chr_random64(void);
bool chr_same_file(int fd, const char *path);
int chr_sync_dir(const char *dir);
mode_t chr_file_mode(const char *dir); /* 0640; with the directory's group write (any of the group may be the writer) and others' read */
int chr_create_once(const char *dir, const char *name, mode_t mode, const void *data, size_t size, chr_error *e); /* 1 made, 0 was there */
int chr_replace_text(const char *dir, const char *name, mode_t mode, const char *text, chr_error *e);
int chr_replace_file(const char *dir, const char *name, mode_t mode, const void *data, size_t size, chr_error *e);
void chr_temp_name(char *out, size_t size, const char *name);
int chr_write_temp(char *temp, size_t room, const char *dir, const char *name, mode_t mode, const void *data, size_t size, chr_error *e);
void chr_agent_ensure(chr_agent_kind kind);
uint64_t chr_segment_number(const char *name); /* in a segment file's name; UINT64_MAX: it is none */
int chr_segment_range(const char *dir, uint64_t *lowest, uint64_t *highest); /* 1 found any */
uint64_t chr_segment_after(const char *dir, uint64_t number); /* the next there is, UINT64_MAX = none; a look through the directory */

/* ---------------------------------------------------------------- map.c */

#define CHR_MAPS_WATCHED 8192 /* by the SIGBUS handler, of one process */
chr_map *chr_map_fd(int fd, uint64_t size, bool writable, uint32_t number); /* takes fd, -1 = no file; NULL: errno */
void chr_map_close_file(chr_map *map); /* the map alone; on SIGBUS all of it goes, for nobody can tell any more what is left */
int chr_map_over(chr_map *map, int fd, bool writable); /* takes fd: another file at the same address, with no moment in between */
chr_map *chr_map_lent(uint8_t *base, uint64_t size); /* over memory that is the caller's and outlives it; NULL: errno */
void chr_map_hold(chr_map *map);
void chr_map_release(chr_map *map);       /* the last one unmaps, in the clean thread */
void chr_map_release_now(chr_map *map);
void chr_map_populate(chr_map *map, uint64_t from, uint64_t to, bool write);
int64_t chr_map_count(void);

/* Read a byte of every page of it, so that a page that is gone shows now. */
static inline void chr_touch(const void *from, uint64_t size)
{
    const volatile uint8_t *p = from;
    for (uint64_t at = 0; at < size; at += CHR_PAGE)
        (void)p[at];
    (void)p[size - 1];
}
void chr_map_collect(void);               /* unmap what was released */
bool chr_map_waits(void);                 /* is there something to collect? */

/* ---------------------------------------------------------------- segment.c */

void chr_segment_name(char out[32], uint64_t number, const char *suffix);
bool chr_segment_there(const char *dir, uint64_t number);
chr_map *chr_segment_map(const char *dir, uint64_t number, uint32_t size, bool writable, chr_error *e); /* whatever its header says */
chr_map *chr_segment_open(const char *dir, uint64_t number, uint32_t size, uint64_t queue_id, bool writable, chr_error *e);
chr_map *chr_segment_make(const char *dir, uint64_t number, uint32_t size, uint64_t queue_id, chr_error *e);
chr_map *chr_index_open(const char *dir, uint64_t number, uint32_t size, uint64_t queue_id, bool writable, chr_error *e);
void chr_segment_write_header(uint8_t *base, uint64_t queue_id, uint32_t number, uint32_t size, uint64_t first_seq, int64_t first_ts, uint32_t prev_epoch);
void chr_segment_begin(chr_map *map, uint64_t first_seq, int64_t first_ts, uint32_t prev_epoch);
bool chr_segment_header_valid(const chr_map *map, uint64_t queue_id);
bool chr_segment_read_header(const char *dir, uint64_t number, uint64_t queue_id, chr_segment_header *out); /* without mapping it; false: not a whole one */
bool chr_seal_valid(const chr_map *map);
void chr_segment_seal(chr_map *map, uint32_t end, uint32_t flags, uint32_t crc_seed);
uint64_t chr_segment_next_good(const chr_map *map, uint32_t crc_seed, uint64_t from, uint64_t upto, uint64_t seq);
bool chr_index_whole(const chr_map *index, uint64_t last_slot);
void chr_index_rebuild(chr_map *index, const chr_map *segment, uint32_t crc_seed, uint64_t upto);
void chr_index_fill(chr_map *index, uint64_t first_slot, uint64_t last_slot, const chr_map *segment, uint64_t offset);

/* ---------------------------------------------------------------- control.c */

typedef struct {
    chr_map *control, *notify;
    int fd; /* of control.meta, carries the lock */
} chr_pages;

void chr_control_blank(chr_control *c, uint32_t segment_size, uint64_t queue_id);
int chr_control_create(const char *dir, uint32_t segment_size, chr_error *e);
int chr_control_check_file(int fd, const char *path, chr_error *e);
uint64_t chr_control_queue(const char *dir); /* whose page stands there, damaged or not; 0 = none */
int chr_control_open(const char *dir, bool writable, chr_pages *out, chr_error *e);
void chr_pages_close(chr_pages *pages);
uint64_t chr_control_tail(const chr_control *c, uint64_t *seq); /* head and the seq of the next frame, if none stands there */

/* ---------------------------------------------------------------- mend.c */

#define CHR_MENDED_CONTROL 1u
#define CHR_MENDED_NOTIFY 2u
#define CHR_MENDED_HEADER 4u
#define CHR_MENDED_MARKS 8u   /* recovery could not go by the control page's marks */

bool chr_has_segments(const char *dir);
uint64_t chr_walk_from(const char *dir, uint64_t lowest, uint64_t highest); /* the first segment behind those that are sealed */
int chr_control_rescue(const char *dir, uint32_t segment_size, chr_error *e);
int chr_notify_mend(const char *dir, uint64_t queue_id, chr_error *e); /* 1 mended, 0 nothing to mend */
chr_map *chr_segment_mend(const char *dir, uint64_t number, uint32_t size, uint64_t queue_id, chr_error *e); /* NULL: cannot be mended */

/* ---------------------------------------------------------------- recover.c */

typedef struct {
    uint64_t number, offset, seq; /* where the next frame goes, and its seq */
    int64_t last_ts;
    uint32_t last_epoch;
    uint64_t lost_from;           /* < seq: [lost_from, seq) must be declared */
    uint64_t last_offset;
    bool fresh;                   /* the segment does not exist yet */
    uint32_t mended;              /* CHR_MENDED_… */
} chr_tail;

int chr_recover(const char *dir, chr_control *control, chr_tail *tail, chr_error *e);

/* ---------------------------------------------------------------- quarantine.c */

int chr_quarantine_list(const char *dir, const chr_tail *tail, const char *reason, chr_error *e); /* the place of `tail`, once */

/* ---------------------------------------------------------------- leftovers.c */

void chr_sweep_leftovers(const char *dir); /* of the holder of the lock */

/* ---------------------------------------------------------------- writer.c */

typedef struct chr_spare {
    chr_map *segment, *index;
    uint32_t number;
    bool warm;                    /* its pages are there and mapped already */
} chr_spare;

typedef struct chr_stocked chr_stocked;
#define CHR_STOCK_MOST 4u
#define CHR_HURRY_BYTES_S 100000000ull

typedef struct chr_retired chr_retired;
struct chr_retired {
    chr_retired *next;
    chr_map *segment, *index;
    uint32_t end;
};

typedef struct chr_publisher chr_publisher;
struct chr_publisher {
    chr_writer hot;
    char dir[400];
    chr_config config;
    chr_pages pages;
    chr_map *segment, *index;
    uint32_t segment_size, number;
    uint64_t limit;               /* frames may end here: segment_size - 32 */
    uint64_t queue_id;
    pid_t owner;
    int32_t closed, forked, failed;
    uint32_t replaced;            /* another control.meta, or none, stands under the name; then the live segment counts as broken */
    uint64_t replaced_by;         /* that one's queue_id, 0 = none */
    int64_t began_ns;             /* CLOCK_MONOTONIC when the live segment got its first frame, 0 = none */
    int64_t beat_every_ns;
    pthread_mutex_t making, cleaning;
    int32_t cleaned_once;
    uint32_t first_number;        /* of the segment this writer began in */
    uint32_t index_from;          /* first index slot not filled */
    chr_spare spare;              /* under `making` */
    uint32_t spare_ready;
    int32_t spare_asked;
    chr_task prepare, clean;
    chr_retired *retired;         /* lock-free stack, popped by the clean thread */
    chr_retired *leaving;         /* what of it waits longer, oldest first; under `cleaning` */
    uint32_t left_count;          /* of those whose maps are still held: on the stack, or leaving */
    uint64_t behind_1;            /* number + 1 of the first that was left without them, 0 = none */
    int32_t in_memory;            /* the queue lies on a file system that has no medium */
    int64_t hurried_ns;           /* CLOCK_MONOTONIC of the last roll, if the segment left then was filled in a hurry; else 0 */
    chr_stocked *stock[CHR_STOCK_MOST]; /* of stock.c: exchanged with NULL by who takes */
    uint32_t hidden;              /* files that are removed from the queue and not from the disk */
    uint32_t going;               /* segments below `oldest` that are not removed yet */
    uint64_t used_again;
    chr_publisher *next_open;     /* of fork.c */
    uint64_t wakes;
    uint32_t mended;              /* what open found damaged and put right: CHR_MENDED_… */
    uint8_t geometry[64];         /* the control page's first line, which never changes */
};

chr_writer *chr_writer_open(const char *dir, const chr_config *config, chr_error *e);
void chr_writer_close(chr_writer *w);
int chr_writer_roll(chr_writer *w);
int chr_writer_heartbeat(chr_writer *w);
int chr_writer_flush(chr_writer *w, bool all);
int chr_writer_drain(chr_writer *w); /* run what the agents would do, now */
int chr_writer_active(const char *dir, chr_error *e); /* fails with the owner's pid */

/* ---------------------------------------------------------------- roll.c */

extern const chr_writer_ops chr_writer_operations;
int chr_writer_gone(chr_publisher *p); /* 0, or < 0 with why the handle is dead */
int64_t chr_prepare_run(void *publisher);
int chr_spare_prefault(const chr_publisher *p, const chr_spare *spare, uint64_t from, chr_error *e);
void chr_spare_drop(chr_publisher *p);
void chr_live_in(chr_publisher *p, const chr_spare *spare, uint64_t offset);
void chr_publish_head(chr_writer *w);
uint64_t chr_last_position(const chr_writer *w);
void *chr_writer_reserve(chr_writer *w, uint16_t type_id, uint32_t size);
void chr_writer_beat(chr_writer *w, int64_t ts_ns);

/* ---------------------------------------------------------------- seal.c */

#define CHR_LEFT_MOST 64u /* segments whose maps wait for the clean thread, two descriptors each */

void chr_left_push(chr_publisher *p, chr_retired *left);          /* of the writer */
void chr_left_take(chr_publisher *p);                             /* all that wait are `leaving` */
void chr_left_seal(chr_publisher *p, uint32_t held);              /* all of these but the newest `held` */
void chr_left_finish(chr_publisher *p, uint32_t held);            /* the same: to the medium, if asked for; unmapped, freed */
chr_map *chr_left_removed(chr_publisher *p, uint32_t number);     /* the map of that one, which leaves no more; NULL: not among them */
void chr_left_by_others(chr_publisher *p);                        /* at the beginning: what is still to do */
bool chr_left_catch_up_some(chr_publisher *p, uint64_t live);     /* true: there is more */

/* ---------------------------------------------------------------- stock.c */

bool chr_stock_hurried(const chr_publisher *p);
uint32_t chr_stock_held(const chr_publisher *p);               /* how many of the newest that were left stay mapped while the writer hurries */
uint32_t chr_stock_files(const chr_publisher *p);              /* that are hidden */
bool chr_stock_ready(const chr_publisher *p);                  /* is there one to use? */
bool chr_stock_put(chr_publisher *p, chr_map *map);            /* true: removed from the queue, and the stock's now. Under `cleaning` */
chr_map *chr_stock_use(chr_publisher *p, uint32_t number);     /* under its name, zero but for a header without first_seq; NULL: there is none */
void chr_stock_drop(chr_publisher *p);

/* ---------------------------------------------------------------- retain.c */

int64_t chr_clean_task(void *publisher); /* once a second, and when there is something to do */
bool chr_clean_run(chr_publisher *p);    /* true: there is more to do */
bool chr_oldest_holds(const char *dir, const chr_control *c); /* is `oldest` to be believed? */
void chr_oldest_adopt(chr_publisher *p);              /* `oldest` is what lies there: before any reader goes by it */
int chr_budget_admit(chr_publisher *p, chr_error *e); /* room for one more segment, or make some */
bool chr_budget_free_some(chr_publisher *p);          /* after NoSpace: false = nothing more can be freed */

/* ---------------------------------------------------------------- reader.c, page.c, seek.c, wait.c */

typedef struct chr_subscriber chr_subscriber;
typedef struct chr_first chr_first;
enum { CHR_INDEXES_KEPT = 128 }; /* each is a map of a few pages, without a descriptor */
struct chr_subscriber {
    chr_reader hot;
    char dir[400], name[112];     /* name empty = anonymous */
    chr_config config;
    chr_pages pages;
    chr_map *page;                /* of a named reader */
    uint32_t segment_size, next_slot;
    uint64_t queue_id, generation;
    pid_t owner;
    int32_t closed, forked, dead, durable, read_only;
    uint64_t beat_period;         /* cycles */
    int64_t last_beat_ns;
    chr_map *ahead;               /* next segment, mapped by the prepare thread */
    uint32_t ahead_number;
    uint32_t placed;              /* offset where the reader was put in this segment, */
    uint64_t placed_seq;          /* and before which record; 0 if it came from the segment before */
    pthread_mutex_t making;
    chr_task prepare;
    uint64_t crossings, gaps;
    uint64_t holds;               /* number of the segment the page says, from which on retention lets this reader keep; CHR_SEQ_UNKNOWN: none yet */
    chr_lost hole;                /* of hole.c: while pending, the cursor stands behind it and next_seq before it */
    chr_slot hole_from;           /* where it stood before */
    int64_t hole_ts_ns;
    uint32_t hole_epoch;
    int32_t hole_pending;
    uint64_t told_1;              /* position + 1 of the damage told last */
    chr_error late;               /* of opening: to be told by the first next() */
    chr_subscriber *next_open;
    int event_fd, ring_fd;        /* of fileno(), -1 = none: the end to poll, and the one to ring */
    uint32_t armed;
    uint64_t idle_position;       /* where fileno's thread knows the reader to stand */
    int64_t bell_ns;
    chr_subscriber *next_watched;
    int64_t word_due_ns;          /* of word.c: when to look for notify.meta again */
    chr_first *firsts;            /* of seek.c, NULL before the first seek */
    chr_map *indexes[CHR_INDEXES_KEPT];      /* of the segments sought in last, by number */
};

chr_reader *chr_reader_open(const char *dir, const char *name, const chr_config *config, int start, uint64_t seq, int64_t ts_ns, chr_error *e);
void chr_reader_close(chr_reader *r);
int chr_reader_commit(chr_reader *r);
int chr_reader_flush(chr_reader *r);
int chr_reader_heartbeat(chr_reader *r);
int chr_reader_peek(chr_reader *r); /* 1 a frame stands at the cursor, 0 none, < 0 next() has an error to tell */
int chr_reader_seek_seq(chr_reader *r, uint64_t seq);
int chr_reader_seek_time(chr_reader *r, int64_t ts_ns);
int chr_reader_place(chr_subscriber *s, uint64_t number, uint64_t offset, uint64_t seq, chr_error *e);
int chr_reader_place_oldest(chr_subscriber *s, chr_error *e);
uint64_t chr_reader_oldest(const chr_subscriber *s);                  /* number of the oldest segment kept */
bool chr_reader_passed(const chr_subscriber *s, uint64_t number);     /* has retention? */
chr_slot chr_reader_stands(const chr_subscriber *s);                  /* what its page has to say of where it stands */
int chr_reader_alive(chr_subscriber *s);
void chr_reader_set_step(chr_subscriber *s);
void chr_reader_note_quarantine(chr_subscriber *s);
int chr_reader_cross(chr_subscriber *s);
int chr_hole_skip(chr_subscriber *s);
void chr_hole_note(chr_subscriber *s, const chr_slot *from, uint64_t upto, int64_t ts_ns, uint32_t epoch); /* [next_seq, upto) is missing */
int chr_hole_give(chr_subscriber *s, chr_frame *out);
void chr_notes_free(void *notes);
uint64_t chr_reader_position(const chr_reader *r);
int chr_reader_wait(chr_reader *r, int64_t timeout_ns); /* 1 ready, 0 time is up, -EINTR a signal came: call again */
int chr_readers_wait(chr_reader **readers, int count, int64_t timeout_ns);
int chr_reader_fileno(chr_reader *r);
void chr_reader_forget_fd(chr_subscriber *s);
void chr_bell_arm(chr_subscriber *s);

/* word.c: the page of the futex word, when notify.meta is not the file it was */
void chr_word_keep(chr_publisher *p);                  /* clean thread */
int chr_notify_make(const char *dir, uint64_t queue_id, uint32_t word, chr_error *e); /* in the place of whatever stands there */
bool chr_word_gone(const chr_subscriber *s);           /* nobody can be asked to wake this reader */
void chr_word_look(chr_subscriber *s, int64_t now);    /* if it is time; some system calls */

typedef enum { CHR_GONE_NOT, CHR_GONE_LOCK, CHR_GONE_STALE, CHR_GONE_SEGMENT, CHR_GONE_REPLACED } chr_gone;
int chr_reader_disconnect(chr_subscriber *s, int64_t ttl_ns);
int64_t chr_heartbeat_age(const chr_control *c);
int64_t chr_beat_age(const uint8_t boot_then[16], const uint8_t boot_now[16], int64_t beat_ns); /* INT64_MAX: it says nothing */

extern const chr_reader_ops chr_reader_operations;
int chr_reader_gone(chr_subscriber *s); /* 0, or < 0 with why the handle is dead */
int64_t chr_ahead_run(void *subscriber);

int chr_page_open(chr_subscriber *s, bool strict, chr_error *e); /* strict: a page that is no use is an error, else it begins anew */
int chr_page_read(const chr_reader_page *page, chr_slot *out, uint64_t *generation); /* slot index, -1 none was ever written, -2 both bad */
void chr_page_store(chr_subscriber *s, const chr_slot *slot);
void chr_page_beat(chr_subscriber *s);

/* ---------------------------------------------------------------- fork.c */

void chr_fork_add_publisher(chr_publisher *p);
void chr_fork_remove_publisher(chr_publisher *p);
void chr_fork_add_subscriber(chr_subscriber *s);
void chr_fork_remove_subscriber(chr_subscriber *s);
void chr_agents_fork_prepare(void);
void chr_agents_fork_parent(void);
void chr_agents_fork_child(void);
void chr_maps_fork_child(void);
void chr_bell_fork_prepare(void);
void chr_bell_fork_parent(void);
void chr_bell_fork_child(void);
void chr_word_fork_child(void);

/* ---------------------------------------------------------------- clock.c */

void chr_clock_init(chr_clock *clock, bool tsc);
bool chr_clock_tsc_usable(void);

static inline int chr_examine_full(const uint8_t *base, uint64_t offset, uint64_t size, uint32_t seed, uint64_t *next)
{
    int verdict = chr_examine(base, offset, size, seed, next);
    const chr_frame_header *f = (const chr_frame_header *)(base + offset);
    if (verdict == CHR_FRAME_OK && f->type_id != CHR_TYPE_PADDING && *next > size - CHR_FRAME_HEADER)
        return CHR_FRAME_BAD_LENGTH;
    return verdict;
}

const char *chr_verdict_text(int verdict);

/* ---------------------------------------------------------------- audit.c */

typedef enum {
    CHR_FOUND_FRAME = 1, /* detail = -chr_verdict; [seq, to_seq] cannot be read; the walk went on at `until`, 0 = nothing follows here */
    CHR_FOUND_SEQ,       /* seq was due, to_seq stands there */
    CHR_FOUND_EPOCH,
    CHR_FOUND_TIME,
    CHR_FOUND_LOST,      /* the queue itself declares [seq, to_seq] lost */
    CHR_FOUND_BAD_LOST,
    CHR_FOUND_TRAIL,     /* bytes that no checksum covers are not zero */
    CHR_FOUND_PADDING,   /* its length does not reach the segment's end */
    CHR_FOUND_SEAL       /* detail: 1 end, 2 frames, 3 last seq, 4 last time, 5 checksum of the data */
} chr_found;

typedef enum { CHR_SEAL_NONE, CHR_SEAL_GOOD, CHR_SEAL_CLOSED, CHR_SEAL_BAD } chr_seal_state; /* CLOSED: quarantined */

typedef struct {
    uint32_t kind, detail;
    uint64_t offset, until, seq, to_seq;
} chr_finding;

#define CHR_FINDINGS 64

typedef struct {
    uint64_t seq;          /* due next; carried from segment to segment, as the next three */
    int64_t ts_ns;
    uint32_t epoch, known;
    uint64_t frames, payload_bytes, lost, end, seal_end, seal_last_seq;
    int32_t stopped;       /* chr_verdict: OK at a padding, NONE at the tail */
    uint32_t seal, damaged, tail_clean;
    uint32_t index_header, index_empty, index_bad;
    uint32_t found;        /* all; the list holds the first CHR_FINDINGS */
    chr_finding findings[CHR_FINDINGS];
} chr_audit;

void chr_audit_segment(chr_audit *a, const uint8_t *base, uint64_t bytes, uint32_t segment_size, uint32_t seed, uint64_t upto);
void chr_audit_index(chr_audit *a, const uint8_t *index, const uint8_t *base, uint64_t bytes, uint32_t segment_size, uint32_t number,
                     uint64_t queue_id);

#endif
