"""What the paper venue remembers beside orders and positions, so that a restart forgets none of it.

    place     what stands before an order in its level (Order.ahead), and whether its stop price was reached
    taken     levels whose displayed quantity was ours in part: price, displayed when last looked at, taken of it
    last      the last trade's price: what a new stop looks at

Events tell of fills and ends; what else changes is news, written down by whoever keeps a journal. Memory is plain data:

    {instrument id: [last or None, [price, displayed, taken, price, …] of bids, the same of asks]}
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from libchronicle.book.l2 cimport CHR_ASK, CHR_BID, L2Book
from libchronicle.protocol.layout cimport CHR_EXEC_TYPE_CANCELLED, CHR_ORDER_TYPE_LIMIT
from libchronicle.sim.matcher cimport (
    CHR_SIM_MOVED,
    chr_sim_end_order,
    chr_sim_memory,
    chr_sim_order,
    chr_sim_order_at,
    chr_sim_recall_taken,
    chr_sim_recall_trade,
    chr_sim_slot,
)
from libchronicle.sim.paper cimport PaperGateway

from libchronicle.protocol import OrderType

__all__ = ["VenueMemory", "has_news", "is_idle", "memory", "news", "note_places", "recall", "take_up"]

VenueMemory = dict[str, tuple[int | None, list[int], list[int]]]


def has_news(PaperGateway gateway not None) -> bool:
    """Whether `news` would say anything."""
    return gateway.remembers and len(gateway.stirred) != 0


def news(PaperGateway gateway not None, of=None) -> tuple:
    """What has changed since the last call and no event told: (orders with another place, or triggered; memory of the instruments where
    what was taken is another). `of`: says whether an instrument is asked for; news of the others is kept."""
    cdef uint32_t slot
    moved, changed, kept = [], {}, []
    for slot in gateway.stirred:
        instrument_id = gateway.sim.slots[slot].id
        if of is not None and not of(instrument_id):
            kept.append(slot)
            continue
        if gateway.sim.slots[slot].taken[0].changed or gateway.sim.slots[slot].taken[1].changed:
            changed[str(instrument_id)] = remembered(gateway, slot)
        tell(gateway, slot, moved)
    gateway.stirred = kept
    return moved, changed


def memory(PaperGateway gateway not None) -> dict:
    """All of it; every open order has its place. There is no other news then."""
    news(gateway)
    note_places(gateway)
    found = {}
    for instrument_id, slot in sorted(gateway.slots.items()):
        told = remembered(gateway, slot)
        if told != [None, [], []]:
            found[str(instrument_id)] = told
    return found


def note_places(PaperGateway gateway not None) -> None:
    """Write into every open order what stands before it: for whoever is about to write the orders down."""
    cdef uint64_t number
    for number, order in gateway.orders.items():
        order.ahead = gateway.sim.orders[chr_sim_order_at(&gateway.sim, number)].ahead


def recall(PaperGateway gateway not None, memory) -> None:
    """Take up what another gateway has remembered."""
    for name, (last, *sides) in memory.items():
        slot = gateway.slots.get(int(name))
        if slot is None:
            slot = gateway.slot_of(int(name), L2Book(int(name)))
        if last is not None:
            chr_sim_recall_trade(&gateway.sim, slot, last)
        for side, levels in enumerate(sides):
            for price, shown, qty in zip(levels[::3], levels[1::3], levels[2::3], strict=True):
                if chr_sim_recall_taken(&gateway.sim, slot, side, price, shown, qty):
                    raise MemoryError("no memory for a level")


def take_up(PaperGateway gateway not None, str owner not None) -> None:
    """An owner's open orders are those of the ledger from now on: reports were found that its journal had lost."""
    for number, order in list(gateway.orders.items()):
        if order.owner == owner:
            chr_sim_end_order(&gateway.sim, number, CHR_EXEC_TYPE_CANCELLED, 0)
            gateway.forget(order, number)
    gateway.sim.count = 0  # nobody is told: neither the owner nor the ledger has seen them end
    for order in gateway.ledger.orders_of(owner):
        gateway.readmit(order)
    for name, instrument_id in list(gateway.ledger.holdings):
        if name == owner:
            gateway.adopt(owner, instrument_id)


def is_idle(PaperGateway gateway not None) -> bool:
    """No order is open and no level was taken from: what the market does concerns nobody."""
    cdef uint32_t slot
    if gateway.sim.open:
        return False
    for slot in range(gateway.sim.slots_count):
        if gateway.sim.slots[slot].taken[0].count or gateway.sim.slots[slot].taken[1].count:
            return False
    return True


cdef list remembered(PaperGateway gateway, uint32_t slot):
    """Of one slot."""
    last = gateway.sim.slots[slot].last_trade if gateway.sim.slots[slot].has_trade else None
    return [last, levels(gateway, slot, CHR_BID), levels(gateway, slot, CHR_ASK)]


cdef list levels(PaperGateway gateway, uint32_t slot, int side):
    """What was taken of one side, flat."""
    cdef chr_sim_memory *taken = &gateway.sim.slots[slot].taken[side]
    cdef uint32_t i
    found = []
    for i in range(taken.count):
        found += [taken.at[i].key ^ -<int64_t> side, taken.at[i].shown, taken.at[i].qty]
    return found


cdef int tell(PaperGateway gateway, uint32_t slot, list moved) except -1:
    """A slot's news is told: its orders that have moved go to `moved`."""
    cdef chr_sim_slot *s = &gateway.sim.slots[slot]
    cdef chr_sim_order *o
    cdef uint64_t number
    s.taken[0].changed = s.taken[1].changed = 0
    if not s.moved:
        return 0
    s.moved = 0
    for number, order in gateway.orders.items():
        o = &gateway.sim.orders[chr_sim_order_at(&gateway.sim, number)]
        if o.slot != slot or not o.flags & CHR_SIM_MOVED:
            continue
        o.flags &= <uint8_t> ~CHR_SIM_MOVED
        order.ahead = o.ahead
        if order.order_type == OrderType.STOP_LIMIT and o.type == CHR_ORDER_TYPE_LIMIT:
            gateway.ledger.triggered(order)
        moved.append(order)
    return 0
