/* Kill -9 at every step.
 *
 *   crash_proof DIR SEED OPERATIONS STRIDE [STEP]      with STEP: killed at that one only
 *
 * The script of scene.c is run once to count its steps; then again and again in a child that is killed before step 1, 1 + STRIDE, ... Each time the queue is
 * looked at as it lies there (a reader needs no writer), opened by a child that is killed in the middle of its recovery too, then recovered and checked:
 * what a reader could see is there unchanged, what had returned is there, seqs are contiguous, nothing stands behind the tail, no file is left behind, the next
 * append is read, the named reader resumes at what it committed. Prints one line of figures; the places stopped at go to DIR/places.
 */
#include "check.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

typedef unsigned long long ull;

typedef struct {
    ull kills, recovery_kills, steps, visible, second_steps;
} figures;

static scene_world *world;
static int operations;
static bool rotten;      /* one record that was seen has lost a bit since */
static uint64_t killed_at; /* the step of the kill that is being looked at */
static char queue[420];

static int drop(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static void remove_tree(const char *path) { nftw(path, drop, 32, FTW_DEPTH | FTW_PHYS); }

/* ---------------------------------------------------------------- children */

static void play(uint64_t seed)
{
    scene s;
    scene_init(&s, queue, seed, world);
    scene_open(&s);
    scene_play(&s, operations);
    scene_close(&s);
}

/* A kill damages nothing, so nothing may be told to have been mended. (A rotten bit may be in the record that a mark names.) */
static void require_nothing_mended(const chr_writer *w)
{
    uint32_t mended = ((const chr_publisher *)w)->mended;
    REQUIRE(mended == 0 || rotten, "killed at step %llu: %x was mended", (ull)killed_at, mended);
}

static void recover_only(uint64_t seed)
{
    scene s;
    chr_error e = {0};
    scene_init(&s, queue, seed, world);
    chr_writer *w = chr_writer_open(queue, &s.config, &e);
    REQUIRE(w != NULL, "recovery: code %d sys %d %s: %s", e.code, e.sys, e.path, e.reason);
    world->top_epoch = w->epoch;
    require_nothing_mended(w);
    chr_clean_run((chr_publisher *)w);
    chr_writer_close(w);
}

/* Runs `body` in a child that dies before step `stop_at`; true if it did. */
static bool run(void (*body)(uint64_t), uint64_t seed, uint64_t stop_at)
{
    int status;
    steps_reset();
    steps->stop_at = stop_at;
    pid_t pid = fork();
    if (pid == 0) {
        alarm(600);
        body(seed);
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        abort();
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && stop_at)
        return true;
    REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 0, "seed %llu, killed at step %llu: then at %llu of %llu, status %x", (ull)seed,
            (ull)killed_at, (ull)stop_at, (ull)steps->taken, status);
    return false;
}

/* ---------------------------------------------------------------- what is found afterwards */

/* Flips a bit of one of the last records, so that the recovery meets it, and is killed while it closes the segment. */
static void rot(uint64_t seq, uint64_t random)
{
    char name[32], path[512];
    chr_config config = {.reader_ttl_ns = 3600000000000};
    chr_error e = {0};
    chr_frame f;
    chr_reader *r = chr_reader_open(queue, NULL, &config, CHR_START_SEQ, seq, 0, &e);
    REQUIRE(r != NULL && chr_next(r, &f) == 1 && f.seq == seq, "record %llu", (ull)seq);
    off_t at = (f.payload - r->base) - CHR_FRAME_HEADER + (off_t)(random % (CHR_FRAME_HEADER + f.size));
    chr_segment_name(name, r->map->number, "q");
    chr_join(path, sizeof path, queue, name);
    FILE *file = fopen(path, "r+");
    REQUIRE(file != NULL && fseek(file, at, SEEK_SET) == 0, "%s", path);
    int byte = fgetc(file);
    fseek(file, at, SEEK_SET);
    fputc(byte ^ 1 << random / 4096 % 8, file);
    fclose(file);
    chr_reader_close(r);
    for (uint32_t i = 0; i < world->records; i++)
        world->record[i].lost = world->record[i].seq == seq;
}

static void check_reader_page(uint64_t at, uint64_t next)
{
    chr_config config = {.reader_ttl_ns = 3600000000000, .retain_segments = 1};
    chr_error e = {0};
    chr_reader *r = chr_reader_open(queue, "a", &config, CHR_START_RESUME, 0, 0, &e);
    if (r == NULL && (e.code == CHR_E_EVICTED || (rotten && e.code == CHR_E_REWOUND)))
        return; /* told */
    REQUIRE(r != NULL, "reader a: code %d sys %d %s", e.code, e.sys, e.reason);
    REQUIRE(r->next_seq <= next, "reader a stands at %llu, the queue ends at %llu", (ull)r->next_seq, (ull)next);
    const scene_mark *last = NULL, *begun = NULL;
    for (uint32_t i = 0; i < world->commits; i++) {
        if (world->commit[i].done && world->commit[i].done <= at)
            last = &world->commit[i];
        else
            begun = &world->commit[i];
    }
    bool opened = begun != NULL && begun->seq == SCENE_OPENING && r->next_seq >= (last ? last->seq : 0); /* told of what it goes past */
    bool good = last == NULL || r->next_seq == last->seq || (begun != NULL && r->next_seq == begun->seq) || opened;
    REQUIRE(good, "reader a committed %llu, stands at %llu", (ull)last->seq, (ull)r->next_seq);
    chr_reader_close(r);
}

