"""A day of a venue with auctions, made up: order-level records of one channel, and what they add up to.

    opening auction   orders come and go, some without a price; indicative prices
    no-cancel         orders come, none may go
    uncrossing        executions at one price, both sides; what had no price and found nobody leaves
    continuous        price-time priority
    closing auction   as the opening one, no cancel from the start
    closed

The channel numbers its messages from 1 without a hole (`venueSeq`), whatever instrument they are of. Prices and quantities
of the records are ticks and lots (exponent 0). The same arguments make the same day; no clock is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Final

from libchronicle.protocol import (
    AuctionFlags,
    AuctionInfo,
    BookMode,
    Instrument,
    OrderAdd,
    OrderBookFlags,
    OrderDelete,
    OrderExecute,
    OrderModify,
    PhaseChange,
    PhaseFlags,
    SbeMessage,
    Side,
    Trade,
    TradingPhase,
    instrument_id,
)
from libchronicle.sim.auction import BUY, SELL, CallOrder, clear, match

__all__ = ["AuctionDay", "DayTruth", "Record"]

Record = tuple[int, SbeMessage]
"""Time in ns since the Unix epoch, message."""

VENUE: Final = "auction-venue"
_HOUR: Final = 3_600_000_000_000
_NO_CHANGE: Final = PhaseFlags.NO_CANCEL | PhaseFlags.NO_MODIFY
_SCHEDULE: Final = (  # phase, flags, ends at (hours after midnight), share of the day's orders
    (TradingPhase.OPENING_AUCTION, PhaseFlags(0), 9 + 20 / 60, 0.15),
    (TradingPhase.OPENING_AUCTION, _NO_CHANGE, 9 + 25 / 60, 0.05),
    (TradingPhase.CONTINUOUS, PhaseFlags(0), 14 + 57 / 60, 0.65),
    (TradingPhase.CLOSING_AUCTION, _NO_CHANGE, 15.0, 0.15),
)
_OPENS: Final = 9.25


@dataclass
class DayTruth:
    """What one instrument's day added up to. `closing`: orders left, in the order of their queues: (id, side, price, qty)."""

    volumes: dict[TradingPhase, int] = field(default_factory=dict)
    auctions: dict[TradingPhase, tuple[int, int]] = field(default_factory=dict)
    trades: int = 0
    closing: list[tuple[int, Side, int, int]] = field(default_factory=list)


class AuctionDay:
    """`records()` makes the day; `truth` then tells, per `venue:SYMBOL`, what it added up to."""

    def __init__(
        self, symbols: tuple[str, ...] = ("AAA", "BBB"), orders: int = 4_000, day: int = 19_943, seed: int = 1
    ) -> None:
        self._symbols, self._orders, self._midnight = symbols, orders, day * 24 * _HOUR
        self._seed = seed
        self.truth: dict[str, DayTruth] = {}

    def records(self) -> Iterator[Record]:
        """Definitions, then the channel, times ascending."""
        rng = Random(self._seed)
        self.truth = {f"{VENUE}:{symbol}": DayTruth() for symbol in self._symbols}
        markets = [
            _Market(symbol, truth, rng)
            for symbol, truth in zip(self._symbols, self.truth.values(), strict=True)
        ]
        seq = 0
        for ts, message in self._run(markets, rng):
            if not isinstance(message, Instrument):
                message.venue_ts = ts  # type: ignore[attr-defined]
                if not isinstance(message, Trade):
                    seq += 1
                    message.venue_seq = seq  # type: ignore[attr-defined]
            yield ts, message

    def _run(self, markets: list[_Market], rng: Random) -> Iterator[Record]:
        ts = self._at(_OPENS)
        for market in markets:
            yield ts, market.definition()
        for phase, flags, until, share in _SCHEDULE:
            end = self._at(until)
            for market in markets:
                yield ts, market.enter(phase, flags)
            count = round(self._orders * share) * len(markets)
            for moment in sorted(rng.randint(ts + 1, end - 1) for _ in range(count)):
                for message in rng.choice(markets).act():
                    yield moment, message
            ts = end
            if phase != TradingPhase.CONTINUOUS and flags:
                for market in markets:
                    for message in market.uncross():
                        yield ts, message
        for market in markets:
            yield ts, market.enter(TradingPhase.CLOSED, _NO_CHANGE | PhaseFlags.NO_NEW_ORDERS)
            market.close()

    def _at(self, hours: float) -> int:
        return self._midnight + round(hours * _HOUR)


