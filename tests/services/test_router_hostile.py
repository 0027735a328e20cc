"""One strategy that floods, talks nonsense or breaks its own queues, and another that must not notice."""

from __future__ import annotations

import errno
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from libchronicle.bus.kill_word import KillWord
from libchronicle.protocol import (
    CancelAll,
    CancelOrder,
    ExecType,
    NewOrder,
    RejectCode,
    ReplaceOrder,
    TimeInForce,
)
from tests.services.router_bench import FeedWriter, Router, Strategy, order, until

FLOOD = 100_000


@pytest.fixture
def router(tmp_path: Path) -> Iterator[Router]:
    router = Router(tmp_path)
    yield router
    router.close()
    print(router.log.read_text()[-4000:] if router.log.exists() else "")


@pytest.fixture
def feed(router: Router) -> Iterator[FeedWriter]:
    feed = FeedWriter(router.paths)
    yield feed
    feed.close()


@pytest.fixture
def alpha(router: Router) -> Iterator[Strategy]:
    alpha = Strategy(router.paths, "alpha")
    yield alpha
    alpha.close()


@pytest.fixture
def beta(router: Router) -> Iterator[Strategy]:
    beta = Strategy(router.paths, "beta")
    yield beta
    beta.close()


def works(beta: Strategy) -> None:
    report = beta.answer(beta.send(order()))
    assert report.exec_type == ExecType.ACK, report


def test_a_flood_keeps_another_strategy_waiting_for_a_share_of_it_only(
    router: Router, feed: FeedWriter, alpha: Strategy, beta: Strategy
) -> None:
    router.start()
    works(beta)
    passing = order(qty=1, price=10_010, time_in_force=TimeInForce.IOC).encode()
    alpha.out.append_many(NewOrder.TEMPLATE_ID, [passing] * FLOOD)
    until(lambda: len(alpha.reports()) > 100)
    for _ in range(5):
        answer = beta.answer(beta.send(order()))
        assert answer.exec_type == ExecType.ACK
        between = [r for r in alpha.reports() if answer.order_ts <= r.venue_ts <= answer.venue_ts]
        print(len(between), "reports of the flood came first")
        assert len(between) < 500
    codes = {r.reject_code for r in alpha.reports() if r.exec_type == ExecType.REJECT}
    assert codes <= {RejectCode.STALE}


def test_the_kill_word_stops_a_flood_in_the_middle(
    router: Router, feed: FeedWriter, alpha: Strategy, beta: Strategy
) -> None:
    router.start()
    resting = beta.send(order())
    assert beta.answer(resting).exec_type == ExecType.ACK
    alpha.out.append_many(NewOrder.TEMPLATE_ID, [order(qty=1, price=9_000).encode()] * 30_000)
    until(lambda: len(alpha.reports()) > 100)
    KillWord(router.paths).kill("test")
    until(lambda: any(r.exec_type == ExecType.CANCELLED for r in beta.reports()))
    answers = until(
        lambda: (lambda found: found if len(found) == 30_000 else None)(
            [r for r in alpha.reports() if r.exec_type in (ExecType.ACK, ExecType.REJECT)]
        ),
        timeout_s=100,
    )
    accepted = [r.exec_type for r in answers].index(ExecType.REJECT)
    assert 0 < accepted < 30_000
    assert {r.reject_code for r in answers[accepted:]} == {RejectCode.KILLED}


def test_nonsense_in_a_request_is_answered_or_skipped_and_nothing_else(
    router: Router, feed: FeedWriter, alpha: Strategy, beta: Strategy
) -> None:
    seed = random.randrange(1 << 30)
    print("seed", seed)
    rng = random.Random(seed)
    router.start()
    kinds = (NewOrder, CancelOrder, ReplaceOrder, CancelAll)
    whole = {
        NewOrder: order().encode(),
        CancelOrder: CancelOrder().encode(),
        ReplaceOrder: ReplaceOrder(qty=1, price=1).encode(),
        CancelAll: CancelAll().encode(),
    }
    for _ in range(3_000):
        kind = rng.choice(kinds)
        payload = bytearray(whole[kind])
        for _ in range(rng.randint(1, 12)):
            payload[rng.randrange(8, len(payload))] = rng.randrange(256)
        if rng.random() < 0.2:
            payload = payload[: rng.randrange(len(payload))]
        alpha.out.append(rng.choice([kind.TEMPLATE_ID, kind.TEMPLATE_ID, 20, 777]), bytes(payload))
    last = alpha.send(order())
    assert alpha.answer(last).exec_type in (ExecType.ACK, ExecType.REJECT)
    works(beta)
    assert {r.reject_code.name for r in alpha.reports()} & {"MALFORMED", "BAD_PRICE", "UNKNOWN_INSTRUMENT"}
    assert not [r for r in alpha.reports() if r.reject_code.name.startswith("UNKNOWN_1")]


def _remove(directory: Path) -> None:
    """rm -rf until it is gone: the router may lay its next segment down meanwhile."""
    for _ in range(100):
        try:
            shutil.rmtree(directory)
        except OSError as refused:
            if refused.errno not in (errno.ENOTEMPTY, errno.ENOENT):
                raise
        if not directory.exists():
            return
    raise AssertionError(f"{directory} cannot be removed")


@pytest.mark.parametrize("queue", ["orders_in", "orders_out"])
@pytest.mark.parametrize("how", ["truncated", "removed"])
def test_a_strategy_that_breaks_its_own_queues_is_let_go_alone(
    router: Router, feed: FeedWriter, alpha: Strategy, beta: Strategy, queue: str, how: str
) -> None:
    router.start()
    assert alpha.answer(alpha.send(order())).exec_type == ExecType.ACK
    works(beta)
    path = getattr(router.paths, queue)("alpha")
    if how == "removed":
        _remove(path)
    else:
        for file in path.iterdir():
            if file.is_file():
                with file.open("r+b") as opened:
                    opened.truncate(0)
    for _ in range(20):
        works(beta)
        feed.trade(9_990, 1_000_000, order().side.SELL)
    assert router.process is not None
    assert router.process.poll() is None
    alpha.close()
    _remove(router.paths.endpoint("alpha"))
    again = Strategy(router.paths, "alpha")
    try:
        assert again.answer(again.send(order())).exec_type == ExecType.ACK
    finally:
        again.close()
    works(beta)
    assert router.stop() == 0
