/* libFuzzer target: a queue whose files were changed must be opened, read, sought, recovered and written to without a crash, a hang, or a false record.
 *
 * An input is two bytes and then edits of eight bytes each; what does not fit is ignored.
 *
 *   byte 0   which of the queues made at the start: closed in order, rolled and half read, killed in mid-frame, quarantined, pruned
 *   byte 1   bit 0  the edits happened before another boot
 *            bit 1  checksums are made good after the edits, so that what stands behind them is reached; what is read then proves nothing
 *            bit 2  the writer opens before the readers
 *            bits 3 to 5  the way the damaged queue is read; what is left after a writer is read from its start and sought in
 *   edit     op, file, u16 offset, u32 value: set, flip, add, copy, fill, cut, remove
 *
 * Built with -DCHR_REPLAY it needs no libFuzzer: it runs the files named on its command line.
 * Linked with guarded_maps.c: one byte beyond a file is a report.
 */
#include "chr_core.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEGMENT 4096u
#define IMAGES 5
#define FILES_MAX 24
#define FILE_MAX 8192u
#define LOOKS_MAX 5000

#define CHECK(x)                                                                                     \
    do {                                                                                             \
        if (!(x)) {                                                                                  \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                                  \
            abort();                                                                                 \
        }                                                                                            \
    } while (0)

typedef struct {
    char name[48];
    uint8_t bytes[FILE_MAX];
    uint32_t size;
    bool gone;
} image_file;

typedef struct {
    image_file files[FILES_MAX];
    int count;
} image;

static image images[IMAGES], changed;
static char root[128], dir[192];
static uint32_t seed; /* of the queue the input chose */
static uint64_t queue_id, records; /* seqs below it were appended, by this file's rule */

/* ---------------------------------------------------------------- content: a function of the seq */

static uint32_t size_of(uint64_t seq) { return (uint32_t)(seq * 37 % 331); }

static void fill(uint8_t *to, uint64_t seq, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        to[i] = (uint8_t)(seq * 131 + i * 7);
}

static chr_config config(void)
{
    chr_config c = {.segment_size = SEGMENT, .retain_segments = 100, .reader_ttl_ns = 3600000000000};
    return c;
}

static int64_t append(chr_writer *w)
{
    uint8_t payload[512];
    uint64_t seq = w->seq;
    fill(payload, seq, size_of(seq));
    return chr_append(w, (uint16_t)(seq % 100), payload, size_of(seq), w->last_ts + 1000);
}

/* ---------------------------------------------------------------- files */

static void path_of(char out[320], const char *name) { snprintf(out, 320, "%s/%s", dir, name); }

static void clear_folder(const char *folder)
{
    char path[400];
    DIR *d = opendir(folder);
    for (struct dirent *entry = d ? readdir(d) : NULL; entry != NULL; entry = readdir(d)) {
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_type != DT_DIR)
            unlink(path);
    }
    if (d)
        closedir(d);
}

static void clear(void)
{
    char readers[320];
    path_of(readers, "readers");
    clear_folder(dir);
    clear_folder(readers);
}

static void take_file(image *to, const char *name)
{
    char path[320];
    path_of(path, name);
    int fd = open(path, O_RDONLY);
    CHECK(fd >= 0 && to->count < FILES_MAX);
    image_file *f = &to->files[to->count++];
    snprintf(f->name, sizeof f->name, "%s", name);
    ssize_t n = read(fd, f->bytes, FILE_MAX);
    CHECK(n >= 0);
    f->size = (uint32_t)n;
    close(fd);
}

/* In a fixed order, so that an input's file numbers mean the same in every run. */
static void take_image(image *to)
{
    static const char *pages[] = {"control.meta", "notify.meta", "READY", "quarantine.json", "readers/a.meta"};
    char path[320], name[32];
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
        path_of(path, pages[i]);
        if (access(path, F_OK) == 0)
            take_file(to, pages[i]);
    }
    for (uint64_t number = 0; number < 9; number++)
        for (int i = 0; i < 2; i++) {
            chr_segment_name(name, number, i ? "idx" : "q");
            path_of(path, name);
            if (access(path, F_OK) == 0)
                take_file(to, name);
        }
}

