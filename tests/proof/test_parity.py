"""What a strategy did on paper comes again from its session and the queues, message for message, whatever the seed.

Each run: the embedded exchange with a seed of its own, a feed, the router and four strategies as processes; then
`chronicle replay-check` for every strategy and for the router, and a backtest of each, unchanged, over what was recorded.
"""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from libchronicle.backtest import BacktestResult
from libchronicle.backtest.plan import Plan
from libchronicle.bus.kill_word import KillWord
from libchronicle.bus.paths import BusPaths
from libchronicle.errors import NotReadyError
from libchronicle.protocol import ExecutionReport
from libchronicle.queue import Queue
from libchronicle.runtime.decode import read_toml, write_toml
from libchronicle.testing.live_suite import free_ports

BIN = Path(sys.executable).parent
WAIT_S = 60.0
FILLS = 6  # of each run, at least
MANY = 300

# Sends everything the paper venue takes, and puts whatever it is told into the next price.
MIXER = """
import random
from libchronicle.strategy import *

class Mixer(Strategy):
    def on_start(self, ctx):
        self.rng = random.Random(ctx.params.seed)
        ctx.set_timer("tick", every_ms=5)
        ctx.set_timer("sweep", every_ms=700)

    def on_timer(self, ctx, name):
        i = ctx.instrument("binance-spot:BTCUSDT")
        if name == "sweep":
            ctx.cancel_all() if self.rng.random() < 0.5 else ctx.close_position(i)
        elif i.is_synced and ctx.can_send:
            self.act(ctx, i)

    def act(self, ctx, i):
        rng, book = self.rng, i.book
        bid, ask = book.bid_price, book.ask_price
        if bid is None or ask is None:
            return
        side, qty = rng.choice([Side.BUY, Side.SELL]), i.qty("0.001") * rng.randrange(1, 5)
        touch, far = (ask, bid) if side is Side.BUY else (bid, ask)
        kind, away = rng.randrange(10), i.round_price(abs(ask - bid) * 3, Side.BUY)
        if kind == 0:
            ctx.send(i.market(side, qty))
        elif kind == 1:
            ctx.send(i.ioc(side, touch, qty))
        elif kind == 2:
            ctx.send(i.fok(side, touch, qty))
        elif kind == 3:
            ctx.send(i.post_only(side, far, qty))
        elif kind == 4:
            ctx.send(i.gtd(side, far, qty, ctx.now_ns() + 50_000_000))
        elif kind == 5:
            ctx.send(i.limit(side, far, qty, reduce_only=True))
        elif kind == 8:
            ctx.send(i.stop_market(side, ask + away if side is Side.BUY else bid - away, qty))
        elif kind == 9:
            stop = ask + away if side is Side.BUY else bid - away
            ctx.send(i.stop_limit(side, stop, stop + away if side is Side.BUY else stop - away, qty))
        for order in ctx.orders(i)[:2]:
            if kind == 6:
                ctx.replace(order.id, price=far, qty=order.qty + i.lot_size)
            elif kind == 7:
                ctx.cancel(order.id)

    def on_trade(self, ctx, trade):
        self.rng.random() if trade.price % 2 else None

    def on_fill(self, ctx, fill):
        self.rng.seed(fill.price * 31 + fill.instrument.position.qty + self.rng.randrange(1000))

    def on_order(self, ctx, update):
        self.rng.random() if update.exec_type is ExecType.ACK else None
"""
MIXER_TOML = """
version = 1
id = "mixer"
file = "mixer.py"
class = "Mixer"
subscribe = ["binance-spot:BTCUSDT"]
[params]
seed = {seed}
"""


# The example of features and signals, made to trade within seconds: no window that has to fill first.
LEAN = {
    "threshold": 0.0,
    "persist_ms": 0,
    "min_strength": 1e-4,
    "min_confidence": 0.0,
    "max_spread_bps": 1e4,
    "max_volatility": 0.0,
    "against_bps": 0.0,
    "hold_ms": 200,
    "pause_ms": 20,
    "qty": "5",
    "max_position": "9",
}


