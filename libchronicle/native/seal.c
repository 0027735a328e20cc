/* Segments the writer has left: sealed, put on the medium, unmapped. Runs in the clean thread, under `cleaning`.
 *
 *   left       a roll hands the maps of a segment and its index over, of CHR_LEFT_MOST segments at most: a disk slower than the writer neither delays
 *              it nor uses up the descriptors of its process. In memory the newest of a writer in a hurry stay as they are for a while (stock.c)
 *   behind     beyond them the writer unmaps what it leaves. From the first such segment on (`behind_1`) each is opened again when its turn comes
 *   sealed     the checksum of the whole is written
 *   synced     on the medium, and the mark moved over it; not of a segment that retention has removed meanwhile
 *
 * Seals come first and syncs after them, one mark for all: the first sync of a journalling file system then takes most of the others' work along.
 */
#include "chr_core.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHR_AT_ONCE 64u /* segments behind that one run sees to: retention and a flush() wait no longer than that */

void chr_left_push(chr_publisher *p, chr_retired *left)
{
    if (chr_load_relaxed32(&p->left_count) >= CHR_LEFT_MOST) {
        uint64_t none = 0;
        __atomic_compare_exchange_n(&p->behind_1, &none, (uint64_t)left->segment->number + 1, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
        chr_map_release_now(left->segment);
        chr_map_release_now(left->index);
        free(left);
        return;
    }
    chr_fetch_add32(&p->left_count, 1);
    left->next = __atomic_load_n(&p->retired, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&p->retired, &left->next, left, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        ;
}

void chr_left_take(chr_publisher *p)
{
    chr_retired *stack = __atomic_exchange_n(&p->retired, NULL, __ATOMIC_ACQUIRE), *ordered = NULL, **end = &p->leaving;
    while (stack != NULL) { /* oldest first */
        chr_retired *next = stack->next;
        stack->next = ordered;
        ordered = stack;
        stack = next;
    }
    while (*end != NULL)
        end = &(*end)->next;
    *end = ordered;
}

/* How many of `leaving` are older than the newest `held`. */
static uint32_t beyond(const chr_publisher *p, uint32_t held)
{
    uint32_t count = 0;
    for (const chr_retired *r = p->leaving; r != NULL; r = r->next)
        count++;
    return count > held ? count - held : 0;
}

chr_map *chr_left_removed(chr_publisher *p, uint32_t number)
{
    for (chr_retired **at = &p->leaving, *r; (r = *at) != NULL; at = &r->next) {
        if (r->segment->number != number)
            continue;
        chr_map *segment = r->segment;
        *at = r->next;
        chr_map_release_now(r->index);
        free(r);
        chr_fetch_add32(&p->left_count, (uint32_t)-1);
        return segment;
    }
    return NULL;
}

static bool sync_pair(const chr_publisher *p, const chr_map *segment, const chr_map *index)
{
    bool good = chr_sync_data(segment->fd) == 0 && (index == NULL || chr_sync_data(index->fd) == 0);
    if (!good)
        chr_fetch_add64(&p->hot.control->sync_errors, 1);
    return good;
}

/* The mark may only move over what is on the medium, and is worth nothing before it is there itself. */
static int mark_synced(chr_publisher *p, uint64_t position)
{
    chr_control *c = p->hot.control;
    if (position <= c->synced)
        return 0;
    if (chr_sync_dir(p->dir) != 0) {
        chr_fetch_add64(&c->sync_errors, 1);
        return -1;
    }
    chr_store_release64(&c->synced, position);
    return chr_sync_data(p->pages.fd);
}

static void seal(const chr_publisher *p, chr_map *segment, uint32_t end)
{
    if (chr_seal_valid(segment))
        return;
    chr_segment_seal(segment, end, 0, p->hot.crc_seed);
    futimens(segment->fd, NULL); /* the age rule counts from here: stores into a map leave no trace in mtime */
}

void chr_left_seal(chr_publisher *p, uint32_t held)
{
    uint32_t count = beyond(p, held);
    for (const chr_retired *r = p->leaving; count > 0; r = r->next, count--)
        seal(p, r->segment, r->end);
}

void chr_left_finish(chr_publisher *p, uint32_t held)
{
    const chr_control *c = p->hot.control;
    uint64_t upto = c->synced / p->segment_size, next = upto;
    if (p->config.sync && p->in_memory && next < c->oldest)
        next = c->oldest; /* those before were removed before their turn came */
    for (uint32_t count = beyond(p, held); count > 0; count--) {
        chr_retired *r = p->leaving;
        uint64_t number = r->segment->number;
        p->leaving = r->next;
        bool good = p->config.sync && (number < c->oldest || sync_pair(p, r->segment, r->index));
        if (good && next >= number)
            next = number + 1 > next ? number + 1 : next;
        chr_map_release_now(r->segment);
        chr_map_release_now(r->index);
        free(r);
        chr_fetch_add32(&p->left_count, (uint32_t)-1);
    }
    if (next > upto)
        mark_synced(p, chr_position(p->segment_size, next, CHR_SEGMENT_DATA));
}

/* ---------------------------------------------------------------- what was left without its maps */

/* Where the padding stands, or where the frames end without one; over bad frames, which the seal does not hide. */
static uint64_t end_of(const chr_map *segment, uint32_t crc_seed)
{
    uint64_t next = 0, end = CHR_SEGMENT_DATA, at = CHR_SEGMENT_DATA;
    while (at != 0 && at + CHR_FRAME_HEADER <= segment->size) {
        const chr_frame_header *f = (const chr_frame_header *)(segment->base + at);
        if (chr_examine_full(segment->base, at, segment->size, crc_seed, &next) != CHR_FRAME_OK)
            at = chr_segment_next_good(segment, crc_seed, at, segment->size, 0);
        else if (f->type_id == CHR_TYPE_PADDING)
            return at;
        else
            end = at = next;
    }
    return end;
}

/* One segment before the live one: sealed if it was not, and on the medium if asked. */
static bool catch_up_one(chr_publisher *p, uint64_t number, bool sync)
{
    chr_error e;
    chr_map *segment = chr_segment_open(p->dir, number, p->segment_size, p->queue_id, true, &e);
    if (segment == NULL)
        return true; /* what is missing will not come by waiting for it */
    chr_map *index = chr_index_open(p->dir, number, p->segment_size, p->queue_id, true, &e);
    if (!chr_seal_valid(segment))
        seal(p, segment, (uint32_t)end_of(segment, p->hot.crc_seed));
    bool good = !sync || sync_pair(p, segment, index);
    chr_map_release_now(index);
    chr_map_release_now(segment);
    return good;
}

/* Segments from `number` on, before `upto`; the mark comes after them. Returns where it came to: `upto`, unless `sync` was asked for and failed. */
static uint64_t catch_up(chr_publisher *p, uint64_t number, uint64_t upto, bool sync)
{
    for (uint64_t at = number; at < upto; at++) /* all seals first */
        catch_up_one(p, at, false);
    while (number < upto && (!sync || catch_up_one(p, number, true)))
        number++;
    if (sync && mark_synced(p, chr_position(p->segment_size, number, CHR_SEGMENT_DATA)) != 0)
        return 0;
    return number;
}

static bool is_sealed(const chr_publisher *p, uint64_t number)
{
    chr_error e;
    chr_map *segment = chr_segment_open(p->dir, number, p->segment_size, p->queue_id, false, &e);
    bool sealed = segment == NULL || chr_seal_valid(segment);
    chr_map_release_now(segment);
    return sealed;
}

static uint64_t at_least_oldest(const chr_publisher *p, uint64_t number)
{
    return number < p->hot.control->oldest ? p->hot.control->oldest : number;
}

/* Segments before the first of this writer that a crash left unsealed, or that are not on the medium yet. One that waited `behind` may be below sealed ones. */
void chr_left_by_others(chr_publisher *p)
{
    uint64_t number = at_least_oldest(p, p->config.sync ? p->hot.control->synced / p->segment_size : 0);
    while (!p->config.sync && number < p->first_number && is_sealed(p, number))
        number++;
    if (number < p->first_number)
        chr_store_release64(&p->behind_1, number + 1);
}

bool chr_left_catch_up_some(chr_publisher *p, uint64_t live)
{
    uint64_t from_1 = __atomic_exchange_n(&p->behind_1, 0, __ATOMIC_ACQUIRE);
    if (from_1 == 0)
        return false;
    uint64_t from = from_1 - 1, synced = p->hot.control->synced / p->segment_size;
    from = at_least_oldest(p, p->config.sync && synced < from ? synced : from);
    uint64_t upto = live > from + CHR_AT_ONCE ? from + CHR_AT_ONCE : live, next = catch_up(p, from, upto, p->config.sync);
    if (next < live)
        chr_store_release64(&p->behind_1, (next < from ? from : next) + 1); /* what the writer noted meanwhile lies behind it */
    return next >= upto && next < live;
}

/* Everything before `live`, also what an earlier writer left, and what failed before. */
static bool catch_up_all(chr_publisher *p, uint64_t live)
{
    uint64_t from = at_least_oldest(p, p->hot.control->synced / p->segment_size);
    if (from < live && catch_up(p, from, live, true) < live)
        return false;
    chr_store_release64(&p->behind_1, 0);
    return true;
}

/* ---------------------------------------------------------------- flush */

int chr_writer_flush(chr_writer *w, bool all)
{
    chr_publisher *p = (chr_publisher *)w;
    uint64_t head = w->position_base + w->offset;
    pthread_mutex_lock(&p->cleaning);
    chr_left_take(p);
    chr_left_seal(p, 0);
    chr_left_finish(p, 0);
    int rc = catch_up_all(p, p->number) ? 0 : -1;
    if (rc == 0 && all)
        rc = chr_sync_data(p->segment->fd) == 0 && chr_sync_data(p->index->fd) == 0 ? mark_synced(p, head) : -1;
    if (rc != 0)
        chr_fail_sys(&w->error, p->dir, "sync", 0);
    pthread_mutex_unlock(&p->cleaning);
    return rc;
}
