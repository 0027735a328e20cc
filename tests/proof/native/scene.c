/* See scene.h. */
#include "scene.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

typedef unsigned long long ull;

scene_world *scene_world_new(void)
{
    void *at = mmap(NULL, sizeof(scene_world), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        abort();
    return at;
}

uint64_t scene_random(scene *s, uint64_t below)
{
    uint64_t z = s->rng += 0x9E3779B97F4A7C15ull; /* splitmix64, after Steele, Lea and Flood (2014) */
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ z >> 27) * 0x94D049BB133111EBull;
    return (z ^ z >> 31) % below;
}

static bool chance(scene *s, int percent) { return scene_random(s, 100) < (uint64_t)percent; }

/* Geometry and policy follow from the seed. */
void scene_init(scene *s, const char *dir, uint64_t seed, scene_world *world)
{
    static const uint32_t sizes[] = {4096, 8192, 16384, 2 * CHR_STEP + 4096};
    memset(s, 0, sizeof *s);
    snprintf(s->dir, sizeof s->dir, "%s", dir);
    s->rng = seed;
    s->world = world;
    s->config = (chr_config){.retain_segments = 1, .reader_ttl_ns = 3600000000000, .spin_ns = 1000, .agents = 1, .sync = 1};
    s->config.segment_size = sizes[scene_random(s, 4)];
    s->config.sync = chance(s, 80);
    s->config.prefault = chance(s, 30);
    if (chance(s, 60)) {
        memcpy(s->config.durable, "a", 2);
        s->config.durable_size = 2;
    }
    if (chance(s, 30)) {
        s->config.budget_bytes = 6 * (s->config.segment_size + chr_index_bytes(s->config.segment_size));
        s->config.on_full = CHR_FULL_EVICT;
    }
}

/* ---------------------------------------------------------------- what may go wrong */

/* An error is excused if a call was made to fail, or the disk is full, and the error says so. Afterwards there is space again. */
static bool excused(scene *s, const chr_error *e)
{
    bool failed = steps != NULL && steps->failed > s->failed_before;
    bool typed = e->code == CHR_E_NO_SPACE || e->code == CHR_E_FULL;
    bool memory = e->code == CHR_E_HOST && (e->sys == ENOMEM || e->sys == EIO);
    if (!(failed && (typed || memory)) && !(s->free_space && typed))
        return false;
    if (failed) {
        s->failed_before = steps->failed;
        steps->fail_at = 0;
    }
    if (s->free_space)
        s->free_space();
    s->world->full++;
    return true;
}

#define ORDERLY(ok, e) \
    REQUIRE(ok, "code %d sys %d %s: %s (%llu, %llu, %llu)", (e)->code, (e)->sys, (e)->path, (e)->reason, (ull)(e)->a, (ull)(e)->b, (ull)(e)->c)

static uint64_t now(void) { return steps ? steps->taken : 0; }

static void note_removal(scene *s, uint64_t began, uint64_t oldest_before)
{
    const chr_control *c = s->writer->control;
    if (c->oldest == oldest_before)
        return;
    REQUIRE(s->world->removals < SCENE_MARKS, "world is full");
    s->world->removal[s->world->removals++] = (scene_mark){.began = began, .seq = c->oldest_seq};
}

/* ---------------------------------------------------------------- open and close */

static bool open_reader(scene *s, chr_reader **reader, const char *name, int start)
{
    chr_error e = {0};
    *reader = chr_reader_open(s->dir, name, &s->config, start, 0, 0, &e);
    if (*reader == NULL && excused(s, &e))
        *reader = chr_reader_open(s->dir, name, &s->config, start, 0, 0, &e);
    if (*reader == NULL && (e.code == CHR_E_EVICTED || e.code == CHR_E_REWOUND))
        *reader = chr_reader_open(s->dir, name, &s->config, CHR_START_EARLIEST, 0, 0, &e);
    ORDERLY(*reader != NULL, &e);
    return true;
}

static void open_writer(scene *s)
{
    chr_error e = {0};
    s->writer = chr_writer_open(s->dir, &s->config, &e);
    if (s->writer == NULL && excused(s, &e))
        s->writer = chr_writer_open(s->dir, &s->config, &e);
    ORDERLY(s->writer != NULL, &e);
    scene_world *world = s->world;
    const chr_publisher *p = (const chr_publisher *)s->writer;
    if (world->queue_id != p->queue_id)
        world->top_epoch = 0;
    REQUIRE(s->writer->epoch > world->top_epoch, "epoch %u was used before, up to %u", s->writer->epoch, world->top_epoch);
    world->queue_id = p->queue_id;
    world->top_epoch = s->writer->epoch;
}

