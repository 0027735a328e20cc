"""The native checks say what the table says, code for code and number for number; so does the gate over an account."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from libchronicle.portfolio import Account, Holding, InstrumentTerms, Position
from libchronicle.protocol import ContractKind, OrderType, RejectCode, Side
from libchronicle.risk import (
    Breach,
    MarketView,
    Proposal,
    RiskGate,
    RiskLimits,
    Situation,
    TokenBucket,
    check,
    resolve,
)
from tests.risk import table_of_checks

LARGEST = (1 << 63) - 1
TERMS = [
    InstrumentTerms(1, 10, 5, -2, -3, min_qty=10, max_qty=10**6, name="v:A", settle_currency="USDT"),
    InstrumentTerms(
        2,
        1,
        1,
        -1,
        -3,
        kind=ContractKind.LINEAR,
        contract_size=250,
        min_notional=10**6,
        name="v:B",
        settle_currency="USDT",
    ),
    InstrumentTerms(
        3, 1, 1, -1, 0, kind=ContractKind.INVERSE, contract_size=100, name="v:C", settle_currency="BTC"
    ),
    InstrumentTerms(4, 0, 0, -8, -8, trading=False, name="v:D", settle_currency="USDT"),
    InstrumentTerms(5, 1, 1, -8, -8, name="v:E", settle_currency="USDT"),
]

wide = st.one_of(st.integers(-10, 2000), st.integers(0, 200).map(lambda n: n * 10), st.integers(0, LARGEST))
limit = st.one_of(st.none(), st.none(), st.integers(0, 3000), st.integers(0, 10**13))
codes = st.sampled_from([RejectCode.DRAWDOWN_LIMIT, RejectCode.DAILY_LOSS_LIMIT, RejectCode.LOSS_STREAK])
rare = st.integers(0, 19).map(lambda n: n == 0)

limits = st.builds(
    RiskLimits, limit, limit, limit, limit, st.one_of(st.none(), st.integers(0, 5)),
    st.one_of(st.none(), st.integers(1, 20_000)), limit, st.one_of(st.none(), st.integers(0, 1000)),
    rare.map(lambda no: not no),
)  # fmt: skip
proposals = st.builds(
    Proposal, st.booleans(), wide, wide, st.sampled_from(list(OrderType)), rare,
    st.sampled_from([0, 0, 0, 0, 999, 1000, 1001]), st.integers(0, 100), rare,
)  # fmt: skip


@st.composite
def situations(draw) -> Situation:
    terms = draw(st.sampled_from([*TERMS, *TERMS, None]))
    holding = None
    if terms is not None:
        small = st.integers(0, 500)
        held = draw(st.one_of(st.integers(-500, 500), st.integers(-LARGEST, LARGEST)))
        holding = Holding(Position(terms, qty=held), draw(small), draw(small))
    price = st.one_of(st.just(0), st.integers(1, 2000))
    market = (
        None
        if draw(rare)
        else MarketView(draw(price), draw(price), draw(price), draw(st.one_of(st.just(0), price)))
    )
    return Situation(
        1000, draw(rare), terms, market, holding, draw(limits), draw(st.integers(0, 6)), None,
        draw(st.integers(0, 10**13)), Breach(draw(codes), draw(st.integers(0, 99)), 7) if draw(rare) else None,
        not draw(rare),
    )  # fmt: skip


def clamped(breach: Breach | None) -> Breach | None:
    return breach and Breach(breach.code, breach.limit, max(-LARGEST, min(LARGEST, breach.actual)))


@settings(max_examples=600)
@given(proposals, situations())
def test_the_native_checks_are_the_table(order, now) -> None:
    assert check(order, now) == clamped(table_of_checks.check(order, now))


@given(st.lists(st.tuples(proposals, situations()), max_size=30), st.integers(1, 5))
def test_both_take_a_token_for_the_same_orders(orders, rate) -> None:
    one, other = TokenBucket(rate), TokenBucket(rate)
    for order, now in orders:
        now.bucket = one
        native = check(order, now)
        now.bucket = other
        assert native == clamped(table_of_checks.check(order, now))


class Configured:
    """Limits as a TOML has them."""

    max_order_qty = "0.5"
    max_order_notional = "900"
    max_position_qty = "0.9"
    max_position_notional = "1500"
    max_open_orders = 4
    max_orders_per_s = None
    price_band_bps = 5000
    max_exposure = "2000"
    max_data_age_ms = 1
    max_drawdown = max_daily_loss = max_losses_in_a_row = None


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.integers(0, 1), st.booleans(), st.integers(1, 500), st.booleans()), max_size=8),
    st.integers(0, 1), st.booleans(), st.integers(0, 600).map(lambda n: n * 5), st.integers(0, 30_000).map(lambda n: n * 10),
    st.sampled_from([OrderType.LIMIT, OrderType.MARKET]), st.integers(0, 5), st.integers(0, 3_000_000),
)  # fmt: skip
def test_the_gate_over_an_account_is_the_table_too(
    history, slot, is_buy, qty, price, kind, open_orders, age
) -> None:
    account = Account(10**6, leverage=10)
    for terms in TERMS[:2]:
        account.add(terms)
    gate = RiskGate(account, Configured())
    held = [Holding(Position(terms)) for terms in TERMS[:2]]
    for at, buys, amount, rests in history:
        side = Side.BUY if buys else Side.SELL
        if rests:
            account.opened(at, side, amount, 100_000)
            held[at].open_buy += amount if buys else 0
            held[at].open_sell += 0 if buys else amount
        else:
            account.trade(at, side, 100_000, amount)
            held[at].position.apply(amount if buys else -amount, 100_000)
    other, exposure = held[1 - slot], 0
    worst = max(other.position.qty + other.open_buy, other.open_sell - other.position.qty)
    if any(at == 1 - slot and not rests for at, _, _, rests in history):  # else it has no mark
        exposure = TERMS[1 - slot].notional(100_000, worst)
    now = 10**9
    market = MarketView(99_990, 100_010, 100_000, now - age)
    order = Proposal(is_buy, qty, price, kind)
    limits_now = resolve(Configured(), TERMS[slot])
    situation = Situation(
        now, False, TERMS[slot], market, held[slot], limits_now, open_orders, None, exposure
    )
    gate.open_orders = open_orders
    found = gate.check(slot, order, best_bid=99_990, best_ask=100_010, now_ns=now, market_ts=now - age)
    assert found == clamped(table_of_checks.check(order, situation))


def test_a_gate_that_is_killed_refuses_everything() -> None:
    account = Account(10**6, leverage=10)
    account.add(TERMS[0])
    gate = RiskGate(account)
    order = Proposal(True, 100, 100_000)
    assert gate.check(0, order, best_bid=1, best_ask=2, now_ns=1) is None
    gate.killed = True
    assert gate.check(0, order, best_bid=1, best_ask=2, now_ns=1) == Breach(RejectCode.KILLED)


def test_a_gate_lets_no_instrument_through_that_is_not_on_its_list() -> None:
    account = Account(10**6, leverage=10)
    account.add(TERMS[0])
    for allowed, code in (
        (["v:A"], None),
        (["v:*"], None),
        (["w:*", "v:B"], RejectCode.NOT_ALLOWED),
        ([], RejectCode.NOT_ALLOWED),
    ):
        found = RiskGate(account, Configured(), allowed=allowed).check(
            0, Proposal(True, 100, 100_000), best_bid=99_990, best_ask=100_010, now_ns=1
        )
        assert (found and found.code) == code
