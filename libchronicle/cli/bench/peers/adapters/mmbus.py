"""mmbus with its write-ahead log: publish and subscribe over a mapped ring, a publisher's log behind it."""

from __future__ import annotations

import importlib
from typing import Any

mmbus: Any = importlib.import_module("mmbus")

PACKAGE = "mmbus"
FULL = mmbus.BusFullError
POLL_MANY = "receive()"
_MESSAGES = 1 << 16
_keep: list[Any] = []


def _bus(where: str) -> Any:
    bus = mmbus.Bus("bench", base_dir=where, capacity=_MESSAGES, slot_size=64, wal_enabled=True)
    _keep.append(bus)
    return bus._bus


def open_sender(where: str, channel: str) -> Any:
    return _bus(where).topic(channel).publish


def open_receiver(where: str, channel: str) -> Any:
    return _subscription(where, channel).try_recv


def _subscription(where: str, channel: str) -> Any:
    subscription = _bus(where).subscribe(channel, timeout_secs=20.0)
    _keep.append(subscription)
    return subscription


def open_finder(where: str, channel: str) -> Any:
    """A subscriber needs a publisher: one that opens the same log is there again."""
    bus = _bus(where)
    _keep.append(bus.topic(channel))
    subscription = _bus(where).subscribe_with_history(channel, _MESSAGES - 1, timeout_secs=5.0)
    _keep.append(subscription)
    return subscription.try_recv


def open_batch_sender(where: str, channel: str) -> Any:
    publish = _bus(where).publish_many
    publish(channel, [])  # makes the topic, without which nobody can subscribe

    def send(batch: list[bytes]) -> None:
        sent = publish(channel, batch)
        while sent < len(batch):
            sent += publish(channel, batch[sent:])

    return send


def open_batch_receiver(where: str, channel: str) -> Any:
    receive, buffer = _subscription(where, channel).recv_into_buffer, bytearray(1000 * 64)
    return lambda: receive(buffer, 64, 0.1)
