/* Which of the segments the writer has left are removed, and when. Runs in the clean thread, under `cleaning`. What comes before is seal.c's matter.
 *
 * A sealed segment goes when
 *   - every reader that counts has passed it. Durable names count always, whether they have a page yet or not; others while their heartbeat is
 *     younger than the TTL and their lag below the limit. With no reader that counts nothing goes: data nobody has read is not deleted in silence;
 *   - and policy allows: `retain_segments` newer sealed ones exist, and it was left `retain_age` ago.
 * When the budget (or the space to be left free) is used up, `evict` drops the oldest sealed segment regardless; the others refuse.
 *
 * `oldest` is published before the files go, so a reader that misses a file finds out why. It moves only to a segment whose beginning can be read, with the
 * seq that begins there: beside a stale one, what policy removed would be told as lost. One that cannot be read goes with those before it and after it.
 */
#include "chr_core.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define CHR_CLEAN_EVERY_NS 1000000000ll
#define CHR_NO_READER UINT64_MAX

/* ---------------------------------------------------------------- who counts */

static bool durable_name(const chr_config *config, const char *name)
{
    for (uint32_t at = 0; at < config->durable_size; at += (uint32_t)strlen(config->durable + at) + 1)
        if (strcmp(config->durable + at, name) == 0)
            return true;
    return false;
}

static int read_page(const char *dir, const char *file, chr_reader_page *page)
{
    char path[1024];
    chr_join(path, sizeof path, dir, file);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK); /* of a pipe that somebody put there an open would wait for ever */
    if (fd < 0)
        return -1;
    ssize_t n = pread(fd, page, sizeof *page, 0);
    close(fd);
    return n == (ssize_t)sizeof *page && page->magic == CHR_MAGIC_READER ? 0 : -1;
}

/* `looked_ns` is when the page was read: were this thread stopped since, that would age no reader. */
static bool alive(const chr_publisher *p, const chr_reader_page *page, const chr_slot *slot, const uint8_t boot[16], int64_t looked_ns)
{
    uint64_t head = chr_load_acquire64(&p->hot.control->head);
    int64_t age = chr_beat_age(page->boot_id, boot, page->heartbeat_ns);
    if (age == INT64_MAX || age - (chr_monotonic_ns() - looked_ns) > p->config.reader_ttl_ns)
        return false;
    return p->config.max_lag_bytes == 0 || slot->position >= head || head - slot->position <= p->config.max_lag_bytes;
}

/* The number of the segment where the hindmost reader that counts stands; CHR_NO_READER if none counts. */
static uint64_t hindmost(chr_publisher *p, uint32_t *ignored, uint64_t ignored_at[64])
{
    char dir[640], name[128];
    chr_reader_page page;
    chr_slot slot;
    uint64_t generation, lowest = CHR_NO_READER;
    uint32_t durable_seen = 0, durable_all = 0;
    uint8_t boot[16];
    for (uint32_t at = 0; at < p->config.durable_size; at += (uint32_t)strlen(p->config.durable + at) + 1)
        durable_all++;
    chr_boot_id(boot);
    chr_join(dir, sizeof dir, p->dir, "readers");
    *ignored = 0;
    DIR *d = opendir(dir);
    for (struct dirent *entry = d ? readdir(d) : NULL; entry != NULL; entry = readdir(d)) {
        size_t length = strlen(entry->d_name);
        if (length <= 5 || length - 5 >= sizeof name || strcmp(entry->d_name + length - 5, ".meta") != 0)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)(length - 5), entry->d_name);
        bool durable = durable_name(&p->config, name);
        int64_t looked_ns = chr_monotonic_ns();
        int have = read_page(dir, entry->d_name, &page) < 0 ? -2 : chr_page_read(&page, &slot, &generation);
        if (have >= 0 && slot.queue_id != p->queue_id)
            have = -1;
        durable_seen += durable && have >= 0;
        if (have < 0)
            continue; /* a durable one without a sound position holds everything: it is missing from durable_seen */
        uint64_t number = slot.position / p->segment_size;
        if (!durable && !alive(p, &page, &slot, boot, looked_ns)) {
            if (*ignored < 64)
                ignored_at[(*ignored)++] = number;
            continue;
        }
        if (number < lowest)
            lowest = number;
    }
    if (d)
        closedir(d);
    return durable_seen < durable_all ? 0 : lowest;
}

