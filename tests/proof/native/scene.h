/* A queue's life as a seeded script: appends of every kind, rolls, flushes, retention, reopening, two readers; and the record of what was promised.
 *
 * The world lies in shared memory: it outlives a process that is killed in the middle of the script, and says what that process had been told.
 * Times in it are step numbers of steps.h: `began` is the last step before a call, `done` the last one of it (0: it never returned).
 */
#ifndef SCENE_H
#define SCENE_H

#include "chr_core.h"
#include "steps.h"

#define SCENE_RECORDS 16384
#define SCENE_MARKS 8192
#define SCENE_OPENING UINT64_MAX /* a commit by opening, at a place that nobody knows before it is done */

typedef struct {
    uint64_t seq, began, done;
    int64_t ts_ns;              /* meaningful once done */
    uint32_t epoch, size, hash; /* of the payload */
    uint16_t type_id;
    bool lost;                  /* with a disk, before it was promised */
} scene_record;

typedef struct {
    uint64_t began, done, seq;  /* seq of the next record, at the call */
    uint32_t epoch;             /* of the record before it */
    uint32_t flushed;
} scene_mark;

typedef struct {
    uint64_t queue_id;
    uint32_t top_epoch, records, flushes, commits, removals;
    uint64_t operations, full;  /* errors of a full disk that were told as such */
    uint64_t visible;           /* behind the last record that a reader found after the end */
    scene_record record[SCENE_RECORDS];
    scene_mark flush[SCENE_MARKS];   /* of the writer */
    scene_mark commit[SCENE_MARKS];  /* of reader "a" */
    scene_mark removal[SCENE_MARKS]; /* seq: oldest kept after it */
} scene_world;

typedef struct {
    char dir[400];
    uint64_t rng;
    chr_config config;
    scene_world *world;
    chr_writer *writer;
    chr_reader *a, *b;
    uint64_t b_next;
    bool torn;                         /* begins on what a power cut left: holes are told */
    int32_t failed_before;             /* steps->failed, so far accounted for */
    void (*free_space)(void); /* a really full disk: called after an error that says so */
    void (*take_space)(void); /* before every operation */
} scene;

scene_world *scene_world_new(void);
void scene_init(scene *s, const char *dir, uint64_t seed, scene_world *world);
void scene_open(scene *s);
void scene_play(scene *s, int operations);
void scene_close(scene *s);
uint64_t scene_random(scene *s, uint64_t below);
const scene_record *scene_find(const scene_world *world, uint64_t seq, uint32_t epoch);
void scene_append(scene *s); /* one record, which must succeed but for a full disk */

/* What is found wrong ends the process, with exit code 1 and the place on stderr. */
#define REQUIRE(x, ...)                                                                        \
    do {                                                                                       \
        if (!(x)) {                                                                            \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #x);                            \
            fprintf(stderr, __VA_ARGS__);                                                      \
            fputc('\n', stderr);                                                               \
            exit(1);                                                                           \
        }                                                                                      \
    } while (0)

#endif
