"""Nasdaq TotalView-ITCH 5.0, see parser.pyi for the contract and messages.py for the types.

Sources: "Nasdaq TotalView-ITCH 5.0", "MoldUDP64 Protocol Specification 1.00", "BinaryFILE 1.00".

    message      type 1 | locate 2 | tracking 2 | ns since midnight 6 | …        locate names the stock for the day
    packet       session 10 | number of the first message u64 | count u16 | count x (length u16 | message)
                 count 0 = heartbeat, 0xFFFF = end of session; the number is then that of the next message
    file         length u16 | message | length u16 | message | …

An execution, cancellation, deletion or replacement names its order only. Orders are therefore kept (price, side, quantity left)
as long as they live, so that their records and the trades say all.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from libchronicle.protocol.layout cimport (
    CHR_AUCTION_INFO,
    CHR_GAP,
    CHR_ORDER_ADD,
    CHR_ORDER_DELETE,
    CHR_ORDER_EXECUTE,
    CHR_ORDER_MODIFY,
    CHR_PHASE_CHANGE,
    CHR_SIDE_BUY,
    CHR_SIDE_NONE,
    CHR_SIDE_SELL,
    CHR_TRADE,
    chr_auction_info_t,
    chr_gap_t,
    chr_order_add_t,
    chr_order_delete_t,
    chr_order_execute_t,
    chr_order_modify_t,
    chr_phase_change_t,
    chr_trade_t,
)
from libchronicle.venues.batch cimport LANE_BOOK, LANE_TRADE, RecordBatch
from libchronicle.venues.order_map cimport (
    chr_known_order,
    chr_order_map,
    chr_orders_drop,
    chr_orders_find,
    chr_orders_free,
    chr_orders_put,
)

from libchronicle.errors import ImportRejected, InvalidName
from libchronicle.protocol import (
    BookSnapshot,
    AuctionFlags,
    BookMode,
    ContractKind,
    GapReason,
    Instrument,
    TradingPhase,
    instrument_id,
)
from libchronicle.venues.itch.messages import LENGTHS

__all__ = ["ItchParser"]

cdef extern from "wire.h" nogil:
    uint16_t itch_u16(const uint8_t *p)
    uint32_t itch_u32(const uint8_t *p)
    uint64_t itch_u48(const uint8_t *p)
    uint64_t itch_u64(const uint8_t *p)

cdef uint8_t LENGTH[256]
memset(LENGTH, 0, sizeof(LENGTH))
for _kind, _length in LENGTHS.items():
    LENGTH[<int>ord(_kind)] = _length

cdef uint16_t SEQUENCE = GapReason.SEQUENCE, NO_PRICE = AuctionFlags.NO_PRICE
cdef uint8_t HALTED = TradingPhase.HALTED, CONTINUOUS = TradingPhase.CONTINUOUS, PRE_OPEN = TradingPhase.PRE_OPEN
cdef uint8_t OPENING = TradingPhase.OPENING_AUCTION, CLOSING = TradingPhase.CLOSING_AUCTION
cdef uint8_t INTRADAY = TradingPhase.INTRADAY_AUCTION, POST_CLOSE = TradingPhase.POST_CLOSE, CLOSED = TradingPhase.CLOSED
cdef int64_t DAY_NS = 86_400_000_000_000
cdef uint64_t UNWANTED = 1  # in place of an instrument's id
PRICE_EXPONENT = -4


cdef class ItchParser:
    cdef RecordBatch batch
    cdef chr_order_map orders
    cdef uint64_t stocks[65536]  # instrument id by locate; 0 = not named yet
    cdef uint64_t counts[256]
    cdef int64_t midnight_ns, last_ns
    cdef readonly uint64_t total, unknown_stock, unknown_order, gaps, missing, doubled, unordered
    cdef uint64_t next_seq
    cdef uint64_t first_missing, gap_end  # of all gaps so far, from the first to the end of the last
    cdef uint8_t session[10]
    cdef bint in_session
    cdef bytes tail
    cdef uint64_t consumed
    cdef str venue, file
    cdef object symbols
    cdef readonly dict instruments
    # of the message being read
    cdef const uint8_t *m
    cdef uint64_t stock, seq
    cdef int64_t venue_ns, ts_ns, recv_ns

    def __cinit__(self):
        memset(self.stocks, 0, sizeof(self.stocks))
        memset(self.counts, 0, sizeof(self.counts))

    def __init__(self, int64_t midnight_ns, RecordBatch batch not None, *, str venue="nasdaq", symbols=None, str file="ITCH"):
        self.batch = batch
        self.midnight_ns = midnight_ns
        self.venue = venue
        self.symbols = None if symbols is None else frozenset(symbols)
        self.file = file
        self.tail = b""
        self.instruments = {}

    def __dealloc__(self):
        chr_orders_free(&self.orders)

    @property
    def kinds(self):
        return {kind: self.counts[<int>ord(kind)] for kind in LENGTHS if self.counts[<int>ord(kind)]}

    # ------------------------------------------------------------ the daily file

    def feed(self, data):
        cdef bytes text = self.tail + bytes(data) if self.tail else bytes(data)
        cdef const uint8_t *p = text
        cdef const uint8_t *end = p + len(text)
        cdef const uint8_t *start = p
        cdef uint32_t length
        while end - p >= 3:
            length = itch_u16(p)
            if length == 0:
                length = LENGTH[p[2]]
                if length == 0:
                    raise self.rejected(p - start, f"a length of 0 before {bytes(p[2:3])!r}, which is no message type")
            if end - p < 2 + <int64_t>length:
                break
            self.one(p + 2, length, self.total + 1, 0, p - start)
            p += 2 + length
        self.consumed += p - start
        self.tail = text[p - start:]

    def finish(self):
        cdef bytes rest = self.tail
        self.tail = b""
        if rest not in (b"", b"\0\0"):
            raise self.rejected(0, f"the file is cut off within its last message ({len(rest)} bytes are left)")

    # ------------------------------------------------------------ packets

    def packet(self, payload, int64_t ts_ns):
        cdef Py_buffer view
        PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
        try:
            if ts_ns < self.last_ns:
                self.unordered += 1
                ts_ns = self.last_ns
            self.last_ns = ts_ns
            self.mold(<const uint8_t *>view.buf, view.len, ts_ns)
        finally:
            PyBuffer_Release(&view)

    cdef int mold(self, const uint8_t *p, Py_ssize_t size, int64_t ts_ns) except -1:
        cdef uint64_t seq
        cdef uint32_t length, count, i
        cdef Py_ssize_t at = 20
        if size < 20:
            raise self.rejected(0, f"a packet of {size} bytes is no MoldUDP64 packet")
        seq, count = itch_u64(p + 10), itch_u16(p + 18)
        if not self.in_session or memcmp(self.session, p, 10) != 0:
            memcpy(self.session, p, 10)
            self.in_session = True
            self.next_seq = seq
        if count == 0xFFFF:
            count = 0
        if seq > self.next_seq:
            self.gap(seq, ts_ns)
        for i in range(count):
            length = itch_u16(p + at) if size - at >= 2 else 0
            if size - at < 2 + <int64_t>length or length == 0:
                raise self.rejected(0, f"packet {seq} is cut off in its message {i + 1} of {count}")
            if seq + i < self.next_seq:
                self.doubled += 1
            else:
                self.one(p + at + 2, length, seq + i, ts_ns, 0)
                self.next_seq = seq + i + 1
            at += 2 + length
        return 0

    cdef int gap(self, uint64_t seq, int64_t ts_ns) except -1:
        cdef uint64_t stock
        if self.gaps == 0:
            self.first_missing = self.next_seq
        self.gaps += 1
        self.missing += seq - self.next_seq
        for stock in self.instruments:
            self.mark_gap(stock, self.next_seq, seq, ts_ns)
        self.next_seq = self.gap_end = seq
        return 0

    cdef int mark_gap(self, uint64_t stock, uint64_t expected, uint64_t received, int64_t ts_ns) except -1:
        cdef chr_gap_t *r
        cdef int lane
        for lane in (LANE_BOOK, LANE_TRADE):
            r = <chr_gap_t *>self.batch.add(CHR_GAP, lane, stock, ts_ns, self.venue_ns or ts_ns, 0)
            r.instrument_id = stock
            r.recv_ts = ts_ns
            r.expected_id, r.received_id, r.reason = expected, received, <uint8_t>SEQUENCE
        return 0

    # ------------------------------------------------------------ one message

    def message(self, data, uint64_t seq, int64_t ts_ns=0):
        cdef bytes text = bytes(data)
        self.one(text, <uint32_t>len(text), seq, ts_ns, 0)

    cdef int one(self, const uint8_t *m, uint32_t length, uint64_t seq, int64_t recv_ns, uint64_t at) except -1:
        cdef uint8_t kind = m[0]
        cdef int64_t since
        if LENGTH[kind] == 0:
            raise self.rejected(at, f"{bytes(m[:1])!r} is no message type of ITCH 5.0")
        if length != LENGTH[kind]:
            raise self.rejected(at, f"a message {chr(kind)} of {length} bytes; it has {LENGTH[kind]}")
        since = <int64_t>itch_u48(m + 5)
        if since >= DAY_NS:
            raise self.rejected(at, f"a time of {since} ns after midnight")
        self.total += 1
        self.counts[kind] += 1
        self.m = m
        self.seq = seq
        self.venue_ns = self.midnight_ns + since
        self.recv_ns = recv_ns
        self.ts_ns = recv_ns if recv_ns else self.venue_ns
        if self.ts_ns < self.last_ns:
            if not recv_ns:
                raise self.rejected(at, f"its time is before that of the message above by {self.last_ns - self.ts_ns} ns")
            self.ts_ns = self.last_ns
        self.last_ns = self.ts_ns
        self.stock = self.stocks[itch_u16(m + 1)]
        if self.stock == 0 and kind != c"S" and kind != c"V" and kind != c"W":
            self.stock = self.name_stock(kind)
        if self.stock == UNWANTED:
            return 0
        return self.dispatch(kind)

    cdef int dispatch(self, uint8_t kind) except -1:
        if kind == c"A" or kind == c"F":
            return self.add_order()
        if kind == c"D" or kind == c"X":
            return self.delete_order(0 if kind == c"D" else itch_u32(self.m + 19))
        if kind == c"E" or kind == c"C":
            return self.execute_order(kind == c"C")
        if kind == c"U":
            return self.replace_order()
        if kind == c"P":
            return self.trade(itch_u32(self.m + 32), itch_u32(self.m + 20), itch_u64(self.m + 36), CHR_SIDE_NONE)
        if kind == c"Q":
            if itch_u64(self.m + 11) == 0:
                return 0  # no cross took place
            return self.trade(
                itch_u32(self.m + 27), <int64_t>itch_u64(self.m + 11), itch_u64(self.m + 31), CHR_SIDE_NONE
            )
        if kind == c"H":
            state = self.m[19]
            return self.phase(
                CONTINUOUS if state == c"T" else PRE_OPEN if state == c"Q" else HALTED
            )
        if kind == c"I":
            return self.imbalance()
        if kind == c"S":
            return self.system_event(self.m[11])
        return 0

    cdef int add_order(self) except -1:
        cdef const uint8_t *m = self.m
        cdef chr_order_add_t *r = <chr_order_add_t *>self.record(CHR_ORDER_ADD, LANE_BOOK)
        cdef chr_known_order *known = chr_orders_put(&self.orders, itch_u64(m + 11))
        if known == NULL:
            raise MemoryError
        known.side = CHR_SIDE_BUY if m[19] == c"B" else CHR_SIDE_SELL
        known.qty, known.price, known.instrument_id = itch_u32(m + 20), itch_u32(m + 32), self.stock
        r.instrument_id = self.stock
        r.venue_ts = r.event_ts = self.venue_ns
        r.recv_ts, r.venue_seq, r.raw_seq = self.recv_ns, self.seq, self.seq
        r.order_id, r.price, r.qty, r.side = known.id, known.price, known.qty, known.side
        return 0

    cdef int delete_order(self, uint32_t qty) except -1:
        cdef chr_order_delete_t *r = <chr_order_delete_t *>self.record(CHR_ORDER_DELETE, LANE_BOOK)
        cdef chr_known_order *known = chr_orders_find(&self.orders, itch_u64(self.m + 11))
        r.instrument_id = self.stock
        r.venue_ts = r.event_ts = self.venue_ns
        r.recv_ts, r.venue_seq, r.raw_seq = self.recv_ns, self.seq, self.seq
        r.order_id, r.qty = itch_u64(self.m + 11), qty
        if known != NULL:
            r.side = known.side
            self.less(known, qty if qty else known.qty)
        return 0

    cdef int execute_order(self, bint priced) except -1:
        cdef const uint8_t *m = self.m
        cdef chr_order_execute_t *r = <chr_order_execute_t *>self.record(CHR_ORDER_EXECUTE, LANE_BOOK)
        cdef chr_known_order *known = chr_orders_find(&self.orders, itch_u64(m + 11))
        cdef int64_t qty = itch_u32(m + 19), price
        cdef uint8_t side
        r.instrument_id = self.stock
        r.venue_ts = r.event_ts = self.venue_ns
        r.recv_ts, r.venue_seq, r.raw_seq = self.recv_ns, self.seq, self.seq
        r.order_id, r.qty, r.trade_id = itch_u64(m + 11), qty, itch_u64(m + 23)
        if priced:
            r.price = itch_u32(m + 32)
        elif known != NULL:
            r.price = known.price
        if known == NULL:
            self.unknown_order += 1
            return 0
        r.side = side = known.side
        price = r.price
        self.less(known, qty)
        if priced and m[31] != c"Y":
            return 0  # part of a cross, which is printed once as a whole
        return self.trade(price, qty, itch_u64(m + 23), side)

    cdef int replace_order(self) except -1:
        cdef const uint8_t *m = self.m
        cdef chr_order_modify_t *r = <chr_order_modify_t *>self.record(CHR_ORDER_MODIFY, LANE_BOOK)
        cdef chr_known_order *known = chr_orders_find(&self.orders, itch_u64(m + 11))
        r.instrument_id = self.stock
        r.venue_ts = r.event_ts = self.venue_ns
        r.recv_ts, r.venue_seq, r.raw_seq = self.recv_ns, self.seq, self.seq
        r.order_id, r.new_order_id = itch_u64(m + 11), itch_u64(m + 19)
        r.qty, r.price = itch_u32(m + 27), itch_u32(m + 31)
        if known == NULL:
            return 0
        r.side = known.side
        chr_orders_drop(&self.orders, known)
        known = chr_orders_put(&self.orders, r.new_order_id)
        if known == NULL:
            raise MemoryError
        known.side, known.qty, known.price, known.instrument_id = r.side, r.qty, r.price, self.stock
        return 0

    cdef int trade(self, int64_t price, int64_t qty, uint64_t trade_id, uint8_t resting) except -1:
        cdef chr_trade_t *r = <chr_trade_t *>self.record(CHR_TRADE, LANE_TRADE)
        r.instrument_id = self.stock
        r.venue_ts = r.event_ts = self.venue_ns
        r.recv_ts, r.raw_seq = self.recv_ns, self.seq
        r.price, r.qty, r.trade_id = price, qty, trade_id
        if resting != CHR_SIDE_NONE:
            r.aggressor = CHR_SIDE_SELL if resting == CHR_SIDE_BUY else CHR_SIDE_BUY
        return 0

    cdef int phase(self, uint8_t phase) except -1:
        cdef chr_phase_change_t *r = <chr_phase_change_t *>self.record(CHR_PHASE_CHANGE, LANE_BOOK)
        r.instrument_id = self.stock
        r.venue_ts = r.event_ts = self.venue_ns
        r.recv_ts, r.venue_seq, r.raw_seq, r.phase = self.recv_ns, self.seq, self.seq, phase
        return 0

    cdef int system_event(self, uint8_t code) except -1:
        """Of the market as a whole: every stock's phase. Q and M bound the market's hours, E and C end the day."""
        cdef uint8_t phase
        if code == c"Q":
            phase = CONTINUOUS
        elif code == c"M":
            phase = POST_CLOSE
        elif code == c"E" or code == c"C":
            phase = CLOSED
        else:
            return 0
        for stock in self.instruments:
            self.stock = stock
            self.phase(phase)
        return 0

    cdef int imbalance(self) except -1:
        """Net Order Imbalance Indicator: where and how much the next cross would clear."""
        cdef const uint8_t *m = self.m
        cdef chr_auction_info_t *r = <chr_auction_info_t *>self.record(CHR_AUCTION_INFO, LANE_BOOK)
        cdef uint8_t side = m[27], cross = m[48]
        r.instrument_id = self.stock
        r.venue_ts = r.event_ts = self.venue_ns
        r.recv_ts, r.venue_seq, r.raw_seq = self.recv_ns, self.seq, self.seq
        r.qty, r.imbalance_qty = <int64_t>itch_u64(m + 11), <int64_t>itch_u64(m + 19)
        r.far_price, r.price, r.reference_price = itch_u32(m + 36), itch_u32(m + 40), itch_u32(m + 44)
        r.imbalance_side = CHR_SIDE_BUY if side == c"B" else CHR_SIDE_SELL if side == c"S" else CHR_SIDE_NONE
        r.phase = OPENING if cross == c"O" else CLOSING if cross == c"C" else INTRADAY
        if r.price == 0:
            r.flags = NO_PRICE
        return 0

    cdef void *record(self, uint16_t type_id, int lane) except NULL:
        return self.batch.add(type_id, lane, self.stock, self.ts_ns, self.venue_ns, 0)

    cdef int less(self, chr_known_order *known, int64_t qty) noexcept:
        known.qty -= qty
        if known.qty <= 0:
            chr_orders_drop(&self.orders, known)
        return 0

    # ------------------------------------------------------------ stocks

    cdef uint64_t name_stock(self, uint8_t kind) except? 0:
        """Learns the stock of a locate code from a message that spells it out: the directory comes first, a capture may begin later."""
        cdef int at = stock_at(kind)
        if at == 0:
            self.unknown_stock += 1
            return UNWANTED
        symbol = bytes(self.m[at : at + 8]).decode("ascii", "replace").rstrip()
        wanted = bool(symbol) and (self.symbols is None or symbol in self.symbols)
        cdef uint64_t number = UNWANTED
        if wanted:
            try:
                number = instrument_id(f"{self.venue}:{symbol}")
            except InvalidName:
                raise self.rejected(0, f"stock {symbol!r} is no name") from None
            if self.gaps and number not in self.instruments:  # what was missing before may have been of this stock too
                self.mark_gap(number, self.first_missing, self.gap_end, self.ts_ns)
            self.instruments[number] = stock_definition(self.venue, symbol, number)
            if kind == c"R":
                self.begin_day(number)
        self.stocks[itch_u16(self.m + 1)] = number
        return number

    def begin_day(self, uint64_t stock):
        """The directory opens the day with no order in any book. Those of the day before were never deleted, and their ids come again."""
        empty = BookSnapshot(
            instrument_id=stock,
            venue_ts=self.venue_ns,
            event_ts=self.venue_ns,
            recv_ts=self.recv_ns,
            raw_seq=self.seq,
        )
        self.batch.put(empty, "book", self.ts_ns, self.venue_ns)

    cdef object rejected(self, uint64_t at, str reason):
        place = f"byte {self.consumed + at}" if self.recv_ns == 0 and not self.in_session else f"message {self.total + 1}"
        return ImportRejected(file=self.file, place=place, reason=reason)


cdef int stock_at(uint8_t kind) noexcept:
    """Where a message spells out its stock; 0 = nowhere."""
    if kind == c"A" or kind == c"F" or kind == c"P":
        return 24
    if kind == c"Q":
        return 19
    if kind == c"I":
        return 28
    if kind in b"RHYKJhNO":
        return 11
    if kind == c"L":
        return 15
    return 0


def stock_definition(venue, symbol, number):
    """Every stock has four decimals and a tick of a cent (finer below a dollar); orders are in whole shares."""
    return Instrument(
        instrument_id=number,
        tick_size=100,
        lot_size=1,
        min_qty=1,
        contract_size=1,
        price_exponent=PRICE_EXPONENT,
        qty_exponent=0,
        contract_kind=ContractKind.SPOT,
        book_mode=BookMode.L3,
        trading=1,
        venue=venue,
        symbol=symbol,
        base_currency=symbol,
        quote_currency="USD",
        settle_currency="USD",
    )