/* ---------------------------------------------------------------- removal */

/* CHR_SEQ_UNKNOWN of one that cannot be read or has not begun */
static uint64_t first_seq_of(const chr_publisher *p, uint64_t number)
{
    chr_segment_header h;
    return chr_segment_read_header(p->dir, number, p->queue_id, &h) ? h.first_seq : CHR_SEQ_UNKNOWN;
}

static void unlink_one(const chr_publisher *p, uint64_t number, const char *suffix)
{
    char name[32], path[640];
    chr_segment_name(name, number, suffix);
    chr_join(path, sizeof path, p->dir, name);
    unlink(path);
}

static void unlink_pair(const chr_publisher *p, uint64_t number)
{
    unlink_one(p, number, "idx"); /* an index never outlives its segment */
    unlink_one(p, number, "q");
}

static void mark_oldest(chr_publisher *p, uint64_t number, uint64_t seq)
{
    chr_store_release64(&p->hot.control->oldest_seq, seq);
    chr_store_release64(&p->hot.control->oldest, number);
}

/* The last from `number` down to `lowest` whose beginning can be read; `lowest` with `seq` if there is none. */
static uint64_t readable_down(const chr_publisher *p, uint64_t number, uint64_t lowest, uint64_t *seq)
{
    for (; number > lowest; number--) {
        uint64_t first = first_seq_of(p, number);
        if (first == CHR_SEQ_UNKNOWN)
            continue;
        *seq = first;
        break;
    }
    return number;
}

/* Marked before it is gone: no reader begins where files are about to go. `again`: what can be used again is. */
static void remove_upto(chr_publisher *p, uint64_t from, uint64_t upto, bool again)
{
    for (uint64_t number = from; number < upto; number++) {
        chr_map *map = again ? chr_left_removed(p, (uint32_t)number) : NULL;
        unlink_one(p, number, "idx");
        if (map == NULL || !chr_stock_put(p, map)) {
            unlink_one(p, number, "q");
            chr_map_release_now(map);
        }
        chr_store_release32(&p->going, (uint32_t)(upto - number - 1));
        chr_fetch_add64(&p->hot.control->unlinked, 1);
    }
}

static bool old_enough(const chr_publisher *p, uint64_t number)
{
    char name[32], path[640];
    struct stat st;
    if (p->config.retain_age_ns == 0)
        return true;
    chr_segment_name(name, number, "q");
    chr_join(path, sizeof path, p->dir, name);
    if (stat(path, &st) != 0)
        return true;
    return chr_realtime_ns() - ((int64_t)CHR_MTIME(st).tv_sec * 1000000000 + CHR_MTIME(st).tv_nsec) >= p->config.retain_age_ns;
}

static uint64_t live_number(const chr_publisher *p) { return chr_load_acquire64(&p->hot.control->head) / p->segment_size; }

static void account(chr_publisher *p)
{
    uint64_t segments = live_number(p) - chr_load_relaxed64(&p->hot.control->oldest) + 1 + (chr_load_acquire32(&p->spare_ready) ? 1 : 0);
    segments += chr_stock_files(p);
    uint64_t bytes = segments * (p->segment_size + chr_index_bytes(p->segment_size));
    if (p->hot.control->bytes != bytes) /* an idle queue dirties no page */
        chr_store_relaxed64(&p->hot.control->bytes, bytes);
}

