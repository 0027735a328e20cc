"""What `chronicle strategy new` writes: a strategy that runs as it is, its settings and its test."""

from __future__ import annotations

from typing import Final

__all__ = ["CODE", "SETTINGS", "TEST"]

CODE: Final = '''"""@CLASS@: buys under a fair price, sells over it, and never holds more than its limit.

The fair price is a moving average of the middle of the book. Make it yours: every callback and every word of `ctx` stands in
docs/strategies.md. The same file runs in a backtest, on paper and live.
"""

from __future__ import annotations

from libchronicle.strategy import Book, Context, Fill, Instrument, Side, Strategy


class @CLASS@(Strategy):
    def __init__(self) -> None:
        self.fair: dict[str, float] = {}  # by instrument, as mantissas of its price

    def on_start(self, ctx: Context) -> None:
        ctx.cancel_all()  # an order that survived a crash is nobody's intention now
        ctx.set_timer("requote", every_ms=ctx.params.requote_ms)

    def on_book(self, ctx: Context, book: Book) -> None:
        bid, ask = book.bid_price, book.ask_price
        if bid is None or ask is None:
            return
        name, middle = book.instrument.name, (bid + ask) / 2
        fair = self.fair.get(name, middle)
        self.fair[name] = fair + (middle - fair) * ctx.params.smoothing

    def on_timer(self, ctx: Context, name: str) -> None:
        if not ctx.can_send:
            return
        for instrument in ctx.instruments.values():
            if instrument.is_synced and instrument.name in self.fair:
                self.quote(ctx, instrument)

    def quote(self, ctx: Context, instrument: Instrument) -> None:
        bid, ask = instrument.book.bid_price, instrument.book.ask_price
        if bid is None or ask is None:
            return
        params, fair, held = ctx.params, self.fair[instrument.name], instrument.position.qty
        away = round(fair * params.edge_bps / 10_000)
        qty, limit = instrument.qty(params.qty), instrument.qty(params.max_position)
        wanted: dict[Side, int] = {}
        if held + qty <= limit:
            wanted[Side.BUY] = min(bid, instrument.round_price(round(fair) - away, Side.BUY))
        if held > 0:
            wanted[Side.SELL] = max(ask, instrument.round_price(round(fair) + away, Side.SELL))
        for order in ctx.orders(instrument):
            if wanted.get(order.side) == order.price:
                del wanted[order.side]  # it stays where it is, and keeps its place in the queue
            else:
                ctx.cancel(order.id)
        for side, price in wanted.items():
            size = qty if side is Side.BUY else min(qty, held)
            ctx.send(instrument.limit(side, price, size, post_only=True, reduce_only=side is Side.SELL))

    def on_fill(self, ctx: Context, fill: Fill) -> None:
        traded = fill.instrument
        ctx.log.info("fill", side=fill.side.name, price=traded.format_price(fill.price), held=traded.position.qty)
'''

SETTINGS: Final = """\
version = 1
id = "@NAME@"
file = "@NAME@.py"
class = "@CLASS@"
subscribe = ["@INSTRUMENT@"]
kinds = ["book"]
on_stop = "cancel"       # or "keep"
on_disconnect = "cancel" # or "flatten"
account = "paper"

[params] # `chronicle strategy set @NAME@ edge_bps=0.05` changes one while it runs
qty = "@QTY@" # base currency, worth what the venue asks at least; a string, so that it is exact
max_position = "@MOST@"
edge_bps = 0.005 # of the fair price, on each side
smoothing = 0.05
requote_ms = 250 # read at the start
"""

TEST: Final = '''"""@CLASS@ on a made-up minute of @INSTRUMENT@: run it, or its tests with pytest."""

from __future__ import annotations

import tomllib
from pathlib import Path

from @NAME@ import @CLASS@

from libchronicle.backtest import BacktestResult, BacktestRunner, ConstantLatency, MakerTaker
from libchronicle.testing import sample_market

LIMIT = @LIMIT@  # max_position as a mantissa of the instrument
PARAMS = tomllib.loads(Path(__file__).with_name("@NAME@.toml").read_text())["params"]


def backtest(seed: int = 1) -> BacktestResult:
    return BacktestRunner(
        sample_market("@INSTRUMENT@", seconds=60, seed=seed),
        instruments=["@INSTRUMENT@"],
        params=PARAMS,
        latency=ConstantLatency(entry_us=500, response_us=500),
        fees=MakerTaker(maker_bps=1, taker_bps=5),
    ).run(@CLASS@())


def test_it_quotes_and_never_holds_more_than_its_limit() -> None:
    result = backtest()
    assert len(result.orders) > 0
    largest = max((abs(int(held)) for held in result.fills["position"]), default=0)
    assert largest <= LIMIT


def test_the_same_data_gives_the_same_run() -> None:
    assert backtest().hash == backtest().hash
    assert backtest().hash != backtest(seed=2).hash


if __name__ == "__main__":
    print(backtest())
'''
