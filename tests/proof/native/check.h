/* What must hold of a queue that was left at any moment, however it was left. */
#ifndef CHECK_H
#define CHECK_H

#include "scene.h"

typedef struct {
    uint64_t first, next;        /* seqs: of the oldest record, behind the last */
    uint64_t records, holes;     /* holes that were told */
    uint64_t lost_from, lost_to; /* of the last hole told by a LOST record */
} check_view;

/* Reads all there is with an anonymous reader; every record must be one that was written. `at` = the moment the queue was left. */
check_view check_read(const scene_world *world, const char *dir, bool holes_allowed);

/* The same before any writer has repaired the queue: errors are no fault, a false record is. */
void check_torn(const scene_world *world, const char *dir);

/* Records whose append had returned, and those that were flushed, at that moment. */
uint64_t check_done(const scene_world *world, uint64_t at, uint32_t epoch_from);
uint64_t check_flushed(const scene_world *world, uint64_t at);
uint64_t check_oldest(const scene_world *world, uint64_t at); /* no older record need be there: retention may have begun on it */

/* Every record of that range that was not lost before is read. */
void check_presence(const scene_world *world, const char *dir, uint64_t from, uint64_t below);
void check_forget(scene_world *world, const char *dir); /* what is not there now was never promised */
void check_tail_is_zero(const char *dir);
void check_no_leftovers(const char *dir);
void check_index(const char *dir, uint64_t from, uint64_t below, uint64_t *rng);
uint32_t check_quarantined(const char *dir);

#endif
