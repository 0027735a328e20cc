"""The matcher against the slow model of its rules, on random streams of requests, books and trades: the same events, places and
positions, step by step. A failure prints the seed and the last step."""

from __future__ import annotations

import random
from typing import Any

import pytest

from libchronicle.book import L2Book
from libchronicle.protocol import BookDelta, BookSnapshot, ExecType, OrderType, Side, StpMode, TimeInForce
from libchronicle.sim.matcher import Matcher, MatchEvent, StopTrigger
from libchronicle.sim.queues import LogProbQueue, ProbQueue, QueueModel, RiskAverseQueue, UserQueue
from tests.sim.matcher_reference import BUY, FILL, SELL, Reference

STEPS = 3000
FILLS = (ExecType.FILL, ExecType.PARTIAL_FILL)


class Cautious(UserQueue):
    """The risk-averse model, said in Python."""


MODELS: dict[str, tuple[QueueModel, dict[str, Any]]] = {
    "trades": (RiskAverseQueue(), {}),
    "capped": (RiskAverseQueue(capped=True), {"model": "capped"}),
    "power": (ProbQueue(2), {"model": "power", "power": 2.0}),
    "root": (ProbQueue(0.5), {"model": "power", "power": 0.5}),
    "log": (LogProbQueue(), {"model": "log"}),
    "user": (Cautious(), {}),
}


def plain(e: MatchEvent) -> tuple[Any, ...]:
    """As the reference tells it; what is ahead counts for fills only."""
    fill = tuple(getattr(e, name) for name in FILL) if e.kind in FILLS else (0,) * len(FILL)
    return (e.kind, e.key, e.price, e.qty, e.cum, e.leaves, int(e.code), e.request, *fill)


