"""The golden ledger of accounts: every figure below was computed by hand."""

from __future__ import annotations

from decimal import Decimal

import pytest

from libchronicle.errors import BadAmount, FixedPointOverflow, MisuseError, UnknownInstrument
from libchronicle.portfolio import Account, FlatFees, InstrumentTerms, MakerTaker, money
from libchronicle.protocol import ContractKind, OrderType, RejectCode, Side

BUY, SELL = Side.BUY, Side.SELL
LIMIT, MARKET = OrderType.LIMIT, OrderType.MARKET

SPOT = InstrumentTerms(
    1,
    1,
    1,
    -2,
    -5,
    name="binance-spot:BTCUSDT",
    settle_currency="USDT",
    base_currency="BTC",
    quote_currency="USDT",
)
CROSS = InstrumentTerms(
    2,
    1,
    1,
    -6,
    -4,
    name="binance-spot:ETHBTC",
    settle_currency="BTC",
    base_currency="ETH",
    quote_currency="BTC",
)
LINEAR = InstrumentTerms(
    3, 1, 1, -1, -3, kind=ContractKind.LINEAR, name="binance-usdm:BTCUSDT", settle_currency="USDT",
    base_currency="BTC", quote_currency="USDT",
)  # fmt: skip
INVERSE = InstrumentTerms(
    4, 1, 1, -1, 0, kind=ContractKind.INVERSE, contract_size=100, name="binance-coinm:BTCUSD_PERP",
    settle_currency="BTC", base_currency="BTC", quote_currency="USD",
)  # fmt: skip


def opened(terms: InstrumentTerms, cash: object, **options) -> Account:
    account = Account(cash, **options)
    assert account.add(terms) == 0
    return account


# ---------------------------------------------------------------- spot


def test_a_spot_account_moves_cash_and_inventory() -> None:
    a = opened(SPOT, 100_000, fees=MakerTaker(maker_bps=-0.5, taker_bps=10))
    #      side, price, quantity, maker, fee, USDT after it, BTC after it
    steps = [
        (BUY, 6_000_000, 100_000, False, "60", "39940", "1"),  # 60000 + 10 bps
        (BUY, 6_200_000, 50_000, True, "-1.55", "8941.55", "1.5"),  # 31000, rebate 0.5 bp
        (SELL, 6_300_000, 75_000, False, "47.25", "56144.30", "0.75"),  # + 47250
        (SELL, 5_900_000, 75_000, True, "-2.2125", "100396.5125", "0"),  # + 44250
    ]
    for side, price, qty, maker, fee, quote, base in steps:
        assert a.trade(0, side, price, qty, maker=maker) == money(fee)
        assert (a.balance("USDT"), a.balance("BTC")) == (Decimal(quote), Decimal(base))
    # average 60666.67: 0.75 × (63000 - 60666.67) = 1750, 0.75 × (59000 - 60666.67) = -1250
    assert (a.realized, a.fees, a.unrealized) == (money("500"), money("103.4875"), 0)
    assert a.cash == a.equity == money("100396.5125")


def test_equity_of_a_spot_account_is_cash_and_inventory_at_the_mark() -> None:
    a = opened(SPOT, {"USDT": 1000, "BTC": "0.5"})
    assert a.equity == money("1000")  # no price yet
    assert a.unpriced == ["BTC"]
    a.mark(0, 6_000_000)
    assert (a.equity, a.unpriced) == (money("31000"), [])
    a.trade(0, SELL, 6_000_000, 20_000)
    assert a.balance() == Decimal(13000)
    assert a.equity == money("31000")


def test_a_cross_is_worth_what_its_way_to_the_accounts_currency_says() -> None:
    a = Account({"USDT": 1000, "ETH": 2})
    a.add(SPOT)
    a.add(CROSS)
    a.mark(0, 5_000_000)
    a.mark(1, 40_000)  # 0.04 BTC
    assert a.equity == money("5000")  # 1000 + 2 × 0.04 × 50000
    a.trade(1, BUY, 40_000, 5_000)  # 0.5 ETH for 0.02 BTC that is not there: nobody asked check()
    assert a.balance("BTC") == Decimal("-0.02")
    assert a.equity == money("5000")


