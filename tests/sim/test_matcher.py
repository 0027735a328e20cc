"""The matcher, case by case: what the paper venue's tests do not reach. Random streams are in test_matcher_reference."""

from __future__ import annotations

from collections import Counter

import pytest

from libchronicle.book import L2Book
from libchronicle.errors import InvalidArgument
from libchronicle.protocol import (
    BookReset,
    BookSnapshot,
    ExecType,
    GapReason,
    Liquidity,
    OrderType,
    RejectCode,
    Side,
    StpMode,
    TimeInForce,
    Trade,
)
from libchronicle.sim.matcher import FillRule, Matcher, MatchEvent, StopTrigger
from libchronicle.sim.queues import (
    FifoQueue,
    FillChances,
    ProbQueue,
    QueuedOrder,
    QueueModel,
    RiskAverseQueue,
    UserQueue,
)

BUY, SELL = Side.BUY, Side.SELL


class Venue:
    """One instrument with a book that can be set, and orders that name themselves."""

    def __init__(self, *, seed: int = 0, **terms) -> None:
        self.book, self.matcher, self.keys = L2Book(7), Matcher(seed=seed), 0
        self.slot = self.matcher.add(7, self.book, **terms)
        self.show({99: 5, 98: 10}, {101: 5, 102: 10, 103: 20})

    def show(self, bids: dict[int, int], asks: dict[int, int], *, tell: bool = False) -> list[str]:
        shown = BookSnapshot(
            instrument_id=7, bids=sorted(bids.items(), reverse=True), asks=sorted(asks.items())
        )
        self.book.apply(shown.TEMPLATE_ID, shown.encode())
        return words(self.matcher.book(self.slot)) if tell else []

    def send(self, side: Side, qty: int, price: int = 0, **more) -> list[str]:
        return words(self.ask(side, qty, price, **more))

    def ask(self, side: Side, qty: int, price: int = 0, **more) -> list[MatchEvent]:
        self.keys += 1
        kind = more.pop("type", OrderType.LIMIT if price else OrderType.MARKET)
        return self.matcher.new(self.slot, self.keys, side, qty, price, type=kind, **more)

    def trade(self, price: int, qty: int, aggressor: Side = Side.NONE) -> list[str]:
        return words(self.matcher.trade(self.slot, price, qty, aggressor))


def words(events: list[MatchEvent]) -> list[str]:
    told = []
    for e in events:
        what = f"{e.last_qty}@{e.last_price}" if e.last_qty else e.code.name if e.code else ""
        told.append(f"#{e.key} {e.kind.name} {what}".strip())
    return told


@pytest.fixture
def venue() -> Venue:
    return Venue()


# ---------------------------------------------------------------- shape


@pytest.mark.parametrize(
    ("order", "code"),
    [
        ({"side": 0, "qty": 1, "price": 99}, "MALFORMED"),
        ({"side": BUY, "qty": 0, "price": 99}, "BAD_QTY"),
        ({"side": BUY, "qty": 15, "price": 100}, "BAD_QTY"),
        ({"side": BUY, "qty": 10, "price": 99}, "BAD_PRICE"),
        ({"side": BUY, "qty": 10, "type": OrderType.STOP_MARKET, "stop_price": 99}, "BAD_PRICE"),
        ({"side": BUY, "qty": 10, "price": 100, "type": 9}, "UNSUPPORTED"),
        ({"side": BUY, "qty": 10, "price": 100, "time_in_force": 7}, "UNSUPPORTED"),
        ({"side": BUY, "qty": 10, "price": 100, "stp": 4}, "UNSUPPORTED"),
        ({"side": BUY, "qty": 10, "post_only": True}, "UNSUPPORTED"),
        (
            {
                "side": BUY,
                "qty": 10,
                "price": 100,
                "time_in_force": TimeInForce.GTD,
                "expire_ns": 5,
                "now": 5,
            },
            "STALE",
        ),
    ],
)
def test_what_an_order_may_not_be_is_refused_with_its_code(order: dict, code: str) -> None:
    venue = Venue(tick=10, lot=10)
    side, qty, price = order.pop("side"), order.pop("qty"), order.pop("price", 0)
    assert venue.send(side, qty, price, **order) == [f"#1 REJECT {code}"]
    assert venue.matcher.working() == []