static void lay_out(const image *from)
{
    char path[320];
    clear();
    for (int i = 0; i < from->count; i++) {
        const image_file *f = &from->files[i];
        if (f->gone)
            continue;
        path_of(path, f->name);
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0640);
        CHECK(fd >= 0 && write(fd, f->bytes, f->size) == (ssize_t)f->size);
        close(fd);
    }
}

/* ---------------------------------------------------------------- the queues that are changed */

static chr_writer *writer(void)
{
    chr_config c = config();
    chr_error e;
    chr_writer *w = chr_writer_open(dir, &c, &e);
    CHECK(w != NULL);
    return w;
}

static chr_reader *reader_at(uint64_t count)
{
    chr_config c = config();
    chr_error e;
    chr_frame f;
    chr_reader *r = chr_reader_open(dir, "a", &c, CHR_START_RESUME, 0, 0, &e);
    CHECK(r != NULL);
    for (uint64_t i = 0; i < count; i++)
        CHECK(chr_next(r, &f) == 1);
    CHECK(chr_reader_commit(r) == 0);
    return r;
}

static void flip_on_disk(const char *name, off_t at)
{
    char path[320];
    uint8_t byte;
    path_of(path, name);
    int fd = open(path, O_RDWR);
    CHECK(fd >= 0 && pread(fd, &byte, 1, at) == 1);
    byte ^= 1;
    CHECK(pwrite(fd, &byte, 1, at) == 1);
    close(fd);
}

/* A rotten byte in the live segment, found by a writer after another boot: quarantine, LOST, and records behind it. */
static void damage_and_recover(void)
{
    char path[320], name[32];
    chr_control c;
    path_of(path, "control.meta");
    int fd = open(path, O_RDONLY);
    CHECK(fd >= 0 && read(fd, &c, sizeof c) == (ssize_t)sizeof c);
    close(fd);
    chr_segment_name(name, c.head / SEGMENT, "q");
    flip_on_disk(name, CHR_SEGMENT_DATA + CHR_FRAME_HEADER);
    setenv("CHRONICLE_BOOT_ID", "one", 1);
    chr_writer *w = writer();
    CHECK(w->seq >= 30);
    for (int i = 0; i < 5; i++)
        CHECK(append(w) >= 0);
    chr_writer_close(w);
}

static void make_image(int which)
{
    static const int counts[IMAGES] = {8, 40, 30, 30, 60};
    clear();
    setenv("CHRONICLE_BOOT_ID", which == 3 ? "zero" : "one", 1);
    chr_writer *w = writer();
    for (int i = 0; i < counts[which]; i++)
        CHECK(append(w) == i);
    if (which == 1)
        chr_reader_close(reader_at(17));
    if (which == 2) { /* killed in mid-frame: what is on disk while the writer is in the middle of one */
        memset(chr_reserve(w, 1, 300), 0x55, 200);
        take_image(&images[which]);
    }
    if (which == 4) {
        chr_publisher *p = (chr_publisher *)w;
        p->config.retain_segments = 1;
        chr_reader_close(reader_at(55));
        chr_clean_run(p);
        CHECK(w->control->oldest > 0);
    }
    chr_writer_close(w);
    if (which == 3)
        damage_and_recover();
    if (which != 2)
        take_image(&images[which]);
}

/* ---------------------------------------------------------------- what an input does to the files */

static void put32(uint8_t *at, uint32_t v) { memcpy(at, &v, 4); }

static void edit(image *to, const uint8_t *e)
{
    image_file *f = &to->files[e[1] % to->count];
    uint32_t at, value, old;
    memcpy(&value, e + 4, 4);
    at = f->size ? (uint32_t)(e[2] | e[3] << 8) % f->size : 0;
    uint32_t room = f->size - at, some = (value >> 16) % 512 < room ? (value >> 16) % 512 : room;
    int64_t wide = (int32_t)value;
    switch (e[0] % 9) {
    case 0: f->bytes[at] = (uint8_t)value; break;
    case 1: f->bytes[at] ^= (uint8_t)(1u << (value & 7)); break;
    case 2:
        if (room >= 4)
            put32(f->bytes + at, value);
        break;
    case 3:
        if (room >= 4) {
            memcpy(&old, f->bytes + at, 4);
            put32(f->bytes + at, old + value);
        }
        break;
    case 4:
        if (room >= 8)
            memcpy(f->bytes + at, &wide, 8);
        break;
    case 5: /* from elsewhere in the same file */
        if ((value & 0xFFFF) + some <= f->size)
            memmove(f->bytes + at, f->bytes + (value & 0xFFFF), some);
        break;
    case 6: memset(f->bytes + at, (int)value, some); break;
    case 7: f->size = at; break;
    default: f->gone = (value & 3) == 0;
    }
}

