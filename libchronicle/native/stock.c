/* In memory (tmpfs), segments that retention removes are used again.
 *
 * A fast writer there pays mostly the kernel: every page for the first time, every page given back, and a checksum over segments that are about to go. So
 * while a writer hurries (its last segment was filled at CHR_HURRY_BYTES_S or faster, within the last second) the clean thread
 *   - keeps the newest segments it was handed mapped and unsealed (`leaving`, chr_stock_held of them; a crash leaves them as it leaves any unsealed one);
 *   - makes of one that retention removes a later one:
 *
 *   left -> hidden    rename: no open by name finds it any more
 *        -> alone     one name, one descriptor of one process, one reference; else it goes
 *        -> ready     zero
 *        -> prepared  header, linked under the new number (prepare thread, or the writer at a stall)
 *
 * Nobody must ever see bytes change under a segment he has. Whoever has it open or mapped, in whatever process, counts: the kernel grants a write lease
 * on a file only to its only opener. A second name (somebody's hard link) counts. Such a file is removed as it always was, and its pages live as long as
 * someone looks at them. An open that found the name before it went and comes after the lease is refused, or finds the number of another segment in the
 * header: chr_segment_map takes both for a segment that has gone. What no call can keep out is a link(2) that found the name before and makes its own
 * afterwards: that stranger has a name for zeros or for a later segment, which the header says.
 *
 * A sealed segment is never used again: an archive links those. Nor is anything where an age rule keeps segments, or on a medium that can lose power.
 */
#include "chr_core.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHR_HURRY_NS 1000000000ll
#define CHR_HELD_BYTES (256u << 20)
#define CHR_STOCK_BYTES (64u << 20) /* of larger segments half as many: what is found there serves a longer time */

struct chr_stocked {
    chr_map *map;
    char path[640];
};

bool chr_stock_hurried(const chr_publisher *p)
{
    uint64_t hurried_ns = chr_load_relaxed64((const uint64_t *)&p->hurried_ns);
    return hurried_ns != 0 && p->config.retain_age_ns == 0 && chr_monotonic_ns() - (int64_t)hurried_ns < CHR_HURRY_NS;
}

/* What policy keeps, and what readers may lie behind for it to be used again. */
uint32_t chr_stock_held(const chr_publisher *p)
{
    uint32_t kept = p->config.retain_segments < CHR_LEFT_MOST / 4 ? p->config.retain_segments : CHR_LEFT_MOST / 4;
    uint32_t behind = CHR_HELD_BYTES / p->segment_size;
    return kept + (behind < 4 ? 4 : behind > CHR_LEFT_MOST / 2 ? CHR_LEFT_MOST / 2 : behind);
}

uint32_t chr_stock_files(const chr_publisher *p) { return chr_load_acquire32(&p->hidden); }

bool chr_stock_ready(const chr_publisher *p)
{
    for (uint32_t i = 0; i < CHR_STOCK_MOST; i++)
        if (__atomic_load_n(&p->stock[i], __ATOMIC_ACQUIRE) != NULL)
            return true;
    return false;
}

static bool only_name(const chr_map *map, const char *path)
{
    struct stat st;
    return fstat(map->fd, &st) == 0 && st.st_nlink == 1 && (uint64_t)st.st_size == map->size && chr_same_file(map->fd, path);
}

/* Removed after all. */
static void let_go(chr_publisher *p, chr_stocked *stocked)
{
    if (!p->forked) /* the files are the parent's */
        unlink(stocked->path);
    chr_map_release_now(stocked->map);
    free(stocked);
    chr_fetch_add32(&p->hidden, (uint32_t)-1);
}

/* Frames, padding and header; a seal was never there. */
static bool cleared(const chr_stocked *stocked)
{
    chr_map *map = stocked->map;
    if (chr_alone_begin(map->fd) != 0)
        return false;
    bool only = only_name(map, stocked->path);
    if (only)
        memset(map->base, 0, map->size);
    bool held = chr_alone_end(map->fd);
    return only && held && !chr_load_acquire32(&map->broken); /* broken: a stranger cut it short */
}

/* Only the clean thread puts one in, so a place found free stays free. */
static chr_stocked **free_place(chr_publisher *p)
{
    uint32_t most = p->segment_size <= CHR_STOCK_BYTES / CHR_STOCK_MOST ? CHR_STOCK_MOST : CHR_STOCK_MOST / 2;
    for (uint32_t i = 0; i < most; i++)
        if (__atomic_load_n(&p->stock[i], __ATOMIC_ACQUIRE) == NULL)
            return &p->stock[i];
    return NULL;
}

bool chr_stock_put(chr_publisher *p, chr_map *map)
{
    char name[32], from[640], unique[96];
    chr_stocked **place = free_place(p), *stocked = place ? malloc(sizeof *stocked) : NULL;
    if (stocked == NULL)
        return false;
    chr_segment_name(name, map->number, "q");
    chr_join(from, sizeof from, p->dir, name);
    chr_temp_name(unique, sizeof unique, name);
    chr_join(stocked->path, sizeof stocked->path, p->dir, unique);
    if (map->refs != 1 || map->broken || chr_seal_valid(map) || !only_name(map, from) || rename(from, stocked->path) != 0) {
        free(stocked);
        return false;
    }
    stocked->map = map;
    chr_fetch_add32(&p->hidden, 1);
    if (cleared(stocked))
        __atomic_store_n(place, stocked, __ATOMIC_RELEASE);
    else
        let_go(p, stocked);
    return true;
}

static chr_stocked *take(chr_publisher *p)
{
    for (uint32_t i = 0; i < CHR_STOCK_MOST; i++) {
        chr_stocked *found = __atomic_exchange_n(&p->stock[i], NULL, __ATOMIC_ACQ_REL);
        if (found != NULL)
            return found;
    }
    return NULL;
}

chr_map *chr_stock_use(chr_publisher *p, uint32_t number)
{
    char name[32], path[640];
    chr_stocked *stocked = number > CHR_SEGMENT_LAST || chr_segment_there(p->dir, number) ? NULL : take(p);
    if (stocked == NULL)
        return NULL;
    chr_map *map = stocked->map;
    chr_segment_name(name, number, "q");
    chr_join(path, sizeof path, p->dir, name);
    map->number = number;
    chr_segment_write_header(map->base, p->queue_id, number, p->segment_size, CHR_SEQ_UNKNOWN, 0, 0);
    if (!only_name(map, stocked->path) || link(stocked->path, path) != 0) {
        let_go(p, stocked);
        return NULL;
    }
    unlink(stocked->path);
    free(stocked);
    chr_fetch_add32(&p->hidden, (uint32_t)-1);
    p->used_again++; /* under `making` */
    return map;
}

void chr_stock_drop(chr_publisher *p)
{
    for (chr_stocked *stocked; (stocked = take(p)) != NULL;)
        let_go(p, stocked);
}
