"""Where the time between market record and order goes: five stamps an order, for the benchmark.

    market record committed -> picked up -> callback entered -> send entered -> order committed

Off (None) in production: it costs three clock reads per order.
"""

from cython cimport view

from libchronicle.strategy.sink cimport QueueSink

STAGES = ("market_commit", "pickup", "callback", "send", "order_commit")


cdef class Trace:
    def __init__(self, int capacity, QueueSink sink not None):
        self.rows = view.array(shape=(capacity, 5), itemsize=8, format="q")
        self.capacity = capacity
        self.clock = &sink.writer.clock

    cdef void add(self, int64_t cause_ns, int64_t committed_ns) noexcept:
        cdef int64_t[:, ::1] rows = self.rows
        if self.used < self.capacity and cause_ns:
            rows[self.used, 0] = cause_ns
            rows[self.used, 1] = self.picked_up
            rows[self.used, 2] = self.entered
            rows[self.used, 3] = self.sending
            rows[self.used, 4] = committed_ns
            self.used += 1

    def stamps(self):
        """[(nanoseconds at each of STAGES), ...], one per order."""
        return [tuple(self.rows[i, j] for j in range(5)) for i in range(self.used)]
