"""Whatever is done to an account, a ledger that sums fractions from the beginning agrees with it after every step."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from libchronicle.errors import FixedPointOverflow
from libchronicle.portfolio import Account, InstrumentTerms, MakerTaker
from libchronicle.portfolio.fixed import INT64_MAX
from libchronicle.protocol import ContractKind, Side
from tests.portfolio.ledger_of_fractions import UNIT, Book, up

SPOT = InstrumentTerms(
    1, 1, 1, -2, -5, name="v:BTCUSDT", settle_currency="USDT", base_currency="BTC", quote_currency="USDT"
)
FINE = InstrumentTerms(
    2, 1, 1, -8, -4, name="v:ETHBTC", settle_currency="BTC", base_currency="ETH", quote_currency="BTC"
)
LINEAR = InstrumentTerms(
    3, 1, 1, -1, -3, kind=ContractKind.LINEAR, name="f:BTCUSDT", settle_currency="USDT", contract_size=250
)
INVERSE = InstrumentTerms(
    4,
    1,
    1,
    -1,
    0,
    kind=ContractKind.INVERSE,
    name="d:BTCUSD",
    settle_currency="BTC",
    contract_size=100,
    base_currency="BTC",
)
ALL = (SPOT, FINE, LINEAR, INVERSE)
START = {"USDT": 10**6, "BTC": 50, "ETH": 100}
MAKER, TAKER = -5_000, 40_000  # 1e-8: -0.5 and 4 bps

slots = st.integers(0, 3)
sides = st.sampled_from([Side.BUY, Side.SELL])
prices = st.integers(1, 10**7)
quantities = st.integers(1, 10**6)


class Ledgers(RuleBasedStateMachine):
    """An account of spot, linear and inverse beside the ledger of fractions; leverage or none."""

    @initialize(leverage=st.sampled_from([None, 1, 3, 20]))
    def start(self, leverage) -> None:
        self.account = Account(
            START, currency="USDT", leverage=leverage, fees=MakerTaker(MAKER / 10**4, TAKER / 10**4)
        )
        self.books = [Book(terms, initial_rate=Fraction(1, leverage or 1)) for terms in ALL]
        for book in self.books:
            assert self.account.add(book.terms) == self.books.index(book)
            book.rate = {True: Fraction(MAKER, UNIT), False: Fraction(TAKER, UNIT)}
        self.leverage = leverage
        self.keys = 0

    @rule(slot=slots, side=sides, price=prices, qty=quantities, maker=st.booleans())
    def fill(self, slot, side, price, qty, maker) -> None:
        book = self.books[slot]
        before = book.fees()
        fee = self.account.trade(slot, side, price, qty, maker=maker)
        signed = qty if side == Side.BUY else -qty
        book.fills.append((book.qty(signed), book.price(price), maker))
        book.mark = book.mark or price
        assert Fraction(fee, UNIT) == book.fees() - before

    @rule(slot=slots, price=prices)
    def mark(self, slot, price) -> None:
        self.account.mark(slot, price)
        self.books[slot].mark = price

    @rule(slot=st.sampled_from([2, 3]), rate=st.integers(-(10**6), 10**6), price=prices)
    def fund(self, slot, rate, price) -> None:
        book = self.books[slot]
        held = book.position()
        notional = abs(book.value(book.price(price), held)) if held else Fraction(0)
        self.account.fund(slot, rate, price)
        book.fundings.append(up((-notional if held < 0 else notional) * Fraction(rate, UNIT)))
        book.mark = price

    @rule(slot=slots, side=sides, price=prices, qty=quantities)
    def rest(self, slot, side, price, qty) -> None:
        self.account.opened(slot, side, qty, price)
        self.keys += 1
        self.books[slot].orders[self.keys] = (side, price, qty)

    @precondition(lambda self: any(book.orders for book in self.books))
    @rule(data=st.data())
    def end(self, data) -> None:
        slot = data.draw(st.sampled_from([i for i, book in enumerate(self.books) if book.orders]))
        side, price, qty = self.books[slot].orders.pop(
            data.draw(st.sampled_from(sorted(self.books[slot].orders)))
        )
        self.account.opened(slot, side, -qty, price)

    @rule(slot=slots, price=prices)
    def liquidate(self, slot, price) -> None:
        book = self.books[slot]
        if book.spot or not (held := book.position()):
            return
        currency = book.terms.settle_currency
        before = self.account.shortfall(currency)
        charged = self.account.close_out(slot, price)
        book.fills.append((-held, book.price(price), False))
        fee = up(abs(book.value(book.price(price), held)) * book.rate[False])
        assert charged == fee * UNIT
        self.given = self.given if hasattr(self, "given") else {}
        self.given[currency] = self.given.get(currency, 0) + self.account.shortfall(currency) - before

    @invariant()
    def balances_are_what_was_there_and_what_moved(self) -> None:
        if not hasattr(self, "books"):
            return
        for currency, start in START.items():
            expected = Fraction(start) + Fraction(getattr(self, "given", {}).get(currency, 0))
            for book in self.books:
                if book.terms.settle_currency == currency:
                    moved = book.cost() - book.paid() if not book.spot else -book.paid()
                    expected += moved - book.fees() - book.funding()
                if book.spot and book.terms.base_currency == currency:
                    expected += book.position()
            assert Fraction(self.account.balance(currency)) == expected

    @invariant()
    def positions_agree(self) -> None:
        for slot, book in enumerate(getattr(self, "books", [])):
            p = self.account.position(slot)
            assert book.qty(p.qty) == book.position()
            assert p.realized == p.cash + p.cost
            assert Fraction(p.cost, UNIT) == book.cost()
            assert Fraction(p.fees, UNIT) == book.fees()
            assert Fraction(self.account.funding(slot), UNIT) == book.funding()

    @invariant()
    def margin_agrees(self) -> None:
        for currency in START if hasattr(self, "books") else ():
            margined = [
                book
                for book in self.books
                if book.terms.settle_currency == currency and (not book.spot or self.leverage is not None)
            ]
            initial = sum((book.initial() for book in margined), Fraction(0))
            # parts of an order's value are rounded one by one when it rests and ends
            assert abs(Fraction(self.account.initial_margin(currency), UNIT) - initial) <= Fraction(200, UNIT)
            held = sum((_held(book) for book in margined), Fraction(0))
            assert (
                Fraction(self.account.equity_in(currency)) == Fraction(self.account.balance(currency)) + held
            )

    @invariant()
    def equity_in_one_currency_is_the_sum_of_all_at_their_marks(self) -> None:
        if not hasattr(self, "books"):
            return
        btc, eth = self.books[0], self.books[1]
        coin = Fraction(self.account.balance("BTC")) + self.books[3].unrealized()
        ether = Fraction(self.account.balance("ETH")) * eth.price(eth.mark)
        total = Fraction(self.account.balance("USDT")) + self.books[2].unrealized()
        total += (coin + ether) * btc.price(btc.mark)
        if (
            abs(total) * UNIT > INT64_MAX
        ):  # an inverse contract at a tiny price is worth more than any money there is
            with pytest.raises(FixedPointOverflow):
                _ = self.account.equity
            return
        # three roundings on the way, the first worth up to half a satoshi
        assert abs(Fraction(self.account.equity, UNIT) - total) <= Fraction(2 + btc.mark // 100, UNIT)


def _held(book: Book) -> Fraction:
    if book.spot:
        return book.value(book.price(book.mark), book.position()) if book.mark else Fraction(0)
    return book.unrealized()


TestLedgers = Ledgers.TestCase
TestLedgers.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
