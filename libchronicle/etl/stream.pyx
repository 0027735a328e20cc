"""A stream of one instrument: its plain queue, and the one for what comes late.

What of the raw queue is in? Records carry the raw seq; a seq means something together with the raw queue and the epoch of its
writer, which stand in the stream's origin file (shelf.py). A record is in if it comes before the last one here, in the order
(epoch, seq); of the last itself there may be only what goes before it: an injected snapshot, a gap in a late queue.

    record of          this raw queue, this epoch     compare seqs
                       this raw queue, earlier epoch  is in
                       this raw queue, later epoch    is not; before its first record the origin says so
                       another raw queue              is not; the stream gets a Gap, then another origin

An origin is written when both queues are on the medium, so what it calls done is done, power loss or not.

Where does a record belong? By its event time e (event_time.h); `day` is that of the plain queue's records:

    e has no date, or the date of `day`, or a later one     plain (which rolls first for another date)
    earlier date, nothing dated of this epoch in yet         plain: the feed was started with another clock or recording
    earlier date, of a book                                  late, however late: without it the later ones would fit no book
    earlier date, e at most late_limit behind the latest     late
    else                                                     nowhere; it is counted, and still in the raw archive
"""

from libc.stdint cimport UINT64_MAX, int64_t, uint64_t

from libchronicle.etl.cleanqueue cimport CleanQueue
from libchronicle.etl.restore cimport Found, Past, restore, restore_book
from libchronicle.native.hot cimport chr_frame
from libchronicle.protocol.event_time cimport CHR_DAY_NS, chr_is_injected

from libchronicle.etl.reach import RETAINED
from libchronicle.etl.shelf import Origin


cdef class Stream:
    """`kind` is book, trade or quote. Opens the queues that are there. `orders_of`: the instrument, where its book is of orders."""

    def __init__(self, str kind not None, shelf, int64_t late_limit_ns, uint64_t orders_of=0):
        self.kind = kind
        self.shelf = shelf
        self.late_limit_ns = late_limit_ns
        self.orders_of = orders_of if kind == "book" else 0
        self.fresh = True

    def resume(self, Past past):
        """Take up what is there, and set `past`, of a book, to what it was. True: records are missing."""
        cdef Found plain = None
        cdef Found late = None
        cdef uint64_t from_seq, late_from_seq
        if not self.shelf.exists(self.kind, False):
            return False
        origin = self.shelf.origin(self.kind)
        from_seq = origin.from_seq if origin else 0
        late_from_seq = origin.late_from_seq if origin else 0
        self.plain = self._open(False)
        if self.shelf.exists(self.kind, True):
            self.late = self._open(True)
        if past is not None:
            plain, late = restore_book(past, self.plain, from_seq, self.late, late_from_seq)
        else:
            plain = restore(self.plain, from_seq, False)
            if self.late is not None:
                late = restore(self.late, late_from_seq, True)
        if origin is not None:
            self.raw_id = origin.raw_queue_id
            self.epoch = origin.raw_epoch
            self._adopt(plain)
            self._adopt(late)
        return plain.damaged or (late is not None and late.damaged)

    cdef CleanQueue _open(self, bint late):
        return self.shelf.open(self.kind, late, RETAINED if self.orders_of else 1)

    cdef int _adopt(self, Found found) except -1:
        if found is None or not found.any:
            return 0
        if not self.any or found.seq > self.seq:
            self.seq = found.seq
            self.partial = found.partial
        elif found.seq == self.seq:
            self.partial = self.partial and found.partial
        self.any = True
        self.fresh = self.fresh and not found.dated
        return 0

    cdef bint holds(self) noexcept:
        """Is there a record? A queue may be there whose writer was killed before the first one."""
        return self.plain is not None and (self.plain.filled or self.plain.w.seq > 1)

    def close(self):
        if self.plain is not None:
            self.plain.close()
        if self.late is not None:
            self.late.close()

    @property
    def in_seq(self):
        """(raw queue id, epoch, next raw seq that is not in); None: nothing of any raw queue is."""
        if not self.raw_id:
            return None
        return self.raw_id, self.epoch, self.seq + 1 if self.any and not self.partial else self.seq

    cdef bint has(self, uint64_t raw_id, uint64_t epoch, uint64_t seq) noexcept:
        if raw_id != self.raw_id or epoch > self.epoch:
            return False
        if epoch < self.epoch:
            return True
        return self.any and (seq < self.seq or (seq == self.seq and not self.partial))

    cdef bint told(self, uint64_t raw_id, const chr_frame *f) noexcept:
        """Is the last record here this very one, though flagged as one that goes before another? The venue's own snapshot is."""
        return (
            self.partial and f.seq == self.seq and raw_id == self.raw_id and f.epoch == self.epoch
            and chr_is_injected(f.type_id, f.payload, f.size)
        )

    cdef int begin(self, uint64_t raw_id, uint64_t epoch, int64_t ts_ns) except -1:
        """Before each record: the plain queue is open, and the origin is that of the record."""
        if raw_id == self.raw_id and epoch == self.epoch:
            return 0
        if self.plain is None:
            self.plain = self._open(False)
        self.plain.publisher.flush()
        late_seq = 0
        self.plain.orders_told = 0
        if self.late is not None:
            self.late.publisher.flush()
            self.late.orders_told = 0
            late_seq = self.late.publisher.next_seq
        self.shelf.save_origin(
            self.kind,
            Origin(raw_queue_id=raw_id, raw_epoch=epoch, from_seq=self.plain.publisher.next_seq, late_from_seq=late_seq),
        )
        self.raw_id = raw_id
        self.epoch = epoch
        self.seq = 0
        self.any = self.partial = False
        self.fresh = True
        return 0

    cdef bint replaced(self, uint64_t raw_id) noexcept:
        """Is what follows of another raw queue, and that not told yet? Whatever was not read of the old one is missing."""
        return raw_id != self.raw_id and self.holds() and not (self.any and self.seq == UINT64_MAX)

    cdef int mark(self, uint64_t seq, bint partial) noexcept:
        self.seq = seq
        self.partial = partial
        self.any = True
        return 0

    cdef CleanQueue route(self, int64_t event_ns):
        """The queue for a record of that event time; None: nowhere."""
        cdef int64_t day = event_ns // CHR_DAY_NS
        if event_ns == 0 or day >= self.plain.day or self.fresh:
            return self.plain
        if self.plain.high_ns - event_ns > self.late_limit_ns and self.kind != "book":
            return None
        if self.late is None:
            self.late = self._open(True)
            self.late.shows_book = self.orders_of != 0  # an empty book of orders takes the first one that comes
        return self.late
