"""A strategy's session and the queues are enough to repeat what it did, request for request."""

from __future__ import annotations

import json
import os
import random
import shutil

import pytest
from click.testing import Result
from host_harness import Scene, wait_for
from typer.testing import CliRunner

from libchronicle.bus.control import send_command
from libchronicle.cli.main import app
from libchronicle.protocol import AccountReport, Command, ExecType, PositionReport
from libchronicle.queue import Queue
from libchronicle.replay.difference import Verdict
from libchronicle.replay.journal import RecordedSession, find_session, recorded_sessions
from libchronicle.runtime.config import load_host, load_strategy
from libchronicle.storage.archive import Archive
from libchronicle.storage.catalog import queue_segments
from libchronicle.storage.layout import ArchiveLayout
from libchronicle.storage.moves import adopt
from libchronicle.storage.sources import queues_on_bus
from libchronicle.strategy.loader import load_strategy_class
from libchronicle.strategy.rerun import rerun_strategy

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


EVENTFUL = """
class Probe(Strategy):
    def on_load(self, ctx, state):
        self.count = state["count"]
    def on_start(self, ctx):
        self.count = getattr(self, "count", 0)
        self.known = len(ctx.orders()), ctx.position("binance-spot:BTCUSDT").qty
        ctx.set_timer("slow", every_ms=20)
        ctx.set_timer("fast", every_ms=10)
    def on_timer(self, ctx, name):
        self.count += len(name)
        instrument = ctx.instrument("binance-spot:BTCUSDT")
        if instrument.is_defined and ctx.can_send and len(ctx.orders()) < 50:
            ctx.send(instrument.limit(Side.BUY, self.count * ctx.params.pace, 1000, valid_for_ms=500))
    def on_trade(self, ctx, trade):
        id = ctx.send(trade.instrument.limit(Side.SELL, trade.price + self.known[0] + abs(self.known[1]), 1000, tag="t"))
        if trade.price % 3 == 0:
            ctx.replace(id, price=trade.price + 1)
        if trade.price % 5 == 0:
            ctx.cancel(id)
    def on_fill(self, ctx, fill):
        ctx.close_position(fill.instrument)
    def on_stop(self, ctx):
        ctx.cancel(ctx.orders()[0].id)
    def on_save(self, ctx):
        return {"count": self.count}
"""


def rerun(scene: Scene, source: str | None = None, session: RecordedSession | None = None) -> Verdict:
    """A session again, else the last; with `source`, of another version of the strategy."""
    if source is not None:
        scene.host.file.write_text(source)
    config = load_strategy(scene.host.toml, load_host(scene.host.config))
    kind = load_strategy_class(config.file, config.class_name)
    with Archive(scene.host.paths) as archive:
        return rerun_strategy(archive, session or find_session(archive, "probe"), kind, config)


def run_at_random(scene: Scene, steps: int = 1500) -> int:
    """A session with data, gaps, reports and a lost feed; how many orders there were."""
    seed = random.randrange(1 << 30)
    print("seed", seed)
    rng = random.Random(seed)
    scene.begin(FINGERPRINT)
    scene.until_trading()
    answered = 0
    for step in range(steps):
        play(scene, rng, step)
        for order in scene.router.orders()[answered:]:
            answered += 1
            scene.router.report(order, rng.choice([ExecType.FILL, ExecType.EXPIRED, ExecType.REJECT]))
    scene.feed.close()
    scene.until(lambda: "state=DISCONNECTED" in scene.host.log())
    return answered


def test_a_session_run_again_gives_the_same_requests(scene: Scene) -> None:
    run_at_random(scene)
    assert scene.host.stop() == 0
    requests = scene.router.poll()
    verdict = rerun(scene)
    assert verdict.difference is None, verdict.difference.lines()
    assert verdict.finished
    assert verdict.unchecked == 0
    assert verdict.compared > len(requests) > 100


def test_a_strategy_that_was_changed_meanwhile_shows_the_first_request_that_differs(scene: Scene) -> None:
    run_at_random(scene, 300)
    assert scene.host.stop() == 0
    changed = scene.host.file.read_text().replace("self.state % 7", "self.state % 6")
    verdict = rerun(scene, changed)
    found = verdict.difference
    assert found is not None
    assert found.fields == ("qty",)
    assert found.recorded is not None
    assert found.again is not None
    assert found.recorded["qty"] != found.again["qty"]
    assert "is not the file the session ran with" in verdict.notes[0]
    assert found.during.startswith(("record ", "timer ", "feed", "router"))


