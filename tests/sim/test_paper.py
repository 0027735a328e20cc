"""The paper venue: hand-made cases of every order kind, and what must hold for any sequence."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from libchronicle.book import L2Book
from libchronicle.portfolio import (
    AHEAD_UNKNOWN,
    TERMINAL,
    FeeSchedule,
    InstrumentTerms,
    Ledger,
    Order,
    OrderKey,
    OrderState,
)
from libchronicle.protocol import BookSnapshot, ExecType, Liquidity, OrderType, RejectCode, Side, TimeInForce
from libchronicle.sim.paper import PaperGateway, VenueEvent

TERMS = InstrumentTerms(7, tick_size=1, lot_size=1, price_exponent=-2, qty_exponent=-3)
BUY, SELL = Side.BUY, Side.SELL


class Shown:
    """A book that shows what its two dicts say when it is looked at."""

    def __init__(self, bids: dict[int, int], asks: dict[int, int]) -> None:
        self.bid_levels, self.ask_levels = bids, asks
        self._book = L2Book(7)

    @property
    def l2(self) -> L2Book:
        shown = BookSnapshot(
            instrument_id=7,
            bids=sorted(self.bid_levels.items(), reverse=True),
            asks=sorted(self.ask_levels.items()),
        )
        self._book.apply(BookSnapshot.TEMPLATE_ID, shown.encode())
        return self._book


class Desk:
    """A gateway, its ledger and a book, with short words for orders."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.ledger.define(TERMS)
        self.gateway = PaperGateway(self.ledger, FeeSchedule(maker_rate=1000, taker_rate=5000))
        self.book = Shown({99: 5, 98: 10}, {101: 5, 102: 10, 103: 20})
        self.seq = 0

    def order(self, side: int, qty: int, price: int = 0, owner: str = "alpha", **more) -> Order:
        self.seq += 1
        kind = OrderType.LIMIT if price else OrderType.MARKET
        return Order(
            OrderKey(1, 1, self.seq), owner, 7, side, qty, price, order_type=more.pop("kind", kind), **more
        )

    def send(self, *args, **more) -> tuple[Order, list[str]]:
        order = self.order(*args, **more)
        return order, words(self.gateway.submit(order, self.book.l2, now_ns=100))

    def position(self, owner: str = "alpha") -> int:
        return self.ledger.holding(owner, 7).position.qty


def words(events: list[VenueEvent]) -> list[str]:
    return [
        f"{e.kind.name} {e.last_qty}@{e.last_price}"
        if e.last_qty
        else e.kind.name + (f" {e.code.name}" if e.code else "")
        for e in events
    ]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_market_order_walks_the_levels_from_the_best(desk: Desk) -> None:
    order, events = desk.send(BUY, 12)
    assert events == ["ACK", "PARTIAL_FILL 5@101", "FILL 7@102"]
    assert (order.state, desk.position()) == (OrderState.FILLED, 12)


def test_what_was_taken_is_not_taken_again_until_the_level_shows_more(desk: Desk) -> None:
    desk.send(BUY, 12)
    assert desk.send(BUY, 5)[1] == ["ACK", "PARTIAL_FILL 3@102", "FILL 2@103"]
    desk.book.ask_levels[101] = 6  # one lot more than when five were taken
    assert desk.send(BUY, 2)[1] == ["ACK", "PARTIAL_FILL 1@101", "FILL 1@103"]


def test_a_level_that_shrinks_was_consumed_where_ours_stood(desk: Desk) -> None:
    desk.send(BUY, 4)  # of 5 at 101
    desk.book.ask_levels[101] = 2
    assert desk.send(BUY, 1)[1] == ["ACK", "FILL 1@101"]  # 4 taken - 3 gone = 1 of the 2 is ours


def test_a_level_that_went_away_comes_back_fresh(desk: Desk) -> None:
    desk.send(BUY, 5)
    del desk.book.ask_levels[101]
    desk.gateway.on_book(7, desk.book.l2)
    desk.send(SELL, 1, 150)  # any order makes the gateway look
    desk.gateway.on_book(7, desk.book.l2)
    desk.book.ask_levels[101] = 5
    assert desk.send(BUY, 5)[1] == ["ACK", "FILL 5@101"]


