"""What a replay gives: one object, pointed at record after record."""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize

from libchronicle.protocol import decode

__all__ = ["ReplayEvent"]


@cython.final
cdef class ReplayEvent:
    """A record that a replay gives: what it is, and the book after it. Gone when the next one comes: keep values, not the event."""

    cdef int live(self) except -1:
        if self.frame == NULL:
            raise RuntimeError("a replay's event is gone when the next one comes: keep its values, not the event")
        return 0

    @property
    def ts_ns(self):
        self.live()
        return self.frame.ts_ns

    @property
    def seq(self):
        self.live()
        return self.frame.seq

    @property
    def type_id(self):
        self.live()
        return self.frame.type_id

    @property
    def payload(self):
        self.live()
        return PyBytes_FromStringAndSize(<const char *>self.frame.payload, self.frame.size)

    def message(self):
        return decode(self.type_id, self.payload)

    def __repr__(self):
        if self.frame == NULL:
            return "<ReplayEvent that is gone>"
        return f"<ReplayEvent ts={self.ts_ns} seq={self.seq} type={self.type_id} source={self.source}>"
