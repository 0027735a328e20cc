"""cloudtoid-interprocess: a ring in shared memory, gone with its last user."""

from __future__ import annotations

import importlib
from typing import Any

interprocess: Any = importlib.import_module("cloudtoid_interprocess")

PACKAGE = "cloudtoid-interprocess"
NOT_SENT = "not send(payload)"
POLL_MANY = "0 if receive() is None else 1"
_CAPACITY = 16 << 20  # bytes


def open_sender(where: str, channel: str) -> Any:
    return interprocess.Publisher(channel, _CAPACITY, path=where).try_send


def open_receiver(where: str, channel: str) -> Any:
    return interprocess.Subscriber(channel, _CAPACITY, path=where).try_receive


def open_batch_sender(where: str, channel: str) -> Any:
    try_send = interprocess.Publisher(channel, _CAPACITY, path=where).try_send_batch

    def send(batch: list[bytes]) -> None:
        sent = try_send(batch)
        while sent < len(batch):
            sent += try_send(batch[sent:])

    return send


open_batch_receiver = open_receiver
