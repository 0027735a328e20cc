"""Append of 64 bytes with checksum and timestamp: loop in Python, loop in C; alone, and with one spinning reader beside it."""

from __future__ import annotations

from statistics import median
from time import perf_counter_ns
from typing import Any

from libchronicle.cli.bench import _queue_peer
from libchronicle.cli.bench.harness import BenchOptions, undisturbed
from libchronicle.native.bench import append_loop
from libchronicle.queue import Publisher, Queue, QueueConfig

PAYLOAD = bytes(range(64))
SEGMENT = QueueConfig(segment_size=256 << 20)


def python_loop(writer: Publisher, count: int) -> int:
    append, payload = writer.append, PAYLOAD
    began = perf_counter_ns()
    for _ in range(count):
        append(1, payload)
    return perf_counter_ns() - began


def _rounds(options: BenchOptions, count: int, reader_core: int | None) -> tuple[float, float, int]:
    in_python, in_c, seqs = [], [], 0
    for _ in range(1 if options.tiny else options.repeats):
        with options.scratch() as where, Queue.open_publisher(where / "q", SEGMENT) as writer:
            peer = None if reader_core is None else _queue_peer.start("spin", where / "q", reader_core, 0)
            try:
                python_loop(writer, count // 10)
                in_python.append(python_loop(writer, count) / count)
                in_c.append(append_loop(writer, PAYLOAD, count) / count)
                seqs += writer.next_seq
            finally:
                if peer:
                    peer.kill()
                    peer.communicate()
    return median(in_python), median(in_c), seqs


def run(options: BenchOptions) -> dict[str, Any]:
    count = 20_000 if options.tiny else 800_000
    writer_core, reader_core = options.pair()
    with undisturbed(writer_core):
        python_ns, native_ns, seqs = _rounds(options, count, reader_core=None)
        python_read_ns, native_read_ns, read_seqs = _rounds(options, count, reader_core=reader_core)
    return {
        "ns_per_op": round(python_ns, 1),
        "native_ns_per_op": round(native_ns, 1),
        "with_reader_ns_per_op": round(python_read_ns, 1),
        "with_reader_native_ns_per_op": round(native_read_ns, 1),
        "n": count,
        "hash": f"{seqs + read_seqs:x}",
    }