def test_a_limit_order_takes_up_to_its_price_and_rests(desk: Desk) -> None:
    order, events = desk.send(BUY, 12, 101)
    assert events == ["ACK", "PARTIAL_FILL 5@101"]
    assert (order.leaves, desk.ledger.holding("alpha", 7).open_buy) == (7, 7)
    assert desk.gateway.reach(7) == (101, 0)


def test_immediate_or_cancel_lets_the_rest_expire(desk: Desk) -> None:
    assert desk.send(SELL, 8, 99, time_in_force=TimeInForce.IOC)[1] == ["ACK", "PARTIAL_FILL 5@99", "EXPIRED"]
    assert desk.send(SELL, 8, 99, time_in_force=TimeInForce.IOC)[1] == ["ACK", "EXPIRED"]
    assert desk.ledger.open_orders == {}


def test_fill_or_kill_is_all_or_nothing(desk: Desk) -> None:
    fok = TimeInForce.FOK
    assert desk.send(BUY, 16, 102, time_in_force=fok)[1] == ["REJECT NOT_FILLABLE"]
    assert desk.send(BUY, 15, 102, time_in_force=fok)[1] == ["ACK", "PARTIAL_FILL 5@101", "FILL 10@102"]


def test_post_only_never_takes(desk: Desk) -> None:
    assert desk.send(BUY, 1, 101, post_only=True)[1] == ["REJECT WOULD_CROSS"]
    assert desk.send(BUY, 1, 100, post_only=True)[1] == ["ACK"]
    assert desk.send(BUY, 1, post_only=True)[1] == ["REJECT UNSUPPORTED"]


def test_a_market_order_without_a_market_expires(desk: Desk) -> None:
    desk.book.ask_levels.clear()
    assert desk.send(BUY, 1)[1] == ["ACK", "EXPIRED"]


def test_a_stop_waits_until_the_market_has_come_to_it(desk: Desk) -> None:
    order, events = desk.send(BUY, 3, kind=OrderType.STOP_MARKET, stop_price=103)
    assert (events, order.state) == (["ACK"], OrderState.OPEN)
    assert words(desk.gateway.on_trade(7, 102, 1, BUY)) == []
    assert words(desk.gateway.on_trade(7, 103, 1, BUY)) == ["FILL 3@101"]
    assert desk.position() == 3


def test_a_trade_through_the_price_fills_all_of_it(desk: Desk) -> None:
    order, _ = desk.send(BUY, 50, 99)
    events = desk.gateway.on_trade(7, price=98, qty=1, aggressor=SELL)
    assert words(events) == ["FILL 50@99"]
    assert (events[0].liquidity, order.ahead) == (Liquidity.MAKER, 5)
    assert events[0].fee == 50  # 0.99 × 0.050 at 0.001 % = 0.000000495, rounded up


def test_a_trade_at_the_price_first_uses_up_what_is_ahead(desk: Desk) -> None:
    desk.send(BUY, 3, 99)
    assert words(desk.gateway.on_trade(7, 99, 4, SELL)) == []
    assert words(desk.gateway.on_trade(7, 99, 2, SELL)) == ["PARTIAL_FILL 1@99"]
    assert words(desk.gateway.on_trade(7, 99, 9, SELL)) == ["FILL 2@99"]


def test_a_trade_that_lifted_the_offer_says_nothing_about_our_bid(desk: Desk) -> None:
    desk.send(BUY, 3, 99)
    assert desk.gateway.on_trade(7, 98, 100, BUY) == []


def test_one_print_is_shared_by_age_and_never_used_twice(desk: Desk) -> None:
    desk.send(BUY, 3, 100)
    desk.send(BUY, 3, 100, owner="beta")
    events = desk.gateway.on_trade(7, 100, 4, SELL)
    assert [(e.order.owner, e.last_qty) for e in events] == [("alpha", 3), ("beta", 1)]


