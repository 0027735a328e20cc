"""Zero-intelligence order flow on a real matching book.

Limit orders, market orders and cancellations arrive as independent Poisson streams, as in the model of Smith, Farmer,
Gillemot and Krishnamurthy ("Statistical theory of the continuous double auction", 2003): limit prices are drawn relative
to the opposite best, and every resting order has the same chance to be cancelled, which keeps the depth stationary. A
fundamental price that slowly reverts to the reference tilts the sides of market orders, so prices wander but do not leave.

Pure: randomness is passed in, time is counted from the start in nanoseconds. The same seed gives the same orders for ever.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from libchronicle.sim.instruments import Instrument
from libchronicle.sim.matching import BUY, SELL, BookSide, Fill, Order, OrderBook

if TYPE_CHECKING:
    from random import Random

MARKET_SHARE = 0.10
"""Of all events; the rest is limit orders and cancellations, balanced at TARGET_ORDERS resting orders."""
CANCEL_SHARE = 0.40
MARKETABLE_SHARE = 0.04
"""Of the limit orders: priced to trade at once, what remains rests."""
AT_TOUCH_SHARE = 0.35
TARGET_ORDERS = 1600
OPENING_LEVELS = 400
MIN_LEVELS = 20
"""A market order does not come while the other side is thinner than this."""
REVERSION_S = 120.0
VOLATILITY = 2e-5
"""Of the fundamental price: standard deviation of its relative change over one second."""
SPACING = 3e-5
"""Typical distance of a new order from the touch, as a part of the price."""


class Totals(NamedTuple):
    """What conservation is checked with, in lots; a trade counts once for each of its two sides."""

    accepted: int
    traded: int
    cancelled: int
    dropped: int


class OrderFlow:
    """One instrument's book and the next thing that happens to it."""

    def __init__(self, instrument: Instrument, rate: float, rng: Random) -> None:
        self.instrument = instrument
        self.book = OrderBook()
        self.time_ns = 0
        self.accepted = self.traded = self.cancelled = self.dropped = 0
        self._mean_gap_ns = 1e9 / rate
        self._rng = rng
        self._next_order_id = 1
        self._resting: list[int] = []
        self._spacing = max(1.0, instrument.reference_price * SPACING)
        self._fundamental = float(instrument.reference_price)
        self._open()
        self.next_ns = self._gap()

    def totals(self) -> Totals:
        return Totals(self.accepted, self.traded, self.cancelled, self.dropped)

    def step(self) -> list[Fill]:
        """Does what is due at `next_ns` and returns the trades it caused."""
        elapsed_ns = self.next_ns - self.time_ns
        self.time_ns = self.next_ns
        self._drift(elapsed_ns / 1e9)
        self.next_ns += self._gap()
        draw = self._rng.random()
        if draw < MARKET_SHARE:
            return self._market_order()
        if draw < MARKET_SHARE + CANCEL_SHARE * len(self.book.orders) / TARGET_ORDERS:
            self._cancel()
            return []
        return self._limit_order()

    def _gap(self) -> int:
        return 1 + int(self._rng.expovariate(1.0) * self._mean_gap_ns)

    def _drift(self, seconds: float) -> None:
        reference = self.instrument.reference_price
        pull = (reference - self._fundamental) * seconds / REVERSION_S
        noise = self._rng.gauss(0.0, 1.0) * reference * VOLATILITY * math.sqrt(seconds)
        self._fundamental += pull + noise

    def _open(self) -> None:
        """The book before the first event: both sides filled so that a deep snapshot has something to show."""
        reference = self.instrument.reference_price
        for side in (BUY, SELL):
            distance = 0.0
            for _ in range(OPENING_LEVELS):
                distance += 1.0 + self._rng.expovariate(1.0) * self._spacing / 4
                self._place(side, max(1, reference - side * int(distance)), self._qty() * 2)

    def _qty(self) -> int:
        """In lots; heavy enough a tail that levels differ, light enough that no order clears the book."""
        notional = 4_000.0 * math.exp(0.9 * self._rng.gauss(0.0, 1.0))
        price = self.instrument.reference_price * self.instrument.tick / 10**self.instrument.price_decimals
        lots = notional / price * 10**self.instrument.qty_decimals / self.instrument.lot
        return max(1, int(lots))

    def _place(self, side: int, price: int, qty: int) -> list[Fill]:
        order = Order(self._next_order_id, side, price, qty)
        self._next_order_id += 1
        self.accepted += qty
        fills = self.book.submit(order)
        self._count(fills)
        if order.remaining:
            self._resting.append(order.order_id)
        return fills

    def _count(self, fills: list[Fill]) -> None:
        for fill in fills:
            self.traded += 2 * fill.qty

    def _market_order(self) -> list[Fill]:
        bid, ask = self.book.bids, self.book.asks
        if bid.best is None or ask.best is None:
            return self._limit_order()
        lean = (self._fundamental - (bid.best + ask.best) / 2) / (8 * self._spacing)
        side = BUY if self._rng.random() < 0.5 + max(-0.4, min(0.4, lean)) else SELL
        if len((ask if side == BUY else bid).levels) < MIN_LEVELS:
            return self._limit_order()
        order = Order(self._next_order_id, side, 0, self._qty())
        self._next_order_id += 1
        self.accepted += order.qty
        fills = self.book.submit_market(order)
        self._count(fills)
        self.dropped += order.remaining
        return fills

    def _limit_order(self) -> list[Fill]:
        bids, asks = self.book.bids, self.book.asks
        side = BUY if self._rng.random() < 0.5 else SELL
        own, other = (bids, asks) if side == BUY else (asks, bids)
        if other.best is None:
            return self._place(side, max(1, self._anchor(own, side)), self._qty())
        if self._rng.random() < MARKETABLE_SHARE and len(other.levels) >= MIN_LEVELS:
            return self._place(side, other.best, self._qty())
        if own.best is not None and self._rng.random() < AT_TOUCH_SHARE:
            inside = 1 if abs(other.best - own.best) > 1 and self._rng.random() < 0.3 else 0
            return self._place(side, own.best + side * inside, self._qty())
        distance = 1 + int(self._rng.paretovariate(1.2) * self._spacing * self._rng.random())
        distance = min(distance, OPENING_LEVELS * int(self._spacing + 1))
        return self._place(side, max(1, other.best - side * distance), self._qty())

    def _anchor(self, own: BookSide, side: int) -> int:
        """Where to place an order when the other side is empty."""
        return own.best if own.best is not None else int(self._fundamental) - side

    def _cancel(self) -> None:
        """Any resting order, all with the same chance; ids of orders that traded are cleared out on the way."""
        resting = self._resting
        while resting:
            index = int(self._rng.random() * len(resting))
            order_id = resting[index]
            resting[index] = resting[-1]
            resting.pop()
            if (order := self.book.cancel(order_id)) is not None:
                self.cancelled += order.remaining
                return
