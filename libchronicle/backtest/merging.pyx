"""Several sources as one: the earliest record first, of equal times that of the source named first."""

from libc.stdint cimport uint32_t
from libc.stdlib cimport calloc, free

from libchronicle.native.hot cimport chr_frame
from libchronicle.replay.engine cimport chr_heap_pop, chr_heap_push, chr_heap_settle
from libchronicle.replay.source cimport SOURCE_ERROR, SOURCE_FRAME, FrameSource


cdef class Merged:
    """`listener.damaged(number, error)` is asked when source `number` cannot be read on: it raises, or the source is read behind it."""

    def __cinit__(self, list sources not None, listener):
        cdef uint32_t count = len(sources)
        self.sources, self.listener = sources, listener
        self.pending = -1
        self.raw = <void **>calloc(count + 1, sizeof(void *))
        self.heads = <chr_head *>calloc(count + 1, sizeof(chr_head))
        self.heap.heads = self.heads
        self.heap.first = <uint32_t *>calloc(count + 1, sizeof(uint32_t))
        if self.raw == NULL or self.heads == NULL or self.heap.first == NULL:
            raise MemoryError("no memory for a backtest")
        for number, source in enumerate(sources):
            if not isinstance(source, FrameSource):
                raise TypeError(f"a source is a FrameSource, not {type(source).__name__}")
            self.raw[number] = <void *>source  # `sources` holds them

    def __dealloc__(self):
        free(self.raw)
        free(self.heads)
        free(self.heap.first)

    def begin(self):
        """Take the first record of each source."""
        cdef uint32_t source
        for source in range(<uint32_t>len(self.sources)):
            if self.refill(source):
                chr_heap_push(&self.heap, source)

    cdef int refill(self, uint32_t source) except -1:
        """The next frame of a source into its head: 1, or 0 when it has ended."""
        cdef int rc
        while True:
            rc = (<FrameSource>self.raw[source]).next(&self.heads[source].frame)
            if rc != SOURCE_ERROR:
                return rc == SOURCE_FRAME
            damaged = <FrameSource>self.raw[source]
            error, damaged.error = damaged.error, None
            self.listener.damaged(source, error)

    cdef chr_frame *peek(self) except? NULL:
        """The next record, which stays the next until it is taken; NULL: there is none. It lives until the next peek after that."""
        if self.pending >= 0:
            self.source = <uint32_t>self.pending
            self.pending = -1
            if not self.refill(self.source):
                chr_heap_pop(&self.heap)
            elif self.heap.count > 1:
                chr_heap_settle(&self.heap)
        if self.heap.count == 0:
            return NULL
        self.source = self.heap.first[0]
        return &self.heads[self.source].frame

    cdef int take(self) noexcept:
        self.pending = self.source
        return 0
