"""The router as a process: answers, kill word, limits, discovery, restart."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from libchronicle.bus.control import send_command
from libchronicle.bus.kill_word import KillWord
from libchronicle.counters import read_counters
from libchronicle.protocol import (
    CancelAll,
    CancelOrder,
    Command,
    ExecType,
    OpenOrder,
    PositionReport,
    RejectCode,
    ReportFlags,
    Side,
    Submitted,
    decode,
)
from libchronicle.queue import Queue
from tests.services.router_bench import FeedWriter, Router, Strategy, order, until


@pytest.fixture
def router(tmp_path: Path):
    router = Router(tmp_path)
    yield router
    router.close()
    print(router.log.read_text() if router.log.exists() else "")


@pytest.fixture
def feed(router: Router):
    feed = FeedWriter(router.paths)
    yield feed
    feed.close()


@pytest.fixture
def alpha(router: Router):
    alpha = Strategy(router.paths, "alpha")
    yield alpha
    alpha.close()


def test_orders_are_acknowledged_filled_and_positions_told(
    router: Router, feed: FeedWriter, alpha: Strategy
) -> None:
    router.start()
    seq = alpha.send(order(qty=600, price=0))
    assert alpha.answer(seq).exec_type == ExecType.ACK
    fills = until(
        lambda: [r for r in alpha.reports() if r.last_qty][1:] and [r for r in alpha.reports() if r.last_qty]
    )
    assert [(r.last_price, r.last_qty) for r in fills] == [(10_010, 500), (10_020, 100)]
    until(lambda: any(isinstance(m, PositionReport) and m.qty == 600 for m in alpha.poll()))
    resting = alpha.send(order(qty=3, price=9_990))
    assert alpha.answer(resting).exec_type == ExecType.ACK
    feed.trade(9_980, 1, Side.SELL)
    filled = until(lambda: next((r for r in alpha.reports() if r.order_seq == resting and r.last_qty), None))
    assert (filled.exec_type, filled.last_price, filled.last_qty) == (ExecType.FILL, 9_990, 3)


def test_a_strategy_that_comes_while_the_router_runs_is_found(
    router: Router, feed: FeedWriter, alpha: Strategy
) -> None:
    router.start()
    alpha.answer(alpha.send(order()))
    beta = Strategy(router.paths, "beta")
    try:
        until(lambda: beta.poll() is not None and router.paths.orders_in("beta").exists())
        deadline = time.monotonic() + 10
        kinds = []
        while ExecType.ACK not in kinds and time.monotonic() < deadline:
            kinds.append(
                beta.answer(beta.send(order())).exec_type
            )  # the first may be stale by the time it is found
        assert kinds[-1] == ExecType.ACK
    finally:
        beta.close()


def test_the_kill_word_cancels_what_is_open_and_refuses_what_comes(
    router: Router, feed: FeedWriter, alpha: Strategy
) -> None:
    router.start()
    resting = alpha.send(order(qty=3))
    assert alpha.answer(resting).exec_type == ExecType.ACK
    KillWord(router.paths).kill("test")
    ended = until(lambda: next((r for r in alpha.reports() if r.exec_type == ExecType.CANCELLED), None))
    assert (ended.order_seq, ended.reject_code) == (resting, RejectCode.KILLED)
    assert alpha.answer(alpha.send(order())).reject_code == RejectCode.KILLED
    KillWord(router.paths).allow("test")
    until(lambda: alpha.answer(alpha.send(order())).exec_type == ExecType.ACK)


def test_one_strategy_is_paused_by_command_also_over_a_restart(
    router: Router, feed: FeedWriter, alpha: Strategy
) -> None:
    beta = Strategy(router.paths, "beta")
    try:
        router.start()
        resting = alpha.send(order(qty=3))
        assert alpha.answer(resting).exec_type == ExecType.ACK
        send_command(router.paths, "router", Command.KILL, reason="test", target="alpha")
        ended = until(lambda: next((r for r in alpha.reports() if r.exec_type == ExecType.CANCELLED), None))
        assert (ended.order_seq, ended.reject_code) == (resting, RejectCode.KILLED)
        assert alpha.answer(alpha.send(order())).reject_code == RejectCode.KILLED
        assert beta.answer(beta.send(order())).exec_type == ExecType.ACK
        router.kill()
        router.start()
        assert alpha.answer(alpha.send(order())).reject_code == RejectCode.KILLED
        send_command(router.paths, "router", Command.RESUME, reason="test", target="alpha")
        until(lambda: alpha.answer(alpha.send(order())).exec_type == ExecType.ACK)
        send_command(router.paths, "router", Command.CANCEL_ALL, reason="test")
        until(lambda: any(r.exec_type == ExecType.CANCELLED for r in beta.reports()))
        send_command(router.paths, "router", Command.STOP, reason="test")
        assert router.process is not None
        assert router.process.wait(timeout=10) == 0
    finally:
        beta.close()


def test_a_missing_kill_word_means_killed(router: Router, feed: FeedWriter, alpha: Strategy) -> None:
    router.paths.kill_word.unlink()
    router.start()
    assert alpha.answer(alpha.send(order())).reject_code == RejectCode.KILLED


def test_an_order_that_waited_too_long_is_stale(router: Router, feed: FeedWriter, alpha: Strategy) -> None:
    seq = alpha.send(order(valid_until_ns=time.time_ns() + 300_000_000))
    time.sleep(0.4)
    router.start()
    report = alpha.answer(seq)
    assert (report.exec_type, report.reject_code) == (ExecType.REJECT, RejectCode.STALE)


def test_without_market_data_orders_are_refused_until_it_comes(router: Router, alpha: Strategy) -> None:
    router.start()
    assert alpha.answer(alpha.send(order())).reject_code == RejectCode.UNKNOWN_INSTRUMENT
    feed = FeedWriter(router.paths)
    try:
        until(lambda: alpha.answer(alpha.send(order())).exec_type == ExecType.ACK)
    finally:
        feed.close()
    until(lambda: alpha.answer(alpha.send(order())).reject_code == RejectCode.NO_MARKET)


def test_a_feed_whose_queue_was_replaced_is_attached_anew(
    router: Router, feed: FeedWriter, alpha: Strategy
) -> None:
    router.start()
    resting = alpha.send(order(qty=3))
    assert alpha.answer(resting).exec_type == ExecType.ACK
    feed.close()
    shutil.rmtree(router.paths.raw("binance-spot"))
    other = FeedWriter(router.paths)
    try:

        def filled() -> bool:
            other.trade(9_980, 1, Side.SELL)
            return any(r.order_seq == resting and r.last_qty for r in alpha.reports())

        until(filled)
        assert alpha.answer(alpha.send(order())).exec_type == ExecType.ACK
    finally:
        other.close()


@pytest.mark.parametrize("live", [False, True], ids=["at the start", "while it runs"])
def test_a_feed_whose_control_page_is_damaged_does_not_stop_the_router(
    router: Router, feed: FeedWriter, alpha: Strategy, *, live: bool
) -> None:
    if live:
        router.start()
        assert alpha.answer(alpha.send(order())).exec_type == ExecType.ACK
    feed.close()
    control = router.paths.raw("binance-spot") / "control.meta"
    whole = control.read_bytes()
    with control.open("r+b") as file:
        file.truncate(0)
    if not live:
        router.start()
    until(lambda: alpha.answer(alpha.send(order())).exec_type == ExecType.REJECT)
    time.sleep(0.6)  # the router looks at its feeds, and stores its place in them, four times a second
    assert alpha.answer(alpha.send(order())).exec_type == ExecType.REJECT
    with control.open("r+b") as file:
        file.write(whole)
    other = FeedWriter(router.paths)
    try:
        until(lambda: alpha.answer(alpha.send(order())).exec_type == ExecType.ACK)
    finally:
        other.close()


def test_a_strategy_whose_queues_were_replaced_is_attached_anew(
    router: Router, feed: FeedWriter, alpha: Strategy
) -> None:
    router.start()
    assert alpha.answer(alpha.send(order(qty=7, price=0))).exec_type == ExecType.ACK
    alpha.close()
    shutil.rmtree(router.paths.endpoint("alpha"))
    other = Strategy(router.paths, "alpha")
    try:
        assert other.answer(other.send(order())).exec_type == ExecType.ACK
        position = until(lambda: next((m for m in other.poll() if isinstance(m, PositionReport)), None))
        assert position.qty == 7
    finally:
        other.close()


def test_limits_come_from_the_host_and_a_strategy_may_tighten_them(tmp_path: Path) -> None:
    router = Router(
        tmp_path,
        'valid_for_ms = 20000\nmaker_fee_bps = 1.0\n[router.limits]\nmax_order_qty = "0.010"\nmax_open_orders = 2',
    )
    (router.strategies / "beta.py").write_text("class Beta: pass\n")
    (router.strategies / "beta.toml").write_text(
        'version = 1\nid = "beta"\nfile = "beta.py"\nclass = "Beta"\nsubscribe = ["binance-spot:BTCUSDT"]\n'
        'account = "small"\n[limits]\nmax_order_qty = "0.005"\n'
    )
    feed, alpha, beta = (
        FeedWriter(router.paths),
        Strategy(router.paths, "alpha"),
        Strategy(router.paths, "beta"),
    )
    try:
        router.start()
        assert alpha.answer(alpha.send(order(qty=11))).reject_code == RejectCode.ORDER_SIZE_LIMIT
        assert alpha.answer(alpha.send(order(qty=10))).exec_type == ExecType.ACK
        assert beta.answer(beta.send(order(qty=6))).reject_code == RejectCode.ORDER_SIZE_LIMIT
        assert beta.answer(beta.send(order(qty=5))).exec_type == ExecType.ACK
        assert alpha.answer(alpha.send(order(qty=1))).exec_type == ExecType.ACK
        assert alpha.answer(alpha.send(order(qty=1))).reject_code == RejectCode.OPEN_ORDERS_LIMIT
    finally:
        router.close()
        for handle in (feed, alpha, beta):
            handle.close()
        print(router.log.read_text())


def test_a_clean_restart_carries_positions_and_open_orders_over(
    router: Router, feed: FeedWriter, alpha: Strategy
) -> None:
    router.start()
    alpha.answer(alpha.send(order(qty=7, price=0)))
    resting = alpha.send(order(qty=3))
    alpha.answer(resting)
    assert router.stop() == 0
    before = len(alpha.poll())
    router.start()
    carried = until(lambda: [m for m in alpha.poll()[before:] if isinstance(m, OpenOrder)])
    assert [(m.order_seq, m.qty, m.cum_qty) for m in carried] == [(resting, 3, 0)]
    position = next(m for m in alpha.poll()[before:] if isinstance(m, PositionReport))
    assert (position.qty, ReportFlags.CARRY_OVER in position.flags) == (7, True)
    until(lambda: alpha.answer(alpha.send(CancelAll())))
    late = alpha.answer(alpha.send(CancelOrder(order_seq=resting, order_epoch=1)))
    assert (late.exec_type, late.reject_code) == (ExecType.CANCEL_REJECT, RejectCode.UNKNOWN_ORDER)


def test_the_session_queue_and_the_counters_tell_what_was_done(
    router: Router, feed: FeedWriter, alpha: Strategy
) -> None:
    router.start()
    for _ in range(5):
        alpha.answer(alpha.send(order()))
    assert router.stop() == 0
    with Queue.open_subscriber(router.paths.session("router"), None, start="earliest") as session:
        messages = [decode(m.type_id, m) for m in session]
    names = [type(m).__name__ for m in messages]
    assert (names[0], names[-1]) == ("SessionStart", "SessionStop")
    assert sum(isinstance(m, Submitted) for m in messages) == 5
    counters = read_counters(router.paths.counters("router"))
    assert counters.value("router_requests_total") == counters.value("router_requests_total", kind="new") == 5
    assert counters.value("router_rejects_total") == 0
    latency = next(sample for sample in counters.samples if sample.name == "router_latency_seconds")
    assert sum(count for _, count in latency.buckets) == 5


def test_a_second_router_is_refused(
    router: Router, feed: FeedWriter, alpha: Strategy, tmp_path: Path
) -> None:
    router.start()
    alpha.answer(alpha.send(order()))
    other = Router.__new__(Router)
    other.__dict__ |= router.__dict__
    other.start(wait=False)
    assert other.process is not None
    assert other.process.wait(timeout=10) == 64
    assert alpha.answer(alpha.send(order())).exec_type == ExecType.ACK
