"""One raw queue being refined."""

from libc.stdint cimport int64_t, uint16_t, uint64_t

from libchronicle.etl.target cimport Target, chr_etl_limits, chr_etl_tally
from libchronicle.native.binding cimport Subscriber
from libchronicle.native.hot cimport chr_frame


cdef class Route:
    cdef Target only                  # of an instrument that always means the same; None also if it is not ours
    cdef list since_ns                # else: from when on ...
    cdef list targets                 # ... it means which; None = another group's
    cdef uint64_t instrument_id       # of the raw records

    cdef Target at(self, int64_t event_ns)


cdef class Refinery:
    cdef readonly Subscriber raw
    cdef readonly dict targets        # canonical venue:SYMBOL -> Target
    cdef readonly list faults         # errors that cost a definition; whoever shows them takes them out
    cdef object symbols, group, shelves
    cdef public object finder         # called with (self, instrument id, seq): learn what was defined before
    cdef set absent                   # instruments that it did not find
    cdef dict routes                  # raw instrument id -> Route
    cdef chr_etl_limits limits
    cdef chr_etl_tally tally
    cdef uint64_t raw_id
    cdef chr_frame held               # read, and not in yet
    cdef bint holding
    cdef list holes                   # (from, to, reason) to be told before the next frame
    cdef readonly int64_t oldest_ts   # time of the first frame the last run took
    cdef readonly int64_t newest_ts   # of the last one
    cdef readonly uint64_t frames
    cdef bint all_read                # the last run came to the end of the raw queue
    cdef readonly bint damaged        # records are missing in a clean queue

    cdef int _take(self, const chr_frame *f) except -1
    cdef int _record(self, int kind, const chr_frame *f) except -1
    cdef Route _find(self, uint64_t number, uint64_t seq)
    cdef int _phase(self, const chr_frame *f) except -1
    cdef int _gap(self, const chr_frame *f) except -1
    cdef int _hole(self, const chr_frame *f, uint64_t first, uint64_t last, int reason) except -1
    cdef int _trouble(self) except -1
