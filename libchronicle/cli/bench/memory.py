"""Private memory of strategy host, router and feed after many messages.

Real daemons on a scratch run directory: host and router follow a market that this process plays straight into a raw queue
(a million records by default), the feed follows the embedded exchange. What counts is the `Private_*` of all maps that are
not files of the run directory: queues are shared and belong to the page cache. `*_growth_mb` is the difference between a
tenth of the way and the end.
"""

from __future__ import annotations

import hashlib
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from libchronicle.bus.kill_word import KillWord
from libchronicle.bus.paths import BusPaths
from libchronicle.cli.bench._market import definition, made_up
from libchronicle.cli.bench.harness import BenchOptions
from libchronicle.counters import read_counters
from libchronicle.errors import NotReadyError
from libchronicle.protocol import BookDelta
from libchronicle.queue import Publisher, Queue, QueueConfig

MESSAGES = 1_000_000
FEED_SECONDS = 8.0
BURST = 500
LAG = 20_000

HOST_TOML = """version = 1
[bus]
root = "{root}/run"
[exchange]
rate = 4000.0
[exchange.markets.binance-spot]
port = {port}
symbols = ["BTCUSDT", "ETHUSDT"]
[feeds.binance-spot]
venue = "binance-spot"
symbols = ["BTCUSDT", "ETHUSDT"]
rest_url = "http://127.0.0.1:{port}"
ws_url = "ws://127.0.0.1:{port}"
[feeds.binance-usdm]
venue = "binance-usdm"
symbols = ["BTCUSDT"]
rest_url = "http://127.0.0.1:1"
ws_url = "ws://127.0.0.1:1"
[strategies]
dir = "{root}"
"""
STRATEGY_TOML = """version = 1
id = "reader"
file = "reader.py"
class = "Reader"
subscribe = ["binance-usdm:BTCUSDT"]
"""
STRATEGY = """from libchronicle.strategy import Side, Strategy

class Reader(Strategy):
    def on_start(self, ctx):
        self.seen = 0

    def on_quote(self, ctx, quote):
        self.seen += 1
        if self.seen % 100 == 0:
            side = Side.BUY if quote.instrument.position.qty <= 0 else Side.SELL
            price = quote.ask_price if side is Side.BUY else quote.bid_price
            ctx.send(quote.instrument.ioc(side, price, 100_000))

    def on_book(self, ctx, book):
        self.seen += 1
"""


def run(options: BenchOptions) -> dict[str, Any]:
    count = 20_000 if options.tiny else MESSAGES
    with options.scratch() as root:
        daemons = _Daemons(root)
        try:
            result = _host_and_router(daemons, count)
            result |= _feed(daemons, 1.0 if options.tiny else FEED_SECONDS)
        finally:
            daemons.stop()
    result["n"] = count
    result["hash"] = hashlib.blake2b(str(count).encode(), digest_size=8).hexdigest()
    return result


