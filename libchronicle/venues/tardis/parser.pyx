"""Tardis CSV files, see parser.pyi for the contract and layout.py for the columns."""

from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy

from libchronicle.protocol.decimal cimport (
    CHR_DECIMAL_OK,
    chr_decimal_reason,
    chr_parse_decimal,
)
from libchronicle.protocol.layout cimport (
    CHR_BEST_BID_ASK,
    CHR_BOOK_DELTA,
    CHR_BOOK_SNAPSHOT,
    CHR_GAP,
    CHR_SIDE_BUY,
    CHR_SIDE_NONE,
    CHR_SIDE_SELL,
    CHR_TRADE,
    chr_best_bid_ask_t,
    chr_block_length,
    chr_book_delta_t,
    chr_book_snapshot_t,
    chr_gap_t,
    chr_level_t,
    chr_trade_t,
)
from libchronicle.protocol.sbe cimport chr_put_levels
from libchronicle.venues.batch cimport LANE_BOOK, LANE_QUOTE, LANE_TRADE, RecordBatch
from libchronicle.venues.csv_line cimport chr_cell, chr_csv_split, chr_csv_u64
from libchronicle.venues.lines cimport LineParser

from decimal import Decimal, InvalidOperation
from hashlib import blake2b
from math import gcd

from libchronicle.errors import ImportRejected
from libchronicle.protocol import BookFlags, GapReason
from libchronicle.venues.definition import Figures
from libchronicle.venues.tardis.layout import Kind

__all__ = ["TardisParser", "TardisSurvey"]

cdef enum:
    CELLS = 512
    PLACES = 64  # a number's, written out: many more than 64 bits hold
    DEEP = 20_000  # levels one record takes; a snapshot of more is followed by the rest as a delta

cdef int INCREMENTAL = Kind.INCREMENTAL_BOOK_L2, TRADES = Kind.TRADES, QUOTES = Kind.QUOTES, SNAPSHOT = Kind.BOOK_SNAPSHOT
cdef uint64_t EARLIEST = 946_684_800_000_000, LATEST = 4_102_444_800_000_000  # µs: the years 2000 to 2100
cdef uint8_t RECONNECT = GapReason.RECONNECT
cdef uint16_t RESYNC = BookFlags.RESYNC