/* What reader "a" commits is a promise too; opening commits. */
static void commit_a(scene *s, bool flush)
{
    scene_world *world = s->world;
    REQUIRE(world->commits < SCENE_MARKS, "world is full");
    scene_mark *mark = &world->commit[world->commits];
    *mark = (scene_mark){.began = now(), .seq = s->a->next_seq, .epoch = s->a->epoch, .flushed = flush};
    world->commits++;
    int rc = flush ? chr_reader_flush(s->a) : chr_reader_commit(s->a);
    if (rc < 0 && excused(s, &s->a->error))
        rc = flush ? chr_reader_flush(s->a) : chr_reader_commit(s->a);
    ORDERLY(rc == 0, &s->a->error);
    mark->done = now();
}

static void open_a_at(scene *s, int start)
{
    REQUIRE(s->world->commits < SCENE_MARKS, "world is full");
    scene_mark *mark = &s->world->commit[s->world->commits++];
    *mark = (scene_mark){.began = now(), .seq = SCENE_OPENING};
    open_reader(s, &s->a, "a", start);
    *mark = (scene_mark){.began = mark->began, .done = now(), .seq = s->a->next_seq, .epoch = s->a->epoch};
}

static void open_a(scene *s) { open_a_at(s, CHR_START_RESUME); }

void scene_open(scene *s)
{
    open_writer(s);
    open_a(s);
    open_reader(s, &s->b, "b", CHR_START_LATEST);
    s->b_next = s->b->next_seq;
}

/* ---------------------------------------------------------------- append */

static uint32_t fill(uint8_t *to, uint32_t size, uint64_t stamp)
{
    for (uint32_t i = 0; i < size; i++)
        to[i] = (uint8_t)(stamp >> 8 * (i % 8)) ^ (uint8_t)(i / 8 * 37);
    return chr_checksum(to, size);
}

static uint32_t choose_size(scene *s)
{
    uint32_t limit = chr_payload_limit(s->config.segment_size);
    switch (scene_random(s, 8)) {
    case 0: return (uint32_t)scene_random(s, 33);
    case 1: return (uint32_t)scene_random(s, (limit < 40000 ? limit : 40000) + 1);
    case 2: return s->config.segment_size > CHR_STEP ? 8192 : 600;
    default: return (uint32_t)scene_random(s, 200);
    }
}

static scene_record *announce(scene *s, uint16_t type_id, uint32_t size)
{
    REQUIRE(s->world->records < SCENE_RECORDS, "world is full");
    scene_record *r = &s->world->record[s->world->records];
    *r = (scene_record){.seq = s->writer->seq, .epoch = s->writer->epoch, .size = size, .type_id = type_id, .began = now()};
    return r;
}

static int64_t append_once(scene *s, scene_record *r, const uint8_t *payload, int64_t ts_ns, uint32_t reserve_size)
{
    chr_writer *w = s->writer;
    if (reserve_size == 0)
        return chr_append(w, r->type_id, payload, r->size, ts_ns);
    uint8_t *at = chr_reserve(w, r->type_id, reserve_size);
    if (at == NULL)
        return -1;
    memcpy(at, payload, r->size);
    memset(at + r->size, 0xEE, reserve_size - r->size);
    int64_t seq = chr_commit(w, r->size, ts_ns);
    if (seq < 0)
        chr_abort(w);
    return seq;
}

static void append_sized(scene *s, uint32_t size, uint32_t reserve_size)
{
    static uint8_t payload[1 << 18];
    chr_writer *w = s->writer;
    uint64_t oldest = w->control->oldest;
    int64_t ts_ns = chance(s, 20) ? w->last_ts + (int64_t)scene_random(s, 1000) : -1;
    scene_record *r = announce(s, (uint16_t)scene_random(s, CHR_TYPE_RESERVED), size);
    r->hash = fill(payload, size, s->world->records * 0x9E3779B97F4A7C15ull + r->seq);
    s->world->records++;
    int64_t seq = append_once(s, r, payload, ts_ns, reserve_size);
    if (seq < 0 && excused(s, &w->error))
        seq = append_once(s, r, payload, ts_ns, reserve_size);
    ORDERLY(seq >= 0, &w->error);
    REQUIRE((uint64_t)seq == r->seq, "seq %lld instead of %llu", (long long)seq, (ull)r->seq);
    r->ts_ns = w->last_ts;
    r->done = now();
    note_removal(s, r->began, oldest);
}

