"""The venue's counters, copied into the shared counters file at every heartbeat."""

from __future__ import annotations

from pathlib import Path

from libchronicle.counters import Counter, CounterFile
from services.exchange.server import MarketServer
from services.exchange.venue import Venue

EVENTS = {
    "frames": "stream frames the source produced",
    "messages": "stream messages queued to subscribers",
    "connections": "TCP connections accepted",
    "requests": "REST requests answered",
    "order_events": "steps of clients' orders",
    "slow_consumer": "subscribers cut off because they did not read",
    "refused": "connections cut off because there were too many",
    "idle": "connections cut off because they asked nothing for a minute",
    "message_limit": "subscribers cut off for too many control messages",
    "pong_timeout": "subscribers cut off because they did not answer a ping",
}


class VenueMetrics:
    """One counter per event and market, and how many subscribe right now."""

    def __init__(self, path: Path, venue: Venue) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = CounterFile.create(path, "exchange")
        self._counters: list[tuple[MarketServer, str, Counter]] = []
        self._subscribers: list[tuple[MarketServer, Counter]] = []
        for market, server in venue.servers.items():
            labels = {"market": market}
            for event, text in EVENTS.items():
                counter = self._file.counter(f"chronicle_exchange_{event}_total", text, labels)
                self._counters.append((server, event, counter))
            gauge = self._file.gauge("chronicle_exchange_subscribers", "subscribed connections", labels)
            self._subscribers.append((server, gauge))

    def ready(self) -> None:
        self._file.set_state("serving")

    def publish(self) -> None:
        for server, event, counter in self._counters:
            counter.set(server.counts[event])
        for server, gauge in self._subscribers:
            gauge.set(len(server.subscribers))
        self._file.heartbeat()

    def close(self) -> None:
        self.publish()
        self._file.close()
