"""Pre-trade checks: each code, their order, and that reducing is always possible."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libchronicle.portfolio import Holding, InstrumentTerms, Position
from libchronicle.protocol import OrderType, RejectCode
from libchronicle.risk import MarketView, Proposal, RiskLimits, Situation, TokenBucket, check, resolve

TERMS = InstrumentTerms(
    7, tick_size=10, lot_size=5, price_exponent=-2, qty_exponent=-3, min_qty=10, max_qty=10**6
)
MARKET = MarketView(best_bid=99_990, best_ask=100_010, reference=100_000)
NOW = 1_000_000_000_000


def at(position: int = 0, **changes) -> Situation:
    holding = Holding(Position(TERMS, qty=position), changes.pop("open_buy", 0), changes.pop("open_sell", 0))
    plain = {"now_ns": NOW, "killed": False, "terms": TERMS, "market": MARKET, "holding": holding}
    return Situation(**(plain | changes))


def buy(qty: int = 100, price: int = 100_000, **more) -> Proposal:
    return Proposal(True, qty, price, **more)


def sell(qty: int = 100, price: int = 100_000, **more) -> Proposal:
    return Proposal(False, qty, price, **more)


def code(order: Proposal, now: Situation) -> RejectCode:
    breach = check(order, now)
    return breach.code if breach else RejectCode.NONE


AT_MARKET = OrderType.MARKET
lim = RiskLimits


@pytest.mark.parametrize(
    ("order", "now", "expected"),
    [
        (buy(), at(), RejectCode.NONE),
        (buy(), at(killed=True), RejectCode.KILLED),
        (buy(valid_until_ns=NOW - 1), at(), RejectCode.STALE),
        (buy(valid_until_ns=NOW), at(), RejectCode.NONE),
        (buy(), at(terms=None), RejectCode.UNKNOWN_INSTRUMENT),
        (buy(price=100_005), at(), RejectCode.BAD_PRICE),
        (buy(price=0), at(), RejectCode.BAD_PRICE),
        (buy(price=-10), at(), RejectCode.BAD_PRICE),
        (buy(qty=101), at(), RejectCode.BAD_QTY),
        (buy(qty=5), at(), RejectCode.BAD_QTY),
        (buy(qty=0), at(), RejectCode.BAD_QTY),
        (buy(qty=-100), at(), RejectCode.BAD_QTY),
        (buy(qty=10**6 + 5), at(), RejectCode.BAD_QTY),
        (buy(), at(market=None), RejectCode.NO_MARKET),
        (buy(price=0, order_type=AT_MARKET), at(market=MarketView(99_990, 0, 99_990)), RejectCode.NO_MARKET),
        (sell(price=0, order_type=AT_MARKET), at(market=MarketView(99_990, 0, 99_990)), RejectCode.NONE),
        (buy(price=110_010), at(limits=lim(price_band_bps=1000)), RejectCode.BAD_PRICE),
        (buy(price=110_000), at(limits=lim(price_band_bps=1000)), RejectCode.NONE),
        (sell(price=89_990), at(limits=lim(price_band_bps=1000)), RejectCode.BAD_PRICE),
        (buy(reduce_only=True), at(), RejectCode.REDUCE_ONLY),
        (buy(reduce_only=True), at(position=50), RejectCode.REDUCE_ONLY),
        (sell(reduce_only=True), at(position=50), RejectCode.NONE),
        (buy(), at(limits=lim(max_order_qty=95)), RejectCode.ORDER_SIZE_LIMIT),
        (buy(), at(limits=lim(max_order_notional=99 * 10**8)), RejectCode.NOTIONAL_LIMIT),
        (buy(), at(limits=lim(max_order_notional=100 * 10**8)), RejectCode.NONE),
        (buy(price=0, order_type=AT_MARKET), at(limits=lim(max_order_notional=100 * 10**8)), RejectCode.NOTIONAL_LIMIT),
        (sell(price=10), at(limits=lim(max_order_notional=99 * 10**8)), RejectCode.NOTIONAL_LIMIT),
        (buy(), at(position=400, limits=lim(max_position_qty=500)), RejectCode.NONE),
        (buy(), at(position=405, limits=lim(max_position_qty=500)), RejectCode.POSITION_LIMIT),
        (buy(), at(position=300, open_buy=105, limits=lim(max_position_qty=500)), RejectCode.POSITION_LIMIT),
        (sell(), at(position=-405, limits=lim(max_position_qty=500)), RejectCode.POSITION_LIMIT),
        (sell(), at(position=300, open_sell=405, limits=lim(max_position_qty=100)), RejectCode.POSITION_LIMIT),
        (buy(), at(position=405, limits=lim(max_position_notional=500 * 10**8)), RejectCode.NOTIONAL_LIMIT),
        (buy(), at(open_orders=3, limits=lim(max_open_orders=3)), RejectCode.OPEN_ORDERS_LIMIT),
        (buy(is_replace=True, replaces_leaves=100), at(open_orders=3, limits=lim(max_open_orders=3)), RejectCode.NONE),
        (buy(200, is_replace=True, replaces_leaves=100), at(open_buy=100, limits=lim(max_position_qty=200)), RejectCode.NONE),
        (buy(qty=10**6, price=10**18), at(), RejectCode.NOTIONAL_LIMIT),
    ],
)  # fmt: skip
def test_each_breach_has_its_stable_code(order, now, expected) -> None:
    assert code(order, now) == expected


def test_the_first_breach_in_the_order_of_the_table_names_the_code() -> None:
    assert code(buy(price=5, valid_until_ns=1), at(killed=True)) == RejectCode.KILLED
    assert code(buy(price=5, valid_until_ns=1), at()) == RejectCode.STALE


TIGHT = RiskLimits(
    max_order_qty=0, max_order_notional=0, max_position_qty=0, max_position_notional=0, max_open_orders=0
)


@given(st.integers(2, 10**5), st.booleans(), st.booleans())
def test_an_order_that_only_reduces_passes_every_limit_on_size(lots, is_long, at_market) -> None:
    qty = lots * 5
    now = at(position=qty if is_long else -qty, limits=TIGHT, bucket=TokenBucket(1), open_orders=9)
    kind = OrderType.MARKET if at_market else OrderType.LIMIT
    for _ in range(3):  # the rate limit neither
        assert check(Proposal(not is_long, qty, 0 if at_market else 100_000, kind), now) is None
    assert check(Proposal(not is_long, qty + 5, 100_000), now) is not None  # it would turn the position
    assert check(Proposal(is_long, 10, 100_000), now) is not None


def test_two_orders_that_each_reduce_but_together_turn_the_position_are_not_both_reducing() -> None:
    now = at(position=100, open_sell=60, limits=TIGHT)
    assert code(sell(40), now) == RejectCode.NONE
    assert code(sell(45), now) == RejectCode.ORDER_SIZE_LIMIT


def test_the_rate_limit_lets_a_burst_through_then_recovers() -> None:
    bucket = TokenBucket(rate_per_s=10)
    now = at(bucket=bucket)
    assert [code(buy(), now) for _ in range(11)] == [RejectCode.NONE] * 10 + [RejectCode.RATE_LIMIT]
    now.now_ns += 100_000_000
    assert [code(buy(), now) for _ in range(2)] == [RejectCode.NONE, RejectCode.RATE_LIMIT]
    now.now_ns += 10_000_000_000
    assert [code(buy(), now) for _ in range(11)] == [RejectCode.NONE] * 10 + [RejectCode.RATE_LIMIT]


def test_a_refused_order_takes_no_token() -> None:
    bucket = TokenBucket(rate_per_s=1)
    assert code(buy(price=5), at(bucket=bucket)) == RejectCode.BAD_PRICE
    assert code(buy(), at(bucket=bucket)) == RejectCode.NONE


@given(st.integers(1, 1000), st.lists(st.integers(0, 50_000_000), max_size=200))
def test_a_bucket_never_gives_more_than_burst_plus_rate(rate, steps) -> None:
    bucket, now, given_out = TokenBucket(rate), 0, 0
    for step in steps:
        now += step
        given_out += bucket.take(now)
        assert given_out <= rate + now * rate // 1_000_000_000 + 1


def test_configured_limits_are_rounded_down_to_the_instruments_digits() -> None:
    configured = SimpleNamespace(
        max_order_qty="0.12345", max_order_notional="1000", max_position_qty=None, max_position_notional="0.5",
        max_open_orders=3, max_orders_per_s=5, price_band_bps=None, max_exposure="7", max_data_age_ms=20,
    )  # fmt: skip
    limits = resolve(configured, TERMS)
    assert limits == RiskLimits(123, 1000 * 10**8, None, 5 * 10**7, 3, None, 7 * 10**8, 20_000_000)


def test_a_bucket_whose_clock_stepped_back_is_empty_at_worst_and_fills_again() -> None:
    bucket, now = TokenBucket(10), 10**18
    assert all(bucket.take(now) for _ in range(10))
    now -= 3600 * 10**9
    assert not bucket.take(now)
    assert bucket.take(now + 10**8)
    assert not bucket.take(now + 10**8)