def test_a_better_price_fills_before_an_older_order(desk: Desk) -> None:
    desk.send(SELL, 3, 101, owner="old")
    desk.send(SELL, 3, 100, owner="better")
    assert [e.order.owner for e in desk.gateway.on_trade(7, 102, 1, BUY)] == ["better", "old"]


def test_the_opposite_best_coming_to_our_price_fills_what_it_displays(desk: Desk) -> None:
    order, _ = desk.send(BUY, 8, 100)
    desk.book.ask_levels = {100: 3, 101: 5}
    assert words(desk.gateway.on_book(7, desk.book.l2)) == ["PARTIAL_FILL 3@100"]
    assert desk.gateway.on_book(7, desk.book.l2) == []  # the same three lots
    desk.book.ask_levels[100] = 4
    assert words(desk.gateway.on_book(7, desk.book.l2)) == ["PARTIAL_FILL 1@100"]
    desk.book.ask_levels[99] = 9
    assert words(desk.gateway.on_book(7, desk.book.l2)) == ["FILL 4@100"]  # at our price, no better
    assert order.state == OrderState.FILLED


def test_cancel_ends_an_open_order_once(desk: Desk) -> None:
    order, _ = desk.send(BUY, 8, 99)
    events = desk.gateway.cancel(order.key, "alpha", request_seq=55)
    assert (words(events), events[0].request_seq, events[0].leaves) == (["CANCELLED"], 55, 0)
    assert desk.gateway.cancel(order.key, "alpha", 56) == []
    assert desk.ledger.holding("alpha", 7).open_buy == 0


def test_nobody_cancels_the_order_of_another(desk: Desk) -> None:
    order, _ = desk.send(BUY, 8, 99)
    assert desk.gateway.cancel(order.key, "beta", 1) == []
    assert order.leaves == 8


def test_cancel_all_is_by_owner_and_instrument(desk: Desk) -> None:
    for owner in ("alpha", "beta", "alpha"):
        desk.send(BUY, 8, 99, owner=owner)
    assert len(desk.gateway.cancel_all("alpha", 8)) == 0
    assert len(desk.gateway.cancel_all("alpha", 7)) == 2
    assert len(desk.gateway.cancel_all(None, code=RejectCode.KILLED)) == 1


def test_replacing_down_keeps_the_place_and_anything_else_loses_it(desk: Desk) -> None:
    order, _ = desk.send(BUY, 8, 99)
    desk.gateway.on_trade(7, 99, 4, SELL)
    assert desk.gateway.ahead(order.key) == 1
    assert words(desk.gateway.replace(order, 99, 6, desk.book.l2, 9)) == ["REPLACED"]
    assert (order.ahead, order.leaves) == (1, 6)
    desk.gateway.replace(order, 99, 7, desk.book.l2, 10)
    assert order.ahead == 5
    assert desk.ledger.holding("alpha", 7).open_buy == 7


def test_a_replace_into_the_market_takes(desk: Desk) -> None:
    order, _ = desk.send(BUY, 8, 99)
    assert words(desk.gateway.replace(order, 101, 8, desk.book.l2, 9)) == ["REPLACED", "PARTIAL_FILL 5@101"]
    assert words(desk.gateway.replace(order, 101, 5, desk.book.l2, 10)) == ["REPLACE_REJECT BAD_QTY"]
    assert order.state == OrderState.PARTIAL


def test_good_till_date_ends_in_time(desk: Desk) -> None:
    gtd = TimeInForce.GTD
    assert desk.send(BUY, 1, 99, time_in_force=gtd, expire_ns=100)[1] == ["REJECT STALE"]
    later, _ = desk.send(BUY, 1, 99, time_in_force=gtd, expire_ns=300)
    sooner, _ = desk.send(BUY, 1, 99, time_in_force=gtd, expire_ns=200)
    assert desk.gateway.next_expiry_ns() == 200
    assert [e.order for e in desk.gateway.expire(250)] == [sooner]
    desk.gateway.cancel(later.key, "alpha", 1)
    assert (desk.gateway.next_expiry_ns(), desk.gateway.expire(400)) == (0, [])


