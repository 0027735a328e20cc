"""What never leaves the strategy is counted by reason, beside what the venue refuses."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from libchronicle.backtest import BacktestResult, BacktestRunner
from libchronicle.errors import BacktestFailed, ChronicleError, OrderError
from libchronicle.protocol import BookSnapshot, Gap, GapReason, Side, instrument_id
from libchronicle.strategy import Book, Context, Fill, Strategy

sys.path.insert(0, str(Path(__file__).parent))
from made_market import NAME, START, market, tape

MS = 1_000_000


class Tries(Strategy):
    """Calls `act(ctx, instrument)` at each book, whatever it raises."""

    def __init__(self, act: Any, raises: bool = False) -> None:
        self.act, self.raises = act, raises

    def on_start(self, ctx: Context) -> None:
        ctx.subscribe(NAME)

    def on_book(self, ctx: Context, book: Book) -> None:
        try:
            self.act(ctx, book.instrument)
        except ChronicleError:
            if self.raises:
                raise


def run(act: Any, count: int = 60, **settings: Any) -> BacktestResult:
    return BacktestRunner(tape(market(count)), **settings).run(Tries(act))


@pytest.mark.parametrize(
    ("reason", "act"),
    [
        ("BAD_PRICE", lambda ctx, made: ctx.send(made.limit(Side.BUY, 99_999, 1))),
        ("BAD_PRICE", lambda ctx, made: ctx.send(made.post_only(Side.BUY, -10, 1))),
        ("BAD_QUANTITY", lambda ctx, made: ctx.send(made.market(Side.BUY, 0))),
        ("BAD_QUANTITY", lambda ctx, made: made.limit(Side.BUY, 90_000, "0.0005")),
        ("FLOAT_AMOUNT", lambda ctx, made: made.limit(Side.BUY, 900.0, 1)),
        ("BAD_COMBINATION", lambda ctx, made: made.limit(Side.BUY, 90_000, 1, expire_ns=5)),
        ("NOT_SUBSCRIBED", lambda ctx, made: ctx.position("nasdaq:MSFT")),
    ],
)
def test_what_could_not_be_made_is_counted_by_the_error_it_raised(reason: str, act: Any) -> None:
    result = run(act)
    assert list(result.refusals) == [reason]
    assert result.refusals[reason] > 20
    assert (result.requests, result.rejects) == (1, {})  # the cancel of all at the end
    assert result.metrics["refusals"] == result.refusals


def test_what_send_refuses_is_counted_by_its_refusal() -> None:
    class Late(Strategy):
        """Trades in a gap, and after the stop."""

        def on_start(self, ctx: Context) -> None:
            self.made = ctx.subscribe(NAME)
            ctx.set_timer("beat", every_ms=1)

        def on_timer(self, ctx: Context, name: str) -> None:
            if self.made.is_defined:
                ctx.send(self.made.limit(Side.BUY, 10_000, 1))

        def on_stop(self, ctx: Context) -> None:
            ctx.send(self.made.market(Side.BUY, 1))  # the last that may

        def on_fill(self, ctx: Context, fill: Fill) -> None:
            ctx.send(self.made.market(Side.BUY, 1))  # it comes after the stop

    gap = Gap(instrument_id=instrument_id(NAME), reason=GapReason.SEQUENCE)
    again = BookSnapshot(
        instrument_id=instrument_id(NAME), last_update_id=99, bids=[(99_990, 5)], asks=[(100_000, 5)]
    )
    records = [*market(0), (START + 10 * MS, gap), (START + 21 * MS, again)]
    result = BacktestRunner(tape(records), leverage=5).run(Late())
    assert result.refusals == {"NOT_TRADING": 1, "NOT_SYNCED": 11}
    assert len(result.fills) == 1


def test_what_the_venue_refuses_is_not_counted_twice() -> None:
    result = run(lambda ctx, made: ctx.send(made.post_only(Side.BUY, 200_000, 1)))
    assert result.refusals == {}
    assert (
        result.rejects["WOULD_CROSS"] == result.requests - 1
    )  # the last request is the cancel of all at the end


def test_a_run_that_failed_says_what_it_failed_on() -> None:
    strategy = Tries(lambda ctx, made: ctx.send(made.limit(Side.BUY, 99_999, 1)), raises=True)
    with pytest.raises(BacktestFailed) as failed:
        BacktestRunner(tape(market(60))).run(strategy)
    assert isinstance(failed.value.__cause__, OrderError)
    assert failed.value.result.refusals == {"BAD_PRICE": 1}


def test_the_report_shows_them(tmp_path: Path) -> None:
    result = run(lambda ctx, made: made.limit(Side.BUY, 99_999, 1))
    page = result.report(tmp_path).read_text()
    assert "refusals" in page
    assert "BAD PRICE" in page
