/* Recovery: where does the next frame go? Run by a writer that holds the lock, before it appends.
 *
 * Same boot: the page cache is whole, memory order held, so all before `checked` is good and the walk begins there.
 * Another boot: pages reached the disk in any order; only what `synced` names is sure, and the walk begins at that segment's start.
 *
 * The walk stops at the first frame that is not committed or fails its check. Then:
 *
 *   nothing valid with a higher seq follows, and no reader can have seen one      torn tail: zeroed up to `touched` (other boot: to the end)
 *   a valid frame follows; or (same boot) the control page counted further, or (another boot) `synced` stands beyond     corruption: quarantine
 *
 * Quarantine: the segment is sealed as it is, with the seal's end at the bad frame, and listed in quarantine.json. Later segments that were begun are
 * kept and walked. If there is none, writing goes on in the next segment above every seq known to have been used; its first record is LOST.
 * Nothing that was committed is ever zeroed.
 */
#include "chr_core.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    const char *dir;
    chr_control *control;
    chr_tail *tail;
    chr_error *error;
    chr_map *map;       /* segment tail->number */
    uint32_t size, seed;
    bool same_boot, seq_known;
} walk;

const char *chr_verdict_text(int verdict)
{
    switch (verdict) {
    case CHR_FRAME_NONE: return "no commit";
    case CHR_FRAME_BAD_TAG: return "commit word";
    case CHR_FRAME_BAD_LENGTH: return "length";
    case CHR_FRAME_BAD_VERSION: return "frame version";
    case CHR_FRAME_BAD_CRC: return "checksum";
    default: return "sequence";
    }
}

static bool exists(const walk *w, uint64_t number)
{
    char name[32], path[640];
    chr_segment_name(name, number, "q");
    chr_join(path, sizeof path, w->dir, name);
    return access(path, F_OK) == 0;
}

/* 1 opened and begun, 0 absent or only prepared, < 0 error. */
static int enter(walk *w, uint64_t number)
{
    if (w->map != NULL)
        chr_map_release_now(w->map);
    w->map = NULL;
    if (!exists(w, number))
        return 0;
    w->map = chr_segment_open(w->dir, number, w->size, w->control->queue_id, true, w->error);
    if (w->map == NULL) {
        if (w->error->code != CHR_E_CORRUPT && w->error->code != CHR_E_BROKEN)
            return -1;
        w->error->code = 0;
        w->map = chr_segment_mend(w->dir, number, w->size, w->control->queue_id, w->error);
        if (w->map == NULL)
            return 0; /* its first page never reached the disk: the segment is moved aside when it is made */
        w->tail->mended |= CHR_MENDED_HEADER;
    }
    const chr_segment_header *h = (const chr_segment_header *)w->map->base;
    return h->first_seq != CHR_SEQ_UNKNOWN;
}

static int list_quarantine(walk *w, const char *reason)
{
    static _Thread_local char text[65536];
    char path[640], line[256];
    chr_join(path, sizeof path, w->dir, "quarantine.json");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 512);
    if (fd >= 0)
        close(fd);
    while (n > 0 && text[n - 1] != '}')
        n--; /* drop "]" and what follows the last entry */
    snprintf(line, sizeof line, "{\"segment\": %llu, \"offset\": %llu, \"seq\": %llu, \"reason\": \"%s\", \"found_ns\": %lld}",
             (unsigned long long)w->tail->number, (unsigned long long)w->tail->offset, (unsigned long long)w->tail->seq, reason,
             (long long)chr_realtime_ns());
    snprintf(text + (n > 0 ? n : 0), 512, "%s%s\n]\n", n > 0 ? ",\n " : "[\n ", line);
    return chr_replace_text(w->dir, "quarantine.json", 0640, text, w->error);
}

/* One pass over frames from the tail on; returns the verdict it stopped at. */
static int walk_segment(walk *w)
{
    chr_tail *t = w->tail;
    for (;;) {
        uint64_t next;
        const chr_frame_header *f = (const chr_frame_header *)(w->map->base + t->offset);
        int verdict = chr_examine_full(w->map->base, t->offset, w->size, w->seed, &next);
        if (verdict != CHR_FRAME_OK)
            return verdict;
        if (f->type_id == CHR_TYPE_PADDING)
            return CHR_FRAME_OK;
        if (w->seq_known && f->seq != t->seq && !(f->type_id == CHR_TYPE_LOST && f->seq > t->seq))
            return CHR_FRAME_BAD_CRC - 1;
        t->seq = f->seq + 1;
        w->seq_known = true;
        t->last_ts = f->ts_ns;
        t->last_epoch = f->epoch;
        t->last_offset = t->offset;
        t->offset = next;
    }
}

