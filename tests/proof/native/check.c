/* See check.h. */
#include "check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long long ull;

static chr_config plain(void) { return (chr_config){.reader_ttl_ns = 3600000000000, .retain_segments = 1, .agents = 1}; }

static chr_reader *open_from(const char *dir, int start, uint64_t seq)
{
    chr_config config = plain();
    chr_error e = {0};
    chr_reader *r = chr_reader_open(dir, NULL, &config, start, seq, 0, &e);
    REQUIRE(r != NULL, "reader: code %d sys %d %s: %s", e.code, e.sys, e.path, e.reason);
    return r;
}

static const scene_record *known(const scene_world *world, const chr_frame *f)
{
    const scene_record *r = scene_find(world, f->seq, f->epoch);
    REQUIRE(r != NULL, "seq %llu of epoch %u was never written", (ull)f->seq, f->epoch);
    REQUIRE(r->size == f->size && r->type_id == f->type_id, "seq %llu was altered", (ull)f->seq);
    REQUIRE(r->done == 0 || r->ts_ns == f->ts_ns, "time of seq %llu was altered", (ull)f->seq);
    REQUIRE(r->hash == chr_checksum(f->payload, f->size), "payload of seq %llu was altered", (ull)f->seq);
    return r;
}

static void take_lost(check_view *view, const chr_frame *f, uint64_t expected)
{
    chr_lost lost;
    memcpy(&lost, f->payload, sizeof lost);
    REQUIRE(f->size == sizeof lost && lost.from_seq <= lost.to_seq && f->seq >= lost.to_seq && f->seq <= lost.to_seq + 1, "LOST %llu-%llu at seq %llu",
            (ull)lost.from_seq, (ull)lost.to_seq, (ull)f->seq);
    REQUIRE(view->records == 0 || lost.from_seq == expected, "LOST from %llu, but %llu was next", (ull)lost.from_seq, (ull)expected);
    view->holes++;
    view->lost_from = lost.from_seq;
    view->lost_to = lost.to_seq;
}

check_view check_read(const scene_world *world, const char *dir, bool holes_allowed)
{
    chr_reader *r = open_from(dir, CHR_START_EARLIEST, 0);
    check_view view = {.first = r->next_seq, .next = r->next_seq};
    uint32_t epoch = 0, stuck = 0;
    int64_t ts_ns = 0;
    chr_frame f;
    for (;;) {
        uint64_t expected = r->next_seq;
        int rc = chr_next(r, &f);
        if (rc == 0)
            break;
        if (rc < 0) {
            REQUIRE(holes_allowed && stuck++ < 3, "code %d at seq %llu segment %llu offset %llu: %s", r->error.code, (ull)expected, (ull)r->error.a,
                    (ull)r->error.b, r->error.reason);
            view.holes++;
            continue;
        }
        stuck = 0;
        if (f.type_id == CHR_TYPE_LOST) {
            REQUIRE(holes_allowed, "a hole at %llu", (ull)expected);
            take_lost(&view, &f, expected);
        } else {
            REQUIRE(f.seq == expected, "seq %llu instead of %llu", (ull)f.seq, (ull)expected);
            known(world, &f);
            view.records++;
        }
        REQUIRE(f.epoch >= epoch && f.ts_ns >= ts_ns, "seq %llu type %x: epoch %u after %u, time %lld after %lld", (ull)f.seq, f.type_id, f.epoch, epoch,
                (long long)f.ts_ns, (long long)ts_ns);
        epoch = f.epoch;
        ts_ns = f.ts_ns;
        view.next = f.seq + 1;
    }
    chr_reader_close(r);
    return view;
}

void check_torn(const scene_world *world, const char *dir)
{
    chr_config config = plain();
    chr_error e = {0};
    chr_frame f;
    chr_reader *r = chr_reader_open(dir, NULL, &config, CHR_START_EARLIEST, 0, 0, &e);
    if (r == NULL)
        return;
    for (int stuck = 0, rc; stuck < 3 && (rc = chr_next(r, &f)) != 0;) {
        stuck = rc < 0 ? stuck + 1 : 0;
        if (rc > 0 && f.type_id != CHR_TYPE_LOST && world->records)
            known(world, &f);
    }
    chr_reader_close(r);
}

/* ---------------------------------------------------------------- what was promised */

uint64_t check_done(const scene_world *world, uint64_t at, uint32_t epoch_from)
{
    uint64_t next = 0;
    for (uint32_t i = 0; i < world->records; i++) {
        const scene_record *r = &world->record[i];
        if (r->done && r->done <= at && r->epoch >= epoch_from && r->seq + 1 > next)
            next = r->seq + 1;
    }
    return next;
}

uint64_t check_flushed(const scene_world *world, uint64_t at)
{
    uint64_t next = 0;
    for (uint32_t i = 0; i < world->flushes; i++)
        if (world->flush[i].done && world->flush[i].done <= at && world->flush[i].seq > next)
            next = world->flush[i].seq;
    return next;
}

