"""Processor time of a parked reader and of a writer that has nothing to write, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from libchronicle.cli.bench import _queue_peer
from libchronicle.cli.bench.harness import BenchOptions

_WRITER = """
import sys, time
from libchronicle.queue import Queue
with Queue.open_publisher(sys.argv[1]) as writer:
    writer.append(1, b"one record")
    print("open", flush=True)
    while True:
        time.sleep(0.25)
        writer.heartbeat()
"""


def _cpu_ns(pid: int) -> int:
    """Processor time of all threads of a process so far."""
    total = 0
    for schedstat in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        total += int(schedstat.read_text().split()[0])
    return total


def _percent(pids: tuple[int, int], seconds: float) -> tuple[float, float]:
    before, began = [_cpu_ns(pid) for pid in pids], time.monotonic_ns()
    time.sleep(seconds)
    took = time.monotonic_ns() - began
    one, two = (100 * (_cpu_ns(pid) - was) / took for pid, was in zip(pids, before, strict=True))
    return one, two


def run(options: BenchOptions) -> dict[str, Any]:
    seconds = 0.3 if options.tiny else 10.0
    with options.scratch() as where:
        writer = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(where / "q")], stdout=subprocess.PIPE, text=True
        )
        try:
            assert writer.stdout is not None
            writer.stdout.readline()
            reader = _queue_peer.start("sleep", where / "q", -1, 0)
            try:
                time.sleep(min(1.0, seconds))  # until what opening began is over
                of_writer, of_reader = _percent((writer.pid, reader.pid), seconds)
            finally:
                reader.kill()
                reader.communicate()
        finally:
            writer.kill()
            writer.communicate()
    return {
        "cpu_percent": round(of_writer + of_reader, 4),
        "writer_cpu_percent": round(of_writer, 4),
        "reader_cpu_percent": round(of_reader, 4),
        "n": round(seconds * 1e9),
        "hash": f"{round(seconds * 1000):x}",
    }
