/* The C core on its own: no Python. Built by test_core.py, plain and under sanitizers.
 *
 *   core_test unit DIR           arithmetic, checksums, walk, recovery of every prefix
 *   core_test stress DIR N       writer, two readers and the agents in one process
 *   core_test fuzz DIR SEED N    recovery of damaged segments must neither crash nor hang, nor hand out a record that was not written
 *
 * With -DCHR_LIBFUZZER the last is a libFuzzer target.
 */
#include "chr_core.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHECK(x)                                                                                     \
    do {                                                                                             \
        if (!(x)) {                                                                                  \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                                  \
            exit(1);                                                                                 \
        }                                                                                            \
    } while (0)

static chr_config small(void)
{
    chr_config c = {.segment_size = 1 << 16, .retain_segments = 1, .reader_ttl_ns = 10000000000, .tsc = 1, .prefault = 1, .agents = 1};
    c.spin_ns = 20000;
    return c;
}

static chr_writer *open_writer(const char *dir)
{
    chr_config c = small();
    chr_error e;
    chr_writer *w = chr_writer_open(dir, &c, &e);
    if (w == NULL)
        fprintf(stderr, "writer: code %d %s %s\n", e.code, e.path, e.reason);
    CHECK(w != NULL);
    return w;
}

static chr_reader *open_reader(const char *dir, const char *name, int start)
{
    chr_config c = small();
    chr_error e;
    chr_reader *r = chr_reader_open(dir, name, &c, start, 0, 0, &e);
    if (r == NULL)
        fprintf(stderr, "reader: code %d %s %s\n", e.code, e.path, e.reason);
    CHECK(r != NULL);
    return r;
}

static uint32_t slow_crc(const uint8_t *p, size_t size)
{
    uint32_t c = ~0u;
    for (size_t i = 0; i < size; i++) {
        c ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            c = c & 1 ? c >> 1 ^ 0x82F63B78u : c >> 1;
    }
    return ~c;
}

static void test_checksums(void)
{
    static uint8_t data[8192];
    CHECK(chr_checksum("123456789", 9) == 0xE3069283u);
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 2654435761u >> 13);
    for (size_t size = 0; size < 4000; size++)
        CHECK(chr_checksum(data + size % 7, size) == slow_crc(data + size % 7, size));
    CHECK(chr_checksum(data, sizeof data) == slow_crc(data, sizeof data));
}

static void test_arithmetic(void)
{
    CHECK(chr_align(0) == 0 && chr_align(1) == 32 && chr_align(32) == 32 && chr_align(33) == 64);
    CHECK(chr_frame_bytes(0) == 32 && chr_frame_bytes(64) == 96 && chr_frame_bytes(CHR_LENGTH_MASK) == (1u << 28) + 32);
    CHECK(CHR_SEGMENT_DATA + chr_frame_bytes(chr_payload_limit(4096)) == 4096 - CHR_FRAME_HEADER);
    CHECK(chr_index_slots(1 << 16) == 1 && chr_index_slots((1 << 16) + 4096) == 2);
}

static void test_clock(void)
{
    chr_clock clock;
    chr_clock_init(&clock, true);
    for (int i = 0; i < 100000; i++) {
        int64_t a = chr_realtime_ns(), b = chr_now_ns(&clock), c = chr_realtime_ns();
        if (c - a > 2000)
            continue; /* preempted between the readings */
        CHECK(b > a - 20000 && b < c + 20000);
    }
}

static void write_some(const char *dir, int count)
{
    chr_writer *w = open_writer(dir);
    uint8_t payload[3000];
    for (int i = 0; i < count; i++) {
        uint32_t size = (uint32_t)(w->seq * 37 % sizeof payload);
        memset(payload, (int)w->seq, size);
        CHECK(chr_append(w, (uint16_t)(w->seq % 100), payload, size, -1) >= 0);
    }
    chr_writer_close(w);
}

/* Records read; -1 if the reader was told of damage and stopped there. */
static int read_all(const char *dir, uint64_t *next)
{
    chr_config c = small();
    chr_error e;
    chr_reader *r = chr_reader_open(dir, NULL, &c, CHR_START_EARLIEST, 0, 0, &e);
    if (r == NULL) {
        CHECK(e.code == CHR_E_CORRUPT || e.code == CHR_E_VERSION || e.code == CHR_E_BROKEN);
        return -1;
    }
    chr_frame f;
    int rc, n = 0;
    while ((rc = chr_next(r, &f)) != 0) {
        if (rc < 0) {
            if (r->error.code == CHR_E_EVICTED)
                continue;
            n = -1;
            break;
        }
        n++;
        if (f.type_id == CHR_TYPE_LOST)
            continue;
        CHECK(f.size == f.seq * 37 % 3000 && f.type_id == f.seq % 100);
        for (uint32_t i = 0; i < f.size; i++)
            CHECK(f.payload[i] == (uint8_t)f.seq);
    }
    *next = r->next_seq;
    chr_reader_close(r);
    return n;
}

