"""Opening a queue after a crash: its writer was killed with -9, 128 MiB of 64-byte records in the live segment.

Recovery looks at every record that was appended since the last one known to be checked. `open_ms` is until the writer can
append, `reader_open_ms` until a reader stands at the first record, `clean_open_ms` the same after a writer that left in order.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter_ns
from typing import Any

from libchronicle.cli.bench.append import PAYLOAD
from libchronicle.cli.bench.harness import BenchOptions
from libchronicle.queue import Queue, QueueConfig

_WRITER = """
import sys, time
from libchronicle.native.bench import append_loop
from libchronicle.queue import Queue, QueueConfig
writer = Queue.open_publisher(sys.argv[1], QueueConfig(segment_size=int(sys.argv[2])))
append_loop(writer, bytes(range(64)), int(sys.argv[3]))
if sys.argv[4] == "close":
    writer.close()
print("there", flush=True)
time.sleep(60)
"""


def _filled(path: Path, segment: int, count: int, end: str) -> None:
    """A queue whose writer was killed, after closing it or not."""
    command = [sys.executable, "-c", _WRITER, str(path), str(segment), str(count), end]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    writer.stdout.readline()
    writer.send_signal(signal.SIGKILL)
    writer.communicate()


def _once(path: Path, segment: int, count: int, end: str) -> tuple[float, float]:
    _filled(path, segment, count, end)
    began = perf_counter_ns()
    with Queue.open_publisher(path, QueueConfig(segment_size=segment)) as writer:
        opened = perf_counter_ns()
        if writer.next_seq != count:
            raise RuntimeError(f"{writer.next_seq} of {count} records found")
        with Queue.open_subscriber(path, "a", start="earliest"):
            return (opened - began) / 1e6, (perf_counter_ns() - opened) / 1e6


def run(options: BenchOptions) -> dict[str, Any]:
    segment = (1 if options.tiny else 128) << 20
    count = (segment - (64 << 10)) // (len(PAYLOAD) + 32)
    taken: dict[str, list[tuple[float, float]]] = {"kill": [], "close": []}
    kept = os.sched_getaffinity(0)
    try:
        for _ in range(1 if options.tiny else options.repeats):
            for end, times in taken.items():
                with options.scratch() as where:
                    times.append(_once(where / "q", segment, count, end))
    finally:
        os.sched_setaffinity(0, kept)
    return {
        "open_ms": round(median(opened for opened, _ in taken["kill"]), 2),
        "reader_open_ms": round(median(read for _, read in taken["kill"]), 2),
        "clean_open_ms": round(median(opened for opened, _ in taken["close"]), 2),
        "records": count,
        "n": count,
        "hash": f"{count:x}",
    }
