"""64-byte records many at a time, in one process.

`append_many` over one buffer that holds all payloads, and over a list of them; `drain_columns` and `drain` to messages.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter_ns
from typing import Any

from libchronicle.cli.bench.append import PAYLOAD, SEGMENT
from libchronicle.cli.bench.harness import BenchOptions, undisturbed
from libchronicle.queue import Publisher, Queue, Subscriber

_BATCH = 1000


def _from_buffer(writer: Publisher, count: int) -> float:
    buffer, append_many = PAYLOAD * _BATCH, writer.append_many
    began = perf_counter_ns()
    for _ in range(count // _BATCH):
        append_many(1, buffer, item_size=len(PAYLOAD))
    return count / (perf_counter_ns() - began) * 1e9


def _from_list(writer: Publisher, count: int) -> float:
    batch, append_many = [PAYLOAD] * _BATCH, writer.append_many
    began = perf_counter_ns()
    for _ in range(count // _BATCH):
        append_many(1, batch)
    return count / (perf_counter_ns() - began) * 1e9


def _to_messages(reader: Subscriber) -> tuple[int, int]:
    drain, count = reader.drain, 0
    began = perf_counter_ns()
    while got := len(drain(_BATCH)):
        count += got
    return perf_counter_ns() - began, count


def _to_columns(reader: Subscriber) -> tuple[int, int]:
    drain, count = reader.drain_columns, 0
    began = perf_counter_ns()
    while got := len(drain(_BATCH)):
        count += got
    return perf_counter_ns() - began, count


_INTO: dict[str, Callable[[Publisher, int], float]] = {"append_many": _from_buffer, "append_list": _from_list}
_WAYS: dict[str, Callable[[Subscriber], tuple[int, int]]] = {
    "drain_columns": _to_columns,
    "drain_messages": _to_messages,
}


def _drained(path: Path, rates: dict[str, list[float]]) -> int:
    """Every way to drain, over what is there; how many records that were."""
    total = 0
    for key, way in _WAYS.items():
        with Queue.open_subscriber(path, "a", start="earliest") as reader:
            took, seen = way(reader)
        rates[key].append(seen / took * 1e9)
        total += seen
    return total


def run(options: BenchOptions) -> dict[str, Any]:
    count = 20_000 if options.tiny else 2_000_000
    rates: dict[str, list[float]] = {key: [] for key in (*_INTO, *_WAYS)}
    total = 0
    with undisturbed(options.pair()[0]):
        for _ in range(1 if options.tiny else options.repeats):
            for key, into in _INTO.items():
                with options.scratch() as where, Queue.open_publisher(where / "q", SEGMENT) as writer:
                    rates[key].append(into(writer, count))
                    total += _drained(where / "q", rates) if key == "append_many" else 0
    figures = {f"{key}_msgs_per_s": round(median(taken)) for key, taken in rates.items()}
    return {**figures, "n": count, "hash": f"{total:x}"}
