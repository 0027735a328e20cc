"""The book at random times of a day-sized archive: one call each, warm files first, then the same day cold.

The day is the recorded book stream of binance-usdm:BTCUSDT 250 times over, about 2,500 segments of 1 MiB with a snapshot
each 60 s or 20,000 levels. Each figure is in ms: open, scan back, rebuild. `segments_p50` says how many segments a call opened.
"""

from __future__ import annotations

import random
from statistics import quantiles
from time import perf_counter_ns
from typing import Any

from libchronicle.cli.bench._day import SYMBOL, VENUE, Day, fill_day, forget_peak, peak_rss_mb
from libchronicle.cli.bench.harness import BenchOptions
from libchronicle.storage.archive import Archive
from libchronicle.storage.layout import ArchiveLayout
from libchronicle.storage.moves import freeze

ROUNDS = 250


def run(options: BenchOptions) -> dict[str, Any]:
    with options.scratch() as root:
        day = fill_day(root, options, 1 if options.tiny else ROUNDS)
        calls = 20 if options.tiny else 1000
        warm = _measure(day, calls)
        layout = ArchiveLayout.of(day.paths)
        cold_bytes = sum(freeze(layout, segment).bytes for segment in day.segments)
        cold = _measure(day, calls)
    if warm.pop("hash") != cold["hash"]:
        raise RuntimeError("the cold archive gave other books than the warm one")
    figures: dict[str, Any] = {f"warm_{name}": value for name, value in warm.items()}
    figures |= {f"cold_{name}": value for name, value in cold.items() if name != "hash"}
    figures["segments"] = len(day.segments)
    figures["cold_share"] = round(cold_bytes / sum(segment.bytes for segment in day.segments), 3)
    figures |= {"n": calls, "levels": day.levels, "hash": cold["hash"]}
    return figures


def _measure(day: Day, calls: int) -> dict[str, Any]:
    rng = random.Random(1)
    times = [rng.randint(day.first_ns, day.last_ns) for _ in range(calls)]
    took, opened, total = [], [], 0
    with Archive(day.paths) as archive:
        archive.book_at(f"{VENUE}:{SYMBOL}", times[0])  # lists the day
        forget_peak()
        for ts_ns in times:
            start = perf_counter_ns()
            found = archive.find_book(f"{VENUE}:{SYMBOL}", ts_ns)
            took.append((perf_counter_ns() - start) / 1e6)
            opened.append(found.segments)
            total += found.book.hash() if found.book is not None else 0
    cuts = quantiles(took, n=100)
    return {
        "p50_ms": round(cuts[49], 3),
        "p99_ms": round(cuts[98], 3),
        "rss_mb": peak_rss_mb(),
        "segments_p50": sorted(opened)[calls // 2],
        "hash": f"{total % 2**64:016x}",
    }
