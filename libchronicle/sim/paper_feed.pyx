"""Market data for the paper venue: every book of one raw queue, kept natively; Python hears only of what concerned an order.

`poll()` reads records until there is none or until one of these:

    MATCHED      a record filled or ended orders of the paper venue that the reader feeds; `gateway.drain()` says which
    SYNC         a book became valid: its first snapshot, or the first after a gap or a new writer of the feed
    DEFINITION   an instrument's definition; `payload` holds it

The matcher sees every record, as it does in a backtest: what it remembers of the market does not depend on when Python was asked.
A new epoch of the feed makes every book invalid until its next snapshot, as a gap does.
"""

from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free

from libchronicle.book.l2 cimport L2Book, chr_l2_apply, chr_l2_clear
from libchronicle.native.binding cimport Subscriber, raise_reader
from libchronicle.native.hot cimport chr_frame, chr_next
from libchronicle.protocol.layout cimport (
    CHR_BOOK_DELTA,
    CHR_BOOK_FLAGS_STALE,
    CHR_BOOK_RESET,
    CHR_BOOK_SNAPSHOT,
    CHR_BOOK_SNAPSHOT_BLOCK,
    CHR_GAP,
    CHR_INSTRUMENT,
    CHR_TRADE,
    CHR_TRADE_BLOCK,
    chr_book_snapshot_t,
    chr_trade_t,
)
from libchronicle.protocol.sbe cimport chr_block, chr_instrument_of
from libchronicle.sim.matcher cimport chr_sim_recall_trade, chr_sim_reset
from libchronicle.sim.paper cimport PaperGateway

from libchronicle.errors import Corrupt

NOTHING, MATCHED, SYNC, DEFINITION = range(4)

cdef enum:
    C_NOTHING = 0
    C_MATCHED = 1
    C_SYNC = 2
    C_DEFINITION = 3
    FIRST_SLOTS = 64
    FIRST_WINDOW = 4096     # records; each further window is four times as long


