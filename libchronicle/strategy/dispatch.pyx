"""From a frame to a callback. No I/O: frames and the time come in, callbacks go out, so live and backtest share it.

Rules
- A frame of an instrument nobody subscribed, or of a kind whose callback is not overridden, touches no Python object.
- The book of every subscribed instrument is kept, whatever kinds are subscribed. Records of single orders keep a book of single orders, whose
  levels the strategy sees as any others: on_book comes for each of them.
- Nothing of an instrument reaches the strategy while its book is not right (no snapshot yet, or a gap since), while the
  host is not TRADING, or while `muted` (books are being rebuilt). Reports of own orders do, unless muted.
- Features that are watched see every record of their instrument's book and trades while its book is right, whatever the
  strategy overrides and whether or not it trades, before the callback; they begin anew when the book is lost.
- Views are reused: one Trade, one Quote, one OrderUpdate, one Fill; nothing is allocated per record here.

What happens to books and feeds as a whole is told to the `listener`: book_synced(instrument), book_lost(instrument or
None for all, reason), venue_status(VenueStatus), risk_event(RiskEvent), rejected(instrument, code, text).
"""

from libc.stdlib cimport calloc, free
from libc.string cimport memset

from libchronicle.book.l2 cimport CHR_ASK, CHR_BID, CHR_L2_APPLIED, chr_l2, chr_l2_best
from libchronicle.native.hot cimport chr_frame, chr_now_ns
from libchronicle.protocol.layout cimport (
    CHR_ACCOUNT_REPORT,
    CHR_ACCOUNT_REPORT_BLOCK,
    CHR_AUCTION_INFO,
    CHR_BEST_BID_ASK,
    CHR_BEST_BID_ASK_BLOCK,
    CHR_BOOK_DELTA,
    CHR_BOOK_MODE_L3,
    CHR_BOOK_RESET,
    CHR_BOOK_SNAPSHOT,
    CHR_EXECUTION_REPORT,
    CHR_EXECUTION_REPORT_BLOCK,
    CHR_EXEC_TYPE_FILL,
    CHR_EXEC_TYPE_PARTIAL_FILL,
    CHR_EXEC_TYPE_REJECT,
    CHR_EXEC_TYPE_REPLACE_REJECT,
    CHR_GAP,
    CHR_INSTRUMENT,
    CHR_INSTRUMENT_BLOCK,
    CHR_ORDER_ADD,
    CHR_ORDER_EXECUTE,
    CHR_PHASE_CHANGE,
    CHR_POSITION_REPORT,
    CHR_POSITION_REPORT_BLOCK,
    CHR_RISK_EVENT,
    CHR_TRADE,
    CHR_TRADE_BLOCK,
    CHR_VENUE_STATUS,
    chr_account_report_t,
    chr_best_bid_ask_t,
    chr_execution_report_t,
    chr_instrument_t,
    chr_level_t,
    chr_position_report_t,
    chr_trade_t,
)
from libchronicle.protocol.sbe cimport chr_block, chr_instrument_of
from libchronicle.strategy.context cimport Context
from libchronicle.strategy.instrument cimport KIND_BOOK, KIND_QUOTE, KIND_TRADE, Instrument
from libchronicle.strategy.recorder cimport Recorder
from libchronicle.strategy.text cimport text_of
from libchronicle.strategy.timers cimport Timer
from libchronicle.strategy.tracker cimport WorkingOrder
from libchronicle.strategy.views cimport Fill, OrderUpdate, Quote, Trade

from libchronicle.protocol import decode
from libchronicle.strategy.base import Strategy

KIND_BITS = {"book": KIND_BOOK, "trade": KIND_TRADE, "quote": KIND_QUOTE}


cdef object _overridden(object strategy, str name):
    """The bound callback, or None where the strategy leaves it to the base class."""
    return None if getattr(type(strategy), name) is getattr(Strategy, name) else getattr(strategy, name)


