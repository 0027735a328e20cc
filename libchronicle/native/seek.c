/* Seek: the first record at or after a seq or a time. The index is a hint; what decides is the walk over frames.
 *
 * Segments are ordered by first_seq and by first_ts, so the segment comes from a binary search over headers, the place to begin from its index (an entry
 * counts only if the frame it names matches), and the rest is a scan of at most 64 KiB when the index is whole, of the segment when it is not.
 */
#include "chr_core.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#define CHR_FIRSTS 1024u /* segments whose beginnings a reader remembers */

typedef struct {
    bool by_time;
    uint64_t seq;
    int64_t ts_ns;
} target;

/* Does the record lie before the target? */
static bool before(const target *t, uint64_t seq, int64_t ts_ns) { return t->by_time ? ts_ns < t->ts_ns : seq < t->seq; }

static const chr_control *control_of(const chr_subscriber *s) { return (const chr_control *)s->pages.control->base; }

/* Where a segment begins. A header that is complete never changes, so it is read once: a seek through hundreds of segments then opens one. */
struct chr_first {
    uint64_t number_1; /* number + 1; 0 = an empty entry */
    uint64_t seq;
    int64_t ts_ns;
};

enum { FIRST_UNREADABLE, FIRST_UNBEGUN, FIRST_KNOWN };

static int read_first(const chr_subscriber *s, uint64_t number, chr_first *out)
{
    chr_segment_header h;
    if (!chr_segment_read_header(s->dir, number, s->queue_id, &h))
        return FIRST_UNREADABLE;
    *out = (chr_first){number + 1, h.first_seq, h.first_ts};
    return h.first_seq == CHR_SEQ_UNKNOWN ? FIRST_UNBEGUN : FIRST_KNOWN;
}

/* Mapping an index costs more than the search in it, so those looked into last stay mapped: as long as all readers of the process together leave the
 * SIGBUS handler's table half empty, for the maps that matter more. NULL: there is none, or it cannot be read. */
static const chr_map *index_of(chr_subscriber *s, uint64_t number, chr_error *e)
{
    chr_map **kept = &s->indexes[number % CHR_INDEXES_KEPT];
    if (*kept == NULL && chr_map_count() >= CHR_MAPS_WATCHED / 2)
        kept = &s->indexes[0];
    if (*kept != NULL && (*kept)->number == number && !(*kept)->broken)
        return *kept;
    chr_map_release_now(*kept);
    *kept = chr_index_open(s->dir, number, s->segment_size, s->queue_id, false, e);
    if (*kept != NULL)
        chr_map_close_file(*kept);
    return *kept;
}

static int first_of(chr_subscriber *s, uint64_t number, chr_first *out)
{
    if (s->firsts == NULL)
        s->firsts = calloc(CHR_FIRSTS, sizeof *s->firsts);
    chr_first *kept = s->firsts ? &s->firsts[number % CHR_FIRSTS] : NULL;
    if (kept != NULL && kept->number_1 == number + 1) {
        *out = *kept;
        return FIRST_KNOWN;
    }
    int state = read_first(s, number, out);
    if (kept != NULL && state == FIRST_KNOWN)
        *kept = *out;
    return state;
}

/* May the target lie in an earlier segment than this one? A header's first_ts is the last time before it, so equality means: look earlier. */
static bool starts_after(const target *t, const chr_first *first) { return t->by_time ? first->ts_ns >= t->ts_ns : first->seq > t->seq; }

/* chr_reader_oldest, from what is remembered if that bears it out. */
static uint64_t oldest_of(chr_subscriber *s)
{
    const chr_control *c = control_of(s);
    uint64_t oldest = chr_load_acquire64(&c->oldest);
    chr_first first;
    return first_of(s, oldest, &first) == FIRST_KNOWN && first.seq == chr_load_acquire64(&c->oldest_seq) ? oldest : chr_reader_oldest(s);
}

