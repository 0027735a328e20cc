"""The paper venue: real market data, pretended fills. Pure: orders, books and trades in, events out; the same input gives the same output.

The rules are the matcher's (matcher.h), with the risk-averse queue. What this adds is the router's ledger: each fill is booked in it before
it happens, and a fill that no position can hold ends its order (NOTIONAL_LIMIT). A report says what stood when it was made; the router
turns it into an execution report and appends it.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from libchronicle.book.l2 cimport L2Book
from libchronicle.native.hot cimport chr_frame
from libchronicle.protocol.layout cimport (
    CHR_EXEC_TYPE_ACK,
    CHR_EXEC_TYPE_CANCELLED,
    CHR_EXEC_TYPE_EXPIRED,
    CHR_EXEC_TYPE_FILL,
    CHR_EXEC_TYPE_PARTIAL_FILL,
    CHR_EXEC_TYPE_REJECT,
    CHR_EXEC_TYPE_REPLACED,
    CHR_LIQUIDITY_MAKER,
    CHR_ORDER_FLAGS_POST_ONLY,
    CHR_ORDER_FLAGS_REDUCE_ONLY,
    CHR_REJECT_CODE_NOTIONAL_LIMIT,
    chr_new_order_t,
)
from libchronicle.sim.matcher cimport (
    CHR_SIM_AHEAD_UNKNOWN,
    chr_sim_book,
    chr_sim_cancel,
    chr_sim_cancel_all,
    chr_sim_end_order,
    chr_sim_expire,
    chr_sim_free,
    chr_sim_init,
    chr_sim_instrument,
    chr_sim_new,
    chr_sim_next_expiry,
    chr_sim_order_at,
    chr_sim_place_unknown,
    chr_sim_readmit,
    chr_sim_record,
    chr_sim_replace,
    chr_sim_reset,
    chr_sim_set_book,
    chr_sim_set_position,
    chr_sim_terms,
    chr_sim_trade,
)

from typing import NamedTuple

from libchronicle.errors import FixedPointOverflow
from libchronicle.portfolio import Order
from libchronicle.protocol import ExecType, Liquidity, OrderType, RejectCode, TimeInForce

__all__ = ["PaperGateway", "VenueEvent"]

_KINDS = {int(kind): kind for kind in ExecType}
_CODES = {int(code): code for code in RejectCode}
_LIQUIDITY = {int(kind): kind for kind in Liquidity}
_IMMEDIATE = (TimeInForce.IOC, TimeInForce.FOK)


class VenueEvent(NamedTuple):
    """One thing that happened to an order, with the order's figures at that moment. `request_seq` 0 = nobody asked for it."""

    kind: ExecType
    order: Order
    cum: int
    leaves: int
    price: int
    qty: int
    last_price: int = 0
    last_qty: int = 0
    fee: int = 0
    liquidity: Liquidity = Liquidity.NONE
    trade_id: int = 0
    code: RejectCode = RejectCode.NONE
    request_seq: int = 0


cdef int book_in_ledger(
    void *context, const chr_sim_order *order, int64_t price, int64_t qty, uint8_t liquidity
) noexcept with gil:
    cdef PaperGateway gateway = <PaperGateway> context
    try:
        return gateway.book_fill(order, price, qty, liquidity)
    except FixedPointOverflow:
        return CHR_REJECT_CODE_NOTIONAL_LIMIT
    except BaseException as error:
        gateway.error = error
        return CHR_REJECT_CODE_NOTIONAL_LIMIT


