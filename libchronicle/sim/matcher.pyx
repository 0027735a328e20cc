"""Matcher: the Python face of matcher.h, for tests and for venues that live in Python. Cython modules use chr_sim itself.

Every call returns the events it brought, in order. Prices and quantities are mantissas; `key` names an order, `owner` and the slot that
`add` returns are small numbers.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset

from libchronicle.book.l2 cimport L2Book
from libchronicle.book.l3 cimport L3Book, chr_l3
from libchronicle.protocol.layout cimport chr_new_order_t
from libchronicle.sim.queues cimport FillChances, QueueModel, queue_model

from enum import IntEnum
from typing import NamedTuple

from libchronicle.errors import InvalidArgument
from libchronicle.protocol import ExecType, Liquidity, OrderFlags, RejectCode, Side

__all__ = ["AHEAD_UNKNOWN", "FillRule", "MatchEvent", "Matcher", "StopTrigger", "Working"]

AHEAD_UNKNOWN = CHR_SIM_AHEAD_UNKNOWN


class FillRule(IntEnum):
    """Why an order filled: matcher.h."""

    NONE = CHR_SIM_RULE_NONE
    TAKE = CHR_SIM_RULE_TAKE
    STOP = CHR_SIM_RULE_STOP
    QUEUE = CHR_SIM_RULE_QUEUE
    THROUGH = CHR_SIM_RULE_THROUGH
    REACHED = CHR_SIM_RULE_REACHED


class StopTrigger(IntEnum):
    """What stops look at: the last trade, or the opposite best."""

    TRADE = CHR_SIM_TRIGGER_TRADE
    BOOK = CHR_SIM_TRIGGER_BOOK


class MatchEvent(NamedTuple):
    """One thing that happened to an order, with its figures at that moment. `request` 0 = nobody asked for it. A fill explains itself:
    its rule, the level or trade behind it (`level_price`, `level_qty`) and what stood `ahead` of it."""

    kind: ExecType
    key: int
    owner: int
    slot: int
    price: int
    qty: int
    cum: int
    leaves: int
    last_price: int
    last_qty: int
    liquidity: Liquidity
    code: RejectCode
    rule: FillRule
    ahead: int
    level_price: int
    level_qty: int
    trade_id: int
    cause_seq: int
    request: int


class Working(NamedTuple):
    """An open order as it stands."""

    key: int
    owner: int
    slot: int
    side: Side
    price: int
    qty: int
    cum: int
    ahead: int
    venue_order_id: int
    type: int
    waiting: bool


_KINDS = {int(kind): kind for kind in ExecType}
_CODES = {int(code): code for code in RejectCode}
_RULES = {int(rule): rule for rule in FillRule}
_LIQUIDITY = {int(kind): kind for kind in Liquidity}


cdef object _event(const chr_sim_event *e):
    return MatchEvent(
        _KINDS[e.kind], e.key, e.owner, e.slot, e.price, e.qty, e.cum, e.leaves, e.last_price, e.last_qty,
        _LIQUIDITY[e.liquidity], _CODES[e.code], _RULES[e.rule], e.ahead, e.level_price, e.level_qty, e.trade_id,
        e.cause_seq, e.request,
    )


cdef class Matcher:
    """A simulated venue. `seed` is that of the draws that FillChances ask for."""

    def __cinit__(self, *, uint64_t seed=0):
        if chr_sim_init(&self.sim, seed):
            raise MemoryError("no memory for a simulated venue")
        self.books = []
        self.models = []

    def __dealloc__(self):
        chr_sim_free(&self.sim)

    def add(
        self, uint64_t instrument_id, L2Book book not None, *, int64_t tick=0, int64_t lot=0, int qty_exponent=0, queue=None,
        FillChances chances=None, trigger=StopTrigger.TRADE,
    ) -> int:
        """Slot of a new instrument. `book` is read, never changed. Tick or lot 0 = not checked here. Raises InvalidArgument for a queue
        model that is none, and for one of single orders on a book of levels."""
        cdef chr_sim_terms terms
        cdef QueueModel model = queue_model(queue)
        cdef const chr_l3 *l3 = (<L3Book> book).l3 if isinstance(book, L3Book) else NULL
        if model.needs_orders and l3 == NULL:
            raise InvalidArgument(where="Matcher.add", field="queue", value=model, allowed="on an order-level (L3) book only")
        memset(&terms, 0, sizeof(terms))
        model.into(&terms)
        if chances is not None:
            chances.into(&terms)
        terms.tick, terms.lot, terms.trigger, terms.unit = tick, lot, trigger, 10.0 ** -qty_exponent
        cdef int slot = chr_sim_instrument(&self.sim, instrument_id, book.b, l3, &terms)
        if slot < 0:
            raise MemoryError("no memory for an instrument")
        self.books.append(book)
        self.models.append(model)
        self.asks = self.asks or terms.ahead != NULL
        return slot

    # ------------------------------------------------------------ requests

    def new(
        self, uint32_t slot, uint64_t key, side, int64_t qty, int64_t price=0, *, uint32_t owner=0, type=2, time_in_force=1,
        post_only=False, reduce_only=False, int64_t stop_price=0, int64_t expire_ns=0, stp=0, uint64_t request=0, int64_t now=0,
    ) -> list:
        """A new order: its ACK or REJECT, then what it takes."""
        cdef chr_new_order_t order
        memset(&order, 0, sizeof(order))
        order.price, order.qty, order.stop_price, order.expire_ns = price, qty, stop_price, expire_ns
        order.side, order.order_type, order.time_in_force, order.stp_mode = side, type, time_in_force, stp
        order.flags = (OrderFlags.POST_ONLY if post_only else 0) | (OrderFlags.REDUCE_ONLY if reduce_only else 0)
        self._known(slot)
        return self._drain(chr_sim_new(&self.sim, slot, owner, &order, key, request, now))

    def cancel(self, uint64_t key, *, uint32_t owner=0, uint64_t request=0, int64_t now=0) -> list:
        return self._drain(chr_sim_cancel(&self.sim, key, owner, request, now))

    def cancel_all(self, *, owner=None, slot=None, uint64_t request=0, code=0, int64_t now=0) -> list:
        """Of an owner (None: of all), in a slot (None: in all)."""
        cdef uint32_t whose = 0xFFFFFFFF if owner is None else owner
        return self._drain(chr_sim_cancel_all(&self.sim, whose, -1 if slot is None else slot, request, code, now))

    def replace(
        self, uint64_t key, int64_t price, int64_t qty, *, uint32_t owner=0, uint64_t request=0, int64_t now=0
    ) -> list:
        return self._drain(chr_sim_replace(&self.sim, key, owner, price, qty, request, now))

    # ------------------------------------------------------------ market

    def trade(self, uint32_t slot, int64_t price, int64_t qty, aggressor=0, *, uint64_t seq=0, int64_t now=0) -> list:
        self._known(slot)
        return self._drain(chr_sim_trade(&self.sim, slot, price, qty, aggressor, seq, now))

    def book(self, uint32_t slot, *, uint64_t seq=0, int64_t now=0) -> list:
        """The slot's book was changed."""
        self._known(slot)
        return self._drain(chr_sim_book(&self.sim, slot, seq, now))

    def record(self, uint32_t slot, int type_id, bytes payload not None, *, uint64_t seq=0, int64_t now=0) -> list:
        """A market record that the slot's book has taken already."""
        self._known(slot)
        return self._drain(
            chr_sim_record(&self.sim, slot, type_id, <const char *> payload, len(payload), seq, now)
        )

    def reset(self, uint32_t slot) -> None:
        """The book begins anew from a snapshot after a gap."""
        self._known(slot)
        chr_sim_reset(&self.sim, slot)

    def expire(self, int64_t now) -> list:
        return self._drain(chr_sim_expire(&self.sim, now))

    def next_expiry_ns(self) -> int:
        """When the next GTD order ends; 0 = none will."""
        return chr_sim_next_expiry(&self.sim)

    # ------------------------------------------------------------ state

    def position(self, uint32_t slot, uint32_t owner=0) -> int:
        self._known(slot)
        return chr_sim_position(&self.sim, slot, owner)

    def set_position(self, uint32_t slot, int64_t qty, *, uint32_t owner=0) -> None:
        self._known(slot)
        if chr_sim_set_position(&self.sim, slot, owner, qty):
            raise MemoryError("no memory for a position")

    def working(self) -> list:
        """Open orders, oldest first."""
        found = []
        cdef uint32_t place = self.sim.first
        while place:
            o = &self.sim.orders[place]
            found.append(
                Working(
                    o.key, o.owner, o.slot, Side(o.side), o.price, o.qty, o.cum, o.ahead, o.venue_order_id, o.type,
                    (o.flags & CHR_SIM_WAITING) != 0,
                )
            )
            place = o.next
        return found

    def reach(self, uint32_t slot) -> tuple:
        """(highest price of a trade from which on it may matter to a buy or falling stop, lowest to a sell or rising stop); None =
        nothing waits there."""
        self._known(slot)
        low, high = self.sim.slots[slot].reach[0], ~self.sim.slots[slot].reach[1]
        return (low if low > -(1 << 63) else None, high if high < (1 << 63) - 1 else None)

    def sizes(self) -> dict:
        """Rooms in use: what never shrinks below its peak must not grow with what is over."""
        taken = sum(self.sim.slots[i].taken[0].count + self.sim.slots[i].taken[1].count for i in range(self.sim.slots_count))
        return {
            "open": self.sim.open, "orders": self.sim.orders_used, "expiries": self.sim.expiries_count, "taken": taken,
        }

    cdef list _drain(self, int result):
        cdef uint32_t i
        found = [_event(&self.sim.events[i]) for i in range(self.sim.count)]
        self.sim.count = 0
        if result < 0:
            raise MemoryError("no memory for an order")
        if self.asks:
            for model in self.models:
                (<QueueModel> model).check()
        return found

    def _known(self, uint32_t slot):
        if slot >= self.sim.slots_count:
            raise IndexError(f"no instrument in slot {slot}; there are {self.sim.slots_count}")
