"""Queues in memory, for tests of code that takes a bus: no file, no thread, no waiting.

They keep the contract of `libchronicle.queue` that `conformance` checks; durability, segments and retention are not theirs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from libchronicle.clock import Clock, TscClock
from libchronicle.errors import (
    Closed,
    NotReady,
    ReaderAlreadyActive,
    ReservedType,
    TimestampOrder,
    WriterAlreadyActive,
)

__all__ = ["MemoryBus", "MemoryMessage", "MemoryPublisher", "MemorySubscriber"]

FIRST_RESERVED_TYPE = 0xFF00

Start = Literal["resume", "resume_or_oldest", "latest", "earliest"]


class MemoryMessage(bytes):
    """A record. Bytes, so that it is a buffer; its fields beside."""

    seq: int
    ts_ns: int
    type_id: int
    epoch: int
    flags: int

    @property
    def payload(self) -> memoryview:
        return memoryview(self)


@dataclass
class _Store:
    path: str
    queue_id: int
    records: list[MemoryMessage] = field(default_factory=list)
    epoch: int = 0
    writing: bool = False
    readers: set[str] = field(default_factory=set)
    commits: dict[str, int] = field(default_factory=dict)


class MemoryBus:
    """Where memory queues live; opened as with `Queue`."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock: Clock = clock or TscClock()
        self._stores: dict[str, _Store] = {}

    def open_publisher(self, path: str | os.PathLike[str]) -> MemoryPublisher:
        """Raises WriterAlreadyActive."""
        key = os.fspath(path)
        store = self._stores.setdefault(key, _Store(key, len(self._stores) + 1))
        if store.writing:
            raise WriterAlreadyActive(path=key, pid=os.getpid())
        store.writing = True
        store.epoch += 1
        return MemoryPublisher(store, self._clock)

    def open_subscriber(
        self,
        path: str | os.PathLike[str],
        name: str | None,
        start: Start = "resume",
        *,
        seq: int | None = None,
    ) -> MemorySubscriber:
        """Raises NotReady, ReaderAlreadyActive."""
        key = os.fspath(path)
        store = self._stores.get(key)
        if store is None:
            raise NotReady(path=key)
        if name is not None and name in store.readers:
            raise ReaderAlreadyActive(path=key, name=name, pid=os.getpid())
        at = {"latest": len(store.records), "earliest": 0}.get(start, store.commits.get(name or "", 0))
        return MemorySubscriber(store, name, at if seq is None else seq)


class MemoryPublisher:
    """The writer; a context manager."""

    def __init__(self, store: _Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self.closed = False
        self.epoch = store.epoch
        self.queue_id = store.queue_id
        self.path = store.path

    @property
    def next_seq(self) -> int:
        return len(self._store.records)

    @property
    def last_ts_ns(self) -> int:
        return self._store.records[-1].ts_ns if self._store.records else 0

    def append(self, type_id: int, payload: bytes | bytearray | memoryview, ts_ns: int | None = None) -> int:
        """Raises Closed, ReservedType, TimestampOrder."""
        if self.closed:
            raise Closed(path=self.path)
        if type_id >= FIRST_RESERVED_TYPE:
            raise ReservedType(path=self.path, type_id=type_id)
        if ts_ns is not None and ts_ns < self.last_ts_ns:
            raise TimestampOrder(path=self.path, ts_ns=ts_ns, last_ns=self.last_ts_ns)
        now = self._clock.now_ns() if ts_ns is None else ts_ns
        message = MemoryMessage(payload)
        message.seq, message.epoch, message.type_id = self.next_seq, self.epoch, type_id
        message.ts_ns, message.flags = max(now, self.last_ts_ns), int(now < self.last_ts_ns)
        self._store.records.append(message)
        return message.seq

    def heartbeat(self) -> None:
        """Nothing: whoever could watch is in the same process."""

    def close(self) -> None:
        self._store.writing = self._store.writing and self.closed
        self.closed = True

    def __enter__(self) -> MemoryPublisher:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class MemorySubscriber:
    """A reader; a context manager."""

    def __init__(self, store: _Store, name: str | None, at: int) -> None:
        self._store = store
        self.name = name
        self.next_seq = at
        self.closed = False
        self.queue_id = store.queue_id
        self.path = store.path
        if name is not None:
            store.readers.add(name)

    def next(self) -> MemoryMessage | None:
        """Raises Closed."""
        if self.closed:
            raise Closed(path=self.path)
        if self.next_seq >= len(self._store.records):
            return None
        self.next_seq += 1
        return self._store.records[self.next_seq - 1]

    def __iter__(self) -> Iterator[MemoryMessage]:
        return iter(self.next, None)

    def drain(self, max: int = 1 << 62) -> list[MemoryMessage]:
        return [message for _, message in zip(range(max), self, strict=False)]

    def wait(self, timeout: float | None = None) -> bool:
        """Whether there is something: nobody else runs who could bring it."""
        return self.next_seq < len(self._store.records)

    def seek_seq(self, seq: int) -> None:
        self.next_seq = min(seq, len(self._store.records))

    def commit(self) -> None:
        if self.name is not None:
            self._store.commits[self.name] = self.next_seq

    def heartbeat(self) -> None:
        """Nothing: nobody forgets it."""

    def lag(self) -> tuple[int, int]:
        """(bytes, records) behind the head."""
        rest = self._store.records[self.next_seq :]
        return sum(map(len, rest)), len(rest)

    def close(self) -> None:
        if not self.closed and self.name is not None:
            self._store.readers.discard(self.name)
        self.closed = True

    def __enter__(self) -> MemorySubscriber:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
