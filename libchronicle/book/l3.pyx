"""L3Book: the Python face of l3.h. Other Cython modules use its `l3` and the chr_l3_* functions without the GIL."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from libchronicle.book.l2 cimport CHR_ASK, CHR_BID, L2Book, book_side, chr_l2_free, chr_l2_hash
from libchronicle.protocol.layout cimport chr_auction_info_t

from collections import namedtuple

from libchronicle.protocol import (
    AuctionInfo,
    BookFlags,
    BookSnapshot,
    OrderAdd,
    OrderBookFlags,
    PhaseFlags,
    Side,
    TradingPhase,
)

__all__ = ["L3Book", "RestingOrder"]

RestingOrder = namedtuple("RestingOrder", "order_id side price qty")
RestingOrder.__doc__ = """One order of a book; `price` is None while it waits for an auction at any price."""


cdef class L3Book(L2Book):
    """Every order of one instrument, in the queue of its price. Prices and quantities are mantissas.

    All an L2Book can be asked holds for its levels, the sums of the orders that have a price.
    """

    def __cinit__(self, instrument_id=0):
        cdef uint64_t wanted = instrument_id
        chr_l2_free(self.b)
        free(self.b)
        self.b = NULL
        self.l3 = <chr_l3 *>calloc(1, sizeof(chr_l3))
        if self.l3 == NULL:
            raise MemoryError("no memory for a book")
        self.b = &self.l3.l2  # the first member: what L2Book frees is all of it
        if chr_l3_init(self.l3, wanted):
            raise MemoryError("no memory for a book")

    def __dealloc__(self):
        if self.l3 != NULL:
            chr_l3_free(self.l3)

    cdef int _take(self, uint16_t type_id, const void *payload, uint32_t size) noexcept:
        return chr_l3_apply(self.l3, type_id, payload, size)

    cdef const char *_reason(self, int result) noexcept:
        return chr_l3_reason(result)

    cdef str _mode(self):
        return "L3"

    def clear(self) -> None:
        """Empty, as new; instrument, tick and phase stay known."""
        chr_l3_clear(self.l3)

    def hash(self) -> int:
        """Of the orders and their queues: equal books have an equal hash, whatever their history. 0 = empty. Formula: l3.h."""
        return chr_l3_hash(self.l3)

    def levels_hash(self) -> int:
        """Of the levels alone: what an L2Book of the same levels has."""
        return chr_l2_hash(self.b)

    # ------------------------------------------------------------- orders

    @property
    def order_count(self) -> int:
        return self.l3.store.count

    @property
    def lenient(self) -> bool:
        """Count records of orders the book does not hold in `unknown`, instead of refusing them. False at first."""
        return self.l3.lenient != 0

    @lenient.setter
    def lenient(self, value):
        self.l3.lenient = bool(value)

    @property
    def unknown(self) -> int:
        """Contradictions a lenient book passed over."""
        return self.l3.unknown

    @property
    def forbidden(self) -> int:
        """Deletes that came in a phase that forbids them."""
        return self.l3.forbidden

    @property
    def executions(self) -> int:
        return self.l3.executions

    @property
    def executed_qty(self) -> int:
        """Quantity of all executions since the book was made."""
        return self.l3.executed

    def order(self, uint64_t order_id):
        """The RestingOrder of that id, or None."""
        cdef uint32_t place = chr_l3_find(&self.l3.store, order_id)
        if not place:
            return None
        level = &self.l3.store.levels[self.l3.store.orders[place].level]
        side = Side.SELL if level.side else Side.BUY
        price = None if level.no_price else chr_l3_key(self.l3, level.side, level.key)
        return RestingOrder(order_id, side, price, self.l3.store.orders[place].qty)

    def ahead_of(self, uint64_t order_id):
        """(orders, quantity) that stand before an order in its queue, or None when it is not in the book."""
        cdef int64_t qty
        cdef uint32_t count, place = chr_l3_find(&self.l3.store, order_id)
        if not place:
            return None
        count = chr_l3_ahead(&self.l3.store, place, &qty)
        return count, qty

    def orders_at(self, side, int64_t price) -> list:
        """(order id, qty) of one price, first come first."""
        cdef int number = book_side(side)
        return self._queue(chr_l3_find_level(&self.l3.store, number, 0, chr_l3_key(self.l3, number, price)))

    def unpriced(self, side) -> list:
        """(order id, qty) of the orders that wait for an auction at any price, first come first."""
        return self._queue(self._unpriced(side))

    def unpriced_qty(self, side) -> int:
        cdef uint32_t level = self._unpriced(side)
        return self.l3.store.levels[level].qty if level else 0

    cdef uint32_t _unpriced(self, side) except? 0xFFFFFFFF:
        return chr_l3_find_level(&self.l3.store, book_side(side), 1, 0)

    cdef list _queue(self, uint32_t level):
        cdef uint32_t at = self.l3.store.levels[level].head if level else 0
        cdef list found = []
        while at:
            found.append((self.l3.store.orders[at].id, self.l3.store.orders[at].qty))
            at = self.l3.store.orders[at].next
        return found

    cdef list _priced(self, int side):
        kind = Side.SELL if side else Side.BUY
        return [
            RestingOrder(order_id, kind, price, qty)
            for price, _ in self._levels(side, None)
            for order_id, qty in self.orders_at(kind, price)
        ]

    def orders(self) -> list:
        """All RestingOrders: those without a price, then best price first, within a price first come first; bids before asks."""
        found = []
        for side in (CHR_BID, CHR_ASK):
            kind = Side.SELL if side else Side.BUY
            found += [RestingOrder(order_id, kind, None, qty) for order_id, qty in self.unpriced(kind)]
            found += self._priced(side)
        return found

    # ------------------------------------------------------------- auctions

    @property
    def phase(self):
        """The TradingPhase last told of; UNKNOWN before one was."""
        return TradingPhase(self.l3.phase)

    @property
    def phase_flags(self):
        return PhaseFlags(self.l3.phase_flags)

    @property
    def auction(self):
        """The last AuctionInfo, or None."""
        cdef const chr_auction_info_t *a = &self.l3.auction
        if a.instrument_id == 0 and a.venue_ts == 0 and a.recv_ts == 0 and a.venue_seq == 0:
            return None
        payload = bytearray(AuctionInfo().encode())
        cdef uint8_t[::1] into = payload
        memcpy(&into[8], a, sizeof(chr_auction_info_t))
        return AuctionInfo.decode(payload)

    # ------------------------------------------------------------- snapshots

    def snapshot(self, raw_seq=0) -> list:
        """The book as records (type_id, payload) that make an equal one of any L3 book; orders of a queue in their order."""
        common = {
            "instrument_id": self.b.instrument_id,
            "venue_ts": self.b.venue_ts,
            "event_ts": self.b.event_ts,
            "recv_ts": self.b.recv_ts,
            "raw_seq": raw_seq,
        }
        orders = self.orders()
        if not orders:
            empty = BookSnapshot(last_update_id=self.b.last_update_id, flags=BookFlags.INJECTED, **common)
            return [(BookSnapshot.TEMPLATE_ID, empty.encode())]
        records = []
        last = len(orders) - 1
        for number, order in enumerate(orders):
            flags = OrderBookFlags.INJECTED
            flags |= OrderBookFlags.FIRST if number == 0 else OrderBookFlags(0)
            flags |= OrderBookFlags.LAST if number == last else OrderBookFlags(0)
            flags |= OrderBookFlags.NO_PRICE if order.price is None else OrderBookFlags(0)
            record = OrderAdd(
                venue_seq=self.b.last_update_id,
                order_id=order.order_id,
                side=order.side,
                price=order.price or 0,
                qty=order.qty,
                flags=flags,
                **common,
            )
            records.append((OrderAdd.TEMPLATE_ID, record.encode()))
        return records

    def __repr__(self) -> str:
        state = "valid" if self.valid else "invalid"
        return f"<L3Book {self.instrument_id:#018x} {state} {self.order_count} orders bid={self.best_bid} ask={self.best_ask}>"
