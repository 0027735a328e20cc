"""This queue: every record checksummed, stamped, numbered and kept until the reader has said that it is done with it."""

from __future__ import annotations

import time
from typing import Any

from libchronicle.queue import Publisher, Queue, QueueConfig, Subscriber

PACKAGE = "libchronicle"
NOT_SENT = "send(1, payload) is NEVER"
POLL_MANY = "len(receive(1000))"
LOOKED = "commit()"
SEGMENTS = QueueConfig(segment_size=8 << 20)  # small enough to be used again within a run, see docs/queue.md


def _publisher(where: str, channel: str) -> Publisher:
    return Queue.open_publisher(f"{where}/{channel}", SEGMENTS)


def _subscriber(where: str, channel: str) -> Subscriber:
    while (reader := Queue.try_open_subscriber(f"{where}/{channel}", "peer", start="earliest")) is None:
        time.sleep(0.005)
    return reader


def _receiver(where: str, channel: str) -> Subscriber:
    reader = _subscriber(where, channel)
    globals()["commit"] = reader.commit  # for LOOKED
    return reader


def open_sender(where: str, channel: str) -> Any:
    return _publisher(where, channel).append


def open_receiver(where: str, channel: str) -> Any:
    return _receiver(where, channel).next


def open_batch_sender(where: str, channel: str) -> Any:
    append_many = _publisher(where, channel).append_many
    return lambda batch: append_many(1, b"".join(batch), item_size=len(batch[0]))


def open_batch_receiver(where: str, channel: str) -> Any:
    return _receiver(where, channel).drain_columns
