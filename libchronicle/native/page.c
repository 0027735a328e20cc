/* Reader pages: readers/<name>.meta, one per named reader, written by its owner only.
 *
 * Two slots, written in turn, each with a checksum: a crash in the middle of one leaves the other, and the highest valid generation wins. A slot's
 * generation is stored last, so a crash in the middle of the very first store leaves a page on which nothing was ever committed, not a damaged one.
 * The owner holds a lock on the page; nobody takes a page over by time, and nobody reads by a page that another user made.
 */
#include "chr_core.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool slot_valid(const chr_slot *s)
{
    return s->generation != 0 && s->crc == chr_checksum(s, offsetof(chr_slot, crc));
}

/* Never stored whole: a first store that a crash cut off leaves no generation, for that comes last. */
static bool slot_blank(const chr_slot *s) { return s->generation == 0; }

int chr_page_read(const chr_reader_page *page, chr_slot *out, uint64_t *generation)
{
    chr_slot slots[2];
    memcpy(slots, page->slots, sizeof slots);
    bool valid[2] = {slot_valid(&slots[0]), slot_valid(&slots[1])};
    if (!valid[0] && !valid[1])
        return slot_blank(&slots[0]) && slot_blank(&slots[1]) ? -1 : -2;
    int best = valid[0] && (!valid[1] || slots[0].generation > slots[1].generation) ? 0 : 1;
    *out = slots[best];
    *generation = slots[best].generation;
    return best;
}

static uint32_t holder(const chr_map *map) { return ((const chr_reader_page *)map->base)->pid; }

/* readers/ is writable by the group, so anybody in it may have put anything there, under any name: a pipe, a link, or a page that it can write itself
 * and so move the reader that trusts it. Root may use a page of another's that nobody but its owner can write. */
static int open_own(const char *path, struct stat *st, chr_error *e)
{
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && (errno == ELOOP || errno == EISDIR || errno == ENXIO))
        return chr_fail(e, CHR_E_PERMISSION, path, "not a file: it was put there by somebody else; remove it", 0, 0, 0);
    if (fd < 0)
        return chr_fail_sys(e, path, "open", 0);
    uid_t me = geteuid();
    const char *why = NULL;
    if (fstat(fd, st) != 0 || !S_ISREG(st->st_mode))
        why = "not a file: it was put there by somebody else; remove it";
    else if (st->st_uid != me && (me != 0 || st->st_mode & (S_IWGRP | S_IWOTH)))
        why = "this reader's page was made by another user; remove it";
    if (why == NULL)
        return fd;
    close(fd);
    return chr_fail(e, CHR_E_PERMISSION, path, why, 0, 0, 0);
}

/* A header with one flipped bit above a slot of this queue: what it said is known. */
static bool header_known(const chr_reader_page *page, uint64_t queue_id)
{
    int flipped = __builtin_popcountll(page->magic ^ CHR_MAGIC_READER) + __builtin_popcount(page->version ^ CHR_FORMAT_VERSION);
    bool ours = false;
    for (int i = 0; i < 2; i++)
        ours = ours || (slot_valid(&page->slots[i]) && page->slots[i].queue_id == queue_id);
    return flipped == 1 && ours;
}

/* The page begins anew; what was in it stays beside it as <name>.meta.damaged-<time>. Its position is lost: only for who says where to begin. */
static int begin_anew(const char *dir, const char *name, int fd, const chr_reader_page *blank, chr_error *e)
{
    static _Thread_local uint8_t old[CHR_PAGE];
    char aside[160];
    ssize_t n = pread(fd, old, sizeof old, 0);
    snprintf(aside, sizeof aside, "%s.damaged-%lld", name, (long long)chr_realtime_ns());
    if (n > 0 && chr_create_once(dir, aside, 0640, old, (size_t)n, e) < 0)
        return -1;
    if (ftruncate(fd, 0) == 0 && ftruncate(fd, CHR_PAGE) == 0 && pwrite(fd, blank, sizeof *blank, 0) == (ssize_t)sizeof *blank)
        return 0;
    return chr_fail_sys(e, dir, "write reader page", CHR_PAGE);
}

