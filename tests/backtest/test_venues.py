"""Several venues in one run, each with latencies of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from libchronicle.backtest import BacktestResult, BacktestRunner, ConstantLatency, JitterLatency, Plan
from libchronicle.errors import InvalidArgument
from libchronicle.protocol import BookDelta, ExecType, Side, Trade, instrument_id
from libchronicle.strategy import Book, Context, OrderUpdate, Strategy

sys.path.insert(0, str(Path(__file__).parent))
from made_market import NAME, START, TICK, Timed, market, tape

MS = 1_000_000
FAR = "far-away:AAAUSD"


def quiet(name: str, beats: int = 200) -> list[Timed]:
    """A book that never changes, told of again every millisecond."""
    delta = BookDelta(instrument_id=instrument_id(name), bids=[], asks=[])
    return [*market(0, name=name), *((START + (beat + 1) * MS, delta) for beat in range(beats))]


def both(*names: str) -> list[Any]:
    return [tape(quiet(name), feed=name.partition(":")[0]) for name in names or (NAME, FAR)]


class Asks(Strategy):
    """Sends an order to each venue at once; at the end cancels everything. `heard`: what came back, when and of whom."""

    def __init__(self, *names: str, cancel_ms: int = 100) -> None:
        self.names = names or (NAME, FAR)
        self.cancel_ms = cancel_ms
        self.heard: list[tuple[int, str, ExecType]] = []
        self.exec_ids: list[int] = []

    def on_start(self, ctx: Context) -> None:
        for name in self.names:
            ctx.subscribe(name)
        ctx.set_timer("send", after_ms=5)
        ctx.set_timer("cancel", after_ms=self.cancel_ms)

    def on_timer(self, ctx: Context, name: str) -> None:
        if name == "cancel":
            ctx.cancel_all()
            return
        for one in self.names:
            instrument = ctx.instrument(one)
            ctx.send(instrument.market(Side.BUY, 1))
            ctx.send(instrument.post_only(Side.BUY, 90_000, 1))

    def on_order(self, ctx: Context, update: OrderUpdate) -> None:
        self.heard.append((ctx.now_ns() - START, update.instrument.name, update.exec_type))
        self.exec_ids.append(update.exec_id)


def run(strategy: Strategy, latency: Any, data: Any = None, **settings: Any) -> BacktestResult:
    return BacktestRunner(both() if data is None else data, latency=latency, **settings).run(strategy)


def test_requests_and_reports_take_the_time_of_their_venue() -> None:
    asks = Asks()
    result = run(asks, {"made-up": ConstantLatency(1000, 2000), "far-away": ConstantLatency(30_000, 20_000)})
    arrived = {NAME: 6 * MS, FAR: 35 * MS}
    names = [result.instruments[i] for i in result.orders["instrument"].tolist()]
    assert [ns - START for ns in result.orders["arrived_ns"].tolist()] == [arrived[name] for name in names]
    acks = {(at, name) for at, name, kind in asks.heard if kind == ExecType.ACK}
    assert acks == {(8 * MS, NAME), (55 * MS, FAR)}
    cancelled = [(at, name) for at, name, kind in asks.heard if kind == ExecType.CANCELLED]
    assert cancelled == [(103 * MS, NAME), (150 * MS, FAR)]


def test_execution_ids_rise_in_the_order_of_delivery_and_no_report_is_passed_over() -> None:
    asks = Asks()
    slow_first = {"made-up": ConstantLatency(100, 40_000), "far-away": ConstantLatency(3000, 100)}
    result = run(asks, slow_first)
    assert asks.exec_ids == list(range(1, len(asks.exec_ids) + 1))
    assert len(asks.heard) == 8  # two orders of each venue: ACK, FILL; ACK, CANCELLED
    assert sorted(result.fills["exec_id"].tolist()) == [
        number
        for number, (_, _, kind) in zip(asks.exec_ids, asks.heard, strict=True)
        if kind == ExecType.FILL
    ]
    assert [name for _, name, kind in asks.heard if kind == ExecType.FILL] == [FAR, NAME]


def test_positions_and_balances_are_those_of_the_fills_whatever_the_latencies() -> None:
    class Holds(Asks):
        def on_stop(self, ctx: Context) -> None:
            self.held = [ctx.position(name).qty for name in self.names]
            self.cash = ctx.balance("USD").total

    apart, together = Holds(), Holds()
    run(apart, {"made-up": ConstantLatency(10, 20_000), "far-away": ConstantLatency(900, 10)})
    run(together, ConstantLatency(10, 10))
    assert apart.held == together.held == [1, 1]
    assert apart.cash == together.cash


def test_a_feed_latency_is_that_of_its_venue() -> None:
    """A trade through both orders at one time: the venue with the latency knew of it earlier."""
    data = []
    for name in (NAME, FAR):
        through = Trade(
            instrument_id=instrument_id(name), price=80_000, qty=1, aggressor=Side.SELL, trade_id=1
        )
        data.append(
            tape(
                sorted([*quiet(name), (START + 60 * MS, through)], key=lambda one: one[0]),
                name.partition(":")[0],
            )
        )
    latency = {"made-up": ConstantLatency(0, 0), "far-away": ConstantLatency(0, 0, feed_us=20_000)}
    result = run(Asks(), latency, data)
    times = {
        result.instruments[result.fills["instrument"][row]]: int(result.fills["ts_ns"][row]) - START
        for row in range(len(result.fills))
        if result.fills["price"][row] == 90_000
    }
    assert times == {NAME: 60 * MS, FAR: 40 * MS}


def test_one_model_for_each_is_what_one_for_all_is_when_they_are_equal() -> None:
    class Bids(Strategy):
        def on_start(self, ctx: Context) -> None:
            for name in (NAME, FAR):
                ctx.subscribe(name)

        def on_book(self, ctx: Context, book: Book) -> None:
            if book.bid_price is not None and not ctx.orders(book.instrument):
                ctx.send(book.instrument.post_only(Side.BUY, book.bid_price - TICK, 2))

    data = [tape(market(1500, seed, name), name.partition(":")[0]) for seed, name in ((1, NAME), (2, FAR))]
    one = run(Bids(), ConstantLatency(300, 400), data)
    each = run(Bids(), dict.fromkeys(("made-up", "far-away"), ConstantLatency(300, 400)), data)
    assert [one.fills[name].tolist() for name in ("ts_ns", "price", "qty", "order_id")] == [
        each.fills[name].tolist() for name in ("ts_ns", "price", "qty", "order_id")
    ]
    assert len(one.fills) > 10
    jitter = {"made-up": JitterLatency(500, 500, sigma=1.0), "far-away": JitterLatency(5000, 500)}
    assert run(Bids(), jitter, data).hash == run(Bids(), jitter, data).hash


@pytest.mark.parametrize(
    ("latency", "said"),
    [
        ({"made-up": None}, r"far-away.*far-away, made-up; it has no model"),
        ({"made-up": None, "far-away": None, "nasdaq": None}, r"nasdaq.*it is none of the run's"),
        ({"made-up": None, "far-of": None}, r"far-away.*has no model"),
        ({}, "none is named"),
    ],
)
def test_a_venue_without_a_model_and_a_model_without_a_venue_are_errors(latency: Any, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        run(Asks(), latency)


STRATEGY = """
from libchronicle.strategy import Side, Strategy

