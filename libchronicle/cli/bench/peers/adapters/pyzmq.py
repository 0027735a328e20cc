"""ZeroMQ: PUSH to PULL over a Unix socket, asked again and again rather than waited for."""

from __future__ import annotations

import importlib
from typing import Any

zmq: Any = importlib.import_module("zmq")

PACKAGE = "pyzmq"
NOT_SENT = "send(payload, 1) is NEVER"  # zmq.NOBLOCK
FULL = zmq.Again


def _socket(kind: int, where: str, channel: str) -> Any:
    socket = zmq.Context.instance().socket(kind)
    (socket.bind if kind == zmq.PUSH else socket.connect)(f"ipc://{where}/{channel}")
    return socket


def open_sender(where: str, channel: str) -> Any:
    return _socket(zmq.PUSH, where, channel).send


def open_receiver(where: str, channel: str) -> Any:
    recv, again = _socket(zmq.PULL, where, channel).recv, zmq.Again

    def receive() -> Any:
        try:
            return recv(1)
        except again:
            return None

    return receive