cdef class PaperGateway:
    """Matches orders of many owners against live books. Positions and open orders are booked in the ledger it is given."""

    def __cinit__(self, ledger, fees):
        if chr_sim_init(&self.sim, 0):
            raise MemoryError("no memory for the paper venue")
        self.sim.book_fill = book_in_ledger
        self.sim.book_context = <void *> self
        self.ledger, self.fees = ledger, fees
        self.slots, self.owners, self.orders, self.keys = {}, {}, {}, {}
        self.books, self.booked = [], []

    def __dealloc__(self):
        chr_sim_free(&self.sim)

    @property
    def next_order_id(self) -> int:
        return self.sim.next_order_id

    @next_order_id.setter
    def next_order_id(self, uint64_t number):
        self.sim.next_order_id = number

    @property
    def next_trade_id(self) -> int:
        return self.sim.next_trade_id

    @next_trade_id.setter
    def next_trade_id(self, uint64_t number):
        self.sim.next_trade_id = number

    # ------------------------------------------------------------ requests

    def submit(self, order, L2Book book not None, int64_t now_ns) -> list:
        """A new order arrives: its ack or reject, then what it takes."""
        cdef chr_new_order_t asked
        cdef int slot = self.slot_of(order.instrument_id, book)
        cdef uint32_t owner = self.owner_of(order.owner)
        cdef uint64_t key = self.admit(order)
        memset(&asked, 0, sizeof(asked))
        asked.price, asked.qty, asked.stop_price, asked.expire_ns = order.price, order.qty, order.stop_price, order.expire_ns
        asked.side, asked.order_type, asked.time_in_force = order.side, order.order_type, order.time_in_force
        asked.stp_mode = order.stp_mode
        asked.flags = (CHR_ORDER_FLAGS_POST_ONLY if order.post_only else 0) | (
            CHR_ORDER_FLAGS_REDUCE_ONLY if order.reduce_only else 0
        )
        held = self.ledger.holding(order.owner, order.instrument_id).position.qty
        if (
            chr_sim_set_position(&self.sim, slot, owner, held)
            or chr_sim_new(&self.sim, slot, owner, &asked, key, order.key.seq, now_ns)
        ):
            raise MemoryError("no memory for an order")
        return self.drain()

    def cancel(self, key, str owner not None, uint64_t request_seq) -> list:
        """Cancel one open order; an order that is not open gives no event, the caller knows what it was."""
        number = self.keys.get(key)
        if number is None or self.orders[number].owner != owner:
            return []
        if chr_sim_cancel(&self.sim, number, self.owner_of(owner), request_seq, 0):
            raise MemoryError("no memory for an event")
        return self.drain()

    def cancel_all(self, owner, uint64_t instrument_id=0, uint64_t request_seq=0, code=RejectCode.NONE) -> list:
        """Cancel every open order of an owner (None: of all) in an instrument (0: in all)."""
        cdef uint32_t whose = 0xFFFFFFFF if owner is None else self.owner_of(owner)
        slot = self.slots.get(instrument_id) if instrument_id else -1
        if slot is None:
            return []
        if chr_sim_cancel_all(&self.sim, whose, slot, request_seq, code, 0):
            raise MemoryError("no memory for an event")
        return self.drain()

    def replace(self, order, int64_t price, int64_t qty, L2Book book not None, uint64_t request_seq) -> list:
        """Give an open order another price and total quantity."""
        self.slot_of(order.instrument_id, book)
        if chr_sim_replace(&self.sim, self.keys[order.key], self.owner_of(order.owner), price, qty, request_seq, 0):
            raise MemoryError("no memory for an event")
        return self.drain()

    # ------------------------------------------------------------ the market

    def on_trade(self, uint64_t instrument_id, int64_t price, int64_t qty, aggressor) -> list:
        """A trade printed. Only a sell can have hit our bids, only a buy our offers; an unknown aggressor may be either."""
        slot = self.slots.get(instrument_id)
        if slot is not None and chr_sim_trade(&self.sim, slot, price, qty, aggressor, 0, 0):
            raise MemoryError("no memory for an event")
        return self.drain()

    def on_book(self, uint64_t instrument_id, L2Book book not None) -> list:
        """The book changed: fill what the opposite side has come to."""
        if chr_sim_book(&self.sim, self.slot_of(instrument_id, book), 0, 0):
            raise MemoryError("no memory for an event")
        return self.drain()

    def on_reset(self, uint64_t instrument_id) -> None:
        """The book starts anew from a snapshot after a gap: what was displayed before says nothing now."""
        slot = self.slots.get(instrument_id)
        if slot is not None:
            chr_sim_reset(&self.sim, slot)

    cdef int record(self, uint32_t slot, const chr_frame *f) except -1:
        """A market record, applied to its book already; `sim.count` says whether it did anything."""
        if chr_sim_record(&self.sim, slot, f.type_id, f.payload, f.size, f.seq, f.ts_ns):
            raise MemoryError("no memory for an event")
        return 0

    def expire(self, int64_t now_ns) -> list:
        """End GTD orders whose time has come."""
        if chr_sim_expire(&self.sim, now_ns):
            raise MemoryError("no memory for an event")
        return self.drain()

    def next_expiry_ns(self) -> int:
        """When the next GTD order ends; 0 = none will."""
        return chr_sim_next_expiry(&self.sim)

    def reach(self, uint64_t instrument_id) -> tuple:
        """(highest price at which something of ours waits for a fall, lowest for a rise); 0 = nothing does: what stays between them
        touches no order."""
        slot = self.slots.get(instrument_id)
        if slot is None:
            return 0, 0
        low, high = self.sim.slots[slot].reach[0], ~self.sim.slots[slot].reach[1]
        return (low if low > -(1 << 63) else 0, high if high < (1 << 63) - 1 else 0)

    # ------------------------------------------------------------ recovery

    def readmit(self, order) -> None:
        """Take up an order that was open when the router stopped, at the place it says; the ledger has it already. Orders of one price
        must come oldest first."""
        cdef chr_sim_order was
        memset(&was, 0, sizeof(was))
        slot = self.slots.get(order.instrument_id)
        was.slot = self.slot_of(order.instrument_id, L2Book(order.instrument_id)) if slot is None else slot
        was.owner, was.key = self.owner_of(order.owner), self.admit(order)
        was.venue_order_id, was.price, was.stop_price = order.venue_order_id, order.price, order.stop_price
        was.qty, was.cum, was.ahead, was.expire_ns = order.qty, order.cum, order.ahead, order.expire_ns
        was.side, was.type, was.tif, was.stp = order.side, order.order_type, order.time_in_force, order.stp_mode
        was.post_only, was.reduce_only = order.post_only, order.reduce_only
        held = self.ledger.holding(order.owner, order.instrument_id).position.qty
        if chr_sim_set_position(&self.sim, was.slot, was.owner, held) or chr_sim_readmit(&self.sim, &was):
            raise MemoryError("no memory for an order")

    def place_readmitted(self, uint64_t instrument_id, L2Book book not None) -> None:
        """The book is there again: an order that was taken up without a place stands at the back of its level, as any newcomer."""
        if instrument_id in self.slots:
            chr_sim_place_unknown(&self.sim, self.slot_of(instrument_id, book))

    def expire_immediate(self) -> list:
        """End open orders that should have ended when they came: power loss cut off what followed their ack."""
        for number, order in list(self.orders.items()):
            if order.order_type == OrderType.MARKET or (
                order.time_in_force in _IMMEDIATE and order.order_type == OrderType.LIMIT
            ):
                chr_sim_end_order(&self.sim, number, CHR_EXEC_TYPE_EXPIRED, RejectCode.LOST)
        return self.drain()

    def ahead(self, key) -> int:
        """What stands before an open order, as reckoned; AHEAD_UNKNOWN where the book is not there yet, or no such order is open."""
        cdef uint32_t place = chr_sim_order_at(&self.sim, self.keys.get(key, 0))
        return self.sim.orders[place].ahead if place else CHR_SIM_AHEAD_UNKNOWN

    def note_places(self) -> None:
        """Write into every open order what stands before it: for whoever is about to write the orders down."""
        cdef uint64_t number
        for number, order in self.orders.items():
            order.ahead = self.sim.orders[chr_sim_order_at(&self.sim, number)].ahead

    # ------------------------------------------------------------ inside

    cdef int slot_of(self, uint64_t instrument_id, L2Book book) except -1:
        """Slot of an instrument, which has this book from now on."""
        cdef chr_sim_terms terms
        cdef int slot
        known = self.slots.get(instrument_id)
        if known is not None:
            slot = known
            if self.books[slot] is not book:
                chr_sim_set_book(&self.sim, slot, book.b, NULL)
                self.books[slot] = book
            return slot
        memset(&terms, 0, sizeof(terms))
        slot = chr_sim_instrument(&self.sim, instrument_id, book.b, NULL, &terms)
        if slot < 0:
            raise MemoryError("no memory for an instrument")
        self.slots[instrument_id] = slot
        self.books.append(book)
        return slot

    cdef uint32_t owner_of(self, str name) except *:
        number = self.owners.get(name)
        if number is None:
            number = self.owners[name] = len(self.owners)
        return number

    cdef uint64_t admit(self, order) except 0:
        self.last_key += 1
        self.orders[self.last_key] = order
        self.keys[order.key] = self.last_key
        return self.last_key

    cdef int forget(self, order, uint64_t key) except -1:
        del self.orders[key]
        if self.keys.get(order.key) == key:
            del self.keys[order.key]
        return 0

    cdef int book_fill(self, const chr_sim_order *o, int64_t price, int64_t qty, uint8_t liquidity) except -1:
        order = self.orders[o.key]
        terms = self.ledger.terms[order.instrument_id]
        fee = self.fees.fee(terms.notional(price, qty), is_maker=liquidity == CHR_LIQUIDITY_MAKER)
        self.ledger.fill(order, qty, price, fee)
        self.booked.append(fee)
        return 0

    def drain(self) -> list:
        """What happened since the last call. Raises what went wrong while a fill was booked."""
        cdef uint32_t i
        if not self.sim.count:
            return []
        events = [self.told(&self.sim.events[i]) for i in range(self.sim.count)]
        self.sim.count = 0
        self.booked.clear()
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        return events

    cdef object told(self, const chr_sim_event *e):
        """One event, and what it means for order and ledger."""
        cdef uint32_t place
        order = self.orders[e.key]
        kind, leaves, fee = _KINDS[e.kind], order.leaves, 0
        if e.kind == CHR_EXEC_TYPE_ACK:
            order.venue_order_id = self.sim.orders[e.order].venue_order_id
            self.ledger.enter(order)
        elif e.kind == CHR_EXEC_TYPE_PARTIAL_FILL or e.kind == CHR_EXEC_TYPE_FILL:
            order.cum, fee = e.cum, self.booked.pop(0)
            leaves = 0
        elif e.kind == CHR_EXEC_TYPE_REPLACED:
            self.ledger.shift_open(order, e.qty - order.qty)
            if e.price != order.price or e.qty > order.qty:
                self.ledger.requeue(order)
            order.price, order.qty = e.price, e.qty
        if e.kind in (CHR_EXEC_TYPE_FILL, CHR_EXEC_TYPE_CANCELLED, CHR_EXEC_TYPE_EXPIRED):
            self.ledger.leave(order, leaves)
        order.advance(kind)
        place = chr_sim_order_at(&self.sim, e.key)
        if place:
            order.ahead = self.sim.orders[place].ahead
        if e.kind in (CHR_EXEC_TYPE_REJECT, CHR_EXEC_TYPE_FILL, CHR_EXEC_TYPE_CANCELLED, CHR_EXEC_TYPE_EXPIRED):
            self.forget(order, e.key)
        return VenueEvent(
            kind, order, e.cum, e.leaves, e.price, e.qty, e.last_price, e.last_qty, fee, _LIQUIDITY[e.liquidity], e.trade_id,
            _CODES[e.code], e.request,
        )
