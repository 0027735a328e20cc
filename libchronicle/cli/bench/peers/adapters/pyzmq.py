"""ZeroMQ: PUSH to PULL over a Unix socket; the receiver asks again and again rather than waits."""

from __future__ import annotations

import importlib
from typing import Any

zmq: Any = importlib.import_module("zmq")

PACKAGE = "pyzmq"
_NOBLOCK = 1
_HELD = 100_000  # messages on either side


def _socket(kind: int, where: str, channel: str) -> Any:
    socket = zmq.Context.instance().socket(kind)
    socket.set_hwm(_HELD)
    (socket.bind if kind == zmq.PUSH else socket.connect)(f"ipc://{where}/{channel}")
    return socket


def open_sender(where: str, channel: str) -> Any:
    return _socket(zmq.PUSH, where, channel).send


def open_receiver(where: str, channel: str) -> Any:
    recv, again = _socket(zmq.PULL, where, channel).recv, zmq.Again

    def receive() -> Any:
        try:
            return recv(_NOBLOCK)
        except again:
            return None

    return receive
