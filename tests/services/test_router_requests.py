"""What each request gets from the router's engine."""

from __future__ import annotations

import pytest

from libchronicle.errors import QueueFull
from libchronicle.protocol import (
    CancelAll,
    CancelOrder,
    OrderFlags,
    OrderType,
    PositionReport,
    ReplaceOrder,
    Side,
    StpMode,
    TimeInForce,
)
from libchronicle.risk import MOST_OPEN_ORDERS
from services.router.engine import Request
from tests.services.router_world import BTC, World, audit, kinds, order


def test_a_market_order_is_acknowledged_and_filled_and_the_position_told(world: World) -> None:
    reports = world.send("alpha", order(qty=7, price=0))
    assert kinds(reports) == ["ACK", "PARTIAL_FILL", "FILL"]
    assert [r.exec_id for r in reports] == [1, 2, 3]
    assert [(r.last_price, r.last_qty, r.cum_qty, r.leaves_qty) for r in reports[1:]] == [
        (10_010, 5, 5, 2),
        (10_020, 2, 7, 0),
    ]
    position = world.orders_in["alpha"].decoded()[-1]
    assert isinstance(position, PositionReport)
    assert (position.qty, position.last_exec_id) == (7, 3)
    assert world.orders_in["beta"].records == []


def test_submitted_stands_in_the_journal_before_the_answer_and_the_cause_after(world: World) -> None:
    before = len(world.journal.records)
    world.send("alpha", order())
    names = [type(m).__name__ for m in world.journal.decoded()[before:]]
    assert names == ["NewOrder", "Submitted", "ExecutionReport", "Dispatch"]


def test_each_refusal_has_its_code_and_takes_an_exec_id(world: World) -> None:
    assert kinds(world.send("alpha", order(qty=0))) == ["REJECT BAD_QTY"]
    assert kinds(world.send("alpha", order(valid_until_ns=1))) == ["REJECT STALE"]
    assert kinds(world.send("alpha", order(side=Side.NONE))) == ["REJECT MALFORMED"]
    assert kinds(world.send("alpha", order(price=10_020, flags=OrderFlags.POST_ONLY))) == [
        "REJECT WOULD_CROSS"
    ]
    unknown = order()
    unknown.instrument_id = 5
    assert kinds(world.send("alpha", unknown)) == ["REJECT UNKNOWN_INSTRUMENT"]
    world.markets.lost = True
    assert kinds(world.send("alpha", order())) == ["REJECT NO_MARKET"]
    world.killed = True
    assert kinds(world.send("alpha", order())) == ["REJECT KILLED"]
    assert [r.exec_id for r in world.reports("alpha")] == list(range(1, 8))


def test_an_order_that_waited_longer_than_it_is_valid_is_stale(world: World) -> None:
    world.write("alpha", order())
    world.now += 2 * 10**9
    world.serve()
    assert kinds(world.reports("alpha")) == ["REJECT STALE"]


def test_a_truncated_request_is_refused_and_an_unknown_type_skipped(world: World) -> None:
    whole = order().encode()
    world.orders_out["alpha"] += [
        Request(20, whole[:30], 1, 0, world.now),
        Request(21, whole[:9], 1, 1, world.now),
    ]
    world.orders_out["alpha"] += [Request(777, b"what", 1, 2, world.now)]
    world.serve()
    assert kinds(world.reports("alpha")) == ["REJECT MALFORMED", "CANCEL_REJECT MALFORMED"]
    assert world.state.clients["alpha"].handled == (1, 2)


def test_cancel_and_replace_answer_their_own_request(world: World) -> None:
    world.send("alpha", order())
    replaced = world.send(
        "alpha", ReplaceOrder(instrument_id=BTC, order_seq=0, order_epoch=1, price=9_980, qty=9)
    )
    assert (kinds(replaced), replaced[0].request_seq, replaced[0].qty) == (["REPLACED"], 1, 9)
    cancelled = world.send("alpha", CancelOrder(instrument_id=BTC, order_seq=0, order_epoch=1))
    assert (kinds(cancelled), cancelled[0].request_seq, cancelled[0].leaves_qty) == (["CANCELLED"], 2, 0)
    again = world.send("alpha", CancelOrder(instrument_id=BTC, order_seq=0, order_epoch=1))
    assert kinds(again) == ["CANCEL_REJECT UNKNOWN_ORDER"]
    late = world.send(
        "alpha", ReplaceOrder(instrument_id=BTC, order_seq=0, order_epoch=1, price=9_980, qty=9)
    )
    assert kinds(late) == ["REPLACE_REJECT UNKNOWN_ORDER"]


def test_one_strategy_cannot_touch_the_orders_of_another(world: World) -> None:
    world.send("alpha", order())
    assert kinds(world.send("beta", CancelOrder(order_seq=0, order_epoch=1))) == [
        "CANCEL_REJECT UNKNOWN_ORDER"
    ]
    assert world.send("beta", CancelAll()) == []
    assert kinds(world.send("alpha", CancelAll())) == ["CANCELLED"]


def test_cancelling_is_allowed_when_everything_else_is_not(world: World) -> None:
    world.send("alpha", order())
    world.killed = world.markets.lost = True
    assert kinds(world.send("alpha", CancelOrder(order_seq=0, order_epoch=1))) == ["CANCELLED"]


