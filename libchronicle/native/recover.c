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
 * Quarantine: the segment is sealed as it is, with the seal's end at the first bad frame, and listed in quarantine.json. The walk goes on at the next valid
 * frame, in this segment or a later one that was begun: one bad frame costs that frame, and readers are told of it where it stood. A
 * quarantined segment is not written again. If it was the last, writing goes on in the next one, above every seq known to have been used; what is
 * missing at the end is declared by its first record, LOST. Nothing that was committed is ever zeroed.
 *
 * Another boot may also find records in a segment whose header never reached the disk, and bytes of torn frames in segments behind the tail. The former is
 * begun by the seq that must stand at its start; the latter, where nothing valid follows, are zeroed like a torn tail, so that no frame of a life that is over
 * can ever stand where the next one's writer is about to arrive. A header may be of a life that is over as well: it counts only if the record that it says
 * comes first is there, or the segment before ends as it says.
 */
#include "chr_core.h"

#include <string.h>

typedef struct {
    const char *dir;
    chr_control *control;
    chr_tail *tail;
    chr_error *error;
    chr_map *map;       /* segment tail->number */
    uint32_t size, seed;
    bool same_boot, seq_known;
    uint64_t hurt;      /* number + 1 of the segment that was quarantined last */
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

/* 1 opened and begun, 0 absent or only prepared, < 0 error. */
static int enter(walk *w, uint64_t number)
{
    if (w->map != NULL)
        chr_map_release_now(w->map);
    w->map = NULL;
    if (!chr_segment_there(w->dir, number))
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
        if (f->type_id == CHR_TYPE_PADDING) {
            t->seq = w->seq_known ? t->seq : f->seq;
            w->seq_known = true;
            t->last_ts = f->ts_ns; /* frames before it may be lost */
            return CHR_FRAME_OK;
        }
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

/* Where the next valid frame that goes on from the tail stands in this segment; 0 = there is none. */
static uint64_t next_good(const walk *w)
{
    return w->map == NULL ? 0 : chr_segment_next_good(w->map, w->seed, w->tail->offset, w->size, w->tail->seq);
}

static void zero(uint8_t *from, uint64_t size)
{
    static const uint8_t nothing[CHR_ALIGN];
    for (uint64_t at = 0; at < size; at += CHR_ALIGN) /* a page that is zero already is not dirtied */
        if (memcmp(from + at, nothing, CHR_ALIGN) != 0)
            memset(from + at, 0, CHR_ALIGN);
}

/* The segment goes on at the tail: nothing stands behind it, and no seal over what is still to be written. */
static void zero_tail(walk *w)
{
    const chr_control *c = w->control;
    uint64_t base = chr_position(w->size, w->tail->number, 0);
    uint64_t end = w->size, step_end = (w->tail->offset / CHR_STEP + 1) * CHR_STEP;
    if (w->same_boot && c->touched >= base && c->touched - base < w->size)
        end = c->touched - base;
    if (end < step_end) /* no writer notes less than a step */
        end = step_end < w->size ? step_end : w->size;
    if (end > w->tail->offset)
        zero(w->map->base + w->tail->offset, end - w->tail->offset);
    zero(w->map->base + sizeof(chr_segment_header), sizeof(chr_seal));
}

static void begin_at(walk *w, uint64_t number)
{
    w->tail->number = number;
    w->tail->offset = CHR_SEGMENT_DATA;
    w->tail->last_offset = 0;
    w->tail->fresh = true;
}

/* Does the mapped segment hold a record above what is known so far? Another boot may have lost the first ones. */
static bool holds_more(const walk *w)
{
    return chr_segment_next_good(w->map, w->seed, CHR_SEGMENT_DATA, w->same_boot ? CHR_SEGMENT_DATA + CHR_ALIGN : w->size, w->tail->seq) != 0;
}

/* Is the record that the header of the mapped segment says comes first there? If not, the header may be of a life that is over, whose records are too. */
static bool bears_out(const walk *w)
{
    const chr_frame_header *f = (const chr_frame_header *)(w->map->base + CHR_SEGMENT_DATA);
    uint64_t next;
    return chr_examine_full(w->map->base, CHR_SEGMENT_DATA, w->size, w->seed, &next) == CHR_FRAME_OK &&
           f->seq == ((const chr_segment_header *)w->map->base)->first_seq;
}

/* Enters the first segment from `number` on that holds records: 1 entered, 0 there is none, < 0 error. */
static int enter_later(walk *w, uint64_t number)
{
    for (number = chr_segment_after(w->dir, number - 1); number != UINT64_MAX; number = chr_segment_after(w->dir, number)) {
        int entered = enter(w, number);
        if (entered < 0)
            return -1;
        if (w->map != NULL && holds_more(w))
            return 1;
    }
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

/* The walk goes on at the start of the segment that was entered, begun now if that did not reach the disk. */
static int go_on(walk *w)
{
    chr_tail *t = w->tail;
    const chr_segment_header *h = (const chr_segment_header *)w->map->base;
    if (h->first_seq == CHR_SEQ_UNKNOWN)
        chr_segment_begin(w->map, t->seq, t->last_ts, t->last_epoch);
    begin_at(w, w->map->number);
    t->fresh = false;
    return 1;
}

/* Segments that were begun and hold nothing any more, before one that does: readers are to pass through them at once. */
static void close_empty(const walk *w, uint64_t from, uint64_t below)
{
    walk probe = *w;
    chr_error e = {0};
    probe.map = NULL;
    probe.error = &e;
    for (; from < below; from++)
        if (enter(&probe, from) > 0)
            chr_segment_seal(probe.map, CHR_SEGMENT_DATA, CHR_SEAL_QUARANTINED, w->seed);
    if (probe.map != NULL)
        chr_map_release_now(probe.map);
}

/* The segment cannot be continued. Go on in a later one that holds records, or after all; `lost` = so many are missing at least. */
static int leave(walk *w, uint64_t lost)
{
    chr_tail *t = w->tail;
    uint64_t first_lost = t->seq, number = t->number + 1;
    int entered = enter_later(w, number);
    if (entered < 0)
        return -1;
    if (entered) {
        close_empty(w, number, w->map->number);
        go_on(w);
        t->seq = ((const chr_segment_header *)w->map->base)->first_seq;
        w->seq_known = true;
        return 1;
    }
    begin_at(w, number);
    t->seq = w->control->next_seq > first_lost + lost ? w->control->next_seq : first_lost + lost;
    t->lost_from = t->seq > first_lost ? first_lost : UINT64_MAX;
    return 0;
}

/* A bad frame, or none where one was. The walk goes on behind it. */
static int quarantine(walk *w, int verdict)
{
    chr_tail *t = w->tail;
    if (chr_quarantine_list(w->dir, t, chr_verdict_text(verdict), w->error) < 0)
        return -1;
    w->hurt = t->number + 1;
    if (w->map != NULL && w->map->number != t->number) { /* of a search for where to begin */
        chr_map_release_now(w->map);
        w->map = NULL;
    }
    if (w->map != NULL && ((const chr_segment_header *)w->map->base)->first_seq == CHR_SEQ_UNKNOWN)
        chr_segment_begin(w->map, t->seq, t->last_ts, t->last_epoch); /* a reader must be able to pass */
    if (w->map != NULL)
        chr_segment_seal(w->map, (uint32_t)t->offset, CHR_SEAL_QUARANTINED, w->seed);
    uint64_t at = next_good(w);
    if (at == 0)
        return leave(w, verdict != CHR_FRAME_NONE);
    t->offset = at;
    t->seq = ((const chr_frame_header *)(w->map->base + at))->seq;
    w->seq_known = true;
    return 1;
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

/* The last segment before `number` that exists, over a gap too; one from `lowest` on does. */
static uint64_t existing_before(const walk *w, uint64_t lowest, uint64_t number)
{
    if (chr_segment_there(w->dir, number - 1))
        return number - 1;
    for (uint64_t next = lowest; next < number; next = chr_segment_after(w->dir, next))
        lowest = next;
    return lowest;
}

/* A queue whose first opening was cut off: the marks as they were made, and at most one segment, without a record. Nothing to alarm anybody about. */
static bool never_begun(const walk *w)
{
    const chr_control *c = w->control;
    uint64_t lowest = 0, highest = 0, made = CHR_SEGMENT_DATA;
    if (c->next_seq != 0 || c->head != made || c->checked != made || c->touched != made || c->synced != made)
        return false;
    return (!chr_segment_range(w->dir, &lowest, &highest) || highest == 0) && (w->map == NULL || !holds_more(w));
}

/* The mark leads nowhere (a flipped bit, or segments that are gone): begin behind the segments that are sealed. */
static int start_anew(walk *w)
{
    uint64_t lowest, highest;
    w->tail->offset = CHR_SEGMENT_DATA;
    if (!chr_segment_range(w->dir, &lowest, &highest))
        return 0;
    if (!never_begun(w))
        w->tail->mended |= CHR_MENDED_MARKS;
    for (uint64_t number = chr_walk_from(w->dir, lowest, highest);; number = existing_before(w, lowest, number)) {
        int entered = enter(w, number);
        w->tail->number = entered ? number : w->tail->number;
        if (entered || number <= lowest)
            return entered;
    }
}

/* Retention may have gone beyond the mark (unsynced segments go too), and its unlinks reached the disk before `oldest` did; or `oldest` did, and the segment it
 * names never. Which is the first that stays is asked as it will be when the queue is open: none from there on may be left open behind the walk. */
static void skip_removed(walk *w)
{
    uint64_t lowest = 0, highest = 0, oldest = w->control->oldest;
    if (chr_segment_range(w->dir, &lowest, &highest) && (lowest > oldest || !chr_oldest_holds(w->dir, w->control)))
        oldest = lowest;
    if (w->tail->number >= oldest)
        return;
    w->tail->number = oldest;
    w->tail->offset = CHR_SEGMENT_DATA;
}

/* Another boot, at the start of a segment: if no record bears out what its header says, the end of the one before is to say it. */
static int ask_the_one_before(walk *w)
{
    chr_tail *t = w->tail;
    if (w->same_boot || t->offset != CHR_SEGMENT_DATA || t->number <= w->control->oldest || !chr_segment_there(w->dir, t->number - 1) || bears_out(w))
        return 1;
    int entered = enter(w, t->number - 1);
    if (entered == 0)
        return enter(w, t->number);
    t->number -= entered > 0;
    return entered;
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
    skip_removed(w);
    int entered = enter(w, t->number);
    if (entered == 0 && t->number > 0 && chr_segment_there(w->dir, t->number - 1)) {
        t->offset = CHR_SEGMENT_DATA;
        entered = enter(w, --t->number);
    }
    if (entered == 0 || (entered > 0 && !mark_holds(w)))
        entered = start_anew(w);
    if (entered > 0)
        entered = ask_the_one_before(w);
    if (entered < 0)
        return -1;
    t->seq = c->oldest_seq;
    if (!entered && w->map != NULL && !w->same_boot && holds_more(w))
        entered = go_on(w);
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
    return quarantine(w, CHR_FRAME_NONE);
}

/* Behind a padding: into the next segment, or the tail stands at its start. */
static int walk_on(walk *w)
{
    chr_tail *t = w->tail;
    int entered = enter(w, t->number + 1);
    if (entered < 0)
        return -1;
    begin_at(w, t->number + 1);
    if (entered || (w->map != NULL && !w->same_boot && holds_more(w))) {
        go_on(w);
        const chr_segment_header *h = (const chr_segment_header *)w->map->base;
        bool borne_out = w->seq_known ? bears_out(w) : holds_more(w);
        if (!w->same_boot && h->first_seq != t->seq && !borne_out) /* the header is of a life that is over */
            chr_segment_begin(w->map, t->seq, t->last_ts, t->last_epoch);
        w->seq_known = w->seq_known && h->first_seq == t->seq;
        return 1;
    }
    bool hole = goes_on_later(w) || (w->map == NULL && was_committed(w));
    if (w->map != NULL)
        chr_map_release_now(w->map); /* only prepared: nothing in it to seal */
    w->map = NULL;
    return hole ? quarantine(w, CHR_FRAME_NONE) : 0;
}

/* What the walk stopped at is the tail, or a hole behind which it goes on. */
static int judge(walk *w, int verdict)
{
    bool hurt = w->hurt == w->tail->number + 1;
    if (!w->seq_known && verdict == CHR_FRAME_NONE)
        w->tail->seq = w->control->next_seq;
    if (next_good(w) || (w->same_boot && verdict != CHR_FRAME_NONE))
        return quarantine(w, verdict);
    if (hurt)
        return leave(w, 0);
    if (goes_on_later(w) || was_committed(w))
        return quarantine(w, verdict);
    zero_tail(w);
    return 0;
}

/* Another boot: no valid frame stands in the segments behind the tail, so whatever bytes do are of torn ones. */
static void clear_behind(walk *w)
{
    for (uint64_t number = w->tail->number; number != UINT64_MAX; number = chr_segment_after(w->dir, number)) {
        if (number == w->tail->number && !w->tail->fresh)
            continue;
        if (enter(w, number) < 0)
            w->error->code = 0; /* told when it is that segment's turn */
        if (w->map != NULL)
            zero(w->map->base + sizeof(chr_segment_header), w->size - sizeof(chr_segment_header));
    }
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
        going = judge(&w, verdict);
    }
    if (going == 0 && !w.same_boot)
        clear_behind(&w);
    if (w.map != NULL)
        chr_map_release_now(w.map);
    return going < 0 ? -1 : 0;
}
