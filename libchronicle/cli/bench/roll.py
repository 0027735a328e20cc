"""Latency of appends that cross into a new segment of 4 MiB, and of appends between them, retention on.

Paced at 1 M messages of 64 bytes and at 200 k of 1 KiB per second (so that a thousand rolls take half a minute), in one
process: the writer on one core, its prepare and clean threads beside it. `stalls` counts rolls that found no segment ready.
"""

from __future__ import annotations

from typing import Any

from libchronicle.cli.bench.append import PAYLOAD
from libchronicle.cli.bench.harness import BenchOptions, undisturbed
from libchronicle.native.bench import paced_appends
from libchronicle.queue import Queue, QueueConfig

_SEGMENT = 4 << 20
_BATCH_SEGMENTS = 20
SAMPLED = 64  # paced_appends keeps every 64th append that did not roll


def _at(values: list[float], share: float) -> int:
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))])


def _across(rolls: list[float], others: list[float]) -> int:
    """p99.9 of all appends of a run: those that rolled, and the sampled others counted as often as they stand for."""
    weighted = sorted([*((took, 1) for took in rolls), *((took, SAMPLED) for took in others)], reverse=True)
    beyond = (len(rolls) + SAMPLED * len(others)) * 0.001
    for took, weight in weighted:
        beyond -= weight
        if beyond <= 0:
            return round(took)
    return round(weighted[-1][0])


def _one_rate(options: BenchOptions, rate: int, payload: bytes, segments: int) -> dict[str, Any]:
    rolls: list[float] = []
    others: list[float] = []
    slowest = 0.0
    with options.scratch() as where:
        config = QueueConfig(segment_size=_SEGMENT, retain_segments=1)
        with (
            Queue.open_publisher(where / "q", config) as writer,
            Queue.open_subscriber(where / "q", "a") as reader,
        ):
            per_segment = _SEGMENT // (len(payload) + 32)
            left = segments
            while left > 0:
                batch = min(_BATCH_SEGMENTS, left)
                left -= batch
                rolled, other, worst = paced_appends(writer, payload, batch * per_segment, 1e9 / rate)
                rolls += rolled
                others += other
                slowest = max(slowest, worst)
                reader.seek_seq(writer.next_seq)
                reader.commit()
            metrics = writer.metrics()
    return {
        "rolls": len(rolls),
        "p50_ns": _at(rolls, 0.5),
        "p99_ns": _at(rolls, 0.99),
        "p999_ns": _at(rolls, 0.999),
        "max_ns": round(max(rolls)),
        "across_p999_ns": _across(rolls, others),
        "append_p50_ns": _at(others, 0.5),
        "append_p99_ns": _at(others, 0.99),
        "append_max_ns": round(slowest),
        "stalls": metrics["roll_stalls"],
        "unlinked": metrics["unlinked"],
        "seqs": metrics["next_seq"],
    }


def run(options: BenchOptions) -> dict[str, Any]:
    with undisturbed(options.pair()[0]):
        million = _one_rate(options, 1_000_000, PAYLOAD, 3 if options.tiny else 550)
        thousands = _one_rate(options, 200_000, PAYLOAD * 16, 3 if options.tiny else 500)
    figures = {f"{key}_1m": value for key, value in million.items() if key != "seqs"}
    figures |= {f"{key}_200k": value for key, value in thousands.items() if key != "seqs"}
    worst = {
        "p99_ns": max(million["p99_ns"], thousands["p99_ns"]),
        "max_ns": max(million["max_ns"], thousands["max_ns"]),
        "append_p999_ns": max(million["across_p999_ns"], thousands["across_p999_ns"]),
    }
    return {
        **worst,
        **figures,
        "n": million["rolls"] + thousands["rolls"],
        "hash": f"{million['seqs'] + thousands['seqs']:x}",
    }
