#ifndef CHR_CHANNEL_H
#define CHR_CHANNEL_H
/* Places in a venue's channel: order-level records carry `venueSeq`, which numbers the messages of all its instruments. */

#include <stdint.h>
#include <string.h>

#include "chr_hot.h"
#include "messages.h"

/* 0 = nowhere. */
static inline uint32_t chr_venue_seq_offset(uint16_t type_id) {
    switch (type_id) {
    case CHR_ORDER_ADD:
    case CHR_ORDER_MODIFY:
    case CHR_ORDER_DELETE:
    case CHR_ORDER_EXECUTE:
    case CHR_PHASE_CHANGE:
    case CHR_AUCTION_INFO: return sizeof(chr_sbe_header_t) + offsetof(chr_order_add_t, venue_seq);
    default: return 0;
    }
}

_Static_assert(offsetof(chr_order_modify_t, venue_seq) == offsetof(chr_order_add_t, venue_seq), "venueSeq");
_Static_assert(offsetof(chr_order_delete_t, venue_seq) == offsetof(chr_order_add_t, venue_seq), "venueSeq");
_Static_assert(offsetof(chr_order_execute_t, venue_seq) == offsetof(chr_order_add_t, venue_seq), "venueSeq");
_Static_assert(offsetof(chr_phase_change_t, venue_seq) == offsetof(chr_order_add_t, venue_seq), "venueSeq");
_Static_assert(offsetof(chr_auction_info_t, venue_seq) == offsetof(chr_order_add_t, venue_seq), "venueSeq");

/* Is a record the next of its channel, or part of the last message? What carries no number is. `last`: of the last record. */
static inline int chr_channel_follows(uint64_t *last, const chr_frame *f) {
    uint32_t at = chr_venue_seq_offset(f->type_id);
    uint64_t seq = 0, before = *last;
    if (at && f->size >= at + sizeof seq) memcpy(&seq, f->payload + at, sizeof seq);
    if (!seq) return 1;
    *last = seq;
    return !before || seq == before || seq == before + 1;
}

#endif
