"""Paper orders on recorded markets, against a book of plain dicts: no fill is better than the book or the
prints allow."""

from __future__ import annotations

import gzip
import json
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from libchronicle.book import L2Book
from libchronicle.portfolio import FeeSchedule, InstrumentTerms, Ledger, Order, OrderKey
from libchronicle.protocol import (
    BookDelta,
    BookSnapshot,
    ExecType,
    Liquidity,
    OrderType,
    Side,
    TimeInForce,
)
from libchronicle.sim.paper import PaperGateway, VenueEvent
from libchronicle.testing.recordings import generated_lines

ID = 3
TERMS = InstrumentTerms(ID, tick_size=1_000_000, lot_size=1_000, price_exponent=-8, qty_exponent=-8)
FINAL = (ExecType.REJECT, ExecType.FILL, ExecType.CANCELLED, ExecType.EXPIRED)


def mantissa(text: str) -> int:
    whole, _, fraction = text.partition(".")
    return int(whole + fraction.ljust(8, "0"))


def levels(pairs: list[list[str]]) -> list[tuple[int, int]]:
    return [(mantissa(price), mantissa(qty)) for price, qty in pairs]


def events(lines: Iterable[bytes]) -> Iterator[tuple[str, dict[str, Any]]]:
    """("snapshot" | "depth" | "trade", data) from the snapshot on."""
    synced = False
    for line in lines:
        data = json.loads(line.partition(b" ")[2])
        data = data.get("data", data)
        if "lastUpdateId" in data:
            synced = True
            yield "snapshot", data
        elif synced and data.get("e") == "depthUpdate":
            yield "depth", data
        elif synced and data.get("e") == "trade":
            yield "trade", data


class Oracle:
    """The displayed book as two dicts, and how much of each level was taken since it last changed."""

    def __init__(self) -> None:
        self.displayed: dict[Side, dict[int, int]] = {Side.BUY: {}, Side.SELL: {}}
        self.taken: dict[tuple[Side, int], int] = defaultdict(int)
        self.last_id = 0

    def apply(self, kind: str, data: dict[str, Any]) -> None:
        names = ("bids", "asks") if kind == "snapshot" else ("b", "a")
        if kind == "snapshot":
            self.displayed = {Side.BUY: {}, Side.SELL: {}}
            self.taken.clear()
        for side, name in zip((Side.BUY, Side.SELL), names, strict=True):
            for price, qty in levels(data[name]):
                if self.displayed[side].get(price, 0) != qty:
                    self.taken.pop((side, price), None)
                if qty:
                    self.displayed[side][price] = qty
                else:
                    self.displayed[side].pop(price, None)

    def take(self, side: Side, price: int, qty: int) -> None:
        self.taken[side, price] += qty
        shown = self.displayed[side].get(price, 0)
        assert self.taken[side, price] <= shown, (
            f"took {self.taken[side, price]} of the {shown} shown at {price}"
        )