/* 0 the locked page can be used, perhaps only now. `strict`: its position is wanted, so it may not be lost on the way. */
static int make_good(const chr_subscriber *s, const char *dir, const char *name, int fd, const chr_reader_page *blank, bool strict, chr_error *e)
{
    static _Thread_local chr_reader_page page;
    ssize_t n = pread(fd, &page, sizeof page, 0);
    if (n == (ssize_t)sizeof page && page.magic == CHR_MAGIC_READER && page.version == CHR_FORMAT_VERSION)
        return 0;
    if (n == (ssize_t)sizeof page && header_known(&page, s->queue_id))
        return pwrite(fd, blank, offsetof(chr_reader_page, pid), 0) > 0 ? 0 : chr_fail_sys(e, dir, "write reader page", CHR_PAGE);
    if (n == (ssize_t)sizeof page && page.magic == CHR_MAGIC_READER)
        return chr_fail(e, CHR_E_VERSION, dir, "reader page", page.version, CHR_FORMAT_VERSION, 0);
    return strict ? chr_fail(e, CHR_E_READER_PAGE, s->dir, s->name, 0, 0, 0) : begin_anew(dir, name, fd, blank, e);
}

int chr_page_open(chr_subscriber *s, bool strict, chr_error *e)
{
    char dir[640], name[128], path[768];
    static _Thread_local chr_reader_page blank;
    memset(&blank, 0, sizeof blank);
    blank.magic = CHR_MAGIC_READER;
    blank.version = CHR_FORMAT_VERSION;
    chr_join(dir, sizeof dir, s->dir, "readers");
    snprintf(name, sizeof name, "%s.meta", s->name);
    chr_join(path, sizeof path, dir, name);
    if (chr_create_once(dir, name, 0640, &blank, sizeof blank, e) < 0)
        return -1;
    struct stat st;
    int fd = open_own(path, &st, e);
    if (fd < 0)
        return -1;
    int held = chr_lock_exclusive(fd);
    if (held <= 0 && make_good(s, dir, name, fd, &blank, strict, e) < 0) {
        close(fd);
        return -1;
    }
    if (held > 0 && st.st_size < CHR_PAGE) {
        close(fd);
        return chr_fail(e, CHR_E_READER_ACTIVE, s->dir, s->name, 0, 0, 0);
    }
    chr_map *map = chr_map_fd(fd, CHR_PAGE, true, 0);
    if (map == NULL)
        return chr_fail_sys(e, path, "map", CHR_PAGE);
    chr_reader_page *page = (chr_reader_page *)map->base;
    int rc = 0;
    if (held > 0)
        rc = chr_fail(e, CHR_E_READER_ACTIVE, s->dir, s->name, holder(map), 0, 0);
    if (rc < 0) {
        chr_map_release_now(map);
        return -1;
    }
    page->pid = (uint32_t)s->owner;
    page->start_time = chr_start_time(s->owner);
    uint8_t boot[16];
    chr_boot_id(boot); /* not in the page itself: retention reads that meanwhile, and who beats under another boot is dead */
    if (memcmp(page->boot_id, boot, sizeof boot) != 0)
        memcpy(page->boot_id, boot, sizeof boot);
    s->page = map;
    chr_page_beat(s);
    return 0;
}

void chr_page_store(chr_subscriber *s, const chr_slot *slot)
{
    chr_reader_page *page = (chr_reader_page *)s->page->base;
    chr_slot full = *slot;
    full.generation = ++s->generation;
    full.crc = chr_checksum(&full, offsetof(chr_slot, crc));
    chr_slot *to = &page->slots[s->next_slot];
    memcpy((uint8_t *)to + sizeof full.generation, (const uint8_t *)&full + sizeof full.generation, sizeof full - sizeof full.generation);
    chr_store_release64(&to->generation, full.generation);
    s->next_slot ^= 1;
}

void chr_page_beat(chr_subscriber *s)
{
    s->last_beat_ns = chr_monotonic_ns();
    if (s->page != NULL)
        chr_store_relaxed64((uint64_t *)&((chr_reader_page *)s->page->base)->heartbeat_ns, (uint64_t)s->last_beat_ns);
}
