"""A feed and a router made of real queues, for tests that run a strategy host as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from libchronicle.bus.kill_word import KillWord
from libchronicle.bus.paths import BusPaths
from libchronicle.protocol import (
    BestBidAsk,
    BookDelta,
    BookMode,
    BookSnapshot,
    CancelAll,
    CancelOrder,
    ContractKind,
    ExecType,
    ExecutionReport,
    Gap,
    GapReason,
    Instrument,
    NewOrder,
    Side,
    StateChange,
    Trade,
    decode,
    instrument_id,
)
from libchronicle.queue import Publisher, Queue, QueueConfig, Subscriber
from libchronicle.strategy.states import Machine

BTC = "binance-spot:BTCUSDT"
ETH = "binance-spot:ETHUSDT"
SMALL = QueueConfig(segment_size=8 << 20, prefault=False)
T = TypeVar("T")

HOST_TOML = """
version = 1
[bus]
root = "{root}"
[feeds.binance-spot]
venue = "binance-spot"
symbols = ["BTCUSDT", "ETHUSDT"]
rest_url = "http://127.0.0.1:1"
ws_url = "ws://127.0.0.1:1"
[feeds.binance-usdm]
venue = "binance-usdm"
symbols = ["BTCUSDT"]
rest_url = "http://127.0.0.1:1"
ws_url = "ws://127.0.0.1:1"
"""


def wait_for(what: Callable[[], T], timeout_s: float = 10.0) -> T:
    """The first true value of `what()`."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if value := what():
            return value
        time.sleep(0.005)
    raise AssertionError(f"not within {timeout_s} s: {what}")


def definition(name: str = BTC) -> Instrument:
    """Tick 0.01, lot 0.00001."""
    venue, _, symbol = name.partition(":")
    return Instrument(
        instrument_id=instrument_id(name),
        tick_size=1,
        lot_size=1_000,
        min_qty=1_000,
        price_exponent=-2,
        qty_exponent=-8,
        contract_kind=ContractKind.SPOT,
        book_mode=BookMode.L2,
        trading=1,
        venue=venue,
        symbol=symbol,
    )


class FakeFeed:
    """Writes one feed's raw queue."""

    def __init__(self, paths: BusPaths, name: str = "binance-spot", config: QueueConfig = SMALL) -> None:
        self.path = paths.raw(name)
        self.config = config
        self.publisher: Publisher = Queue.open_publisher(self.path, config)
        self.update_id = 100

    def put(self, message: Any) -> int:
        return self.publisher.append(message.TEMPLATE_ID, message.encode())

    def define(self, name: str = BTC) -> int:
        return self.put(definition(name))

    def snapshot(
        self, name: str = BTC, bid: int = 6_000_000, ask: int = 6_000_100, qty: int = 5_000_000
    ) -> int:
        self.update_id += 1
        return self.put(
            BookSnapshot(
                instrument_id=instrument_id(name),
                last_update_id=self.update_id,
                bids=[(bid - i, qty) for i in range(5)],
                asks=[(ask + i, qty) for i in range(5)],
            )
        )

    def delta(self, name: str = BTC, bids: Any = (), asks: Any = ()) -> int:
        self.update_id += 1
        return self.put(
            BookDelta(
                instrument_id=instrument_id(name),
                first_update_id=self.update_id,
                last_update_id=self.update_id,
                prev_update_id=self.update_id - 1,
                bids=list(bids),
                asks=list(asks),
            )
        )

    def trade(self, price: int = 6_000_050, qty: int = 1_000, name: str = BTC) -> int:
        return self.put(
            Trade(instrument_id=instrument_id(name), price=price, qty=qty, aggressor=Side.BUY, trade_id=price)
        )

    def quote(self, bid: int = 6_000_000, ask: int = 6_000_100, name: str = BTC) -> int:
        return self.put(
            BestBidAsk(instrument_id=instrument_id(name), bid_price=bid, bid_qty=1, ask_price=ask, ask_qty=1)
        )

    def gap(self, name: str = BTC) -> int:
        return self.put(Gap(instrument_id=instrument_id(name), reason=GapReason.SEQUENCE))

    def ready(self, name: str = BTC) -> None:
        self.define(name)
        self.snapshot(name)

    def close(self) -> None:
        self.publisher.close()

    def reopen(self) -> None:
        self.publisher = Queue.open_publisher(self.path, self.config)


