/* Processes against each other on one queue: nothing torn, nothing lost, nobody left asleep.
 *
 *   torture races DIR CHECKS          one writer that rolls every millisecond, four readers (one spins, two park, one spins a little and parks),
 *                                     retention at their heels; every 8-byte word of every payload is a function of the seq and is checked, until
 *                                     all readers together have checked CHECKS words
 *   torture sleeps DIR SLEEPS         one process wakes three that sleep and sleeps until all have answered, until they have slept SLEEPS times
 *
 * Both print one JSON object; exit code 0 only if every check held. A wake-up counts as lost when the kernel ended a sleep by its time limit although a
 * record had stood there for most of it: a process that is merely late was still woken, so a busy machine cannot look like a bug.
 *
 * Linked with -Wl,--wrap=syscall, to see how the sleeps of the core end.
 */
#include "content.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define READERS 4
#define SLEEPERS 3
#define SEGMENT (1u << 20)
#define TYPE_DATA 1
#define TYPE_END 2
#define LATE_NS 500000000ll

typedef struct {
    uint64_t words, records, sleeps, lost_wakeups, wakes, rolls, unlinked, used_again;
    uint32_t stop, ready;
} shared_facts;

static shared_facts *facts; /* of all processes */

/* ---------------------------------------------------------------- how a sleep ended */

static _Thread_local int last_sleep; /* 0 woken, ETIMEDOUT, EAGAIN … */
static _Thread_local uint64_t slept;

/* However little a loaded machine lets it write. */
bool __wrap_chr_stock_hurried(const chr_publisher *p);
bool __wrap_chr_stock_hurried(const chr_publisher *p) { return p->in_memory && !p->closed; }

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

long __wrap_syscall(long number, ...)
{
    long a[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(list, long);
    va_end(list);
    long rc = __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    int sys = errno;
    bool waits = number == 449 || (number == SYS_futex && a[1] == FUTEX_WAIT); /* the agents use the private form */
    if (waits) {
        last_sleep = rc < 0 ? sys : 0;
        slept += rc >= 0;
    }
    errno = sys;
    return rc;
}

/* After a wait that found `f`: was the waiter left asleep although it stood there? */
static bool overslept(const chr_frame *f) { return last_sleep == ETIMEDOUT && chr_realtime_ns() - f->ts_ns > LATE_NS; }

/* ---------------------------------------------------------------- handles, processes */

static chr_config geometry(const char *durable, uint32_t durable_size)
{
    chr_config c = {.segment_size = SEGMENT, .reader_ttl_ns = 60000000000, .tsc = 1, .prefault = 1, .agents = 1, .budget_bytes = 64ull << 20};
    c.durable_size = durable_size;
    memcpy(c.durable, durable, durable_size);
    return c;
}

static chr_writer *open_writer(const char *dir, const char *durable, uint32_t durable_size)
{
    chr_config c = geometry(durable, durable_size);
    chr_error e;
    chr_writer *w = chr_writer_open(dir, &c, &e);
    if (w == NULL)
        show("writer", &e);
    CHECK(w != NULL);
    return w;
}

static chr_reader *open_reader(const char *dir, const char *name, int wait_mode, int64_t spin_ns)
{
    chr_config c = geometry("", 0);
    chr_error e;
    c.wait_mode = wait_mode;
    c.spin_ns = spin_ns;
    chr_reader *r = NULL;
    while (r == NULL) { /* its writer may just be starting */
        r = chr_reader_open(dir, name, &c, CHR_START_EARLIEST, 0, 0, &e);
        if (r == NULL && e.code != CHR_E_NOT_READY)
            show("reader", &e);
        CHECK(r != NULL || e.code == CHR_E_NOT_READY);
        usleep(r ? 0 : 1000);
    }
    return r;
}

static void append_or_wait(chr_writer *w, uint16_t type, uint64_t seq, uint32_t size)
{
    void *to;
    while ((to = chr_reserve(w, type, size)) == NULL) {
        CHECK(w->error.code == CHR_E_FULL); /* the readers hold retention back */
        chr_writer_drain(w);
        chr_writer_heartbeat(w);
        usleep(200);
    }
    fill(to, seq, size);
    CHECK(chr_commit(w, size, -1) == (int64_t)seq);
}

/* The next record; parks until there is one. Counts sleeps that were not ended by their wake-up. */
static void next_record(chr_reader *r, chr_frame *f)
{
    for (;;) {
        last_sleep = 0;
        int rc = chr_next(r, f);
        bool waited = rc == 0;
        while (rc == 0) {
            int waits = chr_reader_wait(r, 30000000000);
            CHECK(waits != 0);
            rc = chr_next(r, f);
        }
        if (rc < 0)
            show("reader", &r->error);
        CHECK(rc == 1);
        if (waited && overslept(f))
            chr_fetch_add64(&facts->lost_wakeups, 1);
        return;
    }
}

static pid_t start(void (*job)(const char *, int), const char *dir, int index)
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        job(dir, index);
        exit(0);
    }
    return pid;
}

