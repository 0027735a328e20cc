"""A strategy host's counters file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from libchronicle.bus.paths import BusPaths
from libchronicle.counters import CounterFile

if TYPE_CHECKING:
    from libchronicle.strategy.live import LiveRunner

__all__ = ["TICK_TO_TRADE_BOUNDS_NS", "HostMetrics"]

TICK_TO_TRADE_BOUNDS_NS = tuple(us * 1000 for us in (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100))


class HostMetrics:
    """`orders`, `refused` and `tick_to_trade` are written by the native context, the rest by housekeeping."""

    def __init__(self, paths: BusPaths, name: str) -> None:
        path = paths.counters(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = CounterFile.create(path, name)
        counter, gauge = self.file.counter, self.file.gauge
        self._said = ""
        self.last_word = "stopped"
        self.orders = counter("strategy_orders_total", "orders sent")
        self.fills = counter("strategy_fills_total", "fills reported, partial ones too")
        self.refused = counter("strategy_refused_total", "orders the host did not send")
        self.errors = counter("strategy_errors_total", "failures: a callback, a queue")
        self.records = counter("strategy_records_total", "records read")
        self.messages = counter(
            "messages_total", "records read"
        )  # the name every daemon has, for `chronicle status`
        self.callbacks = counter("strategy_callbacks_total", "calls of the strategy")
        self.malformed = counter("strategy_malformed_total", "records that could not be read")
        self.parks = counter("strategy_parks_total", "times the loop went to sleep")
        self.lag = gauge("strategy_lag_records", "records committed that were not read yet")
        self.own_lag = gauge("lag_records", "records committed that were not read yet")
        self.open_orders = gauge("strategy_open_orders", "orders without their final report")
        self.tick_to_trade = self.file.histogram(
            "strategy_tick_to_trade_seconds",
            "market record committed to order record committed",
            TICK_TO_TRADE_BOUNDS_NS,
            scale=1e-9,
        )

    def state(self, text: str) -> None:
        """A word for `chronicle status`."""
        if text != self._said:
            self._said = text
            self.file.set_state(text)

    def publish(self, runner: LiveRunner) -> None:
        """Bring the slow counters up to date; the heartbeat says that the loop turns."""
        sources = runner.sources
        records, lag = sum(source.records for source in sources), max(source.lag for source in sources)
        self.records.set(records)
        self.messages.set(records)
        self.lag.set(lag)
        self.own_lag.set(lag)
        self.fills.set(runner.dispatcher.fills)
        self.callbacks.set(runner.dispatcher.callbacks)
        self.malformed.set(runner.dispatcher.malformed)
        self.parks.set(runner.loop.parks)
        self.open_orders.set(len(runner.ctx.tracker.orders))
        self.state(runner.lifecycle.word)
        self.file.heartbeat()

    def close(self) -> None:
        self.file.set_state(self.last_word)
        self.file.close()