def test_without_a_valid_book_there_is_no_market(venue: Venue) -> None:
    venue.book.clear()
    assert venue.send(BUY, 1, 99) == ["#1 REJECT NO_MARKET"]


def test_a_name_that_is_taken_is_refused_and_one_that_is_over_is_free_again(venue: Venue) -> None:
    assert venue.send(BUY, 1, 99) == ["#1 ACK"]
    venue.keys = 0
    assert venue.send(BUY, 1, 98) == ["#1 REJECT DUPLICATE"]
    venue.matcher.cancel(1)
    venue.keys = 0
    assert venue.send(BUY, 1, 98) == ["#1 ACK"]


def test_a_request_about_an_order_that_is_not_there_is_answered(venue: Venue) -> None:
    assert words(venue.matcher.cancel(5, request=9)) == ["#5 CANCEL_REJECT UNKNOWN_ORDER"]
    venue.ask(BUY, 1, 99)
    event = venue.matcher.replace(1, 98, 2, owner=3, request=9)[0]
    assert (event.kind, event.code, event.request) == (ExecType.REPLACE_REJECT, RejectCode.UNKNOWN_ORDER, 9)


# ---------------------------------------------------------------- explanations


def test_a_fill_explains_itself(venue: Venue) -> None:
    taken = venue.ask(BUY, 7)[1:]
    assert [(e.rule, e.level_price, e.level_qty, e.ahead) for e in taken] == [
        (FillRule.TAKE, 101, 5, 0), (FillRule.TAKE, 102, 10, 0),
    ]  # fmt: skip
    venue.ask(BUY, 4, 99)
    e = venue.matcher.trade(venue.slot, 99, 7, SELL, seq=41)[0]
    assert (e.rule, e.level_price, e.level_qty, e.ahead, e.cause_seq) == (FillRule.QUEUE, 99, 7, 5, 41)
    e = venue.matcher.trade(venue.slot, 97, 1, SELL, seq=42)[0]
    assert (e.rule, e.level_price, e.level_qty, e.ahead, e.cause_seq) == (FillRule.THROUGH, 97, 1, 0, 42)
    venue.ask(SELL, 2, 100)
    venue.show({100: 9}, {101: 5})
    e = venue.matcher.book(venue.slot, seq=43)[0]
    assert (e.rule, e.level_price, e.level_qty, e.ahead, e.cause_seq) == (FillRule.REACHED, 100, 9, 0, 43)
    assert [e.liquidity for e in (taken[0], e)] == [Liquidity.TAKER, Liquidity.MAKER]


# ---------------------------------------------------------------- self-trade prevention


@pytest.mark.parametrize(
    ("mode", "told", "left"),
    [
        (StpMode.NONE, ["#2 ACK", "#2 PARTIAL_FILL 5@101"], {1, 2}),
        (StpMode.EXPIRE_TAKER, ["#2 ACK", "#2 EXPIRED SELF_TRADE"], {1}),
        (StpMode.EXPIRE_MAKER, ["#2 ACK", "#1 EXPIRED SELF_TRADE", "#2 PARTIAL_FILL 5@101"], {2}),
        (StpMode.EXPIRE_BOTH, ["#2 ACK", "#1 EXPIRED SELF_TRADE", "#2 EXPIRED SELF_TRADE"], set()),
    ],
)
def test_an_order_that_meets_our_own_follows_its_mode(
    venue: Venue, mode: StpMode, told: list[str], left: set[int]
) -> None:
    venue.ask(SELL, 3, 100)
    assert venue.send(BUY, 8, 101, stp=mode) == told
    assert {w.key for w in venue.matcher.working()} == left


