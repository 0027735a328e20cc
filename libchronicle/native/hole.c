/* What a reader does at a damaged place: it says so once, steps behind it, and hands out a LOST record for what is missing.
 *
 *   told       Corrupt, with the place, at the first look; not in a quarantined segment, whose damage is known
 *   stepped    the cursor stands at the next good frame that goes on from here, in this segment or the next; `hole` is what lies between
 *              (`hole_from` is where it stood: a commit in this state says that, so whoever resumes there is told again)
 *   given      a LOST record like those a writer declares, but made here: sealed segments are not written. Its seq is the last one lost
 *
 * As long as nothing good follows, the damage is told again at each look. A record made here lives as long as the mapping its neighbours are in.
 */
#include "chr_core.h"

#include <stdlib.h>
#include <string.h>

typedef struct chr_note {
    struct chr_note *next;
    chr_frame_header header;
    chr_lost lost; /* the payload: right behind its header */
} chr_note;

_Static_assert(offsetof(chr_note, lost) == offsetof(chr_note, header) + CHR_FRAME_HEADER, "payload follows its header");

void chr_notes_free(void *notes)
{
    for (chr_note *note = notes, *next; note != NULL; note = next) {
        next = note->next;
        free(note);
    }
}

void chr_hole_note(chr_subscriber *s, const chr_slot *from, uint64_t upto, int64_t ts_ns, uint32_t epoch)
{
    s->hole_pending = upto > s->hot.next_seq;
    if (!s->hole_pending)
        return;
    s->hole_from = *from;
    s->hole = (chr_lost){s->hot.next_seq, upto - 1};
    s->hole_ts_ns = ts_ns;
    s->hole_epoch = epoch;
    s->hot.look_always = 1; /* nothing need stand at the cursor yet */
}

/* 1 the cursor stands behind the damage, 0 nothing good follows yet, < 0 error. */
int chr_hole_skip(chr_subscriber *s)
{
    chr_reader *r = &s->hot;
    chr_slot from = chr_reader_stands(s);
    uint64_t at = chr_segment_next_good(r->map, r->crc_seed, r->offset, s->segment_size, r->next_seq);
    if (at != 0) {
        const chr_frame_header *f = (const chr_frame_header *)(r->base + at);
        r->offset = at;
        r->back = 0;
        chr_reader_set_step(s);
        chr_hole_note(s, &from, f->seq, f->ts_ns, f->epoch);
        return 1;
    }
    if (chr_load_acquire64(&((const chr_control *)s->pages.control->base)->head) / s->segment_size <= r->map->number)
        return 0;
    int crossed = chr_reader_cross(s);
    if (crossed <= 0)
        return crossed;
    const chr_segment_header *h = (const chr_segment_header *)r->base;
    const chr_frame_header *first = (const chr_frame_header *)(r->base + CHR_SEGMENT_DATA);
    bool declared = chr_load_acquire32(&first->commit) != 0 && first->type_id == CHR_TYPE_LOST;
    if (!declared)
        chr_hole_note(s, &from, h->first_seq, h->first_ts, h->prev_epoch);
    return 1;
}

int chr_hole_give(chr_subscriber *s, chr_frame *out)
{
    chr_reader *r = &s->hot;
    chr_note *note = calloc(1, sizeof *note);
    if (note == NULL)
        return chr_fail(&r->error, CHR_E_HOST, s->dir, "out of memory", 0, 0, 0);
    chr_frame_header *f = &note->header;
    *f = (chr_frame_header){.commit = CHR_COMMIT_TAG | sizeof note->lost, .type_id = CHR_TYPE_LOST, .version = CHR_FRAME_VERSION};
    f->seq = s->hole.to_seq;
    f->ts_ns = s->hole_ts_ns;
    f->epoch = s->hole_epoch;
    note->lost = s->hole;
    f->crc = chr_frame_crc(r->crc_seed, f->commit, f, &note->lost, sizeof note->lost);
    note->next = r->map->notes;
    r->map->notes = note;
    *out = (chr_frame){.payload = (const uint8_t *)&note->lost, .size = sizeof note->lost, .type_id = CHR_TYPE_LOST, .version = f->version};
    out->seq = f->seq;
    out->ts_ns = f->ts_ns;
    out->epoch = f->epoch;
    if (r->offset == CHR_SEGMENT_DATA)
        r->epoch = f->epoch;
    r->next_seq = s->hole.to_seq + 1;
    r->back = 0;
    s->hole_pending = 0;
    s->gaps++;
    chr_reader_note_quarantine(s);
    return 1;
}