class _Market:
    """One instrument: its orders in the order they came, which is all that priority needs."""

    def __init__(self, symbol: str, truth: DayTruth, rng: Random) -> None:
        self._id = instrument_id(f"{VENUE}:{symbol}")
        self._symbol, self._truth, self._rng = symbol, truth, rng
        self._orders: dict[int, CallOrder] = {}
        self._phase = TradingPhase.UNKNOWN
        self._flags = PhaseFlags(0)
        self._reference = 10_000
        self._next_id = self._id % 1_000_000 * 1_000_000

    def definition(self) -> Instrument:
        return Instrument(
            instrument_id=self._id,
            venue=VENUE,
            symbol=self._symbol,
            tick_size=1,
            lot_size=1,
            book_mode=BookMode.L3,
            trading=1,
        )

    def enter(self, phase: TradingPhase, flags: PhaseFlags) -> PhaseChange:
        self._phase, self._flags = phase, flags
        return PhaseChange(instrument_id=self._id, phase=phase, flags=flags)

    def act(self) -> Iterator[SbeMessage]:
        """What somebody does now."""
        may_change = not self._flags & PhaseFlags.NO_CANCEL
        kind = self._rng.random()
        if self._orders and may_change and kind < 0.25:
            yield self._cancel()
        elif self._orders and may_change and kind < 0.35:
            yield from self._modify()
        else:
            yield from self._enter(self._new_order())
        if self._phase != TradingPhase.CONTINUOUS and self._rng.random() < 0.1:
            yield self._indicate(AuctionFlags(0))

    def _new_order(self) -> CallOrder:
        self._next_id += 1
        side = self._rng.choice((BUY, SELL))
        price: int | None = self._reference + self._rng.randint(-30, 30) - side * self._rng.randint(0, 20)
        if self._phase != TradingPhase.CONTINUOUS and self._rng.random() < 0.2:
            price = None
        return CallOrder(self._next_id, side, price, self._rng.randint(1, 50))

    def _cancel(self) -> OrderDelete:
        order = self._rng.choice(list(self._orders.values()))
        part = self._rng.randint(1, order.remaining) if self._rng.random() < 0.3 else order.remaining
        self._take(order, part)
        return OrderDelete(
            instrument_id=self._id,
            order_id=order.order_id,
            qty=0 if part and not order.remaining else part,
            side=_side(order),
        )

    def _modify(self) -> Iterator[SbeMessage]:
        """Less at the same price keeps the place; a new price goes to the end, and in continuous trading stays on its side."""
        order = self._rng.choice(list(self._orders.values()))
        price = order.price
        if price is not None and self._rng.random() < 0.5:
            price -= order.side * self._rng.randint(1, 5)
        else:
            order.remaining = self._rng.randint(1, order.remaining)
        if price != order.price:
            order.price = price
            self._orders[order.order_id] = self._orders.pop(order.order_id)
        yield OrderModify(
            instrument_id=self._id,
            order_id=order.order_id,
            new_order_id=order.order_id,
            price=price or 0,
            qty=order.remaining,
            side=_side(order),
            flags=_flags(order),
        )

    def _enter(self, order: CallOrder) -> Iterator[SbeMessage]:
        if self._phase == TradingPhase.CONTINUOUS:
            yield from self._cross(order)
        if order.remaining:
            self._orders[order.order_id] = order
            yield OrderAdd(
                instrument_id=self._id,
                order_id=order.order_id,
                price=order.price or 0,
                qty=order.remaining,
                side=_side(order),
                flags=_flags(order),
            )

    def _cross(self, order: CallOrder) -> Iterator[SbeMessage]:
        assert order.price is not None
        others = [
            o
            for o in self._orders.values()
            if o.side != order.side and (order.price - (o.price or 0)) * order.side >= 0
        ]
        others.sort(key=lambda o: (o.price or 0) * order.side)
        for maker in others:
            qty = min(maker.remaining, order.remaining)
            if not qty:
                break
            order.remaining -= qty
            price = maker.price or 0
            yield from self._trade(qty, price, [maker], _side(order))
            self._take(maker, qty)
            self._reference = price

    def _trade(self, qty: int, price: int, resting: list[CallOrder], aggressor: Side) -> Iterator[SbeMessage]:
        truth = self._truth
        truth.trades += 1
        truth.volumes[self._phase] = truth.volumes.get(self._phase, 0) + qty
        told = {"instrument_id": self._id, "trade_id": truth.trades, "price": price, "qty": qty}
        for order in resting:
            yield OrderExecute(order_id=order.order_id, side=_side(order), **told)
        yield Trade(aggressor=aggressor, **told)

    def uncross(self) -> Iterator[SbeMessage]:
        yield self.enter(self._phase, self._flags | PhaseFlags.UNCROSSING | PhaseFlags.NO_NEW_ORDERS)
        orders = self._orders
        clearing = clear(orders.values(), self._reference)
        if clearing is not None:
            yield self._indicate(AuctionFlags.FINAL)
            named = dict(orders)
            for one in match(list(orders.values()), clearing):
                yield from self._trade(
                    one.qty, clearing.price, [named[one.buy_id], named[one.sell_id]], Side.NONE
                )
            self._reference = clearing.price
            self._truth.auctions[self._phase] = clearing.price, clearing.qty
        for order in list(orders.values()):
            if not order.remaining:
                del orders[order.order_id]
            elif order.price is None:
                del orders[order.order_id]
                yield OrderDelete(instrument_id=self._id, order_id=order.order_id, side=_side(order))

    def _indicate(self, flags: AuctionFlags) -> AuctionInfo:
        clearing = clear(self._orders.values(), self._reference)
        if clearing is None:
            return AuctionInfo(
                instrument_id=self._id,
                phase=self._phase,
                reference_price=self._reference,
                flags=flags | AuctionFlags.NO_PRICE,
            )
        side = Side.NONE if not clearing.surplus else Side.BUY if clearing.surplus > 0 else Side.SELL
        return AuctionInfo(
            instrument_id=self._id,
            price=clearing.price,
            qty=clearing.qty,
            imbalance_qty=abs(clearing.surplus),
            imbalance_side=side,
            reference_price=self._reference,
            phase=self._phase,
            flags=flags,
        )

    def _take(self, order: CallOrder, qty: int) -> None:
        order.remaining -= qty
        if not order.remaining:
            del self._orders[order.order_id]

    def close(self) -> None:
        left = [(o.order_id, _side(o), o.price or 0, o.remaining) for o in self._orders.values()]
        self._truth.closing = sorted(
            left, key=lambda row: (row[1], -row[2] if row[1] == Side.BUY else row[2])
        )


def _side(order: CallOrder) -> Side:
    return Side.BUY if order.side == BUY else Side.SELL


def _flags(order: CallOrder) -> OrderBookFlags:
    return OrderBookFlags.NO_PRICE if order.price is None else OrderBookFlags(0)
