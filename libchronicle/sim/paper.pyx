"""The paper venue: real market data, pretended fills. Pure: orders, books and trades in, events out; the same input gives the same output.

The rules are the matcher's (matcher.h), with the risk-averse queue. What this adds is the router's ledger: each fill is booked in it before
it happens, and a fill that no position can hold ends its order (NOTIONAL_LIMIT). A report says what stood when it was made; the router
turns it into an execution report and appends it.

Where the ledger keeps accounts (account.h), an order must be paid for (`money`), and a position on margin is valued at the middle of the book
after each market record, as in a backtest: once its account is at or below the maintenance margin, everything of its owner is cancelled and
what is settled in that currency is closed at the touch. `closed` says what was.

What the venue remembers beside orders and positions, and how it outlives a restart: paper_memory.pyx.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from libchronicle.book.l2 cimport CHR_ASK, CHR_BID, L2Book, chr_l2, chr_l2_best
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
    CHR_REJECT_CODE_LIQUIDATION,
    CHR_REJECT_CODE_NOTIONAL_LIMIT,
    chr_level_t,
    chr_new_order_t,
)
from libchronicle.portfolio.account cimport Account, chr_account_slot
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
    chr_sim_slot,
    chr_sim_terms,
    chr_sim_trade,
)

from typing import NamedTuple

from libchronicle.errors import FixedPointOverflow
from libchronicle.portfolio import Order
from libchronicle.protocol import ExecType, Liquidity, OrderType, RejectCode, TimeInForce

__all__ = ["Liquidation", "PaperGateway", "VenueEvent"]

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


class Liquidation(NamedTuple):
    """A position that the venue has closed; `qty` with its sign, `price` what it was closed at."""

    owner: str
    instrument_id: int
    qty: int
    price: int


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


def _ends_at_once(order) -> bool:
    return order.order_type == OrderType.MARKET or (order.time_in_force in _IMMEDIATE and order.order_type == OrderType.LIMIT)


cdef class PaperGateway:
    """Matches orders of many owners against live books. Positions and open orders are booked in the ledger it is given."""

    def __cinit__(self, ledger, fees):
        if chr_sim_init(&self.sim, 0):
            raise MemoryError("no memory for the paper venue")
        self.sim.book_fill = book_in_ledger
        self.sim.book_context = <void *> self
        self.ledger, self.fees = ledger, fees
        self.slots, self.owners, self.orders, self.keys = {}, {}, {}, {}
        self.books, self.booked, self.margins, self.closed, self.stirred = [], [], [], [], []
        self.remembers = True

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
        self.now_ns = now_ns
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
        self.stir(slot)
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
        cdef int slot = self.slot_of(order.instrument_id, book)
        if chr_sim_replace(&self.sim, self.keys[order.key], self.owner_of(order.owner), price, qty, request_seq, 0):
            raise MemoryError("no memory for an event")
        self.stir(slot)
        return self.drain()

    # ------------------------------------------------------------ accounts

    def adopt(self, str owner not None, uint64_t instrument_id) -> None:
        """Value the owner's position in the instrument from now on, where it is on margin."""
        holding = self.ledger.holding(owner, instrument_id)
        cdef Account account = holding.account
        if account is None or not account.a.slots[<int> holding.slot].margined:
            return
        slot = self.slots.get(instrument_id)
        if slot is None:
            slot = self.slot_of(instrument_id, L2Book(instrument_id))
        if not any([known[0] == owner for known in self.margins[slot]]):
            self.margins[slot].append((owner, account, holding.slot))
            self.marking = True

    def money(self, order, L2Book book not None, change=None) -> RejectCode:
        """Whether the owner's account can pay for a new order, or for the (price, total quantity) that an open one is to have: NONE, or
        why not."""
        holding = self.ledger.holding(order.owner, order.instrument_id)
        cdef Account account = holding.account
        cdef chr_level_t level
        if account is None:
            return RejectCode.NONE
        self.slot_of(order.instrument_id, book)
        self.adopt(order.owner, order.instrument_id)
        self.value(order.owner, order.instrument_id)
        price, qty = order.reserve_price, order.qty
        if change is not None:
            price = order.stop_price if order.order_type == OrderType.STOP_MARKET else change[0]
            qty = change[1] - order.cum
        held, bid, ask = order.held, book.best_bid, book.best_ask
        self.ledger.hold(order, 0)  # what it holds back now is free for itself
        code = account.check(
            holding.slot, order.side, order.order_type, price, qty, bid[0] if bid else 0, ask[0] if ask else 0, order.reduce_only
        )
        self.ledger.hold(order, held)
        return _CODES[code]

    def value(self, str owner not None, uint64_t instrument_id) -> None:
        """The owner's position in the instrument at the middle of the book, if there is one."""
        holding, slot = self.ledger.holding(owner, instrument_id), self.slots.get(instrument_id)
        cdef int64_t middle = 0 if slot is None else self.middle(slot)
        if middle and holding.account is not None:
            (<Account> holding.account).mark(holding.slot, middle)

    def take_closed(self) -> list:
        """The liquidations since the last call."""
        found, self.closed = self.closed, []
        return found

    @property
    def is_marking(self) -> bool:
        """Whether the order of records of different instruments may matter: accounts on margin are valued at each."""
        return self.marking

    cdef int64_t middle(self, uint32_t slot) noexcept:
        cdef chr_level_t bid, ask
        cdef const chr_l2 *book = self.sim.slots[slot].book
        if not (book.valid and chr_l2_best(book, CHR_BID, &bid) and chr_l2_best(book, CHR_ASK, &ask)):
            return 0
        return bid.price + (ask.price - bid.price) // 2

    cdef int mark(self, uint32_t slot) except -1:
        """Value every position on margin in an instrument; the venue may take over."""
        cdef int64_t middle = self.middle(slot)
        cdef Account account
        cdef int place
        if middle == 0:
            return 0
        for owner, account, place in self.margins[slot]:
            if account.a.slots[place].position.qty and account.mark(place, middle):
                self.liquidate(owner, account, account.a.slots[place].settle)
        return 0

    cdef int liquidate(self, str owner, Account account, uint32_t settle) except -1:
        """Everything of the owner is cancelled, everything settled in the currency closed at the touch."""
        cdef chr_account_slot *s
        cdef chr_level_t level
        cdef uint32_t at
        cdef int64_t qty, price
        cdef int slot
        if chr_sim_cancel_all(&self.sim, self.owner_of(owner), -1, 0, CHR_REJECT_CODE_LIQUIDATION, 0):
            raise MemoryError("no memory for an event")
        for at in range(account.a.count):
            s = &account.a.slots[at]
            qty = s.position.qty
            if s.settle != settle or not s.margined or qty == 0:
                continue
            instrument_id, price = account.terms[at].instrument_id, s.mark
            slot = self.slots[instrument_id]
            if chr_l2_best(self.sim.slots[slot].book, CHR_BID if qty > 0 else CHR_ASK, &level):
                price = level.price
            self.ledger.liquidate(owner, instrument_id, price, self.now_ns)
            if chr_sim_set_position(&self.sim, slot, self.owner_of(owner), 0):
                raise MemoryError("no memory for a position")
            self.closed.append(Liquidation(owner, instrument_id, qty, price))
        return 0

    # ------------------------------------------------------------ the market

    def on_trade(self, uint64_t instrument_id, int64_t price, int64_t qty, aggressor) -> list:
        """A trade printed. Only a sell can have hit our bids, only a buy our offers; an unknown aggressor may be either."""
        slot = self.slots.get(instrument_id)
        if slot is not None:
            if chr_sim_trade(&self.sim, slot, price, qty, aggressor, 0, 0):
                raise MemoryError("no memory for an event")
            self.stir(slot)
        return self.drain()

    def on_book(self, uint64_t instrument_id, L2Book book not None) -> list:
        """The book changed: fill what the opposite side has come to."""
        cdef int slot = self.slot_of(instrument_id, book)
        if chr_sim_book(&self.sim, slot, 0, 0):
            raise MemoryError("no memory for an event")
        self.stir(slot)
        if self.marking:
            self.mark(slot)
        return self.drain()

    def on_reset(self, uint64_t instrument_id) -> None:
        """The book starts anew from a snapshot after a gap: what was displayed before says nothing now."""
        slot = self.slots.get(instrument_id)
        if slot is not None:
            chr_sim_reset(&self.sim, slot)
            self.stir(slot)

    cdef int record(self, uint32_t slot, const chr_frame *f) except -1:
        """A market record, applied to its book already; whether it did anything."""
        if chr_sim_record(&self.sim, slot, f.type_id, f.payload, f.size, f.seq, f.ts_ns):
            raise MemoryError("no memory for an event")
        self.stir(slot)
        if self.marking:
            self.mark(slot)
            return self.sim.count != 0 or len(self.closed) != 0
        return self.sim.count != 0

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
            self.stir(self.slots[instrument_id])

    def expire_immediate(self) -> list:
        """End open orders that should have ended when they came: power loss cut off what followed their ack."""
        for number, order in list(self.orders.items()):
            if _ends_at_once(order):
                chr_sim_end_order(&self.sim, number, CHR_EXEC_TYPE_EXPIRED, RejectCode.LOST)
        return self.drain()

    @property
    def has_immediate(self) -> bool:
        """Whether `expire_immediate` would end any."""
        return any(map(_ends_at_once, self.orders.values()))

    def ahead(self, key) -> int:
        """What stands before an open order, as reckoned; AHEAD_UNKNOWN where the book is not there yet, or no such order is open."""
        cdef uint32_t place = chr_sim_order_at(&self.sim, self.keys.get(key, 0))
        return self.sim.orders[place].ahead if place else CHR_SIM_AHEAD_UNKNOWN

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
        self.margins.append([])
        return slot

    cdef int stir(self, uint32_t slot) except -1:
        """After whatever may have changed what is remembered of a slot."""
        cdef chr_sim_slot *s = &self.sim.slots[slot]
        if (s.moved or s.taken[0].changed or s.taken[1].changed) and slot not in self.stirred:
            self.stirred.append(slot)
        return 0

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
        terms, is_maker = self.ledger.terms[order.instrument_id], liquidity == CHR_LIQUIDITY_MAKER
        holding = self.ledger.holding(order.owner, order.instrument_id)
        if holding.account is None:
            fee = self.fees.fee(terms.notional(price, qty), is_maker=is_maker)
        else:
            fee = holding.account.trade(
                holding.slot, order.side, price, qty, maker=is_maker, first=o.cum == 0, ts_ns=self.now_ns
            )
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
            self.ledger.replaced(order, e.price, e.qty)
        if e.kind in (CHR_EXEC_TYPE_FILL, CHR_EXEC_TYPE_CANCELLED, CHR_EXEC_TYPE_EXPIRED):
            self.ledger.hold(order, 0)
            self.ledger.leave(order, leaves)
        elif e.kind in (CHR_EXEC_TYPE_ACK, CHR_EXEC_TYPE_PARTIAL_FILL, CHR_EXEC_TYPE_REPLACED):
            self.ledger.hold(order, e.leaves)
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