def test_the_command_says_in_its_exit_code_whether_a_session_came_again(scene: Scene) -> None:
    run_at_random(scene, 200)
    assert scene.host.stop() == 0
    same = check(scene, "--json")
    (facts,) = json.loads(same.stdout)
    assert (same.exit_code, facts["same"], facts["difference"]) == (0, True, None)
    scene.host.file.write_text(scene.host.file.read_text().replace("1 + self.state", "2 + self.state"))
    other = check(scene)
    assert other.exit_code == 1
    assert "DIFFERENT: request" in other.stdout
    assert "price: recorded" in other.stdout


def check(scene: Scene, *flags: str) -> Result:
    config = scene.root / "check.toml"
    config.write_text(scene.host.config.read_text() + f'[strategies]\ndir = "{scene.host.toml.parent}"\n')
    where = ["--run", str(scene.host.paths.root), "--config", str(config)]
    return CliRunner().invoke(app, ["replay-check", "probe", *where, *flags], catch_exceptions=False)


def test_a_strategy_that_reads_the_wall_clock_differs_and_the_note_names_the_line(scene: Scene) -> None:
    scene.begin(
        """
        import time
        class Probe(Strategy):
            def on_trade(self, ctx, trade):
                ctx.send(trade.instrument.limit(Side.BUY, 1 + time.time_ns() % 1_000_000, 1000))
        """
    )
    scene.until_trading()
    for _ in range(5):
        scene.feed.trade()
    scene.until(lambda: len(scene.router.orders()) == 5)
    assert scene.host.stop() == 0
    verdict = rerun(scene)
    assert verdict.difference is not None
    assert verdict.difference.fields == ("price",)
    assert verdict.notes == [
        "probe.py:12 in on_trade reads the wall clock (time.time_ns): take ctx.now_ns(), which is the same in every run"
    ]


def test_a_callback_that_raised_raises_again(scene: Scene) -> None:
    scene.begin(
        """
        class Probe(Strategy):
            def on_trade(self, ctx, trade):
                ctx.send(trade.instrument.limit(Side.BUY, trade.price, 1000))
                1 / (trade.price - 7)
        """
    )
    scene.until_trading()
    for price in range(3, 9):
        scene.feed.trade(price)
    wait_for(lambda: not scene.host.running)
    verdict = rerun(scene)
    assert verdict.difference is None, verdict.difference.lines()
    assert verdict.unchecked == 0
    assert len(scene.router.orders()) == 5
    assert len(scene.router.cancel_alls()) == 1


EXITS = """
class Probe(Strategy):
    def on_trade(self, ctx, trade):
        ctx.send(trade.instrument.limit(Side.BUY, trade.price, 1000))
        if trade.price == 7:
            raise SystemExit(0)
"""


def test_a_strategy_that_exited_exits_again_and_one_that_exits_only_now_differs(scene: Scene) -> None:
    scene.begin(EXITS)
    scene.until_trading()
    for price in range(3, 9):
        scene.feed.trade(price)
    wait_for(lambda: not scene.host.running)
    source = scene.host.file.read_text()
    verdict = rerun(scene)
    assert verdict.difference is None, verdict.difference.lines()
    assert verdict.unchecked == 0
    for price in (5, 99):
        other = rerun(scene, source.replace("== 7", f"== {price}"))
        assert other.difference is not None, price


def test_after_kill_9_what_the_journal_does_not_reach_is_counted(scene: Scene) -> None:
    run_at_random(scene, 300)
    scene.host.kill()
    verdict = rerun(scene)
    assert verdict.difference is None, verdict.difference.lines()
    assert not verdict.finished
    assert verdict.compared > 30


def test_timers_parameters_pauses_saved_state_and_a_second_life_come_again(scene: Scene) -> None:
    scene.begin(EVENTFUL, params="pace = 3", settings='on_stop = "keep"')
    for life in range(2):
        scene.until(lambda life=life: scene.host.log().count("state=TRADING") == life + 1)
        scene.until(lambda: "state=CONNECTED" in scene.router_lines())
        command(scene, Command.SET_PARAMETER, "pace", str(10 + life))
        for step in range(20):
            scene.feed.trade(100 * (life + 1) + step)
        command(scene, Command.PAUSE)
        scene.feed.trade(1)
        command(scene, Command.RESUME)
        command(scene, Command.CANCEL_ALL)
        scene.until(lambda life=life: len(scene.router.cancel_alls()) == life + 1)
        for order in scene.router.orders()[-3:]:
            scene.router.report(order, ExecType.FILL)
        scene.rest(0.2)
        assert scene.host.stop() == 0
        if life == 0:
            scene.host.start()
    for session in sessions(scene):
        verdict = rerun(scene, session=session)
        assert verdict.difference is None, verdict.difference.lines()
        assert verdict.unchecked == 0
        assert verdict.compared > 30


