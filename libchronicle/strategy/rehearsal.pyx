"""What a spinning host does between records: the same work on a made-up record, so that it stays in the processor's caches.

In a quiet market, milliseconds pass between two records; caches and branch predictors forget by then what a record needs. So the
loop polls, every now and then, a source that is no queue but a few frames in memory (quote, trade, book delta), with a dispatcher,
a context and a strategy of its own. All code is the real one, up to the order, whose place in orders_out is taken, filled and
given back. Nothing else is shared: the instrument, its book, its orders and its journal are the rehearsal's.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from libchronicle.book.l2 cimport CHR_ASK, CHR_BID, chr_l2_best
from libchronicle.native.hot cimport chr_crc_seed, chr_frame_bytes, chr_frame_crc, chr_frame_header, chr_reader
from libchronicle.protocol.layout cimport chr_level_t
from libchronicle.strategy.bookview cimport Book
from libchronicle.strategy.context cimport Context
from libchronicle.strategy.dispatch cimport Dispatcher
from libchronicle.strategy.instrument cimport Instrument
from libchronicle.strategy.recorder cimport Recorder
from libchronicle.strategy.sink cimport QueueSink
from libchronicle.strategy.source cimport Source

from libchronicle.protocol import BestBidAsk, BookDelta, BookSnapshot, instrument_id
from libchronicle.protocol import Instrument as Definition
from libchronicle.protocol import Trade as TradeMessage
from libchronicle.protocol.enums import Side
from libchronicle.strategy.base import Strategy

NAME = "rehearsal:ANY"
cdef uint32_t COMMITTED = 0xA0000000
cdef int64_t TOUCH = 100_000
BUY = Side.BUY


class _Understudy(Strategy):
    """Sends an order on everything it sees."""

    def on_quote(self, ctx, quote):
        ctx.send(quote.instrument.ioc(BUY, quote.bid_price, 1))

    def on_trade(self, ctx, trade):
        ctx.send(trade.instrument.ioc(BUY, trade.price, 1))

    def on_book(self, ctx, book):
        price = book.bid_price
        if price is not None:
            ctx.send(book.instrument.ioc(BUY, price, 1))


class _Listener:
    def __init__(self):
        self.dispatcher = None

    def book_synced(self, instrument):
        self.dispatcher.set_synced(instrument, True)


def _levels(qty):
    bids = [(TOUCH - n, qty) for n in range(1, 9)]
    return {"bids": bids, "asks": [(2 * TOUCH - price, qty) for price, _ in bids]}


cdef class Rehearsal:
    """`source` is polled; `rewind` before each time. `books` are the real ones, whose best levels are looked at."""

    def __init__(self, QueueSink sink not None, books):
        listener = _Listener()
        self.books = list(books)
        self.ctx = Context(sink)
        self.dispatcher = listener.dispatcher = Dispatcher(self.ctx, _Understudy(), listener)
        self.dispatcher.subscribe({NAME: ("book", "trade", "quote")})
        self.recorder = Recorder()
        key = instrument_id(NAME)
        definition = Definition(instrument_id=key, tick_size=1, lot_size=1, min_qty=1, book_mode=1, trading=1)
        self.dispatcher.feed(definition.TEMPLATE_ID, definition.encode())
        snapshot = BookSnapshot(instrument_id=key, last_update_id=1, **_levels(5))
        self.dispatcher.feed(snapshot.TEMPLATE_ID, snapshot.encode())
        self.dispatcher.set_live(True)  # from here on it sends
        self.ctx.open_gate(0)
        self._write([
            BestBidAsk(instrument_id=key, bid_price=TOUCH - 1, bid_qty=1, ask_price=TOUCH + 1, ask_qty=1),
            TradeMessage(instrument_id=key, price=TOUCH, qty=1),
            BookDelta(instrument_id=key, **_levels(7)),
        ])

    def _write(self, messages):
        """The frames, as a segment would hold them, and a reader that stands before them."""
        cdef chr_frame_header header
        cdef bytes payload
        cdef uint64_t seq = 0
        cdef uint32_t seed = chr_crc_seed(0)
        frames = bytearray()
        for message in messages:
            payload = message.encode()
            memset(&header, 0, sizeof(header))
            header.type_id = message.TEMPLATE_ID
            header.version = 1
            header.seq = seq
            header.ts_ns = 1
            header.epoch = 1
            header.commit = COMMITTED | <uint32_t> len(payload)
            header.crc = chr_frame_crc(seed, header.commit, &header, <const char *> payload, <uint32_t> len(payload))
            whole = (<char *> &header)[: sizeof(header)] + payload
            frames += whole.ljust(chr_frame_bytes(<uint32_t> len(payload)), b"\0")
            seq += 1
        frames += bytes(sizeof(header))
        self.frames = bytes(frames)
        memset(&self.map, 0, sizeof(self.map))
        memset(&self.reader, 0, sizeof(self.reader))
        self.reader.base = <const uint8_t *> <const char *> self.frames
        self.reader.end = <uint64_t> len(self.frames)
        self.reader.beat_cycles = <uint64_t> -1
        self.reader.crc_seed = seed
        self.reader.map = &self.map
        self.source = Source(NAME, "", 0)
        self.source.r = &self.reader

    cdef void rewind(self) noexcept:
        """Before the first frame again, with no order open, having looked at the real books."""
        cdef Book book
        cdef chr_level_t level
        for book in self.books:
            chr_l2_best(book.b, CHR_BID, &level)
            chr_l2_best(book.b, CHR_ASK, &level)
        self.reader.offset = 0
        self.reader.next_seq = 0
        self.source.next_seq = 0
        self.source.epoch = 1
        self.ctx.tracker.orders.clear()
