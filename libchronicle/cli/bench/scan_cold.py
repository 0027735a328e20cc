"""The same as `scan`, from compressed segments; and what they take of the warm ones' bytes."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from libchronicle.cli.bench._day import fill_day
from libchronicle.cli.bench._scan import scan_day
from libchronicle.cli.bench.harness import BenchOptions
from libchronicle.storage.layout import ArchiveLayout
from libchronicle.storage.moves import freeze

ROUNDS = 30


def run(options: BenchOptions) -> dict[str, Any]:
    with options.scratch() as root:
        day = fill_day(root, options, 1 if options.tiny else ROUNDS, streams=("book", "trade"))
        layout = ArchiveLayout.of(day.paths)
        warm_bytes = sum(segment.bytes for segment in day.segments)
        start = perf_counter()
        cold_bytes = sum(freeze(layout, segment).bytes for segment in day.segments)
        took = perf_counter() - start
        figures = scan_day(day, 1 if options.tiny else options.repeats)
        figures["cold_share"] = round(cold_bytes / warm_bytes, 3)
        figures["compressed_mb_per_s"] = round(warm_bytes / took / 1e6, 1)
        figures["segments"] = len(day.segments)
    return figures
