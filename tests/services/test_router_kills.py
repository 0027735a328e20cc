"""kill -9 of the router at random moments while two strategies stream orders: nothing lost, nothing
twice."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from libchronicle.bus.paths import BusPaths
from libchronicle.protocol import (
    CancelAll,
    CancelOrder,
    ExecType,
    OrderFlags,
    ReplaceOrder,
    Side,
    TimeInForce,
)
from libchronicle.testing.audit import audit_orders
from tests.services.router_bench import BTC, FeedWriter, Router, Strategy, order, until

KILLS = int(os.environ.get("TEST_ROUTER_KILLS", "50"))


class Streamer(threading.Thread):
    """A strategy that sends random requests about every two milliseconds."""

    def __init__(self, strategy: Strategy, seed: int) -> None:
        super().__init__(daemon=True)
        self.strategy = strategy
        self.random = random.Random(seed)
        self.orders: list[int] = []
        self.running = True

    def run(self) -> None:
        while self.running:
            message = self.message()
            seq = self.strategy.send(message)
            if not isinstance(message, CancelOrder | ReplaceOrder | CancelAll):
                self.orders.append(seq)
            time.sleep(self.random.uniform(0, 0.004))

    def message(self) -> Any:
        r = self.random
        kind = r.random()
        if kind < 0.15 and self.orders:
            return CancelOrder(instrument_id=BTC, order_seq=r.choice(self.orders[-20:]), order_epoch=1)
        if kind < 0.25 and self.orders:
            price, qty = r.randint(9_980, 10_020), r.randint(1, 9)
            target = r.choice(self.orders[-20:])
            return ReplaceOrder(instrument_id=BTC, order_seq=target, order_epoch=1, price=price, qty=qty)
        if kind < 0.27:
            return CancelAll()
        price = 0 if r.random() < 0.3 else r.randint(9_980, 10_020)
        tif = r.choice([TimeInForce.GTC, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK])
        flags = OrderFlags.REDUCE_ONLY if r.random() < 0.1 else OrderFlags(0)
        side, qty = r.choice([Side.BUY, Side.SELL]), r.randint(1, 1_200)
        return order(side, qty, price, time_in_force=tif, flags=flags)


class Market(threading.Thread):
    """A book that moves around and trades that print, about every two milliseconds."""

    def __init__(self, feed: FeedWriter, seed: int) -> None:
        super().__init__(daemon=True)
        self.feed = feed
        self.random = random.Random(seed)
        self.running = True

    def run(self) -> None:
        r = self.random
        while self.running:
            middle = r.randint(9_995, 10_005)
            if r.random() < 0.1:
                bids = [(middle - 1 - i, r.randint(1, 800)) for i in range(6)]
                asks = [(middle + 1 + i, r.randint(1, 800)) for i in range(6)]
                self.feed.snapshot(bids, asks)
            else:
                self.feed.trade(r.randint(9_985, 10_015), r.randint(1, 300), r.choice([Side.BUY, Side.SELL]))
            time.sleep(r.uniform(0, 0.004))


def the_queues_agree(paths: BusPaths, name: str) -> list[int]:
    """Every order answered once, executed once, fill or kill whole or not at all; the trade ids of its fills."""
    audit = audit_orders(paths, name)
    assert audit.faults == []
    assert audit.unanswered == []
    kinds = Counter(report.exec_type for history in audit.orders.values() for report in history.reports)
    codes = Counter(
        report.reject_code.name for history in audit.orders.values() for report in history.reports
    )
    print(name, len(audit.orders), "orders", kinds, codes)
    assert kinds[ExecType.ACK] + kinds[ExecType.REJECT] == len(audit.orders)
    assert audit.fills > KILLS
    for history in audit.orders.values():
        if history.order.time_in_force == TimeInForce.FOK:
            done = sum(report.last_qty for report in history.reports)
            assert done in (0, history.order.qty), history
    fills = [report for history in audit.orders.values() for report in history.reports if report.last_qty]
    return [report.trade_id for report in fills]


@pytest.mark.timeout(300)
def test_no_order_is_lost_or_executed_twice_however_often_the_router_is_killed(tmp_path: Path) -> None:
    seed = int(os.environ.get("TEST_SEED", random.randrange(1 << 30)))
    print("seed", seed)
    rng = random.Random(seed)
    router = Router(tmp_path)
    feed = FeedWriter(router.paths)
    strategies = [Strategy(router.paths, name) for name in ("alpha", "beta")]
    streamers = [Streamer(strategy, rng.randrange(1 << 30)) for strategy in strategies]
    market = Market(feed, rng.randrange(1 << 30))
    try:
        for thread in (market, *streamers):
            thread.start()
        for _ in range(KILLS):
            before = len(strategies[0].reports())
            router.start(wait=False)
            until(lambda before=before: len(strategies[0].reports()) > before)
            time.sleep(rng.uniform(0, 0.2))
            router.kill()
        for thread in (market, *streamers):
            thread.running = False
            thread.join()
        router.start()
        for strategy in strategies:
            assert strategy.answer(strategy.send(order(qty=1, price=9_900))).exec_type == ExecType.ACK
        assert router.stop() == 0
        trades = [trade for strategy in strategies for trade in the_queues_agree(router.paths, strategy.name)]
        assert len(trades) == len(set(trades)), "the same trade twice"
    finally:
        router.close()
        for thread in (market, *streamers):
            thread.running = False
            thread.join()
        for handle in (*strategies, feed):
            handle.close()
        print(router.log.read_text()[-6000:])
