"""How fast a reader that is 10 GiB behind reads to the head, in GB/s of queue (payload and 32 bytes a record)."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

from libchronicle.cli.bench import read
from libchronicle.cli.bench._deep import deep_queue
from libchronicle.cli.bench.append import PAYLOAD
from libchronicle.cli.bench.harness import BenchOptions, undisturbed
from libchronicle.native.bench import read_loop
from libchronicle.queue import Queue, Subscriber


def _natively(reader: Subscriber) -> tuple[int, int]:
    took, seen, _ = read_loop(reader, 1 << 62)
    return took, seen


def _drained(reader: Subscriber) -> tuple[int, int]:
    drain, count = reader.drain, 0
    began = perf_counter_ns()
    while got := len(drain(1000)):
        count += got
    return perf_counter_ns() - began, count


def _columns(reader: Subscriber) -> tuple[int, int]:
    drain, count = reader.drain_columns, 0
    began = perf_counter_ns()
    while got := len(drain(1000)):
        count += got
    return perf_counter_ns() - began, count


_WAYS: dict[str, Callable[[Subscriber], tuple[int, int]]] = {
    "next": read.python_loop,
    "drain": _drained,
    "columns": _columns,
    "native": _natively,
}


def run(options: BenchOptions) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    total = 0
    with undisturbed(options.pair()[0]):
        for size in (64, 256):
            payload = (PAYLOAD * 4)[:size]
            with deep_queue(options, payload) as (path, records):
                for name, way in _WAYS.items():
                    with Queue.open_subscriber(path, name, start="earliest") as reader:
                        took, seen = way(reader)
                    if seen != records:
                        raise RuntimeError(f"{name} read {seen} of {records} records")
                    figures[f"{name}_{size}b_gb_per_s"] = round(seen * (size + 32) / took, 3)
                    total += seen
    return {**figures, "n": total, "hash": f"{total:x}"}
