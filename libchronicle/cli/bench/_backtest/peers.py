"""Other engines on the same rows: each measured by a script of its own, in an interpreter that has its package."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from libchronicle.cli.bench._backtest.rows import COLUMNS
from libchronicle.cli.bench.harness import BenchOptions

__all__ = ["PEERS", "measure_peers"]

PEERS = {"hftbacktest": "hft_peer.py", "nautilus_trader": "nautilus_peer.py"}
PATIENCE_S = 900
WORKLOADS = ("feed", "mm100", "mmfeed")


def measure_peers(
    root: Path, rows: dict[str, Any], ours: dict[str, Any], options: BenchOptions
) -> dict[str, Any]:
    """Figures of the peers asked for (`all` = each there is), and ours over the fastest of them."""
    chosen = list(PEERS) if "all" in options.peers else [name for name in PEERS if name in options.peers]
    if not chosen:
        return {}
    file = root / "rows.bin"
    _write(file, rows)
    figures: dict[str, Any] = {}
    left_out = {}
    for name in chosen:
        told = _measure(name, file, options)
        if isinstance(told, str):
            left_out[name] = told
        else:
            figures |= told
    for workload in WORKLOADS:
        theirs = [value for key, value in figures.items() if key.endswith(f"_{workload}_rows_per_s")]
        if theirs:
            figures[f"{workload}_ratio"] = round(ours[f"{workload}_rows_per_s"] / max(theirs), 2)
    return figures | ({"left_out": left_out} if left_out else {})


def _write(file: Path, rows: dict[str, Any]) -> None:
    """A line of JSON (names, codes, count), then the columns one behind the other."""
    head = {"columns": COLUMNS, "count": len(rows["kind"])}
    with file.open("wb") as out:
        out.write(json.dumps(head).encode() + b"\n")
        for name in COLUMNS:
            out.write(memoryview(rows[name]).cast("B"))


def _measure(name: str, file: Path, options: BenchOptions) -> dict[str, Any] | str:
    script = Path(__file__).with_name(PEERS[name])
    reason = "no interpreter has its package"
    for python in (sys.executable, *options.pythons):
        command = [python, str(script), str(file), "1" if options.tiny else str(max(7, options.repeats))]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
        except (OSError, subprocess.TimeoutExpired) as error:
            reason = str(error)
            continue
        if done.returncode == 0:
            told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
            return told
        lines = done.stderr.strip().splitlines()
        if "No module named" not in done.stderr:
            reason = lines[-1] if lines else f"exit code {done.returncode}"
    return reason