/* While the writer hurries it stays a segment behind, which the readers that have just left it are unmapping. */
static void retain(chr_publisher *p, bool hurried)
{
    chr_control *c = p->hot.control;
    uint64_t live = live_number(p), passed[64];
    uint32_t ignored;
    if (c->oldest >= live || chr_load_acquire32(&p->replaced))
        return; /* what stands under these names now may be another's */
    uint64_t limit = hindmost(p, &ignored, passed);
    if (limit == CHR_NO_READER)
        return;
    limit -= hurried && limit > 0;
    uint64_t newest = live > p->config.retain_segments ? live - p->config.retain_segments : 0;
    uint64_t before = c->oldest, before_seq = c->oldest_seq, keep = before, seq = before_seq;
    while (keep < limit && keep < newest && old_enough(p, keep))
        keep++;
    keep = readable_down(p, keep, before, &seq);
    if (keep == before)
        return;
    chr_store_release32(&p->going, (uint32_t)(keep - before));
    mark_oldest(p, keep, seq);
    chr_fence(); /* a reader that opens meanwhile sees the mark, or is seen here: it looks again once its page says where it stands */
    limit = hindmost(p, &ignored, passed);
    if (limit < keep) {
        seq = before_seq;
        keep = readable_down(p, limit > before ? limit : before, before, &seq);
        mark_oldest(p, keep, seq);
        chr_store_release32(&p->going, (uint32_t)(keep - before));
    }
    remove_upto(p, before, keep, hurried);
    for (uint32_t i = 0; i < ignored; i++)
        if (passed[i] >= before && passed[i] < c->oldest)
            chr_fetch_add64(&c->forgotten, 1);
}

/* `oldest` is what files are deleted by, so a flipped bit in it must not be believed: the segment it names must begin with the seq beside it. */
bool chr_oldest_holds(const char *dir, const chr_control *c)
{
    chr_segment_header h;
    return chr_segment_read_header(dir, c->oldest, c->queue_id, &h) && h.first_seq == c->oldest_seq;
}

void chr_oldest_adopt(chr_publisher *p)
{
    chr_control *c = p->hot.control;
    uint64_t found, highest;
    if (!chr_segment_range(p->dir, &found, &highest))
        return;
    if (c->oldest <= p->first_number && chr_oldest_holds(p->dir, c)) {
        for (; found < c->oldest && chr_segment_range(p->dir, &found, &highest) && found < c->oldest;)
            unlink_pair(p, found); /* a crash stood between the mark and the files */
        return;
    }
    uint64_t seq = first_seq_of(p, found); /* removed by hand, or the page is wrong */
    if (seq != CHR_SEQ_UNKNOWN)
        chr_store_release64(&c->oldest_seq, seq);
    chr_store_release64(&c->oldest, found);
}

/* A flipped bit in a header would hide a whole segment from every reader. */
static void mend_headers(const chr_publisher *p)
{
    chr_error e;
    uint64_t lowest, highest;
    if (!chr_segment_range(p->dir, &lowest, &highest))
        return;
    for (uint64_t number = p->hot.control->oldest > lowest ? p->hot.control->oldest : lowest; number < p->first_number; number++) {
        chr_map *map = chr_segment_map(p->dir, number, p->segment_size, false, &e);
        if (map == NULL) { /* gone or cut short: told to whoever reads there */
            number = chr_segment_after(p->dir, number) - 1;
            continue;
        }
        chr_map *mended = chr_segment_header_valid(map, p->queue_id) ? NULL : chr_segment_mend(p->dir, number, p->segment_size, p->queue_id, &e);
        if (mended != NULL)
            chr_map_release_now(mended);
        chr_map_release_now(map);
    }
}

/* A directory emptied, moved away or made anew under its writer: what is appended from now on nobody would find. */
static bool taken_away(chr_publisher *p)
{
    char path[640];
    struct stat own, there;
    chr_join(path, sizeof path, p->dir, "control.meta");
    if (fstat(p->pages.fd, &own) != 0)
        return false;
    if (stat(path, &there) != 0)
        return errno == ENOENT || errno == ENOTDIR;
    if (own.st_dev == there.st_dev && own.st_ino == there.st_ino)
        return false;
    p->replaced_by = chr_control_queue(p->dir);
    return true;
}

/* What a stranger may have done to the files of a live writer. Not under `cleaning`: a roll holds `making` and may ask for that. */
static void watch_files(chr_publisher *p)
{
    struct stat st;
    chr_word_keep(p);
    if (pthread_mutex_trylock(&p->making) != 0)
        return;
    bool cut = fstat(p->segment->fd, &st) == 0 && (uint64_t)st.st_size < p->segment_size;
    if (fstat(p->pages.fd, &st) == 0 && (st.st_size < CHR_PAGE || st.st_nlink == 0)) {
        chr_store_release32(&p->pages.control->broken, 1); /* no new reader can open: the next writer builds it anew */
        cut = true;
    }
    if (cut) /* stores into its last page would go on without a fault, and reach no disk */
        chr_store_release32(&p->segment->broken, 1);
    if (taken_away(p)) {
        chr_store_release32(&p->replaced, 1);
        chr_store_release32(&p->segment->broken, 1); /* which the next append looks at */
    }
    pthread_mutex_unlock(&p->making);
}

