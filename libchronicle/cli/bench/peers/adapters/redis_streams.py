"""Redis Streams over a Unix socket; the server has an append-only file, without which it forgets. Singly or in a pipeline."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import time
from typing import Any

redis: Any = importlib.import_module("redis")

PACKAGE = "redis"
_BATCH = 1000


def _client(where: str) -> Any:
    return redis.Redis(unix_socket_path=f"{where}/redis.sock")


def serve(where: str) -> Any:
    """A server of this run's own. Raises FileNotFoundError without redis-server."""
    program = shutil.which("redis-server")
    if program is None:
        raise FileNotFoundError("redis-server is not installed")
    flags = {"port": "0", "unixsocket": f"{where}/redis.sock", "dir": where, "appendonly": "yes", "save": ""}
    command = [program, *(word for key, value in flags.items() for word in (f"--{key}", value))]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    until = time.monotonic() + 10
    while True:
        try:
            _client(where).ping()
            return server.kill
        except redis.ConnectionError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)


def open_sender(where: str, channel: str) -> Any:
    add = _client(where).xadd
    return lambda payload: add(channel, {b"p": payload})


def open_batch_sender(where: str, channel: str) -> Any:
    client = _client(where)

    def send(batch: list[bytes]) -> None:
        pipeline = client.pipeline(transaction=False)
        for payload in batch:
            pipeline.xadd(channel, {b"p": payload})
        pipeline.execute()

    return send


def _reader(where: str, channel: str, most: int) -> Any:
    read, last = _client(where).xread, b"0-0"

    def receive() -> Any:
        nonlocal last
        answer = read({channel: last}, count=most)
        if not answer:
            return None
        entries = answer[0][1]
        last = entries[-1][0]
        return entries

    return receive


def open_receiver(where: str, channel: str) -> Any:
    return _reader(where, channel, 1)


def payload(entries: Any) -> bytes:
    return bytes(entries[0][1][b"p"])


POLL_MANY = "len(receive() or ())"


def open_batch_receiver(where: str, channel: str) -> Any:
    return _reader(where, channel, _BATCH)
