"""Benchmarks: `chronicle bench NAME --json`.

Each module of this package is one benchmark with a function `run(options) -> dict`. The dict holds figures under keys that
carry their unit (`ns_per_op`, `p50_ns`, `msgs_per_s`, `rss_mb`), `n` (operations measured) and `hash` (of the work done, so
that a loop optimised away is noticed). The harness adds `bench`, `tiny`, `medium`, `python`, `cpu` and prints one JSON object
as the last line. A benchmark is never a timed test; with `tiny=True` it runs in about a second so that the test suite keeps it
alive.
"""

from libchronicle.cli.bench.harness import BenchOptions, available, circumstances, machine, run_bench

__all__ = ["BenchOptions", "available", "circumstances", "machine", "run_bench"]
