"""The router's counters, copied into the shared counters file at every heartbeat."""

from __future__ import annotations

from pathlib import Path

from libchronicle.counters import CounterFile, ErrorLog
from services.router.engine import Engine
from services.router.market import MarketData

__all__ = ["RouterMetrics"]


class RouterMetrics:
    """One file; `messages_total` counts market records and requests alike."""

    def __init__(self, counters: Path, errors: Path, daemon: str) -> None:
        counters.parent.mkdir(parents=True, exist_ok=True)
        self.file = CounterFile.create(counters, daemon)
        self.errors = ErrorLog(errors)
        counter, gauge = self.file.counter, self.file.gauge
        self._messages = counter("messages_total", "market records and requests read")
        self._requests = counter("router_requests_total", "requests of strategies handled")
        self._rejects = counter("router_rejects_total", "requests refused before the gateway")
        self._fills = counter("router_fills_total", "fills")
        self._strategies = gauge("router_strategies", "strategies attached")
        self._open_orders = gauge("router_open_orders", "orders open at the gateway")
        self._feeds = gauge("router_feeds_alive", "feeds whose writer lives")
        self._lag = gauge("router_market_lag_records", "market records not read yet")
        self._killed = gauge("router_killed", "1 while the kill word forbids trading")
        self._frames = 0  # of readers that were replaced

    def publish(self, engine: Engine, markets: MarketData, killed: bool) -> None:
        """One store per counter, and the heartbeat."""
        feeds = markets.feeds.values()
        self._messages.set(self._frames + sum(feed.reader.frames for feed in feeds) + engine.requests)
        self._requests.set(engine.requests)
        self._rejects.set(engine.rejects)
        self._fills.set(engine.fills)
        self._strategies.set(sum(client.reports is not None for client in engine.state.clients.values()))
        self._open_orders.set(len(engine.state.ledger.open_orders))
        self._feeds.set(sum(feed.is_alive for feed in feeds))
        self._lag.set(sum(feed.reader.lag for feed in feeds))
        self._killed.set(killed)
        self.file.heartbeat()

    def retire(self, frames: int) -> None:
        """A reader with that many frames is replaced; the counter must not fall."""
        self._frames += frames

    def state(self, text: str) -> None:
        """A word for `chronicle status`."""
        self.file.set_state(text)

    def close(self) -> None:
        self.file.close()
        self.errors.close()