cdef class MarketReader:
    def __cinit__(self):
        self.slots = NULL

    def __init__(self, Subscriber reader not None):
        self.reader = reader
        self.control = reader.control()
        self.begin(reader.queue_id, self.control.epoch)

    cdef int begin(self, uint64_t queue_id, uint32_t epoch) except -1:
        """Without a book so far."""
        self.queue_id = queue_id
        self.epoch = epoch
        self.books = {}
        self.payload = b""
        self.slots = <slot_t *> calloc(FIRST_SLOTS, sizeof(slot_t))
        if self.slots == NULL:
            raise MemoryError
        self.mask = FIRST_SLOTS - 1
        return 0

    def __dealloc__(self):
        free(self.slots)

    # ------------------------------------------------------------ the loop

    def poll(self, int max_frames=4096):
        """Read on; what stopped it, or NOTHING after the last record or `max_frames`. Raises what the reader raises."""
        cdef chr_frame f
        cdef int found, n
        for n in range(max_frames):
            if not self.next(&f):
                return C_NOTHING
            self.frames += 1
            if not self.anything_unsaid:
                self.anything_unsaid = True
                self.first_unsaid = f.seq
            self.seq = f.seq
            found = self.take(&f)
            if found:
                return found
        return C_NOTHING

    # where records come from: five verbs, which a reader of something else than a live queue has in its own way

    cdef int next(self, chr_frame *f) except -1:
        """1, or 0 after the last record."""
        cdef int rc = chr_next(self.reader.r, f)
        if rc < 0:
            raise_reader(self.reader)
        return rc

    cdef int seek(self, uint64_t seq) except -1:
        self.reader.seek_seq(seq)
        return 0

    cdef uint64_t at(self) noexcept:
        """Seq of the record that `next` would give."""
        return self.reader.r.next_seq

    cdef uint64_t head(self) noexcept:
        """Seq that the writer will use next."""
        return self.control.next_seq

    cdef uint64_t oldest(self) noexcept:
        return self.control.oldest_seq

    cdef int next_whole(self, chr_frame *f) except -1:
        """As `next`, past records that are damaged: 2 in place of each of them."""
        try:
            return self.next(f)
        except Corrupt:
            self.seek(self.at() + 1)
            return 2

    cdef int take(self, chr_frame *f) except -1:
        """Apply one record; what Python must hear of it."""
        cdef slot_t *slot
        cdef uint64_t id
        cdef int rc
        if f.epoch != self.epoch:
            self.epoch = f.epoch
            self.clear()
        if f.type_id == CHR_GAP or f.type_id == CHR_BOOK_RESET:
            return self.all_books(f)
        if f.type_id not in (CHR_TRADE, CHR_BOOK_DELTA, CHR_BOOK_SNAPSHOT, CHR_INSTRUMENT):
            return C_NOTHING
        id = chr_instrument_of(f.type_id, f.payload, f.size)
        if id == 0:
            self.malformed += 1
            return C_NOTHING
        slot = self.find(id)
        if f.type_id == CHR_TRADE:
            return self.match(slot, f) if self.printed(slot, f) else C_NOTHING
        rc = chr_l2_apply(slot.book, f.type_id, f.payload, f.size)
        if f.type_id == CHR_INSTRUMENT:
            self.instrument_id = id
            self.payload = f.payload[:f.size]
            return C_DEFINITION
        if rc < 0:
            self.malformed += 1
        if slot.book.valid and not slot.was_valid:
            slot.was_valid = 1
            self.instrument_id = slot.id
            return C_SYNC
        slot.was_valid = slot.book.valid
        return self.match(slot, f)

    cdef int printed(self, slot_t *slot, chr_frame *f) except -1:
        """A trade: 0 where it is none."""
        cdef const chr_trade_t *trade = <const chr_trade_t *> chr_block(f.payload, f.size, CHR_TRADE, CHR_TRADE_BLOCK)
        if trade == NULL:
            self.malformed += 1
        elif slot.venue < 0 and trade.qty > 0:
            slot.has_print, slot.last_print = 1, trade.price
        return trade != NULL

    cdef int match(self, slot_t *slot, chr_frame *f) except -1:
        cdef int matched
        if slot.venue < 0:
            return C_NOTHING
        matched = self.gateway.record(slot.venue, f)
        self.instrument_id = slot.id
        return C_MATCHED if matched else C_NOTHING

    cdef void clear(self) noexcept:
        """No book is right any more."""
        cdef uint64_t i
        for i in range(self.mask + 1):
            if self.slots[i].id:
                chr_l2_clear(self.slots[i].book)
                self.slots[i].was_valid = 0
                if self.slots[i].venue >= 0:
                    chr_sim_reset(&self.gateway.sim, self.slots[i].venue)

    cdef int all_books(self, chr_frame *f) except -1:
        """A gap or reset of one instrument, or of all (id 0)."""
        cdef uint64_t i, id = chr_instrument_of(f.type_id, f.payload, f.size)
        for i in range(self.mask + 1):
            if self.slots[i].id and (id == 0 or self.slots[i].id == id):
                chr_l2_apply(self.slots[i].book, f.type_id, f.payload, f.size)
                self.slots[i].was_valid = self.slots[i].book.valid
                if self.slots[i].venue >= 0:
                    chr_sim_reset(&self.gateway.sim, self.slots[i].venue)
        return C_NOTHING

    # ------------------------------------------------------------ what the caller asks and tells

    def join(self, PaperGateway gateway not None, uint64_t instrument_id):
        """Orders in this instrument meet this reader's records from now on; another reader that fed it must `leave` it. The last
        trade that was read before is one the venue has seen."""
        cdef slot_t *slot = self.find(instrument_id)
        cdef bint newly = slot.venue < 0
        self.gateway = gateway
        slot.venue = gateway.slot_of(instrument_id, self.books[instrument_id])
        if newly and slot.has_print and gateway.remembers:
            chr_sim_recall_trade(&gateway.sim, slot.venue, slot.last_print)
        slot.has_print = 0

    def leave(self, uint64_t instrument_id):
        """Orders in this instrument meet another reader's records."""
        self.find(instrument_id).venue = -1

    def unsaid(self):
        """(first seq, last seq, epoch) of the records read since the last call, or None: what the journal was not told."""
        if not self.anything_unsaid:
            return None
        self.anything_unsaid = False
        return self.first_unsaid, self.seq, self.epoch

    @property
    def stands_at(self):
        """Seq of the record that comes next."""
        return self.at()

    @property
    def lag(self):
        """Records that were not read yet."""
        cdef uint64_t head = self.head()
        return head - self.at() if head > self.at() else 0

    def close(self):
        """Close the reader; the object is not to be used after."""
        self.reader.close()

    # ------------------------------------------------------------ books

    cdef slot_t *find(self, uint64_t id) except NULL:
        """The instrument's slot; its book is made when it is first met."""
        cdef uint64_t i = id & self.mask
        cdef L2Book book
        while self.slots[i].id:
            if self.slots[i].id == id:
                return &self.slots[i]
            i = (i + 1) & self.mask
        if (self.used + 1) * 2 > self.mask:
            self.grow()
            return self.find(id)
        book = L2Book(id)
        self.books[id] = book
        self.slots[i].id = id
        self.slots[i].book = book.b
        self.slots[i].venue = -1
        self.used += 1
        return &self.slots[i]

    cdef int grow(self) except -1:
        cdef uint64_t i, j, mask = self.mask * 2 + 1
        cdef slot_t *slots = <slot_t *> calloc(mask + 1, sizeof(slot_t))
        if slots == NULL:
            raise MemoryError
        for i in range(self.mask + 1):
            if self.slots[i].id:
                j = self.slots[i].id & mask
                while slots[j].id:
                    j = (j + 1) & mask
                slots[j] = self.slots[i]
        free(self.slots)
        self.slots = slots
        self.mask = mask
        return 0

    def rebuild(self, wanted=(), until=None):
        """Books from the newest snapshots, muted; leaves the reader at the head, or at seq `until`.

        Looks back from there in growing windows until every instrument wanted or seen has a definition and a snapshot.
        A damaged record on the way is a gap: what was right before it waits for the next snapshot.
        Returns (records applied, {instrument id: payload of its definition}).
        """
        cdef chr_frame f
        cdef const chr_book_snapshot_t *snapshot
        cdef uint64_t head = self.head() if until is None else until, oldest = self.oldest(), first = head, window = FIRST_WINDOW, last
        cdef uint64_t id, applied = 0, i
        cdef int rc
        cdef dict snapshots = {}, defined = {}, found_snapshots, found_definitions
        cdef set seen = set(wanted)
        while first > oldest:
            last = first - 1
            first = first - window if first - oldest > window else oldest
            window *= 4
            found_snapshots, found_definitions = {}, {}
            self.seek(first)
            while self.at() <= last:
                rc = self.next_whole(&f)
                if rc == 0:
                    break
                if rc == 2:
                    continue
                if f.type_id not in (CHR_INSTRUMENT, CHR_BOOK_SNAPSHOT, CHR_BOOK_DELTA, CHR_TRADE):
                    continue
                id = chr_instrument_of(f.type_id, f.payload, f.size)
                seen.add(id)
                if f.type_id == CHR_INSTRUMENT:
                    found_definitions[id] = f.seq
                elif f.type_id == CHR_BOOK_SNAPSHOT:
                    snapshot = <const chr_book_snapshot_t *> chr_block(
                        f.payload, f.size, CHR_BOOK_SNAPSHOT, CHR_BOOK_SNAPSHOT_BLOCK
                    )
                    if snapshot != NULL and not snapshot.flags & CHR_BOOK_FLAGS_STALE:
                        found_snapshots[id] = f.seq
            snapshots = found_snapshots | snapshots
            defined = found_definitions | defined
            if seen <= snapshots.keys() and seen <= defined.keys():
                break
        definitions = {}
        for id in defined:
            self.seek(defined[id])
            if self.next(&f):
                self.take(&f)
                definitions[id] = self.payload
        first = min(snapshots.values(), default=head)
        if first < head:
            self.seek(first)
            while self.at() < head:
                rc = self.next_whole(&f)
                if rc == 0:
                    break
                if rc == 2:
                    self.clear()
                    continue
                self.take(&f)
                applied += 1
        elif self.at() != head:
            self.seek(head)
        for i in range(self.mask + 1):
            if self.slots[i].id:
                self.slots[i].was_valid = self.slots[i].book.valid
        return applied, definitions
