"""What other Cython modules of the archive ask of one frame."""

from libc.stdint cimport int64_t
from libc.string cimport memcpy

from libchronicle.native.hot cimport chr_frame
from libchronicle.protocol.layout cimport (
    CHR_AUCTION_INFO,
    CHR_BEST_BID_ASK,
    CHR_BOOK_DELTA,
    CHR_BOOK_SNAPSHOT,
    CHR_ORDER_ADD,
    CHR_ORDER_DELETE,
    CHR_ORDER_EXECUTE,
    CHR_ORDER_MODIFY,
    CHR_PHASE_CHANGE,
    CHR_TRADE,
)

cdef enum:
    VENUE_TS = 16   # of a payload: header 8, instrument id 8, then venueTs, eventTs, recvTs


cdef inline int64_t event_time(const chr_frame *f) noexcept nogil:
    """When it happened at the venue, as near as the record tells; 0: it is none of a venue's events."""
    cdef int64_t stamp = 0
    cdef int i
    if f.type_id in (
        CHR_BOOK_SNAPSHOT, CHR_BOOK_DELTA, CHR_BEST_BID_ASK, CHR_TRADE, CHR_ORDER_ADD, CHR_ORDER_MODIFY, CHR_ORDER_DELETE,
        CHR_ORDER_EXECUTE, CHR_PHASE_CHANGE, CHR_AUCTION_INFO,
    ):
        if f.size < VENUE_TS + 24:
            return 0
        for i in range(3):
            memcpy(&stamp, f.payload + VENUE_TS + 8 * i, 8)
            if stamp > 0:
                return stamp
        return f.ts_ns
    return 0