static void join(pid_t pid)
{
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "pid %d: status %#x\n", (int)pid, status);
        kill(0, SIGKILL); /* the others would wait for it */
    }
}

/* ---------------------------------------------------------------- races */

static uint64_t wanted;

static void read_and_check(const char *dir, int index)
{
    static const int64_t spins[READERS] = {0, 0, 0, 20000};
    char name[16];
    snprintf(name, sizeof name, "r%d", index);
    chr_reader *r = open_reader(dir, name, index == 0 ? CHR_WAIT_SPIN : CHR_WAIT_HYBRID, spins[index]);
    chr_frame f;
    uint64_t seen = 0, words = 0;
    chr_fetch_add32(&facts->ready, 1);
    do {
        next_record(r, &f);
        CHECK(f.seq == seen);
        words += check_words(&f);
        if (++seen % 64 == 0) {
            CHECK(chr_reader_commit(r) == 0);
            if (chr_fetch_add64(&facts->words, words) + words >= wanted)
                chr_store_release32(&facts->stop, 1);
            words = 0;
        }
    } while (f.type_id != TYPE_END);
    chr_fetch_add64(&facts->words, words);
    chr_fetch_add64(&facts->records, seen);
    chr_fetch_add64(&facts->sleeps, slept);
    chr_reader_close(r);
}

static void write_and_roll(const char *dir, int index)
{
    static const char durable[] = "r0\0r1\0r2\0r3";
    (void)index;
    chr_writer *w = open_writer(dir, durable, sizeof durable);
    while (chr_load_acquire32(&facts->ready) < READERS)
        usleep(1000);
    int64_t rolled = chr_monotonic_ns();
    while (!chr_load_acquire32(&facts->stop)) {
        append_or_wait(w, TYPE_DATA, w->seq, size_of(w->seq));
        int64_t now = chr_monotonic_ns();
        if (now - rolled >= 1000000) {
            CHECK(chr_writer_roll(w) == 0 || w->error.code == CHR_E_FULL);
            rolled = now;
        }
        if (w->seq % 512 == 0)
            usleep(50); /* let them catch up and park */
    }
    append_or_wait(w, TYPE_END, w->seq, size_of(w->seq));
    facts->rolls = w->control->rolls;
    facts->wakes = w->control->wakes;
    facts->unlinked = w->control->unlinked;
    facts->used_again = ((const chr_publisher *)w)->used_again;
    chr_writer_close(w);
}

static void races(const char *dir, uint64_t checks)
{
    pid_t pids[READERS];
    wanted = checks;
    pid_t writer = start(write_and_roll, dir, 0);
    for (int i = 0; i < READERS; i++)
        pids[i] = start(read_and_check, dir, i);
    for (int i = 0; i < READERS; i++)
        join(pids[i]);
    join(writer);
    CHECK(facts->words >= checks);
}

/* ---------------------------------------------------------------- sleeps */

static void answer_queue(char *out, size_t size, const char *dir, int index) { snprintf(out, size, "%s-%d", dir, index); }

