"""Data of single orders: exact places in the queue, against a reference of lists; the strategy sees their levels."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from libchronicle.backtest import (
    ConstantLatency,
    FifoQueue,
    LogProbQueue,
    ProbQueue,
    QueueModel,
    RiskAverseQueue,
)
from libchronicle.errors import InvalidArgument, ReplayGap
from libchronicle.protocol import (
    Gap,
    GapReason,
    OrderAdd,
    OrderBookFlags,
    OrderDelete,
    OrderExecute,
    PhaseChange,
    Side,
    TradingPhase,
    instrument_id,
)
from libchronicle.strategy import Book, Context, FeedState

sys.path.insert(0, str(Path(__file__).parent))
import made_market
from joiner import Joiner, fills, ours, run
from made_market import NAME, START, Timed, archive, market, queue, tape
from made_orders import definition_of_orders, events, levels, records
from orders_reference import Queues, fills_of

MS = 1_000_000


# ------------------------------------------------------------ a made-up market


@pytest.mark.parametrize("seed", range(3 if os.environ.get("CHRONICLE_PROOF") != "long" else 200))
def test_fills_are_those_of_the_exact_place_in_the_queue(seed: int) -> None:
    market_events = events(1500, seed)
    result = run(tape(records(market_events)), Joiner(seed=seed))
    expected = fills_of(market_events, ours(result))
    assert fills(result) == expected
    assert len(expected) > 30
    rules = set(result.fills["rule"].tolist())
    assert rules >= {3, 4}
    assert result.gaps == result.lost == 0


def test_the_strategy_sees_the_levels_that_the_orders_add_up_to() -> None:
    seen: list[tuple[list[tuple[int, int]], list[tuple[int, int]]]] = []

    class Looks(Joiner):
        def on_book(self, ctx: Context, book: Book) -> None:
            seen.append((book.bids(10), book.asks(10)))

    market_events, queues = events(800), Queues()
    run(tape(records(market_events)), Looks())
    expected = []
    for _, event in market_events:
        queues.see(event)
        if event[0] != "print":
            expected.append((queues.levels(1, 10), queues.levels(-1, 10)))
    assert seen == expected


@pytest.mark.parametrize(
    "model", [RiskAverseQueue(), RiskAverseQueue(capped=True), ProbQueue(2), LogProbQueue()], ids=repr
)
def test_models_of_levels_give_what_they_give_on_the_levels(model: QueueModel) -> None:
    market_events = events(1200, 7)
    of_orders = run(tape(records(market_events)), model=model)
    of_levels = run(tape(levels(market_events)), model=model)
    assert fills(of_orders) == fills(of_levels)
    assert len(of_orders.fills) > 20


def test_exact_places_lie_between_what_the_models_of_levels_assume() -> None:
    market_events = events(1500, 3)
    traded = {
        repr(model): int(run(tape(records(market_events)), model=model).fills["qty"].sum())
        for model in (RiskAverseQueue(), FifoQueue())
    }
    assert traded["RiskAverseQueue(capped=False)"] < traded["FifoQueue()"]


@pytest.mark.parametrize(
    "latency",
    [ConstantLatency(700, 300), ConstantLatency(0, 0, feed_us=900), ConstantLatency(400, 100, feed_us=2500)],
    ids=repr,
)
def test_the_venue_has_its_own_queues_ahead_of_what_the_strategy_sees(latency: ConstantLatency) -> None:
    market_events = events(1200, 11)
    result = run(tape(records(market_events)), latency=latency)
    at_the_venue = [(ts - latency.feed_ns, event) for ts, event in market_events]
    expected = fills_of(at_the_venue, ours(result))
    assert fills(result) == expected
    assert len(expected) > 15


def _a_tape(home: Path, of: list[Timed]) -> object:
    return tape(of)


def _a_queue(home: Path, of: list[Timed]) -> object:
    return queue(home / "queue", of)


def _an_archive(home: Path, of: list[Timed]) -> object:
    return archive(home, of)


@pytest.mark.parametrize("made", [_a_tape, _a_queue, _an_archive])
def test_it_is_the_same_from_wherever_it_is_read(
    made: Callable[[Path, list[Timed]], object], tmp_path: Path
) -> None:
    market_events = events(1200, 5)
    result = run(made(tmp_path, records(market_events)))
    assert fills(result) == fills_of(market_events, ours(result))
    assert len(result.fills) > 20


def test_a_start_in_the_middle_finds_every_order_that_came_before(tmp_path: Path) -> None:
    market_events = events(2000, 6)
    start = market_events[1000][0]
    whole = run(archive(tmp_path, records(market_events)), start=start)
    assert fills(whole) == fills_of(market_events, ours(whole))
    assert len(whole.fills) > 20
    assert min(ours(whole), key=lambda order: order.arrived).arrived >= start


def test_two_instruments_have_a_queue_model_each() -> None:
    market_events = events(1000, 8)
    other = "made-up:BBBUSD"
    models = {NAME: FifoQueue(), other: ProbQueue(2)}
    both = [tape(market(1000, name=other)), tape(records(market_events))]
    result = run(both, model=models, instruments=[other])  # type: ignore[arg-type]
    alone = run(tape(records(market_events)))
    mine = result.instruments.index(NAME)
    assert [row for i, row in enumerate(fills(result)) if result.fills["instrument"][i] == mine] == fills(
        alone
    )


# ------------------------------------------------------------ what does not fit


@pytest.mark.parametrize("latency", [None, ConstantLatency(0, 0, feed_us=50)], ids=repr)
def test_exact_places_in_a_book_of_levels_are_refused_with_the_remedy(
    latency: ConstantLatency | None,
) -> None:
    with pytest.raises(InvalidArgument, match=r"made-up:AAAUSD.*FifoQueue.*ProbQueue.*single orders"):
        run(tape(market(50)), latency=latency)


def _broken(at: int, of: list[Timed], record: object) -> list[Timed]:
    return [*of[:at], (of[at][0], record), *of[at:]]  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (
            OrderDelete(instrument_id=instrument_id(NAME), venue_seq=10**6, order_id=10**9, side=Side.BUY),
            "cannot be applied",
        ),
        (
            OrderExecute(instrument_id=instrument_id(NAME), venue_seq=10**6, order_id=10**9, qty=3),
            "cannot be applied",
        ),
        (
            OrderAdd(
                instrument_id=instrument_id(NAME),
                venue_seq=10**6,
                order_id=10**9,
                price=200_000,
                qty=1,
                side=Side.BUY,
            ),
            "crossed",
        ),
        (Gap(instrument_id=instrument_id(NAME), reason=GapReason.SEQUENCE), "Gap record"),
    ],
)
def test_a_contradiction_ends_what_the_strategy_hears_until_a_snapshot(record: object, reason: str) -> None:
    class Hears(Joiner):
        def on_start(self, ctx: Context) -> None:
            super().on_start(ctx)
            self.states: list[FeedState] = []
            self.books: list[int] = []

        def on_feed_state(self, ctx: Context, feed: str, state: FeedState) -> None:
            self.states.append(state)

        def on_book(self, ctx: Context, book: Book) -> None:
            assert book.is_valid
            super().on_book(ctx, book)
            self.books.append(ctx.now_ns())

    broken = _broken(900, records(events(1500, 2)), record)
    common = {"instrument_id": instrument_id(NAME), "venue_seq": 2 * 10**6}
    first, last = (
        OrderBookFlags.INJECTED | OrderBookFlags.FIRST,
        OrderBookFlags.INJECTED | OrderBookFlags.LAST,
    )
    again = broken[-1][0] + MS
    bid = OrderAdd(order_id=1, price=99_000, qty=5, side=Side.BUY, flags=first, **common)
    ask = OrderAdd(order_id=2, price=99_010, qty=5, side=Side.SELL, flags=last, **common)
    strategy = Hears(share=1.0)
    result = run(tape([*broken, (again, bid), (again, ask)]), strategy)
    assert result.gaps == 1
    assert strategy.states == [
        FeedState.CONNECTING,
        FeedState.SYNCING,
        FeedState.CONNECTED,
        FeedState.SYNCING,
        FeedState.CONNECTED,
    ]
    assert strategy.books[-1] == again
    assert not [ns for ns in strategy.books if broken[900][0] < ns < again]
    with pytest.raises(ReplayGap, match=reason):
        run(tape(broken), Joiner(), gaps="stop")
    assert run(tape(broken), Joiner(), gaps="quarantine").gaps == 1
    if reason == "cannot be applied":
        ignored = run(tape(broken), Joiner(), gaps="ignore")
        assert fills(ignored) == fills(run(tape(records(events(1500, 2))), Joiner()))


@pytest.mark.parametrize(("left", "filled"), [(7, (8, 3)), (6, (10, 2))])
def test_a_snapshot_of_what_the_book_holds_leaves_our_place_another_puts_us_last(
    left: int, filled: tuple[int, int]
) -> None:
    class One(Joiner):
        def on_book(self, ctx: Context, book: Book) -> None:
            if not ctx.orders() and not ctx.position(NAME).qty:
                ctx.send(book.instrument.post_only(Side.BUY, 99_990, 3))

    common = {"instrument_id": instrument_id(NAME)}
    flags = OrderBookFlags
    first, last = flags.INJECTED | flags.FIRST, flags.INJECTED | flags.LAST
    told: list[Timed] = [(START, definition_of_orders())]
    at = START
    for kind in (
        OrderAdd(venue_seq=1, order_id=1, price=99_990, qty=5, side=Side.BUY, **common),
        OrderAdd(venue_seq=2, order_id=2, price=100_000, qty=5, side=Side.SELL, **common),
        OrderAdd(venue_seq=3, order_id=3, price=99_990, qty=7, side=Side.BUY, **common),  # behind ours
        OrderAdd(venue_seq=3, order_id=1, price=99_990, qty=5, side=Side.BUY, flags=first, **common),
        OrderAdd(
            venue_seq=3, order_id=3, price=99_990, qty=left, side=Side.BUY, flags=flags.INJECTED, **common
        ),
        OrderAdd(venue_seq=3, order_id=2, price=100_000, qty=5, side=Side.SELL, flags=last, **common),
        OrderExecute(venue_seq=4, order_id=1, price=99_990, qty=5, side=Side.BUY, **common),
        OrderExecute(venue_seq=5, order_id=3, price=99_990, qty=left, side=Side.BUY, **common),
        OrderAdd(venue_seq=6, order_id=4, price=99_990, qty=5, side=Side.BUY, **common),
        OrderExecute(venue_seq=7, order_id=4, price=99_990, qty=2, side=Side.BUY, **common),
    ):
        at += MS
        told.append((at, kind))
    result = run(tape(told), One())
    assert fills(result) == [(START + filled[0] * MS, 0, 99_990, filled[1])]


def test_nothing_fills_and_nothing_is_taken_while_the_market_only_collects_orders() -> None:
    class Takes(Joiner):
        def on_book(self, ctx: Context, book: Book) -> None:
            ctx.send(book.instrument.ioc(Side.BUY, 101_000, 1))

    market_events = events(600, 4)
    called, ends = market_events[200][0], market_events[400][0]
    call = PhaseChange(instrument_id=instrument_id(NAME), phase=TradingPhase.CLOSING_AUCTION)
    over = PhaseChange(instrument_id=instrument_id(NAME), phase=TradingPhase.CONTINUOUS)
    crossed = OrderAdd(
        instrument_id=instrument_id(NAME),
        venue_seq=10**6,
        order_id=10**9,
        price=110_000,
        qty=1,
        side=Side.BUY,
    )
    gone = OrderDelete(instrument_id=instrument_id(NAME), venue_seq=10**6, order_id=10**9, side=Side.BUY)
    told = records(market_events)
    made = [one for one in told if one[0] < called] + [(called, call), (called, crossed)]
    made += (
        [one for one in told if called <= one[0] < ends]
        + [(ends, gone), (ends, over)]
        + [one for one in told if one[0] >= ends]
    )
    result = run(tape(made), Takes())
    times = result.fills["ts_ns"]
    assert result.gaps == 0
    assert not ((times >= called) & (times < ends)).any()
    assert (times < called).any()
    assert (times >= ends).any()
    assert result.rejects["NO_MARKET"] > 50


def test_a_hash_is_that_of_the_run_in_any_process() -> None:
    code = (
        "from made_market import tape; from made_orders import events, records; import test_single_orders as t;"
        "print(t.run(tape(records(events(700, 9)))).hash)"
    )
    told = {made_market.told_by_a_process(code, hash_seed=seed) for seed in (1, 2)}
    assert told == {run(tape(records(events(700, 9)))).hash + "\n"}
