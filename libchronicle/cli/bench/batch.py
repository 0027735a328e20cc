"""64-byte records many at a time, in one process: `append_many` of a list of payloads, `drain` to messages."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from statistics import median
from time import perf_counter_ns
from typing import Any

from libchronicle.cli.bench.append import PAYLOAD, SEGMENT
from libchronicle.cli.bench.harness import BenchOptions
from libchronicle.queue import Publisher, Queue, Subscriber

_BATCH = 1000


def _appended(writer: Publisher, count: int) -> float:
    batch = [PAYLOAD] * _BATCH
    began = perf_counter_ns()
    for _ in range(count // _BATCH):
        writer.append_many(1, batch)
    return count / (perf_counter_ns() - began) * 1e9


def _to_messages(reader: Subscriber) -> tuple[int, int]:
    drain, count = reader.drain, 0
    began = perf_counter_ns()
    while got := len(drain(_BATCH)):
        count += got
    return perf_counter_ns() - began, count


_WAYS: dict[str, Callable[[Subscriber], tuple[int, int]]] = {"drain_messages": _to_messages}


def run(options: BenchOptions) -> dict[str, Any]:
    count = 20_000 if options.tiny else 2_000_000
    rates: dict[str, list[float]] = {key: [] for key in ("append_many", *_WAYS)}
    total = 0
    kept = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {options.pair()[0]})
    gc.disable()
    try:
        for _ in range(1 if options.tiny else options.repeats):
            with options.scratch() as where, Queue.open_publisher(where / "q", SEGMENT) as writer:
                rates["append_many"].append(_appended(writer, count))
                for key, way in _WAYS.items():
                    with Queue.open_subscriber(where / "q", "a", start="earliest") as reader:
                        took, seen = way(reader)
                    rates[key].append(seen / took * 1e9)
                    total += seen
    finally:
        gc.enable()
        os.sched_setaffinity(0, kept)
    figures = {f"{key}_msgs_per_s": round(median(taken)) for key, taken in rates.items()}
    return {**figures, "n": count, "hash": f"{total:x}"}