class Suite:
    """One run directory and its daemons."""

    def __init__(self, directory: Path, deploy: Path, seed: int) -> None:
        directory.mkdir()
        self.directory = directory
        self.paths = BusPaths(directory / "run")
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        tables = read_toml(deploy / "host.toml")
        (port,) = free_ports(1)
        exchange, feed = tables["exchange"], tables["feeds"]["binance-spot"]
        exchange.update(
            seed=seed, rate=1000.0, markets={"binance-spot": {"port": port, "symbols": ["BTCUSDT"]}}
        )
        urls = {"rest_url": f"http://127.0.0.1:{port}", "ws_url": f"ws://127.0.0.1:{port}"}
        feed.update(segment_size=4 << 20, symbols=["BTCUSDT"], **urls)
        tables["feeds"] = {"binance-spot": feed}
        tables["bus"]["root"] = str(self.paths.root)
        tables["strategies"]["dir"] = str(directory / "strategies")
        tables.pop("etl")
        tables.pop("archive")
        self.config = directory / "host.toml"
        self.config.write_text(write_toml(tables))
        self.strategies = directory / "strategies"
        self.strategies.mkdir()
        for name in ("imbalance_taker", "quoter"):
            for kind in ("py", "toml"):
                shutil.copy(deploy / "strategies" / f"{name}.{kind}", self.strategies)
        lean = read_toml(deploy / "examples/lean.toml")
        lean["params"] |= LEAN
        shutil.copy(deploy / "examples/lean.py", self.strategies)
        (self.strategies / "lean.toml").write_text(write_toml(lean))
        (self.strategies / "mixer.py").write_text(MIXER)
        (self.strategies / "mixer.toml").write_text(MIXER_TOML.format(seed=seed))
        KillWord(self.paths).initialise()

    @property
    def names(self) -> list[str]:
        return sorted(path.stem for path in self.strategies.glob("*.toml"))

    def start(self) -> None:
        self.run("exchange", "chronicle-exchange")
        self.run("feed", "chronicle-feed", "--name", "binance-spot")
        self.run("router", "chronicle-router")
        for name in self.names:
            self.run(name, "chronicle-strategy-host", "--strategy", str(self.strategies / f"{name}.toml"))

    def run(self, name: str, program: str, *arguments: str) -> None:
        with (self.directory / f"{name}.log").open("wb") as log:
            command = [str(BIN / program), "--config", str(self.config), *arguments]
            self.running[name] = subprocess.Popen(command, stdout=log, stderr=log)

    def fills(self, name: str) -> int:
        try:
            with Queue.open_subscriber(self.paths.orders_in(name), None, start="earliest") as reader:
                return sum(
                    m.type_id == ExecutionReport.TEMPLATE_ID and ExecutionReport.decode(m).last_qty > 0
                    for m in reader
                )
        except NotReadyError:
            return 0

    def until(self, done: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + WAIT_S
        while not done():
            dead = [name for name, process in self.running.items() if process.poll() is not None]
            assert not dead, f"{dead} ended\n{self.logs()}"
            assert time.monotonic() < deadline, f"never: {what}\n{self.logs()}"
            time.sleep(0.05)

    def stop(self) -> None:
        """Strategies, then the router, then where the data came from: all in order."""
        for name in (*self.names, "router", "feed", "exchange"):
            process = self.running.pop(name, None)
            if process is not None:
                process.send_signal(signal.SIGTERM)
                assert process.wait(30) == 0, self.logs()

    def check(self, name: str) -> list[dict[str, Any]]:
        command = [str(BIN / "chronicle"), "replay-check", name, "--config", str(self.config), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.stdout, done.stderr
        found: list[dict[str, Any]] = json.loads(done.stdout)
        assert done.returncode == (0 if all(one["same"] for one in found) else 1)
        return found

    def backtest(self, name: str) -> BacktestResult:
        """The same file and TOML over what the feed has recorded."""
        data = (str(self.paths.raw("binance-spot")),)
        plan = Plan.of_toml(self.strategies / f"{name}.toml", data=data, leverage=5.0)
        spot = {one: kinds for one, kinds in plan.instruments.items() if one == "binance-spot:BTCUSDT"}
        return msgspec.structs.replace(plan, instruments=spot).run()

    def logs(self) -> str:
        return "".join(
            f"--- {path.name}\n{path.read_text()[-1500:]}" for path in sorted(self.directory.glob("*.log"))
        )

    def close(self) -> None:
        for process in self.running.values():
            process.kill()
            process.wait()


@pytest.fixture
def suites(tmp_path: Path, project_root: Path) -> Iterator[Callable[[int], Suite]]:
    made: list[Suite] = []

    def make(seed: int) -> Suite:
        made.append(Suite(tmp_path / f"run{len(made)}", project_root / "deploy", seed))
        return made[-1]

    yield make
    for suite in made:
        suite.close()


@pytest.mark.timeout(1800)
def test_paper_sessions_come_again_message_for_message(
    suites: Callable[[int], Suite], scale: Any, seed: int, report: Callable[..., None]
) -> None:
    rng = random.Random(seed)
    runs, compared, requests = scale(1, 20), 0, 0
    for _ in range(runs):
        suite = suites(rng.randrange(1 << 30))
        suite.start()
        suite.until(lambda suite=suite: suite.fills("mixer") >= FILLS, "enough fills")
        # the example trades when its signal says so, which may take a minute of this market: not for ever, then
        suite.until(
            lambda suite=suite: suite.fills("lean") >= 2 or suite.fills("mixer") >= MANY,
            "fills of the example",
        )
        suite.stop()
        # the router's session is checked with each strategy's; once is enough
        verdicts = suite.check("mixer") + [
            one for n in suite.names for one in suite.check(n) if one["name"] == n
        ]
        for verdict in verdicts:
            assert verdict["same"], json.dumps(verdict["difference"], indent=2)
            assert verdict["finished"]
            assert verdict["unchecked"] == 0
            compared += verdict["compared"]
        assert {verdict["name"] for verdict in verdicts} == {*suite.names, "router"}
        for name in suite.names:
            result = suite.backtest(name)
            assert result.hash == suite.backtest(name).hash
            requests += result.requests
        shutil.rmtree(suite.paths.root)
    assert compared > 100 * runs
    assert requests > 10 * runs
    report(runs=runs, messages_compared=compared, different=0, backtest_requests=requests)