def test_a_stop_loss_that_the_host_sent_comes_again(scene: Scene) -> None:
    scene.begin(
        """
        class Probe(Strategy):
            def on_trade(self, ctx, trade):
                if trade.price == 7:
                    ctx.send(trade.instrument.limit(Side.BUY, 6_000_100, 1000))
        """,
        params="[risk]\nstop_loss_bps = 50",
    )
    scene.until_trading()
    scene.feed.trade(7)
    (bought,) = scene.until(scene.router.orders)
    scene.router.report(bought, ExecType.FILL)
    held = PositionReport(
        instrument_id=bought[2].instrument_id, qty=1000, avg_price=6_000_100, last_exec_id=1, account="paper"
    )
    scene.router.publisher.append(held.TEMPLATE_ID, held.encode())
    scene.rest(0.2)
    scene.feed.delta(bids=[(6_000_000 - i, 0) for i in range(5)])
    scene.feed.delta(bids=[(5_900_000, 10_000)])
    scene.until(lambda: len(scene.router.orders()) == 2)
    assert scene.router.orders()[1][2].tag == "stop-loss"
    assert scene.host.stop() == 0
    verdict = rerun(scene)
    assert verdict.difference is None, verdict.difference.lines()
    assert verdict.compared > 5


def test_a_session_comes_again_with_its_own_parameters_whatever_the_toml_says_by_now(scene: Scene) -> None:
    scene.begin(EVENTFUL, params="pace = 3")
    scene.until_trading()
    for step in range(20):
        scene.feed.trade(100 + step)
    scene.until(lambda: len(scene.router.orders()) > 20)
    assert scene.host.stop() == 0
    scene.host.toml.write_text(scene.host.toml.read_text().replace("pace = 3", "pace = 4"))
    verdict = rerun(scene)
    assert verdict.difference is None, verdict.difference.lines()
    assert verdict.notes == ["the configuration is not the one the session ran with"]


def test_what_only_the_rerun_raises_is_told_as_such(scene: Scene) -> None:
    scene.begin("class Probe(Strategy): pass")
    scene.until_trading()
    assert scene.host.stop() == 0
    source = scene.host.file.read_text()
    verdict = rerun(scene, source.replace("pass", "\n    def on_start(self, ctx): 1 / 0"))
    assert verdict.difference is not None
    assert verdict.difference.what == "what a callback raised"
    assert verdict.difference.again == {
        "message": "exception",
        "raised": "ZeroDivisionError: division by zero",
    }


def test_a_balance_is_told_carried_over_and_comes_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROBE_OUT", os.devnull)
    scene.begin(
        """
        class Probe(Strategy):
            def on_start(self, ctx):
                self.sent = False
                say("start", ctx.balance("USDT").amount)
            def on_trade(self, ctx, trade):
                if ctx.balance("USDT").total and not self.sent:
                    self.sent = ctx.send(trade.instrument.limit(Side.BUY, 1 + ctx.balance("USDT").total, 1000)) > 0
        """
    )
    for life in range(2):
        scene.until(lambda life=life: scene.host.log().count("state=TRADING") == life + 1)
        scene.until(lambda: "state=CONNECTED" in scene.router_lines())
        if life == 0:
            told = AccountReport(
                ts=5, balance=777, available=700, exponent=-2, account="paper", currency="USDT"
            )
            scene.router.publisher.append(told.TEMPLATE_ID, told.encode())
        while len(scene.router.orders()) <= life:
            scene.feed.trade()
            scene.rest(0.05)
        assert scene.host.stop() == 0
        if life == 0:
            scene.host.start()
    assert [order.price for _, _, order in scene.router.orders()] == [778, 778]
    assert scene.host.lines() == ["start 0", "start 7.77"]
    for session in sessions(scene):
        verdict = rerun(scene, session=session)
        assert verdict.difference is None, verdict.difference.lines()


def command(scene: Scene, what: Command, target: str = "", value: str = "") -> None:
    send_command(scene.host.paths, "strategy-probe", what, reason="test", target=target, value=value)


def sessions(scene: Scene) -> list[RecordedSession]:
    with Archive(scene.host.paths) as archive:
        return recorded_sessions(archive, "probe")


def test_a_session_comes_again_after_its_queues_were_archived(scene: Scene) -> None:
    run_at_random(scene, 300)
    assert scene.host.stop() == 0
    paths = scene.host.paths
    scene.router.close()
    layout = ArchiveLayout.of(paths)
    for source in list(queues_on_bus(paths)):
        with Queue.open_publisher(source.path) as writer:
            writer.roll()
        for ref in queue_segments(source.path)[:-1]:
            adopt(layout, ref.path, source.venue, source.symbol, source.stream)
        shutil.rmtree(source.path)
    verdict = rerun(scene)
    assert verdict.difference is None, verdict.difference.lines()
    assert verdict.compared > 50


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