def test_what_stands_before_our_own_order_is_taken_first(venue: Venue) -> None:
    venue.ask(SELL, 3, 102)  # ten stand before it, five at 101
    assert venue.send(BUY, 40, 103, stp=StpMode.EXPIRE_TAKER) == [
        "#2 ACK", "#2 PARTIAL_FILL 5@101", "#2 PARTIAL_FILL 10@102", "#2 EXPIRED SELF_TRADE",
    ]  # fmt: skip


def test_prevention_is_between_orders_of_one_owner(venue: Venue) -> None:
    venue.ask(SELL, 3, 100, owner=1)
    assert venue.send(BUY, 5, 101, owner=2, stp=StpMode.EXPIRE_BOTH) == ["#2 ACK", "#2 FILL 5@101"]


def test_fill_or_kill_counts_only_what_it_may_take_before_our_own(venue: Venue) -> None:
    venue.ask(SELL, 3, 102)
    fok = {"time_in_force": TimeInForce.FOK}
    assert venue.send(BUY, 16, 103, stp=StpMode.EXPIRE_TAKER, **fok) == ["#2 REJECT NOT_FILLABLE"]
    assert venue.send(BUY, 15, 103, stp=StpMode.EXPIRE_TAKER, **fok)[-1] == "#3 FILL 10@102"


def test_post_only_does_not_cross_our_own_either_when_asked(venue: Venue) -> None:
    venue.ask(SELL, 3, 100)
    assert venue.send(BUY, 1, 100, post_only=True) == ["#2 ACK"]
    assert venue.send(BUY, 1, 100, post_only=True, stp=StpMode.EXPIRE_TAKER) == ["#3 REJECT WOULD_CROSS"]


# ---------------------------------------------------------------- stops


def test_a_stop_fires_after_the_resting_orders_of_the_same_trade(venue: Venue) -> None:
    venue.ask(BUY, 2, 99)
    venue.send(SELL, 4, type=OrderType.STOP_MARKET, stop_price=98)
    assert venue.trade(98, 1, SELL) == ["#1 FILL 2@99", "#2 FILL 4@99"]


def test_a_stop_that_is_reached_already_acts_at_once(venue: Venue) -> None:
    venue.trade(101, 1)
    assert venue.send(BUY, 2, type=OrderType.STOP_MARKET, stop_price=101) == ["#1 ACK", "#1 FILL 2@101"]
    events = venue.ask(SELL, 2, type=OrderType.STOP_MARKET, stop_price=101)
    assert [e.rule for e in events] == [FillRule.NONE, FillRule.STOP]


def test_a_stop_limit_rests_at_its_limit_once_it_went(venue: Venue) -> None:
    assert venue.send(BUY, 8, 101, type=OrderType.STOP_LIMIT, stop_price=103) == ["#1 ACK"]
    assert venue.trade(102, 50) == []
    assert venue.trade(103, 1) == ["#1 PARTIAL_FILL 5@101"]
    assert [(w.waiting, w.price, w.type) for w in venue.matcher.working()] == [(False, 101, OrderType.LIMIT)]
    assert venue.trade(100, 1, SELL) == ["#1 FILL 3@101"]


def test_stops_by_the_book_do_not_look_at_trades() -> None:
    venue = Venue(trigger=StopTrigger.BOOK)
    venue.send(SELL, 2, type=OrderType.STOP_MARKET, stop_price=97)
    assert venue.trade(90, 100) == []
    assert venue.show({97: 3}, {101: 5}, tell=True) == ["#1 FILL 2@97"]


def test_a_stop_that_waits_is_cancelled_replaced_and_expires_as_any_order(venue: Venue) -> None:
    stop = {"type": OrderType.STOP_MARKET, "stop_price": 105}
    venue.send(BUY, 2, **stop)
    assert words(venue.matcher.replace(1, 0, 6)) == ["#1 REPLACED"]
    assert words(venue.matcher.cancel(1)) == ["#1 CANCELLED"]
    venue.send(BUY, 2, **stop, time_in_force=TimeInForce.GTD, expire_ns=50)
    assert words(venue.matcher.expire(50)) == ["#2 EXPIRED"]
    assert venue.trade(106, 1) == []


