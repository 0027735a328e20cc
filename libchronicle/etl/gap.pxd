"""A Gap that the refinery writes itself."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from libchronicle.native.hot cimport chr_frame
from libchronicle.protocol.layout cimport CHR_GAP, CHR_GAP_BLOCK, chr_gap_t, chr_sbe_header_t
from libchronicle.protocol.sbe cimport chr_put_block


cdef struct chr_gap_room:
    uint64_t words[16]  # more than a Gap takes


cdef inline void make_gap(
    chr_frame *told, chr_gap_room *room, const chr_frame *f, uint64_t instrument_id, uint64_t first, uint64_t last, int reason
) noexcept:
    """`told`: a frame as `f`, with a Gap in `room` for payload. Raw records `first` to `last` are missing; 0, 0 = not known."""
    cdef chr_gap_t *gap = <chr_gap_t *>chr_put_block(room, CHR_GAP)
    gap.instrument_id = instrument_id
    gap.recv_ts = f.ts_ns
    gap.reason = <uint8_t>reason
    if last:
        gap.expected_id = first
        gap.received_id = last + 1
    told[0] = f[0]
    told.type_id = CHR_GAP
    told.payload = <const uint8_t *>room
    told.size = <uint32_t>(sizeof(chr_sbe_header_t) + CHR_GAP_BLOCK)