def test_reduce_only_fills_up_to_the_position_and_no_further(desk: Desk) -> None:
    desk.send(BUY, 4)
    assert desk.send(SELL, 9, 99, reduce_only=True)[1] == ["ACK", "PARTIAL_FILL 4@99", "EXPIRED REDUCE_ONLY"]
    assert desk.position() == 0


def test_two_resting_reduce_only_orders_do_not_turn_the_position(desk: Desk) -> None:
    desk.send(BUY, 4)
    desk.send(SELL, 3, 104, reduce_only=True)
    desk.send(SELL, 3, 104, reduce_only=True)
    assert words(desk.gateway.on_trade(7, 105, 1, BUY)) == [
        "FILL 3@104",
        "PARTIAL_FILL 1@104",
        "EXPIRED REDUCE_ONLY",
    ]
    assert desk.position() == 0


def test_an_order_taken_up_without_a_place_stands_at_the_back(desk: Desk) -> None:
    order = desk.order(BUY, 8, 99, ahead=AHEAD_UNKNOWN)
    order.state, order.cum = OrderState.PARTIAL, 2
    desk.ledger.enter(order)
    desk.gateway.readmit(order)
    assert desk.gateway.on_trade(7, 99, 10**9, SELL) == []
    desk.gateway.place_readmitted(7, desk.book.l2)
    assert (desk.gateway.ahead(order.key), order.leaves, desk.ledger.holding("alpha", 7).open_buy) == (
        5,
        6,
        6,
    )


def test_an_order_taken_up_with_its_place_keeps_it(desk: Desk) -> None:
    order = desk.order(BUY, 8, 99, ahead=3)
    order.state = OrderState.OPEN
    desk.ledger.enter(order)
    desk.gateway.readmit(order)
    desk.gateway.place_readmitted(7, desk.book.l2)
    assert words(desk.gateway.on_trade(7, 99, 4, SELL)) == ["PARTIAL_FILL 1@99"]


def test_a_fill_that_no_position_can_hold_ends_the_order_and_nothing_else(desk: Desk) -> None:
    absurd = 1 << 62
    for _ in range(2):
        desk.book.ask_levels.clear()
        order, _ = desk.send(BUY, 10, absurd)
        desk.book.ask_levels[absurd] = 10
        told = words(desk.gateway.on_book(7, desk.book.l2))
        assert told == ["EXPIRED NOTIONAL_LIMIT"]
        assert order.leaves == 0
    assert desk.position() == 0
    assert desk.ledger.open_orders == {}


