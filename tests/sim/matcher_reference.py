"""The rules of matcher.h once more, slowly: plain dicts and lists, everything sorted anew at every step.

Written from the rules, not from the C: prices instead of keys, one list of orders, both sides spelled out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from libchronicle.protocol import ExecType, Liquidity, OrderType, RejectCode, Side, StpMode, TimeInForce
from libchronicle.sim.matcher import FillRule

BUY, SELL = Side.BUY, Side.SELL
IMMEDIATE = (TimeInForce.IOC, TimeInForce.FOK)


@dataclass(eq=False)
class Resting:
    key: int
    owner: int
    side: Side
    qty: int
    price: int
    type: OrderType
    tif: TimeInForce
    post_only: bool
    reduce_only: bool
    stop_price: int
    expire_ns: int
    stp: StpMode
    age: int  # arrival at the venue
    place: int = 0  # in its line: a stop joins when it goes
    cum: int = 0
    ahead: int = 0
    shown: int = 0
    traded: int = 0
    waiting: bool = False
    resting: bool = False

    @property
    def leaves(self) -> int:
        return self.qty - self.cum

    @property
    def sign(self) -> int:
        return 1 if self.side == BUY else -1


@dataclass
class Reference:
    """One instrument. `bids` and `asks` are the displayed levels; the test changes them and calls `book`."""

    model: str = "trades"  # trades, capped, power, log
    power: float = 1.0
    trigger: str = "trade"
    bids: dict[int, int] = field(default_factory=dict)
    asks: dict[int, int] = field(default_factory=dict)
    orders: list[Resting] = field(default_factory=list)
    positions: dict[int, int] = field(default_factory=dict)
    taken: dict[tuple[Side, int], tuple[int, int]] = field(
        default_factory=dict
    )  # (shown when looked at, taken)
    events: list[tuple[Any, ...]] = field(default_factory=list)
    last_trade: int | None = None
    ages: int = 0
    places: int = 0
    trades: int = 0

    # ---------------------------------------------------------- small words

    def shown(self, side: Side) -> list[tuple[int, int]]:
        """Levels of a side, best first."""
        return sorted(self.bids.items(), reverse=True) if side == BUY else sorted(self.asks.items())

    def opposite(self, side: Side) -> Side:
        return SELL if side == BUY else BUY

    def find(self, key: int, owner: int) -> Resting | None:
        return next((o for o in self.orders if o.key == key and o.owner == owner), None)

    def may_take(self, o: Resting, price: int) -> bool:
        return o.type == OrderType.MARKET or o.sign * (o.price - price) >= 0

    def allowed(self, o: Resting) -> int:
        held = self.positions.get(o.owner, 0)
        return min(o.leaves, max(0, -o.sign * held)) if o.reduce_only else o.leaves

    def line(self, side: Side) -> list[Resting]:
        """Resting orders of a side: better prices first, then older."""
        return sorted(
            (o for o in self.orders if o.resting and o.side == side),
            key=lambda o: (-o.sign * o.price, o.place),
        )

    def tell(
        self, kind: ExecType, o: Resting, *, over: bool = False, request: int = 0, code: int = 0, **fill: Any
    ) -> None:
        leaves = 0 if over else o.leaves
        self.events.append(
            (kind, o.key, o.price, o.qty, o.cum, leaves, code, request, *(fill.get(name, 0) for name in FILL))
        )

    def end(self, o: Resting, kind: ExecType, code: int = 0, request: int = 0) -> None:
        self.orders.remove(o)
        o.resting = o.waiting = False
        self.tell(kind, o, over=True, code=code, request=request)

    def drain(self) -> list[tuple[Any, ...]]:
        events, self.events = self.events, []
        return events

    # ---------------------------------------------------------- memory

    def on_offer(self, side: Side, price: int, qty: int) -> int:
        if (side, price) not in self.taken:
            return qty
        before, taken = self.taken[side, price]
        taken = max(0, taken - max(0, before - qty))
        self.taken[side, price] = (qty, taken)
        return max(0, qty - taken)

    def remember(self, side: Side, price: int, shown: int, qty: int) -> None:
        before, taken = self.taken.get((side, price), (shown, 0))
        self.taken[side, price] = (before, taken + qty)

    def forget_gone(self, side: Side) -> None:
        levels = self.shown(side)
        for where in [place for place in self.taken if place[0] == side]:
            better = not levels or (where[1] > levels[0][0] if side == BUY else where[1] < levels[0][0])
            if better:
                del self.taken[where]

    # ---------------------------------------------------------- filling

    def fill(
        self, o: Resting, qty: int, price: int, rule: FillRule, level: tuple[int, int], ahead: int = 0
    ) -> int:
        qty = min(qty, self.allowed(o))
        if qty > 0:
            self.positions[o.owner] = self.positions.get(o.owner, 0) + o.sign * qty
            o.cum += qty
            self.trades += 1
            done = o.leaves == 0
            if done:
                self.orders.remove(o)
                o.resting = False
            maker = rule in (FillRule.QUEUE, FillRule.THROUGH, FillRule.REACHED)
            self.tell(
                ExecType.FILL if done else ExecType.PARTIAL_FILL, o, over=done, last_price=price, last_qty=qty,
                liquidity=Liquidity.MAKER if maker else Liquidity.TAKER, rule=rule, ahead=ahead, level_price=level[0],
                level_qty=level[1], trade_id=self.trades,
            )  # fmt: skip
        if o in self.orders and o.reduce_only and self.allowed(o) == 0:
            self.end(o, ExecType.EXPIRED, RejectCode.REDUCE_ONLY)
        return max(0, qty)

    def own(self, o: Resting) -> Resting | None:
        if o.stp == StpMode.NONE:
            return None
        return next(
            (r for r in self.line(self.opposite(o.side)) if r.owner == o.owner and self.may_take(o, r.price)),
            None,
        )

    def prevent(self, taker: Resting, maker: Resting) -> None:
        if taker.stp != StpMode.EXPIRE_TAKER:
            self.end(maker, ExecType.EXPIRED, RejectCode.SELF_TRADE)
        if taker.stp != StpMode.EXPIRE_MAKER:
            self.end(taker, ExecType.EXPIRED, RejectCode.SELF_TRADE)

    def take(self, o: Resting, rule: FillRule) -> None:
        side = self.opposite(o.side)
        self.forget_gone(side)
        offers = [level for level in self.shown(side) if self.may_take(o, level[0])]
        if self.allowed(o) <= 0 and offers:
            return
        for price, qty in offers:
            while (own := self.own(o)) is not None and o.sign * (price - own.price) >= 0:
                if own.price == price and own.ahead > 0:
                    self.take_level(o, side, price, qty, own.ahead, rule)
                    if o not in self.orders or self.allowed(o) == 0:
                        return
                self.prevent(o, own)
                if o not in self.orders:
                    return
            self.take_level(o, side, price, qty, 1 << 62, rule)
            if o not in self.orders or self.allowed(o) == 0:
                return
        while o in self.orders and (own := self.own(o)) is not None:
            self.prevent(o, own)

    def take_level(self, o: Resting, side: Side, price: int, qty: int, most: int, rule: FillRule) -> None:
        offer = min(self.on_offer(side, price, qty), most)
        if offer > 0:
            self.remember(side, price, qty, self.fill(o, offer, price, rule, (price, qty)))

    def fillable(self, o: Resting) -> bool:
        if self.allowed(o) < o.leaves:
            return False
        side, want = self.opposite(o.side), o.leaves
        own = None if o.stp == StpMode.EXPIRE_MAKER else self.own(o)
        self.forget_gone(side)
        for price, qty in self.shown(side):
            if not self.may_take(o, price) or (own and o.sign * (price - own.price) > 0) or want <= 0:
                break
            offer = self.on_offer(side, price, qty)
            want -= min(offer, own.ahead) if own and own.price == price else offer
        return want <= 0

    def crosses(self, o: Resting) -> bool:
        levels = self.shown(self.opposite(o.side))
        return bool(levels and self.may_take(o, levels[0][0])) or self.own(o) is not None

    # ---------------------------------------------------------- requests

    def new(
        self, key: int, side: Side, qty: int, price: int, now: int, request: int = 0, **more: Any
    ) -> None:
        stop = more.get("type") in (OrderType.STOP_MARKET, OrderType.STOP_LIMIT)
        o = Resting(
            key, more.get("owner", 0), side, qty, price, more.get("type", OrderType.LIMIT),
            more.get("time_in_force", TimeInForce.GTC), more.get("post_only", False), more.get("reduce_only", False),
            more.get("stop_price", 0), more.get("expire_ns", 0), more.get("stp", StpMode.NONE), 0,
        )  # fmt: skip
        code = self.refusal(o, now, stop=stop)
        if code:
            self.tell(ExecType.REJECT, o, over=True, code=code, request=request)
            return
        self.arrive(o)
        self.orders.append(o)
        self.tell(ExecType.ACK, o, request=request)
        if not stop:
            self.act(o, FillRule.TAKE)
        elif self.is_reached(o):
            self.go(o)
        else:
            o.waiting = True

    def arrive(self, o: Resting) -> None:
        self.ages += 1
        o.age = self.ages

    def refusal(self, o: Resting, now: int, *, stop: bool) -> int:
        if o.tif == TimeInForce.GTD and o.expire_ns <= now:
            return RejectCode.STALE
        priceless = o.type in (OrderType.MARKET, OrderType.STOP_MARKET)
        if o.post_only and (priceless or o.tif in IMMEDIATE):
            return RejectCode.UNSUPPORTED
        if any(other.key == o.key for other in self.orders):
            return RejectCode.DUPLICATE
        if stop:
            return RejectCode.NONE
        if o.post_only and self.crosses(o):
            return RejectCode.WOULD_CROSS
        if o.tif == TimeInForce.FOK and not self.fillable(o):
            return RejectCode.NOT_FILLABLE
        return RejectCode.NONE

    def act(self, o: Resting, rule: FillRule) -> None:
        self.take(o, rule)
        if o not in self.orders:
            return
        if o.type == OrderType.MARKET or o.tif in IMMEDIATE:
            self.end(o, ExecType.EXPIRED)
        elif o.reduce_only and self.allowed(o) == 0:
            self.end(o, ExecType.EXPIRED, RejectCode.REDUCE_ONLY)
        else:
            o.ahead = o.shown = (self.bids if o.side == BUY else self.asks).get(o.price, 0)
            elders = [e.ahead for e in self.line(o.side) if e.price == o.price]
            o.ahead = max([o.ahead, *elders])
            o.traded, o.resting = 0, True
            self.places += 1
            o.place = self.places

    def cancel(self, key: int, owner: int, request: int) -> None:
        o = self.find(key, owner)
        if o is None:
            self.events.append(
                (ExecType.CANCEL_REJECT, key, 0, 0, 0, 0, RejectCode.UNKNOWN_ORDER, request, *[0] * len(FILL))
            )
        else:
            self.end(o, ExecType.CANCELLED, request=request)

    def cancel_all(self, owner: int | None, request: int) -> None:
        for o in sorted(self.orders, key=lambda o: o.age):
            if owner in (None, o.owner):
                self.end(o, ExecType.CANCELLED, request=request)

    def replace(self, key: int, owner: int, price: int, qty: int, request: int) -> None:
        o = self.find(key, owner)
        if o is None:
            unknown = (
                ExecType.REPLACE_REJECT,
                key,
                0,
                0,
                0,
                0,
                RejectCode.UNKNOWN_ORDER,
                request,
                *[0] * len(FILL),
            )
            self.events.append(unknown)
            return
        code = RejectCode.BAD_QTY if qty <= o.cum else RejectCode.NONE
        if not code and o.post_only and not o.waiting and self.crosses(replace(o, price=price)):
            code = RejectCode.WOULD_CROSS
        if code:
            self.tell(ExecType.REPLACE_REJECT, o, code=code, request=request)
            return
        stays = o.waiting or (price == o.price and qty <= o.qty)
        if not stays:
            o.resting = False
            self.arrive(o)
        o.price, o.qty = price, qty
        self.tell(ExecType.REPLACED, o, request=request)
        if not stays:
            self.act(o, FillRule.TAKE)

    def expire(self, now: int) -> None:
        due = [o for o in self.orders if o.tif == TimeInForce.GTD and o.expire_ns <= now]
        for o in sorted(due, key=lambda o: o.expire_ns):
            self.end(o, ExecType.EXPIRED)

    # ---------------------------------------------------------- stops

    def is_reached(self, o: Resting) -> bool:
        best = next((p for p, _ in self.shown(self.opposite(o.side))), None)
        price = self.last_trade if self.trigger == "trade" else best
        return price is not None and o.sign * (price - o.stop_price) >= 0

    def go(self, o: Resting) -> None:
        o.waiting = False
        o.type = OrderType.MARKET if o.type == OrderType.STOP_MARKET else OrderType.LIMIT
        if o.post_only and self.crosses(o):
            self.end(o, ExecType.EXPIRED, RejectCode.WOULD_CROSS)
        elif o.tif == TimeInForce.FOK and not self.fillable(o):
            self.end(o, ExecType.EXPIRED, RejectCode.NOT_FILLABLE)
        else:
            self.act(o, FillRule.STOP)

    def fire_stops(self) -> None:
        for side in (SELL, BUY):
            waiting = [o for o in self.orders if o.waiting and o.side == side]
            for o in sorted(waiting, key=lambda o: (o.sign * o.stop_price, o.age)):
                if self.is_reached(o):
                    self.go(o)

    # ---------------------------------------------------------- the market

    def trade(self, price: int, qty: int, aggressor: Side) -> None:
        self.last_trade = price
        for side, silent in ((BUY, BUY), (SELL, SELL)):
            if aggressor != silent:
                self.against(side, price, qty)
        if self.trigger == "trade":
            self.fire_stops()

    def against(self, side: Side, price: int, qty: int) -> None:
        used, behind = 0, qty
        for o in self.line(side):
            ahead = o.ahead
            if o.sign * (o.price - price) > 0:
                self.fill(o, o.leaves, o.price, FillRule.THROUGH, (price, qty), ahead)
            elif o.price == price:
                behind = min(behind, qty - min(ahead, qty))
                o.ahead -= min(ahead, qty)
                o.traded += qty
                here = min(o.leaves, behind - used)
                if here > 0:
                    used += self.fill(o, here, o.price, FillRule.QUEUE, (price, qty), ahead)

    def book(self) -> None:
        if self.model != "trades":
            for o in self.line(BUY) + self.line(SELL):
                self.depth(o)
            for side in (BUY, SELL):
                for elder, o in pairwise(self.line(side)):
                    if elder.price == o.price:
                        o.ahead = max(o.ahead, elder.ahead)
        self.forget_gone(BUY)
        self.forget_gone(SELL)
        for side in (BUY, SELL):
            other = self.opposite(side)
            for o in self.line(side):
                for price, qty in self.shown(other):
                    if o not in self.orders or not self.may_take(o, price):
                        break
                    offer = self.on_offer(other, price, qty)
                    if offer:
                        ahead = o.ahead
                        self.remember(
                            other,
                            price,
                            qty,
                            self.fill(o, offer, o.price, FillRule.REACHED, (price, qty), ahead),
                        )
        if self.trigger == "book":
            self.fire_stops()

    def depth(self, o: Resting) -> None:
        now = (self.bids if o.side == BUY else self.asks).get(o.price, 0)
        if now == o.shown:
            return
        before, o.shown, traded, o.traded = o.shown, now, o.traded, 0
        lost = float(before) - float(now) - float(traded)
        if self.model == "capped" or lost < 0:
            o.ahead = min(o.ahead, now)
            return
        front, back = float(o.ahead), float(max(0, before - o.ahead))
        weights = self.weight(back), self.weight(front)
        p = weights[0] / sum(weights) if sum(weights) else 1.0
        guess = front - (1.0 - p) * lost + min(back - p * lost, 0.0)
        o.ahead = max(0, min(round(guess), now))

    def weight(self, x: float) -> float:
        return math.log1p(x) if self.model == "log" else x**self.power


FILL = ("last_price", "last_qty", "liquidity", "rule", "ahead", "level_price", "level_qty", "trade_id")