def test_a_cash_account_sells_what_it_has_and_buys_what_it_can_pay() -> None:
    a = opened(SPOT, 1000, fees=MakerTaker(0, 100))

    def code(side: Side, qty: int, price: int = 1_000_000, kind: OrderType = LIMIT) -> int:
        return a.check(0, side, kind, price, qty, 999_900, 1_000_000, False)

    assert code(SELL, 1) == RejectCode.INSUFFICIENT_BALANCE  # no short
    assert code(BUY, 9_901) == RejectCode.INSUFFICIENT_BALANCE  # 990.1 + 1 % fee
    assert code(BUY, 9_900) == 0
    assert code(BUY, 9_900, 0, MARKET) == 0
    assert code(BUY, 9_901, 0, MARKET) == RejectCode.INSUFFICIENT_BALANCE
    a.opened(0, BUY, 5_000, 1_000_000)  # 505 of 1000 are held back
    assert a.available() == Decimal(495)
    assert (code(BUY, 4_901), code(BUY, 4_900)) == (RejectCode.INSUFFICIENT_BALANCE, 0)
    a.opened(0, BUY, -5_000, 1_000_000)
    a.trade(0, BUY, 1_000_000, 5_000)
    assert (code(SELL, 5_001), code(SELL, 5_000)) == (RejectCode.INSUFFICIENT_BALANCE, 0)
    a.opened(0, SELL, 2_000, 1_000_000)
    assert (code(SELL, 3_001), code(SELL, 3_000)) == (RejectCode.INSUFFICIENT_BALANCE, 0)


def test_spot_on_margin_can_be_sold_short_up_to_its_leverage() -> None:
    a = opened(SPOT, 1000, leverage=3)
    assert (
        a.check(0, SELL, LIMIT, 1_000_000, 30_001, 1_000_000, 1_000_100, False)
        == RejectCode.INSUFFICIENT_BALANCE
    )
    assert a.check(0, SELL, LIMIT, 1_000_000, 30_000, 1_000_000, 1_000_100, False) == 0
    a.trade(0, SELL, 1_000_000, 30_000)
    assert (a.balance("USDT"), a.balance("BTC")) == (Decimal(4000), Decimal("-0.3"))
    assert a.equity == money("1000")
    a.mark(0, 1_100_000)
    assert a.equity == money("700")


# ---------------------------------------------------------------- contracts


def test_a_linear_contract_keeps_the_books_a_person_would() -> None:
    a = opened(LINEAR, 10_000, leverage=10, fees=MakerTaker(2, 4))
    assert a.trade(0, BUY, 600_000, 500) == money("12")  # 0.5 @ 60000 = 30000
    assert (a.cash, a.initial_margin(), a.maintenance_margin()) == (
        money("9988"),
        money("3000"),
        money("150"),
    )
    assert a.mark(0, 590_000) == 0
    assert (a.equity, a.unrealized) == (money("9488"), money("-500"))
    assert (a.initial_margin(), a.maintenance_margin()) == (money("2950"), money("147.5"))
    assert a.available() == Decimal(6538)
    assert a.fund(0, 10_000, 590_000) == 0  # 0.01 % of 29500
    assert (a.funding(0), a.cash) == (money("2.95"), money("9985.05"))
    assert a.trade(0, SELL, 610_000, 200, maker=True) == money("2.44")  # + 0.2 × 1000
    assert (a.realized, a.cash) == (money("200"), money("10182.61"))
    assert a.trade(0, SELL, 580_000, 500) == money("11.6")  # - 0.3 × 2000, short 0.2 @ 58000
    assert (a.realized, a.cash) == (money("-400"), money("9571.01"))
    assert (a.position(0).qty, a.position(0).average_price) == (-200, 580_000)
    a.fund(0, 10_000, 580_000)  # a short receives: 1.16
    assert (a.funding(0), a.cash) == (money("1.79"), money("9572.17"))
    assert a.trade(0, BUY, 570_000, 200) == money("4.56")  # + 200
    assert (a.cash, a.equity, a.initial_margin()) == (money("9767.61"), money("9767.61"), 0)
    assert a.cash == money("10000") + a.realized - a.fees - a.funding(0)


