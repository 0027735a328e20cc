"""The strategy host as a process, on real queues."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "strategy"))

from host_harness import Scene

SENDER = """
class Probe(Strategy):
    def on_start(self, ctx):
        say("start", len(ctx.orders()), ctx.position("binance-spot:BTCUSDT").qty)
    def on_quote(self, ctx, quote):
        order = quote.instrument.limit(Side.BUY, quote.bid_price, 1000)
        say("quote", quote.bid_price, int(ctx.send(order)))
    def on_trade(self, ctx, trade):
        say("trade", trade.price)
    def on_book(self, ctx, book):
        say("book", book.bid_price, book.ask_price)
    def on_order(self, ctx, update):
        say("order", update.exec_type.name, update.state.name, update.order_id)
    def on_fill(self, ctx, fill):
        say("fill", fill.price, fill.qty, fill.instrument.position.qty)
    def on_feed_state(self, ctx, feed, state):
        say("feed", feed, state.name)
    def on_router_state(self, ctx, state):
        say("router", state.name)
    def on_stop(self, ctx):
        say("stop")
"""


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    one = Scene(tmp_path)
    yield one
    one.close()


def test_a_quote_becomes_an_order_that_names_its_cause(scene: Scene) -> None:
    host = scene.begin(SENDER)
    scene.until_trading()
    seq = scene.feed.quote(bid=6_000_007)
    scene.said("quote 6000007")
    epoch, _, order = scene.until(scene.router.orders)[0]
    cause = (order.cause_queue_id, order.cause_epoch, order.cause_seq)
    assert (order.price, order.qty, order.account) == (6_000_007, 1000, "paper")
    assert cause == (scene.feed.publisher.queue_id, 1, seq)
    assert epoch == 1
    assert host.stop() == 0
    assert "stop" in host.lines()