static void unit(const char *dir)
{
    uint64_t next;
    test_checksums();
    test_arithmetic();
    test_clock();
    for (int round = 0; round < 5; round++) {
        write_some(dir, 150);
        CHECK(read_all(dir, &next) == 150 * (round + 1) && next == 150u * (unsigned)(round + 1));
    }
    chr_map_collect();
    CHECK(chr_map_count() == 0);
}

/* ---------------------------------------------------------------- stress */

typedef struct {
    chr_reader *reader; /* open before the first append: what nobody waits for may be gone when a late one comes */
    uint64_t count;
} job;

static void *read_job(void *argument)
{
    job *j = argument;
    chr_reader *r = j->reader;
    chr_frame f;
    uint64_t seen = 0;
    while (seen < j->count) {
        int rc = chr_next(r, &f);
        CHECK(rc >= 0);
        if (rc == 0) {
            rc = chr_reader_wait(r, 20000000000);
            CHECK(rc != 0);
            continue;
        }
        CHECK(f.seq == seen && f.size == f.seq * 37 % 3000);
        if (f.size)
            CHECK(f.payload[0] == (uint8_t)f.seq && f.payload[f.size - 1] == (uint8_t)f.seq);
        if (++seen % 100 == 0)
            CHECK(chr_reader_commit(r) == 0);
    }
    chr_reader_close(r);
    return NULL;
}

static void stress(const char *dir, uint64_t count)
{
    chr_writer *w = open_writer(dir);
    job jobs[2] = {{open_reader(dir, "a", CHR_START_EARLIEST), count}, {open_reader(dir, "b", CHR_START_EARLIEST), count}};
    pthread_t threads[2];
    uint8_t payload[3000];
    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&threads[i], NULL, read_job, &jobs[i]) == 0);
    for (uint64_t i = 0; i < count; i++) {
        uint32_t size = (uint32_t)(i * 37 % sizeof payload);
        memset(payload, (int)i, size);
        CHECK(chr_append(w, (uint16_t)(i % 100), payload, size, -1) == (int64_t)i);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    chr_writer_close(w);
}

/* ---------------------------------------------------------------- fuzz */

static void damage(const char *dir, const uint8_t *data, size_t size)
{
    char path[600];
    for (size_t at = 0; at + 6 <= size; at += 6) {
        static const char *files[] = {"000000000.q", "000000001.q", "000000000.idx", "000000002.q"};
        snprintf(path, sizeof path, "%s/%s", dir, files[data[at] & 3]);
        int fd = open(path, O_RDWR);
        if (fd < 0)
            continue;
        off_t where = (off_t)(data[at + 1] | data[at + 2] << 8);
        uint8_t old = 0;
        if (pread(fd, &old, 1, where) == 1) {
            uint8_t now = data[at + 3] & 1 ? data[at + 4] : (uint8_t)(old ^ 1u << (data[at + 4] & 7));
            CHECK(pwrite(fd, &now, 1, where) == 1);
        }
        close(fd);
    }
}

static void remove_tree(const char *dir)
{
    char command[700];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    CHECK(system(command) == 0);
}

/* The first byte chooses between the same boot and another; the rest are places and what to do there. */
static void fuzz_one(const char *base, const uint8_t *data, size_t size)
{
    char dir[600];
    uint64_t next;
    snprintf(dir, sizeof dir, "%s/f", base);
    remove_tree(dir);
    setenv("CHRONICLE_BOOT_ID", "one", 1);
    write_some(dir, 60);
    if (size)
        damage(dir, data + 1, size - 1);
    if (size && data[0] & 1)
        setenv("CHRONICLE_BOOT_ID", "two", 1);
    chr_config c = small();
    chr_error e;
    chr_writer *w = chr_writer_open(dir, &c, &e);
    if (w != NULL) {
        uint64_t seq = w->seq;
        uint8_t payload[3000];
        memset(payload, (int)seq, sizeof payload);
        CHECK(chr_append(w, (uint16_t)(seq % 100), payload, (uint32_t)(seq * 37 % 3000), -1) == (int64_t)seq);
        chr_writer_close(w);
    } else {
        CHECK(e.code == CHR_E_CORRUPT || e.code == CHR_E_VERSION || e.code == CHR_E_BROKEN);
    }
    int n = read_all(dir, &next);
    CHECK(n <= 62);
}

#ifdef CHR_LIBFUZZER
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_one("/dev/shm/chr-fuzz", data, size);
    return 0;
}
#else
static void fuzz(const char *dir, unsigned seed, int rounds)
{
    uint8_t data[64];
    for (int i = 0; i < rounds; i++) {
        size_t size = 1 + 6 * (size_t)(rand_r(&seed) % 6);
        for (size_t k = 0; k < size; k++)
            data[k] = (uint8_t)rand_r(&seed);
        fuzz_one(dir, data, size);
    }
}

int main(int argc, char **argv)
{
    CHECK(argc >= 3);
    if (strcmp(argv[1], "unit") == 0)
        unit(argv[2]);
    else if (strcmp(argv[1], "stress") == 0)
        stress(argv[2], strtoull(argv[3], NULL, 10));
    else
        fuzz(argv[2], (unsigned)strtoul(argv[3], NULL, 10), atoi(argv[4]));
    puts("ok");
    return 0;
}
#endif