def test_an_inverse_contract_is_kept_in_coin() -> None:
    a = opened(INVERSE, 1, leverage=5, fees=MakerTaker(0, 5))
    assert a.currency == "BTC"
    assert a.trade(0, BUY, 500_000, 100) == money("0.0001")  # 10000 USD @ 50000 = 0.2
    assert (a.cash, a.initial_margin()) == (money("0.9999"), money("0.04"))
    a.mark(0, 400_000)
    assert (a.unrealized, a.equity, a.initial_margin()) == (money("-0.05"), money("0.9499"), money("0.05"))
    a.fund(0, 10_000, 400_000)  # 0.01 % of 0.25
    assert a.cash == money("0.999875")
    assert a.trade(0, SELL, 625_000, 100) == money("0.00008")  # 0.2 - 0.16
    assert (a.realized, a.cash) == (money("0.04"), money("1.039795"))
    a.trade(0, SELL, 500_000, 50)
    a.mark(0, 400_000)
    assert a.unrealized == money("0.025")  # 5000/40000 - 5000/50000


def test_over_leverage_is_refused_and_reducing_never_is() -> None:
    a = opened(LINEAR, 1000, leverage=20, fees=MakerTaker(0, 4))

    def code(side: Side, qty: int, *, reduce_only: bool = False) -> int:
        return a.check(0, side, LIMIT, 500_000, qty, 500_000, 500_001, reduce_only)

    # 0.396 BTC: 19800 / 20 = 990 + fee 7.92; 0.397: 992.5 + 7.94
    assert (code(BUY, 396), code(BUY, 397)) == (0, RejectCode.INSUFFICIENT_BALANCE)
    a.trade(0, BUY, 500_000, 396)
    assert a.available() == Decimal("2.08")
    assert code(BUY, 1) == RejectCode.INSUFFICIENT_BALANCE  # 2.5 + 0.02
    a.mark(0, 480_000)
    assert a.available() < 0
    assert code(BUY, 1) == RejectCode.INSUFFICIENT_BALANCE
    assert (code(SELL, 396), code(SELL, 100, reduce_only=True)) == (0, 0)
    assert code(BUY, 1, reduce_only=True) == RejectCode.REDUCE_ONLY


def test_open_orders_of_the_larger_side_are_margin() -> None:
    a = opened(LINEAR, 1000, leverage=10)
    a.opened(0, BUY, 100, 500_000)  # 5000
    assert a.initial_margin() == money("500")
    a.opened(0, SELL, 60, 500_000)  # 3000: the smaller side
    assert a.initial_margin() == money("500")
    a.opened(0, SELL, 100, 500_000)
    assert a.initial_margin() == money("800")
    assert a.available() == Decimal(200)
    a.opened(0, SELL, -160, 500_000)
    a.opened(0, BUY, -100, 500_000)
    assert (a.initial_margin(), a.available()) == (0, Decimal(1000))


def test_an_order_that_would_lose_at_once_needs_the_loss_too() -> None:
    a = opened(LINEAR, 1000, leverage=100)
    a.mark(0, 500_000)
    # a buy of 1 BTC at 51000 needs 510 and loses 1000 against the mark
    assert a.check(0, BUY, LIMIT, 510_000, 1000, 499_999, 500_001, False) == RejectCode.INSUFFICIENT_BALANCE
    assert a.check(0, BUY, LIMIT, 500_000, 1000, 499_999, 500_001, False) == 0


