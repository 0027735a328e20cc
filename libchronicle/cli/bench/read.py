"""next() over records that are there: loop in Python, loop in C."""

from __future__ import annotations

from statistics import median
from time import perf_counter_ns
from typing import Any

from libchronicle.cli.bench.append import PAYLOAD, SEGMENT
from libchronicle.cli.bench.harness import BenchOptions, undisturbed
from libchronicle.native.bench import append_loop, read_loop
from libchronicle.queue import Queue, Subscriber


def python_loop(reader: Subscriber) -> tuple[int, int]:
    next_record = reader.next
    count = 0
    began = perf_counter_ns()
    while next_record() is not None:
        count += 1
    return perf_counter_ns() - began, count


def run(options: BenchOptions) -> dict[str, Any]:
    count = 20_000 if options.tiny else 2_000_000
    in_python, in_c, total = [], [], 0
    with (
        undisturbed(options.pair()[0]),
        options.scratch() as where,
        Queue.open_publisher(where / "q", SEGMENT) as writer,
    ):
        append_loop(writer, PAYLOAD, count)
        for _ in range(1 if options.tiny else options.repeats):
            with Queue.open_subscriber(where / "q", "a", start="earliest") as reader:
                took, seen = python_loop(reader)
                in_python.append(took / seen)
                reader.seek_seq(0)
                took, seen, seqs = read_loop(reader, count)
                in_c.append(took / seen)
                total += seqs
    figures = {"ns_per_op": round(median(in_python), 1), "native_ns_per_op": round(median(in_c), 1)}
    return {**figures, "n": count, "hash": f"{total:x}"}