static void mend_segment(image_file *f)
{
    chr_segment_header *h = (chr_segment_header *)f->bytes;
    chr_seal *seal = (chr_seal *)(f->bytes + sizeof *h);
    h->crc = chr_checksum(h, offsetof(chr_segment_header, crc));
    if (seal->magic)
        seal->crc = chr_checksum(seal, offsetof(chr_seal, crc));
    for (uint64_t at = CHR_SEGMENT_DATA, next; at + CHR_FRAME_HEADER <= f->size; at = next) {
        chr_frame_header *frame = (chr_frame_header *)(f->bytes + at);
        uint32_t size = frame->commit & CHR_LENGTH_MASK;
        next = at + chr_frame_bytes(size);
        if ((frame->commit & ~CHR_LENGTH_MASK) != CHR_COMMIT_TAG || next > f->size)
            return;
        frame->crc = chr_frame_crc(seed, frame->commit, frame, frame + 1, frame->type_id == CHR_TYPE_PADDING ? 0 : size);
    }
}

static void mend(image *to)
{
    for (int i = 0; i < to->count; i++) {
        image_file *f = &to->files[i];
        size_t length = strlen(f->name);
        if (i == 0 && f->size == CHR_PAGE) {
            chr_control *c = (chr_control *)f->bytes;
            if (c->segment_size > 16 * SEGMENT)
                continue; /* a sound page, but slow to look through */
            c->crc = chr_checksum(c, offsetof(chr_control, crc));
            queue_id = c->queue_id;
            seed = chr_crc_seed(queue_id);
        } else if (strcmp(f->name + length - 2, ".q") == 0 && f->size == SEGMENT) {
            mend_segment(f);
        } else if (strcmp(f->name + length - 4, ".idx") == 0) {
            chr_index_entry *entries = (chr_index_entry *)(f->bytes + sizeof(chr_index_header));
            for (size_t k = 0; sizeof(chr_index_header) + (k + 1) * sizeof *entries <= f->size; k++)
                entries[k].crc = chr_checksum(&entries[k], offsetof(chr_index_entry, crc));
        } else if (strcmp(f->name, "readers/a.meta") == 0 && f->size == CHR_PAGE) {
            chr_reader_page *page = (chr_reader_page *)f->bytes;
            for (int k = 0; k < 2; k++)
                page->slots[k].crc = chr_checksum(&page->slots[k], offsetof(chr_slot, crc));
        }
    }
}

/* ---------------------------------------------------------------- what is done with them */

static bool honest; /* what is read must be what was written */
static uint8_t sink;

static void named(const chr_error *e)
{
    if (e->code <= CHR_OK || e->code > CHR_E_HOST || e->path[0] == 0)
        fprintf(stderr, "an error without a place: code %d, sys %d, reason %s\n", e->code, e->sys, e->reason);
    CHECK(e->code > CHR_OK && e->code <= CHR_E_HOST && e->path[0] != 0);
}

static void look_at(const chr_frame *f)
{
    uint8_t expected[512];
    for (uint32_t i = 0; i < f->size; i++)
        sink ^= f->payload[i];
    if (!honest || f->type_id == CHR_TYPE_LOST)
        return;
    CHECK(f->size == size_of(f->seq) && f->type_id == f->seq % 100);
    fill(expected, f->seq, f->size);
    CHECK(memcmp(expected, f->payload, f->size) == 0);
}

/* To the end, over every error by seeking behind it. A seq is missing only where an error or a LOST record said so. */
static void read_on(chr_reader *r)
{
    chr_frame f;
    uint64_t expected = r->next_seq, refused_at = UINT64_MAX;
    bool told = false;
    for (int look = 0; look < LOOKS_MAX; look++) {
        int rc = chr_next(r, &f);
        if (rc == 0)
            return;
        if (rc == 1) {
            look_at(&f);
            CHECK(!honest || told || f.seq == expected || f.type_id == CHR_TYPE_LOST);
            expected = f.seq + 1;
            told = false;
            continue;
        }
        named(&r->error);
        told = true;
        if (chr_reader_position(r) == refused_at && (r->next_seq == UINT64_MAX || chr_reader_seek_seq(r, r->next_seq + 1) < 0))
            return;
        refused_at = chr_reader_position(r);
    }
    CHECK(!"a reader comes to an end");
}

