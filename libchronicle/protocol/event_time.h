#ifndef CHR_EVENT_TIME_H
#define CHR_EVENT_TIME_H
/* When a market record happened: what decides the UTC date of the partition it belongs to.

   Rules:
     - its venue time; where the venue gives none its event time; then the time it was received
     - a Gap tells of what is missing, an Instrument of what is meant: neither has a date
     - an injected snapshot stands before the delta it was written for and shows the book of before: no date of its own
     - a BookReset tells, as a Gap does, that what stands here cannot be gone on with: no date, whenever it happened
     - a time further ahead of the frame's own than a quarter of an hour is no time (microseconds read as nanoseconds, a
       broken clock): without a date, or one such record would carry all that follow into its year

   Template ids are numbers of the schema, so the switch knows no more than it must. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "sbe.h"

#define CHR_DAY_NS 86400000000000ll
#define CHR_AHEAD_NS 900000000000ll

static inline int64_t chr_time_at(const void *payload, uint32_t size, uint32_t offset) {
    int64_t ts = 0;
    if (size >= offset + sizeof ts) memcpy(&ts, (const uint8_t *)payload + offset, sizeof ts);
    return ts;
}

/* First of `count` consecutive times that is given; 0 = none. */
static inline int64_t chr_first_time(const void *payload, uint32_t size, uint32_t offset, int count) {
    int64_t ts = 0;
    for (; !ts && count > 0; count--, offset += (uint32_t)sizeof ts) ts = chr_time_at(payload, size, offset);
    return ts;
}

/* Nanoseconds since the Unix epoch; 0 = the record has no time of its own. `frame_ts` is the frame's. */
static inline int64_t chr_event_ns(uint16_t type_id, const void *payload, uint32_t size, int64_t frame_ts) {
    const uint32_t times = sizeof(chr_sbe_header_t) + sizeof(uint64_t); /* behind the instrument id */
    int64_t ts;
    switch (type_id) {
    case CHR_BOOK_SNAPSHOT:
    case CHR_BOOK_DELTA:
    case CHR_BEST_BID_ASK:
    case CHR_TRADE:
    case CHR_ORDER_ADD:
    case CHR_ORDER_MODIFY:
    case CHR_ORDER_DELETE:
    case CHR_ORDER_EXECUTE:
    case CHR_PHASE_CHANGE:
    case CHR_AUCTION_INFO: ts = chr_first_time(payload, size, times, 3); break;
    case CHR_BOOK_RESET: ts = chr_first_time(payload, size, times, 2); break;
    default: return 0;
    }
    return ts > 0 && ts - CHR_AHEAD_NS <= frame_ts ? ts : 0;
}

static inline int chr_is_injected(uint16_t type_id, const void *payload, uint32_t size) {
    if (type_id == CHR_ORDER_ADD) { /* one order of it; `flags` are there since version 3 */
        const chr_order_add_t *order = (const chr_order_add_t *)chr_block(
            payload, size, CHR_ORDER_ADD, offsetof(chr_order_add_t, flags) + sizeof order->flags);
        return order && order->flags & CHR_ORDER_BOOK_FLAGS_INJECTED;
    }
    if (type_id != CHR_BOOK_SNAPSHOT) return 0;
    const chr_book_snapshot_t *m =
        (const chr_book_snapshot_t *)chr_block(payload, size, CHR_BOOK_SNAPSHOT, CHR_BOOK_SNAPSHOT_BLOCK);
    return m && m->flags & CHR_BOOK_FLAGS_INJECTED;
}

/* The time by which a clean segment gets its date, if this record gives it one; else 0. The first such record of a segment
   decides; a segment without any has the date of its first frame. */
static inline int64_t chr_dating_ns(uint16_t type_id, const void *payload, uint32_t size, int64_t frame_ts) {
    if (type_id == CHR_BOOK_RESET || chr_is_injected(type_id, payload, size)) return 0;
    return chr_event_ns(type_id, payload, size, frame_ts);
}

#endif