void scene_append(scene *s) { append_sized(s, choose_size(s), 0); }

static void do_append(scene *s) { scene_append(s); }

static void do_append_many(scene *s)
{
    for (uint64_t n = 2 + scene_random(s, 12); n > 0; n--)
        append_sized(s, (uint32_t)scene_random(s, 100), 0);
}

static void do_reserve_and_keep_less(scene *s)
{
    uint32_t size = (uint32_t)scene_random(s, 300);
    append_sized(s, size, size + 1 + (uint32_t)scene_random(s, 700));
}

static void do_reserve_and_abort(scene *s)
{
    uint32_t size = 1 + choose_size(s) / 2;
    uint64_t began = now(), oldest = s->writer->control->oldest;
    uint8_t *at = chr_reserve(s->writer, 1, size);
    if (at == NULL && excused(s, &s->writer->error))
        at = chr_reserve(s->writer, 1, size);
    ORDERLY(at != NULL, &s->writer->error);
    memset(at, 0xAB, size);
    chr_abort(s->writer);
    note_removal(s, began, oldest);
}

static void do_refused(scene *s)
{
    chr_writer *w = s->writer;
    uint8_t byte = 7;
    if (w->last_ts > 0)
        REQUIRE(chr_append(w, 1, &byte, 1, w->last_ts - 1) < 0, "an older time was taken");
    REQUIRE(chr_append(w, CHR_TYPE_RESERVED, &byte, 1, -1) < 0, "a reserved type was taken");
    REQUIRE(chr_append(w, 1, &byte, chr_payload_limit(s->config.segment_size) + 1, -1) < 0, "an oversize payload was taken");
}

/* ---------------------------------------------------------------- the writer's other work */

static void do_roll(scene *s)
{
    uint64_t began = now(), oldest = s->writer->control->oldest;
    int rc = chr_writer_roll(s->writer);
    if (rc < 0 && excused(s, &s->writer->error))
        rc = chr_writer_roll(s->writer);
    ORDERLY(rc == 0, &s->writer->error);
    note_removal(s, began, oldest);
}

static void do_flush(scene *s)
{
    uint64_t seq = s->writer->seq, began = now();
    bool all = chance(s, 70);
    int rc = chr_writer_flush(s->writer, all);
    if (rc < 0 && excused(s, &s->writer->error))
        rc = chr_writer_flush(s->writer, all);
    ORDERLY(rc == 0, &s->writer->error);
    if (!all)
        return;
    REQUIRE(s->world->flushes < SCENE_MARKS, "world is full");
    s->world->flush[s->world->flushes++] = (scene_mark){.began = began, .done = now(), .seq = seq};
}

/* By the segment instead of the clock, so that a run can be repeated: seven of eight are left in a hurry. */
bool __wrap_chr_stock_hurried(const chr_publisher *p)
{
    return p->in_memory && p->number % 8 != 0;
}

static void do_prepare(scene *s)
{
    uint64_t began = now(), oldest = s->writer->control->oldest;
    chr_prepare_run((chr_publisher *)s->writer);
    note_removal(s, began, oldest);
}

static void do_clean(scene *s)
{
    uint64_t began = now(), oldest = s->writer->control->oldest;
    chr_clean_run((chr_publisher *)s->writer);
    note_removal(s, began, oldest);
}

void scene_close(scene *s)
{
    chr_reader_close(s->a);
    chr_reader_close(s->b);
    do_clean(s); /* closing does it again, unseen */
    chr_writer_close(s->writer);
    s->writer = NULL;
    s->a = s->b = NULL;
}

static void do_heartbeat(scene *s)
{
    int rc = chr_writer_heartbeat(s->writer);
    ORDERLY(rc == 0, &s->writer->error);
}

static void do_reopen(scene *s)
{
    scene_close(s);
    scene_open(s);
}

/* ---------------------------------------------------------------- readers */

static void check_frame(const scene *s, const chr_frame *f)
{
    const scene_record *r = scene_find(s->world, f->seq, f->epoch);
    REQUIRE(r != NULL, "seq %llu of epoch %u was never written", (ull)f->seq, f->epoch);
    REQUIRE(r->size == f->size && r->type_id == f->type_id && (r->done == 0 || r->ts_ns == f->ts_ns), "seq %llu was altered", (ull)f->seq);
    REQUIRE(r->hash == chr_checksum(f->payload, f->size), "payload of seq %llu was altered", (ull)f->seq);
}

