"""Market record committed to order record committed, in another process.

A strategy host runs a Python strategy that builds and sends an order on every update (book, trade, quote); the market is
played to it from a recording, at 20,000 messages a second and in the recording's own rhythm (speed 1). A native echo that
keeps the book and writes an order for every update, without any Python, takes the same records in turn; a bare one that
does not even keep the book gives the floor (`bare_*`). Latencies come from the journals alone: the
append times of the order and of the market record it names.

Both sides watch the clock while they spin: where two looks lie more than 2 µs apart the machine stood still, and messages
that such a stop overlaps are counted apart (`stopped_share`). `raw_*` keys include them. `stage_*` keys come from a run of
their own, since stamping stages costs time.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from statistics import median
from typing import Any

from libchronicle.cli.bench._market import KEY, Event, made_up, recorded
from libchronicle.cli.bench._pace import Market, latencies
from libchronicle.cli.bench.harness import BenchOptions
from libchronicle.errors import ConfigError

RECORDING = "binance/usdm/btcusdt_20240808.gz"
GAP_NS = 50_000
WARM_UP = 2_000
KINDS = ("host", "echo", "bare")
STAGES = ("pickup", "book_and_callback", "strategy", "encode_and_commit")


def run(options: BenchOptions) -> dict[str, Any]:
    rounds, count, skip, seconds = (1, 500, 100, 0.3) if options.tiny else (2, 40_000, WARM_UP, 5.0)
    source, snapshot, events = _events(options, count)
    slow = [event for event in events if event.at_ns < seconds * 1e9]
    work = hashlib.blake2b(digest_size=8)

    def measure(kind: str, played: Sequence[Event], gap_ns: int, skip: int) -> dict[str, float]:
        pairs, noted = _play(options, kind, snapshot, played, gap_ns, skip)
        work.update(f"{kind} {len(pairs)}".encode())
        return _figures(pairs, noted)

    fast = [{kind: measure(kind, events, GAP_NS, skip) for kind in KINDS} for _ in range(rounds)]
    middle = {kind: _medians([one[kind] for one in fast]) for kind in KINDS}
    paced = {kind: measure(kind, slow, 0, 0) for kind in ("host", "echo")}
    _, noted = _play(options, "stages", snapshot, events[: count // 3], GAP_NS, skip)
    result: dict[str, Any] = {"source": source, "rate_msgs_per_s": 1e9 / GAP_NS}
    result |= middle["host"]
    result |= {f"native_{key}": value for key, value in middle["echo"].items()}
    result |= {f"bare_{key}": value for key, value in middle["bare"].items() if key in ("p50_ns", "p99_ns")}
    result["p99_ratio_native"] = _ratio(middle["host"], middle["echo"])
    result["p99_ratio_bare"] = _ratio(middle["host"], middle["bare"])
    result |= {f"speed1_{key}": value for key, value in paced["host"].items()}
    result |= {f"speed1_native_{key}": value for key, value in paced["echo"].items()}
    result["speed1_p99_ratio_native"] = _ratio(paced["host"], paced["echo"])
    result |= _stages(noted["stages"][skip:])
    result["n"] = int(sum(one["host"]["orders"] for one in fast) + paced["host"]["orders"])
    result["hash"] = work.hexdigest()
    return result


def _medians(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    return {key: median(row[key] for row in rows) for key in rows[0]}


def _events(options: BenchOptions, count: int) -> tuple[str, Event, list[Event]]:
    try:
        path = options.recording(RECORDING)
    except ConfigError:
        return "made up", *made_up(count)
    return path.name, *recorded(path, count)


def _play(
    options: BenchOptions, kind: str, snapshot: Event, events: Sequence[Event], gap_ns: int, skip: int
) -> tuple[list[tuple[int, int]], dict[str, Any]]:
    """One process, one pass over the events: (cause, order) times and what the process noted."""
    market_core, own_core = options.pair()
    before = os.sched_getaffinity(0)
    with options.scratch() as root:
        market = Market(root, kind, own_core)
        try:
            os.sched_setaffinity(0, {market_core})
            market.begin(snapshot)
            market.play(events, gap_ns=gap_ns, keep=0 if kind in ("echo", "bare") else KEY)
        except BaseException:
            market.child.kill()
            raise
        finally:
            os.sched_setaffinity(0, before)
        noted = market.end()
        return market.journal(skip), noted


def _figures(pairs: Sequence[tuple[int, int]], noted: dict[str, Any]) -> dict[str, float]:
    everything, clean = latencies(pairs, noted["stops"])
    stopped_ns = sum(end - begin for begin, end in noted["stops"])
    return {
        "orders": len(everything),
        "p50_ns": _at(clean, 0.5),
        "p99_ns": _at(clean, 0.99),
        "p999_ns": _at(clean, 0.999),
        "raw_p50_ns": _at(everything, 0.5),
        "raw_p99_ns": _at(everything, 0.99),
        "raw_max_ns": everything[-1] if everything else 0,
        "stopped_share": round(1 - len(clean) / max(1, len(everything)), 5),
        "stops_per_s": round(len(noted["stops"]) / max(1, noted["watched_ns"]) * 1e9, 1),
        "stopped_time_share": round(stopped_ns / max(1, noted["watched_ns"]), 5),
    }


def _stages(stamps: Sequence[Sequence[int]]) -> dict[str, float]:
    """Median and p99 of each stage."""
    result: dict[str, float] = {}
    for n, name in enumerate(STAGES):
        spans = sorted(row[n + 1] - row[n] for row in stamps)
        result[f"stage_{name}_p50_ns"] = _at(spans, 0.5)
        result[f"stage_{name}_p99_ns"] = _at(spans, 0.99)
    return result


def _ratio(own: dict[str, float], native: dict[str, float]) -> float:
    return round(own["p99_ns"] / max(1, native["p99_ns"]), 2)


def _at(values: Sequence[int], share: float) -> int:
    return values[min(len(values) - 1, int(len(values) * share))] if values else 0
