"""commit(): what remembering the position costs a reader that does it after every record."""

from __future__ import annotations

from statistics import median
from time import perf_counter_ns
from typing import Any

from libchronicle.cli.bench import read
from libchronicle.cli.bench.append import PAYLOAD, SEGMENT
from libchronicle.cli.bench.harness import BenchOptions, undisturbed
from libchronicle.native.bench import append_loop
from libchronicle.queue import Queue, Subscriber


def _committing(reader: Subscriber) -> tuple[int, int]:
    next_record, commit = reader.next, reader.commit
    count = 0
    began = perf_counter_ns()
    while next_record() is not None:
        commit()
        count += 1
    return perf_counter_ns() - began, count


def run(options: BenchOptions) -> dict[str, Any]:
    count = 20_000 if options.tiny else 1_000_000
    reading, committing, total = [], [], 0
    with (
        undisturbed(options.pair()[0]),
        options.scratch() as where,
        Queue.open_publisher(where / "q", SEGMENT) as writer,
    ):
        append_loop(writer, PAYLOAD, count)
        for _ in range(1 if options.tiny else options.repeats):
            with Queue.open_subscriber(where / "q", "a", start="earliest") as reader:
                took, seen = read.python_loop(reader)
                reading.append(took / seen)
                reader.seek_seq(0)
                took, seen = _committing(reader)
                committing.append(took / seen)
                total += seen
    return {
        "ns_per_op": round(median(c - r for c, r in zip(committing, reading, strict=True)), 1),
        "next_and_commit_ns_per_op": round(median(committing), 1),
        "n": count,
        "hash": f"{total:x}",
    }
