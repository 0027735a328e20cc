from libc.stdint cimport int64_t, uint64_t

from libchronicle.native.hot cimport chr_clock, chr_frame
from libchronicle.strategy.context cimport Context
from libchronicle.strategy.dispatch cimport Dispatcher
from libchronicle.strategy.recorder cimport Recorder
from libchronicle.strategy.rehearsal cimport Rehearsal
from libchronicle.strategy.sink cimport QueueSink
from libchronicle.strategy.source cimport Source
from libchronicle.strategy.trace cimport StopMonitor


cdef class LiveLoop:
    cdef Dispatcher dispatcher
    cdef Context ctx
    cdef Recorder recorder
    cdef QueueSink sink
    cdef chr_clock *clock
    cdef list sources
    cdef object shell
    cdef StopMonitor monitor         # None but in benchmarks
    cdef readonly bint stopping
    cdef readonly uint64_t chores_done
    cdef bint hurried
    cdef readonly uint64_t parks
    cdef readonly uint64_t busy_rounds
    cdef int64_t spin_ns
    cdef int64_t last_ns
    cdef readonly int64_t stepped_back_ns
    cdef tuple chores
    cdef int next_chore
    cdef int64_t chore_due
    cdef int64_t house_due
    cdef int64_t rehearsal_due
    cdef Rehearsal rehearsal

    cdef int64_t clock_ns(self) except -1
    cdef int poll(self, Source source) except -1
    cdef int give(self, Source source, const chr_frame *f) except -1
    cdef int advance(self, int64_t ts_ns) except -1
    cdef int broken(self, Source source, const chr_frame *f) except -1
    cdef int squeeze_chores(self) except -1
    cdef int do_chore(self) except -1
    cdef int rehearse(self) except -1
    cdef int keep_house(self) except -1
    cdef int idle(self, int64_t idle_since) except -1
    cdef int park(self, int64_t now) except -1
