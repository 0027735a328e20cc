"""Waking a reader that sleeps, against waking one that sleeps in read() of a pipe: half of a round trip between sleepers.

Both in Python, both with 64 bytes, in turns in the same run. `parked_*` is a reader that goes to sleep at once (`spin_us = 0`);
`hybrid_*` is what a reader does unless told otherwise, looking for 20 us before it sleeps.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter_ns
from typing import Any

from libchronicle.cli.bench import _queue_peer
from libchronicle.cli.bench.append import PAYLOAD
from libchronicle.cli.bench.harness import BenchOptions, undisturbed
from libchronicle.queue import Queue, QueueConfig, Subscriber

_WARM = 200


def _ordered(took: list[int]) -> list[int]:
    return sorted(took[_WARM:])


def _over_queues(where: Path, spin_us: float, core: int, count: int) -> list[int]:
    there, back = where / "there", where / "back"
    with Queue.open_publisher(there) as writer:
        peer = _queue_peer.start("park", there, core, count, str(spin_us))
        try:
            with Queue.open_subscriber(back, "a", QueueConfig(spin_us=spin_us), "earliest") as reader:
                took = _ping(writer.append, reader, count)
        finally:
            _queue_peer.result(peer)
    return _ordered(took)


def _ping(append: Any, reader: Subscriber, count: int) -> list[int]:
    took = []
    wait, next_record, clock = reader.wait, reader.next, perf_counter_ns
    for _ in range(count):
        began = clock()
        append(1, PAYLOAD)
        while next_record() is None:
            wait(10.0)
        took.append(clock() - began)
    return took


_PIPE_ECHO = """
import os, sys
core, count, inn, out = map(int, sys.argv[1:])
os.sched_setaffinity(0, {core})
read, write = os.read, os.write
for _ in range(count):
    write(out, read(inn, 64))
"""


def _over_pipes(core: int, count: int) -> list[int]:
    inn, far_out = os.pipe()
    far_in, out = os.pipe()
    command = [sys.executable, "-c", _PIPE_ECHO, str(core), str(count), str(far_in), str(far_out)]
    peer = subprocess.Popen(command, pass_fds=(far_in, far_out))
    os.close(far_in)
    os.close(far_out)
    took = []
    try:
        read, write, clock = os.read, os.write, perf_counter_ns
        for _ in range(count):
            began = clock()
            write(out, PAYLOAD)
            read(inn, 64)
            took.append(clock() - began)
    finally:
        os.close(out)
        os.close(inn)
        peer.wait(10)
    return _ordered(took)


def run(options: BenchOptions) -> dict[str, Any]:
    count = (1_000 if options.tiny else 20_000) + _WARM
    near, far = options.pair()
    runs: dict[str, list[list[int]]] = {"pipe": [], "parked": [], "hybrid": []}
    with undisturbed(near):
        for _ in range(1 if options.tiny else options.repeats):
            runs["pipe"].append(_over_pipes(far, count))
            for key, spin_us in (("parked", 0.0), ("hybrid", 20.0)):
                with options.scratch() as where:
                    runs[key].append(_over_queues(where, spin_us, far, count))
    figures = {}
    for key, took in runs.items():
        for name, share in (("p50", 0.5), ("p99", 0.99)):
            figures[f"{key}_{name}_ns"] = round(median(t[int(share * len(t))] for t in took) / 2)
    pairs = zip(runs["parked"], runs["pipe"], strict=True)
    ratio = median(ours[len(ours) // 2] / pipe[len(pipe) // 2] for ours, pipe in pairs)
    return {
        "wake_ratio_pipe": round(ratio, 3),
        **figures,
        "n": count - _WARM,
        "hash": f"{sum(len(t) for took in runs.values() for t in took):x}",
    }
