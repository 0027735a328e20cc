"""LOBSTER message files, see parser.pyi for the contract.

Source: "LOBSTER: Limit Order Book System - The Efficient Reconstructor", output file format. Six columns, no header:

    time        seconds after midnight of the market, up to nine decimals
    type        1 new  2 part cancelled  3 deleted  4 execution of a visible order  5 execution of a hidden order
                6 cross trade (auction)  7 trading halt (price -1 halted, 0 quotes resume, 1 trading resumes)
    order id    of the order in the book; 0 for hidden ones
    size        shares
    price       dollars times 10,000
    direction   1 buy, -1 sell: side of the order in the book, so the aggressor of an execution is the other side

A file may begin in mid-day. Orders that entered before it are known from the published book only, as sums of a level. They are
represented by one order for each level with an id of its own (bit 63 set, bit 62 the side, then the price), which stands before all
that come later, as they did. What happens to an unknown order is taken off that one.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint64_t

from libchronicle.protocol.decimal cimport CHR_DECIMAL_OK, chr_decimal_reason, chr_parse_decimal
from libchronicle.protocol.layout cimport (
    CHR_ORDER_ADD,
    CHR_ORDER_DELETE,
    CHR_ORDER_EXECUTE,
    CHR_PHASE_CHANGE,
    CHR_SIDE_BUY,
    CHR_SIDE_NONE,
    CHR_SIDE_SELL,
    CHR_TRADE,
    chr_order_add_t,
    chr_order_delete_t,
    chr_order_execute_t,
    chr_phase_change_t,
    chr_trade_t,
)
from libchronicle.venues.batch cimport LANE_BOOK, LANE_TRADE, RecordBatch
from libchronicle.venues.csv_line cimport chr_cell, chr_csv_split, chr_csv_u64
from libchronicle.venues.lines cimport LineParser
from libchronicle.venues.order_map cimport (
    chr_known_order,
    chr_order_map,
    chr_orders_drop,
    chr_orders_find,
    chr_orders_free,
    chr_orders_put,
)

from libchronicle.errors import ImportRejected
from libchronicle.protocol import OrderBookFlags, TradingPhase

__all__ = ["EMPTY", "LobsterParser", "book_levels"]

EMPTY = 9999999999  # of an ask, minus that of a bid
KINDS = ("new", "cancel", "delete", "execution", "hidden", "cross", "halt")

cdef enum:
    NEW = 1
    CANCEL = 2
    DELETE = 3
    EXECUTION = 4
    HIDDEN = 5
    CROSS = 6
    HALT = 7

cdef uint16_t INJECTED = OrderBookFlags.INJECTED, FIRST = OrderBookFlags.FIRST, LAST = OrderBookFlags.LAST
cdef uint8_t HALTED = TradingPhase.HALTED, CONTINUOUS = TradingPhase.CONTINUOUS, PRE_OPEN = TradingPhase.PRE_OPEN

cdef struct lobster_message:
    int64_t ts_ns, price
    uint64_t order_id, size
    int kind
    uint8_t side


cdef class LobsterParser(LineParser):
    cdef RecordBatch batch
    cdef chr_order_map orders
    cdef uint64_t instrument_id
    cdef int64_t midnight_ns
    cdef readonly int64_t last_ns
    cdef readonly uint64_t unknown
    cdef uint64_t counts[8]

    def __init__(self, uint64_t instrument_id, int64_t midnight_ns, RecordBatch batch not None, str file="LOBSTER messages"):
        self.batch = batch
        self.instrument_id = instrument_id
        self.midnight_ns = midnight_ns
        self.file = file

    def __dealloc__(self):
        chr_orders_free(&self.orders)

    @property
    def kinds(self):
        return {name: self.counts[i + 1] for i, name in enumerate(KINDS) if self.counts[i + 1]}

    def seed(self, bytes message not None, bytes book not None):
        cdef lobster_message m
        cdef const char *p = message
        cdef const char *end = p + len(message.rstrip(b"\r\n"))
        cdef chr_order_add_t *made = NULL
        cdef chr_known_order *known
        cdef uint8_t side
        if self.read(p, end - p, &m) == 0:
            raise self.rejected("the message file is empty")
        sides = book_levels(book, self.file, 1)
        before = [dict(sides[0]), dict(sides[1])]
        if NEW <= m.kind <= EXECUTION:  # the row shows the book after the message: undo it
            levels = before[m.side == CHR_SIDE_SELL]
            levels[m.price] = levels.get(m.price, 0) + (-<int64_t>m.size if m.kind == NEW else <int64_t>m.size)
        cdef int64_t price, qty
        cdef int count = 0
        for side, levels in ((CHR_SIDE_BUY, before[0]), (CHR_SIDE_SELL, before[1])):
            for price, qty in sorted(levels.items(), reverse=side == CHR_SIDE_BUY):
                if qty <= 0:
                    continue
                made = <chr_order_add_t *>self.batch.add(
                    CHR_ORDER_ADD, LANE_BOOK, self.instrument_id, m.ts_ns, m.ts_ns, 0
                )
                made.instrument_id = self.instrument_id
                made.venue_ts = made.event_ts = m.ts_ns
                made.order_id = level_order(side, price)
                made.price, made.qty, made.side = price, qty, side
                made.flags = INJECTED if count else INJECTED | FIRST
                known = self.know(made.order_id)
                known.price, known.qty, known.side = price, qty, side
                count += 1
        if made != NULL:
            made.flags |= LAST
        return count

    # ------------------------------------------------------------ one message

    cdef int line(self, const char *p, size_t n) except -1:
        cdef lobster_message m
        if self.read(p, n, &m) == 0:
            return 0
        self.rows += 1
        self.counts[m.kind] += 1
        if m.ts_ns < self.last_ns:
            raise self.rejected(f"the time is before that of the line above by {self.last_ns - m.ts_ns} ns; sort the file", 0)
        self.last_ns = m.ts_ns
        if m.kind == NEW:
            self.added(&m)
        elif m.kind == CANCEL or m.kind == DELETE:
            self.cancelled(&m)
        elif m.kind == EXECUTION:
            self.executed(&m)
        elif m.kind == HALT:
            self.halted(&m)
        else:
            self.traded(&m, m.side if m.kind == HIDDEN else <uint8_t>CHR_SIDE_NONE)
        return 0

    cdef int added(self, lobster_message *m) except -1:
        cdef chr_order_add_t *r = <chr_order_add_t *>self.batch.add(
            CHR_ORDER_ADD, LANE_BOOK, self.instrument_id, m.ts_ns, m.ts_ns, 0
        )
        cdef chr_known_order *known = self.know(m.order_id)
        r.instrument_id = self.instrument_id
        r.venue_ts = r.event_ts = m.ts_ns
        r.venue_seq = r.raw_seq = self.rows
        r.order_id, r.price, r.qty, r.side = m.order_id, m.price, <int64_t>m.size, m.side
        known.price, known.qty, known.side = m.price, <int64_t>m.size, m.side
        return 0

    cdef int cancelled(self, lobster_message *m) except -1:
        cdef bint own
        cdef uint64_t target = self.take(m, &own)
        cdef chr_order_delete_t *r
        if target == 0:
            return 0
        r = <chr_order_delete_t *>self.batch.add(CHR_ORDER_DELETE, LANE_BOOK, self.instrument_id, m.ts_ns, m.ts_ns, 0)
        r.instrument_id = self.instrument_id
        r.venue_ts = r.event_ts = m.ts_ns
        r.venue_seq = r.raw_seq = self.rows
        r.order_id, r.side = target, m.side
        r.qty = 0 if own and m.kind == DELETE else <int64_t>m.size
        return 0

    cdef int executed(self, lobster_message *m) except -1:
        cdef bint own
        cdef uint64_t target = self.take(m, &own)
        cdef chr_order_execute_t *r
        if target != 0:
            r = <chr_order_execute_t *>self.batch.add(
                CHR_ORDER_EXECUTE, LANE_BOOK, self.instrument_id, m.ts_ns, m.ts_ns, 0
            )
            r.instrument_id = self.instrument_id
            r.venue_ts = r.event_ts = m.ts_ns
            r.venue_seq = r.raw_seq = self.rows
            r.order_id, r.price, r.qty, r.side = target, m.price, <int64_t>m.size, m.side
        return self.traded(m, m.side)

    cdef int traded(self, lobster_message *m, uint8_t resting) except -1:
        cdef chr_trade_t *r = <chr_trade_t *>self.batch.add(
            CHR_TRADE, LANE_TRADE, self.instrument_id, m.ts_ns, m.ts_ns, 0
        )
        r.instrument_id = self.instrument_id
        r.venue_ts = r.event_ts = m.ts_ns
        r.trade_id = r.raw_seq = self.rows
        r.price, r.qty = m.price, <int64_t>m.size
        if resting == CHR_SIDE_BUY:
            r.aggressor = CHR_SIDE_SELL
        elif resting == CHR_SIDE_SELL:
            r.aggressor = CHR_SIDE_BUY
        return 0

    cdef int halted(self, lobster_message *m) except -1:
        cdef chr_phase_change_t *r = <chr_phase_change_t *>self.batch.add(
            CHR_PHASE_CHANGE, LANE_BOOK, self.instrument_id, m.ts_ns, m.ts_ns, 0
        )
        r.instrument_id = self.instrument_id
        r.venue_ts = r.event_ts = m.ts_ns
        r.venue_seq = r.raw_seq = self.rows
        r.phase = HALTED if m.price < 0 else PRE_OPEN if m.price == 0 else CONTINUOUS
        return 0

    # ------------------------------------------------------------ orders

    cdef chr_known_order *know(self, uint64_t order_id) except NULL:
        cdef chr_known_order *known = chr_orders_put(&self.orders, order_id)
        if known == NULL:
            raise MemoryError
        return known

    cdef uint64_t take(self, lobster_message *m, bint *own) except? 0:
        """The order that loses this quantity: its own, or that of the level for one from before the file; 0: neither is known."""
        cdef chr_known_order *known = chr_orders_find(&self.orders, m.order_id)
        own[0] = known != NULL
        if known == NULL:
            known = chr_orders_find(&self.orders, level_order(m.side, m.price))
        if known == NULL or (not own[0] and known.qty < <int64_t>m.size):
            self.unknown += 1
            return 0
        cdef uint64_t found = known.id
        known.qty -= <int64_t>m.size
        if known.qty <= 0 or (own[0] and m.kind == DELETE):
            chr_orders_drop(&self.orders, known)
        return found

    # ------------------------------------------------------------ text

    cdef int read(self, const char *p, size_t n, lobster_message *m) except -1:
        """1, or 0 for an empty line."""
        cdef chr_cell cells[8]
        cdef int64_t since = 0, price = 0
        cdef uint64_t kind = 0
        cdef int count = chr_csv_split(p, n, cells, 8)
        if count == 0:
            return 0
        if count != 6:
            raise self.rejected("no LOBSTER message: it has six columns", 1)
        cdef int error = chr_parse_decimal(cells[0].p, cells[0].n, -9, &since)
        if error != CHR_DECIMAL_OK:
            raise self.rejected(f"column 1, the time in seconds: {chr_decimal_reason(error).decode()}", 1)
        if not 0 <= since < 200_000_000_000_000:
            raise self.rejected("column 1 is no time in seconds after midnight", 1)
        if not chr_csv_u64(&cells[1], &kind) or not NEW <= kind <= HALT:
            raise self.rejected("column 2 is no event type (1 to 7)", 1)
        if not chr_csv_u64(&cells[2], &m.order_id) or m.order_id >> 63:
            raise self.rejected("column 3 is no order id", 1)
        if not chr_csv_u64(&cells[3], &m.size) or m.size >> 62:
            raise self.rejected("column 4 is no size", 1)
        if chr_parse_decimal(cells[4].p, cells[4].n, 0, &price) != CHR_DECIMAL_OK or (price <= 0 and kind != HALT):
            raise self.rejected("column 5 is no price (dollars times 10,000)", 1)
        if cells[5].n == 1 and cells[5].p[0] == c"1":
            m.side = CHR_SIDE_BUY
        elif cells[5].n == 2 and cells[5].p[0] == c"-" and cells[5].p[1] == c"1":
            m.side = CHR_SIDE_SELL
        else:
            raise self.rejected("column 6 is no direction (1 or -1)", 1)
        m.kind = <int>kind
        m.price = price
        m.ts_ns = self.midnight_ns + since
        return 1

    cdef object rejected(self, str reason, int ahead=1):
        return ImportRejected(file=self.file, place=f"line {self.rows + ahead}", reason=reason)


cdef uint64_t level_order(uint8_t side, int64_t price) noexcept:
    return <uint64_t>1 << 63 | <uint64_t>(side == CHR_SIDE_SELL) << 62 | <uint64_t>price


def book_levels(bytes line not None, str file="LOBSTER order book", int row=1):
    cdef list cells = line.split(b",")
    if len(cells) % 4:
        raise ImportRejected(file=file, place=f"line {row}", reason="no row of an order book: four columns a level")
    bids, asks = [], []
    try:
        for i in range(0, len(cells), 4):
            ask, ask_size, bid, bid_size = (int(cell) for cell in cells[i : i + 4])
            if ask != EMPTY:
                asks.append((ask, ask_size))
            if bid != -EMPTY:
                bids.append((bid, bid_size))
    except ValueError as error:
        raise ImportRejected(file=file, place=f"line {row}", reason=str(error)) from None
    return bids, asks
