"""Records that cannot be, and strategies that raise what is no Exception: a typed end or a gap, never silence."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from libchronicle.backtest import BacktestResult, BacktestRunner, ConstantLatency, Plan, ProbQueue, sweep
from libchronicle.errors import BacktestFailed, ReplayGap, StrategyFileError
from libchronicle.protocol import (
    BookDelta,
    Gap,
    GapReason,
    Instrument,
    OrderAdd,
    Side,
    Trade,
    instrument_id,
)
from libchronicle.strategy import Book, Context, FeedState, OrderState, Strategy
from libchronicle.strategy import Trade as TradeView
from libchronicle.strategy.loader import load_strategy_class

sys.path.insert(0, str(Path(__file__).parent))
from joiner import Joiner, run
from made_market import NAME, Timed, archive, definition, market, tape
from made_orders import events, records


class Watches(Joiner):
    """Joins queues, and writes down what it sees."""

    def on_start(self, ctx: Context) -> None:
        super().on_start(ctx)
        self.trades: list[int] = []
        self.states: list[FeedState] = []

    def on_trade(self, ctx: Context, trade: TradeView) -> None:
        self.trades.append(trade.qty)

    def on_feed_state(self, ctx: Context, feed: str, state: FeedState) -> None:
        self.states.append(state)


def broken_by(record: Any) -> list[Timed]:
    found = records(events(1200, 3))
    return [*found[:600], (found[600][0], record), *found[600:]]


def level_definition() -> Instrument:
    return definition()


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (Trade(instrument_id=instrument_id(NAME), price=100_000, qty=-5, trade_id=1), "a trade that cannot"),
        (level_definition(), "a definition that does not fit"),
    ],
)
def test_a_record_that_cannot_be_is_a_gap_and_nobody_is_shown_it(record: Any, reason: str) -> None:
    strategy = Watches()
    result = run(tape(broken_by(record)), strategy)
    assert result.gaps == 1
    assert min(strategy.trades) > 0
    assert strategy.states[-1] == FeedState.SYNCING
    with pytest.raises(ReplayGap, match=reason):
        run(tape(broken_by(record)), Watches(), gaps="stop")
    plain, ignored = Watches(), Watches()
    whole = run(tape(records(events(1200, 3))), plain)
    passed = run(tape(broken_by(record)), ignored, gaps="ignore")
    assert ignored.trades == plain.trades
    assert len(passed.fills) == len(whole.fills) > 10


def bad_records(of: list[Timed], at: int) -> dict[str, Any]:
    known = max(getattr(one, "last_update_id", 0) for _, one in of[:at])
    common = {"instrument_id": instrument_id(NAME), "prev_update_id": known}
    one, later = known + 1, known + 6
    return {
        "less than nothing": BookDelta(
            first_update_id=one, last_update_id=one, bids=[(99_000, -1)], asks=[], **common
        ),
        "a single order": OrderAdd(
            instrument_id=instrument_id(NAME), order_id=5, side=Side.BUY, price=99_000, qty=1, venue_seq=1
        ),
        "an impossible trade": Trade(instrument_id=instrument_id(NAME), price=99_000, qty=-1, trade_id=1),
        "a gap": Gap(instrument_id=instrument_id(NAME), reason=GapReason.SEQUENCE),
        "missing ids": BookDelta(
            first_update_id=later,
            last_update_id=later,
            bids=[],
            asks=[],
            **common | {"prev_update_id": later - 1},
        ),
    }


@pytest.mark.parametrize("name", bad_records(market(1), 2))
@pytest.mark.parametrize(
    "latency", [ConstantLatency(100, 100), ConstantLatency(100, 100, feed_us=300)], ids=repr
)
def test_ignored_means_that_the_venue_ignores_it_too_and_a_gap_is_one_gap(
    name: str, latency: ConstantLatency
) -> None:
    plain = market(600, seed=5)
    at = 300
    broken = [*plain[:at], (plain[at][0], bad_records(plain, at)[name]), *plain[at:]]

    def played(data: list[Timed], gaps: str) -> BacktestResult:
        settings: dict[str, Any] = {"cash": 10**9, "leverage": 10, "latency": latency, "gaps": gaps}
        return run(tape(data), Joiner(share=0.4), ProbQueue(2), **settings)

    ignored = played(broken, "ignore")
    assert "NO_MARKET" not in ignored.rejects
    if name != "missing ids":  # whose record makes those after it old ones
        assert len(ignored.fills) == len(played(plain, "resync").fills) > 20
    assert played(broken, "resync").gaps == 1


class Odd(BaseException):
    """No Exception."""


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even this")


ODD = [Odd("odd"), asyncio.CancelledError(), SystemExit(3), GeneratorExit(), Mute()]


@pytest.mark.parametrize("error", ODD, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("where", ["on_start", "on_book", "on_stop", "on_save"])
def test_whatever_a_strategy_raises_ends_its_run_with_the_result(where: str, error: BaseException) -> None:
    class Raises(Strategy):
        def on_book(self, ctx: Context, book: Book) -> None:
            if not ctx.orders() and book.bid_price is not None:
                ctx.send(book.instrument.buy(1, book.instrument.tick_size))

    def fails(*_: Any) -> None:
        raise error

    kept = Raises.on_book
    if where == "on_book":
        setattr(Raises, where, lambda self, ctx, book: (kept(self, ctx, book), ctx.orders() and fails()))
    else:
        setattr(Raises, where, fails)
    with pytest.raises(BacktestFailed, match=type(error).__name__) as failed:
        BacktestRunner(tape(market(300)), instruments=[NAME], guard="off").run(Raises())
    assert failed.value.__cause__ is error
    if where != "on_start":
        result = failed.value.result
        assert result is not None
        assert type(error).__name__ in result.failure
        assert result.orders["state"].tolist() == [OrderState.CANCELLED]


EXITS = """
import sys
from libchronicle.strategy import Strategy

class Leaner(Strategy):
    def __init__(self):
        sys.exit(0)
"""
TOML = f"""
version = 1
id = "leaner"
file = "leaner.py"
class = "Leaner"
subscribe = ["{NAME}"]
"""


def test_a_strategy_that_exits_where_it_is_made_is_one_failed_point(tmp_path: Path) -> None:
    (tmp_path / "leaner.py").write_text(EXITS)
    (tmp_path / "leaner.toml").write_text(TOML)
    archive(tmp_path / "archive", market(50))
    plan = Plan.of_toml(tmp_path / "leaner.toml", data=(str(tmp_path / "archive"),))
    points = sweep(plan, {"seed": [1, 2]}, tmp_path / "out", workers=1)
    assert [point.failure for point in points] == ["SystemExit: 0"] * 2


def test_a_file_that_exits_when_it_is_read_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "leaner.py").write_text("import sys; sys.exit(0)")
    with pytest.raises(StrategyFileError, match="SystemExit: 0"):
        load_strategy_class(str(tmp_path / "leaner.py"), "Leaner")
