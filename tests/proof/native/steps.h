/* Every step a process takes on a queue's files, counted: the means to stop at each, to fail at each, and to write down what each did.
 *
 * The core's sources are compiled as they are, with -fsanitize=thread but without its runtime: the compiler then announces every store before it is
 * made, and announced.c answers in the runtime's place. memcpy and memset are replaced by ones that store word by word, and the calls that change a file
 * system or make it durable are wrapped by the linker. So the places to stop at need no marks in the core, none can be forgotten, and the shipped
 * objects hold nothing of it.
 *
 * A step is one store into a mapped file, or one such call. Step n stands between the state before it and the state after it; "stopped at n" means that
 * n - 1 steps were made. The harness runs in one thread: pthread_create fails, and the scene calls what the two agents would do.
 */
#ifndef STEPS_H
#define STEPS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    STEP_STORE,    /* bytes of a mapped file */
    STEP_WRITE,    /* the same by a call, which may make the file longer */
    STEP_CREATE,   /* a new, empty file under a name */
    STEP_SIZE,     /* the file grows, zeros */
    STEP_LINK,     /* one more name */
    STEP_RENAME,   /* from `name`, to the name behind its NUL */
    STEP_UNLINK,
    STEP_MKDIR,
    STEP_SYNC,     /* file: all of it so far is on the medium */
    STEP_SYNC_DIR, /* names of one directory so far are on the medium */
    STEP_OTHER
} step_kind;

typedef struct {
    uint32_t kind, file; /* file: number in the order of appearance */
    uint64_t at;         /* the step it was; 0 = before the first */
    uint64_t offset, size;
    uint8_t data[];      /* STEP_STORE, STEP_WRITE: size bytes; else a name relative to the root, NUL */
} step_event;

#define STEPS_PLACES 4096

/* Shared with the process that waits for the end of the one that steps. */
typedef struct {
    uint64_t taken;      /* steps made or begun */
    uint64_t stop_at;    /* kill -9 before this one; 0 = never */
    uint64_t fail_at;    /* the n-th call that can meet a full disk; 0 = never */
    uint64_t calls;      /* of that kind so far */
    int32_t fail_errno, fail_for_good; /* this call only, or all from here on */
    int32_t failed;      /* calls that were failed */
    int32_t tracing;
    uint64_t stopped_in; /* code address of the step stopped at */
    uint64_t trace_used, trace_room, events;
    uint64_t *index;     /* event n of the trace stands at trace + index[n] */
    uint8_t *trace;
} steps_state;

extern steps_state *steps;

steps_state *steps_new(uint64_t trace_bytes, uint64_t trace_events);
void steps_reset(void);
void steps_root(const char *root); /* names are told relative to it */
const step_event *steps_event(uint64_t n);
void steps_begin_with(const char *tree);  /* what lies there already is the trace's beginning, all of it on the medium */

/* For announced.c: bytes at `at` are about to be stored. */
void steps_store(void *at, size_t size, const void *place);
bool steps_mapped(const void *at);

#endif
