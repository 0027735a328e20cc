"""A day's archive into Arrow columns, warm files: trades and book levels per second.

The day is the recording of binance-usdm:BTCUSDT over and over. `rss_tenth_mb` and `rss_mb` are the peaks of reading a
tenth of it and all of it: they do not differ by more than a batch and a segment.
"""

from __future__ import annotations

from typing import Any

from libchronicle.cli.bench._day import fill_day
from libchronicle.cli.bench._scan import scan_day
from libchronicle.cli.bench.harness import BenchOptions

ROUNDS = 30


def run(options: BenchOptions) -> dict[str, Any]:
    with options.scratch() as root:
        day = fill_day(root, options, 1 if options.tiny else ROUNDS, streams=("book", "trade"))
        figures = scan_day(day, 1 if options.tiny else options.repeats)
        figures["segments"] = len(day.segments)
    return figures