class FakeRouter:
    """Reads one strategy's orders_out, writes its orders_in. Answers only when told to."""

    def __init__(self, paths: BusPaths, strategy: str) -> None:
        self.paths = paths
        self.strategy = strategy
        self.publisher: Publisher = Queue.open_publisher(paths.orders_in(strategy), SMALL)
        self.reader: Subscriber | None = None
        self.requests: list[tuple[int, int, Any]] = []  # (epoch, seq, message)
        self.exec_id = 0

    def poll(self) -> list[tuple[int, int, Any]]:
        """Every request ever seen, after reading what is there now."""
        if not self.publisher.closed:
            self.publisher.heartbeat()
        if self.reader is None:
            path = self.paths.orders_out(self.strategy)
            self.reader = Queue.try_open_subscriber(path, None, start="earliest")
        if self.reader is not None:
            while (message := self.reader.next()) is not None:
                self.requests.append((message.epoch, message.seq, decode(message.type_id, message)))
        return self.requests

    def of(self, kind: type[T]) -> list[T]:
        return [message for _, _, message in self.poll() if isinstance(message, kind)]

    def orders(self) -> list[tuple[int, int, NewOrder]]:
        return [one for one in self.poll() if isinstance(one[2], NewOrder)]

    def cancels(self) -> list[CancelOrder]:
        return self.of(CancelOrder)

    def cancel_alls(self) -> list[CancelAll]:
        return self.of(CancelAll)

    def report(self, order: tuple[int, int, NewOrder], kind: ExecType, **fields: Any) -> None:
        epoch, seq, body = order
        self.exec_id += 1
        filled = kind in (ExecType.FILL, ExecType.PARTIAL_FILL)
        last = fields.pop("last_qty", body.qty if filled else 0)
        cum = fields.pop("cum_qty", last)
        ends = kind not in (ExecType.ACK, ExecType.PARTIAL_FILL)
        assert self.reader is not None
        message = ExecutionReport(
            order_queue_id=self.reader.queue_id,
            order_seq=seq,
            order_epoch=epoch,
            instrument_id=body.instrument_id,
            exec_id=self.exec_id,
            price=body.price,
            qty=body.qty,
            last_price=body.price if filled else 0,
            last_qty=last,
            cum_qty=cum,
            leaves_qty=0 if ends else body.qty - cum,
            exec_type=kind,
            side=body.side,
            **fields,
        )
        self.publisher.append(ExecutionReport.TEMPLATE_ID, message.encode())

    def close(self) -> None:
        self.publisher.close()
        if self.reader is not None:
            self.reader.close()
            self.reader = None

    def reopen(self) -> None:
        self.publisher = Queue.open_publisher(self.paths.orders_in(self.strategy), SMALL)


class Host:
    """A chronicle-strategy-host process with a strategy given as source text; `settings` are lines of its TOML."""

    def __init__(self, root: Path, source: str, *, settings: str = "", params: str = "") -> None:
        self.name = "probe"
        self.root = root
        self.paths = BusPaths(root / "run")
        self.process: subprocess.Popen[bytes] | None = None
        self.output = root / "host.log"
        files = root / "strategies"
        files.mkdir(exist_ok=True)
        self.file = files / "probe.py"
        self.file.write_text(textwrap.dedent(source))
        self.toml = files / "probe.toml"
        if "subscribe" not in settings:
            settings += f'\nsubscribe = ["{BTC}"]'
        self.toml.write_text(
            f'version = 1\nid = "probe"\nfile = "probe.py"\nclass = "Probe"\n{settings}\n[params]\n{params}\n'
        )
        self.config = root / "host.toml"
        self.config.write_text(HOST_TOML.format(root=root / "run"))
        KillWord(self.paths).initialise()

    def command(self) -> list[str]:
        program = [sys.executable, "-m", "services.strategy_host"]
        return [*program, "--config", str(self.config), "--strategy", str(self.toml)]

    def start(self) -> Host:
        self.output.touch()
        environment = {**os.environ, "PROBE_OUT": str(self.root / "probe.out")}
        with self.output.open("ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, env=environment)
        return self

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def log(self) -> str:
        return self.output.read_text()

    def lines(self) -> list[str]:
        """What the strategy wrote with `say`."""
        path = self.root / "probe.out"
        return path.read_text().splitlines() if path.exists() else []

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self, timeout_s: float = 5.0) -> int:
        """SIGTERM and the exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)

    def session(self) -> list[Any]:
        """Every record of the session queue."""
        with Queue.open_subscriber(self.paths.session(self.name), None, start="earliest") as reader:
            return [decode(message.type_id, message) for message in iter(reader.next, None)]


SAY = """
import os
from libchronicle.strategy import *