def test_a_trade_while_the_book_is_invalid_fires_its_stops_when_the_book_is_back(venue: Venue) -> None:
    venue.send(BUY, 2, type=OrderType.STOP_MARKET, stop_price=103)
    reset = BookReset(instrument_id=7, reason=GapReason.SEQUENCE)
    venue.book.apply(reset.TEMPLATE_ID, reset.encode())
    assert venue.matcher.record(venue.slot, reset.TEMPLATE_ID, reset.encode()) == []
    print_ = Trade(instrument_id=7, price=104, qty=1, aggressor=BUY)
    assert venue.matcher.record(venue.slot, print_.TEMPLATE_ID, print_.encode()) == []
    assert venue.show({103: 5}, {104: 5}, tell=True) == ["#1 FILL 2@104"]


# ---------------------------------------------------------------- queue models


def test_a_probabilistic_queue_believes_part_of_a_cancellation() -> None:
    venue = Venue(queue=ProbQueue(2))
    venue.show({99: 30}, {101: 5}, tell=True)
    venue.ask(BUY, 5, 99)  # 30 ahead
    venue.show({99: 50}, {101: 5}, tell=True)  # 20 came behind
    venue.show({99: 40}, {101: 5}, tell=True)  # 10 went: p = 20² / (20² + 30²) of it behind us
    assert venue.matcher.working()[0].ahead == round(30 - (1 - 400 / 1300) * 10)
    assert venue.trade(99, 30, SELL) == ["#1 FILL 5@99"]


def test_a_trade_is_not_counted_again_when_the_level_shrinks_by_it() -> None:
    venue = Venue(queue=ProbQueue(1))
    venue.show({99: 30}, {101: 5}, tell=True)
    venue.ask(BUY, 5, 99)
    venue.trade(99, 10, SELL)
    venue.show({99: 20}, {101: 5}, tell=True)
    assert venue.matcher.working()[0].ahead == 20


def test_a_model_in_python_says_what_is_ahead_and_its_error_ends_the_call() -> None:
    class Half(UserQueue):
        def on_new(self, order: QueuedOrder, displayed: int) -> int:
            assert (order.side, order.price, order.leaves) == (BUY, 99, 4)
            return displayed // 2

        def on_depth(self, order: QueuedOrder, before: int, now: int) -> int:
            raise RuntimeError(f"{before} to {now}")

    venue = Venue(queue=Half())
    venue.show({99: 8}, {101: 5}, tell=True)
    venue.ask(BUY, 4, 99)
    assert venue.matcher.working()[0].ahead == 4
    assert venue.trade(99, 5, SELL) == ["#1 PARTIAL_FILL 1@99"]
    with pytest.raises(RuntimeError, match="8 to 3"):
        venue.show({99: 3}, {101: 5}, tell=True)


def test_after_a_snapshot_that_nobody_saw_coming_no_more_is_ahead_than_is_displayed() -> None:
    for queue, ahead in ((RiskAverseQueue(), 30), (RiskAverseQueue(capped=True), 12), (ProbQueue(), 12)):
        venue = Venue(queue=queue)
        venue.show({99: 30}, {101: 5}, tell=True)
        venue.ask(BUY, 5, 99)
        venue.matcher.reset(venue.slot)
        venue.show({99: 12}, {101: 5}, tell=True)
        assert venue.matcher.working()[0].ahead == ahead, queue