cdef class Dispatcher:
    def __cinit__(self):
        self.slots = NULL

    def __init__(self, Context ctx not None, strategy, listener):
        self.ctx = ctx
        self.strategy = strategy
        self.listener = listener
        self.on_book = _overridden(strategy, "on_book")
        self.on_trade = _overridden(strategy, "on_trade")
        self.on_quote = _overridden(strategy, "on_quote")
        self.on_order = _overridden(strategy, "on_order")
        self.on_fill = _overridden(strategy, "on_fill")
        self.on_timer = _overridden(strategy, "on_timer")
        self.trade = Trade.__new__(Trade)
        self.quote = Quote.__new__(Quote)
        self.update = OrderUpdate.__new__(OrderUpdate)
        self.fill = Fill.__new__(Fill)
        self.build_table()

    def __dealloc__(self):
        free(self.slots)

    # ------------------------------------------------------------ who listens to what

    def subscribe(self, subscriptions):
        """{name: kinds}: the instruments whose books are kept and whose records are delivered."""
        cdef Instrument instrument
        for name, kinds in subscriptions.items():
            instrument = self.ctx.make(name)
            instrument.kinds = 0
            for kind in kinds:
                instrument.kinds |= <uint32_t> KIND_BITS[kind]
        self.build_table()

    def build_table(self):
        cdef Instrument instrument
        cdef uint32_t size = 16, at
        while size < 4 * len(self.ctx.instruments):
            size *= 2
        free(self.slots)
        self.slots = <Slot *> calloc(size, sizeof(Slot))
        if self.slots == NULL:
            raise MemoryError
        self.mask = size - 1
        for instrument in self.ctx.instruments.values():
            at = <uint32_t> instrument.id & self.mask
            while self.slots[at].id:
                at = (at + 1) & self.mask
            self.slots[at].id = instrument.id
            self.slots[at].instrument = <void *> instrument

    cdef Instrument find(self, uint64_t id):
        cdef uint32_t at = <uint32_t> id & self.mask
        while self.slots[at].id != 0:  # 0 marks a free slot, and no instrument: a report of an unknown order carries it
            if self.slots[at].id == id:
                return <Instrument> self.slots[at].instrument
            at = (at + 1) & self.mask
        return None

    def set_live(self, bint live):
        """Whether market data may reach the strategy."""
        self.live = live

    cdef void cause(self, const chr_frame *f, uint64_t queue_id) noexcept:
        self.ctx.cause.queue_id = queue_id
        self.ctx.cause.seq = f.seq
        self.ctx.cause.ts_ns = f.ts_ns
        self.ctx.cause.epoch = f.epoch
        if self.ctx.trace is not None:
            self.ctx.trace.entered = chr_now_ns(self.ctx.trace.clock)

    # ------------------------------------------------------------ market data

    cdef int market(self, const chr_frame *f, uint64_t queue_id, bint muted) except -1:
        """One record of a feed's queue. 1 if the strategy was called, or the listener, which may have called it."""
        cdef uint64_t id = chr_instrument_of(f.type_id, f.payload, f.size)
        cdef Instrument instrument = self.find(id) if id else None
        cdef const void *block
        if instrument is None:
            return self.rare(f, muted) if id == 0 else 0
        if f.type_id == CHR_BEST_BID_ASK:
            if self.on_quote is None or muted or not (self.live and instrument.synced and instrument.kinds & KIND_QUOTE):
                return 0
            block = chr_block(f.payload, f.size, CHR_BEST_BID_ASK, CHR_BEST_BID_ASK_BLOCK)
            if block == NULL:
                self.malformed += 1
                return 0
            self.quote.body = (<const chr_best_bid_ask_t *> block)[0]
            self.quote.instrument = instrument
            self.quote.seq = f.seq
            self.quote.ts_ns = f.ts_ns
            self.cause(f, queue_id)
            self.callbacks += 1
            self.on_quote(self.ctx, self.quote)
            return 1
        if f.type_id == CHR_BOOK_DELTA or f.type_id == CHR_BOOK_SNAPSHOT:
            return self.book_record(instrument, f, queue_id, muted)
        if f.type_id == CHR_TRADE:
            if instrument.watched is not None and instrument.synced and not muted:
                instrument.watched.take(f, instrument._book.inner)
            if self.on_trade is None or muted or not (self.live and instrument.synced and instrument.kinds & KIND_TRADE):
                return 0
            block = chr_block(f.payload, f.size, CHR_TRADE, CHR_TRADE_BLOCK)
            if block == NULL:
                self.malformed += 1
                return 0
            self.trade.body = (<const chr_trade_t *> block)[0]
            self.trade.instrument = instrument
            self.trade.seq = f.seq
            self.trade.ts_ns = f.ts_ns
            self.cause(f, queue_id)
            self.callbacks += 1
            self.on_trade(self.ctx, self.trade)
            return 1
        if CHR_ORDER_ADD <= f.type_id <= CHR_ORDER_EXECUTE:
            if not instrument.defined and instrument._book.b.applied == 0:
                instrument._book.hold_orders()
            return self.book_record(instrument, f, queue_id, muted)
        return self.rare(f, muted)

    cdef int book_record(self, Instrument instrument, const chr_frame *f, uint64_t queue_id, bint muted) except -1:
        cdef int result = instrument._book.apply(f)
        if result < 0:
            self.malformed += 1
            self.listener.book_lost(instrument, instrument._book.reason(result))
            return 1
        if result != CHR_L2_APPLIED:
            return 0
        instrument._book.seq = f.seq
        instrument._book.ts_ns = f.ts_ns
        cdef bint told = False
        if not instrument.synced:
            if not instrument._book.b.valid:
                return 0
            told = True
            self.listener.book_synced(instrument)
        if instrument.watched is not None and instrument.synced and not muted:
            instrument.watched.take(f, instrument._book.inner)
        if instrument.exits is not None and self.live and instrument.synced and not muted:
            self.look_at_exits(instrument, f, queue_id)
        if self.on_book is None or muted or not (self.live and instrument.synced and instrument.kinds & KIND_BOOK):
            return told
        self.cause(f, queue_id)
        self.callbacks += 1
        self.on_book(self.ctx, instrument._book)
        return 1

    cdef int look_at_exits(self, Instrument instrument, const chr_frame *f, uint64_t queue_id) except -1:
        """Stop-loss and take-profit of the position come before what the strategy makes of the record."""
        cdef chr_level_t bid, ask
        cdef const chr_l2 *book = instrument._book.b
        cdef int why = instrument.exits.look(
            bid.price if chr_l2_best(book, CHR_BID, &bid) else 0, ask.price if chr_l2_best(book, CHR_ASK, &ask) else 0,
            instrument._position.qty, instrument._position.avg_price, self.ctx.now,
        )
        if why:
            self.cause(f, queue_id)
            self.ctx.leave(instrument, why)
        return 0

    cdef int rare(self, const chr_frame *f, bint muted) except -1:
        """Definitions, gaps, resets, the venue's state: a few a minute."""
        cdef Instrument instrument
        cdef uint64_t id = chr_instrument_of(f.type_id, f.payload, f.size)
        cdef const void *block
        if f.type_id == CHR_INSTRUMENT:
            instrument = self.find(id)
            block = chr_block(f.payload, f.size, CHR_INSTRUMENT, CHR_INSTRUMENT_BLOCK)
            if block == NULL or instrument is None:
                self.malformed += block == NULL
                return 0
            instrument.define(<const chr_instrument_t *> block)
            if instrument.definition.book_mode == CHR_BOOK_MODE_L3 and instrument._book.l3 == NULL:
                instrument._book.hold_orders()
                if instrument.synced:
                    self.listener.book_lost(instrument, "its book is one of single orders from now on")
            if instrument._book.apply(f) < 0:
                self.listener.book_lost(instrument, "its definition does not fit its book")
                return 1
        elif f.type_id == CHR_GAP or f.type_id == CHR_BOOK_RESET:
            message = decode(f.type_id, <bytes> f.payload[: f.size])
            instrument = self.find(id)
            if instrument is not None:
                instrument._book.apply(f)
            kind = "reset" if f.type_id == CHR_BOOK_RESET else "gap"
            self.listener.book_lost(instrument, f"{kind}: {message.reason.name.lower()}")
            return 1
        elif f.type_id == CHR_PHASE_CHANGE or f.type_id == CHR_AUCTION_INFO:
            instrument = self.find(id)
            if instrument is not None and instrument._book.l3 != NULL and instrument._book.apply(f) < 0:
                self.malformed += 1
                if not instrument._book.b.valid:
                    self.listener.book_lost(instrument, "a trading phase that cannot be read")
                    return 1
        elif f.type_id == CHR_VENUE_STATUS:
            self.listener.venue_status(decode(f.type_id, <bytes> f.payload[: f.size]))
            return 1
        return 0

    # ------------------------------------------------------------ own orders

    cdef int report(self, const chr_frame *f, uint64_t queue_id, bint muted) except -1:
        """One record of orders_in. 1 if the strategy was called."""
        cdef const void *block
        cdef Instrument instrument
        if f.type_id == CHR_EXECUTION_REPORT:
            return self.executed(f, queue_id, muted)
        if f.type_id == CHR_POSITION_REPORT:
            block = chr_block(f.payload, f.size, CHR_POSITION_REPORT, CHR_POSITION_REPORT_BLOCK)
            if block == NULL:
                self.malformed += 1
                return 0
            instrument = self.find((<const chr_position_report_t *> block).instrument_id)
            if instrument is None:
                self.ignored += 1
                return 0
            self.ctx.tracker.positioned(instrument._position, <const chr_position_report_t *> block)
        elif f.type_id == CHR_ACCOUNT_REPORT:
            block = chr_block(f.payload, f.size, CHR_ACCOUNT_REPORT, CHR_ACCOUNT_REPORT_BLOCK)
            if block == NULL:
                self.malformed += 1
                return 0
            self.ctx.tracker.accounted(<const chr_account_report_t *> block)
        elif f.type_id == CHR_RISK_EVENT and not muted:
            self.listener.risk_event(decode(f.type_id, <bytes> f.payload[: f.size]))
        return 0

    cdef int executed(self, const chr_frame *f, uint64_t queue_id, bint muted) except -1:
        cdef const chr_execution_report_t *body = <const chr_execution_report_t *> chr_block(
            f.payload, f.size, CHR_EXECUTION_REPORT, CHR_EXECUTION_REPORT_BLOCK
        )
        if body == NULL:
            self.malformed += 1
            return 0
        cdef Instrument instrument = self.find(body.instrument_id)
        if instrument is None:
            self.ignored += 1
            return 0
        cdef WorkingOrder order = self.ctx.tracker.reported(instrument, instrument._position, body)
        if order is None or muted:
            return 0
        if body.reject_code and (body.exec_type == CHR_EXEC_TYPE_REJECT or body.exec_type == CHR_EXEC_TYPE_REPLACE_REJECT):
            self.listener.rejected(instrument, body.reject_code, text_of(body.text, sizeof(body.text)))
        cdef bint filled = body.exec_type == CHR_EXEC_TYPE_FILL or body.exec_type == CHR_EXEC_TYPE_PARTIAL_FILL
        cdef bint called = False
        self.fills += filled
        if filled and self.on_fill is not None:
            self._show(self.fill, instrument, order, f, body)
            self.cause(f, queue_id)
            self.callbacks += 1
            called = True
            self.on_fill(self.ctx, self.fill)
        if self.on_order is not None:
            self._show(self.update, instrument, order, f, body)
            self.cause(f, queue_id)
            self.callbacks += 1
            called = True
            self.on_order(self.ctx, self.update)
        return called

    cdef int _show(
        self, OrderUpdate view, Instrument instrument, WorkingOrder order, const chr_frame *f,
        const chr_execution_report_t *body,
    ) except -1:
        view.instrument = instrument
        view.order = order
        view.seq = f.seq
        view.ts_ns = f.ts_ns
        view.body = body[0]
        return 0

    # ------------------------------------------------------------ time

    cdef int fire_timers(self, Recorder recorder) except -1:
        """Call the strategy for every timer due at ctx.now; recorded before each call."""
        cdef Timer due
        cdef int fired = 0
        while True:
            due = self.ctx.timers.take_due(self.ctx.now)
            if due is None:
                return fired
            recorder.timer(due.raw_name, due.deadline_ns, self.ctx.now)
            memset(&self.ctx.cause, 0, sizeof(self.ctx.cause))
            fired += 1
            if self.on_timer is not None:
                self.callbacks += 1
                self.on_timer(self.ctx, due.name)

    # ------------------------------------------------------------ for tests and simulators: bytes instead of frames

    def feed(self, int type_id, payload, *, uint64_t seq=0, int64_t ts_ns=0, uint32_t epoch=1, uint64_t queue_id=0,
             bint muted=False):
        """Dispatch one market record given as bytes at ctx.now. True if the strategy was called."""
        cdef chr_frame f
        cdef const unsigned char[::1] view = payload
        _frame(&f, type_id, view, seq, ts_ns, epoch)
        return self.market(&f, queue_id, muted) == 1

    def feed_report(self, int type_id, payload, *, uint64_t seq=0, int64_t ts_ns=0, uint32_t epoch=1,
                    uint64_t queue_id=0, bint muted=False):
        """Dispatch one record of orders_in given as bytes at ctx.now. True if the strategy was called."""
        cdef chr_frame f
        cdef const unsigned char[::1] view = payload
        _frame(&f, type_id, view, seq, ts_ns, epoch)
        return self.report(&f, queue_id, muted) == 1

    def fire_due(self, Recorder recorder not None):
        """Fire the timers due at ctx.now; how many there were."""
        return self.fire_timers(recorder)

    def set_synced(self, Instrument instrument not None, bint synced):
        """For the listener: may this instrument's records reach the strategy?"""
        instrument.synced = synced
        if not synced:
            instrument._book.lose()
            if instrument.watched is not None:
                instrument.watched.forget()

    def no_cause(self):
        """For the listener: what the strategy does now was caused by no market record."""
        memset(&self.ctx.cause, 0, sizeof(self.ctx.cause))


cdef int _frame(
    chr_frame *f, int type_id, const unsigned char[::1] view, uint64_t seq, int64_t ts_ns, uint32_t epoch
) except -1:
    memset(f, 0, sizeof(f[0]))
    f.payload = &view[0]
    f.size = <uint32_t> view.shape[0]
    f.type_id = <uint16_t> type_id
    f.seq = seq
    f.ts_ns = ts_ns
    f.epoch = epoch
    return 0
