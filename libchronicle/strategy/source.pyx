"""One queue that the host reads, and whether its writer lives.

Liveness is read from the queue's control page, which is mapped: no system call. A writer lives while it has not left in
order (`closed`) and its heartbeat, written by the loop that appends, is younger than the time to live. A heartbeat from the
future was written before the machine's last start: it says nothing.
"""

from libchronicle.native.binding cimport Subscriber

cdef int64_t CLOCK_SLACK_NS = 1_000_000


cdef class Source:
    def __init__(self, str name, path, int rank, *, bint reports=False):
        self.name = name
        self.path = str(path)
        self.rank = <uint16_t> rank
        self.reports = reports

    def attach(self, Subscriber reader not None):
        """Read from `reader` from now on."""
        self.reader = reader
        self.control = reader.control()
        self.queue_id = reader.queue_id
        self.epoch = 0                 # of the last record read: not known yet
        self.next_seq = reader.next_seq
        self.r = reader.r

    def detach(self):
        """Close the reader; nothing is read until the next attach."""
        self.r = NULL
        self.control = NULL
        reader, self.reader = self.reader, None
        if reader is not None:
            reader.close()

    @property
    def attached(self):
        return self.r != NULL

    def commit(self):
        """Let the writer's retention know how far we are. No system call."""
        if self.r != NULL:
            self.reader.commit()

    @property
    def head_seq(self):
        """Seq the writer will use next."""
        return 0 if self.control == NULL else self.control.next_seq

    @property
    def writer_epoch(self):
        """Epoch of the present writer."""
        return 0 if self.control == NULL else self.control.epoch

    @property
    def oldest_seq(self):
        return 0 if self.control == NULL else self.control.oldest_seq

    @property
    def lag(self):
        """Records committed that were not read yet."""
        if self.control == NULL or self.control.next_seq < self.r.next_seq:
            return 0
        return self.control.next_seq - self.r.next_seq

    def is_alive(self, int64_t monotonic_ns, int64_t ttl_ns):
        """True while attached and the writer lives."""
        if self.control == NULL:
            return False
        cdef int64_t age = monotonic_ns - self.control.heartbeat_ns
        return self.control.closed == 0 and -CLOCK_SLACK_NS < age < ttl_ns