class Session:
    """Random orders of one owner against the recording."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.ledger = Ledger()
        self.ledger.define(TERMS)
        self.gateway = PaperGateway(self.ledger, FeeSchedule.from_bps(maker=-0.5, taker=4))
        self.book, self.oracle = L2Book(ID), Oracle()
        self.seq = 0
        self.events: dict[OrderKey, list[VenueEvent]] = defaultdict(list)

    def market(self, kind: str, data: dict[str, Any]) -> None:
        if kind == "trade":
            price, qty = mantissa(data["p"]), mantissa(data["q"])
            aggressor = Side.SELL if data["m"] else Side.BUY
            self.check_prints(self.gateway.on_trade(ID, price, qty, aggressor), price, qty, aggressor)
            return
        self.oracle.apply(kind, data)
        last = data["lastUpdateId"] if kind == "snapshot" else data["u"]
        if kind == "snapshot":
            message: Any = BookSnapshot(
                instrument_id=ID, last_update_id=last, bids=levels(data["bids"]), asks=levels(data["asks"])
            )
        else:
            message = BookDelta(
                instrument_id=ID,
                first_update_id=data["U"],
                last_update_id=last,
                bids=levels(data["b"]),
                asks=levels(data["a"]),
            )
        if not self.book.apply(message.TEMPLATE_ID, message.encode()):
            return
        if kind == "snapshot":
            self.gateway.on_reset(ID)
        self.check_book(self.gateway.on_book(ID, self.book))

    def act(self) -> None:
        best_bid, best_ask = self.book.best_bid, self.book.best_ask
        assert best_bid is not None
        assert best_ask is not None
        open_orders = list(self.ledger.open_orders.values())
        if open_orders and self.random.random() < 0.4:
            order = self.random.choice(open_orders)
            self.note(self.gateway.cancel(order.key, "me", 1))
            return
        self.seq += 1
        side = self.random.choice([Side.BUY, Side.SELL])
        away = self.random.randint(-30, 30) * TERMS.tick_size
        price = 0 if self.random.random() < 0.2 else (best_bid[0] if side == Side.BUY else best_ask[0]) + away
        order = Order(
            OrderKey(1, 1, self.seq), "me", ID, side, self.random.randint(1, 400_000) * TERMS.lot_size, price,
            order_type=OrderType.LIMIT if price else OrderType.MARKET,
            time_in_force=self.random.choice([TimeInForce.GTC, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK]),
        )  # fmt: skip
        self.check_taking(order, self.gateway.submit(order, self.book, now_ns=1))

    def check_taking(self, order: Order, events: list[VenueEvent]) -> None:
        opposite = Side.SELL if order.is_buy else Side.BUY
        prices = [e.last_price for e in events if e.last_qty]
        assert prices == sorted(prices, reverse=not order.is_buy), "from the best level on"
        for e in events:
            if e.last_qty:
                assert e.liquidity == Liquidity.TAKER
                self.oracle.take(opposite, e.last_price, e.last_qty)
        self.note(events)

    def check_book(self, events: list[VenueEvent]) -> None:
        for e in events:
            opposite = Side.SELL if e.order.is_buy else Side.BUY
            reached = [
                p
                for p in self.oracle.displayed[opposite]
                if (p <= e.price if e.order.is_buy else p >= e.price)
            ]
            assert reached, "filled though the book has not come to its price"
            assert (e.last_price, e.liquidity) == (e.price, Liquidity.MAKER)
        self.note(events)

    def check_prints(self, events: list[VenueEvent], price: int, qty: int, aggressor: Side) -> None:
        for e in events:
            assert e.order.side != aggressor
            assert e.price >= price if e.order.is_buy else e.price <= price
            assert (e.last_price, e.liquidity) == (e.price, Liquidity.MAKER)
        assert sum(e.last_qty for e in events if e.price == price) <= qty
        self.note(events)

    def note(self, events: list[VenueEvent]) -> None:
        for e in events:
            self.events[e.order.key].append(e)
            assert not e.last_qty or e.price == 0 or (e.last_price - e.price) * e.order.sign <= 0

    def reconcile(self) -> tuple[int, int]:
        """Partial fills sum to what was filled, fills to the position; returns (orders, fills)."""
        position = fills = 0
        for events in self.events.values():
            order = events[0].order
            cum = 0
            for e in events:
                cum += e.last_qty
                fills += e.last_qty > 0
                assert e.cum == cum <= order.qty
            assert [e.kind in FINAL for e in events[:-1]].count(True) == 0
            if order.time_in_force == TimeInForce.FOK:
                assert cum in (0, order.qty)
            position += order.sign * cum
        assert self.ledger.holding("me", ID).position.qty == position
        return len(self.events), fills


def play(lines: Iterable[bytes], seed: int, limit: int) -> Session:
    session = Session(seed)
    for count, (kind, data) in enumerate(events(lines)):
        if count == limit:
            break
        session.market(kind, data)
        if session.book.valid and count % 3 == 0:
            session.act()
    return session


@pytest.mark.parametrize("seed", range(3))
def test_on_a_generated_market_fills_stay_within_the_book(seed: int) -> None:
    session = play(generated_lines("binance-spot", seconds=6, seed=seed), seed, 10_000)
    orders, fills = session.reconcile()
    assert orders > 100
    assert fills > 50


@pytest.mark.recording
@pytest.mark.parametrize("name", ["binance/spot/btcusdt_20240808.gz", "binance/usdm/btcusdt_20240808.gz"])
def test_on_a_recorded_market_fills_stay_within_the_book(chronicle_data: Path, name: str) -> None:
    with gzip.open(chronicle_data / name) as lines:
        session = play(lines, 5, 9_000)
    orders, fills = session.reconcile()
    print(orders, fills)
    assert orders > 1_000
    assert fills > 500


def test_the_same_market_and_orders_give_the_same_fills() -> None:
    lines = generated_lines("binance-spot", seconds=3)
    one, other = (play(lines, 1, 10_000) for _ in range(2))
    told = [
        [[tuple(e)[:1] + tuple(e)[2:] for e in events] for events in session.events.values()]
        for session in (one, other)
    ]
    assert told[0] == told[1]
