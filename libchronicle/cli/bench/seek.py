"""seek_seq and seek_time in a queue of 10 GiB of 64-byte records: to places all over it, with its pages in memory.

`next()` after a seek is included, so that the place found is known to be the right one.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

from libchronicle.cli.bench._deep import deep_queue
from libchronicle.cli.bench.append import PAYLOAD
from libchronicle.cli.bench.harness import BenchOptions, undisturbed
from libchronicle.queue import Queue, Subscriber


def _seeks(reader: Subscriber, seek: Callable[[int], None], targets: list[tuple[int, int]]) -> list[int]:
    took = []
    next_record, clock = reader.next, perf_counter_ns
    for target, seq in targets:
        began = clock()
        seek(target)
        message = next_record()
        took.append(clock() - began)
        if message is None or message.seq > seq or (message.seq < seq and message.ts_ns != target):
            raise RuntimeError(f"sought {target} (seq {seq}), found {message}")
    return sorted(took)


def _times(reader: Subscriber, seqs: list[int]) -> list[tuple[int, int]]:
    """(timestamp, seq) of records; two may share a timestamp, then a seek stands at the first of them."""
    found = []
    for seq in seqs:
        reader.seek_seq(seq)
        message = reader.next()
        assert message is not None
        found.append((message.ts_ns, seq))
    return found


def run(options: BenchOptions) -> dict[str, Any]:
    count = 50 if options.tiny else 5_000
    seed = 20240611
    with (
        undisturbed(options.pair()[0]),
        deep_queue(options, PAYLOAD) as (path, records),
        Queue.open_subscriber(path, "a", start="earliest") as reader,
    ):
        seqs = random.Random(seed).choices(range(records), k=count)
        times = _times(reader, seqs)  # and warm
        by_seq = _seeks(reader, reader.seek_seq, [(seq, seq) for seq in seqs])
        by_time = _seeks(reader, reader.seek_time, times)
    return {
        "seek_seq_p50_ns": by_seq[count // 2],
        "seek_seq_p99_ns": by_seq[count * 99 // 100],
        "seek_time_p50_ns": by_time[count // 2],
        "seek_time_p99_ns": by_time[count * 99 // 100],
        "records": records,
        "n": 2 * count,
        "hash": f"{sum(seqs):x}",
    }