class AnySequence(RuleBasedStateMachine):
    """Random orders, cancels, replaces, books and trades: what must hold whatever happens."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk()
        self.orders: dict[OrderKey, Order] = {}
        self.seen: dict[OrderKey, list[ExecType]] = defaultdict(list)
        self.filled: dict[OrderKey, int] = defaultdict(int)
        self.position: dict[str, int] = defaultdict(int)
        self.offered: dict[tuple[int, int], int] = {}

    def check(self, events: list[VenueEvent]) -> None:
        for event in events:
            order = event.order
            self.seen[order.key].append(event.kind)
            assert event.leaves == (0 if self.ended(order.key) else event.qty - event.cum)
            if event.last_qty:
                self.filled[order.key] += event.last_qty
                self.position[order.owner] += order.sign * event.last_qty
                assert event.cum == self.filled[order.key]
                assert event.last_qty > 0
                if order.order_type == OrderType.LIMIT:
                    assert event.last_price * order.sign <= event.price * order.sign, "through its limit"
                if order.post_only:
                    assert event.liquidity == Liquidity.MAKER

    def ended(self, key: OrderKey) -> bool:
        final = (ExecType.REJECT, ExecType.FILL, ExecType.CANCELLED, ExecType.EXPIRED)
        return any(kind in final for kind in self.seen[key])

    @rule(
        side=st.sampled_from([BUY, SELL]), qty=st.integers(1, 30), price=st.integers(95, 106),
        owner=st.sampled_from(["alpha", "beta"]), tif=st.sampled_from([TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK]),
        is_market=st.booleans(), post=st.booleans(), reduce=st.booleans(),
    )  # fmt: skip
    def submit(self, side, qty, price, owner, tif, is_market, post, reduce) -> None:
        order = self.desk.order(
            side, qty, 0 if is_market else price, owner, time_in_force=tif, post_only=post, reduce_only=reduce
        )
        book = self.desk.book
        shown = dict(book.ask_levels if side == BUY else book.bid_levels)
        before = self.position[owner]
        self.orders[order.key] = order
        events = self.desk.gateway.submit(order, book.l2, 100)
        self.check(events)
        for event in events:
            if event.last_qty:
                assert event.last_qty <= shown[event.last_price], "more than displayed"
                shown[event.last_price] -= event.last_qty
        if reduce:
            assert abs(self.position[owner]) <= abs(before)
        if tif == TimeInForce.FOK:
            assert self.ended(order.key)
            assert self.filled[order.key] in (0, qty)

    @rule(
        bid=st.integers(95, 103),
        spread=st.integers(1, 3),
        sizes=st.lists(st.integers(1, 20), min_size=6, max_size=6),
    )
    def book(self, bid, spread, sizes) -> None:
        self.desk.book.bid_levels = {bid - i: sizes[i] for i in range(3)}
        self.desk.book.ask_levels = {bid + spread + i: sizes[3 + i] for i in range(3)}
        shown = sum(sizes[3:]), sum(sizes[:3])
        events = self.desk.gateway.on_book(7, self.desk.book.l2)
        self.check(events)
        assert sum(e.last_qty for e in events if e.order.side == BUY) <= shown[0]
        assert sum(e.last_qty for e in events if e.order.side == SELL) <= shown[1]

    @rule(
        price=st.integers(95, 106), qty=st.integers(1, 20), aggressor=st.sampled_from([BUY, SELL, Side.NONE])
    )
    def trade(self, price, qty, aggressor) -> None:
        events = self.desk.gateway.on_trade(7, price, qty, aggressor)
        self.check(events)
        for side in (BUY, SELL):
            assert sum(e.last_qty for e in events if e.order.side == side and e.price == price) <= qty

    @rule(data=st.data(), price=st.integers(95, 106), qty=st.integers(1, 30))
    def replace(self, data, price, qty) -> None:
        if self.desk.ledger.open_orders:
            order = data.draw(st.sampled_from(list(self.desk.ledger.open_orders.values())))
            self.check(self.desk.gateway.replace(order, price, qty, self.desk.book.l2, 1))

    @rule(data=st.data())
    def cancel(self, data) -> None:
        if self.orders:
            order = data.draw(st.sampled_from(list(self.orders.values())))
            self.check(self.desk.gateway.cancel(order.key, order.owner, 1))

    @invariant()
    def books_balance(self) -> None:
        ledger = self.desk.ledger
        for owner in ("alpha", "beta"):
            holding = ledger.holding(owner, 7)
            assert holding.position.qty == self.position[owner]
            open_orders = [o for o in ledger.open_orders.values() if o.owner == owner]
            assert holding.open_buy == sum(o.leaves for o in open_orders if o.is_buy)
            assert holding.open_sell == sum(o.leaves for o in open_orders if not o.is_buy)
            assert ledger.open_count.get(owner, 0) == len(open_orders)
        for key, order in self.orders.items():
            kinds = self.seen[key]
            assert kinds[0] in (ExecType.ACK, ExecType.REJECT)
            assert (order.state in TERMINAL) == self.ended(key)
            assert order.cum == self.filled[key] <= order.qty
            assert (key in ledger.open_orders) == (order.state not in TERMINAL)
        buy, sell = self.desk.gateway.reach(7)
        open_buys = [o.price for o in ledger.open_orders.values() if o.is_buy]
        assert buy == max(open_buys, default=0)
        assert sell == min((o.price for o in ledger.open_orders.values() if not o.is_buy), default=0)


TestAnySequence = AnySequence.TestCase
