"""L2Book: the Python face of l2.h. Other Cython modules use its `b` and the chr_l2_* functions without the GIL."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc

from libchronicle.protocol.layout cimport CHR_SIDE_BUY, CHR_SIDE_SELL, chr_level_t

from libchronicle.errors import BookModeMismatch, DecodeError, InvalidArgument
from libchronicle.protocol import TEMPLATES, Side

__all__ = ["L2Book"]


cdef class L2Book:
    """Price levels of one instrument; prices and quantities are mantissas at the instrument's exponents.

    Invalid until a snapshot, and again after a gap, a reset or a record that cannot be applied: ask `valid` before you
    act on it. With `instrument_id` 0 it adopts the first instrument it is given.
    """

    def __cinit__(self, instrument_id=0):
        cdef uint64_t wanted = instrument_id
        self.b = <chr_l2 *>calloc(1, sizeof(chr_l2))
        if self.b == NULL or chr_l2_init(self.b, wanted):
            raise MemoryError("no memory for a book")

    def __dealloc__(self):
        if self.b != NULL:
            chr_l2_free(self.b)
            free(self.b)

    cdef int _take(self, uint16_t type_id, const void *payload, uint32_t size) noexcept:
        return chr_l2_apply(self.b, type_id, payload, size)

    cdef const char *_reason(self, int result) noexcept:
        return chr_l2_reason(result)

    cdef str _mode(self):
        return "L2"

    cdef int _feed(self, int type_id, object payload) except? -9:
        cdef Py_buffer view
        cdef int result
        PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
        try:
            result = self._take(<uint16_t>type_id, view.buf, <uint32_t>view.len)
            if result >= 0:
                return result
            kind = TEMPLATES[type_id]
            if result == CHR_L2_MODE:
                raise BookModeMismatch(message=kind.__name__, instrument_id=self.b.instrument_id, mode=self._mode())
            raise DecodeError(
                message=kind.__name__, template_id=type_id, size=view.len, reason=self._reason(result).decode()
            )
        finally:
            PyBuffer_Release(&view)

    def apply(self, int type_id, payload) -> bool:
        """Applies one record, given as frame type and payload (any buffer). True when it was for this book.

        False for other instruments, other kinds of record, stale ones, and deltas while the book is invalid.
        Raises DecodeError (cut off, negative quantity, too many levels) or BookModeMismatch (an order-level record);
        the book is invalid then.
        """
        return self._feed(type_id, payload) == CHR_L2_APPLIED

    def apply_all(self, records) -> int:
        """Applies (type_id, payload) records in order; returns how many were for this book. Raises as `apply`."""
        cdef int64_t applied = 0
        cdef int type_id
        for type_id, payload in records:
            applied += self._feed(type_id, payload)
        return applied

    def clear(self) -> None:
        """Empty and invalid, as new; instrument and tick stay known."""
        chr_l2_clear(self.b)

    # ------------------------------------------------------------- state

    @property
    def instrument_id(self) -> int:
        return self.b.instrument_id

    @property
    def valid(self) -> bool:
        return self.b.valid != 0

    @property
    def crossed(self) -> bool:
        """Best bid at or above best ask."""
        return chr_l2_crossed(self.b) != 0

    @property
    def last_update_id(self) -> int:
        return self.b.last_update_id

    @property
    def venue_ts(self) -> int:
        """Of the last record applied, as are `event_ts` and `recv_ts`; nanoseconds since the epoch."""
        return self.b.venue_ts

    @property
    def event_ts(self) -> int:
        return self.b.event_ts

    @property
    def recv_ts(self) -> int:
        return self.b.recv_ts

    @property
    def tick(self) -> int:
        """Tick size from the Instrument record, 0 before one came."""
        return self.b.tick

    def hash(self) -> int:
        """Of the content: equal levels have an equal hash, whatever their history. 0 = empty. Formula: l2.h."""
        return chr_l2_hash(self.b)

    # ------------------------------------------------------------- touch

    cdef list _levels(self, int side, object count):
        cdef uint32_t room = chr_l2_levels(self.b, side)
        cdef uint32_t wanted = room if count is None else min(<int64_t>max(count, 0), room)
        cdef uint32_t i
        cdef chr_level_t *found
        if wanted == 0:
            return []
        found = <chr_level_t *>malloc(wanted * sizeof(chr_level_t))
        if found == NULL:
            raise MemoryError("no memory for the levels of a book")
        try:
            wanted = chr_l2_top(self.b, side, wanted, found)
            return [(found[i].price, found[i].qty) for i in range(wanted)]
        finally:
            free(found)

    @property
    def best_bid(self):
        """(price, qty), or None."""
        cdef chr_level_t level
        return (level.price, level.qty) if chr_l2_best(self.b, CHR_BID, &level) else None

    @property
    def best_ask(self):
        """(price, qty), or None."""
        cdef chr_level_t level
        return (level.price, level.qty) if chr_l2_best(self.b, CHR_ASK, &level) else None

    @property
    def bid_price(self):
        cdef chr_level_t level
        return level.price if chr_l2_best(self.b, CHR_BID, &level) else None

    @property
    def bid_qty(self):
        cdef chr_level_t level
        return level.qty if chr_l2_best(self.b, CHR_BID, &level) else None

    @property
    def ask_price(self):
        cdef chr_level_t level
        return level.price if chr_l2_best(self.b, CHR_ASK, &level) else None

    @property
    def ask_qty(self):
        cdef chr_level_t level
        return level.qty if chr_l2_best(self.b, CHR_ASK, &level) else None

    @property
    def spread(self):
        """Best ask minus best bid, or None while a side is empty; negative when crossed."""
        cdef chr_level_t bid, ask
        if chr_l2_best(self.b, CHR_BID, &bid) and chr_l2_best(self.b, CHR_ASK, &ask):
            return int(ask.price) - int(bid.price)
        return None

    @property
    def mid(self):
        """Mean of best bid and best ask as a float mantissa, or None while a side is empty."""
        cdef chr_level_t bid, ask
        if chr_l2_best(self.b, CHR_BID, &bid) and chr_l2_best(self.b, CHR_ASK, &ask):
            return (<double>bid.price + <double>ask.price) / 2
        return None

    @property
    def weighted_mid(self):
        """Best prices, each weighted with the quantity of the other side (the micro-price); None as `mid`."""
        cdef chr_level_t bid, ask
        cdef double bid_qty, ask_qty
        if not (chr_l2_best(self.b, CHR_BID, &bid) and chr_l2_best(self.b, CHR_ASK, &ask)):
            return None
        bid_qty, ask_qty = <double>bid.qty, <double>ask.qty
        return (<double>bid.price * ask_qty + <double>ask.price * bid_qty) / (bid_qty + ask_qty)

    # ------------------------------------------------------------- depth

    def bids(self, count=None) -> list:
        """Up to `count` (price, qty), best first; all of them without."""
        return self._levels(CHR_BID, count)

    def asks(self, count=None) -> list:
        """Up to `count` (price, qty), best first; all of them without."""
        return self._levels(CHR_ASK, count)

    def levels(self, side) -> int:
        """How many levels a side holds."""
        return chr_l2_levels(self.b, book_side(side))

    def qty_at(self, side, price) -> int:
        """Quantity at one price; 0 when there is no such level."""
        return chr_l2_qty_at(self.b, book_side(side), price)

    def depth(self, side, uint32_t count) -> int:
        """Total quantity of the best `count` levels of a side."""
        return chr_l2_depth(self.b, book_side(side), count)

    def imbalance(self, uint32_t count=1) -> float:
        """(bids - asks) / (bids + asks) of the quantity in the best `count` levels, -1..1; 0 for an empty book."""
        return chr_l2_imbalance(self.b, count)

    def __repr__(self) -> str:
        state = "valid" if self.valid else "invalid"
        return f"<L2Book {self.instrument_id:#018x} {state} bid={self.best_bid} ask={self.best_ask}>"


cdef int book_side(side) except -1:
    """CHR_BID or CHR_ASK. Raises InvalidArgument."""
    if side == CHR_SIDE_BUY:
        return CHR_BID
    if side == CHR_SIDE_SELL:
        return CHR_ASK
    raise InvalidArgument(where="book", field="side", value=side, allowed=f"{Side.BUY!r}, {Side.SELL!r}")