class Takes(Strategy):
    def on_start(self, ctx):
        self.sent = set()

    def on_book(self, ctx, book):
        if book.instrument.name not in self.sent and ctx.can_send:
            self.sent.add(book.instrument.name)
            ctx.send(book.instrument.market(Side.BUY, 1))
"""
TOML = f"""
version = 1
id = "takes"
file = "takes.py"
class = "Takes"
subscribe = ["{NAME}", "{FAR}"]

[backtest]
fees = "0,10"
chances = "slippage=1,slippage_ticks=2"

[backtest.latency]
made-up = "constant:1000,1000"
far-away = "constant:50000,1000"
"""


def test_the_toml_says_it_a_plan_keeps_it_and_a_sweep_changes_one_venue(tmp_path: Path) -> None:
    (tmp_path / "takes.py").write_text(STRATEGY)
    (tmp_path / "takes.toml").write_text(TOML)
    result = BacktestRunner.from_toml(tmp_path / "takes.toml", both()).run()
    delays = (result.orders["arrived_ns"] - result.orders["sent_ns"]).tolist()
    assert sorted(delays) == [MS, 50 * MS]
    assert set(result.fills["price"].tolist()) == {100_000 + 3 * TICK}  # two ticks above the touch
    assert (result.fills["fee"] > 0).all()
    plan = Plan.of_toml(tmp_path / "takes.toml", data=("nowhere",))
    assert plan.latency == {"made-up": "constant:1000,1000", "far-away": "constant:50000,1000"}
    near = plan.replace({"latency.far-away": "constant:5,5"})
    assert near.latency == {"made-up": "constant:1000,1000", "far-away": "constant:5,5"}
    assert plan.replace({"latency": "none"}).latency == "none"  # as the envelope does
    assert plan.chances == "slippage=1,slippage_ticks=2"
    with pytest.raises(InvalidArgument, match=r"latency\.far-away"):
        plan.replace({"latency-far-away": "none"})
    free = BacktestRunner.from_toml(
        tmp_path / "takes.toml", both(), chances=None, latency=None, fees=None
    ).run()
    assert set(free.fills["price"].tolist()) == {100_000 + TICK}
    assert not free.fills["fee"].any()
