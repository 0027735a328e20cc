"""The live loop: read, dispatch, spin, park.

    every source in turn: up to BATCH records, each dispatched at ctx.now
    nothing there: timers; a chore when due; spin; after `spin_us` sleep on the queues' futex words

Rules
- Between two records that are there nothing is done but dispatching them: no system call, no allocation that stays, no
  garbage collection.
- Housekeeping is a list of chores, all done every 50 ms. While spinning they are done one at a time, evenly spread: the
  code of all of them at once is cold and would delay a record by 40 µs, one of them by a few. They are put off while
  records keep coming, to four times their period at most. Before a sleep they are done together.
- ctx.now is read from the TSC clock when a batch begins and again at a record that was appended later than ctx.now, so
  it is never before a record's own time and never goes back; timers that it passes fire first.
- While it spins it rehearses (rehearsal.pyx) whenever no record came for REHEARSAL_NS.
- The GIL is held while spinning (nobody else needs it in this process, and taking it back would cost more than the
  wake-up saves) and given up while parked. Signals are looked at in both.
"""

from cpython.exc cimport PyErr_CheckSignals

from libchronicle.native.binding cimport raise_reader
from libchronicle.native.hot cimport chr_frame, chr_next, chr_now_ns
from libchronicle.strategy.context cimport Context
from libchronicle.strategy.dispatch cimport Dispatcher
from libchronicle.strategy.recorder cimport Recorder
from libchronicle.strategy.sink cimport QueueSink
from libchronicle.strategy.source cimport Source
from libchronicle.strategy.trace cimport StopMonitor

from libchronicle.errors import CorruptError, NotReadyError
from libchronicle.strategy.stopguard import CallbackHung

cdef extern from *:
    """
    #if defined(__GLIBC__)
    #include <malloc.h>
    #include <stdlib.h>
    #include <unistd.h>
    /* Order state is small blocks. The heap's top grows by 8 MiB at once and is never given back, and it grows now:
       blocks are taken until the heap's end moves (128 of 64 KiB, below what malloc takes by mmap, at most). */
    static void chr_keep_heap(void)
    {
        void *taken[128], *end = sbrk(0);
        int count = 0;
        mallopt(M_TOP_PAD, 8 << 20);
        mallopt(M_TRIM_THRESHOLD, 1 << 30);
        while (count < 128 && sbrk(0) == end)
            taken[count++] = malloc(64 << 10);
        while (count > 0)
            free(taken[--count]);
    }
    #else
    static void chr_keep_heap(void) {}
    #endif
    #if defined(__x86_64__)
    #define chr_relax() __builtin_ia32_pause()
    #elif defined(__aarch64__)
    #define chr_relax() __asm__ __volatile__("yield")
    #else
    #define chr_relax() ((void)0)
    #endif
    """
    void chr_relax() noexcept nogil
    void chr_keep_heap() noexcept nogil

cdef enum:
    BATCH = 64
    TYPE_LOST = 0xFFFE

cdef int64_t HOUSE_NS = 50_000_000
cdef int64_t REHEARSAL_NS = 20_000


