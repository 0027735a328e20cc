"""Building orders: exact amounts, checks before anything is sent, typed refusals."""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from stage import BTC, Stage

from libchronicle.errors import MisuseError
from libchronicle.protocol import CancelAll, CancelOrder, NewOrder, OrderFlags, ReplaceOrder
from libchronicle.strategy import (
    BadCombination,
    BadPrice,
    BadQuantity,
    FloatAmount,
    Instrument,
    InstrumentNotDefined,
    OrderError,
    OrderType,
    Refusal,
    Side,
    StpMode,
    TimeInForce,
)
from libchronicle.strategy.sink import OrderSink

PRICE = 6_000_000  # 60,000.00
QTY = 1_000_000  # 0.01


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.mark.parametrize("price", [PRICE, "60000", "60000.00", Decimal("60000.0"), Decimal("6E+4")])
@pytest.mark.parametrize("qty", [QTY, "0.01", Decimal("0.0100")])
def test_amounts_as_mantissa_text_or_decimal_mean_the_same(stage: Stage, price: Any, qty: Any) -> None:
    order = stage.instrument.limit(Side.BUY, price, qty)
    assert (order.price, order.qty, order.type, order.tif) == (PRICE, QTY, OrderType.LIMIT, TimeInForce.GTC)


@pytest.mark.parametrize(
    ("build", "error", "says"),
    [
        (lambda i: i.limit(Side.BUY, 60000.0, QTY), FloatAmount, "float 60000.0"),
        (lambda i: i.limit(Side.BUY, PRICE, 0.01), FloatAmount, "float 0.01"),
        (lambda i: i.limit(Side.BUY, PRICE + 1, QTY), BadPrice, "not on the tick size 0.10"),
        (lambda i: i.limit(Side.BUY, "60000.001", QTY), BadPrice, "not exact"),
        (lambda i: i.limit(Side.BUY, 0, QTY), BadPrice, "not above zero"),
        (lambda i: i.limit(Side.BUY, -PRICE, QTY), BadPrice, "not above zero"),
        (lambda i: i.limit(Side.BUY, True, QTY), BadPrice, "no amount"),
        (lambda i: i.limit(Side.BUY, PRICE, QTY + 1), BadQuantity, "not on the lot size 0.00001"),
        (lambda i: i.limit(Side.BUY, PRICE, 0), BadQuantity, "not above zero"),
        (lambda i: i.limit(Side.BUY, PRICE, -QTY), BadQuantity, "not above zero"),
        (lambda i: i.limit(Side.BUY, PRICE, 900_000_001_000), BadQuantity, "not within"),
        (
            lambda i: i.limit(Side.BUY, PRICE, 1_000),
            BadQuantity,
            "quantity 0.00001 is worth less than 5 USDT, the least",
        ),
        (lambda i: i.limit(Side.NONE, PRICE, QTY), BadCombination, "neither BUY nor SELL"),
        (lambda i: i.limit(7, PRICE, QTY), BadCombination, "neither BUY nor SELL"),
        (lambda i: i.limit(Side.BUY, PRICE, QTY, tif=9), BadCombination, "none of GTC"),
        (
            lambda i: i.limit(Side.BUY, PRICE, QTY, tif=TimeInForce.IOC, post_only=True),
            BadCombination,
            "post-only",
        ),
        (
            lambda i: i.limit(Side.BUY, PRICE, QTY, tif=TimeInForce.FOK, post_only=True),
            BadCombination,
            "post-only",
        ),
        (lambda i: i.limit(Side.BUY, PRICE, QTY, tif=TimeInForce.GTD), BadCombination, "go together"),
        (lambda i: i.limit(Side.BUY, PRICE, QTY, expire_ns=5), BadCombination, "go together"),
        (lambda i: i.gtd(Side.BUY, PRICE, QTY, -5), BadCombination, "before 1970"),
        (lambda i: i.limit(Side.BUY, PRICE, QTY, valid_for_ms=-1), BadCombination, "negative"),
        (lambda i: i.limit(Side.BUY, PRICE, QTY, tag="x" * 17), BadCombination, "longer than 16"),
        (lambda i: i.market(Side.BUY, QTY, tif=TimeInForce.GTC), BadCombination, "cannot rest"),
        (lambda i: i.stop_limit(Side.BUY, 0, PRICE, QTY), BadPrice, "not above zero"),
        (lambda i: i.stop_market(Side.SELL, PRICE + 3, QTY), BadPrice, "tick"),
    ],
)
def test_what_cannot_be_sent_cannot_be_built(
    stage: Stage, build: Any, error: type[OrderError], says: str
) -> None:
    with pytest.raises(error, match=says) as caught:
        build(stage.instrument)
    assert caught.value.instrument == BTC


def test_before_its_definition_an_instrument_builds_nothing() -> None:
    with pytest.raises(InstrumentNotDefined, match=BTC):
        Instrument(BTC).limit(Side.BUY, 1, 1)


