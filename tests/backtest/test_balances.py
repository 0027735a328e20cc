"""A strategy's balances in a backtest: what it begins with, and what every fill makes of it, base and quote currency."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from libchronicle.backtest import BacktestRunner, MakerTaker
from libchronicle.errors import FixedPointOverflow
from libchronicle.strategy import Side, Strategy
from libchronicle.testing import sample_market

NAME = "binance-spot:BTCUSDT"


class Holder(Strategy):
    """Buys once, and writes down what it has."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Decimal, Decimal, Decimal]] = []
        self.sent = False
        self.paid = Decimal(0)

    def note(self, ctx: Any, what: str) -> None:
        quote = ctx.balance("USDT")
        self.seen.append((what, quote.amount, quote.free, ctx.balance("BTC").amount))

    def on_start(self, ctx: Any) -> None:
        ctx.set_timer("later", after_ms=1500)

    def on_book(self, ctx: Any, book: Any) -> None:
        if not self.sent:
            self.note(ctx, "first")
            self.sent = ctx.send(book.instrument.ioc(Side.BUY, book.ask_price, "0.001")) > 0

    def on_fill(self, ctx: Any, fill: Any) -> None:
        price = Decimal(fill.price).scaleb(fill.instrument.price_exponent)
        self.paid += price * Decimal(fill.qty).scaleb(fill.instrument.qty_exponent)

    def on_timer(self, ctx: Any, name: str) -> None:
        self.note(ctx, "later")
        assert ctx.account == "backtest"


def test_balances_are_the_accounts_before_and_after_a_fill() -> None:
    strategy = Holder()
    fees = MakerTaker(maker_bps=0, taker_bps=10)
    result = BacktestRunner(sample_market(seconds=2), instruments=[NAME], cash=1_000, fees=fees).run(strategy)
    assert len(result.orders) == 1
    first, later = strategy.seen
    assert first == ("first", 1_000, 1_000, 0)
    assert strategy.paid > 0
    assert later[3] == Decimal("0.001")
    assert abs(later[1] - (1_000 - strategy.paid * Decimal("1.001"))) < Decimal("1e-7")
    assert later[2] == later[1]


def test_money_ends_at_64_bits_and_is_said_to_rather_than_blamed_on_the_strategy() -> None:
    market, most = sample_market(seconds=2), Decimal("92233720368.54775807")
    with pytest.raises(FixedPointOverflow, match=r"cash .*money ends at 92,233,720,368\.54775807"):
        BacktestRunner(market, instruments=[NAME], cash=most + Decimal("1e-8")).run(Holder())
    beyond = BacktestRunner(market, instruments=[NAME], cash=most, fees=MakerTaker(-50, -50))
    with pytest.raises(FixedPointOverflow, match="equity") as raised:
        beyond.run(Holder(), keep_failure=True)
    assert raised.value.__context__ is None
