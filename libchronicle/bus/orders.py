"""The order channel: two queues between a strategy and the router, each writing one and reading the other.

    strategy  --orders_out-->  router        a strategy's requests
    strategy  <--orders_in--   router        what became of them

Neither side needs the other to start. A side writes its own queue at once and connects to the other's when that is
there: `connect()` tries, without waiting, at growing intervals. A restart of the peer needs no new connection, since
a queue outlives its writer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from libchronicle.bus.files import ENDPOINT_MODE, make_directory
from libchronicle.bus.paths import BusPaths
from libchronicle.errors import NotReadyError, ReaderAlreadyActive
from libchronicle.queue import Publisher, Queue, QueueConfig, Subscriber

__all__ = [
    "ARCHIVE_READER",
    "ROUTER_READER",
    "STRATEGY_READER",
    "OrderChannel",
    "orders_config",
]

ROUTER_READER: Final = "router"
STRATEGY_READER: Final = "strategy"
ARCHIVE_READER: Final = "archive-tier"
"""Orders are kept until archived: this name holds back retention in every order queue, whether its daemon runs or not."""

_RETRY_FIRST_S: Final = 0.02
_RETRY_MOST_S: Final = 0.5


def orders_config(peer: str) -> QueueConfig:
    """Of the queue that `peer` reads. It fails when full: an order is never dropped and never waits for disk."""
    return QueueConfig(segment_size=16 << 20, on_full="fail", durable=(peer, ARCHIVE_READER), prefault=False)


class OrderChannel:
    """One side of the channel; use `for_strategy` or `for_router`. A context manager; belongs to one thread.

    `incoming` is None until `connect()` found the peer's queue. Commit it after what a message says has been done.
    """

    def __init__(
        self,
        outgoing: Path,
        incoming: Path,
        *,
        own_reader: str,
        peer_reader: str,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        make_directory(outgoing.parent, ENDPOINT_MODE)
        self.outgoing: Final[Publisher] = Queue.open_publisher(outgoing, orders_config(peer_reader))
        self.incoming: Subscriber | None = None
        self._incoming_path: Final = incoming
        self._own_reader: Final = own_reader
        self._monotonic_s: Final = monotonic_s
        self._pause_s = _RETRY_FIRST_S
        self._due_s = monotonic_s()

    @classmethod
    def for_strategy(cls, paths: BusPaths, strategy: str) -> OrderChannel:
        """Writes orders_out, reads orders_in. Raises WriterAlreadyActive if the strategy runs already."""
        return cls(
            paths.orders_out(strategy),
            paths.orders_in(strategy),
            own_reader=STRATEGY_READER,
            peer_reader=ROUTER_READER,
        )

    @classmethod
    def for_router(cls, paths: BusPaths, strategy: str) -> OrderChannel:
        """Writes orders_in, reads orders_out. Raises WriterAlreadyActive if another router serves the strategy."""
        return cls(
            paths.orders_in(strategy),
            paths.orders_out(strategy),
            own_reader=ROUTER_READER,
            peer_reader=STRATEGY_READER,
        )

    def connect(self) -> bool:
        """True once `incoming` is open. Never waits; between tries it costs a clock read."""
        if self.incoming is not None:
            return True
        now = self._monotonic_s()
        if now < self._due_s:
            return False
        try:
            self.incoming = Queue.open_subscriber(self._incoming_path, self._own_reader)
        except (NotReadyError, ReaderAlreadyActive):  # not made yet, or our predecessor is just ending
            self._due_s = now + self._pause_s
            self._pause_s = min(2 * self._pause_s, _RETRY_MOST_S)
            return False
        return True

    def heartbeat(self) -> None:
        """Say that this side lives, to both queues. Call it when idle."""
        self.outgoing.heartbeat()
        if self.incoming is not None:
            self.incoming.heartbeat()

    def close(self) -> None:
        self.outgoing.close()
        if self.incoming is not None:
            self.incoming.close()
            self.incoming = None

    def __enter__(self) -> OrderChannel:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
