/* Every thread the core knows, in one process, for ThreadSanitizer: writers, readers that spin, park, wait on two queues and hang on a descriptor, readers that
 * come and go and seek, and the core's own prepare, clean and notify threads. Linked with one_address.c, so that writer and reader meet in one memory.
 *
 *   threads DIR RECORDS
 */
#include "content.h"

#include <poll.h>
#include <string.h>

#define SEGMENT (256u << 10)

typedef struct {
    const char *dir, *other, *name;
    uint64_t count;
    int wait_mode;
} job;

static uint32_t ready;
static uint64_t left; /* named readers that are not done */

static chr_config geometry(bool alone)
{
    static const char durable[] = "any\0park\0spin\0bell";
    chr_config c = {.segment_size = SEGMENT, .reader_ttl_ns = 60000000000, .tsc = 1, .prefault = 1, .agents = 1, .sync = 1, .budget_bytes = 8 << 20};
    c.durable_size = alone ? 4 : sizeof durable;
    memcpy(c.durable, durable, c.durable_size);
    return c;
}

static chr_reader *open_reader(const char *dir, const char *name, int wait_mode, int start, uint64_t seq)
{
    chr_config c = geometry(false);
    chr_error e;
    c.wait_mode = wait_mode;
    chr_reader *r = chr_reader_open(dir, name, &c, start, seq, 0, &e);
    if (r == NULL)
        show("reader", &e);
    CHECK(r != NULL);
    return r;
}

static bool take(chr_reader *r, uint64_t *seen)
{
    chr_frame f;
    int rc = chr_next(r, &f);
    if (rc < 0)
        show("reader", &r->error);
    CHECK(rc >= 0);
    if (rc == 0)
        return false;
    CHECK(f.seq == *seen);
    check_words(&f);
    if (++*seen % 50 == 0)
        CHECK(chr_reader_commit(r) == 0);
    return true;
}

static void *write_all(void *argument)
{
    job *j = argument;
    chr_config c = geometry(j->name != NULL); /* only "any" reads the other queue */
    chr_error e;
    chr_writer *w = chr_writer_open(j->dir, &c, &e);
    if (w == NULL)
        show("writer", &e);
    CHECK(w != NULL);
    chr_fetch_add32(&ready, 1);
    while (chr_load_acquire32(&ready) < 6)
        usleep(1000);
    while (w->seq < j->count) {
        void *to = chr_reserve(w, 1, size_of(w->seq));
        if (to == NULL) {
            CHECK(w->error.code == CHR_E_FULL);
            chr_writer_drain(w);
            usleep(500);
            continue;
        }
        fill(to, w->seq, size_of(w->seq));
        CHECK(chr_commit(w, size_of(w->seq), -1) >= 0);
        if (w->seq % 97 == 0)
            CHECK(chr_writer_roll(w) == 0 || w->error.code == CHR_E_FULL);
        if (w->seq % 1009 == 0)
            CHECK(chr_writer_flush(w, true) == 0);
        if (w->seq % 64 == 0)
            usleep(100);
    }
    while (chr_load_acquire64(&left) > 0) {
        chr_writer_heartbeat(w);
        usleep(1000);
    }
    chr_writer_close(w);
    return NULL;
}

static void *read_all(void *argument)
{
    job *j = argument;
    chr_reader *r = open_reader(j->dir, j->name, j->wait_mode, CHR_START_RESUME, 0);
    uint64_t seen = 0;
    chr_fetch_add32(&ready, 1);
    while (seen < j->count)
        if (!take(r, &seen))
            CHECK(chr_reader_wait(r, 30000000000) != 0);
    chr_reader_close(r);
    chr_fetch_add64(&left, UINT64_MAX);
    return NULL;
}

static void *read_by_descriptor(void *argument)
{
    job *j = argument;
    chr_reader *r = open_reader(j->dir, j->name, CHR_WAIT_HYBRID, CHR_START_RESUME, 0);
    struct pollfd p = {.fd = chr_reader_fileno(r), .events = POLLIN};
    uint64_t seen = 0;
    chr_fetch_add32(&ready, 1);
    while (seen < j->count) {
        CHECK(poll(&p, 1, 30000) == 1);
        while (take(r, &seen))
            ;
    }
    chr_reader_close(r);
    chr_fetch_add64(&left, UINT64_MAX);
    return NULL;
}

static void *read_two_queues(void *argument)
{
    job *j = argument;
    chr_reader *both[2] = {open_reader(j->dir, j->name, CHR_WAIT_HYBRID, CHR_START_RESUME, 0),
                           open_reader(j->other, j->name, CHR_WAIT_HYBRID, CHR_START_RESUME, 0)};
    uint64_t seen[2] = {0, 0};
    chr_fetch_add32(&ready, 1);
    while (seen[0] < j->count || seen[1] < j->count) {
        for (int i = 0; i < 2; i++)
            while (take(both[i], &seen[i]))
                ;
        if (seen[0] < j->count || seen[1] < j->count)
            CHECK(chr_readers_wait(both, 2, 30000000000) != 0);
    }
    chr_reader_close(both[0]);
    chr_reader_close(both[1]);
    chr_fetch_add64(&left, UINT64_MAX);
    return NULL;
}

/* Retention may take a segment from under a reader nobody waits for; all else is wrong. */
static bool passed_over(const chr_reader *r) { return r->error.code == CHR_E_EVICTED; }

static void *come_and_go(void *argument)
{
    job *j = argument;
    chr_frame f;
    for (uint64_t round = 0; chr_load_acquire64(&left) > 0; round++) {
        chr_reader *r = open_reader(j->dir, NULL, CHR_WAIT_HYBRID, round % 2 ? CHR_START_LATEST : CHR_START_EARLIEST, 0);
        uint64_t head = chr_load_acquire64(&((chr_control *)((chr_subscriber *)r)->pages.control->base)->next_seq);
        if (round % 3 == 0 && chr_reader_seek_seq(r, head - head / (round % 5 + 2)) < 0)
            CHECK(passed_over(r) || r->error.sys);
        else
            for (int i = 0; i < 100; i++) {
                int rc = chr_next(r, &f);
                CHECK(rc >= 0 || passed_over(r));
                if (rc == 1)
                    check_words(&f);
            }
        chr_reader_close(r);
        usleep(500);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    char other[600];
    pthread_t threads[8];
    CHECK(argc == 3);
    snprintf(other, sizeof other, "%s-other", argv[1]);
    uint64_t count = strtoull(argv[2], NULL, 10);
    job jobs[] = {{argv[1], NULL, NULL, count, 0},
                  {other, NULL, "any", count, 0},
                  {argv[1], NULL, "park", count, CHR_WAIT_HYBRID},
                  {argv[1], NULL, "spin", count, CHR_WAIT_SPIN},
                  {argv[1], NULL, "bell", count, 0},
                  {argv[1], other, "any", count, 0},
                  {argv[1], NULL, NULL, count, 0}};
    void *(*runs[])(void *) = {write_all, write_all, read_all, read_all, read_by_descriptor, read_two_queues, come_and_go};
    left = 4;
    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&threads[i], NULL, runs[i], &jobs[i]) == 0);
    while (chr_load_acquire32(&ready) < 2)
        usleep(1000);
    for (int i = 2; i < 7; i++)
        CHECK(pthread_create(&threads[i], NULL, runs[i], &jobs[i]) == 0);
    for (int i = 0; i < 7; i++)
        pthread_join(threads[i], NULL);
    puts("ok");
    return 0;
}
