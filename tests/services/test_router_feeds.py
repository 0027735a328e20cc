"""A market that the router loses, whichever way: what becomes of resting orders, and how it comes back."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from libchronicle.protocol import ExecType, RejectCode, SessionStop, Side, StateChange, decode
from libchronicle.queue import Queue
from services.router.market import CONNECTED, DISCONNECTED, FEED_MACHINE
from tests.services.router_bench import FeedWriter, Router, Strategy, order, until


@pytest.fixture
def router(tmp_path: Path) -> Iterator[Router]:
    router = Router(tmp_path, 'valid_for_ms = 20000\non_market_lost = "cancel"')
    yield router
    router.close()
    print(router.log.read_text() if router.log.exists() else "")


@pytest.fixture
def alpha(router: Router) -> Iterator[Strategy]:
    alpha = Strategy(router.paths, "alpha")
    yield alpha
    alpha.close()


def silent(router: Router, feed: FeedWriter) -> None:
    feed.close()


def replaced(router: Router, feed: FeedWriter) -> None:
    feed.close()
    shutil.rmtree(feed.path)


def damaged(router: Router, feed: FeedWriter) -> None:
    """A record that cannot be read, while the writer still beats."""
    assert router.process is not None
    os.kill(router.process.pid, signal.SIGSTOP)
    feed.trade(10_000, 0x1234567890, Side.SELL)
    (segment,) = feed.path.glob("*.q")
    raw = segment.read_bytes()
    with segment.open("r+b") as file:
        file.seek(raw.rindex((0x1234567890).to_bytes(8, "little")))
        file.write(b"?")
    os.kill(router.process.pid, signal.SIGCONT)


LOSSES = [silent, replaced, damaged]


@pytest.mark.parametrize("lose", LOSSES, ids=lambda lose: lose.__name__)
def test_a_lost_market_ends_its_resting_orders_and_trades_again_when_it_is_back(
    router: Router, alpha: Strategy, lose: Callable[[Router, FeedWriter], None]
) -> None:
    feed = FeedWriter(router.paths)
    router.start()
    resting = alpha.send(order(qty=3))
    assert alpha.answer(resting).exec_type == ExecType.ACK
    lose(router, feed)
    ended = until(lambda: next((r for r in alpha.reports() if r.exec_type == ExecType.CANCELLED), None))
    assert (ended.order_seq, ended.reject_code) == (resting, RejectCode.NO_MARKET)
    assert alpha.answer(alpha.send(order())).reject_code == RejectCode.NO_MARKET
    if lose is damaged:
        feed.snapshot()
    again = feed if lose is damaged else FeedWriter(router.paths)
    try:
        until(lambda: alpha.answer(alpha.send(order())).exec_type == ExecType.ACK)
        assert router.stop() == 0
    finally:
        again.close()
    log = router.log.read_text()
    assert log.count('event="feed lost"') == log.count('event="feed is back"') == 1
    assert changes(router) == [(CONNECTED, DISCONNECTED), (DISCONNECTED, CONNECTED)]


def test_orders_that_a_dead_router_left_end_when_it_comes_back_to_no_market(
    router: Router, alpha: Strategy
) -> None:
    feed = FeedWriter(router.paths)
    router.start()
    resting = alpha.send(order(qty=3))
    assert alpha.answer(resting).exec_type == ExecType.ACK
    router.kill()
    replaced(router, feed)
    router.start()
    ended = until(lambda: next((r for r in alpha.reports() if r.exec_type == ExecType.CANCELLED), None))
    assert (ended.order_seq, ended.reject_code) == (resting, RejectCode.NO_MARKET)


def test_what_a_feed_wrote_before_it_was_lost_counts_before_its_market_is_lost(
    router: Router, alpha: Strategy
) -> None:
    feed = FeedWriter(router.paths)
    router.start()
    above, below = alpha.send(order(qty=3, price=9_990)), alpha.send(order(qty=3, price=9_000))
    assert alpha.answer(below).exec_type == ExecType.ACK
    router.kill()
    feed.trade(9_985, 1, Side.SELL)
    silent(router, feed)
    router.start()
    until(lambda: any(one.exec_type == ExecType.CANCELLED for one in alpha.reports()))
    ends = [(one.exec_type.name, one.order_seq) for one in alpha.reports() if one.exec_type != ExecType.ACK]
    assert ends == [("FILL", above), ("CANCELLED", below)]


def changes(router: Router) -> list[tuple[int, int]]:
    """Of the feed, as the journal says; the last record is the end of the session."""
    with Queue.open_subscriber(router.paths.session("router"), None, start="earliest") as session:
        messages = [decode(message.type_id, message) for message in session]
    assert isinstance(messages[-1], SessionStop)
    return [
        (one.from_state, one.to_state)
        for one in messages
        if isinstance(one, StateChange) and one.machine == FEED_MACHINE
    ]
