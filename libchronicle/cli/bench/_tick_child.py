"""The other process of the tick_to_trade and memory benchmarks: a strategy host, or a native echo, on a core of its own.

python -m libchronicle.cli.bench._tick_child ROOT host|stages|echo|bare CORE
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import msgspec

from libchronicle.bus.paths import BusPaths
from libchronicle.cli.bench._market import NAME
from libchronicle.queue import Queue, QueueConfig
from libchronicle.runtime.config import StrategyConfig
from libchronicle.runtime.daemon import Daemon, pin_to_core
from libchronicle.runtime.logging import Log
from libchronicle.strategy import Book, Context, Quote, Side, Strategy, Trade
from libchronicle.strategy.live import LiveRunner
from libchronicle.strategy.trace import StopMonitor, Trace

ID = "bench"
BUY = Side.BUY
ECHO = QueueConfig(segment_size=16 << 20)


class Everything(Strategy):
    """Sends an order on every update."""

    def on_start(self, ctx: Context) -> None:
        self.qty = 100_000

    def on_quote(self, ctx: Context, quote: Quote) -> None:
        ctx.send(quote.instrument.ioc(BUY, quote.bid_price, self.qty))

    def on_trade(self, ctx: Context, trade: Trade) -> None:
        ctx.send(trade.instrument.ioc(BUY, trade.price, self.qty))

    def on_book(self, ctx: Context, book: Book) -> None:
        price = book.bid_price
        if price is not None:
            ctx.send(book.instrument.ioc(BUY, price, self.qty))


def config(core: int = -1, spin_us: int = 60_000_000) -> StrategyConfig:
    return StrategyConfig(
        version=1,
        id=ID,
        file=__file__,
        class_name="Everything",
        subscribe=(NAME,),
        core=core,
        spin_us=spin_us,
        on_stop="keep",
    )


def host(root: Path, core: int, *, stages: bool) -> dict[str, Any]:
    monitor = StopMonitor()
    with Daemon("bench") as daemon:
        runner = LiveRunner(
            Everything(),
            config(core),
            BusPaths(root),
            log=Log("bench"),
            stopping=lambda: daemon.stop_reason,
            writer_ttl_ns=30_000_000_000,
        )
        with runner:
            runner.loop.watch_stops(monitor)
            trace = Trace(200_000, runner.sink) if stages else None
            runner.ctx.trace_into(trace)
            runner.run()
            return {
                "stops": monitor.stops(),
                "watched_ns": monitor.watched_ns,
                "stages": trace.stamps() if trace is not None else [],
            }


def echo(root: Path, *, with_book: bool) -> dict[str, Any]:
    from libchronicle.cli.bench._echo import echo as run_echo

    monitor = StopMonitor()
    paths = BusPaths(root)
    with (
        Queue.open_publisher(paths.orders_out(ID), ECHO) as writer,
        Queue.open_subscriber(paths.raw("binance-usdm"), "echo", start="earliest") as reader,
    ):
        (root / "echo.ready").touch()
        run_echo(reader, writer, monitor, with_book)
    return {"stops": monitor.stops(), "watched_ns": monitor.watched_ns, "stages": []}


def main() -> None:
    root, kind, core = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    logging.disable(logging.WARNING)
    pin_to_core(core)
    native = kind in ("echo", "bare")
    result = echo(root, with_book=kind == "echo") if native else host(root, core, stages=kind == "stages")
    (root / "result.json").write_bytes(msgspec.json.encode(result))


if __name__ == "__main__":
    main()
