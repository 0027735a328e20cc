"""The session journal: what was dispatched to the strategy, in order, with the time it was told.

A Dispatch record covers a run of records of one source that were handled at one `now_ns`. Runs that the strategy did not
see (muted, or of instruments and kinds nobody asked for) need no time of their own: they join the next run of the same
source, so a quiet strategy on a busy feed writes little. A record that made the host tell the strategy something else (a
gap: on_feed_state) counts as seen. Anything else that is recorded closes the run first, so the
order of records is the order of events.
"""

from libc.string cimport memcpy, memset

from libchronicle.native.binding cimport Publisher, raise_writer
from libchronicle.native.hot cimport chr_commit, chr_reserve
from libchronicle.protocol.layout cimport (
    CHR_DISPATCH,
    CHR_SCHEMA_ID,
    CHR_SCHEMA_VERSION,
    CHR_TIMER_FIRED,
    chr_sbe_header_t,
    chr_timer_fired_t,
)

from libchronicle.errors import Closed


cdef class Recorder:
    cdef int dispatched(
        self, uint16_t source, uint64_t seq, uint32_t epoch, int64_t now, bint muted, bint called
    ) except -1:
        """One record of `source` was handled at `now`."""
        cdef chr_dispatch_t *run = &self.pending
        if self.open:
            if (
                run.source == source
                and run.epoch == epoch
                and run.last_seq + 1 == seq
                and run.muted == muted
                and (not self.called or not called or run.now_ns == now)
            ):
                run.last_seq = seq
                if not self.called:
                    run.now_ns = now
                    self.called = called
                return 0
            self.flush()
        run.first_seq = seq
        run.last_seq = seq
        run.now_ns = now
        run.epoch = epoch
        run.source = source
        run.muted = muted
        self.called = called
        self.open = True
        return 0

    cdef int flush(self) except -1:
        if self.open:
            self.open = False
            self.write(CHR_DISPATCH, &self.pending, sizeof(self.pending))
        return 0

    cdef int timer(self, bytes name, int64_t deadline, int64_t now) except -1:
        cdef chr_timer_fired_t fired
        memset(&fired, 0, sizeof(fired))
        fired.deadline_ns = deadline
        fired.now_ns = now
        memcpy(fired.name, <const char *> name, min(<size_t> len(name), sizeof(fired.name)))
        self.flush()
        return self.write(CHR_TIMER_FIRED, &fired, sizeof(fired))

    cdef int write(self, uint16_t type_id, const void *block, uint16_t block_size) except -1:
        return 0

    def append(self, message):
        """Record any message of the schema, after what was dispatched before it."""
        self.flush()
        cdef bytes payload = message.encode()
        self.write(message.TEMPLATE_ID, <const char *> payload + 8, <uint16_t> (len(payload) - 8))

    def flush_now(self):
        self.flush()


cdef class MemoryRecorder(Recorder):
    """Keeps records in a list: for reruns and for tests."""

    def __init__(self):
        self.records = []

    cdef int write(self, uint16_t type_id, const void *block, uint16_t block_size) except -1:
        cdef chr_sbe_header_t header
        header.block_length = block_size
        header.template_id = type_id
        header.schema_id = CHR_SCHEMA_ID
        header.version = CHR_SCHEMA_VERSION
        self.records.append((type_id, (<char *> &header)[: sizeof(header)] + (<const char *> block)[:block_size]))
        return 0


cdef class QueueRecorder(Recorder):
    """Writes to the session queue."""

    def __init__(self, Publisher publisher not None):
        self.publisher = publisher
        self.writer = publisher.enter()  # whoever closes it meanwhile waits for release()

    def release(self):
        """Let the publisher be closed; nothing can be written any more. Idempotent."""
        if self.writer != NULL:
            self.writer = NULL
            self.publisher.leave()

    cdef int write(self, uint16_t type_id, const void *block, uint16_t block_size) except -1:
        cdef uint32_t size = sizeof(chr_sbe_header_t) + block_size
        if self.writer == NULL:
            raise Closed(path=self.publisher.path)
        cdef chr_sbe_header_t *header = <chr_sbe_header_t *> chr_reserve(self.writer, type_id, size)
        if header == NULL:
            raise_writer(self.publisher)
        header.block_length = block_size
        header.template_id = type_id
        header.schema_id = CHR_SCHEMA_ID
        header.version = CHR_SCHEMA_VERSION
        memcpy(header + 1, block, block_size)
        if chr_commit(self.writer, size, -1) < 0:
            raise_writer(self.publisher)
        return 0
