"""Orders in a backtest: when they arrive, what they fill at, what they cost, what is refused."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from libchronicle.backtest import BacktestRunner, ConstantLatency, MakerTaker
from libchronicle.errors import BacktestFailed, InvalidArgument
from libchronicle.portfolio import MONEY_EXPONENT
from libchronicle.protocol import (
    BookDelta,
    ContractKind,
    ExecType,
    OrderType,
    RejectCode,
    Side,
    instrument_id,
)
from libchronicle.strategy import Book, Context, Fill, OrderState, OrderUpdate, Refusal, Strategy

sys.path.insert(0, str(Path(__file__).parent))
from made_market import NAME, START, TICK, Timed, definition, market, tape, told_by_a_process
from quoter import Quoter

MS = 1_000_000


class Once(Strategy):
    """Sends what `order(instrument)` makes with the first book, and keeps what it hears."""

    def __init__(self, order: Any) -> None:
        self.order = order
        self.answer: Any = None
        self.sent_ns = 0
        self.updates: list[tuple[int, OrderUpdate]] = []
        self.fills: list[tuple[int, Fill]] = []
        self.stopped: Any = None

    def on_start(self, ctx: Context) -> None:
        self.instrument = ctx.subscribe(NAME)

    def on_book(self, ctx: Context, book: Book) -> None:
        if self.answer is None:
            self.sent_ns = ctx.now_ns()
            self.answer = ctx.send(self.order(self.instrument))

    def on_order(self, ctx: Context, update: OrderUpdate) -> None:
        self.updates.append((ctx.now_ns(), update.copy()))

    def on_fill(self, ctx: Context, fill: Fill) -> None:
        self.fills.append((ctx.now_ns(), fill.copy()))

    def on_stop(self, ctx: Context) -> None:
        if self.stopped is None:
            self.stopped = ctx.position(NAME).qty


def run(order: Any, records: list[Timed] | None = None, **settings: Any) -> tuple[Once, Any]:
    strategy = Once(order)
    result = BacktestRunner(tape(records or market(400)), **settings).run(strategy)
    return strategy, result


def test_a_market_order_takes_the_displayed_ask_and_pays_the_taker_fee() -> None:
    strategy, result = run(lambda made: made.market(Side.BUY, 5), fees=MakerTaker(1, 10))
    fill = strategy.fills[0][1]
    assert (fill.price, fill.qty) == (100_000 + TICK, 5)
    value = fill.price * fill.qty * 10 ** (-5 - MONEY_EXPONENT)
    assert fill.fee == value * 10 // 10_000
    assert result.fills["fee"].tolist() == [fill.fee]
    last = result.equity.row(-1)
    assert last["fees"] == fill.fee
    assert last["cash"] == 100_000 * 10**8 - value - fill.fee


def test_a_large_order_walks_the_book_and_each_level_is_a_fill() -> None:
    strategy, _ = run(lambda made: made.market(Side.BUY, 120))
    assert [(fill.price, fill.qty) for _, fill in strategy.fills] == [
        (100_000 + TICK, 50),
        (100_000 + 2 * TICK, 50),
        (100_000 + 3 * TICK, 20),
    ]


def test_requests_and_reports_take_their_latency() -> None:
    latency = ConstantLatency(entry_us=3000, response_us=4000)
    strategy, result = run(lambda made: made.post_only(Side.BUY, 99_000, 1), latency=latency)
    row = result.orders.row(0)
    assert row["arrived_ns"] == strategy.sent_ns + 3 * MS
    heard, ack = strategy.updates[0]
    assert ack.exec_type is ExecType.ACK
    assert ack.venue_ts == row["arrived_ns"]
    assert heard == row["arrived_ns"] + 4 * MS


def test_an_order_meets_the_book_of_its_arrival_not_of_its_sending() -> None:
    records = market(0)
    gone = BookDelta(
        instrument_id=instrument_id(NAME),
        first_update_id=11,
        last_update_id=11,
        asks=[(100_000 + TICK, 0)],
        bids=[],
    )
    records.append((START + 2 * MS, gone))
    records.append(
        (START + 9 * MS, BookDelta(instrument_id=instrument_id(NAME), first_update_id=12, last_update_id=12))
    )
    late, _ = run(lambda made: made.market(Side.BUY, 1), records, latency=ConstantLatency(3000, 0))
    early, _ = run(lambda made: made.market(Side.BUY, 1), records, latency=ConstantLatency(1000, 0))
    assert [fill.price for _, fill in late.fills] == [100_000 + 2 * TICK]
    assert [fill.price for _, fill in early.fills] == [100_000 + TICK]


def test_what_the_account_cannot_pay_is_refused_with_a_code() -> None:
    strategy, result = run(lambda made: made.market(Side.BUY, 5), cash=1)
    assert [update.exec_type for _, update in strategy.updates] == [ExecType.REJECT]
    code = strategy.updates[0][1].reject_code
    assert result.rejects == {code.name: 1}
    assert RejectCode(result.orders["reject_code"][0]) is code
    assert result.orders["state"][0] == OrderState.REJECTED


def test_spot_is_not_sold_short_without_credit_and_is_with_it() -> None:
    short, _ = run(lambda made: made.market(Side.SELL, 5))
    assert not short.fills
    credit, _ = run(lambda made: made.market(Side.SELL, 5), leverage=5)
    assert credit.stopped == -5


def test_an_order_after_the_stop_is_refused_and_open_orders_are_cancelled_at_the_end() -> None:
    class Late(Once):
        def on_stop(self, ctx: Context) -> None:
            self.stopped = ctx.cancel_all()

        def on_save(self, ctx: Context) -> Any:
            return ctx.send(self.order(self.instrument))

    strategy = Late(lambda made: made.post_only(Side.BUY, 99_000, 1))
    result = BacktestRunner(tape(market(100))).run(strategy)
    assert strategy.stopped == 1
    assert result.state is Refusal.NOT_TRADING
    assert [update.exec_type for _, update in strategy.updates] == [ExecType.ACK, ExecType.CANCELLED]


class Raises(Quoter):
    def on_trade(self, ctx: Context, trade: Any) -> None:
        super().on_trade(ctx, trade)
        if len(self.heard) > 300:
            raise ZeroDivisionError("a bug of the strategy")


class RaisesAtOnce(Quoter):
    def on_start(self, ctx: Context) -> None:
        raise ZeroDivisionError("a bug of its start")


def test_a_strategy_that_raises_at_its_start_has_no_result() -> None:
    with pytest.raises(BacktestFailed, match="ZeroDivisionError: a bug of its start") as raised:
        BacktestRunner(tape(market(10))).run(RaisesAtOnce())
    assert raised.value.result is None
    assert isinstance(raised.value.__cause__, ZeroDivisionError)


def test_a_strategy_that_raises_ends_the_run_with_its_orders_cancelled_and_its_position_kept() -> None:
    runner = BacktestRunner(tape(market(800)), leverage=5)
    with pytest.raises(BacktestFailed, match="ZeroDivisionError: a bug") as raised:
        runner.run(Raises())
    result = raised.value.result
    assert isinstance(raised.value.__cause__, ZeroDivisionError)
    assert "on_trade" in result.failure
    assert not [state for state in result.orders["state"] if state <= OrderState.PARTIAL]
    kept = runner.run(Raises(), keep_failure=True)
    assert kept.hash == result.hash
    assert kept.fills["position"][-1] == result.fills["position"][-1]


def test_cash_inventory_and_fees_add_up_after_every_fill() -> None:
    result = BacktestRunner(tape(market(4000)), fees=MakerTaker(1, 5), leverage=5).run(Quoter(3))
    fills = result.fills
    assert len(fills) > 100
    position = cash = fees = 0
    for number in range(len(fills)):
        row = fills.row(number)
        sign = 1 if row["side"] == Side.BUY else -1
        position += sign * row["qty"]
        cash -= sign * row["qty"] * row["price"] * 1000
        fees += row["fee"]
        assert row["position"] == position
    last = result.equity.row(-1)
    assert last["cash"] == 100_000 * 10**8 + cash - fees
    assert last["fees"] == fees
    filled = {int(order): 0 for order in result.orders["id"]}
    for order, qty in zip(fills["order_id"], fills["qty"], strict=True):
        filled[int(order)] += int(qty)
    assert list(filled.values()) == result.orders["cum_qty"].tolist()


def test_no_fill_is_through_its_limit_and_makers_fill_at_it() -> None:
    result = BacktestRunner(tape(market(4000, seed=5)), leverage=5).run(Quoter(4))
    limits = dict(zip(result.orders["id"].tolist(), result.orders["price"].tolist(), strict=True))
    types = dict(zip(result.orders["id"].tolist(), result.orders["type"].tolist(), strict=True))
    replaced = False
    for number in range(len(result.fills)):
        row = result.fills.row(number)
        if types[row["order_id"]] == OrderType.LIMIT and not replaced:
            better = row["price"] - limits[row["order_id"]]
            assert better * (1 if row["side"] == Side.BUY else -1) <= TICK * 400
        assert result.explain(number)


def test_an_explanation_names_the_rule_the_level_and_the_record() -> None:
    _, result = run(lambda made: made.market(Side.BUY, 5))
    assert result.explain(0).startswith(f"BUY 0.005 {NAME} @ 1000.1: it took what the book displayed")
    with pytest.raises(InvalidArgument, match="a row of fills"):
        result.explain(1)


def test_tables_become_arrow_and_polars() -> None:
    _, result = run(lambda made: made.market(Side.BUY, 5))
    assert result.fills.to_arrow().num_rows == 1
    assert result.orders.to_polars().height == 1
    assert result.equity.to_polars()["equity"].len() == len(result.equity)


def test_equity_is_sampled_on_a_grid_and_at_fills() -> None:
    _, result = run(lambda made: made.market(Side.BUY, 5), market(5000), sample_ms=100)
    times = result.equity["ts_ns"].tolist()
    assert times == sorted(times)
    grid = [ts for ts in times if ts % (100 * MS) == 0]
    assert len(grid) >= (result.end_ns - result.start_ns) // (100 * MS) - 1
    assert int(result.fills["ts_ns"][0]) in times


def test_a_leveraged_position_is_liquidated_when_equity_falls_to_the_margin() -> None:
    records = market(0)
    records[0] = (START, definition(kind=ContractKind.LINEAR))
    number, update = instrument_id(NAME), 10
    for step in range(1, 60):
        low = 100_000 - step * 100 * TICK
        asks = [(price, 0) for price in range(low + TICK, 100_000 + 21 * TICK, TICK)] if step == 1 else []
        bids = [(100_000 - TICK * i, 0) for i in range(1, 21)] if step == 1 else [(low + 100 * TICK, 0)]
        asks = [*asks, (low + TICK, 500), *([(low + 101 * TICK, 0)] if step > 1 else [])]
        update += 1
        delta = BookDelta(
            instrument_id=number,
            first_update_id=update,
            last_update_id=update,
            bids=[*bids, (low, 500)],
            asks=asks,
        )
        records.append((START + step * MS, delta))
    strategy, result = run(lambda made: made.market(Side.BUY, 50), records, cash="10", leverage=10)
    assert result.liquidations == 1
    assert strategy.stopped == 0
    assert "the venue closed the position" in result.explain(-1)


def test_an_instrument_whose_definition_names_no_currency_trades_all_the_same() -> None:
    records = market(200)
    bare = definition("made-up-venue:ALONGSYMBOL", kind=ContractKind.LINEAR)
    bare.instrument_id = instrument_id(NAME)
    bare.venue, bare.symbol = "made-up", "AAAUSD"
    bare.base_currency = bare.quote_currency = bare.settle_currency = ""
    records[0] = (START, bare)
    strategy, _ = run(lambda made: made.market(Side.BUY, 5), records)
    assert len(strategy.fills) == 1


HASHES = """
from made_market import market, tape
from quoter import Quoter
from libchronicle.backtest import BacktestRunner, ConstantLatency
result = BacktestRunner(tape(market(3000)), leverage=5, latency=ConstantLatency(900, 700)).run(Quoter(7))
print(result.hash, len(result.fills))
"""


def test_two_processes_with_other_hash_seeds_trade_the_same() -> None:
    assert told_by_a_process(HASHES, hash_seed=1) == told_by_a_process(HASHES, hash_seed=77) != ""
