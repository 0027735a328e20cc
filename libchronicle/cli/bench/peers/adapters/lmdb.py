"""LMDB as a queue: keys that count up, one transaction a message or a batch. No fsync, as none of the others makes one."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from itertools import count
from typing import Any

lmdb: Any = importlib.import_module("lmdb")

PACKAGE = "lmdb"
_MAP_BYTES = 4 << 30


def _open(where: str, channel: str) -> Any:
    path = os.path.join(where, channel)
    os.makedirs(path, exist_ok=True)
    return lmdb.open(path, map_size=_MAP_BYTES, writemap=True, sync=False, metasync=False, lock=True)


def _keys() -> Iterator[bytes]:
    return (n.to_bytes(8, "big") for n in count())


def open_sender(where: str, channel: str) -> Any:
    begin, keys = _open(where, channel).begin, _keys()

    def send(payload: bytes) -> None:
        with begin(write=True) as transaction:
            transaction.put(next(keys), payload, append=True)

    return send


def open_batch_sender(where: str, channel: str) -> Any:
    begin, keys = _open(where, channel).begin, _keys()

    def send(batch: list[bytes]) -> None:
        with begin(write=True) as transaction, transaction.cursor() as cursor:
            cursor.putmulti(zip(keys, batch, strict=False), append=True)

    return send


def open_receiver(where: str, channel: str) -> Any:
    begin, keys = _open(where, channel).begin, _keys()
    due = next(keys)

    def receive() -> Any:
        nonlocal due
        with begin() as transaction:
            payload = transaction.get(due)
        if payload is not None:
            due = next(keys)
        return payload

    return receive


def open_batch_receiver(where: str, channel: str) -> Any:
    begin = _open(where, channel).begin
    due = 0

    def receive() -> int:
        nonlocal due
        with begin() as transaction, transaction.cursor() as cursor:
            if not cursor.set_range(due.to_bytes(8, "big")):
                return 0
            got = len(list(cursor.iternext(keys=False)))
        due += got
        return got

    return receive