cdef class _Rows(LineParser):
    cdef chr_cell cells[CELLS]
    cdef uint16_t places[CELLS]
    cdef int width, kind, fields
    cdef int64_t ts_ns, local_ns
    cdef bytes of_exchange, of_symbol

    def __cinit__(self, layout, *args, **kwargs):
        self.kind, self.width, self.fields = layout.kind, layout.width, len(layout.columns)
        for i, place in enumerate(layout.columns):
            self.places[i] = place

    @property
    def exchange(self):
        return (self.of_exchange or b"").decode()

    @property
    def symbol(self):
        return (self.of_symbol or b"").decode()

    cdef int line(self, const char *p, size_t n) except -1:
        cdef int count = chr_csv_split(p, n, self.cells, CELLS)
        cdef int64_t local
        if count == 0:
            return 0
        self.rows += 1
        if count != self.width:
            raise self.rejected(f"{count if count > 0 else 'too many'} columns; the header has {self.width}")
        self.owner()
        self.ts_ns = self.stamp(2, "timestamp")
        local = self.stamp(3, "local_timestamp")
        if local < self.local_ns:
            raise self.rejected(
                f"local_timestamp is before that of the row above by {(self.local_ns - local) // 1000} µs; sort the file by it"
            )
        self.local_ns = local
        return self.row()

    cdef int row(self) except -1:
        return 0

    cdef chr_cell *cell(self, int field) noexcept:
        return &self.cells[self.places[field]]

    cdef bint is_text(self, int field, const char *text, uint32_t size) noexcept:
        cdef chr_cell *c = self.cell(field)
        return c.n == size and memcmp(c.p, text, size) == 0

    cdef int owner(self) except -1:
        """One file, one instrument: the first row says which."""
        if self.of_symbol is None:
            self.of_exchange, self.of_symbol = self.cell(0).p[:self.cell(0).n], self.cell(1).p[:self.cell(1).n]
            if not self.of_exchange or not self.of_symbol:
                raise self.rejected("exchange or symbol is empty")
            if not (self.of_exchange.isascii() and self.of_symbol.isascii()):
                raise self.rejected("exchange or symbol is no plain text")
        if not self.is_text(1, self.of_symbol, <uint32_t>len(self.of_symbol)):
            raise self.rejected(
                f"symbol {self.text(1)!r} in a file of {self.symbol!r}: split the file, one instrument each"
            )
        if not self.is_text(0, self.of_exchange, <uint32_t>len(self.of_exchange)):
            raise self.rejected(f"exchange {self.text(0)!r} in a file of {self.exchange!r}")
        return 0

    cdef int64_t stamp(self, int field, str name) except -1:
        cdef uint64_t micros = 0
        if not chr_csv_u64(self.cell(field), &micros):
            raise self.rejected(f"{name} {self.text(field)!r} is no whole number of µs")
        if not EARLIEST <= micros < LATEST:
            unit = next((u for u, k in (("s", 1_000_000), ("ms", 1000)) if EARLIEST <= micros * k < LATEST), "")
            unit = unit or ("ns" if EARLIEST <= micros // 1000 < LATEST else "")
            hint = f"; it looks like {unit}" if unit else ""
            raise self.rejected(f"{name} {micros} is no time in µs since 1970{hint}")
        return <int64_t>micros * 1000

    cdef str text(self, int field):
        return self.cell(field).p[:min(self.cell(field).n, 64)].decode("utf-8", "replace")

    cdef uint8_t side(self, const char *buy, uint32_t buys, const char *sell, uint32_t sells) except 255:
        if self.is_text(5, buy, buys):
            return CHR_SIDE_BUY
        if self.is_text(5, sell, sells):
            return CHR_SIDE_SELL
        if self.kind == TRADES and self.is_text(5, "unknown", 7):
            return CHR_SIDE_NONE
        raise self.rejected(f"side {self.text(5)!r} is neither {buy.decode()} nor {sell.decode()}")

    cdef object rejected(self, str reason):
        return ImportRejected(file=self.file, place=f"line {self.rows + 1}", reason=reason)


# ---------------------------------------------------------------- first pass

cdef struct figures:
    int digits, decimals
    int64_t grid  # in 1e-8; -1: some value is finer or larger


cdef class TardisSurvey(_Rows):
    cdef figures of_price, of_qty
    cdef readonly int64_t first_ns, last_ns

    def __init__(self, layout, str file="Tardis CSV"):
        self.file = file

    @property
    def price(self):
        return Figures(self.of_price.digits, self.of_price.decimals, max(self.of_price.grid, 0))

    @property
    def qty(self):
        return Figures(self.of_qty.digits, self.of_qty.decimals, max(self.of_qty.grid, 0))

    cdef int row(self) except -1:
        cdef int i
        if self.rows == 1:
            self.first_ns = self.local_ns
        self.last_ns = self.local_ns
        if self.kind == INCREMENTAL or self.kind == TRADES:
            self.look(6, &self.of_price)
            self.look(7, &self.of_qty)
        elif self.kind == QUOTES:
            for i in range(4):
                self.look(4 + i, &self.of_price if i == 1 or i == 2 else &self.of_qty)
        else:
            for i in range(4, self.fields):
                self.look(i, &self.of_qty if i & 1 else &self.of_price)
        return 0

    cdef int look(self, int field, figures *f) except -1:
        cdef chr_cell *c = self.cell(field)
        cdef const char *point
        cdef int64_t value = 0
        cdef int n = c.n, whole, places
        if n == 0:
            return 0
        if memchr(c.p, c"e", n) != NULL or memchr(c.p, c"E", n) != NULL:
            return self.look_at_text(plain(self, field), f)
        point = <const char *>memchr(c.p, c".", n)
        whole = <int>(point - c.p) if point != NULL else n
        places = n - whole - 1 if point != NULL else 0
        while places > 0 and c.p[whole + places] == c"0":
            places -= 1
        f.digits = max(f.digits, whole)
        f.decimals = max(f.decimals, places)
        if f.grid >= 0:
            if chr_parse_decimal(c.p, c.n, -8, &value) != CHR_DECIMAL_OK:
                f.grid = -1
            elif value:
                f.grid = common(f.grid, value)
        return 0

    cdef int look_at_text(self, bytes text, figures *f) except -1:
        whole, _, places = text.partition(b".")
        f.digits = max(f.digits, <int>len(whole))
        f.decimals = max(f.decimals, <int>len(places.rstrip(b"0")))
        f.grid = -1
        return 0


cdef int64_t common(int64_t a, int64_t b) noexcept:
    """Greatest common divisor; mostly `a` divides `b` already."""
    cdef int64_t rest
    while b:
        rest = a % b
        a, b = b, rest
    return a if a >= 0 else -a


cdef bytes plain(_Rows rows, int field):
    """A number with an exponent, as programs write small ones (5e-05), in plain digits."""
    try:
        value = Decimal(rows.text(field))
        if rows.cell(field).n <= PLACES and value.is_finite() and abs(value.adjusted()) <= PLACES and -value.as_tuple().exponent <= PLACES:
            return format(value, "f").encode()
    except InvalidOperation:
        pass
    raise rows.rejected(f"{rows.text(field)!r} is no number, or of no sensible size")


# ---------------------------------------------------------------- second pass


cdef class TardisParser(_Rows):
    cdef RecordBatch batch
    cdef uint64_t instrument_id
    cdef int price_exponent, qty_exponent
    cdef readonly uint64_t gaps
    # rows of one message, not written yet
    cdef list bids, asks
    cdef bint pending, is_snapshot, had_snapshot
    cdef int64_t of_ts, of_local
    cdef uint64_t first_row, last_row, written

    def __init__(self, layout, instrument, RecordBatch batch not None, str file="Tardis CSV"):
        self.file = file
        self.batch = batch
        self.instrument_id = instrument.instrument_id
        self.price_exponent, self.qty_exponent = instrument.price_exponent, instrument.qty_exponent
        self.bids, self.asks = [], []

    cdef int row(self) except -1:
        if self.kind == INCREMENTAL:
            return self.level()
        if self.kind == TRADES:
            return self.trade()
        if self.kind == QUOTES:
            return self.quote()
        return self.whole_book()

    cdef int last(self) except -1:
        return self.flush()

    cdef int64_t number(self, int field, int exponent) except? -1:
        cdef chr_cell *c = self.cell(field)
        cdef int64_t value = 0
        cdef bytes text
        cdef int error = chr_parse_decimal(c.p, c.n, exponent, &value)
        if error != CHR_DECIMAL_OK and (memchr(c.p, c"e", c.n) != NULL or memchr(c.p, c"E", c.n) != NULL):
            text = plain(self, field)
            error = chr_parse_decimal(text, len(text), exponent, &value)
        if error != CHR_DECIMAL_OK:
            raise self.rejected(
                f"{self.text(field)!r} is no decimal with exponent {exponent}: {chr_decimal_reason(error).decode()}"
            )
        return value

    cdef int64_t quantity(self, int field) except -1:
        cdef int64_t value = self.number(field, self.qty_exponent)
        if value < 0:
            raise self.rejected(f"quantity {self.text(field)!r} is below 0")
        return value

    # ------------------------------------------------------------ incremental_book_L2

    cdef int level(self) except -1:
        cdef bint snapshot = self.is_text(4, "true", 4)
        cdef uint8_t side = self.side("bid", 3, "ask", 3)
        if not snapshot and not self.is_text(4, "false", 5):
            raise self.rejected(f"is_snapshot {self.text(4)!r} is neither true nor false")
        if self.pending and (
            snapshot != self.is_snapshot or (not snapshot and (self.local_ns != self.of_local or self.ts_ns != self.of_ts))
        ):
            self.flush()
        if not self.pending:
            self.pending, self.is_snapshot, self.first_row = True, snapshot, self.rows
        self.of_ts, self.of_local, self.last_row = self.ts_ns, self.local_ns, self.rows
        (self.bids if side == CHR_SIDE_BUY else self.asks).append(
            (self.number(6, self.price_exponent), self.quantity(7))
        )
        if not snapshot and len(self.bids) + len(self.asks) >= DEEP:
            self.flush()
        return 0

    cdef int flush(self) except -1:
        if not self.pending:
            return 0
        if self.is_snapshot:
            self.flush_snapshot()
        else:
            self.write_delta(self.bids, self.asks, self.first_row, self.last_row)
        self.bids, self.asks = [], []
        self.pending = False
        return 0

    cdef int flush_snapshot(self) except -1:
        bids = sorted(((p, q) for p, q in dict(self.bids).items() if q), reverse=True)
        asks = sorted((p, q) for p, q in dict(self.asks).items() if q)
        if self.had_snapshot:
            self.gap()
        cdef uint16_t flags = RESYNC if self.had_snapshot else 0
        self.had_snapshot = True
        # ids grow with the parts: the book passes over what it has seen
        cdef uint64_t row = self.last_row if len(bids) + len(asks) <= DEEP else self.first_row
        self.write_snapshot(bids[:DEEP // 2], asks[:DEEP // 2], row, flags)
        bids, asks = bids[DEEP // 2:], asks[DEEP // 2:]
        while bids or asks:
            row += 1
            self.write_delta(bids[:DEEP // 2], asks[:DEEP // 2], row, row)
            bids, asks = bids[DEEP // 2:], asks[DEEP // 2:]
        return 0

    cdef int gap(self) except -1:
        cdef chr_gap_t *r = <chr_gap_t *>self.batch.add(
            CHR_GAP, LANE_BOOK, self.instrument_id, self.of_local, self.of_ts, 0
        )
        self.gaps += 1
        r.instrument_id = self.instrument_id
        r.recv_ts, r.reason, r.raw_seq = self.of_local, RECONNECT, self.first_row
        return 0

    cdef int write_snapshot(self, list bids, list asks, uint64_t row, uint16_t flags) except -1:
        cdef chr_book_snapshot_t *r = <chr_book_snapshot_t *>self.batch.add(
            CHR_BOOK_SNAPSHOT, LANE_BOOK, self.instrument_id, self.of_local, self.of_ts, len(bids) + len(asks)
        )
        r.instrument_id = self.instrument_id
        r.venue_ts = r.event_ts = self.of_ts
        r.recv_ts = self.of_local
        r.last_update_id = r.raw_seq = row
        r.flags = flags
        put_side(put_side(<char *>r + chr_block_length(CHR_BOOK_SNAPSHOT), bids), asks)
        return 0

    cdef int write_delta(self, list bids, list asks, uint64_t first, uint64_t last) except -1:
        cdef chr_book_delta_t *r = <chr_book_delta_t *>self.batch.add(
            CHR_BOOK_DELTA, LANE_BOOK, self.instrument_id, self.of_local, self.of_ts, len(bids) + len(asks)
        )
        r.instrument_id = self.instrument_id
        r.venue_ts = r.event_ts = self.of_ts
        r.recv_ts = self.of_local
        r.first_update_id, r.last_update_id, r.raw_seq = first, last, first
        put_side(put_side(<char *>r + chr_block_length(CHR_BOOK_DELTA), bids), asks)
        return 0

    # ------------------------------------------------------------ the other types

    cdef int whole_book(self) except -1:
        cdef int i
        asks, bids = [], []
        for i in range(4, self.fields, 4):
            if self.cell(i).n:
                asks.append((self.number(i, self.price_exponent), self.quantity(i + 1)))
            if self.cell(i + 2).n:
                bids.append((self.number(i + 2, self.price_exponent), self.quantity(i + 3)))
        if any(a >= b for (a, _), (b, _) in zip(asks, asks[1:])) or any(a <= b for (a, _), (b, _) in zip(bids, bids[1:])):
            raise self.rejected("levels are not in the order of their prices")
        self.of_ts, self.of_local = self.ts_ns, self.local_ns
        return self.write_snapshot(bids, asks, self.rows, 0)

    cdef int trade(self) except -1:
        cdef uint8_t side = self.side("buy", 3, "sell", 4)
        cdef int64_t price = self.number(6, self.price_exponent), qty = self.quantity(7)
        cdef chr_trade_t *r = <chr_trade_t *>self.batch.add(
            CHR_TRADE, LANE_TRADE, self.instrument_id, self.local_ns, self.ts_ns, 0
        )
        cdef uint64_t number = 0
        if not chr_csv_u64(self.cell(4), &number) and self.cell(4).n:
            number = int.from_bytes(blake2b(self.cell(4).p[:self.cell(4).n]).digest()[:8], "little")
        r.instrument_id = self.instrument_id
        r.venue_ts = r.event_ts = self.ts_ns
        r.recv_ts, r.raw_seq = self.local_ns, self.rows
        r.trade_id, r.price, r.qty, r.aggressor = number, price, qty, side
        return 0

    cdef int quote(self) except -1:
        cdef int64_t values[4]
        cdef int i
        for i in range(4):
            values[i] = 0
            if self.cell(4 + i).n:
                values[i] = self.number(4 + i, self.price_exponent) if i == 1 or i == 2 else self.quantity(4 + i)
        cdef chr_best_bid_ask_t *r = <chr_best_bid_ask_t *>self.batch.add(
            CHR_BEST_BID_ASK, LANE_QUOTE, self.instrument_id, self.local_ns, self.ts_ns, 0
        )
        r.instrument_id = self.instrument_id
        r.venue_ts = r.event_ts = self.ts_ns
        r.recv_ts = self.local_ns
        r.update_id = r.raw_seq = self.rows
        r.ask_qty, r.ask_price, r.bid_price, r.bid_qty = values[0], values[1], values[2], values[3]
        return 0


cdef void *put_side(void *at, list levels) except NULL:
    """A group of levels; what follows it."""
    cdef chr_level_t *to = chr_put_levels(at, <uint16_t>len(levels))
    cdef int64_t price, qty
    for price, qty in levels:
        to.price, to.qty = price, qty
        to += 1
    return to