/* Retention comes before the disk: what it removes need not reach it. `at_once`: space is wanted. */
static void tidy(chr_publisher *p, bool at_once)
{
    bool hurried = !at_once && chr_stock_hurried(p);
    uint32_t held = hurried ? chr_stock_held(p) : 0;
    chr_left_take(p);
    chr_left_seal(p, held);
    retain(p, hurried);
    chr_left_finish(p, held);
    if (!hurried)
        chr_stock_drop(p);
}

bool chr_clean_run(chr_publisher *p)
{
    pthread_mutex_lock(&p->cleaning);
    if (!p->cleaned_once) {
        p->cleaned_once = 1;
        mend_headers(p);
        chr_oldest_adopt(p); /* again: a header may have been mended */
        chr_left_by_others(p);
    }
    tidy(p, false);
    bool more = chr_left_catch_up_some(p, live_number(p));
    account(p);
    pthread_mutex_unlock(&p->cleaning);
    return more;
}

int64_t chr_clean_task(void *owner)
{
    watch_files(owner);
    return chr_clean_run(owner) ? 0 : CHR_CLEAN_EVERY_NS;
}

/* ---------------------------------------------------------------- budget */

static bool fits(const chr_publisher *p)
{
    struct statvfs fs;
    uint64_t one = p->segment_size + chr_index_bytes(p->segment_size);
    uint64_t segments = (uint64_t)p->number + 2 - chr_load_acquire64(&p->hot.control->oldest); /* with the one to be made; under `making` */
    segments += chr_load_acquire32(&p->going); /* then what became of them: in that order none is missed */
    segments += chr_stock_files(p);
    segments -= chr_stock_ready(p); /* it is made of that */
    if (p->config.budget_bytes && segments * one > p->config.budget_bytes)
        return false;
    if (p->config.reserve_bytes && statvfs(p->dir, &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize < p->config.reserve_bytes + one)
        return false;
    return true;
}

static bool evict(chr_publisher *p)
{
    if (p->config.on_full != CHR_FULL_EVICT || p->hot.control->oldest >= live_number(p))
        return false;
    uint64_t number = p->hot.control->oldest, next = number + 1, live = live_number(p), seq;
    while ((seq = first_seq_of(p, next)) == CHR_SEQ_UNKNOWN)
        if (next++ == live)
            return false; /* none can be opened now */
    chr_store_release32(&p->going, (uint32_t)(next - number));
    mark_oldest(p, next, seq);
    remove_upto(p, number, next, false);
    chr_fetch_add64(&p->hot.control->evicted, next - number);
    return true;
}

/* The disk is full. Space of removed segments comes back only when this process no longer maps them; then retention; then eviction. */
bool chr_budget_free_some(chr_publisher *p)
{
    pthread_mutex_lock(&p->cleaning);
    bool some = __atomic_load_n(&p->retired, __ATOMIC_ACQUIRE) != NULL || p->leaving != NULL || chr_stock_files(p) > 0;
    uint64_t before = p->hot.control->oldest;
    tidy(p, true);
    some = some || p->hot.control->oldest != before || evict(p);
    pthread_mutex_unlock(&p->cleaning);
    return some;
}

int chr_budget_admit(chr_publisher *p, chr_error *e)
{
    if ((p->config.budget_bytes == 0 && p->config.reserve_bytes == 0) || fits(p))
        return 0;
    pthread_mutex_lock(&p->cleaning);
    tidy(p, true);
    while (!fits(p) && evict(p))
        ;
    account(p);
    bool room = fits(p);
    pthread_mutex_unlock(&p->cleaning);
    if (room)
        return 0;
    chr_fetch_add64(&p->hot.control->full, 1);
    return chr_fail(e, CHR_E_FULL, p->dir, NULL, p->config.budget_bytes, 0, 0);
}