/* A hole that policy or a power cut made. */
static bool told(const scene *s, const chr_reader *r)
{
    int32_t code = r->error.code;
    return code == CHR_E_EVICTED || code == CHR_E_FORGOTTEN || (s->torn && (code == CHR_E_CORRUPT || code == CHR_E_BROKEN));
}

/* Up to `count` records; false at the end or after a hole that was told. */
static bool read_some(scene *s, chr_reader *r, uint64_t count)
{
    chr_frame f;
    while (count-- > 0) {
        uint64_t expected = r->next_seq;
        int rc = chr_next(r, &f);
        if (rc < 0 && !told(s, r) && excused(s, &r->error))
            rc = chr_next(r, &f);
        if (rc < 0 && told(s, r))
            return false;
        ORDERLY(rc >= 0, &r->error);
        if (rc == 0)
            return false;
        if (f.type_id == CHR_TYPE_LOST)
            continue;
        REQUIRE(f.seq == expected, "seq %llu instead of %llu", (ull)f.seq, (ull)expected);
        check_frame(s, &f);
    }
    return true;
}

static void do_read_a(scene *s)
{
    read_some(s, s->a, 1 + scene_random(s, 20));
    if (((chr_subscriber *)s->a)->dead) { /* not durable, and overtaken */
        chr_reader_close(s->a);
        open_a_at(s, CHR_START_EARLIEST);
    }
    if (chance(s, 60))
        commit_a(s, chance(s, 30));
}

static void do_read_b(scene *s)
{
    read_some(s, s->b, 1 + scene_random(s, 30));
    if (s->b->error.code != CHR_E_FORGOTTEN && chance(s, 50)) {
        int rc = chr_reader_commit(s->b);
        ORDERLY(rc == 0, &s->b->error);
        return;
    }
    if (s->b->error.code != CHR_E_FORGOTTEN)
        return;
    chr_reader_close(s->b);
    open_reader(s, &s->b, "b", CHR_START_EARLIEST);
}

static void do_look_ahead(scene *s) { chr_ahead_run(s->a); }

static void do_reopen_a(scene *s)
{
    chr_reader_close(s->a);
    open_a(s);
}

static void do_register(scene *s)
{
    char name[32];
    chr_reader *r;
    snprintf(name, sizeof name, "new-%u", (unsigned)scene_random(s, 1000));
    open_reader(s, &r, name, CHR_START_LATEST);
    chr_reader_close(r);
}

static void do_seek(scene *s)
{
    uint64_t oldest = s->writer->control->oldest_seq, next = s->writer->seq;
    if (next <= oldest)
        return;
    uint64_t seq = oldest + scene_random(s, next - oldest);
    int rc = chr_reader_seek_seq(s->b, seq);
    if (rc < 0 && s->b->error.code == CHR_E_FORGOTTEN)
        return;
    if (rc < 0 && excused(s, &s->b->error))
        rc = chr_reader_seek_seq(s->b, seq);
    ORDERLY(rc == 0, &s->b->error);
    read_some(s, s->b, 2);
}

/* ---------------------------------------------------------------- play */

static const struct {
    uint32_t weight;
    void (*run)(scene *s);
} script[] = {
    {40, do_append}, {8, do_append_many}, {8, do_reserve_and_keep_less}, {6, do_reserve_and_abort}, {2, do_refused}, {4, do_roll},
    {6, do_flush},   {8, do_prepare},     {8, do_clean},                 {2, do_heartbeat},         {2, do_reopen},  {16, do_read_a},
    {10, do_read_b}, {4, do_look_ahead},  {2, do_reopen_a},              {2, do_register},          {3, do_seek},
};

void scene_play(scene *s, int operations)
{
    uint32_t all = 0;
    for (size_t i = 0; i < sizeof script / sizeof *script; i++)
        all += script[i].weight;
    for (int n = 0; n < operations; n++) {
        uint64_t at = scene_random(s, all);
        size_t i = 0;
        while (at >= script[i].weight)
            at -= script[i++].weight;
        if (s->take_space)
            s->take_space();
        script[i].run(s);
        s->world->operations++;
    }
}

const scene_record *scene_find(const scene_world *world, uint64_t seq, uint32_t epoch)
{
    for (uint32_t i = world->records; i-- > 0;)
        if (world->record[i].seq == seq && world->record[i].epoch == epoch)
            return &world->record[i];
    return NULL;
}