/* The segments between which to look: what the control page says, if it can be; else what the directory holds. */
static void span(chr_subscriber *s, uint64_t *low, uint64_t *high)
{
    uint64_t lowest, highest;
    *low = oldest_of(s);
    *high = chr_load_acquire64(&control_of(s)->head) / s->segment_size;
    if ((*low <= *high && chr_segment_there(s->dir, *high)) || !chr_segment_range(s->dir, &lowest, &highest))
        return;
    *high = *high < highest ? *high : highest;
    *low = *low <= *high ? *low : lowest;
}

/* The last segment that does not begin after the target; the oldest if all do. What cannot be read is passed over: a hole the walk will tell. */
static uint64_t find_segment(chr_subscriber *s, const target *t, uint64_t low, uint64_t high)
{
    while (low < high) {
        uint64_t middle = (low + high + 1) / 2, probe = middle;
        chr_first first;
        int state = first_of(s, probe, &first);
        while (state == FIRST_UNREADABLE && (probe = chr_segment_after(s->dir, probe)) <= high)
            state = first_of(s, probe, &first);
        if (state != FIRST_KNOWN || starts_after(t, &first))
            high = middle - 1;
        else
            low = probe;
    }
    return low;
}

/* The cursor has come over what is missing: what next() tells before it goes on. */
static void note_missing(chr_subscriber *s, const chr_slot *from)
{
    const chr_segment_header *h = (const chr_segment_header *)s->hot.base;
    uint64_t upto = s->hot.next_seq;
    if (from->seq >= upto || chr_reader_passed(s, from->position / s->segment_size))
        return; /* nothing is, or retention took it */
    s->hot.next_seq = from->seq;
    chr_hole_note(s, from, upto, h->first_ts, h->prev_epoch);
}

/* The beginning of a segment that cannot be opened. */
static chr_slot beginning(chr_subscriber *s, const target *t, uint64_t number)
{
    const chr_control *c = control_of(s);
    chr_slot slot = {.queue_id = s->queue_id, .position = chr_position(s->segment_size, number, CHR_SEGMENT_DATA)};
    chr_first first;
    if (first_of(s, number, &first) == FIRST_KNOWN)
        slot.seq = first.seq;
    else if (number == chr_load_acquire64(&c->oldest))
        slot.seq = chr_load_acquire64(&c->oldest_seq);
    else
        slot.seq = t->by_time ? CHR_SEQ_UNKNOWN : t->seq;
    return slot;
}

/* At the start of the segment where the target may lie, or of the first after it that can be opened. */
static int place_from(chr_subscriber *s, const target *t, chr_error *e)
{
    uint64_t low, last;
    span(s, &low, &last);
    uint64_t number = find_segment(s, t, low, last), found = number;
    while (chr_reader_place(s, number, CHR_SEGMENT_DATA, CHR_SEQ_UNKNOWN, e) < 0) /* the head may have moved on, and retention behind it */
        if ((number = chr_segment_after(s->dir, number)) > chr_load_acquire64(&control_of(s)->head) / s->segment_size ||
            (e->sys != ENOENT && e->code != CHR_E_BROKEN && e->code != CHR_E_CORRUPT))
            return -1;
    if (number != found) {
        chr_slot from = beginning(s, t, found);
        note_missing(s, &from);
    }
    return 0;
}

/* Does the entry name a frame that lies before the target? A checksum vouches for it, so the frame itself, on another page, is not looked at. */
static bool leads(const chr_subscriber *s, const target *t, const chr_index_entry *entry)
{
    return entry->offset >= CHR_SEGMENT_DATA && entry->offset % CHR_ALIGN == 0 && entry->offset <= s->segment_size - CHR_FRAME_HEADER &&
           entry->crc == chr_checksum(entry, offsetof(chr_index_entry, crc)) && before(t, entry->seq, entry->ts_ns);
}

/* Is that frame there? An entry may be whole and yet of a segment that was mended since. */
static bool holds(const chr_subscriber *s, const chr_index_entry *entry)
{
    const chr_frame_header *f = (const chr_frame_header *)(s->hot.base + entry->offset);
    uint64_t next;
    return chr_examine_full(s->hot.base, entry->offset, s->segment_size, s->hot.crc_seed, &next) == CHR_FRAME_OK && f->seq == entry->seq &&
           f->ts_ns == entry->ts_ns && f->type_id != CHR_TYPE_PADDING;
}

