"""The other process of the queue benchmarks: `python -m libchronicle.cli.bench._queue_peer ROLE PATH CORE COUNT`.

spin        read and discard until killed
pong        answer each of COUNT records of PATH by one of PATH.back, spinning
latency     read COUNT records spinning; prints one-way nanoseconds of each as JSON
socket      the same over a Unix datagram socket bound at PATH
socket-pong answer each of COUNT datagrams
drain NAME  read COUNT records, committing; prints count and sum of seqs as JSON
sleep       wait, read what has come, wait again, until killed
doze        the same, but sleep elsewhere for good once woken
trail       read on and on, a segment or more behind the head, until killed
park SPIN   send every record of PATH back into the queue `back` beside it, asleep in between, after SPIN microseconds
"""

from __future__ import annotations

import gc
import json
import os
import socket
import subprocess
import sys
import time
from array import array
from pathlib import Path

from libchronicle.clock import now_ns
from libchronicle.queue import Queue, QueueConfig, Subscriber
from libchronicle.queue.face import Start

_COMMIT_EVERY = 10_000
_TRAIL_BYTES = 64 << 20


def start(role: str, path: Path, core: int, count: int, name: str = "peer") -> subprocess.Popen[str]:
    """Start a peer and wait until its reader is open."""
    command = [
        sys.executable,
        "-m",
        "libchronicle.cli.bench._queue_peer",
        role,
        str(path),
        str(core),
        str(count),
        name,
    ]
    peer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert peer.stdout is not None
    if peer.stdout.readline() != "open\n":
        peer.kill()
        raise RuntimeError(f"benchmark peer did not start: {' '.join(command)}")
    return peer


def result(peer: subprocess.Popen[str]) -> dict[str, int | list[int]]:
    """What a peer printed last."""
    out, _ = peer.communicate(timeout=120)
    decoded: dict[str, int | list[int]] = json.loads(out.splitlines()[-1])
    return decoded


def _latency(reader: Subscriber, count: int) -> dict[str, list[int]]:
    took = array("q", bytes(8 * count))
    next_record, clock = reader.next, now_ns
    seen = 0
    while seen < count:
        message = next_record()
        if message is not None:
            took[seen] = clock() - message.ts_ns
            seen += 1
    return {"took": took.tolist()}


def _socket(path: str, count: int) -> dict[str, list[int]]:
    took = array("q", bytes(8 * count))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as inn:
        inn.bind(path)
        inn.setblocking(False)
        print("open", flush=True)
        receive, clock, view = inn.recv_into, now_ns, bytearray(64)
        seen = 0
        while seen < count:
            try:
                receive(view)
            except BlockingIOError:
                continue
            took[seen] = clock() - int.from_bytes(view[:8], "little")
            seen += 1
    return {"took": took.tolist()}


def _pong(path: str, count: int) -> dict[str, int]:
    with (
        Queue.open_publisher(path + ".back", QueueConfig(segment_size=64 << 20)) as writer,
        Queue.open_subscriber(path, "peer", QueueConfig(), "earliest") as reader,
    ):
        gc.freeze()
        gc.disable()
        print("open", flush=True)
        next_record, append = reader.next, writer.append
        seen = 0
        while seen < count:
            message = next_record()
            if message is not None:
                append(1, message)
                seen += 1
        return {"seen": seen}


def _socket_pong(path: str, count: int) -> dict[str, int]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as inn:
        inn.bind(path)
        inn.setblocking(False)
        print("open", flush=True)
        receive, send, view, back = inn.recv_into, inn.sendto, bytearray(64), path + ".back"
        seen = 0
        while seen < count:
            try:
                receive(view)
            except BlockingIOError:
                continue
            send(view, back)
            seen += 1
        return {"seen": seen}


def _drain(reader: Subscriber, count: int) -> dict[str, int]:
    next_record = reader.next
    seen = total = 0
    while seen < count:
        message = next_record()
        if message is None:
            continue
        seen += 1
        if seen % _COMMIT_EVERY == 0:
            total += message.seq
            reader.commit()
    reader.commit()
    return {"seen": seen, "total": total, "lost": reader.next_seq - seen}


def _sleep(reader: Subscriber, *, once: bool) -> None:
    for _ in iter(reader.next, None):
        pass
    while True:
        reader.wait()
        if once:
            time.sleep(3600)
        for _ in iter(reader.next, None):
            pass


def _trail(reader: Subscriber, behind_bytes: int) -> None:
    while True:
        if reader.lag()[0] < behind_bytes:
            time.sleep(0.001)
            continue
        for _ in range(1000):
            reader.next()


def _park(path: Path, count: int, spin_us: float) -> None:
    config = QueueConfig(spin_us=spin_us)
    with (
        Queue.open_publisher(path.with_name("back")) as writer,
        Queue.open_subscriber(path, "a", config, "earliest") as reader,
    ):
        gc.freeze()
        gc.disable()
        print("open", flush=True)
        append, wait, next_record = writer.append, reader.wait, reader.next
        for _ in range(count):
            while (message := next_record()) is None:
                wait(10.0)
            append(1, message)
        print(json.dumps({"seen": count}))


def main() -> None:
    role, path, core, count, name = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
    if core >= 0:
        os.sched_setaffinity(0, {core})
    without_reader = {"socket": _socket, "pong": _pong, "socket-pong": _socket_pong}
    if role in without_reader:
        print(json.dumps(without_reader[role](path, count)))
        return
    if role == "park":
        _park(Path(path), count, float(name))
        return
    start: Start = "latest" if role in ("sleep", "doze") else "earliest"
    with Queue.open_subscriber(path, name, QueueConfig(), start) as reader:
        gc.freeze()
        gc.disable()
        print("open", flush=True)
        if role == "latency":
            print(json.dumps(_latency(reader, count)))
        elif role == "drain":
            print(json.dumps(_drain(reader, count)))
        elif role in ("sleep", "doze"):
            _sleep(reader, once=role == "doze")
        elif role == "trail":
            _trail(reader, _TRAIL_BYTES)
        else:
            while True:
                reader.next()


if __name__ == "__main__":
    main()
