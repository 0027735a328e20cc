"""Runs every benchmark, one at a time, and writes the figures into docs/performance.md.

    .venv/bin/python ops/performance.py [--only NAME …] [--python INTERPRETER …]

Run it on a quiet machine. Figures of benchmarks left out stay as they are. --python names further interpreters in which `peers`
and `backtest` look for the packages they compare with.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
FIXED = {"bench", "n", "hash", "python", "cpu", "medium", "tiny"}


def measure(name: str, pythons: list[str]) -> dict[str, Any]:
    """The JSON object a benchmark prints as its last line."""
    command = [str(Path(sys.executable).with_name("chronicle")), "bench", name, "--json"]
    if name == "backtest" and pythons:
        command += ["--peers", "--repeats", "15"]
    if name == "peers":  # see the page: rounds enough for every place the host puts the two cores
        command += ["--repeats", "9", "--seconds", "1"]
    if name in ("peers", "backtest"):
        command += [word for python in pythons for word in ("--python", python)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=900)
    figures: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def table(figures: dict[str, Any]) -> str:
    """One benchmark as a table, all keys it printed; rows it printed as a table of their own before it."""
    lines = []
    for value in figures.values():
        if isinstance(value, list):
            lines += [*wide(value), ""]
    lines += ["| key | figure |", "|---|---:|"]
    for key, value in figures.items():
        if key not in FIXED and not isinstance(value, list | dict):
            lines.append(f"| `{key}` | {shown(value)} |")
    for key, value in figures.items():
        if isinstance(value, dict) and value:
            lines += [
                "",
                f"{key.replace('_', ' ')}: " + "; ".join(f"{name} ({why})" for name, why in value.items()),
            ]
    n = f"{figures['n']:,}"
    about = f"n = {n}, hash {figures['hash']}, {figures['python']}, {figures['cpu']}, queues on {figures['medium']}"
    return "\n".join([*lines, "", about])


def wide(rows: list[dict[str, Any]]) -> list[str]:
    """Rows with the same keys as a Markdown table."""
    keys = list(rows[0])
    align = ["---" if isinstance(rows[0][key], str) else "---:" for key in keys]
    body = ["| " + " | ".join(shown(row[key]) for key in keys) + " |" for row in rows]
    return ["| " + " | ".join(keys) + " |", "|" + "|".join(align) + "|", *body]


def shown(value: Any) -> str:
    """A figure for people."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def main() -> None:
    """Measure and rewrite the page between its markers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--python", nargs="*", default=[])
    arguments = parser.parse_args()
    only = arguments.only
    text = PAGE.read_text()
    for name in re.findall(r"<!-- bench (\w+) -->", text):
        if only and name not in only:
            continue
        print(f"{name} …", flush=True)
        start, end = f"<!-- bench {name} -->", f"<!-- end {name} -->"
        body = f"{start}\n{table(measure(name, arguments.python))}\n{end}"
        text = re.sub(rf"{start}.*?{end}", lambda _, body=body: body, text, flags=re.DOTALL)
        PAGE.write_text(text)


if __name__ == "__main__":
    main()
