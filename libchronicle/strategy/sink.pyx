"""Order sinks: the one thing, beside the clock, that differs between live, paper and backtest."""

from libc.string cimport memcpy

from libchronicle.native.binding cimport Publisher, raise_writer
from libchronicle.native.hot cimport chr_abort, chr_commit, chr_reserve
from libchronicle.protocol.layout cimport (
    CHR_SCHEMA_ID,
    CHR_SCHEMA_VERSION,
    chr_sbe_header_t,
)

from libchronicle.errors import Closed, MisuseError


cdef inline void _fill(void *to, uint16_t type_id, const void *block, uint16_t block_size) noexcept nogil:
    cdef chr_sbe_header_t *header = <chr_sbe_header_t *> to
    header.block_length = block_size
    header.template_id = type_id
    header.schema_id = CHR_SCHEMA_ID
    header.version = CHR_SCHEMA_VERSION
    memcpy(header + 1, block, block_size)


cdef class OrderSink:
    cdef int put(self, uint16_t type_id, const void *block, uint16_t block_size) except -1:
        raise MisuseError(reason=f"{type(self).__name__} does not say where requests go; take QueueSink or MemorySink")


cdef class QueueSink(OrderSink):
    """Encodes straight into orders_out. While `rehearsing`, what was encoded is given back at once."""

    def __init__(self, Publisher publisher not None):
        self.publisher = publisher
        self.writer = publisher.enter()  # whoever closes it meanwhile waits for release()
        self.queue_id = publisher.queue_id
        self.epoch = self.writer.epoch

    cdef int put(self, uint16_t type_id, const void *block, uint16_t block_size) except -1:
        cdef uint32_t size = sizeof(chr_sbe_header_t) + block_size
        cdef void *to
        if self.writer == NULL:
            raise Closed(path=self.publisher.path)
        to = chr_reserve(self.writer, type_id, size)
        if to == NULL:
            raise_writer(self.publisher)
        _fill(to, type_id, block, block_size)
        if self.rehearsing:
            chr_abort(self.writer)
            return 0
        cdef int64_t seq = chr_commit(self.writer, size, -1)
        if seq < 0:
            raise_writer(self.publisher)
        self.seq = <uint64_t> seq
        self.ts_ns = self.writer.last_ts
        return 0

    def release(self):
        """Let the publisher be closed; nothing can be put any more. Idempotent."""
        if self.writer != NULL:
            self.writer = NULL
            self.publisher.leave()


cdef class MemorySink(OrderSink):
    """Keeps requests in a list, stamped by `clock()`: for tests of strategies and for simulators."""

    def __init__(self, clock, uint64_t queue_id=1, uint32_t epoch=1, uint64_t first_seq=0):
        self.messages = []
        self.clock = clock
        self.queue_id = queue_id
        self.epoch = epoch
        self.first_seq = first_seq

    cdef int put(self, uint16_t type_id, const void *block, uint16_t block_size) except -1:
        cdef bytearray payload = bytearray(sizeof(chr_sbe_header_t) + block_size)
        _fill(<char *> payload, type_id, block, block_size)
        self.seq = self.first_seq + <uint64_t> len(self.messages)
        self.ts_ns = self.clock()
        self.messages.append((type_id, bytes(payload)))
        return 0