uint64_t check_oldest(const scene_world *world, uint64_t at)
{
    uint64_t oldest = 0;
    for (uint32_t i = 0; i < world->removals; i++)
        if (world->removal[i].began <= at && world->removal[i].seq > oldest)
            oldest = world->removal[i].seq;
    return oldest;
}

static uint8_t present[4 * SCENE_RECORDS];

static void look_over(const scene_world *world, const char *dir)
{
    chr_reader *r = open_from(dir, CHR_START_EARLIEST, 0);
    chr_frame f;
    int stuck = 0, rc;
    memset(present, 0, sizeof present);
    while (stuck < 3 && (rc = chr_next(r, &f)) != 0) {
        stuck = rc < 0 ? stuck + 1 : 0;
        if (rc < 0 || f.type_id == CHR_TYPE_LOST)
            continue;
        REQUIRE(f.seq < sizeof present, "seq %llu", (ull)f.seq);
        known(world, &f);
        present[f.seq] = 1;
    }
    chr_reader_close(r);
}

void check_presence(const scene_world *world, const char *dir, uint64_t from, uint64_t below)
{
    look_over(world, dir);
    for (uint32_t i = 0; i < world->records; i++) {
        const scene_record *record = &world->record[i];
        REQUIRE(record->lost || record->seq < from || record->seq >= below || present[record->seq], "seq %llu of epoch %u is gone", (ull)record->seq,
                record->epoch);
    }
}

void check_forget(scene_world *world, const char *dir)
{
    look_over(world, dir);
    for (uint32_t i = 0; i < world->records; i++)
        world->record[i].lost = world->record[i].lost || !present[world->record[i].seq];
}

/* ---------------------------------------------------------------- files */

/* Right after a writer has opened: nothing stands behind the tail. */
void check_tail_is_zero(const char *dir)
{
    chr_pages pages;
    chr_error e = {0};
    REQUIRE(chr_control_open(dir, false, &pages, &e) == 0, "control page: %s", e.reason);
    const chr_control *c = (const chr_control *)pages.control->base;
    chr_map *map = chr_segment_open(dir, c->head / c->segment_size, c->segment_size, c->queue_id, false, &e);
    REQUIRE(map != NULL, "live segment: %s", e.reason);
    for (uint64_t at = c->head % c->segment_size; at < c->segment_size; at++)
        REQUIRE(map->base[at] == 0, "byte %llu of segment %u is %02x, the tail is at %llu", (ull)at, map->number, map->base[at],
                (ull)(c->head % c->segment_size));
    chr_map_release_now(map);
    chr_pages_close(&pages);
}

void check_no_leftovers(const char *dir)
{
    char path[640];
    for (int i = 0; i < 2; i++) {
        chr_join(path, sizeof path, dir, i ? "readers" : ".");
        DIR *d = opendir(path);
        for (struct dirent *entry = d ? readdir(d) : NULL; entry != NULL; entry = readdir(d))
            REQUIRE(strstr(entry->d_name, ".tmp-") == NULL, "left behind: %s", entry->d_name);
        if (d)
            closedir(d);
    }
}

uint32_t check_quarantined(const char *dir)
{
    char path[640], text[65536];
    uint32_t entries = 0;
    chr_join(path, sizeof path, dir, "quarantine.json");
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    text[n < 0 ? 0 : n] = 0;
    for (const char *at = text; (at = strstr(at, "\"segment\"")) != NULL; at++)
        entries++;
    return entries;
}

/* Seeking lands where a walk would. */
void check_index(const char *dir, uint64_t from, uint64_t below, uint64_t *rng)
{
    if (below <= from)
        return;
    chr_reader *r = open_from(dir, CHR_START_EARLIEST, 0);
    chr_frame f;
    for (int i = 0; i < 4; i++) {
        *rng = *rng * 6364136223846793005ull + 1442695040888963407ull;
        uint64_t seq = from + (*rng >> 33) % (below - from);
        REQUIRE(chr_reader_seek_seq(r, seq) == 0, "seek to %llu: code %d %s", (ull)seq, r->error.code, r->error.reason);
        REQUIRE(chr_next(r, &f) == 1, "nothing after a seek to %llu", (ull)seq);
        REQUIRE(f.seq >= seq && (f.seq == seq || f.type_id == CHR_TYPE_LOST), "a seek to %llu found %llu", (ull)seq, (ull)f.seq);
        int64_t ts_ns = f.ts_ns;
        REQUIRE(chr_reader_seek_time(r, ts_ns) == 0 && chr_next(r, &f) == 1, "seek by time");
        REQUIRE(f.ts_ns == ts_ns && f.seq <= seq + (f.type_id == CHR_TYPE_LOST), "a seek by time found %llu, not %llu", (ull)f.seq, (ull)seq);
    }
    chr_reader_close(r);
}