def test_reduce_only_may_be_worth_less_than_the_least(stage: Stage) -> None:
    assert stage.instrument.limit(Side.SELL, PRICE, 1_000, reduce_only=True).reduce_only


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda i: i.ioc(Side.SELL, PRICE, QTY), (OrderType.LIMIT, TimeInForce.IOC, PRICE)),
        (lambda i: i.fok(Side.SELL, PRICE, QTY), (OrderType.LIMIT, TimeInForce.FOK, PRICE)),
        (lambda i: i.post_only(Side.SELL, PRICE, QTY), (OrderType.LIMIT, TimeInForce.GTC, PRICE)),
        (lambda i: i.gtd(Side.SELL, PRICE, QTY, 99), (OrderType.LIMIT, TimeInForce.GTD, PRICE)),
        (lambda i: i.market(Side.SELL, QTY), (OrderType.MARKET, TimeInForce.IOC, 0)),
        (lambda i: i.sell(QTY), (OrderType.MARKET, TimeInForce.IOC, 0)),
        (lambda i: i.sell(QTY, PRICE), (OrderType.LIMIT, TimeInForce.GTC, PRICE)),
        (lambda i: i.stop_market(Side.SELL, PRICE, QTY), (OrderType.STOP_MARKET, TimeInForce.GTC, 0)),
        (
            lambda i: i.stop_limit(Side.SELL, PRICE, PRICE, QTY),
            (OrderType.STOP_LIMIT, TimeInForce.GTC, PRICE),
        ),
    ],
)
def test_every_builder_says_on_the_wire_what_it_is(
    stage: Stage, build: Any, expected: tuple[Any, ...]
) -> None:
    assert stage.ctx.send(build(stage.instrument)) > 0
    sent = stage.sent()[-1]
    assert (sent.order_type, sent.time_in_force, sent.price) == expected
    assert (sent.side, sent.qty, sent.account) == (Side.SELL, QTY, "paper")


def test_options_reach_the_wire(stage: Stage) -> None:
    order = stage.instrument.limit(
        Side.BUY,
        PRICE,
        QTY,
        post_only=True,
        reduce_only=True,
        valid_for_ms=250,
        stp=StpMode.EXPIRE_MAKER,
        tag="héllo",
    )
    stage.ctx.send(order)
    sent = stage.sent()[-1]
    assert sent.flags == OrderFlags.POST_ONLY | OrderFlags.REDUCE_ONLY
    assert (sent.stp_mode, sent.tag) == (StpMode.EXPIRE_MAKER, "héllo")
    assert sent.valid_until_ns == stage.ctx.now_ns() + 250_000_000


@given(price=st.integers(1, 10**12), side=st.sampled_from([Side.BUY, Side.SELL]))
def test_a_rounded_price_is_on_the_tick_and_no_worse_for_the_sender(price: int, side: Side) -> None:
    instrument = Stage().instrument
    rounded = instrument.round_price(price, side)
    assert rounded % instrument.tick_size == 0
    assert abs(rounded - price) < instrument.tick_size
    assert rounded <= price if side is Side.BUY else rounded >= price


@given(mantissa=st.integers(-(10**15), 10**15))
def test_formatting_and_reading_back_is_exact(mantissa: int) -> None:
    instrument = Stage().instrument
    assert instrument.price(instrument.format_price(mantissa)) == mantissa
    assert instrument.qty(Decimal(instrument.format_qty(mantissa))) == mantissa


def test_ids_carry_epoch_and_seq_and_differ(stage: Stage) -> None:
    ids = [stage.ctx.send(stage.instrument.buy(QTY, PRICE)) for _ in range(3)]
    assert ids == [(1 << 40) | seq for seq in range(3)]


def test_cancel_asks_once_and_only_for_open_orders(stage: Stage) -> None:
    id = stage.ctx.send(stage.instrument.buy(QTY, PRICE))
    assert [stage.ctx.cancel(id), stage.ctx.cancel(id), stage.ctx.cancel(12345)] == [True, False, False]
    cancels = [one for one in stage.sent() if isinstance(one, CancelOrder)]
    assert [(one.order_epoch, one.order_seq) for one in cancels] == [(1, 0)]


def test_replace_keeps_what_is_not_given_and_checks_what_is(stage: Stage) -> None:
    id = stage.ctx.send(stage.instrument.buy(QTY, PRICE))
    assert stage.ctx.replace(id, price=PRICE - 10) is True
    with pytest.raises(BadPrice):
        stage.ctx.replace(id, price=PRICE - 1)
    with pytest.raises(BadCombination, match="needs a price"):
        stage.ctx.replace(id)
    asked = [one for one in stage.sent() if isinstance(one, ReplaceOrder)]
    assert [(one.order_seq, one.price, one.qty) for one in asked] == [(0, PRICE - 10, QTY)]


def test_cancel_all_is_one_request_and_none_when_nothing_is_open(stage: Stage) -> None:
    assert stage.ctx.cancel_all() == 0
    for _ in range(3):
        stage.ctx.send(stage.instrument.buy(QTY, PRICE))
    assert stage.ctx.cancel_all() == 3
    assert stage.ctx.cancel_all() == 0
    assert sum(isinstance(one, CancelAll) for one in stage.sent()) == 1


def test_the_number_of_open_orders_is_bounded() -> None:
    stage = Stage()
    stage.ctx.open_gate(0)
    answers = [stage.ctx.send(stage.instrument.buy(QTY, PRICE)) for _ in range(10_001)]
    assert answers[-1] is Refusal.TOO_MANY_ORDERS
    assert sum(isinstance(one, NewOrder) for one in stage.sent()) == 10_000


def test_a_sink_of_no_kind_is_told_to_be_one() -> None:
    stage = Stage(sink=OrderSink())
    with pytest.raises(MisuseError, match="QueueSink or MemorySink"):
        stage.ctx.send(stage.instrument.limit(Side.BUY, PRICE, QTY))