def test_a_position_is_liquidated_at_its_maintenance_margin() -> None:
    a = opened(LINEAR, 1000, leverage=20, fees=MakerTaker(2, 4), maintenance_bps=50, liquidation_bps=100)
    a.trade(0, BUY, 600_000, 100)  # 0.1 @ 60000; wallet 997.6
    # 997.6 + 0.1 × (p - 60000) = 0.005 × 0.1 × p  <=>  p = 50275.3769
    assert a.liquidation_price(0) == 502_753
    assert (a.mark(0, 502_754), a.mark(0, 502_753)) == (0, 1)
    charged = a.close_out(0, 502_000)  # 5020: 4 bps + 1 %
    assert charged == money("2.008") + money("50.2")
    assert (a.position(0).qty, a.liquidations) == (0, 1)
    # bought at 60000, closed at 50200: 997.6 - 980 - 52.208 is below zero, which the venue bears
    assert (a.cash, a.shortfall()) == (0, Decimal("34.608"))


def test_a_short_is_liquidated_above() -> None:
    a = opened(LINEAR, 1000, leverage=20)
    a.trade(0, SELL, 600_000, 100)
    # 1000 - 0.1 × (p - 60000) = 0.0005 × p  <=>  p = 69651.74
    assert a.liquidation_price(0) == 696_518
    assert (a.mark(0, 696_517), a.mark(0, 696_518)) == (0, 1)


def test_an_inverse_position_is_liquidated_in_coin() -> None:
    a = opened(INVERSE, "0.05", leverage=10)
    a.trade(0, BUY, 500_000, 100)  # 10000 USD: 0.2 coin
    # 0.05 + 0.2 - 10000 / p = 0.005 × 10000 / p  <=>  p = 10050 / 0.25 = 40200
    assert a.liquidation_price(0) == 402_000
    assert (a.mark(0, 402_001), a.mark(0, 402_000)) == (0, 1)
    a = opened(INVERSE, "0.05", leverage=10)
    a.trade(0, SELL, 500_000, 100)
    # 0.05 - 0.2 + 10000 / p = 0.005 × 10000 / p  <=>  p = 9950 / 0.15 = 66333.3
    assert (a.mark(0, 663_333), a.mark(0, 663_334)) == (0, 1)


def test_funding_may_be_what_a_position_cannot_bear() -> None:
    a = opened(LINEAR, 100, leverage=100)
    a.trade(0, BUY, 100_000, 1000)  # 10000, maintenance 50
    assert a.fund(0, 400_000, 100_000) == 0  # 40
    assert a.fund(0, 100_000, 100_000) == 1  # 10: 50 are left
    assert a.close_out(0, 100_000) == 0
    assert (a.cash, a.liquidations, a.close_out(0, 1)) == (money(50), 1, 0)


def test_an_account_without_enough_for_one_fee_refuses_the_order() -> None:
    a = opened(LINEAR, 1, leverage=100, fees=FlatFees(per_order="0.6", per_trade="0.3", per_contract="0.1"))
    assert (
        a.check(0, BUY, LIMIT, 10, 1000, 9, 10, False) == RejectCode.INSUFFICIENT_BALANCE
    )  # 0.01 + 0.6 + 0.3 + 0.1
    assert a.check(0, BUY, LIMIT, 10, 900, 9, 10, False) == 0


def test_contracts_of_one_currency_share_its_equity() -> None:
    other = InstrumentTerms(
        9, 1, 1, -2, -3, kind=ContractKind.LINEAR, name="binance-usdm:ETHUSDT", settle_currency="USDT",
        base_currency="ETH", quote_currency="USDT",
    )  # fmt: skip
    a = Account(1000, leverage=20)
    a.add(LINEAR)
    a.add(other)
    a.trade(0, BUY, 600_000, 100)  # 6000
    a.trade(1, SELL, 300_000, 2000)  # 6000
    assert a.mark(0, 500_000) == 1
    a.mark(1, 250_000)  # + 1000: the loss of the one is the profit of the other
    assert a.mark(0, 500_000) == 0
    assert a.equity == money("1000")


