"""What reaches a strategy in its own process, and what happens when feed or router go."""

from __future__ import annotations

import sys
import textwrap
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "strategy"))

from host_harness import ETH, SAY, SENDER, FakeFeed, Host, Scene, state_changes

from libchronicle.bus.kill_word import KillWord
from libchronicle.protocol import (
    CancelAll,
    Dispatch,
    ExecType,
    KillChange,
    OrderFlags,
    OrderType,
    Side,
)
from libchronicle.strategy import HostState, Refusal
from libchronicle.strategy.states import Machine


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


# ---------------------------------------------------------------- data reaches the strategy, or does not


def test_every_kind_arrives_in_the_order_of_the_queue(scene: Scene) -> None:
    host = scene.begin(SENDER)
    scene.until_trading()
    scene.feed.trade(6_000_001)
    scene.feed.delta(bids=[(6_000_050, 7)])
    scene.feed.quote(bid=6_000_002)
    scene.feed.trade(6_000_003)
    scene.said("trade 6000003")
    heard = [line.split()[:2] for line in host.lines() if line.split()[0] in ("trade", "book", "quote")]
    assert heard[-4:] == [
        ["trade", "6000001"],
        ["book", "6000050"],
        ["quote", "6000002"],
        ["trade", "6000003"],
    ]


def test_other_symbols_and_kinds_nobody_asked_for_stay_away(scene: Scene) -> None:
    host = scene.begin(SENDER, settings='kinds = ["trade"]')
    scene.until_trading()
    scene.feed.ready(ETH)
    scene.feed.trade(1, name=ETH)
    scene.feed.quote()
    scene.feed.delta(bids=[(6_000_050, 7)])
    scene.feed.trade(6_000_009)
    scene.said("trade 6000009")
    assert [line for line in host.lines() if line.split()[0] in ("trade", "book", "quote")] == [
        "trade 6000009"
    ]


def test_a_gap_silences_the_instrument_until_the_next_snapshot(scene: Scene) -> None:
    scene.begin(SENDER)
    scene.until_trading()
    scene.feed.gap()
    scene.said("feed binance-spot SYNCING")
    scene.feed.trade(1)
    scene.feed.delta(bids=[(5_999_990, 1)])
    scene.feed.quote()
    scene.quiet("trade")
    assert not [line for line in scene.host.lines() if line.startswith(("trade", "quote"))]
    scene.feed.snapshot(bid=6_000_500, ask=6_000_600)
    scene.said("book 6000500 6000600")
    scene.feed.trade(2)
    scene.said("trade 2")


def test_a_new_epoch_of_the_feed_silences_until_a_snapshot(scene: Scene) -> None:
    scene.begin(SENDER)
    scene.until_trading()
    scene.feed.close()
    scene.feed.reopen()
    scene.feed.trade(1)
    scene.said("feed binance-spot")
    scene.quiet("trade")
    scene.feed.snapshot()
    scene.until(lambda: scene.host.lines()[-1].startswith(("book", "feed binance-spot CONNECTED")))
    scene.feed.trade(2)
    scene.said("trade 2")
    assert "trade 1" not in scene.host.lines()