static void check_after(uint64_t seed, uint64_t at, uint64_t visible)
{
    scene s;
    chr_error e = {0};
    uint64_t rng = seed ^ at;
    scene_init(&s, queue, seed, world);
    s.config.budget_bytes = 0;
    chr_writer *w = s.writer = chr_writer_open(queue, &s.config, &e);
    REQUIRE(w != NULL, "writer: code %d sys %d %s: %s", e.code, e.sys, e.path, e.reason);
    s.config.segment_size = ((chr_publisher *)w)->segment_size;
    require_nothing_mended(w);
    REQUIRE(w->epoch > world->top_epoch, "epoch %u again", w->epoch);
    REQUIRE(w->seq >= visible, "%llu was seen, the writer goes on at %llu", (ull)visible - 1, (ull)w->seq);
    check_tail_is_zero(queue);
    check_no_leftovers(queue);
    REQUIRE(check_quarantined(queue) <= rotten, "%u places were quarantined", check_quarantined(queue));
    uint64_t done = check_done(world, at, 0);
    check_presence(world, queue, w->control->oldest_seq, done > visible ? done : visible);
    check_reader_page(at, w->seq);
    scene_append(&s);
    REQUIRE(chr_writer_roll(w) == 0, "roll: %s", w->error.reason);
    scene_append(&s);
    check_view view = check_read(world, queue, rotten);
    REQUIRE(view.next == w->seq, "the queue ends at %llu, was read to %llu", (ull)w->seq, (ull)view.next);
    chr_clean_run((chr_publisher *)w);
    if (!rotten)
        check_index(queue, view.first > w->control->oldest_seq ? view.first : w->control->oldest_seq, view.next, &rng);
    chr_writer_close(w);
}

/* In a child: a check that fails or hangs must not take the run with it unexplained. */
static uint64_t child_at, child_visible;

static void check_body(uint64_t seed)
{
    steps_state *kept = steps;
    steps = NULL;
    check_after(seed, child_at, child_visible);
    steps = kept;
}

static void look_body(uint64_t seed)
{
    (void)seed;
    steps = NULL;
    if (access(queue, F_OK) != 0 || world->records == 0)
        return;
    check_view view = check_read(world, queue, false);
    world->visible = view.next;
    uint64_t choice = view.records - 1 < 5 ? view.records - 1 : 5;
    if (rotten && view.records > 1) /* not the last: after another boot that one cannot be told from one that was torn */
        rot(view.next - 2 - killed_at % choice, killed_at * 2654435761u);
}

static uint64_t one(uint64_t seed, uint64_t at, figures *sum)
{
    memset(world, 0, offsetof(scene_world, record));
    remove_tree(queue);
    killed_at = at;
    setenv("CHRONICLE_BOOT_ID", "the same", 1);
    if (!run(play, seed, at))
        return 0;
    uint64_t place = steps->stopped_in;
    sum->kills++;
    rotten = at % 4 == 3;
    run(look_body, seed, 0);
    setenv("CHRONICLE_BOOT_ID", at % 3 ? "the same" : "another", 1); /* as if the machine had gone too, its disk complete */
    child_visible = world->visible;
    sum->visible += child_visible;
    uint64_t second = at % 5 ? 1 + (at * 7 + seed) % 5 : 0; /* some recoveries are not cut off */
    for (; run(recover_only, seed, second); second += 1 + (at * 31 + second) % 24)
        sum->recovery_kills++;
    sum->second_steps += steps->taken;
    child_at = at;
    run(check_body, seed, 0);
    return place;
}

int main(int argc, char **argv)
{
    if (argc < 5)
        return 2;
    uint64_t seed = strtoull(argv[2], NULL, 10), stride = strtoull(argv[4], NULL, 10);
    char path[512];
    figures sum = {0};
    operations = atoi(argv[3]);
    snprintf(queue, sizeof queue, "%s/q", argv[1]);
    snprintf(path, sizeof path, "%s/places", argv[1]);
    FILE *places = fopen(path, "w");
    world = scene_world_new();
    steps = steps_new(0, 0);
    steps_root(argv[1]);
    remove_tree(queue);
    run(play, seed, 0);
    sum.steps = steps->taken;
    uint64_t first = argc > 5 ? strtoull(argv[5], NULL, 10) : 1 + seed % stride;
    for (uint64_t at = first; at <= sum.steps && (argc < 6 || at == first); at += stride) {
        uint64_t place = one(seed, at, &sum);
        if (place)
            fprintf(places, "%llx\n", (ull)place);
    }
    fclose(places);
    remove_tree(queue);
    printf("{\"seed\": %llu, \"steps\": %llu, \"kills\": %llu, \"kills_in_recovery\": %llu, \"records_seen\": %llu}\n", (ull)seed, sum.steps, sum.kills,
           sum.recovery_kills, sum.visible);
    return 0;
}
