"""One market on one port: its connections, who gets which frame, and the REST answers."""

from __future__ import annotations

import asyncio
import errno
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random

import msgspec

from libchronicle.errors import HostError
from libchronicle.sim.desk import Desk, DeskEvent
from libchronicle.sim.faults import Fault, FaultInjector
from libchronicle.sim.frames import Frame, stream_key
from libchronicle.sim.rest import RestApi
from libchronicle.sim.rest_answers import Response
from libchronicle.sim.source import MarketSource
from libchronicle.sim.trading_rest import TradingApi
from services.exchange.connection import Connection, encode_message
from services.exchange.options import ExchangeOptions

CLOSE_TIMEOUT_S = 0.3

Route = tuple[str, list[Connection]]
"""A form of the frame ("" = bare event, else the name in the envelope) and who gets it."""


class MarketServer:
    """Counts are by event: connections, frames by kind, and the reason of every cut."""

    def __init__(self, source: MarketSource, options: ExchangeOptions, wall_ms: Callable[[], int]) -> None:
        self.source = source
        self.options = options
        self.market = source.market
        self.desk = Desk(source, options.accounts, seed=options.seed)
        self.trading = TradingApi(self.desk, wall_ms, self.tell)
        self.rest = RestApi(source, wall_ms, options.weight_limit, self.trading)
        self.now_ms = wall_ms
        self.counts: Counter[str] = Counter()
        self.fault_counts: Counter[Fault] = Counter()
        self.connections: set[Connection] = set()
        self.subscribers: list[Connection] = []
        self.room = asyncio.Event()
        """Set when a subscriber came, went, or has taken what it was sent."""
        self.book_fetched = asyncio.Event()
        self.port = 0
        self._routes: dict[str, list[Route]] = {}
        self._listener: asyncio.Server | None = None
        self._serial = 0

    # ------------------------------------------------------------ life

    async def listen(self, host: str, port: int) -> None:
        """Raises HostError when the port is taken or may not be used."""
        loop = asyncio.get_running_loop()
        try:
            self._listener = await loop.create_server(lambda: Connection(self), host, port, backlog=1024)
        except OSError as error:
            raise HostError(path=f"{host}:{port}", reason=_listen_reason(error, self.market)) from None
        self.port = self._listener.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Says goodbye to every subscriber and gives them a moment to answer."""
        if self._listener is not None:
            self._listener.close()
        for connection in list(self.connections):
            if connection.open:
                connection.close(1001, "server shutdown")
            else:
                connection.transport.close()
        deadline = asyncio.get_running_loop().time() + CLOSE_TIMEOUT_S
        while self.connections and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.005)
        for connection in list(self.connections):
            connection.transport.abort()

    # ------------------------------------------------------------ connections

    def connected(self, connection: Connection) -> bool:
        """False: there are too many, and this one was cut off."""
        if len(self.connections) >= self.options.max_connections:
            connection.abort("refused")
            return False
        self.connections.add(connection)
        self.count("connections")
        return True

    def disconnected(self, connection: Connection) -> None:
        self.connections.discard(connection)
        if connection.subscriptions is not None:
            self._rebuild_routes()

    def subscribed(self, connection: Connection) -> None:
        """The connection's subscriptions are new or have changed."""
        if connection.injector is None and self.options.faults.active:
            self._serial += 1
            connection.injector = self._injector(self._serial)
        self._rebuild_routes()

    def _injector(self, serial: int) -> FaultInjector:
        plan = self.options.faults
        return FaultInjector(plan, Random(f"{plan.seed}:{self.market}:{serial}"), self.fault_counts)

    def _rebuild_routes(self) -> None:
        routes: dict[str, dict[str, list[Connection]]] = {}
        self.subscribers = []
        for connection in self.connections:
            wanted = connection.subscriptions
            if wanted is None or not connection.open:
                continue
            if wanted.names:
                self.subscribers.append(connection)
            for name in wanted.names:
                forms = routes.setdefault(stream_key(name) or name, {})
                forms.setdefault(name if wanted.combined else "", []).append(connection)
        self._routes = {key: list(forms.items()) for key, forms in routes.items()}
        self.room.set()

    def count(self, what: str, number: int = 1) -> None:
        self.counts[what] += number

    # ------------------------------------------------------------ traffic

    def respond(self, method: str, target: str, body: bytes, key: str) -> Response:
        self.count("requests")
        response = self.rest.respond(method, target, body, key)
        if self.rest.depth_served:
            self.book_fetched.set()
        return response

    def broadcast(self, frames: Sequence[Frame]) -> None:
        """Sends a batch of the market's stream, then what it did to clients' orders."""
        self.send(frames)
        self.count("frames", len(frames))
        told = self.desk.on_frames(frames)
        if told:
            self.tell(told)

    def tell(self, events: Sequence[DeskEvent]) -> None:
        """Steps of clients' orders, to the user streams of those who have one open."""
        self.count("order_events", len(events))
        keys = {trader: key for key, trader in self.trading.streams.items()}
        self.send(
            [
                Frame(event.order.update_ms * 1_000_000, key, key, msgspec.json.encode(message))
                for event in events
                if (key := keys.get(event.order.trader)) is not None
                for message in self.trading.texts.events(event)
            ]
        )

    def send(self, frames: Sequence[Frame]) -> None:
        """In order: each frame encoded once per form, each connection written once."""
        touched: set[Connection] = set()
        messages = 0
        routes = self._routes
        for frame in frames:
            for form, connections in routes.get(frame.key, ()):
                payload = frame.in_envelope(form) if form else frame.data
                encoded = encode_message(payload)
                for connection in connections:
                    connection.send(payload, encoded)
                touched.update(connections)
                messages += len(connections)
        self.count("messages", messages)
        limit = self.options.max_backlog_bytes if self.options.paced else 0
        for connection in touched:
            connection.flush()
            if limit and connection.backlog_bytes() > limit:
                connection.abort("slow_consumer")


def _listen_reason(error: OSError, market: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port in use, {market} cannot listen there; stop its owner (ss -ltnp shows it) or choose another port"
    if error.errno == errno.EACCES:
        return f"permission denied, {market} cannot listen there; choose a port above 1023"
    return f"{market} cannot listen there: {error.strerror}"
