"""mmapq: an indexed queue in memory-mapped files; one message at a time, or batches that become visible together."""

from __future__ import annotations

import importlib
from typing import Any

mmapq: Any = importlib.import_module("mmapq")

PACKAGE = "mmapq"
NOTHING = "receive(on_message) is not ADVANCED"
POLL_MANY = "receive()"
ADVANCED = mmapq.PollResult.ADVANCED
_ADVANCE = mmapq.NextMove.ADVANCE


def on_message(_index: int, _appender: int, _data: bytes) -> Any:
    return _ADVANCE


def open_sender(where: str, channel: str) -> Any:
    return mmapq.IndexedQueue.create(where, channel).create_appender().append


def open_receiver(where: str, channel: str) -> Any:
    return mmapq.IndexedQueue.create(where, channel).create_poller().poll


def open_finder(where: str, channel: str) -> Any:
    poll, found = open_receiver(where, channel), []

    def keep(_index: int, _appender: int, data: bytes) -> Any:
        found.append(data)
        return _ADVANCE

    return lambda: found.pop() if poll(keep) is ADVANCED else None


def open_batch_sender(where: str, channel: str) -> Any:
    appender = mmapq.IndexedBatchQueue.create(where, channel).create_appender()

    def send(batch: list[bytes]) -> None:
        with appender.start_batch() as writer:
            append = writer.append
            for payload in batch:
                append(payload)
            writer.commit()

    return send


def open_batch_receiver(where: str, channel: str) -> Any:
    poll, sizes = mmapq.IndexedBatchQueue.create(where, channel).create_poller().poll, [0]

    def count(_index: int, messages: list[bytes]) -> Any:
        sizes[0] = len(messages)
        return _ADVANCE

    return lambda: sizes[0] if poll(count) is ADVANCED else 0
