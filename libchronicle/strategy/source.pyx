"""One queue that the host reads, its reader open to native code."""

from libchronicle.native.binding cimport Subscriber


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
        self.r = reader.enter()        # whoever closes it meanwhile waits for detach

    def detach(self):
        """Close the reader; nothing is read until the next attach."""
        self.r = NULL
        self.control = NULL
        reader, self.reader = self.reader, None
        if reader is not None:
            reader.leave()
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
