"""The router's counters and markets, copied into the files that others look at, at every heartbeat."""

from __future__ import annotations

from libchronicle.bus.market_board import MarketBoardWriter
from libchronicle.bus.paths import BusPaths
from libchronicle.counters import Counter, CounterFile, ErrorLog
from libchronicle.protocol import CancelAll, CancelOrder, NewOrder, RejectCode, ReplaceOrder
from services.router.board import Board
from services.router.engine import Engine
from services.router.market import MarketData

__all__ = ["RouterMetrics"]

KINDS = {
    NewOrder.TEMPLATE_ID: "new",
    CancelOrder.TEMPLATE_ID: "cancel",
    ReplaceOrder.TEMPLATE_ID: "replace",
    CancelAll.TEMPLATE_ID: "cancel_all",
}
LATENCY_BOUNDS_NS = tuple(
    us * 1000 for us in (5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 100_000, 1_000_000)
)


class RouterMetrics:
    """`messages_total` counts market records and requests alike."""

    def __init__(self, paths: BusPaths) -> None:
        paths.services_dir.mkdir(parents=True, exist_ok=True)
        self.file = CounterFile.create(paths.counters("router"), "router")
        self._board = Board(MarketBoardWriter(paths.market_board))
        self.errors = ErrorLog(paths.errors("router"))
        counter, gauge = self.file.counter, self.file.gauge
        self._messages = counter("messages_total", "market records and requests read")
        self._requests = {
            template: counter("router_requests_total", "requests of strategies handled", {"kind": kind})
            for template, kind in KINDS.items()
        }
        self._rejects = {
            code: counter("router_rejects_total", "requests refused before the gateway", {"code": code.name})
            for code in RejectCode
            if code
        }
        self.latency = self.file.histogram(
            "router_latency_seconds",
            "request committed to its answer committed",
            LATENCY_BOUNDS_NS,
            scale=1e-9,
        )
        self._fills = counter("router_fills_total", "fills")
        self._strategies = gauge("router_strategies", "strategies attached")
        self._open_orders = gauge("router_open_orders", "orders open at the gateway")
        self._undecided = gauge("router_undecided_orders", "orders submitted whose fate is not known")
        self._feeds = gauge("router_feeds_alive", "feeds whose writer lives")
        self._lag = gauge("router_market_lag_records", "market records not read yet")
        self._killed = gauge("router_killed", "1 while the kill word forbids trading")
        self._strategy_killed: dict[str, Counter] = {}
        self._frames = 0  # of readers that were replaced

    def publish(self, engine: Engine, markets: MarketData, killed: bool) -> None:
        """One store per counter, the markets that changed, and the heartbeat."""
        feeds = markets.feeds.values()
        requests = sum(engine.requests.values())
        self._messages.set(self._frames + sum(feed.reader.frames for feed in feeds) + requests)
        for template, counter in self._requests.items():
            counter.set(engine.requests[template])
        for code, counter in self._rejects.items():
            counter.set(engine.rejects[code])
        self._fills.set(engine.fills)
        self._strategies.set(sum(client.reports is not None for client in engine.state.clients.values()))
        self._open_orders.set(len(engine.state.ledger.open_orders))
        self._undecided.set(len(engine.state.undecided))
        self._feeds.set(sum(feed.is_alive for feed in feeds))
        self._lag.set(sum(feed.reader.lag for feed in feeds))
        self._killed.set(killed)
        for name, client in engine.state.clients.items():
            if client.paused or name in self._strategy_killed:
                self._killed_gauge(name).set(client.paused)
        self._board.show(markets, engine.state.definitions)
        self.file.heartbeat()

    def _killed_gauge(self, strategy: str) -> Counter:
        """Made when it is first needed: hardly any strategy is ever killed."""
        if strategy not in self._strategy_killed:
            self._strategy_killed[strategy] = self.file.gauge(
                "router_strategy_killed", "1 while this strategy's orders are refused", {"strategy": strategy}
            )
        return self._strategy_killed[strategy]

    def retire(self, frames: int) -> None:
        """A reader with that many frames is replaced; the counter must not fall."""
        self._frames += frames

    def state(self, text: str) -> None:
        """A word for `chronicle status`."""
        self.file.set_state(text)

    def close(self) -> None:
        self._board.close()
        self.file.close()
        self.errors.close()
