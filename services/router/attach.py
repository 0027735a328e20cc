"""Opening what the router reads and writes: strategies' queues and feeds. In a sidecar thread, never in
the loop.

The sidecar (`bus.sidecar`) waits in inotify outside the GIL, opens, looks at tails and rebuilds books, and
hands the open handles over a bounded channel; the loop only takes them. What cannot be opened yet is tried
again twice a second.

A strategy's queues stay attached while its process is away: its resting orders may fill. They are opened
anew only when the queue in its place is another one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from libchronicle.bus.discovery import Added, DiscoveryEvent
from libchronicle.bus.killswitch import KillSwitch
from libchronicle.bus.orders import ROUTER_READER, STRATEGY_READER, orders_config, request_of
from libchronicle.bus.paths import BusPaths
from libchronicle.bus.permit import PermitWatch
from libchronicle.bus.scanner import RemoteDiscovery
from libchronicle.errors import Corrupt
from libchronicle.protocol import ExecType, ExecutionReport, NewOrder, instrument_id
from libchronicle.queue import Publisher, Queue, Subscriber
from libchronicle.runtime.config import HostConfig
from libchronicle.sim.paper_feed import MarketReader
from services.router.journal import Record
from services.router.recovery import last_delivered
from services.router.settings import StrategySettings, settings_of_strategy
from services.router.state import FeedPlace

__all__ = [
    "FEED",
    "Arrivals",
    "ClientAttachment",
    "FeedAttachment",
    "Handle",
    "Opener",
    "close_handle",
]

FEED = ":feed:"  # no strategy can have a colon in its name
CADENCE_S = 0.5
_TAIL = 64

Place = tuple[int, tuple[int, int]]  # queue id, (epoch, seq) of the last request that has its answer


@dataclass(slots=True)
class ClientAttachment:
    """A strategy's queues, open. `requests` stands behind what was handled of the queue it belongs to."""

    name: str
    requests: Subscriber
    reports: Publisher
    delivered: int  # last execId in orders_in
    settings: StrategySettings


@dataclass(slots=True)
class FeedAttachment:
    """A feed's reader, its books rebuilt: at the head, or where the orders have met its records up to."""

    name: str
    reader: MarketReader
    definitions: dict[int, bytes]
    applied: int


Handle = ClientAttachment | FeedAttachment | None  # None: nothing to do, it is attached


def close_handle(handle: Handle) -> None:
    """What the loop gave back, or never took."""
    if isinstance(handle, ClientAttachment):
        handle.requests.close()
        handle.reports.close()
    elif isinstance(handle, FeedAttachment):
        handle.reader.close()


