/* Power cuts.
 *
 *   torn_proof DIR SEED OPERATIONS IMAGES DEPTH
 *
 * The script of scene.c runs once, traced. From the trace IMAGES disks are made, each cut at a random moment and torn in one of the ways of image.h. Each is
 * opened under another boot id and checked: what was flushed is there, nothing is read that was not written, a hole is told, no (epoch, seq) comes twice, a
 * reader that is ahead is told Rewound, one that is not goes on where it was. With DEPTH left the script goes on upon that disk, until the power goes again.
 */
#include "check.h"
#include "image.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

typedef unsigned long long ull;

#define TRACE_BYTES (64ull << 20)
#define TRACE_EVENTS (1ull << 20)

typedef struct {
    uint64_t images, by_mode[IMAGE_MODES], rewound, resumed, holes, quarantined, records, flushed, vanished;
} figures;

static figures *sum;
static int operations, images;

static void level(const char *dir, uint64_t seed, int depth, scene_world *world);

static int drop(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static void remove_tree(const char *path) { nftw(path, drop, 32, FTW_DEPTH | FTW_PHYS); }

static uint64_t next_random(uint64_t *rng)
{
    *rng = *rng * 6364136223846793005ull + 1442695040888963407ull;
    return *rng >> 29;
}

/* ---------------------------------------------------------------- the world as it was at the cut */

static uint32_t kept_marks(scene_mark *marks, uint32_t count, uint64_t cut)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (marks[i].began > cut)
            break;
        marks[i].done = marks[i].done && marks[i].done <= cut;
        marks[i].began = 0;
        kept = i + 1;
    }
    return kept;
}

/* What began after the cut never was; what had not returned was never promised. Times of the life before are 0 or 1. */
static scene_world *world_at(const scene_world *world, uint64_t cut)
{
    scene_world *then = scene_world_new();
    memcpy(then, world, sizeof *world);
    then->top_epoch = 0;
    then->records = 0;
    for (uint32_t i = 0; i < world->records && world->record[i].began <= cut; i++) {
        scene_record *r = &then->record[then->records++];
        r->done = r->done && r->done <= cut;
        r->began = 0;
        if (r->epoch > then->top_epoch)
            then->top_epoch = r->epoch;
    }
    then->flushes = kept_marks(then->flush, world->flushes, cut);
    then->commits = kept_marks(then->commit, world->commits, cut);
    then->removals = kept_marks(then->removal, world->removals, cut);
    return then;
}

/* ---------------------------------------------------------------- reader "a" */

typedef struct {
    int have; /* of chr_page_read */
    chr_slot slot;
} page_state;

static page_state read_page(const char *queue)
{
    char path[640];
    chr_reader_page page;
    page_state state = {.have = -1};
    uint64_t generation;
    chr_join(path, sizeof path, queue, "readers/a.meta");
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return state;
    state.have = fread(&page, sizeof page, 1, f) == 1 ? chr_page_read(&page, &state.slot, &generation) : -2;
    fclose(f);
    return state;
}

/* The page on the disk holds a position that was committed, and none older than the last one flushed. */
static void check_page(const scene_world *world, const page_state *state)
{
    uint32_t from = 0;
    bool flushed = false;
    for (uint32_t i = 0; i < world->commits; i++)
        if (world->commit[i].flushed && world->commit[i].done) {
            from = i;
            flushed = true;
        }
    REQUIRE(!flushed || state->have >= 0, "the flushed position of reader a is gone (%d)", state->have);
    if (state->have < 0)
        return;
    for (uint32_t i = from; i < world->commits; i++)
        if (world->commit[i].seq == state->slot.seq)
            return;
    REQUIRE(world->commits == 0 && state->slot.seq == 0, "reader a never committed %llu", (ull)state->slot.seq);
}

static bool has(const char *queue, uint64_t seq, uint32_t epoch)
{
    chr_config config = {.reader_ttl_ns = 3600000000000};
    chr_error e = {0};
    chr_frame f;
    chr_reader *r = chr_reader_open(queue, NULL, &config, CHR_START_SEQ, seq, 0, &e);
    bool found = r != NULL && chr_next(r, &f) == 1 && f.seq == seq && f.type_id != CHR_TYPE_LOST && (epoch == 0 || f.epoch == epoch);
    if (r != NULL)
        chr_reader_close(r);
    return found;
}

