"""Opening what the router reads and writes: strategies' queues and feeds. In a sidecar thread, never in the loop.

The sidecar waits in inotify outside the GIL, opens, looks at tails and rebuilds books, and hands the open handles over a bounded
channel; the loop only takes them. A thing that cannot be opened yet is tried again at every cadence.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from libchronicle.bus.commands import CommandChannel
from libchronicle.bus.discovery import Added, Discovery, Removed
from libchronicle.bus.killswitch import KillSwitch
from libchronicle.bus.paths import BusPaths
from libchronicle.errors import ChronicleError, NotReady
from libchronicle.protocol import ExecType, ExecutionReport, NewOrder, instrument_id
from libchronicle.queue import Publisher, Queue, QueueConfig, Subscriber
from libchronicle.risk import ConfiguredLimits
from libchronicle.runtime.config import HostConfig, load_strategy
from libchronicle.runtime.logging import Log
from libchronicle.sim.paper_feed import MarketReader
from services.router.journal import Record
from services.router.recovery import last_delivered

__all__ = ["Attachment", "ClientAttachment", "FeedAttachment", "Opener", "Sidecar"]

READER = "router"
CADENCE_S = 0.5
ORDERS = QueueConfig(segment_size=16 << 20, durable=("archive-tier",), prefault=False)
_TAIL = 64
DEFAULT_ACCOUNT = "paper"

Place = tuple[int, tuple[int, int]]  # queue id, (epoch, seq) of the last request that has its answer


@dataclass(slots=True)
class ClientAttachment:
    """A strategy's queues, open. `requests` stands behind what was handled of the queue it belongs to."""

    name: str
    requests: Subscriber
    reports: Publisher
    delivered: int  # last execId in orders_in
    limits: ConfiguredLimits
    account: str


@dataclass(slots=True)
class FeedAttachment:
    """A feed's reader, its books rebuilt and at the head."""

    name: str
    reader: MarketReader
    definitions: dict[int, bytes]
    applied: int


Attachment = ClientAttachment | FeedAttachment | Removed


class Opener:
    """Opens queues by name. Used by the main thread before the loop runs, by the sidecar from then on."""

    def __init__(self, config: HostConfig, paths: BusPaths, place: Callable[[str], Place]) -> None:
        self._config = config
        self._paths = paths
        self._place = place

    def client(self, name: str) -> ClientAttachment:
        """A strategy's queues. Raises NotReady while its orders_out is not there, ConfigError for a bad TOML, and what queues raise."""
        limits, account = self._strategy(name)
        path = self._paths.orders_out(name)
        requests = Queue.open_subscriber(path, READER, ORDERS, "earliest")
        try:
            self._seek(requests, *self._place(name))
            reports = Queue.open_publisher(self._paths.orders_in(name), ORDERS)
        except BaseException:
            requests.close()
            raise
        return ClientAttachment(name, requests, reports, last_delivered(self._tail(name, reports)), limits, account)

    def feed(self, name: str) -> FeedAttachment:
        """A feed's raw queue with its books rebuilt, muted. Raises NotReady while it is not there, and what queues raise."""
        subscriber = Queue.open_subscriber(self._paths.raw(name), READER, start="latest")
        try:
            reader = MarketReader(subscriber)
            feed = self._config.feeds[name]
            wanted = [instrument_id(f"{feed.venue}:{symbol}") for symbol in feed.symbols]
            applied, definitions = reader.rebuild(wanted)
        except BaseException:
            subscriber.close()
            raise
        return FeedAttachment(name, reader, definitions, applied)

    def reports_after(self, name: str, after: int) -> Iterator[tuple[ExecutionReport, NewOrder | None]]:
        """A strategy's delivered reports above an execId, each ack with the order it acknowledges."""
        with (
            Queue.open_subscriber(self._paths.orders_in(name), None, start="earliest") as reports,
            Queue.open_subscriber(self._paths.orders_out(name), None, start="earliest") as requests,
        ):
            for message in reports:
                if message.type_id != ExecutionReport.TEMPLATE_ID:
                    continue
                report = ExecutionReport.decode(message)
                if report.exec_id > after:
                    yield report, _request(requests, report) if report.exec_type == ExecType.ACK else None

    def _strategy(self, name: str) -> tuple[ConfiguredLimits, str]:
        """Limits and account as its TOML says; the host's where it has none."""
        toml = self._config.strategies.path / f"{name}.toml"
        if not toml.exists():
            return self._config.router.limits, DEFAULT_ACCOUNT
        strategy = load_strategy(toml, self._config)
        return strategy.limits, strategy.account

    @staticmethod
    def _seek(requests: Subscriber, queue_id: int, handled: tuple[int, int]) -> None:
        """Stand behind the last handled request; at the oldest record when the queue, or that part of it, is another one."""
        epoch, seq = handled
        oldest = requests.oldest_seq
        if requests.queue_id == queue_id and oldest <= seq < requests.head_seq:
            requests.seek_seq(seq)
            message = requests.next()
            if message is not None and message.seq == seq and message.epoch == epoch:
                return
        requests.seek_seq(oldest)

    def _tail(self, name: str, reports: Publisher) -> Iterator[Record]:
        """Records of an orders_in, newest first."""
        with Queue.open_subscriber(self._paths.orders_in(name), None, start="earliest") as reader:
            last = reports.next_seq
            while last > reader.oldest_seq:
                first = max(reader.oldest_seq, last - _TAIL)
                reader.seek_seq(first)
                found: list[Record] = []
                while reader.next_seq < last and (message := reader.next()) is not None:
                    found.append((message.type_id, bytes(message)))
                yield from reversed(found)
                last = first


