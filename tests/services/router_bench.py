"""A real router daemon, with a feed and strategies played by the test: their queues are written and read
here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from libchronicle.bus.endpoint import Endpoint
from libchronicle.bus.kill_word import KillWord
from libchronicle.bus.paths import BusPaths
from libchronicle.errors import NotReady
from libchronicle.protocol import (
    BookDelta,
    BookMode,
    BookSnapshot,
    ContractKind,
    ExecutionReport,
    Instrument,
    NewOrder,
    OrderType,
    Side,
    TimeInForce,
    Trade,
    decode,
    instrument_id,
)
from libchronicle.queue import Publisher, Queue, QueueConfig, Subscriber

BTC = instrument_id("binance-spot:BTCUSDT")
SMALL = QueueConfig(segment_size=1 << 20)
DEFINITION = Instrument(
    instrument_id=BTC, tick_size=1, lot_size=1, min_qty=1, max_qty=0, min_notional=0, contract_size=0, price_exponent=-2,
    qty_exponent=-3, contract_kind=ContractKind.SPOT, book_mode=BookMode.L2, trading=1, venue="binance-spot",
    symbol="BTCUSDT", base_currency="BTC", quote_currency="USDT", settle_currency="USDT",
)  # fmt: skip
HOST = """
version = 1
[bus]
root = "{root}"
[feeds.binance-spot]
venue = "binance-spot"
symbols = ["BTCUSDT"]
rest_url = "http://127.0.0.1:1"
ws_url = "ws://127.0.0.1:1"
[strategies]
dir = "{strategies}"
[router]
{router}
"""


def until(condition: Callable[[], Any], timeout_s: float = 40.0) -> Any:
    """The condition's value as soon as it is true."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError("timed out")
        time.sleep(0.005)
    return value


class FeedWriter:
    """The raw queue of binance-spot; a thread keeps its heartbeat."""

    def __init__(self, paths: BusPaths) -> None:
        self._lock = threading.Lock()
        self.path = paths.raw("binance-spot")
        self.writer: Publisher = Queue.open_publisher(self.path, SMALL)
        self.update_id = 0
        self._running = True
        self.put(DEFINITION)
        self.snapshot()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def put(self, message: Any) -> int:
        with self._lock:
            return self.writer.append(message.TEMPLATE_ID, message.encode())

    def snapshot(self, bids=((9_990, 500), (9_980, 1000)), asks=((10_010, 500), (10_020, 1000))) -> int:
        self.update_id += 1
        return self.put(
            BookSnapshot(instrument_id=BTC, last_update_id=self.update_id, bids=list(bids), asks=list(asks))
        )

    def delta(self, bids=(), asks=()) -> int:
        self.update_id += 1
        last = self.update_id
        return self.put(
            BookDelta(
                instrument_id=BTC, first_update_id=last, last_update_id=last, bids=list(bids), asks=list(asks)
            )
        )

    def trade(self, price: int, qty: int, aggressor: Side) -> int:
        return self.put(Trade(instrument_id=BTC, price=price, qty=qty, aggressor=aggressor))

    def _beat(self) -> None:
        while self._running:
            with self._lock:
                self.writer.heartbeat()
            time.sleep(0.1)

    def close(self) -> None:
        self._running = False
        self._thread.join()
        self.writer.close()


class Strategy:
    """A strategy's side of its endpoint."""

    def __init__(self, paths: BusPaths, name: str) -> None:
        self.name, self.paths = name, paths
        self.out: Publisher = Queue.open_publisher(paths.orders_out(name), SMALL)
        self.endpoint = Endpoint(paths.endpoint(name), epoch=self.out.epoch, ttl_s=3600)
        self.endpoint.register()
        self._in: Subscriber | None = None
        self.received: list[Any] = []

    def send(self, message: Any) -> int:
        return self.out.append(message.TEMPLATE_ID, message.encode())

    def poll(self) -> list[Any]:
        """All that came in so far, decoded."""
        if self._in is None:
            try:
                self._in = Queue.open_subscriber(
                    self.paths.orders_in(self.name), self.name, SMALL, "earliest"
                )
            except NotReady:
                return self.received
        for message in self._in:
            self.received.append(decode(message.type_id, message))
        return self.received

    def reports(self) -> list[ExecutionReport]:
        return [m for m in self.poll() if isinstance(m, ExecutionReport)]

    def answer(self, seq: int) -> ExecutionReport:
        """The first report that answers a request."""
        return until(lambda: next((r for r in self.reports() if r.request_seq == seq), None))

    def close(self) -> None:
        self.endpoint.close()
        self.out.close()
        if self._in is not None:
            self._in.close()


class Router:
    """The daemon's process."""

    def __init__(self, tmp_path: Path, router: str = "valid_for_ms = 20000") -> None:
        self.paths = BusPaths(tmp_path / "run")
        self.strategies = tmp_path / "strategies"
        self.strategies.mkdir()
        self.config = tmp_path / "host.toml"
        self.config.write_text(HOST.format(root=self.paths.root, strategies=self.strategies, router=router))
        KillWord(self.paths).initialise()
        self.log = tmp_path / "router.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> None:
        """Run it; by default until it trades."""
        before = self._times_trading()
        program = Path(sys.executable).with_name("chronicle-router")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([program, "--config", self.config], stdout=log, stderr=log)
        if wait:
            until(lambda: self._times_trading() > before or self._ended(), timeout_s=60)
            assert not self._ended(), self.log.read_text()[-2000:]

    def _ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def _times_trading(self) -> int:
        return self.log.read_text().count("event=trading ") if self.log.exists() else 0

    def kill(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        code = self.process.wait(timeout=10)
        self.process = None
        return code

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()


def order(side: Side = Side.BUY, qty: int = 2, price: int = 9_990, **more: Any) -> NewOrder:
    kind = OrderType.LIMIT if price else OrderType.MARKET
    plain: dict[str, Any] = {"order_type": kind, "time_in_force": TimeInForce.GTC}
    return NewOrder(instrument_id=BTC, side=side, qty=qty, price=price, **(plain | more))
