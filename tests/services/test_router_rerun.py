"""A router's session run again from its journal and the queues gives the same steps and the same reports."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from libchronicle.bus.control import send_command
from libchronicle.bus.kill_word import KillWord
from libchronicle.bus.permit import RiskPermit
from libchronicle.cli.main import app
from libchronicle.errors import CannotRerun
from libchronicle.protocol import (
    CancelAll,
    CancelOrder,
    Command,
    ExecType,
    Gap,
    GapReason,
    NewOrder,
    OpenOrder,
    OrderFlags,
    ReplaceOrder,
    RiskEvent,
    SessionStart,
    Side,
    StateChange,
    StateChunk,
    TimeInForce,
    TimerFired,
)
from libchronicle.queue import Queue
from libchronicle.replay.difference import Verdict
from libchronicle.replay.journal import recorded_sessions
from libchronicle.runtime.config import load_host
from libchronicle.storage.archive import Archive
from libchronicle.storage.catalog import queue_segments
from libchronicle.storage.layout import ArchiveLayout
from libchronicle.storage.moves import adopt
from libchronicle.storage.sources import queues_on_bus
from services.router.rerun import rerun_router
from tests.services.router_bench import BTC, SMALL, FeedWriter, Router, Strategy, order, until

BETA = """
from libchronicle.strategy import Strategy
class Beta(Strategy): pass
"""


BETA_TOML = """
version = 1
id = "beta"
file = "beta.py"
class = "Beta"
subscribe = ["binance-spot:BTCUSDT"]
[limits]
max_position_qty = "0.02"
max_open_orders = 4
max_drawdown = "0.002"
max_losses_in_a_row = 4
[risk]
on_trip = "cancel"
breaker_reset = "cooldown"
breaker_cooldown_s = 0.2
"""


class Floor:
    """A router, a feed and two strategies that do this and that."""

    def __init__(self, tmp_path: Path, seed: int) -> None:
        self.rng = random.Random(seed)
        self.router = Router(
            tmp_path, 'valid_for_ms = 20000\nmaker_fee_bps = 1\ntaker_fee_bps = 5\non_market_lost = "cancel"'
        )
        (self.router.strategies / "beta.py").write_text(BETA)
        (self.router.strategies / "beta.toml").write_text(BETA_TOML)
        self.feed = FeedWriter(self.router.paths)
        self.strategies = [Strategy(self.router.paths, name) for name in ("alpha", "beta")]
        self.sent: dict[str, list[int]] = {one.name: [] for one in self.strategies}

    def step(self) -> None:
        rng, one = self.rng, self.rng.choice(self.strategies)
        draw = rng.randrange(100)
        if draw < 35:
            self.market()
        elif draw < 75:
            self.sent[one.name].append(one.send(self.some_order()))
        elif draw < 85 and self.sent[one.name]:
            one.send(CancelOrder(instrument_id=BTC, order_seq=rng.choice(self.sent[one.name]), order_epoch=1))
        elif draw < 95 and self.sent[one.name]:
            one.send(
                ReplaceOrder(
                    instrument_id=BTC,
                    order_seq=rng.choice(self.sent[one.name]),
                    order_epoch=1,
                    price=9_970 + rng.randrange(60),
                    qty=rng.randrange(1, 20),
                )
            )
        elif draw < 97:
            one.send(CancelAll(instrument_id=BTC))
        elif draw < 98:
            self.feed.put(Gap(instrument_id=BTC, reason=GapReason.SEQUENCE))
            self.feed.snapshot()

    def market(self) -> None:
        rng = self.rng
        if rng.random() < 0.5:
            self.feed.trade(
                9_970 + rng.randrange(60), rng.randrange(1, 30), rng.choice([Side.BUY, Side.SELL])
            )
        else:
            self.feed.delta(
                [(9_960 + rng.randrange(40), rng.randrange(0, 30))],
                [(10_001 + rng.randrange(40), rng.randrange(0, 30))],
            )

    def some_order(self) -> NewOrder:
        rng = self.rng
        side, qty = rng.choice([Side.BUY, Side.SELL]), rng.randrange(1, 20)
        kind = rng.randrange(8)
        if kind == 0:
            return order(side, qty, 0, time_in_force=TimeInForce.IOC)
        if kind == 1:
            return order(
                side,
                qty,
                9_990 + rng.randrange(30),
                time_in_force=rng.choice([TimeInForce.IOC, TimeInForce.FOK]),
            )
        flags = rng.choice([OrderFlags(0), OrderFlags(0), OrderFlags.POST_ONLY, OrderFlags.REDUCE_ONLY])
        price = 9_970 + rng.randrange(60)
        if kind == 2:
            expire_ns = time.time_ns() + rng.randrange(5, 50) * 1_000_000
            return order(side, qty, price, time_in_force=TimeInForce.GTD, expire_ns=expire_ns, flags=flags)
        return order(side, qty, price, flags=flags)

    def settle(self) -> None:
        """Every request has its answer."""
        for one in self.strategies:
            until(lambda one=one: self.answered(one))

    def answered(self, one: Strategy) -> bool:
        answered = {report.request_seq for report in one.reports()}
        return all(seq in answered for seq in self.sent[one.name])

    def play(self, steps: int) -> None:
        for step in range(steps):
            self.step()
            if step % 10 == 0:
                time.sleep(0.002)
        self.settle()

    def verdicts(self) -> list[Verdict]:
        config = load_host(self.router.config)
        with Archive(self.router.paths) as archive:
            return [rerun_router(archive, one, config) for one in recorded_sessions(archive, "router")]

    def close(self) -> None:
        self.router.close()
        self.feed.close()
        for one in self.strategies:
            one.close()


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[Floor]:
    seed = random.randrange(1 << 30)
    print("seed", seed)
    floor = Floor(tmp_path, seed)
    yield floor
    floor.close()


def forget_settings(path: Path) -> None:
    """The journal as an older router has written it: without settings, and without what the venue remembers."""
    with Queue.open_subscriber(path, None, start="earliest") as reader:
        records = [(one.type_id, bytes(one), one.ts_ns) for one in reader.drain(1 << 20)]
    shutil.rmtree(path)
    in_checkpoint = False
    with Queue.open_publisher(path, SMALL) as writer:
        for kind, payload, ts_ns in records:
            if kind in (SessionStart.TEMPLATE_ID, StateChange.TEMPLATE_ID):  # READY ends it
                in_checkpoint = kind == SessionStart.TEMPLATE_ID
            is_note = kind == OpenOrder.TEMPLATE_ID and not in_checkpoint
            if kind != StateChunk.TEMPLATE_ID and not is_note:
                writer.append(kind, payload, ts_ns)


def lose_tail(path: Path, kind: int) -> None:
    """Power loss: the journal from the last record of a kind on is gone."""
    with Queue.open_subscriber(path, None, start="earliest") as reader:
        records = [(one.type_id, bytes(one), one.ts_ns) for one in reader.drain(1 << 20)]
    last = max(at for at, record in enumerate(records) if record[0] == kind)
    shutil.rmtree(path)
    with Queue.open_publisher(path, SMALL) as writer:
        for type_id, payload, ts_ns in records[:last]:
            writer.append(type_id, payload, ts_ns)


def same(verdicts: list[Verdict]) -> None:
    for verdict in verdicts:
        assert verdict.difference is None, verdict.difference.lines()
        assert verdict.compared > 100


def test_a_session_run_again_gives_the_same_journal_and_the_same_reports(floor: Floor) -> None:
    floor.router.start()
    floor.play(600)
    assert floor.router.stop() == 0
    (verdict,) = floor.verdicts()
    same([verdict])
    assert verdict.finished
    assert verdict.unchecked == 0
    delivered = sum(len(one.poll()) for one in floor.strategies)
    assert verdict.compared > delivered > 500


def test_the_command_asks_the_routers_own_program(floor: Floor) -> None:
    floor.router.start()
    floor.play(60)
    assert floor.router.stop() == 0
    where = ["--run", str(floor.router.paths.root), "--config", str(floor.router.config)]
    done = CliRunner().invoke(app, ["replay-check", "router", *where, "--json"], catch_exceptions=False)
    (facts,) = json.loads(done.stdout)
    assert (done.exit_code, facts["same"], facts["name"]) == (0, True, "router")
    shutil.rmtree(floor.router.paths.orders_out("alpha"))
    done = CliRunner().invoke(app, ["replay-check", "router", *where])
    assert isinstance(done.exception, CannotRerun)
    assert "is neither in its queue nor archived" in str(done.exception)


@pytest.mark.parametrize("leverage", ["", 'leverage = { "*" = 2 }'])
def test_a_session_with_accounts_comes_again_on_both_sides_of_kill_9(floor: Floor, leverage: str) -> None:
    config = floor.router.config
    paper = f"""
