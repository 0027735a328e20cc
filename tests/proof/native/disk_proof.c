/* A full disk.
 *
 *   disk_proof calls DIR SEED OPERATIONS STRIDE        the n-th call that takes space fails, once or from there on until it was told
 *   disk_proof mount DIR SEED OPERATIONS PAGES         DIR is a small file system; before every operation all but at most PAGES pages of it are taken
 *
 * The script of scene.c goes on after an error only if it says NoSpace or QueueFull; then there is space again, the same call must succeed, and all records
 * are read. In the second form nothing is pretended: the space is the file system's, and a SIGBUS anywhere ends the run.
 */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

typedef unsigned long long ull;

typedef struct {
    ull runs, calls, failed, told, records;
} figures;

static scene_world *world;
static figures sum;
static char queue[420], ballast[420];
static int operations;

static int drop(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static void remove_tree(const char *path) { nftw(path, drop, 32, FTW_DEPTH | FTW_PHYS); }

/* ---------------------------------------------------------------- a file system that is full */

static char mount_point[400];
static uint64_t most_pages;

/* A ballast that takes all but so many pages. */
static void leave_free(uint64_t pages)
{
    struct statvfs fs;
    int fd = open(ballast, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0 && statvfs(mount_point, &fs) == 0, "ballast: %s", strerror(errno));
    uint64_t free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (free_bytes > pages * CHR_PAGE)
        REQUIRE(fallocate(fd, 0, 0, (off_t)(free_bytes - pages * CHR_PAGE)) == 0, "ballast: %s", strerror(errno));
    close(fd);
}

/* Room for what one operation may need: two segments of the largest kind. */
static void some_space(void) { leave_free(2 * (2 * CHR_STEP + CHR_PAGE) / CHR_PAGE + 32); }

/* Between nothing at all and enough. */
static void hardly_any(void) { leave_free((uint64_t)rand() % most_pages); }

/* ---------------------------------------------------------------- both */

static void all_is_there(scene *s)
{
    steps->fail_at = 0;
    s->failed_before = steps->failed;
    check_view view = check_read(world, queue, false);
    REQUIRE(view.next == s->writer->seq, "the queue ends at %llu, was read to %llu", (ull)s->writer->seq, (ull)view.next);
}

static void play(uint64_t seed, bool on_mount)
{
    scene s;
    scene_init(&s, queue, seed, world);
    s.free_space = on_mount ? some_space : NULL;
    s.take_space = on_mount ? hardly_any : NULL;
    if (on_mount)
        hardly_any();
    scene_open(&s);
    scene_play(&s, operations);
    if (on_mount)
        some_space();
    all_is_there(&s);
    scene_append(&s);
    all_is_there(&s);
    scene_close(&s);
}

static bool run(uint64_t seed, uint64_t fail_at, bool for_good, int error, bool on_mount)
{
    int status;
    memset(world, 0, offsetof(scene_world, record));
    steps_reset();
    steps->fail_at = fail_at;
    steps->fail_for_good = for_good;
    steps->fail_errno = error;
    remove_tree(queue);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(600);
        play(seed, on_mount);
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        abort();
    REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 0, "seed %llu, call %llu of %llu fails with %s%s: status %x", (ull)seed, (ull)fail_at,
            (ull)steps->calls, strerror(error), for_good ? " and all after it" : "", status);
    sum.runs++;
    sum.failed += (ull)steps->failed;
    sum.told += world->full;
    sum.records += world->records;
    return steps->failed > 0;
}

/* ---------------------------------------------------------------- calls that fail */

static void each_call(uint64_t seed, uint64_t stride)
{
    static const int errors[] = {ENOSPC, EDQUOT, EIO};
    run(seed, 0, false, 0, false);
    sum.calls = steps->calls;
    for (uint64_t at = 1 + seed % stride; at <= sum.calls; at += stride)
        run(seed, at, at / stride % 2, errors[at / stride % 3 == 2 ? 0 : at / stride % 3], false);
}

int main(int argc, char **argv)
{
    if (argc < 6)
        return 2;
    uint64_t seed = strtoull(argv[3], NULL, 10), last = strtoull(argv[5], NULL, 10);
    operations = atoi(argv[4]);
    snprintf(queue, sizeof queue, "%s/q", argv[2]);
    snprintf(ballast, sizeof ballast, "%s/ballast", argv[2]);
    world = scene_world_new();
    steps = steps_new(0, 0);
    steps_root(argv[2]);
    if (strcmp(argv[1], "calls") == 0) {
        each_call(seed, last);
    } else {
        snprintf(mount_point, sizeof mount_point, "%s", argv[2]);
        remove_tree(queue);
        most_pages = last;
        srand((unsigned)seed);
        run(seed, 0, false, 0, true);
        remove(ballast);
    }
    remove_tree(queue);
    printf("{\"seed\": %llu, \"runs\": %llu, \"calls_failed\": %llu, \"told\": %llu, \"records\": %llu}\n", (ull)seed, sum.runs, sum.failed, sum.told,
           sum.records);
    return 0;
}
