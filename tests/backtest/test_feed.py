"""What a strategy is given in a backtest: the records of the data, in their order, as the live host would."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from libchronicle.backtest import BacktestRunner
from libchronicle.bus.paths import BusPaths
from libchronicle.errors import BadSegment, NoData, ReplayGap
from libchronicle.protocol import BookDelta, BookSnapshot, Gap, GapReason, Instrument, Trade, instrument_id
from libchronicle.queue import Queue, QueueConfig
from libchronicle.strategy import Book, Context, FeedState, Strategy
from libchronicle.strategy import Trade as TradeView

sys.path.insert(0, str(Path(__file__).parent))
from made_market import NAME, START, archive, market, queue, tape, told_by_a_process


class Watcher(Strategy):
    """Notes what it is given."""

    def __init__(self, *names: str) -> None:
        self.names = names or (NAME,)
        self.seen: list[tuple[Any, ...]] = []
        self.states: list[FeedState] = []

    def on_start(self, ctx: Context) -> None:
        for name in self.names:
            ctx.subscribe(name)

    def on_book(self, ctx: Context, book: Book) -> None:
        self.seen.append(("book", ctx.now_ns(), book.best_bid, book.best_ask))

    def on_trade(self, ctx: Context, trade: TradeView) -> None:
        self.seen.append(("trade", ctx.now_ns(), trade.price, trade.qty))

    def on_feed_state(self, ctx: Context, feed: str, state: FeedState) -> None:
        self.states.append(state)


class Clock(Watcher):
    def on_start(self, ctx: Context) -> None:
        super().on_start(ctx)
        ctx.set_timer("beat", every_ms=1)

    def on_timer(self, ctx: Context, name: str) -> None:
        self.seen.append(("timer", ctx.now_ns()))


def seen(data: Any, **settings: Any) -> list[tuple[Any, ...]]:
    watcher = Watcher()
    BacktestRunner(data, **settings).run(watcher)
    return watcher.seen


def test_memory_queue_archive_and_records_give_the_strategy_the_same(tmp_path: Path) -> None:
    records = market(800)
    expected = seen(tape(records))
    assert len(expected) > 500
    assert seen(queue(tmp_path / "q", records)) == expected
    assert seen(archive(tmp_path / "run", records)) == expected
    assert seen([(one.TEMPLATE_ID, one.encode(), ts) for ts, one in records]) == expected


@pytest.mark.parametrize("rolled", [True, False])
def test_a_queue_ends_where_its_writer_stood_and_that_is_no_gap(tmp_path: Path, rolled: bool) -> None:
    path = tmp_path / "q"
    with Queue.open_publisher(path, QueueConfig(segment_size=1 << 16)) as writer:
        for ts, record in market(900):
            writer.append(record.TEMPLATE_ID, record.encode(), ts)
        if rolled:
            writer.roll()
    assert len(list(path.glob("*.q"))) > 2
    runs = [BacktestRunner(data, gaps="stop").run(Watcher()) for data in (path, tape(market(900)))]
    assert [(run.messages, run.gaps) for run in runs] == [(runs[1].messages, 0)] * 2


def test_time_never_goes_back_and_is_that_of_the_record() -> None:
    records = market(400)
    times = [row[1] for row in seen(tape(records))]
    known = {ts for ts, _ in records}
    assert times == sorted(times)
    assert set(times) <= known


def test_records_before_the_start_only_warm_the_book(tmp_path: Path) -> None:
    records = market(800)
    middle = records[400][0]
    whole = seen(tape(records))
    expected = [row for row in whole if row[1] >= middle]
    assert seen(tape(records), start=middle) == expected
    assert seen(archive(tmp_path / "run", records), start=middle) == expected


def test_the_end_is_exclusive() -> None:
    records = market(200)
    end = records[100][0]
    assert seen(tape(records), end=end) == [row for row in seen(tape(records)) if row[1] < end]


def test_a_timer_fires_on_its_grid_before_the_first_record_at_or_past_it() -> None:
    clock = Clock()
    BacktestRunner(tape(market(300))).run(clock)
    beats = [row[1] for row in clock.seen if row[0] == "timer"]
    assert beats == [START + (n + 1) * 1_000_000 for n in range(len(beats))]
    times = [row[1] for row in clock.seen]
    assert times == sorted(times)
    assert len(beats) > 200


def test_two_instruments_are_merged_by_time_and_ties_by_source() -> None:
    other = "made-up:BBBUSD"
    one, two = market(300), market(300, seed=2, name=other)
    watcher = Watcher(NAME, other)
    result = BacktestRunner([tape(one), tape(two)]).run(watcher)
    assert result.messages == len(one) + len(two)
    times = [row[1] for row in watcher.seen]
    assert times == sorted(times)


def test_a_run_can_be_repeated_and_its_hash_tells_other_data() -> None:
    runner = BacktestRunner(tape(market(300)))
    first, second = runner.run(Watcher()), runner.run(Watcher())
    assert first.hash == second.hash
    assert first.hash != BacktestRunner(tape(market(300, seed=2))).run(Watcher()).hash


HASHES = """
from made_market import market, tape
from test_feed import Clock
from libchronicle.backtest import BacktestRunner
print(BacktestRunner(tape(market(300))).run(Clock()).hash)
"""


def test_two_processes_with_other_hash_seeds_give_one_hash() -> None:
    assert told_by_a_process(HASHES, hash_seed=1) == told_by_a_process(HASHES, hash_seed=2) != ""


def _with_hole() -> list[Any]:
    """A delta is missing; a snapshot comes later."""
    records = market(400)
    deltas = [at for at, (_, one) in enumerate(records) if isinstance(one, BookDelta)]
    del records[deltas[50]]
    ts = records[300][0]
    number = instrument_id(NAME)
    update = next(one.last_update_id for _, one in reversed(records[:300]) if isinstance(one, BookDelta))
    snapshot = BookSnapshot(
        instrument_id=number, last_update_id=update, bids=[(99_000, 5)], asks=[(101_000, 5)]
    )
    records.insert(300, (ts, snapshot))
    return records[:301]


def test_a_hole_in_the_update_ids_stops_resyncs_or_is_ignored_as_asked() -> None:
    records = _with_hole()
    with pytest.raises(ReplayGap, match="update ids"):
        seen(tape(records), gaps="stop")
    resync, ignore, silent = (Watcher() for _ in range(3))
    result = BacktestRunner(tape(records), gaps="resync").run(resync)
    assert result.gaps >= 1
    assert resync.states[-2:] == [FeedState.SYNCING, FeedState.CONNECTED]
    BacktestRunner(tape(records), gaps="ignore").run(ignore)
    BacktestRunner(tape(records), gaps="quarantine").run(silent)
    assert len(silent.seen) < len(resync.seen) < len(ignore.seen)
    assert silent.states[-1] == FeedState.SYNCING


def test_a_gap_record_makes_the_book_wait_for_a_snapshot() -> None:
    records = market(100)
    gap = Gap(instrument_id=instrument_id(NAME), reason=GapReason.SEQUENCE)
    records.insert(60, (records[60][0], gap))
    watcher = Watcher()
    BacktestRunner(tape(records)).run(watcher)
    assert watcher.states[-1] == FeedState.SYNCING
    assert max(row[1] for row in watcher.seen) <= records[60][0]


def test_a_crossed_book_is_a_gap() -> None:
    records = market(100)
    number, last = instrument_id(NAME), records[-1][0]
    update = next(one.last_update_id for _, one in reversed(records) if isinstance(one, BookDelta))
    crossing = BookDelta(
        instrument_id=number,
        first_update_id=update + 1,
        last_update_id=update + 1,
        bids=[(200_000, 5)],
        asks=[],
    )
    with pytest.raises(ReplayGap, match="crossed"):
        seen(tape([*records, (last + 1, crossing)]), gaps="stop")


def test_what_was_never_archived_is_found_in_its_queues_beside_what_was(tmp_path: Path) -> None:
    other = "made-up:BBBUSD"
    archive(tmp_path, market(300))
    records = market(300, name=other)
    for stream in ("book", "trade"):
        kinds = (Trade,) if stream == "trade" else (BookDelta, BookSnapshot, Instrument)
        chosen = [one for one in records if isinstance(one[1], kinds)]
        queue(BusPaths(tmp_path).clean("made-up", "BBBUSD", stream), chosen)
    watcher = Watcher(other)
    BacktestRunner(tmp_path).run(watcher)
    in_memory = Watcher(other)
    BacktestRunner(tape(records)).run(in_memory)
    assert watcher.seen == in_memory.seen


def test_what_was_recorded_gives_the_same_raw_and_refined(tmp_path: Path) -> None:
    raw = queue(BusPaths(tmp_path).raw("made-up"), market(600))
    before = Watcher()
    BacktestRunner(tmp_path).run(before)
    command = [
        str(Path(sys.executable).with_name("chronicle")),
        "etl",
        "run",
        "made-up",
        "--run",
        str(tmp_path),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=100)
    raw.rename(tmp_path / "elsewhere")
    refined = Watcher()
    assert BacktestRunner(tmp_path, gaps="stop").run(refined).messages > 600
    assert refined.seen == before.seen


def test_a_run_begins_with_its_instruments_whatever_else_was_recorded_earlier(tmp_path: Path) -> None:
    other, later = "made-up:BBBUSD", START + 30 * 86_400_000_000_000
    archive(tmp_path, market(300))
    archive(tmp_path, market(300, name=other, start=later), name=other)
    result = BacktestRunner(tmp_path).run(Watcher(other))
    assert result.start_ns == later
    assert result.equity["ts_ns"][0] == later
    assert BacktestRunner(tmp_path).run(Watcher(NAME, other)).start_ns == START
    with pytest.raises(NoData, match="no record before the end"):
        BacktestRunner(tmp_path, end=later).run(Watcher(other))


@pytest.mark.parametrize("start", [None, START])
def test_what_a_run_does_not_ask_for_is_not_looked_at(tmp_path: Path, start: int | None) -> None:
    other = "made-up:BBBUSD"
    archive(tmp_path, market(300))
    archive(tmp_path, market(300, name=other), name=other)
    for segment in tmp_path.glob("**/BBBUSD/**/*.q"):
        segment.write_bytes(b"nothing that was ever a segment" * 200)
    assert BacktestRunner(tmp_path, start=start, instruments=[NAME]).run(Clock()).messages > 300
    with pytest.raises(BadSegment):
        BacktestRunner(tmp_path, start=start, instruments=[other]).run(Clock(other))


def test_data_without_a_snapshot_records_or_place_is_told() -> None:
    number = instrument_id(NAME)
    trade = Trade(instrument_id=number, price=100_000, qty=1, trade_id=1)
    with pytest.raises(NoData, match="no snapshot"):
        seen(tape([(START, trade)]))
    with pytest.raises(NoData, match="no record"):
        seen(tape([]))
    with pytest.raises(
        NoData, match=r"no record before the end asked for.*the data begins at 2023-11-14T22:13:20Z"
    ):
        seen(tape(market(10)), end=START - 1)
    with pytest.raises(NoData, match="no archive, queue or recording"):
        seen("/nowhere/at/all")


class Deaf(Strategy):
    pass


def test_a_strategy_that_listens_to_nothing_is_told() -> None:
    with pytest.raises(NoData, match="listens to nothing"):
        BacktestRunner(tape(market(10))).run(Deaf())


def test_the_recorded_futures_day_runs_from_its_file(chronicle_data: Path) -> None:
    watcher = Watcher("binance-usdm:BTCUSDT")
    result = BacktestRunner(chronicle_data / "binance/usdm/btcusdt_20240808.gz").run(watcher)
    assert result.gaps == 0
    assert len(watcher.seen) > 27_000
