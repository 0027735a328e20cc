"""For the benchmark: where the time between market record and order goes, and when the machine stood still.

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


cdef class StopMonitor:
    """Finds the times when the machine, not the loop, stood still.

    A spinning loop looks at the clock every tenth of a microsecond. Two looks with nothing but spinning between them that
    lie further apart than `threshold_ns` mean that the processor was taken away: by the hypervisor, an interrupt, another
    thread. A look that comes after a record was fetched allows for that, 2 ns per byte: its cache lines may have been cold.
    `resume` says that the loop has worked since the last look, so that its own work is never taken for a stop.
    """

    def __init__(self, int capacity=200_000, int64_t threshold_ns=2_000):
        self.rows = view.array(shape=(capacity, 2), itemsize=8, format="q")
        self.capacity = capacity
        self.threshold_ns = threshold_ns

    cdef void look(self, int64_t now, int64_t allowance_ns=0) noexcept:
        cdef int64_t passed = now - self.last
        cdef int64_t[:, ::1] rows = self.rows
        if self.last:
            self.watched_ns += passed
            if passed > self.threshold_ns + allowance_ns and self.used < self.capacity:
                rows[self.used, 0] = self.last
                rows[self.used, 1] = now
                self.used += 1
        self.last = now

    cdef void resume(self, int64_t now) noexcept:
        self.last = now

    def stops(self):
        """[(from, to), ...] in nanoseconds since the Unix epoch."""
        return [(self.rows[i, 0], self.rows[i, 1]) for i in range(self.used)]
