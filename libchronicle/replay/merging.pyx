"""Several sources as one: the earliest record first, of equal times that of the source named first. Replays and backtests step with it.

    peek -> 1: the next record is heads[source].frame, and stays it until it is taken
            0: there is none: all sources have ended, or those that have not have nothing yet (`idle`)
           -1: `source` cannot be read on, and failure() says why; asked again, it goes on behind the damage

A record lives until the peek after it was taken. The loop needs no GIL.
"""

from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport calloc, free

from libchronicle.native.hot cimport chr_frame
from libchronicle.replay.source cimport SOURCE_ERROR, SOURCE_FRAME, FrameSource

cdef extern from "heap.h" nogil:
    void chr_heap_push(chr_heap *h, uint32_t source)
    void chr_heap_settle(chr_heap *h)
    void chr_heap_pop(chr_heap *h)

cdef enum:
    NOTHING_YET = 2

ctypedef int (*pull_function)(void *source, chr_frame *out) noexcept nogil


cdef int _pull(FrameSource source, chr_frame *out) noexcept nogil:
    """As FrameSource.next, and NOTHING_YET. An array of sources holds them as pointers, which the loop may call without the GIL."""
    cdef int rc = source.next(out)
    return NOTHING_YET if rc == 0 and not source.ended else rc


cdef pull_function pull = <pull_function>_pull


cdef class Merged:
    def __cinit__(self, list sources not None):
        cdef uint32_t at
        self.sources, self.count = sources, len(sources)
        self.pending = -1
        self.raw = <void **>calloc(self.count + 1, sizeof(void *))
        self.heads = <chr_head *>calloc(self.count + 1, sizeof(chr_head))
        self.heap.heads = self.heads
        self.heap.first = <uint32_t *>calloc(self.count + 1, sizeof(uint32_t))
        if self.raw == NULL or self.heads == NULL or self.heap.first == NULL:
            raise MemoryError("no memory for sources")
        for at, source in enumerate(sources):
            if not isinstance(source, FrameSource):
                raise TypeError(f"a source is a FrameSource, not {type(source).__name__}")
            self.raw[at] = <void *>source  # `sources` holds them
            self.heads[at].idle = True

    def __dealloc__(self):
        free(self.raw)
        free(self.heads)
        free(self.heap.first)

    cdef int refill(self, uint32_t source) noexcept nogil:
        """The next frame of a source into its head: 1, 0 none (ended, or idle), -1."""
        cdef int rc = pull(self.raw[source], &self.heads[source].frame)
        if rc == SOURCE_ERROR:
            self.source = source
            return -1
        self.heads[source].idle = rc == NOTHING_YET
        return rc == SOURCE_FRAME

    cdef int fill(self) noexcept nogil:
        """Heads for all that have none: at the start, and when sources that were idle may have more."""
        cdef uint32_t source
        cdef int rc
        for source in range(self.count):
            if self.heads[source].idle:
                rc = self.refill(source)
                if rc < 0:
                    return -1
                if rc:
                    chr_heap_push(&self.heap, source)
        self.begun = True
        return 0

    cdef int peek(self) noexcept nogil:
        cdef int rc
        if self.pending >= 0:
            rc = self.refill(<uint32_t>self.pending)
            if rc < 0:
                return -1
            self.pending = -1
            if rc == 0:
                chr_heap_pop(&self.heap)
            elif self.heap.count > 1:
                chr_heap_settle(&self.heap)
        if (self.heap.count == 0 or not self.begun) and self.fill() < 0:
            return -1
        if self.heap.count == 0:
            return 0
        self.source = self.heap.first[0]
        return 1

    cdef void take(self) noexcept nogil:
        self.pending = self.source

    cdef bint idle(self) noexcept nogil:
        """Has one of the sources nothing only for now?"""
        cdef uint32_t source
        for source in range(self.count):
            if self.heads[source].idle:
                return True
        return False

    def failure(self):
        """Why `source` cannot be read on."""
        cdef FrameSource source = self.sources[self.source]
        error, source.error = source.error, None
        return error