/* The highest seq of a valid frame beyond the tail of this segment; 0 = none. */
static uint64_t scan_on(const walk *w)
{
    const chr_tail *t = w->tail;
    uint64_t highest = 0, next;
    for (uint64_t at = t->offset + CHR_ALIGN; at + CHR_FRAME_HEADER <= w->size; at += CHR_ALIGN) {
        const chr_frame_header *f = (const chr_frame_header *)(w->map->base + at);
        if ((f->commit & ~CHR_LENGTH_MASK) != CHR_COMMIT_TAG || f->seq < t->seq)
            continue;
        if (chr_examine_full(w->map->base, at, w->size, w->seed, &next) == CHR_FRAME_OK && f->seq + 1 > highest)
            highest = f->seq + 1;
    }
    return highest;
}

static void zero_tail(walk *w)
{
    const chr_control *c = w->control;
    uint64_t base = chr_position(w->size, w->tail->number, 0);
    uint64_t end = w->size, step_end = (w->tail->offset / CHR_STEP + 1) * CHR_STEP;
    if (w->same_boot && c->touched >= base && c->touched - base < w->size)
        end = c->touched - base;
    if (end < step_end) /* no writer notes less than a step */
        end = step_end < w->size ? step_end : w->size;
    if (end <= w->tail->offset)
        return;
    uint8_t *from = w->map->base + w->tail->offset;
    for (uint64_t at = 0; at < end - w->tail->offset; at += CHR_ALIGN) /* a page that is zero already is not dirtied */
        for (int i = 0; i < (int)CHR_ALIGN; i++)
            if (from[at + i]) {
                memset(from + at, 0, CHR_ALIGN);
                break;
            }
}

static void begin_at(walk *w, uint64_t number)
{
    w->tail->number = number;
    w->tail->offset = CHR_SEGMENT_DATA;
    w->tail->last_offset = 0;
    w->tail->fresh = true;
}

/* A record stands at the start of the segment that was entered, above what is known so far. */
static bool holds_more(const walk *w)
{
    uint64_t next;
    const chr_frame_header *f = (const chr_frame_header *)(w->map->base + CHR_SEGMENT_DATA);
    return chr_examine_full(w->map->base, CHR_SEGMENT_DATA, w->size, w->seed, &next) == CHR_FRAME_OK && f->seq >= w->tail->seq;
}

/* Enters the first segment from `number` on that holds records: 1 entered, 0 there is none, < 0 error. `map` is another one after it. */
static int enter_later(walk *w, uint64_t number)
{
    uint64_t lowest, highest;
    if (!chr_segment_range(w->dir, &lowest, &highest))
        return 0;
    for (; number <= highest; number++) {
        int entered = enter(w, number);
        if (entered < 0)
            return -1;
        if (entered && holds_more(w))
            return 1;
    }
    return 0;
}

/* The segment cannot be continued. Go on in a later one that holds records, or after all. */
static int quarantine(walk *w, int verdict, uint64_t highest)
{
    chr_tail *t = w->tail;
    uint64_t first_lost = t->seq, number = t->number + 1;
    if (list_quarantine(w, chr_verdict_text(verdict)) < 0)
        return -1;
    if (w->map != NULL)
        chr_segment_seal(w->map, (uint32_t)t->offset, CHR_SEAL_QUARANTINED, w->seed);
    int entered = enter_later(w, number);
    if (entered < 0)
        return -1;
    if (entered) {
        begin_at(w, w->map->number);
        t->fresh = false;
        t->seq = ((const chr_segment_header *)w->map->base)->first_seq;
        w->seq_known = true;
        return 1; /* walk on */
    }
    if (w->control->next_seq > highest)
        highest = w->control->next_seq;
    begin_at(w, number);
    t->seq = highest > first_lost ? highest : first_lost + 1;
    t->lost_from = first_lost;
    return 0;
}

/* Does any later segment hold records? Leaves the walk where it is. */
static bool goes_on_later(const walk *w)
{
    walk probe = *w;
    chr_error e = {0};
    probe.map = NULL;
    probe.error = &e;
    bool found = enter_later(&probe, w->tail->number + 1) > 0;
    if (probe.map != NULL)
        chr_map_release_now(probe.map);
    return found;
}

/* Was the frame that should stand at the tail known to be there? Two words must say so: one flipped bit declares nothing lost. */
static bool was_committed(const walk *w)
{
    const chr_control *c = w->control;
    uint64_t position = chr_position(w->size, w->tail->number, w->tail->offset);
    if (w->same_boot)
        return w->seq_known && c->next_seq > w->tail->seq && c->head > position;
    return position < c->synced && c->synced <= c->head;
}

