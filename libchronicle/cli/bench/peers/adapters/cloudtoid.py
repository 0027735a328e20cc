"""cloudtoid-interprocess: a ring in shared memory, gone with its last user."""

from __future__ import annotations

import importlib
import os
from typing import Any

interprocess: Any = importlib.import_module("cloudtoid_interprocess")

PACKAGE = "cloudtoid-interprocess"
NOT_SENT = "not send(payload)"
POLL_MANY = "0 if receive() is None else 1"
_CAPACITY = 16 << 20  # bytes


def _open(kind: Any, where: str, channel: str) -> Any:
    """Its semaphores are named after the queue only, wherever that lies."""
    return kind(f"{os.path.basename(where)}-{channel}", _CAPACITY, path=where)


def open_sender(where: str, channel: str) -> Any:
    return _open(interprocess.Publisher, where, channel).try_send


def open_receiver(where: str, channel: str) -> Any:
    return _open(interprocess.Subscriber, where, channel).try_receive


def open_batch_sender(where: str, channel: str) -> Any:
    try_send = _open(interprocess.Publisher, where, channel).try_send_batch

    def send(batch: list[bytes]) -> None:
        sent = try_send(batch)
        while sent < len(batch):
            sent += try_send(batch[sent:])

    return send


open_batch_receiver = open_receiver