/* The greatest indexed frame before the target; the segment's first frame if there is none. */
static uint64_t hint(const chr_subscriber *s, const target *t, const chr_map *index)
{
    const chr_index_entry *entries = (const chr_index_entry *)(index->base + sizeof(chr_index_header));
    uint32_t low = 0, high = chr_index_slots(s->segment_size);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (leads(s, t, &entries[middle]))
            low = middle + 1;
        else
            high = middle; /* behind it, not filled yet, or damaged: only earlier ones can help */
    }
    while (low > 0)
        if (leads(s, t, &entries[--low]) && holds(s, &entries[low]))
            return entries[low].offset;
    return CHR_SEGMENT_DATA;
}

/* Records before the target, each looked at once. */
static void stride(chr_subscriber *s, const target *t)
{
    chr_reader *r = &s->hot;
    uint64_t next;
    for (;;) {
        const chr_frame_header *f = (const chr_frame_header *)(r->base + r->offset);
        if (chr_examine_full(r->base, r->offset, s->segment_size, r->crc_seed, &next) != CHR_FRAME_OK || f->type_id >= CHR_TYPE_RESERVED ||
            f->seq != r->next_seq || !before(t, f->seq, f->ts_ns))
            break;
        r->epoch = f->epoch;
        r->back = next - r->offset;
        r->offset = next;
        r->next_seq++;
    }
    s->placed = (uint32_t)r->offset;
    s->placed_seq = r->next_seq;
    chr_reader_set_step(s);
}

/* The same walk as every read, until a record is not before the target. */
static int walk_to(chr_subscriber *s, const target *t)
{
    chr_reader *r = &s->hot;
    chr_frame frame;
    for (;;) {
        stride(s, t);
        uint64_t at = chr_reader_position(r);
        chr_slot from = chr_reader_stands(s);
        int rc = chr_reader_peek(r);
        if (rc < 0 && r->error.code == CHR_E_CORRUPT) {
            rc = chr_hole_skip(s) <= 0 ? -1 : 2; /* the caller asked for something behind it, so it has been told */
        } else if (rc < 0 && (r->error.code == CHR_E_EVICTED || (r->error.code == CHR_E_BROKEN && !r->map->broken))) {
            note_missing(s, &from);
            rc = 2; /* told by next() if the target lies in it */
        }
        if (rc <= 0)
            return rc;
        if (rc == 2 && chr_reader_position(r) == at && !s->hole_pending)
            return -1; /* nothing stands behind it */
        if (rc == 2)
            continue;
        const chr_frame_header *f = (const chr_frame_header *)(r->base + r->offset);
        if (s->hole_pending ? !before(t, s->hole.to_seq, s->hole_ts_ns) : !before(t, f->seq, f->ts_ns))
            return 0;
        if (chr_next(r, &frame) < 0)
            return -1;
    }
}

/* A file that lost its bytes holds up nobody who goes elsewhere. */
static bool only_here(const chr_subscriber *s)
{
    return s->hot.error.code == CHR_E_BROKEN && s->hot.map->broken && !s->pages.control->broken;
}

static int seek(chr_subscriber *s, const target *t)
{
    chr_error *e = &s->hot.error;
    if (chr_reader_alive(s) < 0 && !only_here(s))
        return -1;
    if (place_from(s, t, e) < 0)
        return -1;
    uint64_t number = s->hot.map->number;
    const chr_map *index = index_of(s, number, e);
    uint64_t from = index ? hint(s, t, index) : CHR_SEGMENT_DATA;
    if (from != CHR_SEGMENT_DATA) {
        const chr_frame_header *f = (const chr_frame_header *)(s->hot.base + from);
        if (chr_reader_place(s, number, from, f->seq, e) < 0)
            return -1;
    }
    return walk_to(s, t);
}

int chr_reader_seek_seq(chr_reader *r, uint64_t seq)
{
    target t = {.by_time = false, .seq = seq};
    return seek((chr_subscriber *)r, &t);
}

int chr_reader_seek_time(chr_reader *r, int64_t ts_ns)
{
    target t = {.by_time = true, .ts_ns = ts_ns};
    return seek((chr_subscriber *)r, &t);
}