def test_the_kill_cancels_everything_at_once(world: World) -> None:
    world.send("alpha", order())
    world.send("beta", order(Side.SELL, 3, 10_050))
    world.kill()
    assert kinds(world.reports("alpha")) == ["ACK", "CANCELLED KILLED"]
    assert kinds(world.reports("beta")) == ["ACK", "CANCELLED KILLED"]


# ---------------------------------------------------------------- what no strategy in its right mind sends


HUGE = (1 << 63) - 1


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        ({"qty": -1}, "REJECT BAD_QTY"),
        ({"qty": -HUGE - 1}, "REJECT BAD_QTY"),
        ({"price": -5}, "REJECT BAD_PRICE"),
        ({"price": HUGE, "qty": HUGE}, "REJECT NOTIONAL_LIMIT"),
        ({"qty": HUGE}, "REJECT NOTIONAL_LIMIT"),
        ({"side": 9}, "REJECT MALFORMED"),
        ({"order_type": 9}, "REJECT UNSUPPORTED"),
        ({"time_in_force": 77}, "REJECT UNSUPPORTED"),
        ({"valid_until_ns": -1}, "REJECT STALE"),
        ({"valid_until_ns": -HUGE}, "REJECT STALE"),
        ({"time_in_force": TimeInForce.GTD, "expire_ns": -1}, "REJECT STALE"),
        ({"instrument_id": 0}, "REJECT UNKNOWN_INSTRUMENT"),
    ],
    ids=str,
)
def test_a_senseless_order_is_refused_with_its_code(
    world: World, fields: dict[str, int], answer: str
) -> None:
    message = order()
    for name, value in fields.items():
        setattr(message, name, value)
    assert kinds(world.send("alpha", message)) == [answer]
    assert kinds(world.send("beta", order())) == ["ACK"]


def test_no_strategy_has_more_than_ten_thousand_orders_open(world: World) -> None:
    for _ in range(MOST_OPEN_ORDERS):
        world.send_quietly("alpha", order(qty=1, price=9_000))
    assert kinds(world.send("alpha", order(qty=1, price=9_000))) == ["REJECT OPEN_ORDERS_LIMIT"]
    assert kinds(world.send("beta", order())) == ["ACK"]


def test_a_strategy_whose_reports_nobody_takes_is_the_only_one_to_notice(world: World) -> None:
    alpha = world.state.clients["alpha"]
    alpha.reports = Full()
    world.write("alpha", order(qty=7, price=0))
    world.serve()
    assert alpha.reports is None
    assert list(world.engine.delivery.broken) == ["alpha"]
    assert kinds(world.send("beta", order())) == ["ACK"]
    world.start()
    assert kinds(world.reports("alpha")) == ["ACK", "PARTIAL_FILL", "FILL"]
    audit(world)


class Full:
    """A queue without room."""

    def append(self, type_id: int, payload: bytes, ts_ns: int | None = None, /) -> int:
        raise QueueFull(path="orders_in", limit_bytes=len(payload))


# ---------------------------------------------------------------- stops


def test_a_stop_waits_and_takes_once_the_market_has_come_to_it(world: World) -> None:
    stop = order(Side.SELL, 3, 0, order_type=OrderType.STOP_MARKET, stop_price=9_980)
    assert kinds(world.send("alpha", stop)) == ["ACK"]
    world.trade(9_990, 1)
    world.trade(9_980, 1)
    assert kinds(world.reports("alpha")) == ["ACK", "FILL"]
    assert world.reports("alpha")[-1].last_price == 9_990
    audit(world)


def test_a_stop_limit_needs_both_its_prices(world: World) -> None:
    bad = order(price=10_020, order_type=OrderType.STOP_LIMIT, stop_price=0)
    assert kinds(world.send("alpha", bad)) == ["REJECT BAD_PRICE"]
    good = order(price=10_020, order_type=OrderType.STOP_LIMIT, stop_price=10_015)
    assert kinds(world.send("alpha", good)) == ["ACK"]
    audit(world)


def test_a_stop_that_waits_can_be_made_smaller_and_survives_a_restart(world: World) -> None:
    stop = order(Side.SELL, 3, 0, order_type=OrderType.STOP_MARKET, stop_price=9_980)
    world.send("alpha", stop)
    smaller = ReplaceOrder(instrument_id=BTC, order_seq=0, order_epoch=1, price=0, qty=2)
    assert kinds(world.send("alpha", smaller)) == ["REPLACED"]
    world.start()
    world.trade(9_985, 1)
    world.trade(9_970, 1)
    assert kinds(world.reports("alpha")) == ["ACK", "REPLACED", "FILL"]
    audit(world)


def test_self_trade_prevention_is_reported_with_its_code(world: World) -> None:
    world.send("alpha", order(Side.SELL, 2, 10_000))
    told = world.send("alpha", order(Side.BUY, 2, 10_000, stp_mode=StpMode.EXPIRE_BOTH))
    assert kinds(told) == ["ACK", "EXPIRED SELF_TRADE", "EXPIRED SELF_TRADE"]
    audit(world)
