"""The session journal and the queues are enough to repeat what a strategy did, order for order."""

from __future__ import annotations

import random
import runpy
from typing import Any

from host_harness import BTC, Scene

from libchronicle.protocol import (
    Dispatch,
    ExecType,
    KillChange,
    NewOrder,
    SessionSource,
    SessionStart,
    StateChange,
    TimerFired,
    decode,
)
from libchronicle.queue import Queue
from libchronicle.strategy import FeedState, HostState, RouterState
from libchronicle.strategy.context import Context
from libchronicle.strategy.dispatch import Dispatcher
from libchronicle.strategy.lifecycle import Lifecycle
from libchronicle.strategy.recorder import Recorder
from libchronicle.strategy.sink import MemorySink
from libchronicle.strategy.states import Machine

# Whatever it is told, when, and in which order shows in the prices it sends.
FINGERPRINT = """
class Probe(Strategy):
    def on_start(self, ctx):
        self.state = 0
        ctx.set_timer("tick", every_ms=7)
    def mix(self, ctx, *facts):
        for fact in (*facts, ctx.now_ns()):
            self.state = (self.state * 31 + fact) % 1_000_003
        instrument = ctx.instrument("binance-spot:BTCUSDT")
        if self.state % 3 == 0 and instrument.is_defined:
            ctx.send(instrument.ioc(Side.BUY if self.state % 2 else Side.SELL, 1 + self.state, 1000 + 1000 * (self.state % 7)))
    def on_book(self, ctx, book):
        self.mix(ctx, 1, book.bid_price, book.bid_qty, len(ctx.orders()))
    def on_trade(self, ctx, trade):
        self.mix(ctx, 2, trade.price, trade.qty)
    def on_quote(self, ctx, quote):
        self.mix(ctx, 3, quote.bid_price)
    def on_timer(self, ctx, name):
        self.mix(ctx, 4)
    def on_fill(self, ctx, fill):
        self.mix(ctx, 5, fill.price, fill.instrument.position.qty)
    def on_order(self, ctx, update):
        self.mix(ctx, 6, int(update.exec_type))
    def on_feed_state(self, ctx, feed, state):
        self.mix(ctx, 7, int(state))
    def on_router_state(self, ctx, state):
        self.mix(ctx, 8, int(state))
"""


class Replay:
    """Follows a session record by record."""

    def __init__(self, scene: Scene) -> None:
        self.kind = runpy.run_path(str(scene.host.file))["Probe"]
        self.root = scene.host.paths.root
        self.sources: dict[int, tuple[str, int, dict[int, Any]]] = {}
        self.started = False

    def follow(self, record: Any) -> None:
        match record:
            case SessionStart():
                self.start_ns = record.realtime_ns
            case SessionSource(source=0xFFFE):
                self.sink = MemorySink(lambda: 0, record.queue_id, record.epoch, record.start_seq)
                self.ctx = Context(self.sink, account="paper")
                self.ctx.set_now(self.start_ns)
                self.strategy = self.kind()
                self.lifecycle = Lifecycle(self.ctx, Recorder(), self.strategy)
                self.dispatcher = self.lifecycle.dispatcher = Dispatcher(
                    self.ctx, self.strategy, self.lifecycle
                )
                self.dispatcher.subscribe({BTC: ("book", "trade", "quote")})
            case SessionSource():
                with Queue.open_subscriber(self.root / record.path, None, start="earliest") as reader:
                    frames = {
                        one.seq: (one.type_id, bytes(one), one.ts_ns, one.epoch)
                        for one in iter(reader.next, None)
                    }
                self.sources[record.source] = (record.path.rpartition("/")[2], record.queue_id, frames)
            case Dispatch():
                self.dispatch(record)
            case TimerFired():
                self.ctx.set_now(record.now_ns)
                self.dispatcher.fire_due(self.lifecycle.recorder)
            case KillChange():
                self.ctx.set_now(record.now_ns)
                self.lifecycle.set_killed(bool(record.killed), "replay")
            case StateChange():
                self.ctx.set_now(record.now_ns)
                self.change(record)

    def dispatch(self, run: Dispatch) -> None:
        name, queue_id, frames = self.sources[run.source]
        self.ctx.set_now(run.now_ns)
        self.dispatcher.feed_name = name
        self.lifecycle.rebuilding = bool(run.muted)
        for seq in range(run.first_seq, run.last_seq + 1):
            type_id, payload, ts_ns, epoch = frames[seq]
            give = self.dispatcher.feed_report if name == "orders_in" else self.dispatcher.feed
            give(
                type_id, payload, seq=seq, ts_ns=ts_ns, epoch=epoch, queue_id=queue_id, muted=bool(run.muted)
            )
        self.lifecycle.rebuilding = False

    def change(self, change: StateChange) -> None:
        """Only what came from outside; what follows from the data follows here too."""
        if not self.started:
            self.started = True
            self.strategy.on_start(self.ctx)
            self.lifecycle.start([self.ctx.instrument(BTC)])
        elif change.machine == Machine.FEED:
            feed = change.reason.partition(":")[0]
            if change.to_state == FeedState.DISCONNECTED:
                self.lifecycle.feed_lost(feed, "replay")
            elif change.to_state == FeedState.SYNCING and change.from_state != FeedState.CONNECTED:
                self.lifecycle.feed_attached(feed)
        elif change.machine == Machine.ROUTER and change.to_state == RouterState.CONNECTED:
            self.lifecycle.router_attached()
        elif change.machine == Machine.ROUTER and change.to_state == RouterState.DISCONNECTED:
            self.lifecycle.router_lost("replay")
        elif change.machine == Machine.HOST and change.to_state == HostState.STOPPING:
            self.lifecycle.stop("replay")


def test_a_session_followed_again_gives_the_same_orders(scene: Scene) -> None:
    seed = random.randrange(1 << 30)
    print("seed", seed)
    rng = random.Random(seed)
    scene.begin(FINGERPRINT)
    scene.until_trading()
    answered = 0
    for step in range(1500):
        play(scene, rng, step)
        for order in scene.router.orders()[answered:]:
            answered += 1
            scene.router.report(order, rng.choice([ExecType.FILL, ExecType.EXPIRED, ExecType.REJECT]))
    scene.feed.close()
    scene.until(lambda: "state=DISCONNECTED" in scene.host.log())
    assert scene.host.stop() == 0
    replay = Replay(scene)
    for record in scene.host.session():
        replay.follow(record)
    sent = [order for _, _, order in scene.router.orders()]
    again = [order for order in (decode(*one) for one in replay.sink.messages) if isinstance(order, NewOrder)]
    assert len(sent) > 100
    for one in (*sent, *again):
        one.cause_epoch = 0
    assert again == sent


def play(scene: Scene, rng: random.Random, step: int) -> None:
    """One market record, now and then a gap with its snapshot."""
    match rng.randrange(40):
        case 0:
            scene.feed.gap()
            scene.feed.trade(step + 1)
            scene.feed.snapshot(bid=6_000_000 + step)
        case draw if draw < 15:
            scene.feed.delta(bids=[(6_000_000 + rng.randrange(90), rng.randrange(1, 9) * 1000)])
        case draw if draw < 25:
            scene.feed.trade(6_000_000 + rng.randrange(100))
        case _:
            scene.feed.quote(bid=6_000_000 + rng.randrange(100))