def _request(requests: Subscriber, report: ExecutionReport) -> NewOrder | None:
    """The record of orders_out that an ack acknowledges, if it is still there."""
    if not requests.oldest_seq <= report.order_seq < requests.head_seq:
        return None
    requests.seek_seq(report.order_seq)
    message = requests.next()
    if message is None or message.type_id != NewOrder.TEMPLATE_ID or message.epoch != report.order_epoch:
        return None
    return NewOrder.decode(message)


class Sidecar:
    """The thread that finds and opens. `channel` carries what is open to the loop, `wanted_*` what the loop wants (again)."""

    def __init__(self, opener: Opener, paths: BusPaths, switch: KillSwitch, log: Log) -> None:
        self.channel: CommandChannel[Attachment] = CommandChannel("router attachments", capacity=256)
        self.wanted_clients: set[str] = set()
        self.wanted_feeds: set[str] = set()
        self._requests: deque[tuple[str, str]] = deque()  # (kind, name) from the loop
        self._opener = opener
        self._switch = switch
        self._log = log
        self._discovery = Discovery(paths.orders_dir, cadence_s=CADENCE_S)
        self._said: dict[str, str] = {}
        self._running = True
        self._thread = threading.Thread(target=self._run, name="router-attach", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; what it has open but not handed over is closed with the process."""
        self._running = False
        self._discovery.interrupt()
        self._thread.join(timeout=0.8)

    def open_again(self, kind: str, name: str) -> None:
        """From the loop: this `client` or `feed` failed."""
        self._requests.append((kind, name))
        self._discovery.interrupt()

    def attach_wanted(self, attached: Callable[[str], bool]) -> Iterator[ClientAttachment | FeedAttachment]:
        """Try all that is wanted; what cannot be opened yet stays wanted."""
        for kind, wanted in (("feed", self.wanted_feeds), ("client", self.wanted_clients)):
            for name in sorted(wanted):
                if kind == "client" and attached(name):
                    wanted.discard(name)
                    continue
                try:
                    found = self._opener.client(name) if kind == "client" else self._opener.feed(name)
                except NotReady:
                    continue
                except ChronicleError as error:
                    self._say(f"{kind} {name}", error)
                    continue
                wanted.discard(name)
                self._said.pop(f"{kind} {name}", None)
                yield found

    def _say(self, what: str, error: ChronicleError) -> None:
        """Once per reason: it is tried twice a second."""
        if self._said.get(what) != str(error):
            self._said[what] = str(error)
            self._log.error("cannot attach", error, source=what)

    def _run(self) -> None:
        attached: set[str] = set()
        while self._running:
            for event in self._discovery.wait(CADENCE_S):
                if isinstance(event, Added):
                    self.wanted_clients.add(event.name)
                elif isinstance(event, Removed):
                    self.channel.send(event, timeout_s=1.0)
            while self._requests:
                kind, name = self._requests.popleft()
                attached.discard(name)
                (self.wanted_clients if kind == "client" else self.wanted_feeds).add(name)
            self._switch.refresh()
            for found in self.attach_wanted(attached.__contains__):
                if isinstance(found, ClientAttachment):
                    attached.add(found.name)
                self.channel.send(found, timeout_s=1.0)
        self._discovery.close()
