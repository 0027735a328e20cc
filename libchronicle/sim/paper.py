"""The paper venue: real market data, pretended fills. Pure: orders, books and trades in, events out; the
same input gives the same output.

Rules:
- Taking. An incoming order walks the displayed levels from the best, up to its limit, and remembers what
  it took (`paper_book`). FOK needs all of it at once; IOC and MARKET let the rest expire; POST_ONLY that
  would take is rejected; GTC and GTD rest.
- Resting. An order joins the back of its level: all that is displayed there is ahead of it. It fills, at
  its own price and as maker, when
    * a trade goes strictly through its price: all of it, for the venue would have had to fill it first;
    * a trade against its side prints at its price: the quantity ahead trades first, then our orders by age;
    * the opposite best reaches its price: as much as is displayed there and not yet taken.
  Cancellations ahead are not believed: only trades move the queue.
- Better prices first, then older orders, over all strategies. Our own orders are not in the market's book,
  so they never trade with each other and every self-trade mode is kept.
- Reduce-only never opens or turns a position: it fills up to the position that its owner has at that
  moment, the rest expires.
- A replace keeps its place only if it lowers the quantity at the same price; else it is a new arrival.
- An order whose next fill would make a position too large for 64 bits ends there (NOTIONAL_LIMIT).
- A report says what stood when it was made; the router turns it into an execution report and appends it.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import NamedTuple

from libchronicle.errors import FixedPointOverflow
from libchronicle.portfolio import AHEAD_UNKNOWN, FeeSchedule, Ledger, Order, OrderKey
from libchronicle.protocol import ExecType, Liquidity, OrderType, RejectCode, Side, TimeInForce
from libchronicle.sim.paper_book import BookView, Taken
from libchronicle.sim.paper_resting import RestingOrders

__all__ = ["PaperGateway", "VenueEvent"]


class VenueEvent(NamedTuple):
    """One thing that happened to an order, with the order's figures at that moment. `request_seq` 0 =
    nobody asked for it."""

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


class PaperGateway:
    """Matches orders of many owners against live books. Positions and open orders are booked in the ledger
    it is given."""

    def __init__(self, ledger: Ledger, fees: FeeSchedule) -> None:
        self.ledger = ledger
        self.fees = fees
        self.next_order_id = 1
        self.next_trade_id = 1
        self._resting: dict[int, RestingOrders] = {}
        self._taken: dict[int, Taken] = {}
        self._expiries: list[tuple[int, OrderKey]] = []
        self._events: list[VenueEvent] = []

    # ------------------------------------------------------------ requests

    def submit(self, order: Order, book: BookView, now_ns: int) -> list[VenueEvent]:
        """A new order arrives: its ack or reject, then what it takes."""
        code = self._refusal(order, book, now_ns)
        if code:
            self._step(ExecType.REJECT, order, code=code, request_seq=order.key.seq)
            return self._drain()
        order.venue_order_id = self.next_order_id
        self.next_order_id += 1
        self.ledger.enter(order)
        self._step(ExecType.ACK, order, request_seq=order.key.seq)
        self._take(order, book)
        self._rest_or_expire(order, book)
        return self._drain()

    def cancel(self, key: OrderKey, owner: str, request_seq: int) -> list[VenueEvent]:
        """Cancel one open order; an order that is not open gives no event, the caller knows what it was."""
        order = self.ledger.open_orders.get(key)
        if order is not None and order.owner == owner:
            self._end(ExecType.CANCELLED, order, request_seq=request_seq)
        return self._drain()

    def cancel_all(
        self,
        owner: str | None,
        instrument_id: int = 0,
        request_seq: int = 0,
        code: RejectCode = RejectCode.NONE,
    ) -> list[VenueEvent]:
        """Cancel every open order of an owner (None: of all) in an instrument (0: in all)."""
        for order in self.ledger.orders_of(owner, instrument_id):
            self._end(ExecType.CANCELLED, order, code=code, request_seq=request_seq)
        return self._drain()

    def replace(
        self, order: Order, price: int, qty: int, book: BookView, request_seq: int
    ) -> list[VenueEvent]:
        """Give an open order another price and total quantity."""
        code = self._replace_refusal(order, price, qty, book)
        if code:
            self._step(ExecType.REPLACE_REJECT, order, code=code, request_seq=request_seq)
            return self._drain()
        keeps_place = price == order.price and qty <= order.qty
        self.ledger.shift_open(order, qty - order.qty)
        if not keeps_place:
            self._resting_of(order.instrument_id).remove(order)
            self.ledger.requeue(order)
        order.price, order.qty = price, qty
        self._step(ExecType.REPLACED, order, request_seq=request_seq)
        if not keeps_place:
            self._take(order, book)
            self._rest_or_expire(order, book)
        return self._drain()

    # ------------------------------------------------------------ the market

    def on_trade(self, instrument_id: int, price: int, qty: int, aggressor: int) -> list[VenueEvent]:
        """A trade printed. Only a sell can have hit our bids, only a buy our offers; an unknown aggressor
        may be either."""
        resting = self._resting.get(instrument_id)
        if resting is None:
            return []
        if aggressor != Side.BUY:
            self._trade_against(resting, Side.BUY, price, qty)
        if aggressor != Side.SELL:
            self._trade_against(resting, Side.SELL, price, qty)
        return self._drain()

    def on_book(self, instrument_id: int, book: BookView) -> list[VenueEvent]:
        """The book changed: fill what the opposite side has come to."""
        resting = self._resting.get(instrument_id)
        if resting is None or not book.valid:
            return []
        taken = self._taken_of(instrument_id)
        taken.forget_gone(book)
        for side, opposite in ((Side.BUY, Side.SELL), (Side.SELL, Side.BUY)):
            for order in resting.by_priority(side):
                offers = taken.offers(book, opposite, order.price, order.leaves)
                if not offers:
                    best = book.best_ask if side == Side.BUY else book.best_bid
                    if best is None or (best[0] > order.price if side == Side.BUY else best[0] < order.price):
                        break  # nobody behind this one is reached either
                for level, qty in offers:
                    filled = self._fill(order, order.price, qty, Liquidity.MAKER)
                    taken.take(opposite, level, filled)
        return self._drain()

    def on_reset(self, instrument_id: int) -> None:
        """The book starts anew from a snapshot after a gap: what was displayed before says nothing now."""
        if instrument_id in self._taken:
            self._taken[instrument_id].clear()

    def expire(self, now_ns: int) -> list[VenueEvent]:
        """End GTD orders whose time has come."""
        while 0 < self.next_expiry_ns() <= now_ns:
            self._end(ExecType.EXPIRED, self.ledger.open_orders[heappop(self._expiries)[1]])
        return self._drain()

    def next_expiry_ns(self) -> int:
        """When the next GTD order ends; 0 = none will."""
        while self._expiries and self._expiries[0][1] not in self.ledger.open_orders:
            heappop(self._expiries)
        return self._expiries[0][0] if self._expiries else 0

    def reach(self, instrument_id: int) -> tuple[int, int]:
        """(highest resting buy, lowest resting sell), 0 = none: what stays between them touches no
        order."""
        resting = self._resting.get(instrument_id)
        return resting.reach() if resting is not None else (0, 0)

    # ------------------------------------------------------------ recovery

    def readmit(self, order: Order) -> None:
        """Take up an order that was open when the router stopped, at the place it says; the ledger has it already.
        Orders of one price must come oldest first."""
        self._rest(order)

    def place_readmitted(self, instrument_id: int, book: BookView) -> None:
        """The book is there again: an order that was taken up without a place stands at the back of its level,
        as any newcomer."""
        for side in (Side.BUY, Side.SELL):
            for order in self._resting_of(instrument_id).by_priority(side):
                if order.ahead == AHEAD_UNKNOWN:
                    order.ahead = book.qty_at(side, order.price)

    def expire_immediate(self) -> list[VenueEvent]:
        """End open orders that should have ended when they came: power loss cut off what followed their ack."""
        for order in self.ledger.orders_of():
            if order.order_type == OrderType.MARKET or order.time_in_force in _IMMEDIATE:
                self._end(ExecType.EXPIRED, order, code=RejectCode.LOST)
        return self._drain()

    # ------------------------------------------------------------ inside

    def _refusal(self, order: Order, book: BookView, now_ns: int) -> RejectCode:
        if order.order_type not in (OrderType.MARKET, OrderType.LIMIT) or order.time_in_force not in _KNOWN:
            return RejectCode.UNSUPPORTED
        if order.time_in_force == TimeInForce.GTD and order.expire_ns <= now_ns:
            return RejectCode.STALE
        if order.post_only and (order.order_type == OrderType.MARKET or order.time_in_force in _IMMEDIATE):
            return RejectCode.UNSUPPORTED
        if order.post_only and self._crosses(order.is_buy, order.price, book):
            return RejectCode.WOULD_CROSS
        if order.time_in_force == TimeInForce.FOK:
            want = self._allowed(order)
            offered = sum(qty for _, qty in self._offers(order, book, want))
            if want < order.qty or offered < want:
                return RejectCode.NOT_FILLABLE
        return RejectCode.NONE

    def _replace_refusal(self, order: Order, price: int, qty: int, book: BookView) -> RejectCode:
        if qty <= order.cum:
            return RejectCode.BAD_QTY
        if order.post_only and self._crosses(order.is_buy, price, book):
            return RejectCode.WOULD_CROSS
        return RejectCode.NONE

    @staticmethod
    def _crosses(is_buy: bool, price: int, book: BookView) -> bool:
        best = book.best_ask if is_buy else book.best_bid
        return best is not None and (best[0] <= price if is_buy else best[0] >= price)

    def _offers(self, order: Order, book: BookView, want: int) -> list[tuple[int, int]]:
        taken = self._taken_of(order.instrument_id)
        taken.forget_gone(book)
        limit = None if order.order_type == OrderType.MARKET else order.price
        return taken.offers(book, Side.SELL if order.is_buy else Side.BUY, limit, want)

    def _take(self, order: Order, book: BookView) -> None:
        taken = self._taken_of(order.instrument_id)
        for price, qty in self._offers(order, book, self._allowed(order)):
            filled = self._fill(order, price, qty, Liquidity.TAKER)
            taken.take(Side.SELL if order.is_buy else Side.BUY, price, filled)

    def _rest_or_expire(self, order: Order, book: BookView) -> None:
        if order.leaves == 0:
            return
        if order.order_type == OrderType.MARKET or order.time_in_force in _IMMEDIATE:
            self._end(ExecType.EXPIRED, order)
        elif order.reduce_only and self._allowed(order) == 0:
            self._end(ExecType.EXPIRED, order, code=RejectCode.REDUCE_ONLY)
        else:
            order.ahead = book.qty_at(Side(order.side), order.price)
            self._rest(order)

    def _rest(self, order: Order) -> None:
        self._resting_of(order.instrument_id).add(order)
        if order.time_in_force == TimeInForce.GTD:
            if (
                len(self._expiries) > 2 * len(self.ledger.open_orders) + 64
            ):  # most have ended before their time
                self._expiries = [entry for entry in self._expiries if entry[1] in self.ledger.open_orders]
                heapify(self._expiries)
            heappush(self._expiries, (order.expire_ns, order.key))

    def _trade_against(self, resting: RestingOrders, side: Side, price: int, qty: int) -> None:
        used = 0  # of the print, by our orders: it cannot fill two of them with the same quantity
        for order in resting.by_priority(side):
            if order.price == price:
                if order.ahead == AHEAD_UNKNOWN:
                    continue
                ahead = min(order.ahead, qty)
                order.ahead -= ahead
                here = min(order.leaves, qty - ahead - used)
                if here > 0:
                    used += self._fill(order, order.price, here, Liquidity.MAKER)
            elif order.price > price if side == Side.BUY else order.price < price:
                self._fill(order, order.price, order.leaves, Liquidity.MAKER)
            else:
                break

    def _allowed(self, order: Order) -> int:
        """What may still fill of it: a reduce-only order stops where the position ends."""
        if not order.reduce_only:
            return order.qty - order.cum
        holding = self.ledger.holding(order.owner, order.instrument_id)
        return min(order.qty - order.cum, holding.reducible(is_buy=order.is_buy))

    def _fill(self, order: Order, price: int, qty: int, liquidity: Liquidity) -> int:
        """Fill up to `qty`; returns how much."""
        qty = min(qty, order.leaves, self._allowed(order))
        if qty > 0:
            terms = self.ledger.terms[order.instrument_id]
            try:
                fee = self.fees.fee(terms.notional(price, qty), is_maker=liquidity == Liquidity.MAKER)
                self.ledger.fill(order, qty, price, fee)
            except FixedPointOverflow:
                self._end(ExecType.EXPIRED, order, code=RejectCode.NOTIONAL_LIMIT)
                return 0
            order.cum += qty
            done = order.cum == order.qty
            kind = ExecType.FILL if done else ExecType.PARTIAL_FILL
            if done:
                self._forget(order, 0)
            trade_id, self.next_trade_id = self.next_trade_id, self.next_trade_id + 1
            self._step(
                kind, order, last_price=price, last_qty=qty, fee=fee, liquidity=liquidity, trade_id=trade_id
            )
        if order.reduce_only and order.leaves and self._allowed(order) == 0:
            self._end(ExecType.EXPIRED, order, code=RejectCode.REDUCE_ONLY)
        return max(0, qty)

    def _end(
        self, kind: ExecType, order: Order, *, code: RejectCode = RejectCode.NONE, request_seq: int = 0
    ) -> None:
        self._forget(order, order.leaves)
        self._step(kind, order, code=code, request_seq=request_seq)

    def _forget(self, order: Order, leaves: int) -> None:
        self.ledger.leave(order, leaves)
        self._resting_of(order.instrument_id).remove(order)

    def _step(
        self,
        kind: ExecType,
        order: Order,
        *,
        last_price: int = 0,
        last_qty: int = 0,
        fee: int = 0,
        liquidity: Liquidity = Liquidity.NONE,
        trade_id: int = 0,
        code: RejectCode = RejectCode.NONE,
        request_seq: int = 0,
    ) -> None:
        order.advance(kind)
        self._events.append(
            VenueEvent(
                kind, order, order.cum, order.leaves, order.price, order.qty,
                last_price, last_qty, fee, liquidity, trade_id, code, request_seq,
            )
        )  # fmt: skip

    def _drain(self) -> list[VenueEvent]:
        events, self._events = self._events, []
        return events

    def _resting_of(self, instrument_id: int) -> RestingOrders:
        found = self._resting.get(instrument_id)
        if found is None:
            found = self._resting[instrument_id] = RestingOrders()
        return found

    def _taken_of(self, instrument_id: int) -> Taken:
        found = self._taken.get(instrument_id)
        if found is None:
            found = self._taken[instrument_id] = Taken()
        return found


_KNOWN = frozenset({TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTD})
_IMMEDIATE = (TimeInForce.IOC, TimeInForce.FOK)
