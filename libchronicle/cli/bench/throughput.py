"""Messages of 64 bytes from one Python writer to one and to two Python readers, retention on, nothing lost."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter_ns
from typing import Any

from libchronicle.cli.bench import _queue_peer
from libchronicle.cli.bench.append import PAYLOAD
from libchronicle.cli.bench.harness import BenchOptions, undisturbed
from libchronicle.queue import Queue, QueueConfig

_READERS = ("one", "two")


def _once(path: Path, count: int, readers: int, core: int) -> tuple[float, dict[str, int], int]:
    names = _READERS[:readers]
    with Queue.open_publisher(path, QueueConfig(durable=names, retain_segments=1)) as writer:
        peers = [_queue_peer.start("drain", path, core, count, name) for name in names]
        append, payload = writer.append, PAYLOAD
        began = perf_counter_ns()
        for _ in range(count):
            append(1, payload)
        results = [_queue_peer.result(peer) for peer in peers]
        took_s = (perf_counter_ns() - began) / 1e9
        lost = sum(int(r["lost"]) if isinstance(r["lost"], int) else 0 for r in results)
        return count / took_s, writer.metrics(), lost


def run(options: BenchOptions) -> dict[str, Any]:
    count = 50_000 if options.tiny else 20_000_000
    writer_core, reader_core = options.pair()
    figures: dict[str, Any] = {}
    with undisturbed(writer_core):
        for readers, key in ((1, "msgs_per_s"), (2, "two_readers_msgs_per_s")):
            with options.scratch() as where:
                rate, metrics, lost = _once(where / "q", count, readers, reader_core if readers == 1 else -1)
                figures[key] = round(rate)
                figures["lost"] = figures.get("lost", 0) + lost
                figures["roll_stalls"] = figures.get("roll_stalls", 0) + metrics["roll_stalls"]
                figures["unlinked"] = figures.get("unlinked", 0) + metrics["unlinked"]
                figures["hash"] = f"{metrics['next_seq']:x}"
    return {**figures, "n": count}