static void check_resume(scene_world *world, const char *queue, const page_state *state, const chr_writer *w)
{
    chr_config config = {.reader_ttl_ns = 3600000000000, .retain_segments = 1};
    chr_error e = {0};
    const chr_slot *slot = &state->slot;
    chr_reader *r = chr_reader_open(queue, "a", &config, CHR_START_RESUME, 0, 0, &e);
    if (r != NULL) /* opening commits */
        world->commit[world->commits++] = (scene_mark){.done = 1, .seq = r->next_seq, .epoch = r->epoch};
    if (state->have < 0 || slot->queue_id != ((const chr_publisher *)w)->queue_id)
        return (void)(r ? chr_reader_close(r) : (void)0);
    bool same_last = slot->seq > 0 && has(queue, slot->seq - 1, slot->epoch);
    if (r == NULL) {
        REQUIRE(e.code == CHR_E_REWOUND || e.code == CHR_E_EVICTED, "reader a: code %d sys %d %s", e.code, e.sys, e.reason);
        bool fits = same_last && slot->seq <= w->seq && slot->epoch != 0;
        REQUIRE(e.code != CHR_E_REWOUND || !fits, "rewound from %llu, though all it read is there", (ull)slot->seq);
        sum->rewound += e.code == CHR_E_REWOUND;
        return;
    }
    REQUIRE(r->next_seq == slot->seq, "reader a committed %llu, stands at %llu", (ull)slot->seq, (ull)r->next_seq);
    REQUIRE(slot->seq <= w->seq, "reader a stands at %llu, ahead of %llu, and was not told", (ull)slot->seq, (ull)w->seq);
    bool other = slot->seq > 0 && slot->epoch && !same_last && has(queue, slot->seq - 1, 0);
    REQUIRE(!other, "record %llu is not the one reader a had read in epoch %u", (ull)slot->seq - 1, slot->epoch);
    sum->resumed++;
    chr_reader_close(r);
}

/* ---------------------------------------------------------------- one disk */

static void check_disk(const char *queue, uint64_t seed, scene_world *world)
{
    scene s;
    chr_error e = {0};
    uint64_t rng = seed, flushed = check_flushed(world, 1), oldest = check_oldest(world, 1);
    bool was_there = access(queue, F_OK) == 0;
    page_state page = read_page(queue);
    scene_init(&s, queue, seed, world);
    s.config.budget_bytes = 0;
    check_torn(world, queue);
    chr_writer *w = s.writer = chr_writer_open(queue, &s.config, &e);
    REQUIRE(w != NULL, "writer: code %d sys %d %s: %s", e.code, e.sys, e.path, e.reason);
    s.config.segment_size = ((chr_publisher *)w)->segment_size;
    bool replaced = ((chr_publisher *)w)->queue_id != world->queue_id;
    sum->vanished += replaced;
    REQUIRE(!replaced || flushed == 0, "the whole queue is gone, %llu records were flushed (directory %s)", (ull)flushed, was_there ? "there" : "gone");
    if (replaced)
        world->records = world->top_epoch = 0;
    REQUIRE(w->epoch > world->top_epoch, "epoch %u, %u was used", w->epoch, world->top_epoch);
    check_tail_is_zero(queue);
    check_no_leftovers(queue);
    if (!replaced)
        check_page(world, &page);
    check_presence(world, queue, oldest, flushed);
    check_resume(world, queue, &page, w);
    check_forget(world, queue);
    scene_append(&s);
    REQUIRE(chr_writer_roll(w) == 0, "roll: %s", w->error.reason);
    scene_append(&s);
    check_view view = check_read(world, queue, true);
    REQUIRE(view.next == w->seq, "the queue ends at %llu, was read to %llu", (ull)w->seq, (ull)view.next);
    chr_clean_run((chr_publisher *)w);
    if (view.holes == 0)
        check_index(queue, view.first > w->control->oldest_seq ? view.first : w->control->oldest_seq, view.next, &rng);
    sum->holes += view.holes;
    sum->records += view.records;
    sum->flushed += flushed;
    sum->quarantined += check_quarantined(queue);
    world->removal[world->removals++] = (scene_mark){.seq = w->control->oldest_seq};
    world->queue_id = ((chr_publisher *)w)->queue_id;
    world->top_epoch = w->epoch;
    chr_writer_close(w);
}