class _Daemons:
    """Processes of the suite on one run directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.paths = BusPaths(root / "run")
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self._log = (root / "daemons.log").open("wb")
        (root / "host.toml").write_text(HOST_TOML.format(root=root, port=_free_port()))
        (root / "reader.toml").write_text(STRATEGY_TOML)
        (root / "reader.py").write_text(STRATEGY)
        KillWord(self.paths).initialise()

    def start(self, name: str, service: str, *arguments: str) -> None:
        command = [sys.executable, "-m", f"services.{service}", "--config", str(self.root / "host.toml")]
        self.running[name] = subprocess.Popen([*command, *arguments], stdout=self._log, stderr=self._log)

    def uss_mb(self, name: str) -> float:
        return round(private_bytes(self.running[name].pid, str(self.root)) / 1e6, 2)

    def until(self, what: Callable[[], bool], name: str, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not what():
            if self.running[name].poll() is not None or time.monotonic() > deadline:
                self._log.flush()
                raise RuntimeError(f"{name}: {(self.root / 'daemons.log').read_text()[-2000:]}")
            time.sleep(0.02)

    def counted(self, name: str, counter: str) -> float:
        """-1 while there is no counters file."""
        try:
            return read_counters(self.paths.counters(name)).value(counter)
        except NotReadyError:
            return -1.0

    def stop(self) -> None:
        for process in self.running.values():
            process.terminate()
        for process in self.running.values():
            process.wait(10)
        self._log.close()


def private_bytes(pid: int, own_files: str) -> int:
    """Sum of Private_Clean and Private_Dirty of all maps but those of files below `own_files`."""
    total, counts = 0, True
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as lines:
        for line in lines:
            fields = line.split()
            if not fields[0].endswith(":"):
                counts = len(fields) < 6 or not fields[5].startswith(own_files)
            elif counts and fields[0] in ("Private_Clean:", "Private_Dirty:"):
                total += int(fields[1]) * 1024
    return total


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _host_and_router(daemons: _Daemons, count: int) -> dict[str, Any]:
    config = QueueConfig(segment_size=16 << 20, on_full="evict", budget_bytes=256 << 20)
    snapshot, events = made_up(20_000)
    plain = [event for event in events if event.type_id != BookDelta.TEMPLATE_ID]
    early: dict[str, float] = {}
    with Queue.open_publisher(daemons.paths.raw("binance-usdm"), config) as feed:
        for event in (definition(), snapshot):
            feed.append(event.type_id, event.payload)
        daemons.start("router", "router")
        daemons.start("host", "strategy_host", "--strategy", str(daemons.root / "reader.toml"))
        _wait_for_trading(daemons, feed)
        for sent in range(count):
            event = events[sent] if sent < len(events) else plain[sent % len(plain)]
            feed.append(event.type_id, event.payload)
            if sent % BURST == 0:
                _keep_pace(daemons, feed, sent)
            if sent == count // 10:
                early = {name: daemons.uss_mb(name) for name in ("host", "router")}
        _keep_pace(daemons, feed, count + LAG)
        late = {name: daemons.uss_mb(name) for name in ("host", "router")}
    return {
        "strategy_host_uss_mb": late["host"],
        "router_uss_mb": late["router"],
        "strategy_host_growth_mb": round(late["host"] - early["host"], 2),
        "router_growth_mb": round(late["router"] - early["router"], 2),
        "orders": int(daemons.counted("strategy-reader", "strategy_orders_total")),
        "fills": int(daemons.counted("router", "router_fills_total")),
    }


def _wait_for_trading(daemons: _Daemons, feed: Publisher) -> None:
    def trading() -> bool:
        feed.heartbeat()
        return (
            daemons.counted("router", "router_strategies") > 0
            and daemons.counted("strategy-reader", "messages_total") >= 0
        )

    daemons.until(trading, "host")
    for _ in range(50):  # books are rebuilt, router and host find one another
        feed.heartbeat()
        time.sleep(0.02)


def _keep_pace(daemons: _Daemons, feed: Publisher, sent: int) -> None:
    """Until both have read all but the last LAG records: what is measured is their work, not their backlog."""
    feed.heartbeat()
    for name, daemon in (("host", "strategy-reader"), ("router", "router")):
        daemons.until(lambda daemon=daemon: daemons.counted(daemon, "messages_total") >= sent - LAG, name)  # type: ignore[misc]


def _feed(daemons: _Daemons, seconds: float) -> dict[str, Any]:
    """The feed daemon on the embedded exchange, for a while."""
    daemons.start("exchange", "exchange")
    daemons.start("feed", "feed", "--name", "binance-spot")
    daemons.until(lambda: daemons.counted("feed-binance-spot", "messages_total") > 100, "feed")
    time.sleep(seconds / 4)
    early = daemons.uss_mb("feed")
    time.sleep(seconds)
    return {
        "feed_uss_mb": daemons.uss_mb("feed"),
        "feed_growth_mb": round(daemons.uss_mb("feed") - early, 2),
        "feed_messages": int(daemons.counted("feed-binance-spot", "messages_total")),
    }