@pytest.mark.parametrize(
    "queue", [RiskAverseQueue(), RiskAverseQueue(capped=True), ProbQueue(0.5), UserQueue()]
)
def test_a_younger_order_never_fills_before_an_older_one_of_its_price(queue: QueueModel) -> None:
    venue = Venue(queue=queue)
    venue.show({99: 30}, {101: 5}, tell=True)
    venue.ask(BUY, 4, 99)
    venue.show({99: 5}, {101: 5}, tell=True)  # cancelled, and not believed by all of them
    venue.ask(BUY, 4, 99)
    filled: list[int] = []
    for _ in range(12):
        filled += [e.key for e in venue.matcher.trade(venue.slot, 99, 4, SELL)]
    assert filled == sorted(filled)
    assert set(filled) == {1, 2}


def test_what_no_model_is_and_exact_queues_on_levels_are_refused() -> None:
    for queue in (FifoQueue(), "fifo", RiskAverseQueue):
        with pytest.raises(InvalidArgument):
            Venue(queue=queue)
    for make in (lambda: ProbQueue(0), lambda: ProbQueue(2, variant=4), lambda: FillChances(touch=1.5)):
        with pytest.raises(InvalidArgument):
            make()


# ---------------------------------------------------------------- chances


def test_the_touch_fills_as_often_as_configured_and_a_trade_through_always() -> None:
    venue = Venue(seed=5, chances=FillChances(touch=0.3))
    filled = 0
    for _ in range(4000):
        venue.ask(BUY, 1, 100)
        filled += len(venue.trade(100, 9, SELL))
        venue.matcher.cancel_all()
    assert filled / 4000 == pytest.approx(0.3, abs=0.03)
    venue.ask(BUY, 1, 100)
    assert len(venue.trade(99, 1, SELL)) == 1


def test_adverse_selection_keeps_its_share_of_orders_from_the_touch_for_good() -> None:
    venue = Venue(seed=6, chances=FillChances(through_only=0.4))
    for _ in range(1000):
        venue.ask(BUY, 1, 100)
    for _ in range(3):
        venue.trade(100, 10**6, SELL)
    left = len(venue.matcher.working())
    assert left / 1000 == pytest.approx(0.4, abs=0.05)
    assert len(venue.trade(99, 1, SELL)) == left


def test_slippage_costs_ticks_within_the_limit_and_reproducibly() -> None:
    def prices(seed: int, **limit) -> Counter:
        venue = Venue(seed=seed, tick=1, chances=FillChances(slippage=0.25, slippage_ticks=3))
        found: Counter[int] = Counter()
        for _ in range(2000):
            venue.show({99: 5}, {101: 10**9}, tell=True)
            found[venue.ask(BUY, 1, **limit)[1].last_price] += 1
        return found

    market = prices(1)
    assert set(market) == {101, 104}
    assert market[104] / 2000 == pytest.approx(0.25, abs=0.03)
    assert market == prices(1) != prices(2)
    assert set(prices(1, price=102)) == {101, 102}, "never beyond the limit"


# ---------------------------------------------------------------- memory


def test_what_is_over_leaves_no_trace(venue: Venue) -> None:
    for _ in range(1000):
        venue.ask(BUY, 1, 99, time_in_force=TimeInForce.GTD, expire_ns=10**18)
        venue.matcher.cancel(venue.keys)
    for price in range(1000, 200, -1):  # the market falls: what was taken above it is far from the best
        venue.show({1: 1}, {price: 5})
        venue.ask(BUY, 1)
    sizes = venue.matcher.sizes()
    assert (sizes["open"], sizes["orders"]) == (0, 2)
    assert sizes["expiries"] < 100
    assert sizes["taken"] < 300


def test_ten_thousand_orders_of_many_owners_keep_price_and_time(venue: Venue) -> None:
    for i in range(10_000):
        venue.ask(SELL, 1, 200 + i * 7919 % 100, owner=i % 50)
    events = venue.matcher.trade(venue.slot, 250, 1, BUY)
    order = [(e.price, e.key) for e in events if e.price < 250]
    assert order == sorted(order)
    assert len(order) == 5000
    assert sum(venue.matcher.position(venue.slot, owner) for owner in range(50)) == -len(events)