# ---------------------------------------------------------------- fees


def test_flat_fees_are_charged_per_order_per_trade_and_per_contract() -> None:
    a = opened(LINEAR, 1000, fees=FlatFees(per_order="1", per_trade="0.1", per_contract="2"))
    assert a.trade(0, BUY, 10, 500, first=True) == money("2.1")  # 1 + 0.1 + 0.5 × 2
    assert a.trade(0, BUY, 10, 500, first=False) == money("1.1")


# ---------------------------------------------------------------- what is refused


def test_what_does_not_fit_is_an_error_and_changes_nothing() -> None:
    for terms in (SPOT, LINEAR, INVERSE):
        a = opened(terms, 1000, leverage=1)
        a.trade(0, BUY, 1000, 5)
        before = (repr(a), repr(a.position(0)), a.equity, a.initial_margin())
        for price, qty in [(1 << 62, 1 << 62), (1, 1 << 62), (1, (1 << 63) - 1)]:
            with pytest.raises(FixedPointOverflow):
                a.trade(0, BUY, price, qty)
            assert (repr(a), repr(a.position(0)), a.equity, a.initial_margin()) == before


@pytest.mark.parametrize(
    "options",
    [
        {"cash": -1},
        {"cash": "many"},
        {"cash": "0.000000001"},
        {"cash": {"USDT": "nan"}},
        {"leverage": 0.5},
        {"leverage": 1001},
        {"leverage": {"binance-usdm": -3}},
        {"maintenance_bps": "x"},
        {"maintenance_bps": 1e9},
    ],
)
def test_options_that_mean_nothing_are_refused_by_name(options) -> None:
    with pytest.raises(BadAmount):
        Account(**options).add(LINEAR)


def test_a_slot_or_currency_that_is_not_there_is_named() -> None:
    a = opened(SPOT, 1)
    with pytest.raises(UnknownInstrument):
        a.trade(1, BUY, 1, 1)
    with pytest.raises(UnknownInstrument):
        a.slot("binance-spot:NONE")
    with pytest.raises(MisuseError, match="EUR"):
        a.balance("EUR")
    with pytest.raises(BadAmount):
        a.trade(0, BUY, 0, 1)
    assert a.slot("binance-spot:BTCUSDT") == a.slot(1) == 0


def test_leverage_and_fees_may_be_given_by_instrument_or_venue() -> None:
    a = Account(
        1000,
        leverage={"binance-usdm": 10},
        fees={"binance-spot:BTCUSDT": MakerTaker(0, 10), "binance-usdm": MakerTaker(0, 4)},
    )
    spot, linear = a.add(SPOT), a.add(LINEAR)
    assert a.trade(linear, BUY, 100_000, 1000) == money("4")
    assert a.initial_margin() == money("1000")
    assert a.check(spot, SELL, LIMIT, 100, 1, 1, 100, False) == RejectCode.INSUFFICIENT_BALANCE
    assert a.trade(spot, BUY, 100_000, 100_000) == money("1")


def test_a_later_definition_changes_the_tick_and_keeps_the_slot() -> None:
    a = opened(LINEAR, 1000)
    coarse = InstrumentTerms(
        3, 10, 1, -1, -3, kind=ContractKind.LINEAR, name=LINEAR.name, settle_currency="USDT"
    )
    assert a.check(0, BUY, LIMIT, 101, 1, 100, 102, False) == 0
    assert a.add(coarse) == 0
    assert a.check(0, BUY, LIMIT, 101, 1, 100, 102, False) == RejectCode.BAD_PRICE
