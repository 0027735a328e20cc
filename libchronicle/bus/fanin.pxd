"""Fan-in for other Cython modules: a hot loop reads many queues without the GIL and without an object per message.

    cdef chr_frame frame
    with nogil:
        slot = chr_fanin_next(&fanin.merge, now_ns, &frame)   # slot of the source, CHR_FANIN_NOTHING or CHR_FANIN_ERROR
    if slot == CHR_FANIN_ERROR:
        fanin.raise_failed()

`slot` is what `FanIn.add` returned, 0..CHR_FANIN_MAX-1: index an array of your own by it. frame.payload is good until the next call.
"""

from libc.stdint cimport int32_t, int64_t

from libchronicle.native.hot cimport chr_frame, chr_reader


cdef extern from "fanin.h" nogil:
    const int32_t CHR_FANIN_MAX
    const int32_t CHR_FANIN_NOTHING
    const int32_t CHR_FANIN_ERROR

    ctypedef struct chr_source:
        chr_reader *reader
        chr_frame frame
        int32_t held
        int32_t paused
        int32_t slot

    ctypedef struct chr_fanin:
        chr_source sources[128]
        int32_t count
        int32_t failed
        int64_t delay_ns
        int64_t release_ns

    void chr_source_rewind(chr_source *source)
    void chr_fanin_rewind(chr_fanin *fanin)
    int32_t chr_fanin_next(chr_fanin *fanin, int64_t now_ns, chr_frame *out)


cdef class FanIn:
    cdef chr_fanin merge
    cdef list _subscribers
    cdef list _names
    cdef dict _slots
    cdef readonly str source
    cdef readonly str failed
    cdef int raise_failed(self) except -1
    cdef int _index(self, str name) except -1
    cdef int _check_open(self) except -1
