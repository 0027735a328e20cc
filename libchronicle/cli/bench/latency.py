"""One way between two Python processes, 64 bytes, reader spinning.

From the record's timestamp, taken inside append, to next() having returned it. Paced, so that each
record finds the reader waiting. `socket_*` is the same over a Unix datagram socket whose reader spins too.
"""

from __future__ import annotations

import gc
import os
import socket
from statistics import median
from typing import Any

from libchronicle.cli.bench import _queue_peer
from libchronicle.cli.bench.append import PAYLOAD, SEGMENT
from libchronicle.cli.bench.harness import BenchOptions
from libchronicle.clock import now_ns
from libchronicle.queue import Queue

_INTERVAL_NS = 10_000
_WARM = 1000


def _once(options: BenchOptions, core: int, count: int) -> list[int]:
    with options.scratch() as where, Queue.open_publisher(where / "q", SEGMENT) as writer:
        peer = _queue_peer.start("latency", where / "q", core, count + _WARM)
        append, clock = writer.append, now_ns
        due = clock()
        for _ in range(count + _WARM):
            due += _INTERVAL_NS
            while clock() < due:
                pass
            append(1, PAYLOAD)
        took = _queue_peer.result(peer)["took"]
        assert isinstance(took, list)
        return sorted(took[_WARM:])


def _once_over_a_socket(options: BenchOptions, core: int, count: int) -> list[int]:
    with options.scratch() as where, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        peer = _queue_peer.start("socket", where / "s", core, count + _WARM)
        out.connect(str(where / "s"))
        send, clock, rest = out.send, now_ns, PAYLOAD[8:]
        due = clock()
        for _ in range(count + _WARM):
            due += _INTERVAL_NS
            while clock() < due:
                pass
            send(clock().to_bytes(8, "little") + rest)
        took = _queue_peer.result(peer)["took"]
        assert isinstance(took, list)
        return sorted(took[_WARM:])


def run(options: BenchOptions) -> dict[str, Any]:
    count = 5_000 if options.tiny else 200_000
    kept = os.sched_getaffinity(0)
    writer_core, reader_core = options.pair()
    os.sched_setaffinity(0, {writer_core})
    gc.disable()
    try:
        runs = [_once(options, reader_core, count) for _ in range(1 if options.tiny else options.repeats)]
        baseline = _once_over_a_socket(options, reader_core, count // 4)
    finally:
        gc.enable()
        os.sched_setaffinity(0, kept)

    def at(share: float) -> int:
        return round(median(took[min(len(took) - 1, int(share * len(took)))] for took in runs))

    return {
        "p50_ns": at(0.5),
        "p90_ns": at(0.9),
        "p99_ns": at(0.99),
        "p999_ns": at(0.999),
        "max_ns": max(took[-1] for took in runs),
        "socket_p50_ns": baseline[len(baseline) // 2],
        "socket_p99_ns": baseline[int(0.99 * len(baseline))],
        "n": count,
        "hash": f"{sum(len(took) for took in runs):x}",
    }