class Opener:
    """Opens queues by name. Used by the main thread before the loop runs, by the sidecar from then on."""

    def __init__(
        self,
        config: HostConfig,
        paths: BusPaths,
        place: Callable[[str], Place],
        attached: Callable[[str], int],
        reached: Callable[[str], FeedPlace | None],
    ) -> None:
        self._config = config
        self._paths = paths
        self._place = place
        self._attached = attached  # queue id of the orders_out that the loop reads under a name, 0 = none
        self._reached = reached  # where a feed is to be read on from, None = at its head

    def open(self, event: Added) -> Handle:
        """For the sidecar: whatever came. Raises a ChronicleError while it cannot be opened."""
        if event.name.startswith(FEED):
            return self.feed(event.name.removeprefix(FEED))
        return None if self._is_attached(event.name) else self.client(event.name)

    def _is_attached(self, name: str) -> bool:
        """Whether the queue that is attached under the name still is the one on disk."""
        queue_id = self._attached(name)
        if not queue_id:
            return False
        with Queue.open_subscriber(self._paths.orders_out(name), None, start="latest") as present:
            return present.queue_id == queue_id

    def client(self, name: str) -> ClientAttachment:
        """A strategy's queues. Raises NotReady while its orders_out is not there, ConfigError for a bad
        TOML, and what queues raise."""
        settings = settings_of_strategy(self._config, name)
        path = self._paths.orders_out(name)
        requests = Queue.open_subscriber(path, ROUTER_READER, start="earliest")
        try:
            self._seek(requests, *self._place(name))
            reports = Queue.open_publisher(self._paths.orders_in(name), orders_config(STRATEGY_READER))
        except BaseException:
            requests.close()
            raise
        return ClientAttachment(name, requests, reports, last_delivered(self._tail(name)), settings)

    def feed(self, name: str) -> FeedAttachment:
        """A feed's raw queue with its books rebuilt, muted: up to where it was read before a restart if that record is still
        there, else up to its head. Raises NotReady while it is not there, and what queues raise."""
        subscriber = Queue.open_subscriber(self._paths.raw(name), ROUTER_READER, start="latest")
        try:
            reader = MarketReader(subscriber)
            feed = self._config.feeds[name]
            wanted = [instrument_id(f"{feed.venue}:{symbol}") for symbol in feed.symbols]
            reached = self._reached(name)
            until = reached.next_seq if reached is not None and _is_there(subscriber, reached) else None
            applied, definitions = reader.rebuild(wanted, until)
        except BaseException:
            subscriber.close()
            raise
        return FeedAttachment(name, reader, definitions, applied)

    def reports_after(self, name: str, after: int) -> Iterator[tuple[ExecutionReport, NewOrder | None]]:
        """A strategy's delivered reports above an execId, each ack with the order it acknowledges. Reads no more of
        orders_in than its tail."""
        newer: list[ExecutionReport] = []
        for type_id, payload in self._tail(name):
            if type_id == ExecutionReport.TEMPLATE_ID:
                report = ExecutionReport.decode(payload)
                if report.exec_id <= after:
                    break
                newer.append(report)
        with Queue.open_subscriber(self._paths.orders_out(name), None, start="earliest") as requests:
            for report in reversed(newer):
                yield report, request_of(requests, report) if report.exec_type == ExecType.ACK else None

    @staticmethod
    def _seek(requests: Subscriber, queue_id: int, handled: tuple[int, int]) -> None:
        """Stand behind the last handled request; at the oldest record when the queue, or that part of it,
        is another one."""
        epoch, seq = handled
        oldest = requests.oldest_seq
        if requests.queue_id == queue_id and oldest <= seq < requests.head_seq:
            requests.seek_seq(seq)
            message = requests.next()
            if message is not None and message.seq == seq and message.epoch == epoch:
                return
        requests.seek_seq(oldest)

    def _tail(self, name: str) -> Iterator[Record]:
        """Records of an orders_in, newest first."""
        with Queue.open_subscriber(self._paths.orders_in(name), None, start="earliest") as reader:
            last = reader.head_seq
            while last > reader.oldest_seq:
                first = max(reader.oldest_seq, last - _TAIL)
                reader.seek_seq(first)
                found: list[Record] = []
                while reader.next_seq < last and (message := reader.next()) is not None:
                    found.append((message.type_id, bytes(message)))
                yield from reversed(found)
                last = first


def _is_there(reader: Subscriber, place: FeedPlace) -> bool:
    """Whether the record before a place is in the queue, and is the one that was meant."""
    last = place.next_seq - 1
    if reader.queue_id != place.queue_id or not reader.oldest_seq <= last < reader.head_seq:
        return False
    reader.seek_seq(last)
    try:
        message = reader.next()
    except Corrupt:
        return False
    return message is not None and message.seq == last and message.epoch == place.epoch


class Arrivals:
    """What the sidecar is to open: endpoints that discovery finds, feeds that the loop asks for. Looks
    after the files of kill word and permit too."""

    def __init__(self, paths: BusPaths, switch: KillSwitch, permit: PermitWatch) -> None:
        self._discovery = RemoteDiscovery(paths.orders_dir, cadence_s=CADENCE_S)
        self._paths = paths
        self._switch = switch
        self._permit = permit
        self._asked: deque[Added] = deque()

    def ask(self, feed: str) -> None:
        """Open this feed as soon as it is there. From any thread."""
        self._asked.append(Added(FEED + feed, self._paths.raw(feed), 0))
        self._discovery.interrupt()

    def ask_client(self, strategy: str) -> None:
        """Open this strategy's queues again. From any thread."""
        self._asked.append(Added(strategy, self._paths.endpoint(strategy), 0))
        self._discovery.interrupt()

    def wait(self, timeout_s: float | None = None) -> list[DiscoveryEvent]:
        """Like Discovery's, but never longer than a cadence: the kill word's file may have been
        replaced."""
        self._switch.refresh()
        self._permit.refresh()
        events = self._discovery.wait(CADENCE_S if timeout_s is None else min(timeout_s, CADENCE_S))
        while self._asked:
            events.append(self._asked.popleft())
        return events

    def interrupt(self) -> None:
        self._discovery.interrupt()

    def close(self) -> None:
        self._discovery.close()