def test_started_in_the_middle_books_are_rebuilt_muted_from_the_newest_snapshot(scene: Scene) -> None:
    scene.begin("", feed=False)  # never asked: the real start comes below
    scene.host.kill()
    scene.feed = FakeFeed(scene.host.paths)
    scene.feed.ready()
    for step in range(6000):
        scene.feed.trade(step + 1)
        if step % 2000 == 0:
            scene.feed.snapshot(bid=6_000_000 + step, ask=6_000_500 + step)
        if step % 10 == 0:
            scene.feed.delta(bids=[(6_000_100 + step // 10, 5_000_000)])
    scene.host = Host(scene.root, SAY + textwrap.dedent(SENDER))
    scene.host.start()
    scene.until_trading()
    assert not [line for line in scene.host.lines() if line.startswith(("book", "trade"))]
    scene.feed.delta(bids=[(6_000_699, 0)])
    # bids of the snapshot at step 4000, and deltas since: 6_000_100 + 400 … 599
    assert scene.said("book") == ["book 6004000 6004500"]
    muted = [one for one in scene.host.session() if isinstance(one, Dispatch) and one.muted]
    assert sum(one.last_seq - one.first_seq + 1 for one in muted) < 2600


def test_a_strategy_waits_for_a_feed_that_is_not_there_yet(scene: Scene) -> None:
    scene.begin(SENDER, feed=False)
    scene.said("router CONNECTED")
    scene.until(lambda: "state=WAITING_FOR_FEED" in scene.host.log())
    scene.feed = FakeFeed(scene.host.paths)
    scene.feed.ready()
    scene.said("feed binance-spot CONNECTED")
    scene.feed.trade(5)
    scene.said("trade 5")


# ---------------------------------------------------------------- losing the feed, losing the router


def test_a_lost_feed_cancels_all_once_before_the_state_changes_and_comes_back(scene: Scene) -> None:
    scene.begin(SENDER)
    scene.until_trading()
    scene.feed.quote()
    scene.said("quote")
    scene.feed.close()
    scene.said("feed binance-spot DISCONNECTED")
    scene.until(scene.router.cancel_alls)
    scene.feed.reopen()
    scene.feed.snapshot()
    scene.said("feed binance-spot CONNECTED", 2)
    assert scene.until(scene.router.orders)
    scene.feed.quote()
    scene.said("quote", 2)
    assert len(scene.router.cancel_alls()) == 1
    assert state_changes(scene.host, Machine.HOST)[:4] == [
        HostState.WAITING_FOR_FEED,
        HostState.TRADING,
        HostState.WAITING_FOR_FEED,
        HostState.TRADING,
    ]


def test_a_feed_that_hangs_is_lost_and_its_book_is_rebuilt_when_it_goes_on(scene: Scene) -> None:
    scene.begin(SENDER)
    scene.until_trading()
    deadline = time.monotonic() + 10
    while "feed binance-spot DISCONNECTED" not in scene.host.lines():
        assert time.monotonic() < deadline
        scene.router.publisher.heartbeat()
        time.sleep(0.05)
    scene.feed.delta(bids=[(6_000_042, 5)])
    scene.said("feed binance-spot CONNECTED", 2)
    scene.feed.delta(asks=[(6_000_090, 5)])
    scene.said("book 6000042 6000090")


def test_on_disconnect_flatten_closes_the_position_after_the_cancel(scene: Scene) -> None:
    scene.begin(SENDER, settings='on_disconnect = "flatten"')
    scene.until_trading()
    scene.feed.quote()
    order = scene.until(scene.router.orders)[0]
    scene.router.report(order, ExecType.FILL)
    scene.said("fill 6000000 1000 1000")
    scene.feed.close()
    flat = scene.until(lambda: scene.router.orders()[1:])[0][2]
    assert (flat.side, flat.order_type, flat.qty) == (Side.SELL, OrderType.MARKET, 1000)
    assert OrderFlags.REDUCE_ONLY in flat.flags
    kinds = [type(message) for _, _, message in scene.router.requests]
    assert kinds.index(CancelAll) < len(kinds) - 1


def test_without_a_router_nothing_is_sent_and_the_strategy_is_told_why(scene: Scene) -> None:
    scene.begin(SENDER)
    scene.until_trading()
    scene.router.publisher.close()
    scene.said("router DISCONNECTED")
    scene.feed.quote(bid=6_000_031)
    assert scene.said("quote 6000031") == [f"quote 6000031 {int(Refusal.ROUTER_LOST)}"]
    assert scene.router.orders() == []
    scene.router.reopen()
    scene.said("router CONNECTED", 2)
    scene.feed.quote(bid=6_000_032)
    scene.said("quote 6000032")
    scene.until(scene.router.orders)


def test_the_kill_word_closes_the_gate(scene: Scene) -> None:
    scene.begin(SENDER)
    scene.until_trading()
    KillWord(scene.host.paths).kill("test")
    scene.until(lambda: any(isinstance(one, KillChange) for one in scene.host.session()))
    scene.feed.quote(bid=6_000_041)
    assert scene.said("quote 6000041") == [f"quote 6000041 {int(Refusal.KILLED)}"]
    KillWord(scene.host.paths).allow("test over")
    scene.until(lambda: sum(isinstance(one, KillChange) for one in scene.host.session()) == 2)
    scene.feed.quote(bid=6_000_042)
    assert int(scene.said("quote 6000042")[0].split()[-1]) > 0