[router.paper]
cash = {{ USDT = "1", BTC = "0.01" }}
{leverage}
[router.paper.fees."*"]
maker_bps = 1
taker_bps = 5
per_order = "0.0001"
tiers = [["1", 0.5, 4]]
"""
    config.write_text(config.read_text() + paper)
    floor.router.start()
    floor.play(250)
    floor.router.kill()
    floor.router.start()
    floor.play(150)
    assert floor.router.stop() == 0
    config.write_text(config.read_text().replace('USDT = "1"', 'USDT = "500"'))
    same(floor.verdicts())
    codes = {one.reject_code.name for strategy in floor.strategies for one in strategy.reports()}
    assert "INSUFFICIENT_BALANCE" in codes


def test_a_session_with_latencies_comes_again_on_both_sides_of_kill_9(floor: Floor) -> None:
    config = floor.router.config
    paper = """
[router.paper]
cash = { USDT = "2", BTC = "0.02" }
[router.paper.latency]
model = "jitter"
entry_us = 20000
response_us = 30000
sigma = 1.0
"""
    config.write_text(config.read_text() + paper)
    floor.router.start()
    floor.play(150)
    for _ in range(60):
        floor.step()
    floor.router.kill()
    floor.router.start()
    floor.play(100)
    for _ in range(30):
        floor.step()
    assert floor.router.stop() == 0
    same(floor.verdicts())
    for one in floor.strategies:
        reports = one.reports()
        assert [report.exec_id for report in reports] == list(range(1, len(reports) + 1))
    delays = [report.venue_ts - report.order_ts for report in reports if report.exec_type == ExecType.ACK]
    assert min(delays) > 1_000_000


def test_kills_pauses_and_a_lost_market_come_again(floor: Floor) -> None:
    floor.router.start()
    paths = floor.router.paths
    floor.play(100)
    for command in (Command.PAUSE, Command.RESUME, Command.KILL, Command.UNKILL, Command.CANCEL_ALL):
        send_command(paths, "router", command, reason="test", target="alpha")
        floor.play(40)
        time.sleep(0.3)
    KillWord(paths).kill("test")
    floor.play(60)
    KillWord(paths).allow("test")
    floor.play(60)
    floor.feed.close()
    until(
        lambda: (
            "event='feed lost'" in floor.router.log.read_text()
            or 'event="feed lost"' in floor.router.log.read_text()
        )
    )
    floor.feed = FeedWriter(paths)
    until(lambda: "feed is back" in floor.router.log.read_text())
    floor.play(100)
    assert floor.router.stop() == 0
    same(floor.verdicts())


def test_sessions_on_both_sides_of_kill_9_come_again(floor: Floor) -> None:
    floor.router.start()
    floor.play(150)
    floor.router.kill()
    for _ in range(60):
        floor.market()
    floor.router.start()
    floor.play(150)
    assert floor.router.stop() == 0
    first, second = floor.verdicts()
    same([first, second])
    assert (first.finished, second.finished) == (False, True)


def test_breakers_that_tripped_come_again_and_so_do_the_looks_that_tripped_them(floor: Floor) -> None:
    floor.router.start()
    beta = floor.strategies[1]
    journal = Queue.open_subscriber(floor.router.paths.session("router"), None, start="earliest")
    looked = tripped = False
    for _ in range(60):  # markets are random: most take a few rounds, some more
        floor.play(60)
        floor.sent["beta"].append(beta.send(order(Side.BUY, 3, 0, time_in_force=TimeInForce.IOC)))
        floor.settle()
        time.sleep(0.4)
        for one in journal.drain(1 << 20):
            looked |= one.type_id == TimerFired.TEMPLATE_ID and TimerFired.decode(one).name == "risk"
            tripped |= one.type_id == RiskEvent.TEMPLATE_ID and is_trip(RiskEvent.decode(one))
        if looked and tripped:
            break
    journal.close()
    assert (looked, tripped) == (True, True)
    assert floor.router.stop() == 0
    same(floor.verdicts())


def is_trip(event: RiskEvent) -> bool:
    return event.text.startswith("breaker tripped")


def test_an_external_risk_gateway_stops_new_risk_and_its_session_comes_again(floor: Floor) -> None:
    config, permit = floor.router.config, RiskPermit(floor.router.paths)
    config.write_text(config.read_text().replace("valid_for_ms", 'permit = "required"\nvalid_for_ms', 1))
    alpha = floor.strategies[0]
    floor.router.start()

    def answer() -> str:
        seq = alpha.send(order(Side.BUY, 2, 9_000))
        until(lambda: any(one.request_seq == seq for one in alpha.reports()))
        return next(one.reject_code.name for one in alpha.reports() if one.request_seq == seq)

    assert answer() == "RISK_GATEWAY"
    permit.renew(ttl_s=600)
    until(lambda: answer() == "NONE")
    floor.play(60)
    permit.withdraw()
    until(lambda: answer() == "RISK_GATEWAY")
    permit.renew(ttl_s=1.5)  # and then it hangs
    until(lambda: answer() == "NONE")
    until(lambda: answer() == "RISK_GATEWAY")
    assert floor.router.stop() == 0
    same(floor.verdicts())


def test_limits_risk_and_fees_of_today_change_nothing_about_a_session_of_yesterday(floor: Floor) -> None:
    floor.router.start()
    floor.play(200)
    assert floor.router.stop() == 0
    config, toml = floor.router.config, floor.router.strategies / "beta.toml"
    config.write_text(config.read_text().replace("taker_fee_bps = 5", "taker_fee_bps = 6"))
    toml.write_text(toml.read_text().replace("max_open_orders = 4", "max_open_orders = 0"))
    (verdict,) = floor.verdicts()
    same([verdict])
    assert verdict.notes == []


def test_another_fee_shows_in_the_first_fill_of_a_session_that_does_not_say_its_own(floor: Floor) -> None:
    floor.router.start()
    floor.play(200)
    assert floor.router.stop() == 0
    forget_settings(floor.router.paths.session("router"))
    config = floor.router.config
    (verdict,) = floor.verdicts()
    same([verdict])
    assert verdict.notes == ["an older session, without its settings: limits, risk and fees are today's"]
    config.write_text(config.read_text().replace("taker_fee_bps = 5", "taker_fee_bps = 6"))
    (verdict,) = floor.verdicts()
    assert verdict.notes[0].endswith("today's, which is not the configuration it ran with")
    assert verdict.difference is not None
    assert verdict.difference.fields == ("fee",)
    assert verdict.difference.recorded is not None
    assert verdict.difference.recorded["message"] == "ExecutionReport"


def test_a_session_comes_again_after_its_queues_were_archived(floor: Floor) -> None:
    floor.router.start()
    floor.play(200)
    assert floor.router.stop() == 0
    floor.close()
    layout = ArchiveLayout.of(floor.router.paths)
    for source in list(queues_on_bus(floor.router.paths)):
        with Queue.open_publisher(source.path) as writer:
            writer.roll()
        for ref in queue_segments(source.path)[:-1]:
            adopt(layout, ref.path, source.venue, source.symbol, source.stream)
        shutil.rmtree(source.path)
    same(floor.verdicts())


def test_an_order_that_only_orders_in_knows_of_is_open_at_the_venue_too(floor: Floor) -> None:
    alpha = floor.strategies[0]
    floor.router.start()
    first, second = (alpha.send(order(Side.BUY, qty, 9_990)) for qty in (2, 3))
    assert alpha.answer(second).exec_type == ExecType.ACK
    floor.router.kill()
    lose_tail(floor.router.paths.session("router"), NewOrder.TEMPLATE_ID)
    floor.router.start()
    replaced = alpha.send(
        ReplaceOrder(instrument_id=BTC, order_seq=second, order_epoch=1, price=9_980, qty=4)
    )
    assert alpha.answer(replaced).exec_type == ExecType.REPLACED
    floor.feed.trade(9_985, 1, Side.SELL)
    until(lambda: ("FILL", first) in [(one.exec_type.name, one.order_seq) for one in alpha.reports()])
    cancelled = alpha.send(CancelOrder(instrument_id=BTC, order_seq=second, order_epoch=1))
    assert alpha.answer(cancelled).exec_type == ExecType.CANCELLED
    third = alpha.send(order(Side.BUY, 2, 9_000))
    assert alpha.answer(third).venue_order_id == alpha.answer(second).venue_order_id + 1
    assert floor.router.stop() == 0
    (_, verdict) = floor.verdicts()
    assert verdict.difference is None, verdict.difference.lines()