def say(*words):
    with open(os.environ["PROBE_OUT"], "a") as file:
        print(*words, file=file)
"""


class Scene:
    """A host, its feed and its router."""

    feed: FakeFeed
    router: FakeRouter
    host: Host

    def __init__(self, root: Path) -> None:
        self.root = root
        self._last_beat = time.monotonic()
        self._silence = 0.0

    def begin(
        self, source: str, *, settings: str = "", params: str = "", feed: bool = True, router: bool = True
    ) -> Host:
        self.host = Host(self.root, SAY + textwrap.dedent(source), settings=settings, params=params)
        if feed:
            self.feed = FakeFeed(self.host.paths)
            self.feed.ready()
        if router:
            self.router = FakeRouter(self.host.paths, self.host.name)
        return self.host.start()

    def longest_silence(self) -> float:
        """Seconds between two beats at most, since the last call."""
        longest, self._silence = self._silence, 0.0
        return longest

    def beat(self) -> None:
        now = time.monotonic()
        self._silence = max(self._silence, now - self._last_beat)
        self._last_beat = now
        for name in ("feed", "router"):
            one = getattr(self, name, None)
            if one is not None and not one.publisher.closed:
                one.publisher.heartbeat()

    def until(self, what: Callable[[], T], timeout_s: float = 10.0) -> T:
        """wait_for, with feed and router alive and the host too."""

        def look() -> T:
            self.beat()
            value = what()
            if not value and not self.host.running:
                raise AssertionError(f"the host ended: {self.host.log()}")
            return value

        try:
            return wait_for(look, timeout_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.host.log()}\n{self.host.lines()}") from None

    def until_trading(self) -> None:
        self.until(lambda: "state=TRADING" in self.host.log() and "state=CONNECTED" in self.router_lines())

    def router_lines(self) -> str:
        return "\n".join(line for line in self.host.log().splitlines() if "event=router" in line)

    def said(self, text: str, count: int = 1) -> list[str]:
        """Until the strategy has said a line that starts so, that often."""

        def found() -> list[str]:
            lines = [line for line in self.host.lines() if line.startswith(text)]
            return lines if len(lines) >= count else []

        return self.until(found)

    def quiet(self, text: str, seconds: float = 0.3) -> None:
        """For that long the strategy says no further line that starts so."""

        def count() -> int:
            return sum(line.startswith(text) for line in self.host.lines())

        before = count()
        self.rest(seconds)
        assert count() == before, self.host.lines()

    def rest(self, seconds: float) -> None:
        """Let time pass with feed and router alive."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.beat()
            time.sleep(0.02)

    def close(self) -> None:
        if hasattr(self, "host") and self.host.running:
            self.host.kill()
        for name in ("feed", "router"):
            if hasattr(self, name):
                getattr(self, name).close()


SENDER = """
class Probe(Strategy):
    def on_start(self, ctx):
        say("start", len(ctx.orders()), ctx.position("binance-spot:BTCUSDT").qty)
    def on_quote(self, ctx, quote):
        order = quote.instrument.limit(Side.BUY, quote.bid_price, 1000)
        say("quote", quote.bid_price, int(ctx.send(order)))
    def on_trade(self, ctx, trade):
        say("trade", trade.price)
    def on_book(self, ctx, book):
        say("book", book.bid_price, book.ask_price)
    def on_order(self, ctx, update):
        say("order", update.exec_type.name, update.state.name, update.order_id)
    def on_fill(self, ctx, fill):
        say("fill", fill.price, fill.qty, fill.instrument.position.qty)
    def on_feed_state(self, ctx, feed, state):
        say("feed", feed, state.name)
    def on_router_state(self, ctx, state):
        say("router", state.name)
    def on_stop(self, ctx):
        say("stop")
"""


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    one = Scene(tmp_path)
    yield one
    one.close()


def state_changes(host: Host, machine: Machine) -> list[int]:
    return [one.to_state for one in host.session() if isinstance(one, StateChange) and one.machine == machine]