static void in_child(const char *what, const char *queue, uint64_t seed, int depth, scene_world *world, uint64_t cut, image_mode mode)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        char boot[32], dir[512];
        alarm(600);
        steps = NULL;
        snprintf(boot, sizeof boot, "boot-%d-%llu", depth, (ull)seed);
        setenv("CHRONICLE_BOOT_ID", boot, 1);
        check_disk(queue, seed, world);
        snprintf(dir, sizeof dir, "%.*s", (int)(strlen(queue) - 2), queue);
        if (depth > 0)
            level(dir, seed ^ 0x5bd1e995, depth - 1, world);
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        abort();
    REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s of seed %llu, depth %d, cut at step %llu, torn in way %d: status %x", what, (ull)seed, depth,
            (ull)cut, (int)mode, status);
}

/* ---------------------------------------------------------------- one life, many ends */

static void play(const char *dir, uint64_t seed, scene_world *world)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        char queue[420];
        scene s;
        alarm(600);
        snprintf(queue, sizeof queue, "%s/q", dir);
        steps_root(dir);
        steps_begin_with(queue);
        steps->tracing = 1;
        scene_init(&s, queue, seed, world);
        s.torn = access(queue, F_OK) == 0;
        if (s.torn)
            s.config.budget_bytes = 0; /* it was for another geometry */
        scene_open(&s);
        s.config.segment_size = ((chr_publisher *)s.writer)->segment_size;
        scene_play(&s, operations);
        scene_close(&s);
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        abort();
    REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 0, "seed %llu: the script itself, status %x", (ull)seed, status);
    steps->tracing = 0; /* what follows is the harness's own */
}

/* The trace is the truth: with nothing torn, at its end, it makes the files that are there. */
static void check_trace(const char *dir, const char *disk)
{
    char command[1024];
    remove_tree(disk);
    mkdir(disk, 0750);
    image_write(disk, 1, IMAGE_WHOLE, steps->taken);
    snprintf(command, sizeof command, "diff -r '%s/q' '%s/q' >&2", dir, disk);
    REQUIRE(system(command) == 0, "what was traced is not what was done");
    remove_tree(disk);
}

static void level(const char *dir, uint64_t seed, int depth, scene_world *world)
{
    char whole[480];
    uint64_t rng = seed;
    steps_state *mine = steps_new(TRACE_BYTES, TRACE_EVENTS);
    steps = mine;
    play(dir, seed, world);
    uint64_t taken = steps->taken;
    snprintf(whole, sizeof whole, "%s/d%d", dir, depth);
    check_trace(dir, whole);
    int count = depth == 0 ? images : images / 4 + 1;
    for (int i = 0; i < count; i++) {
        char disk[480], queue[490];
        uint64_t cut = 1 + next_random(&rng) % taken, image_seed = next_random(&rng);
        image_mode mode = (image_mode)(next_random(&rng) % IMAGE_MODES);
        snprintf(disk, sizeof disk, "%s/d%d", dir, depth);
        snprintf(queue, sizeof queue, "%s/q", disk);
        remove_tree(disk);
        mkdir(disk, 0750);
        image_write(disk, image_seed, mode, cut);
        scene_world *then = world_at(world, cut);
        in_child("disk", queue, image_seed, depth, then, cut, mode);
        steps = mine;
        munmap(then, sizeof *then);
        sum->images++;
        sum->by_mode[mode]++;
        remove_tree(disk);
    }
    munmap(mine, sizeof *mine + TRACE_EVENTS * sizeof(uint64_t) + TRACE_BYTES);
}

int main(int argc, char **argv)
{
    if (argc < 6)
        return 2;
    uint64_t seed = strtoull(argv[2], NULL, 10);
    operations = atoi(argv[3]);
    images = atoi(argv[4]);
    sum = mmap(NULL, sizeof *sum, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char queue[512];
    setenv("CHRONICLE_BOOT_ID", "boot-first", 1);
    snprintf(queue, sizeof queue, "%s/q", argv[1]);
    remove_tree(queue);
    level(argv[1], seed, atoi(argv[5]), scene_world_new());
    printf("{\"seed\": %llu, \"images\": %llu, \"records_read\": %llu, \"flushed_found\": %llu, \"holes_told\": %llu, \"quarantined\": %llu, "
           "\"rewound\": %llu, \"resumed\": %llu, \"queues_never_synced\": %llu}\n",
           (ull)seed, (ull)sum->images, (ull)sum->records, (ull)sum->flushed, (ull)sum->holes, (ull)sum->quarantined, (ull)sum->rewound,
           (ull)sum->resumed, (ull)sum->vanished);
    return 0;
}
