"""A feed latency: the venue is ahead of what the strategy sees."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from libchronicle.backtest import BacktestRunner, ConstantLatency
from libchronicle.protocol import BookDelta, Side, Trade, instrument_id

sys.path.insert(0, str(Path(__file__).parent))
from made_market import NAME, START, TICK, Timed, market, tape
from quoter import Quoter
from test_orders import MS, run


def delta(update: int, **sides: Any) -> BookDelta:
    levels = {"bids": [], "asks": []} | sides
    return BookDelta(
        instrument_id=instrument_id(NAME), first_update_id=update, last_update_id=update, **levels
    )


def moved() -> list[Timed]:
    """The best ask goes two milliseconds after the snapshot."""
    gone = delta(11, asks=[(100_000 + TICK, 0)])
    return [*market(0), (START + 2 * MS, gone), (START + 20 * MS, delta(12))]


def test_what_the_strategy_has_not_seen_yet_is_gone_at_the_venue() -> None:
    fresh, _ = run(lambda made: made.market(Side.BUY, 1), moved(), latency=ConstantLatency(0, 0))
    stale, _ = run(
        lambda made: made.market(Side.BUY, 1), moved(), latency=ConstantLatency(0, 0, feed_us=3000)
    )
    assert [fill.price for _, fill in fresh.fills] == [100_000 + TICK]
    assert [fill.price for _, fill in stale.fills] == [100_000 + 2 * TICK]


def test_a_trade_fills_a_resting_order_before_the_strategy_sees_it() -> None:
    through = Trade(instrument_id=instrument_id(NAME), price=98_000, qty=1, aggressor=Side.SELL, trade_id=1)
    records = [*market(0), (START + 10 * MS, through), (START + 20 * MS, delta(11))]
    late, _ = run(
        lambda made: made.post_only(Side.BUY, 99_000, 1),
        records,
        latency=ConstantLatency(0, 1000, feed_us=4000),
    )
    assert [(ts - START, fill.price) for ts, fill in late.fills] == [(7 * MS, 99_000)]


def test_the_strategy_sees_records_at_their_recorded_times_all_the_same() -> None:
    near, far = Quoter(1), Quoter(1)
    records = market(600)
    BacktestRunner(tape(records), cash=0).run(near)
    BacktestRunner(tape(records), cash=0, latency=ConstantLatency(0, 0, feed_us=900)).run(far)

    def seen(strategy: Quoter) -> list[tuple[Any, ...]]:
        return [row for row in strategy.heard if row[0] in ("book", "trade", "timer")]

    assert seen(near) == seen(far)


def test_a_start_in_the_middle_finds_the_venues_book_warm() -> None:
    records = market(900)
    result = BacktestRunner(
        tape(records), start=records[500][0], leverage=5, latency=ConstantLatency(100, 100, feed_us=1500)
    ).run(Quoter(2))
    assert len(result.fills) > 10
    again = BacktestRunner(
        tape(records), start=records[500][0], leverage=5, latency=ConstantLatency(100, 100, feed_us=1500)
    ).run(Quoter(2))
    assert result.hash == again.hash
