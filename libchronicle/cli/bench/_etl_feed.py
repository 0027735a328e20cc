"""A feed for bench etl, which copies records at a steady rate: `python -m … SOURCE QUEUE RATE SECONDS CORE`."""

from __future__ import annotations

import os
import sys
from time import perf_counter_ns

from libchronicle.queue import Queue, QueueConfig

SLICE_NS = 100_000
CONFIG = QueueConfig(segment_size=64 << 20)


def main(source: str, queue: str, rate: float, seconds: float, core: int) -> None:
    if core >= 0:
        os.sched_setaffinity(0, {core})
    with Queue.open_subscriber(source, None, start="earliest") as reader:
        records = [(m.type_id, bytes(m)) for m in reader.drain(int(rate * seconds))]
    with Queue.open_publisher(queue, CONFIG) as writer:
        append = writer.append
        began = perf_counter_ns()
        done = 0
        while done < len(records):
            due = min(len(records), int((perf_counter_ns() - began) * rate / 1e9))
            for type_id, payload in records[done:due]:
                append(type_id, payload)
            done = max(done, due)
            while perf_counter_ns() - began < (done + 1) * 1e9 / rate + SLICE_NS / 2:
                pass


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]))