static void sleep_and_answer(const char *dir, int index)
{
    char name[16], answers[512];
    snprintf(name, sizeof name, "s%d", index);
    answer_queue(answers, sizeof answers, dir, index);
    chr_writer *w = open_writer(answers, "main", 5);
    chr_reader *r = open_reader(dir, name, CHR_WAIT_HYBRID, 0);
    chr_fetch_add32(&facts->ready, 1);
    chr_frame f;
    uint64_t random = (uint64_t)index + 1;
    do {
        next_record(r, &f);
        random = mix(random + f.seq);
        for (uint64_t spin = random % 512; spin > 0; spin--) /* meet the other side at every point of its way to sleep */
            chr_pause();
        append_or_wait(w, f.type_id, w->seq, 0);
        if (f.seq % 256 == 0) {
            CHECK(chr_reader_commit(r) == 0);
            chr_fetch_add64(&facts->sleeps, slept);
            slept = 0;
        }
    } while (f.type_id != TYPE_END);
    chr_fetch_add64(&facts->sleeps, slept);
    chr_reader_close(r);
    chr_writer_close(w);
}

/* One answer of each; waits on all that are missing. */
static void collect_answers(chr_reader **readers)
{
    chr_reader *missing[SLEEPERS];
    int count = SLEEPERS;
    memcpy(missing, readers, sizeof missing);
    while (count > 0) {
        last_sleep = 0;
        int rc = chr_readers_wait(missing, count, 30000000000);
        CHECK(rc != 0);
        for (int i = count - 1; i >= 0; i--) {
            chr_frame f;
            int got = chr_next(missing[i], &f);
            CHECK(got >= 0);
            if (got == 0)
                continue;
            if (overslept(&f))
                chr_fetch_add64(&facts->lost_wakeups, 1);
            missing[i] = missing[--count];
        }
    }
}

static void sleeps(const char *dir, uint64_t count)
{
    pid_t pids[SLEEPERS];
    chr_reader *readers[SLEEPERS];
    char answers[512];
    for (int i = 0; i < SLEEPERS; i++)
        pids[i] = start(sleep_and_answer, dir, i);
    chr_writer *w = open_writer(dir, "s0\0s1\0s2", 9);
    for (int i = 0; i < SLEEPERS; i++) {
        answer_queue(answers, sizeof answers, dir, i);
        readers[i] = open_reader(answers, "main", CHR_WAIT_HYBRID, 0);
    }
    while (chr_load_acquire32(&facts->ready) < SLEEPERS)
        usleep(1000);
    uint64_t random = 1;
    for (bool last = false; !last;) {
        last = chr_load_acquire64(&facts->sleeps) + slept >= count;
        random = mix(random + w->seq);
        for (uint64_t spin = random % 512; spin > 0; spin--)
            chr_pause();
        append_or_wait(w, last ? TYPE_END : TYPE_DATA, w->seq, 0);
        collect_answers(readers);
        for (int i = 0; w->seq % 256 == 0 && i < SLEEPERS; i++)
            CHECK(chr_reader_commit(readers[i]) == 0);
    }
    for (int i = 0; i < SLEEPERS; i++)
        join(pids[i]);
    chr_fetch_add64(&facts->sleeps, slept);
    facts->records = w->seq;
    facts->wakes = w->control->wakes;
    for (int i = 0; i < SLEEPERS; i++)
        chr_reader_close(readers[i]);
    chr_writer_close(w);
    CHECK(facts->sleeps >= count);
}

static void say(const char *name, uint64_t value, const char *end) { printf("\"%s\": %llu%s", name, (unsigned long long)value, end); }

int main(int argc, char **argv)
{
    CHECK(argc == 4);
    setpgid(0, 0);
    facts = mmap(NULL, sizeof *facts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(facts != MAP_FAILED);
    if (strcmp(argv[1], "races") == 0)
        races(argv[2], strtoull(argv[3], NULL, 10));
    else
        sleeps(argv[2], strtoull(argv[3], NULL, 10));
    printf("{");
    say("words", facts->words, ", ");
    say("records", facts->records, ", ");
    say("rolls", facts->rolls, ", ");
    say("used_again", facts->used_again, ", ");
    say("unlinked", facts->unlinked, ", ");
    say("sleeps", facts->sleeps, ", ");
    say("wakes", facts->wakes, ", ");
    say("lost_wakeups", facts->lost_wakeups, "}\n");
    CHECK(facts->lost_wakeups == 0);
    return 0;
}
