"""What must hold for any sequence of orders and market records: Hypothesis looks for one that breaks it."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from libchronicle.book import L2Book
from libchronicle.portfolio import OrderState, next_state
from libchronicle.protocol import BookSnapshot, OrderType, Side, StpMode, TimeInForce
from libchronicle.sim.matcher import FillRule, Matcher, MatchEvent
from libchronicle.sim.queues import LogProbQueue, ProbQueue, RiskAverseQueue, UserQueue

BUY, SELL = Side.BUY, Side.SELL
MODELS = [RiskAverseQueue(), RiskAverseQueue(capped=True), ProbQueue(3), LogProbQueue(variant=2), UserQueue()]
SIZES = st.lists(st.integers(1, 20), min_size=6, max_size=6)
MAKING = (FillRule.QUEUE, FillRule.THROUGH, FillRule.REACHED)


class AnySequence(RuleBasedStateMachine):
    """Orders of two owners, with every condition there is."""

    def __init__(self) -> None:
        super().__init__()
        self.book, self.matcher, self.keys = L2Book(7), Matcher(seed=3), 0
        self.state: dict[int, OrderState] = defaultdict(lambda: OrderState.PENDING)
        self.filled: dict[int, int] = defaultdict(int)
        self.asked: dict[int, dict] = {}
        self.position: dict[int, int] = defaultdict(int)
        self.shown: dict[Side, dict[int, int]] = {}
        self.took: dict[tuple[Side, int], int] = defaultdict(int)  # since the book was shown last
        self.arrivals = 0

    def arrive(self) -> int:
        self.arrivals += 1
        return self.arrivals

    @initialize(queue=st.sampled_from(MODELS))
    def begin(self, queue) -> None:
        self.slot = self.matcher.add(7, self.book, queue=queue)
        self.show(99, 2, [5] * 6)

    # ------------------------------------------------------------ what holds for every event

    def check(self, events: list[MatchEvent]) -> None:
        for e in events:
            self.state[e.key] = next_state(
                self.state[e.key], e.kind
            )  # raises where the table has no such step
            if not e.last_qty:
                continue
            asked = self.asked[e.key]
            sign = 1 if asked["side"] == BUY else -1
            self.filled[e.key] += e.last_qty
            self.position[e.owner] += sign * e.last_qty
            assert self.filled[e.key] == e.cum <= e.qty
            if asked["limited"]:
                assert sign * (e.price - e.last_price) >= 0, "through its limit"
            if e.rule in MAKING:
                assert e.last_price == e.price
            if e.rule not in (FillRule.QUEUE, FillRule.THROUGH):
                side = SELL if sign > 0 else BUY
                self.took[side, e.level_price] += e.last_qty
                assert self.took[side, e.level_price] <= self.shown[side][e.level_price], (
                    "more than displayed"
                )
        self.in_priority([e for e in events if e.rule in MAKING])

    def in_priority(self, fills: list[MatchEvent]) -> None:
        """Better prices first, then older; and nobody fills while one before it could have had as much."""
        for side in (BUY, SELL):
            ranks = [self.rank(e.key, e.price) for e in fills if self.asked[e.key]["side"] == side]
            assert ranks == sorted(ranks)
        for e in fills:
            for w in self.matcher.working():
                better = w.side == self.asked[e.key]["side"] and not w.waiting and w.key != e.key
                if better and self.rank(w.key, w.price) < self.rank(e.key, e.price):
                    assert any(f.key == w.key for f in fills), "it filled before one that stands before it"

    def rank(self, key: int, price: int) -> tuple[int, int]:
        return (-price if self.asked[key]["side"] == BUY else price, self.asked[key]["arrival"])

    # ------------------------------------------------------------ what happens

    @rule(
        side=st.sampled_from([BUY, SELL]), qty=st.integers(1, 30), price=st.integers(95, 106), owner=st.integers(0, 1),
        kind=st.sampled_from([OrderType.LIMIT] * 4 + [OrderType.MARKET, OrderType.STOP_MARKET]), stop=st.integers(95, 106),
        tif=st.sampled_from([TimeInForce.GTC] * 3 + [TimeInForce.IOC, TimeInForce.FOK]), stp=st.sampled_from(StpMode),
        post=st.booleans(), reduce=st.booleans(),
    )  # fmt: skip
    def new(self, side, qty, price, owner, kind, stop, tif, stp, post, reduce) -> None:
        self.keys += 1
        price = price if kind == OrderType.LIMIT else 0
        self.asked[self.keys] = {"side": side, "limited": bool(price), "arrival": self.arrive()}
        before = self.position[owner]
        events = self.matcher.new(
            self.slot, self.keys, side, qty, price, owner=owner, type=kind, time_in_force=tif, post_only=post,
            reduce_only=reduce, stop_price=stop, stp=stp,
        )  # fmt: skip
        self.check(events)
        if reduce:
            assert abs(self.position[owner]) <= abs(before)
        if tif == TimeInForce.FOK and kind != OrderType.STOP_MARKET:
            assert self.filled[self.keys] in (0, qty)
        if post:
            assert self.filled[self.keys] == 0

    @rule(bid=st.integers(95, 103), spread=st.integers(1, 3), sizes=SIZES)
    def show(self, bid: int, spread: int, sizes: list[int]) -> None:
        self.shown = {
            BUY: {bid - i: sizes[i] for i in range(3)},
            SELL: {bid + spread + i: sizes[3 + i] for i in range(3)},
        }
        self.took.clear()
        message = BookSnapshot(
            instrument_id=7, bids=list(self.shown[BUY].items()), asks=list(self.shown[SELL].items())
        )
        self.book.apply(message.TEMPLATE_ID, message.encode())
        self.check(self.matcher.book(self.slot))

    @rule(price=st.integers(95, 106), qty=st.integers(1, 20), aggressor=st.sampled_from(Side))
    def trade(self, price, qty, aggressor) -> None:
        events = self.matcher.trade(self.slot, price, qty, aggressor)
        self.check(events)
        for side in (BUY, SELL):
            at_price = [e for e in events if e.rule == FillRule.QUEUE and self.asked[e.key]["side"] == side]
            assert sum(e.last_qty for e in at_price) <= qty, "one print, used twice"

    @rule(data=st.data(), price=st.integers(95, 106), qty=st.integers(1, 30))
    def replace(self, data, price, qty) -> None:
        working = [w for w in self.matcher.working() if not w.waiting]
        if working:
            w = data.draw(st.sampled_from(working))
            if qty > w.cum and (price != w.price or qty > w.qty):
                self.asked[w.key]["arrival"] = self.arrive()
            self.check(self.matcher.replace(w.key, price, qty, owner=w.owner))

    @rule(data=st.data())
    def cancel(self, data) -> None:
        working = self.matcher.working()
        if working:
            w = data.draw(st.sampled_from(working))
            self.check(self.matcher.cancel(w.key, owner=w.owner))

    @invariant()
    def accounts_agree(self) -> None:
        if not hasattr(self, "slot"):
            return
        for owner in (0, 1):
            assert self.matcher.position(self.slot, owner) == self.position[owner]
        open_states = (OrderState.OPEN, OrderState.PARTIAL)
        assert {w.key for w in self.matcher.working()} == {
            k for k, s in self.state.items() if s in open_states
        }
        for w in self.matcher.working():
            assert (w.cum, w.ahead >= 0) == (self.filled[w.key], True)


TestAnySequence = AnySequence.TestCase
