"""A strategy's timers: few, named, one deadline each.

- A timer fires once per due call of `take_due`, earliest deadline first, ties by name: the order does not depend on when
  the timers were set.
- A periodic timer keeps its grid (deadline + n × interval). Beats that passed while the host was busy are skipped, not
  made up for.
"""

from libchronicle.errors import MisuseError

cdef int64_t NEVER = 0x7FFFFFFFFFFFFFFFLL


cdef class Timer:
    def __init__(self, str name, int64_t deadline_ns, int64_t interval_ns=0):
        self.name = name
        self.raw_name = name.encode("utf-8", "replace")
        self.deadline_ns = deadline_ns
        self.interval_ns = interval_ns
        if not 0 < len(self.raw_name) <= 32:
            raise MisuseError(reason=f"timer name {name[:32]!r} must have 1 to 32 bytes")
        if interval_ns < 0:
            raise MisuseError(reason=f"timer {name!r}: the interval is negative")


cdef class Timers:
    def __init__(self):
        self.by_name = {}
        self.next_deadline = NEVER

    def set(self, str name, int64_t deadline_ns, int64_t interval_ns=0):
        """Set or replace a timer. Raises MisuseError."""
        self.by_name[name] = Timer(name, deadline_ns, interval_ns)
        self.look()

    def cancel(self, str name):
        """True if there was one."""
        found = self.by_name.pop(name, None)
        self.look()
        return found is not None

    def clear(self):
        self.by_name.clear()
        self.look()

    @property
    def next_ns(self):
        """Earliest deadline, None without timers."""
        return None if self.next_deadline == NEVER else self.next_deadline

    def due(self, int64_t now):
        """Name and deadline of the earliest timer at or before `now`, which is then re-armed or gone; else None."""
        cdef Timer timer = self.take_due(now)
        return None if timer is None else (timer.name, timer.deadline_ns)

    cdef Timer take_due(self, int64_t now):
        """The due timer as it was; `deadline_ns` is the one that passed."""
        if now < self.next_deadline:
            return None
        cdef Timer first = None, timer
        for timer in self.by_name.values():
            if first is None or (timer.deadline_ns, timer.name) < (first.deadline_ns, first.name):
                first = timer
        if first.interval_ns:
            beats = (now - first.deadline_ns) // first.interval_ns + 1
            self.by_name[first.name] = Timer(
                first.name, first.deadline_ns + beats * first.interval_ns, first.interval_ns
            )
        else:
            del self.by_name[first.name]
        self.look()
        return first

    cdef void look(self) noexcept:
        cdef Timer timer
        self.next_deadline = NEVER
        for timer in self.by_name.values():
            if timer.deadline_ns < self.next_deadline:
                self.next_deadline = timer.deadline_ns
