"""Aeron IPC through pyaeron: logs in shared memory that a media driver, a process of its own, makes and cleans."""

from __future__ import annotations

import importlib
from typing import Any

pyaeron: Any = importlib.import_module("pyaeron")

PACKAGE = "pyaeron"
NOT_SENT = "not send(payload)"
NOTHING = "receive(on_fragment, 1) == 0"
POLL = "receive(on_fragment, 10)"
POLL_MANY = "receive(on_fragment, 1000)"
_STREAMS = {"there": 1, "back": 2}
_clients: dict[str, Any] = {}


def on_fragment(view: Any, _header: Any) -> bytes:
    """What came is the caller's only until it returns: to have the message, as with every other peer, takes a copy."""
    return bytes(view)


def serve(where: str) -> Any:
    return pyaeron.MediaDriver(dir=f"{where}/driver", threading="dedicated").close


def _client(where: str) -> Any:
    if where not in _clients:
        _clients[where] = pyaeron.Aeron(dir=f"{where}/driver")
    return _clients[where]


def open_sender(where: str, channel: str) -> Any:
    return _client(where).add_exclusive_publication(pyaeron.IPC_CHANNEL, _STREAMS[channel]).offer


def open_receiver(where: str, channel: str) -> Any:
    return _client(where).add_subscription(pyaeron.IPC_CHANNEL, _STREAMS[channel]).poll


def open_finder(where: str, channel: str) -> Any:
    poll = open_receiver(where, channel)

    def receive() -> Any:
        found: list[bytes] = []
        poll(lambda view, header: found.append(bytes(view)), 1)
        return found[0] if found else None

    return receive


def open_batch_sender(where: str, channel: str) -> Any:
    offer = open_sender(where, channel)

    def send(batch: list[bytes]) -> None:
        for payload in batch:
            while not offer(payload):
                pass

    return send


open_batch_receiver = open_receiver
