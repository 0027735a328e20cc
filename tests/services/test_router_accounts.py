"""Accounts at the paper venue: the same code, answers and balances as in a backtest, over restarts too."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from libchronicle.backtest import BacktestRunner, Tape
from libchronicle.backtest.tape import records_of
from libchronicle.book import L2Book
from libchronicle.portfolio import FeeSchedule, money
from libchronicle.portfolio.fees import rate_of_bps
from libchronicle.protocol import (
    AccountReport,
    BookSnapshot,
    ExecutionReport,
    RejectCode,
    ReplaceOrder,
    RiskEvent,
    Side,
    instrument_id,
)
from libchronicle.runtime.config import FeesConfig, Limits, PaperConfig, RiskConfig, RouterConfig
from libchronicle.testing import sample_market
from tests.services.paper_desk import PaperDesk, Scripted, Sent, had_at, heard_in, seq_of

SPOT, USDM = "binance-spot:BTCUSDT", "binance-usdm:BTCUSDT"
PATIENT = 3_600_000  # ms: a backtest has no time of validity of its own

TIERS = (("1000", 1.0, 4.0), ("50000", 0.5, 3.0))
FEES = {
    "plain": FeesConfig(maker_bps=1.0, taker_bps=5.0),
    "flat": FeesConfig(per_order="0.5", per_trade="0.25", per_contract="2"),
    "tiers": FeesConfig(maker_bps=2.0, taker_bps=6.0, tiers=TIERS, volume="2000"),
}


def schedule(fees: FeesConfig) -> FeeSchedule:
    """What a user of BacktestRunner would write for it."""
    return FeeSchedule(
        rate_of_bps(fees.maker_bps), rate_of_bps(fees.taker_bps), per_order=money(fees.per_order, "fee"),
        per_trade=money(fees.per_trade, "fee"), per_contract=money(fees.per_contract, "fee"),
        tiers=[(money(v, "volume"), rate_of_bps(m), rate_of_bps(t)) for v, m, t in fees.tiers],
        volume=money(fees.volume, "volume"),
    )  # fmt: skip


def router(cash: dict[str, str], fees: FeesConfig, leverage: float | None = None) -> RouterConfig:
    paper = PaperConfig(cash=cash, fees={"*": fees}, leverage={"*": leverage} if leverage else {})
    return RouterConfig(valid_for_ms=PATIENT, paper=paper)


@pytest.mark.parametrize("fees", FEES)
@pytest.mark.parametrize(
    ("name", "cash", "leverage"),
    [
        (SPOT, {"USDT": "9000", "BTC": "0.1"}, None),
        (SPOT, {"USDT": "4000"}, 3.0),
        (USDM, {"USDT": "3000"}, 5.0),
    ],
)
def test_paper_and_backtest_refuse_the_same_orders_and_tell_the_same_balances(
    name: str, cash: dict[str, str], leverage: float | None, fees: str
) -> None:
    seed = (
        1  # some others make too few refusals to say anything, or cancel what was filled in the same instant
    )
    print("seed", seed)
    tape = sample_market(name, seconds=10, seed=seed)
    strategy = Scripted(name, seed)
    runner = BacktestRunner(
        tape, instruments=[name], cash=cash, leverage=leverage, fees=schedule(FEES[fees]), guard="off"
    )
    result = runner.run(strategy)
    desk = PaperDesk(router(cash, FEES[fees], leverage), tape)
    for one in strategy.sent:
        desk.until(one.sent_ns)
        desk.send(one.seq, one.message, one.sent_ns)
    desk.until(strategy.had[-1][0])
    again = heard_in(desk.events())
    assert again == strategy.heard[: len(again)]
    assert (
        len(strategy.heard) - len(again) <= result.requests - len(strategy.sent) + 200
    )  # cancelled at the end
    times = [time for time, _ in strategy.had]
    for (time, had), told in zip(strategy.had, had_at(desk.events(), times), strict=True):
        assert {currency: had[currency] for currency in told} == told, time - times[0]
    assert sum(one.code == "INSUFFICIENT_BALANCE" for one in again) > 3
    assert sum(one.kind == "fill" for one in again) > 3


class Restops(Scripted):
    """Waits with a stop-market order for nearly all of its money, then changes it: a price means nothing to it."""

    def act(self, ctx: Any, i: Any) -> None:
        orders = ctx.orders(i)
        if not orders:
            stop = i.book.ask_price + 5000 * i.tick_size
            self.new(ctx, i, i.stop_market(Side.BUY, stop, 7_500 * i.lot_size))
            return
        one = orders[0]
        change = [{"price": 2 * one.stop_price}, {"qty": one.qty - 100 * i.lot_size}, {"qty": 3 * one.qty}][
            len(self.sent) % 3
        ]
        message = ReplaceOrder(
            instrument_id=i.id, order_seq=seq_of(one.id), order_epoch=1,
            price=change.get("price", one.price), qty=change.get("qty", one.qty),
        )  # fmt: skip
        assert ctx.replace(one.id, **change) is True
        self.sent.append(Sent(len(self.sent), message, ctx.now_ns()))


@pytest.mark.parametrize("leverage", [None, 1.0])
def test_a_changed_stop_is_paid_for_at_its_stop_price_on_paper_and_in_a_backtest(
    leverage: float | None,
) -> None:
    tape = sample_market(SPOT, seconds=2, seed=7)
    strategy = Restops(SPOT, 1)
    fees, cash = FEES["plain"], {"USDT": "5000"}
    BacktestRunner(
        tape,
        instruments=[SPOT],
        cash=cash,
        leverage=leverage,
        fees=schedule(fees),
        limits=Limits(price_band_bps=1),
    ).run(strategy)
    desk = PaperDesk(router(cash, fees, leverage), tape)
    desk.client.set_limits(Limits(price_band_bps=1), "paper", RiskConfig())
    desk.play(strategy.sent)
    again = heard_in(desk.events())
    assert again == strategy.heard[: len(again)]
    assert {one.kind for one in again} == {"ACK", "REPLACED", "REPLACE_REJECT"}
    assert {one.code for one in again} == {"NONE", "INSUFFICIENT_BALANCE"}
    assert not any(one.price for one in again[:1])


@pytest.mark.parametrize("on_trip", ["reject", "cancel"])
def test_limits_and_a_loss_streak_stop_the_same_orders_on_paper_and_in_a_backtest(on_trip: Any) -> None:
    seed = random.randrange(1 << 30)
    print("seed", seed)
    cash, tape = {"USDT": "30000", "BTC": "0.3"}, sample_market(SPOT, seconds=12, seed=seed)
    limits = Limits(
        max_order_qty="0.005", max_position_qty="0.01", max_open_orders=6, max_orders_per_s=45,
        max_order_notional="290", max_losses_in_a_row=2,
    )  # fmt: skip
    risk = RiskConfig(on_trip=on_trip, breaker_reset="cooldown", breaker_cooldown_s=1.0)
    strategy = Scripted(SPOT, seed)
    BacktestRunner(
        tape,
        instruments=[SPOT],
        cash=cash,
        fees=schedule(FEES["plain"]),
        limits=limits,
        risk=risk,
        guard="off",
    ).run(strategy)
    settings = msgspec.structs.replace(router(cash, FEES["plain"]), limits=limits)
    desk = PaperDesk(settings, tape, risk)
    desk.play(strategy.sent)
    desk.until(strategy.had[-1][0])
    again = heard_in(desk.events())
    assert again == strategy.heard[: len(again)]
    codes = {one.code for one in again}
    assert {"ORDER_SIZE_LIMIT", "NOTIONAL_LIMIT", "LOSS_STREAK"} <= codes, codes
    trips = [one for one in desk.events() if isinstance(one, RiskEvent)]
    assert trips


class Heavy(Scripted):
    """As much as the leverage gives, and an order that waits below."""

    def act(self, ctx: Any, i: Any) -> None:
        if not self.sent:
            self.new(ctx, i, i.market(Side.BUY, "0.15"))
            self.new(ctx, i, i.limit(Side.BUY, i.book.bid_price - 40_000 * i.tick_size, "0.002"))


def falling(name: str, first: int = 1) -> Tape:
    """A quiet second, then the market falls by a tenth of a percent every 20 ms; at first by so many of them."""
    quiet = sample_market(name, seconds=1, seed=1)
    tape, book = Tape(quiet.feed), L2Book(instrument_id(name))
    for kind, payload, ts_ns in records_of(quiet):
        tape.append(kind, payload, ts_ns)
        book.apply(kind, bytes(payload))
    bid, update = book.best_bid[0], 10**9
    for step in range(first, 60):
        price = bid * (1000 - step) // 1000
        shown = BookSnapshot(
            instrument_id=instrument_id(name), last_update_id=update + step,
            bids=[(price, 1_000_000)], asks=[(price + 1, 1_000_000)],
        )  # fmt: skip
        tape.append(shown.TEMPLATE_ID, shown.encode(), quiet.last_ns + step * 20_000_000)
    tape.seal()
    return tape


def test_who_falls_to_the_maintenance_margin_is_liquidated_as_in_a_backtest_and_over_a_restart() -> None:
    cash, fees, tape = {"USDT": "300"}, FEES["plain"], falling(USDM)
    strategy = Heavy(USDM, 1)
    result = BacktestRunner(
        tape, instruments=[USDM], cash=cash, leverage=50, fees=schedule(fees), guard="off"
    ).run(strategy)
    assert result.liquidations == 1
    desk = PaperDesk(router(cash, fees, 50), tape)
    for one in strategy.sent:
        desk.until(one.sent_ns)
        desk.send(one.seq, one.message, one.sent_ns)
    desk.until(tape.last_ns)
    assert desk.account.liquidations == 1
    again = heard_in(desk.events())
    assert again[-1].code == "LIQUIDATION"
    assert again == strategy.heard[: len(again)]
    assert had_at(desk.events(), [tape.last_ns])[-1] == {"USDT": strategy.had[-1][1]["USDT"]}
    (event,) = [one for one in desk.events() if isinstance(one, RiskEvent)]
    assert (event.code, event.actual_value) == (RejectCode.LIQUIDATION, 150)
    before = state_of(desk)
    assert before["position"][0] == 0
    for _ in range(2):  # from the steps, from the checkpoint
        desk.start()
        assert state_of(desk) == before


def test_a_liquidation_below_zero_is_the_venues_loss_and_stays_so_over_a_restart() -> None:
    tape = falling(USDM, first=50)
    strategy = Heavy(USDM, 1)
    BacktestRunner(tape, instruments=[USDM], cash={"USDT": "300"}, leverage=50, guard="off").run(strategy)
    desk = PaperDesk(router({"USDT": "300"}, FeesConfig(), 50), tape)
    for one in strategy.sent:
        desk.until(one.sent_ns)
        desk.send(one.seq, one.message, one.sent_ns)
    desk.until(tape.last_ns)
    assert desk.account.balance("USDT") == 0
    assert desk.account.shortfall("USDT") > 0
    before = state_of(desk)
    for _ in range(2):
        desk.start()
        assert state_of(desk) == before


def spot(cash: dict[str, str], **more: Any) -> tuple[PaperDesk, Scripted]:
    """A desk that has played half of a script."""
    tape = sample_market(SPOT, seconds=8, seed=3)
    strategy = Scripted(SPOT, 3)
    BacktestRunner(tape, instruments=[SPOT], cash=cash, guard="off").run(strategy)
    desk = PaperDesk(router(cash, FEES["tiers"], **more), tape)
    for one in strategy.sent[: len(strategy.sent) // 2]:
        desk.until(one.sent_ns)
        desk.send(one.seq, one.message, one.sent_ns)
    return desk, strategy


def state_of(desk: PaperDesk) -> dict[str, Any]:
    account = desk.account
    slot = account.find(account.terms[0].instrument_id)
    position = account.position(slot)
    return {
        "balances": {name: account.mantissas(name) for name in account.currencies},
        "memory": account.memory(),
        "open": account.open_qty(slot),
        "position": (position.qty, position.cost, position.realized, position.fees),
    }


@pytest.mark.parametrize("way", ["checkpoint", "replay"])
def test_a_restart_forgets_no_balance_no_reserve_and_no_traded_volume(way: str) -> None:
    desk, _ = spot({"USDT": "9000", "BTC": "0.1"})
    before = state_of(desk)
    assert before["memory"]["volumes"]
    assert before["open"] != (0, 0)
    assert before["position"][0] != 0
    desk.told.records.clear()
    desk.start()  # the journal as a crash leaves it: the checkpoint, and every step since
    if way == "checkpoint":
        desk.start()  # now all of it stands in the checkpoint
    assert state_of(desk) == before
    told = {
        one.currency: (one.balance, one.available, one.exponent)
        for one in desk.events()
        if isinstance(one, AccountReport)
    }
    assert told == before["balances"]


def test_more_cash_in_the_configuration_is_a_deposit() -> None:
    desk, _ = spot({"USDT": "9000", "BTC": "0.1"})
    before = desk.account.balance("USDT")
    desk.router = router({"USDT": "10000.5", "BTC": "0.1"}, FEES["tiers"])
    desk.start()
    assert desk.account.balance("USDT") - before == Decimal("1000.5")


def test_without_cash_nothing_is_refused_for_money_and_balances_are_what_trading_brought() -> None:
    tape = sample_market(SPOT, seconds=4, seed=5)
    strategy = Scripted(SPOT, 5)
    BacktestRunner(tape, instruments=[SPOT], cash={"USDT": "1000000", "BTC": "100"}, guard="off").run(
        strategy
    )
    desk = PaperDesk(RouterConfig(valid_for_ms=PATIENT, taker_fee_bps=5.0), tape)
    for one in strategy.sent:
        desk.until(one.sent_ns)
        desk.send(one.seq, one.message, one.sent_ns)
    events = desk.events()
    assert RejectCode.INSUFFICIENT_BALANCE not in {
        e.reject_code for e in events if isinstance(e, ExecutionReport)
    }
    position = next(iter(desk.state.ledger.holdings.values())).position
    last = [one for one in events if isinstance(one, AccountReport)][-1]
    assert (last.currency, last.balance) == ("USDT", position.realized - position.fees)
