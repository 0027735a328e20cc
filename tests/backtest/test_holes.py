"""Data with long stretches that nobody recorded."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from libchronicle.backtest import BacktestRunner
from libchronicle.errors import ReplayGap
from libchronicle.protocol import BookSnapshot, Gap, GapReason, Trade, instrument_id
from libchronicle.strategy import Context, FeedState, Side, Strategy

sys.path.insert(0, str(Path(__file__).parent))
from made_market import NAME, START, Timed, market, tape

DAY = 86_400_000_000_000
YEARS = 1461 * DAY


class Watches(Strategy):
    def __init__(self) -> None:
        self.timers: list[int] = []
        self.states: list[tuple[int, FeedState]] = []
        self.sent = False
        self.synced_at_end = False

    def on_stop(self, ctx: Context) -> None:
        self.synced_at_end = ctx.instrument(NAME).is_synced

    def on_start(self, ctx: Context) -> None:
        ctx.set_timer("beat", every_ms=1000)

    def on_timer(self, ctx: Context, name: str) -> None:
        self.timers.append(ctx.now_ns())
        i = ctx.instrument(NAME)
        if not self.sent and i.is_synced and ctx.can_send:
            self.sent = ctx.send(i.limit(Side.BUY, i.tick_size, 1)) > 0

    def on_feed_state(self, ctx: Context, feed: str, state: FeedState) -> None:
        self.states.append((ctx.now_ns(), state))


def two_days() -> list[Timed]:
    first, second = market(2000, seed=1), market(2000, seed=2, start=START + YEARS)
    return [*first, *second]


def run(**more: Any) -> tuple[Watches, Any]:
    strategy = Watches()
    settings: dict[str, Any] = {"cash": 100_000, **more}
    return strategy, BacktestRunner(tape(two_days()), instruments=[NAME], **settings).run(strategy)


def test_time_jumps_over_dates_without_records_and_the_feed_was_lost_meanwhile() -> None:
    watches, result = run()
    midnight, morning = START - START % DAY + DAY, START + YEARS - (START + YEARS) % DAY
    assert not [ns for ns in watches.timers if midnight < ns < morning]
    assert len(watches.timers) < 2 * 86_400 + 10
    assert len(result.equity) < 2 * 86_400 + 10
    assert len(set(watches.timers)) == len(watches.timers)
    assert all(
        (ns - watches.timers[0]) % 1_000_000_000 == 0 for ns in watches.timers if ns > morning + 1_000_000_000
    )
    after = [state for ns, state in watches.states if ns >= morning]
    assert after == [FeedState.SYNCING, FeedState.CONNECTED]
    assert result.gaps == 1
    (order,) = [result.orders.row(0)]
    assert order["done_ns"] >= morning  # what rested was cancelled, as live


def test_a_run_that_shall_stop_at_gaps_stops_there() -> None:
    with pytest.raises(ReplayGap, match="UTC date"):
        run(gaps="stop")


def test_an_end_years_after_the_data_costs_no_years() -> None:
    strategy = Watches()
    end = START + YEARS
    result = BacktestRunner(tape(market(500)), instruments=[NAME], end=end).run(strategy)
    assert result.end_ns == end
    assert len(strategy.timers) < 86_400 + 10


def test_a_start_years_before_the_data_costs_no_years() -> None:
    strategy = Watches()
    result = BacktestRunner(tape(market(500)), instruments=[NAME], start=START - YEARS).run(strategy)
    assert len(strategy.timers) < 2 * 86_400 + 10
    assert result.gaps == 0


def test_a_night_without_records_is_no_hole() -> None:
    records = [*market(500), *((ts + DAY, one) for ts, one in market(500, seed=2))]
    strategy = Watches()
    BacktestRunner(tape(records), instruments=[NAME], gaps="ignore").run(strategy)
    assert len(strategy.timers) > 86_000


def test_a_gap_that_stands_in_every_stream_counts_once_and_leaves_the_book_behind_it() -> None:
    """As the refinery writes it, the copy of the later stream comes behind the snapshot of the same time."""
    records = market(400)
    at = records[200][0]
    gaps: list[Timed] = [
        (at, Gap(instrument_id=number, recv_ts=at, raw_seq=7, reason=GapReason.RECONNECT))
        for number in (0, instrument_id(NAME))
    ]
    books = [timed for timed in records if not isinstance(timed[1], Trade)]
    trades = [timed for timed in records if isinstance(timed[1], Trade)]
    place = next(i for i, timed in enumerate(books) if timed[0] >= at)
    snapshot = [(at, record) for _, record in records if isinstance(record, BookSnapshot)][:1]
    strategy = Watches()
    with_gaps = [*books[:place], *gaps, *snapshot]
    later = sorted([*trades, *gaps], key=lambda timed: timed[0])
    result = BacktestRunner([tape(with_gaps), tape(later)], instruments=[NAME]).run(strategy)
    assert result.gaps == 2
    assert strategy.synced_at_end