static void read_from(const char *name, int start, uint64_t seq, int64_t ts_ns)
{
    chr_config c = config();
    chr_error e;
    chr_reader *r = chr_reader_open(dir, name, &c, start, seq, ts_ns, &e);
    if (r == NULL) {
        named(&e);
        return;
    }
    read_on(r);
    if (chr_reader_seek_seq(r, seq) < 0)
        named(&r->error);
    chr_reader_commit(r);
    chr_reader_close(r);
}

static void read_one_way(int way)
{
    switch (way) {
    case 0: read_from(NULL, CHR_START_EARLIEST, records, 0); break;
    case 1: read_from(NULL, CHR_START_LATEST, 3, 0); break;
    case 2: read_from(NULL, CHR_START_SEQ, records / 2, 0); break;
    case 3: read_from(NULL, CHR_START_TIME, 0, (int64_t)records * 700); break;
    case 4: read_from("a", CHR_START_RESUME, 0, 0); break;
    case 5: read_from("b", CHR_START_RESUME_OR_OLDEST, 0, 0); break;
    default:
        for (way = 0; way < 6; way++)
            read_one_way(way);
    }
}

static void write_some(void)
{
    chr_config c = config();
    chr_error e;
    chr_writer *w = chr_writer_open(dir, &c, &e);
    if (w == NULL) {
        named(&e);
        return;
    }
    for (int i = 0; i < 4; i++) {
        if (w->seq >= (uint64_t)INT64_MAX - 100 || append(w) < 0 || (i == 1 && chr_writer_roll(w) < 0)) {
            CHECK(w->error.code || w->seq >= (uint64_t)INT64_MAX - 100);
            break;
        }
    }
    chr_writer_close(w);
}

static void no_map_is_left(void)
{
    for (int i = 0; i < 1000; i++) {
        chr_map_collect();
        if (chr_map_count() == 0)
            return;
        usleep(1000); /* the clean thread is just unmapping the last */
    }
    CHECK(!"a mapping outlived its handle");
}

static void remove_root(void)
{
    char readers[320];
    path_of(readers, "readers");
    clear();
    rmdir(readers);
    rmdir(dir);
    rmdir(root);
}

static void prepare(void)
{
    char readers[320];
    snprintf(root, sizeof root, "%s/chr-fuzz-%d", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (int)getpid());
    snprintf(dir, sizeof dir, "%s/q", root);
    path_of(readers, "readers");
    mkdir(root, 0700);
    mkdir(dir, 0700);
    mkdir(readers, 0700);
    for (int i = 0; i < IMAGES; i++)
        make_image(i);
    atexit(remove_root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (images[0].count == 0)
        prepare();
    if (size < 2)
        return 0;
    changed = images[data[0] % IMAGES];
    const chr_control *c = (const chr_control *)changed.files[0].bytes;
    queue_id = c->queue_id;
    records = c->next_seq;
    honest = !(data[1] & 2);
    for (size_t at = 2; at + 8 <= size && at < 2 + 8 * 64; at += 8)
        edit(&changed, data + at);
    if (!honest)
        mend(&changed);
    lay_out(&changed);
    setenv("CHRONICLE_BOOT_ID", data[1] & 1 ? "two" : "one", 1);
    if (data[1] & 4)
        write_some();
    read_one_way(data[1] >> 3 & 7);
    write_some();
    read_one_way(0);
    if (data[1] & 64)
        read_one_way(4);
    no_map_is_left();
    return 0;
}

#ifdef CHR_REPLAY
int main(int argc, char **argv)
{
    static uint8_t data[4096];
    for (int i = 1; i < argc; i++) {
        int fd = open(argv[i], O_RDONLY);
        CHECK(fd >= 0);
        ssize_t n = read(fd, data, sizeof data);
        close(fd);
        CHECK(n >= 0);
        LLVMFuzzerTestOneInput(data, (size_t)n);
    }
    printf("%d inputs\n", argc - 1);
    return 0;
}
#endif
