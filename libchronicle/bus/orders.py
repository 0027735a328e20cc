"""The order channel: two queues between a strategy and the router, each writing one and reading the other.

    strategy  --orders_out-->  router        a strategy's requests
    strategy  <--orders_in--   router        what became of them

Neither side needs the other to start. A side writes its own queue at once and reads the other's when that is there. A
restart of the peer needs no new connection, since a queue outlives its writer. Here is what both sides must agree on; the
strategy's side is `strategy.links.RouterLink`, the router's `services.router.attach.Opener`.
"""

from __future__ import annotations

from typing import Final

from libchronicle.protocol import ExecutionReport, NewOrder
from libchronicle.queue import QueueConfig, Subscriber

__all__ = [
    "ARCHIVE_READER",
    "ROUTER_READER",
    "STRATEGY_READER",
    "orders_config",
    "request_of",
]

ROUTER_READER: Final = "router"
STRATEGY_READER: Final = "strategy"
ARCHIVE_READER: Final = "archive-tier"
"""Orders are kept until archived: this name holds back retention in every order queue, whether its daemon runs or not."""


def orders_config(peer: str) -> QueueConfig:
    """Of the queue that `peer` reads. It fails when full: an order is never dropped and never waits for disk."""
    return QueueConfig(segment_size=16 << 20, on_full="fail", durable=(peer, ARCHIVE_READER), prefault=False)


def request_of(requests: Subscriber, report: ExecutionReport) -> NewOrder | None:
    """The record of orders_out that an order came with, if it is still there; moves the reader. Raises what seeking raises."""
    if not requests.oldest_seq <= report.order_seq < requests.head_seq:
        return None
    requests.seek_seq(report.order_seq)
    message = requests.next()
    if message is None or message.type_id != NewOrder.TEMPLATE_ID or message.epoch != report.order_epoch:
        return None
    return NewOrder.decode(message)