class Duel:
    """Both, side by side."""

    def __init__(self, seed: int, model: str, trigger: StopTrigger) -> None:
        self.random = random.Random(seed)
        queue, settings = MODELS[model]
        self.slow = Reference(trigger=trigger.name.lower(), **settings)
        self.book, self.fast = L2Book(7), Matcher()
        self.slot = self.fast.add(7, self.book, queue=queue, trigger=trigger)
        self.now, self.keys, self.requests, self.update, self.fills = 0, 0, 0, 1, 0
        self.slow.bids, self.slow.asks = self.levels(100, 101)
        start = BookSnapshot(
            instrument_id=7,
            last_update_id=1,
            bids=sorted(self.slow.bids.items(), reverse=True),
            asks=sorted(self.slow.asks.items()),
        )
        self.book.apply(start.TEMPLATE_ID, start.encode())

    def levels(self, bid: int, ask: int) -> tuple[dict[int, int], dict[int, int]]:
        size = self.random.randint
        return {bid - i: size(1, 40) for i in range(size(1, 5))}, {
            ask + i: size(1, 40) for i in range(size(1, 5))
        }

    def step(self) -> None:
        self.now += 1
        self.requests += 1
        kinds = [
            self.new,
            self.cancel,
            self.cancel_all,
            self.replace,
            self.trade,
            self.depth,
            self.move,
            self.expire,
        ]
        kind = self.random.choices(kinds, weights=[30, 8, 1, 8, 20, 25, 6, 4])[0]
        events, what = kind()
        told = self.slow.drain()
        assert [plain(e) for e in events] == told, what
        self.fills += sum(e.kind in FILLS for e in events)
        self.compare(what)

    def compare(self, what: Any) -> None:
        fast = {(w.key, w.owner, w.price, w.qty, w.cum, w.waiting) for w in self.fast.working()}
        slow = {(o.key, o.owner, o.price, o.qty, o.cum, o.waiting) for o in self.slow.orders}
        assert fast == slow, what
        places = {w.key: w.ahead for w in self.fast.working() if not w.waiting}
        assert places == {o.key: o.ahead for o in self.slow.orders if o.resting}, what
        for owner in (0, 1):
            assert self.fast.position(self.slot, owner) == self.slow.positions.get(owner, 0), what

    # ------------------------------------------------------------ steps

    def new(self) -> tuple[list[MatchEvent], Any]:
        pick, number = self.random.choice, self.random.randint
        if self.random.random() > 0.03:
            self.keys += 1
        key = max(1, self.keys)
        mid = (max(self.slow.bids, default=100) + min(self.slow.asks, default=101)) // 2
        kind = pick([OrderType.LIMIT] * 6 + [OrderType.MARKET, OrderType.STOP_MARKET, OrderType.STOP_LIMIT])
        price = 0 if kind in (OrderType.MARKET, OrderType.STOP_MARKET) else mid + number(-4, 5)
        more: dict[str, Any] = {
            "owner": number(0, 1), "type": kind, "stop_price": mid + number(-4, 4) if kind > OrderType.LIMIT else 0,
            "time_in_force": pick([TimeInForce.GTC] * 5 + [TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTD]),
            "post_only": self.random.random() < 0.15, "reduce_only": self.random.random() < 0.15,
            "stp": pick([StpMode.NONE] * 3 + list(StpMode)), "expire_ns": self.now + number(-1, 200),
        }  # fmt: skip
        side, qty = pick([BUY, SELL]), number(1, 60)
        self.slow.new(key, side, qty, price, self.now, self.requests, **more)
        made = self.fast.new(self.slot, key, side, qty, price, now=self.now, request=self.requests, **more)
        return made, ("new", key, side, qty, price, more)

    def some_key(self) -> tuple[int, int]:
        if self.slow.orders and self.random.random() < 0.9:
            order = self.random.choice(self.slow.orders)
            return order.key, order.owner if self.random.random() < 0.95 else 1 - order.owner
        return self.random.randint(1, max(1, self.keys)), 0

    def cancel(self) -> tuple[list[MatchEvent], Any]:
        key, owner = self.some_key()
        self.slow.cancel(key, owner, self.requests)
        return self.fast.cancel(key, owner=owner, request=self.requests), ("cancel", key, owner)

    def cancel_all(self) -> tuple[list[MatchEvent], Any]:
        owner = self.random.choice([None, 0, 1])
        self.slow.cancel_all(owner, self.requests)
        return self.fast.cancel_all(owner=owner, request=self.requests), ("cancel_all", owner)

    def replace(self) -> tuple[list[MatchEvent], Any]:
        key, owner = self.some_key()
        order = self.slow.find(key, owner)
        price = (order.price if order else 100) + self.random.choice([0, 0, -1, 1, 2, -3])
        qty = max(1, (order.qty if order else 5) + self.random.randint(-20, 10))
        self.slow.replace(key, owner, price, qty, self.requests)
        events = self.fast.replace(key, price, qty, owner=owner, request=self.requests, now=self.now)
        return events, ("replace", key, owner, price, qty)

    def trade(self) -> tuple[list[MatchEvent], Any]:
        best = self.random.choice([max(self.slow.bids, default=100), min(self.slow.asks, default=101)])
        price, qty = best + self.random.randint(-1, 1), self.random.randint(1, 30)
        aggressor = self.random.choice([BUY, SELL, BUY, SELL, Side.NONE])
        self.slow.trade(price, qty, aggressor)
        return self.fast.trade(self.slot, price, qty, aggressor), ("trade", price, qty, aggressor)

    def change(self, bids: dict[int, int], asks: dict[int, int]) -> list[MatchEvent]:
        self.update += 1
        message = BookDelta(
            instrument_id=7, first_update_id=self.update, last_update_id=self.update,
            bids=[(p, bids.get(p, 0)) for p in set(bids) | set(self.slow.bids)],
            asks=[(p, asks.get(p, 0)) for p in set(asks) | set(self.slow.asks)],
        )  # fmt: skip
        self.book.apply(message.TEMPLATE_ID, message.encode())
        self.slow.bids, self.slow.asks = bids, asks
        self.slow.book()
        return self.fast.book(self.slot)

    def depth(self) -> tuple[list[MatchEvent], Any]:
        """Some levels get another quantity, or go."""
        bids, asks = dict(self.slow.bids), dict(self.slow.asks)
        for levels in (bids, asks):
            for price in list(levels):
                if self.random.random() < 0.4:
                    levels[price] = max(0, levels[price] + self.random.randint(-15, 12))
                    if not levels[price]:
                        del levels[price]
        return self.change(bids, asks), ("depth", bids, asks)

    def move(self) -> tuple[list[MatchEvent], Any]:
        """The market goes elsewhere; now and then a side is empty."""
        bid = max(90, min(110, max(self.slow.bids, default=100) + self.random.randint(-4, 4)))
        bids, asks = self.levels(bid, bid + self.random.randint(1, 3))
        if self.random.random() < 0.1:
            (bids if self.random.random() < 0.5 else asks).clear()
        return self.change(bids, asks), ("move", bids, asks)

    def expire(self) -> tuple[list[MatchEvent], Any]:
        self.now += self.random.randint(0, 30)
        self.slow.expire(self.now)
        due = self.fast.next_expiry_ns()
        dated = [o.expire_ns for o in self.slow.orders if o.tif == TimeInForce.GTD]
        events = self.fast.expire(self.now)
        assert (0 < due <= self.now) == bool(events)
        assert self.fast.next_expiry_ns() == min(dated, default=0)
        return events, ("expire", self.now)


@pytest.mark.parametrize("trigger", list(StopTrigger))
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_matcher_does_what_the_slow_model_does(model: str, trigger: StopTrigger, seed: int) -> None:
    duel = Duel(seed, model, trigger)
    for step in range(STEPS):
        try:
            duel.step()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, step {step}: {error}") from error
    assert duel.fills > STEPS // 10, "the stream fills too little to say anything"