cdef class LiveLoop:
    """`shell` is asked: sleep(readers, seconds), discontinuity(source, reason), source_failed(source, error)."""

    def __init__(
        self, Dispatcher dispatcher not None, Recorder recorder not None, QueueSink sink not None, sources, shell,
        chores, *, books=(), int64_t spin_us=0,
    ):
        self.dispatcher = dispatcher
        self.ctx = dispatcher.ctx
        self.recorder = recorder
        self.sink = sink
        self.clock = &sink.writer.clock
        self.sources = list(sources)
        self.shell = shell
        self.spin_ns = spin_us * 1000
        self.chores = tuple(chores)
        self.rehearsal = Rehearsal(sink, books)

    def stop(self):
        """End `run` within one turn. Safe from a signal handler."""
        self.stopping = True

    def now(self):
        """Bring ctx.now up to the clock and return it."""
        self.ctx.now = max(self.ctx.now, self.clock_ns())
        return self.ctx.now

    cdef int64_t clock_ns(self) except -1:
        """The clock, but for steps back: the host lives on at the rate of the clock from where it was, until it ends. Else timers,
        chores, the heartbeat among them, and every interval measured in ctx.now would stand still for as long as the step was."""
        cdef int64_t now = chr_now_ns(self.clock) + self.stepped_back_ns
        if now < self.last_ns:
            self.stepped_back_ns += self.last_ns - now
            now = self.last_ns
        self.last_ns = now
        return now

    def watch_stops(self, StopMonitor monitor):
        """For benchmarks: note when the machine stands still."""
        self.monitor = monitor

    def run(self):
        """Until `stop`. Whatever a callback raises comes out of here."""
        cdef int64_t idle_since = 0
        cdef int got
        cdef Source source
        self.stopping = False
        chr_keep_heap()
        while not self.stopping:
            got = 0
            for source in self.sources:
                if source.r != NULL:
                    got += self.poll(source)
            if got:
                idle_since = 0
                self.squeeze_chores()
                continue
            if idle_since == 0:
                idle_since = self.now()
            if self.idle(idle_since):
                idle_since = 0

    cdef int idle(self, int64_t idle_since) except -1:
        """Nothing to read. 1 if there was something to do after all, so that spinning starts anew."""
        cdef int64_t now = self.clock_ns()
        if self.monitor is not None:
            self.monitor.look(now)
        if now >= self.ctx.timers.next_deadline:
            self.advance(now)
            self.squeeze_chores()  # timers that are always due must not keep the host from its own
            return 1
        if now - idle_since < self.spin_ns:
            if now >= self.chore_due:
                self.do_chore()
            elif now >= self.rehearsal_due:
                self.rehearse()
            chr_relax()
            return 0
        if now >= self.house_due:
            self.keep_house()
            return 0
        self.park(now)
        return 0

    cdef int poll(self, Source source) except -1:
        """Dispatch what is there, BATCH records at most; how many."""
        cdef chr_frame f
        cdef int n = 0, rc, called
        cdef bint told
        while n < BATCH:
            rc = chr_next(source.r, &f)
            if rc == 0:
                break
            if rc < 0:
                self._fail(source)
                break
            if self.ctx.trace is not None:
                self.ctx.trace.picked_up = chr_now_ns(self.clock)
            if n == 0 and self.monitor is not None:
                self.monitor.look(self.clock_ns(), 2 * f.size)
            if n == 0 or f.ts_ns > self.ctx.now:
                self.advance(f.ts_ns)
            n += 1
            told = f.seq != source.next_seq or f.epoch != source.epoch or f.type_id == TYPE_LOST
            if told:
                told = self.broken(source, &f)
            source.next_seq = f.seq + 1
            source.records += 1
            try:
                called = self.give(source, &f)
            except CallbackHung:  # of that record a rerun would not come back
                raise
            except BaseException:  # a rerun must come to the record that the strategy fell over
                self.recorder.dispatched(source.rank, f.seq, f.epoch, self.ctx.now, False, True)
                raise
            self.recorder.dispatched(source.rank, f.seq, f.epoch, self.ctx.now, False, called or told)
            if source.r == NULL:       # a callback's consequence detached it
                break
        if n and self.monitor is not None:
            self.monitor.resume(self.clock_ns())
        return n

    cdef int give(self, Source source, const chr_frame *f) except -1:
        """To the dispatcher. 1 if the strategy was called."""
        if source.reports:
            return self.dispatcher.report(f, source.queue_id, False)
        self.dispatcher.feed_name = source.name
        return self.dispatcher.market(f, source.queue_id, False)

    cdef int advance(self, int64_t ts_ns) except -1:
        """Move ctx.now to the clock, at least to `ts_ns`; timers that it passes fire now."""
        cdef int64_t now = self.clock_ns()
        if now < ts_ns:
            now = ts_ns
        if now > self.ctx.now:
            self.ctx.now = now
        if self.ctx.now >= self.ctx.timers.next_deadline:
            self.dispatcher.fire_timers(self.recorder)
        return 0

    cdef int broken(self, Source source, const chr_frame *f) except -1:
        """The record does not follow the last one: the writer was opened anew, or records are missing. 0 where that
        means nothing: a first record, or reports of a router that was started anew, which go on where the last one ended."""
        if f.seq == source.next_seq and f.type_id != TYPE_LOST and (source.epoch == 0 or source.reports):
            source.epoch = f.epoch
            return 0
        if f.epoch != source.epoch:
            reason = f"epoch {source.epoch} became {f.epoch}"
        else:
            reason = f"records {source.next_seq} to {f.seq} are missing"
        source.epoch = f.epoch
        self.shell.discontinuity(source, reason)
        return 1

    def _fail(self, Source source not None):
        try:
            raise_reader(source.reader)
        except (CorruptError, NotReadyError) as error:
            self.shell.source_failed(source, error)

    def hurry(self):
        """Do all chores as soon as the present callback has returned. Safe from a signal handler."""
        self.hurried = True

    cdef int squeeze_chores(self) except -1:
        """While records keep coming: one chore, when it is four times overdue; all of them when somebody is in a hurry."""
        if self.hurried:
            self.hurried = False
            self.keep_house()
        elif self.ctx.now >= self.chore_due + 3 * HOUSE_NS // len(self.chores):
            self.do_chore()
        return 0

    cdef int do_chore(self) except -1:
        """The next chore of the list."""
        self.chores_done += 1
        if self.next_chore == 0:
            self.recorder.flush()
        self.dispatcher.no_cause()
        self.now()
        chore = self.chores[self.next_chore]
        self.next_chore = (self.next_chore + 1) % len(self.chores)
        chore()
        PyErr_CheckSignals()
        self.chore_due = self.clock_ns() + HOUSE_NS // len(self.chores)
        if self.monitor is not None:
            self.monitor.resume(self.clock_ns())
        return 0

    cdef int rehearse(self) except -1:
        """Poll the rehearsal's source in its dispatcher, for its context."""
        cdef Dispatcher dispatcher = self.dispatcher
        cdef Context ctx = self.ctx
        cdef Recorder recorder = self.recorder
        cdef StopMonitor monitor = self.monitor
        self.rehearsal.rewind()
        self.dispatcher, self.ctx, self.recorder = self.rehearsal.dispatcher, self.rehearsal.ctx, self.rehearsal.recorder
        self.monitor = None
        self.sink.rehearsing = True
        try:
            self.poll(self.rehearsal.source)
        finally:
            self.sink.rehearsing = False
            self.dispatcher, self.ctx, self.recorder, self.monitor = dispatcher, ctx, recorder, monitor
        self.rehearsal_due = self.clock_ns() + REHEARSAL_NS
        if monitor is not None:
            monitor.resume(self.clock_ns())
        return 0

    cdef int keep_house(self) except -1:
        """All chores."""
        cdef int i
        for i in range(len(self.chores)):
            self.do_chore()
        self.house_due = self.clock_ns() + HOUSE_NS
        return 0

    cdef int park(self, int64_t now) except -1:
        """Sleep until a record, a timer or housekeeping."""
        cdef int64_t until = min(self.house_due, self.ctx.timers.next_deadline)
        cdef Source source
        readers = [source.reader for source in self.sources if source.r != NULL]
        self.recorder.flush()
        self.parks += 1
        self.shell.sleep(readers, max(until - now, 0) / 1e9)
        return 0