/* Does a frame stand where the mark says? `checked` names the last one that its writer knew of. */
static bool mark_holds(const walk *w)
{
    const chr_tail *t = w->tail;
    uint64_t next;
    if (t->offset == CHR_SEGMENT_DATA)
        return true;
    return t->offset > CHR_SEGMENT_DATA && t->offset % CHR_ALIGN == 0 && t->offset <= w->size - CHR_FRAME_HEADER &&
           chr_examine_full(w->map->base, t->offset, w->size, w->seed, &next) == CHR_FRAME_OK;
}

/* The mark leads nowhere (a flipped bit, or segments that are gone): begin behind the segments that are sealed. */
static int start_anew(walk *w)
{
    uint64_t lowest, highest;
    w->tail->mended |= CHR_MENDED_MARKS;
    w->tail->offset = CHR_SEGMENT_DATA;
    if (!chr_segment_range(w->dir, &lowest, &highest))
        return 0;
    for (uint64_t number = chr_walk_from(w->dir, lowest, highest);; number--) {
        int entered = enter(w, number);
        w->tail->number = entered ? number : w->tail->number;
        if (entered || number == lowest || !exists(w, number - 1))
            return entered;
    }
}

/* The walk begins in the segment of the mark, or the last before it that exists. */
static int start_of_walk(walk *w)
{
    chr_control *c = w->control;
    chr_tail *t = w->tail;
    uint64_t from = w->same_boot ? c->checked : c->synced;
    t->number = from / w->size;
    t->offset = w->same_boot ? from % w->size : CHR_SEGMENT_DATA;
    t->last_ts = c->last_ts;
    int entered = enter(w, t->number);
    if (entered == 0 && t->number > 0 && exists(w, t->number - 1)) {
        t->offset = CHR_SEGMENT_DATA;
        entered = enter(w, --t->number);
    }
    if (entered == 0 || (entered > 0 && !mark_holds(w)))
        entered = start_anew(w);
    if (entered < 0)
        return -1;
    if (entered) {
        const chr_segment_header *h = (const chr_segment_header *)w->map->base;
        w->seq_known = t->offset == CHR_SEGMENT_DATA;
        t->seq = h->first_seq;
        t->last_ts = h->first_ts;
        t->last_epoch = h->prev_epoch;
        return 1;
    }
    if (t->number > c->head / w->size) /* no segment at all, and a mark beyond the head */
        t->number = c->head / w->size;
    t->seq = c->next_seq;
    begin_at(w, t->number);
    if (c->next_seq == c->oldest_seq || (c->next_seq == 0 && c->head == CHR_SEGMENT_DATA))
        return 0; /* a queue without a record */
    t->seq = c->oldest_seq; /* every segment is missing */
    return quarantine(w, CHR_FRAME_NONE, c->next_seq);
}

/* Behind a padding: into the next segment, or the tail stands at its start. */
static int walk_on(walk *w)
{
    chr_tail *t = w->tail;
    int entered = enter(w, t->number + 1);
    if (entered < 0)
        return -1;
    begin_at(w, t->number + 1);
    if (entered) {
        const chr_segment_header *h = (const chr_segment_header *)w->map->base;
        t->fresh = false;
        w->seq_known = w->seq_known && h->first_seq == t->seq;
        return 1;
    }
    bool hole = goes_on_later(w) || (w->map == NULL && was_committed(w));
    if (w->map != NULL)
        chr_map_release_now(w->map); /* only prepared: nothing in it to seal */
    w->map = NULL;
    return hole ? quarantine(w, CHR_FRAME_NONE, 0) : 0;
}

int chr_recover(const char *dir, chr_control *control, chr_tail *tail, chr_error *e)
{
    uint8_t boot[16];
    walk w = {.dir = dir, .control = control, .tail = tail, .error = e, .size = control->segment_size};
    memset(tail, 0, sizeof *tail);
    tail->lost_from = UINT64_MAX;
    chr_boot_id(boot);
    w.seed = chr_crc_seed(control->queue_id);
    static const uint8_t unknown[16]; /* a host that does not tell may have been cut off since */
    w.same_boot = memcmp(boot, control->boot_id, 16) == 0 && memcmp(boot, unknown, 16) != 0;
    int going = start_of_walk(&w);
    while (going > 0) {
        int verdict = walk_segment(&w);
        if (verdict == CHR_FRAME_OK) { /* padding */
            going = walk_on(&w);
            continue;
        }
        if (!w.seq_known && verdict == CHR_FRAME_NONE)
            tail->seq = control->next_seq;
        uint64_t highest = scan_on(&w);
        if (highest || goes_on_later(&w) || was_committed(&w) || (w.same_boot && verdict != CHR_FRAME_NONE)) {
            going = quarantine(&w, verdict, highest);
            continue;
        }
        zero_tail(&w);
        going = 0;
    }
    if (w.map != NULL)
        chr_map_release_now(w.map);
    return going < 0 ? -1 : 0;
}
