"""Backtests of one recorded instrument (W1), a plain Python strategy each; fed from memory, a queue and an archive.

    feed     no orders, a callback per message
    mm100    quotes both sides on a 100 ms timer
    mmfeed   quotes both sides on every message

`*_rows_per_s`: price levels and trades over the wall time of the run, the sources taking turns; opening the data apart
(`load_s`: of the rows into memory). Medians. `rss_mb`, `rss_mb_tenfold`: most memory of a process that runs `mm100` from a
queue, and from one of ten times the rows. With --peers, or --peer NAME: other engines on the same rows and the same quoting
rule, in the same run; `*_ratio`: ours over the fastest of theirs.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from libchronicle.backtest import BacktestResult, Tape
from libchronicle.cli.bench._backtest import runner_over
from libchronicle.cli.bench._backtest.peers import measure_peers
from libchronicle.cli.bench._backtest.rows import fill_archive, fill_queue, load_rows, tape_of
from libchronicle.cli.bench._backtest.strategies import WORKLOADS
from libchronicle.cli.bench._market import NAME
from libchronicle.cli.bench.harness import BenchOptions, undisturbed

LEAST_REPEATS = 7


def run(options: BenchOptions) -> dict[str, Any]:
    began = perf_counter()
    rows = load_rows(options)
    tape = tape_of(rows)
    load_s = perf_counter() - began
    with options.scratch() as root:
        queue = fill_queue(root / "queue", tape)
        sources: dict[str, Any] = {"": tape, "_queue": queue, "_archive": fill_archive(root / "run", tape)}
        figures = _measure(sources, options)
        figures["load_s"] = round(load_s, 3)
        figures |= _memory(root, queue, tape, options)
        figures |= measure_peers(root, rows, figures, options)
    return figures


def _measure(sources: dict[str, Any], options: BenchOptions) -> dict[str, Any]:
    repeats = 1 if options.tiny else max(LEAST_REPEATS, options.repeats)
    figures: dict[str, Any] = {}
    runs: list[BacktestResult] = []
    with undisturbed(options.pair()[0]):
        for workload, strategy in WORKLOADS.items():
            by_source: dict[str, list[BacktestResult]] = {suffix: [] for suffix in sources}
            for _ in range(repeats):
                for suffix, data in sources.items():  # in turn: what slows the machine down slows all of them
                    by_source[suffix].append(runner_over(data).run(strategy(NAME)))
            for suffix, runs in by_source.items():
                if len({one.hash for one in runs}) != 1:
                    raise RuntimeError(f"two runs of {workload} had different hashes")
                rate = runs[0].rows / median(one.wall_s for one in runs)
                figures[f"{workload}{suffix}_rows_per_s"] = round(rate)
            figures[f"{workload}_fills"] = len(runs[0].fills)
    figures["n"], figures["messages"] = runs[0].rows, runs[0].messages
    figures["hash"] = runs[0].hash
    return figures


def _memory(root: Path, queue: Path, tape: Tape, options: BenchOptions) -> dict[str, Any]:
    tenfold = fill_queue(root / "tenfold", tape, 2 if options.tiny else 10)
    return {"rss_mb": _child(queue)["rss_mb"], "rss_mb_tenfold": _child(tenfold)["rss_mb"]}


def _child(queue: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "libchronicle.cli.bench._backtest.child", str(queue), "mm100"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    told: dict[str, Any] = json.loads(done.stdout)
    return told
