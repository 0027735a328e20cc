"""Orders that passed the check never spend what is not there."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from libchronicle.portfolio import Account, InstrumentTerms, MakerTaker
from libchronicle.protocol import ContractKind, OrderType, RejectCode, Side

SPOT = InstrumentTerms(
    1, 10, 5, -2, -5, name="s:BTCUSDT", settle_currency="USDT", base_currency="BTC", min_qty=10, max_qty=10**6
)
LINEAR = InstrumentTerms(2, 1, 1, -1, -3, kind=ContractKind.LINEAR, name="f:BTCUSDT", settle_currency="USDT")
BID, ASK = 999_990, 1_000_000

requests = st.lists(
    st.tuples(
        st.sampled_from([Side.BUY, Side.SELL]),
        st.integers(1, 200_000),  # price in ticks of 10
        st.integers(2, 40_000),  # quantity in lots of 5
        st.booleans(),  # a maker
        st.integers(1, 100),  # percent that fills
    ),
    max_size=60,
)


@given(requests, st.integers(0, 50))
def test_a_cash_account_never_goes_below_zero(orders, taker_bps) -> None:
    a = Account({"USDT": 1000, "BTC": "0.01"}, fees=MakerTaker(1, taker_bps))
    a.add(SPOT)
    fills = 0
    for side, ticks, lots, maker, percent in orders:
        price, qty = ticks * 10, lots * 5
        if a.check(0, side, OrderType.LIMIT, price, qty, BID, ASK, False):
            continue
        a.opened(0, side, qty, price)
        part = max(1, qty * percent // 100)
        worst = max(price, BID) if side == Side.SELL and not maker else price
        a.opened(0, side, -part, price)
        a.trade(0, side, worst, part, maker=maker)
        fills += 1
        if percent < 50:
            a.opened(0, side, -(qty - part), price)  # cancelled; else the rest stays open
        # each fee is rounded up by itself
        assert a.balance("USDT") >= -fills * Decimal("1e-8")
        assert a.balance("BTC") >= 0


@given(requests, st.sampled_from([1, 2, 20, 125]))
def test_what_passes_the_check_is_covered_by_the_margin_there_is(orders, leverage) -> None:
    a = Account(1000, leverage=leverage, fees=MakerTaker(1, 4))
    a.add(LINEAR)
    a.mark(0, ASK)
    for side, ticks, lots, maker, percent in orders:
        price, qty = ticks * 10, lots * 5
        before = a.available()
        position = a.position(0).qty
        reduces = position * (1 if side == Side.SELL else -1) >= a.open_qty(0)[side == Side.SELL] + qty
        code = a.check(0, side, OrderType.LIMIT, price, qty, BID, ASK, False)
        if reduces:
            assert code == 0
        if code:
            assert code in (RejectCode.INSUFFICIENT_BALANCE, RejectCode.NOTIONAL_LIMIT)
            continue
        a.opened(0, side, qty, price)
        assert a.available() >= 0 or a.available() >= before
        if percent > 50:
            a.opened(0, side, -qty, price)
            a.trade(0, side, max(price, BID) if side == Side.SELL else price, qty, maker=maker)
            assert reduces or a.available() >= -Decimal("1e-6")


def test_the_instruments_own_rules_come_first() -> None:
    a = Account({"USDT": 10**6, "BTC": 10})
    a.add(SPOT)
    small = InstrumentTerms(3, 1, 1, -2, -5, name="s:X", min_notional=5 * 10**7)
    a.add(small)

    def code(price=1000, qty=10, *, kind=OrderType.LIMIT, slot=0, bid=BID, ask=ASK) -> int:
        return a.check(slot, Side.BUY, kind, price, qty, bid, ask, False)

    assert code() == 0
    assert [code(price=p) for p in (0, -10, 1005)] == [RejectCode.BAD_PRICE] * 3
    assert [code(qty=q) for q in (0, -10, 11, 5, 10**6 + 5)] == [RejectCode.BAD_QTY] * 5
    assert code(0, kind=OrderType.MARKET, ask=0) == RejectCode.NO_MARKET
    assert code(0, kind=OrderType.MARKET) == 0
    assert code(1000, 49_999, slot=1) == RejectCode.NOTIONAL_LIMIT
    assert code(1000, 50_000, slot=1) == 0


def test_an_instrument_that_does_not_trade_takes_no_order() -> None:
    a = Account(1000)
    a.add(InstrumentTerms(1, 1, 1, 0, 0, name="s:X", trading=False))
    assert a.check(0, Side.BUY, OrderType.LIMIT, 1, 1, 1, 2, False) == RejectCode.NO_MARKET
