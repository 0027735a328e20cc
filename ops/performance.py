"""Runs every benchmark, one at a time, and writes the figures into docs/performance.md.

    .venv/bin/python ops/performance.py [--only NAME …]

Run it on a quiet machine. Figures of benchmarks left out stay as they are.
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
FIXED = {"bench", "n", "hash", "python", "cpu", "medium"}


def measure(name: str) -> dict[str, Any]:
    """The JSON object a benchmark prints as its last line."""
    command = [str(Path(sys.executable).with_name("chronicle")), "bench", name, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    figures: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def table(figures: dict[str, Any]) -> str:
    """One benchmark as a table, all keys it printed."""
    rows = [f"| `{key}` | {shown(value)} |" for key, value in figures.items() if key not in FIXED]
    n = f"{figures['n']:,}"
    about = f"n = {n}, hash {figures['hash']}, {figures['python']}, {figures['cpu']}, queues on {figures['medium']}"
    return "\n".join(["| key | figure |", "|---|---:|", *rows, "", about])


def shown(value: Any) -> str:
    """A figure for people."""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def main() -> None:
    """Measure and rewrite the page between its markers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*")
    only = parser.parse_args().only
    text = PAGE.read_text()
    for name in re.findall(r"<!-- bench (\w+) -->", text):
        if only and name not in only:
            continue
        print(f"{name} …", flush=True)
        start, end = f"<!-- bench {name} -->", f"<!-- end {name} -->"
        body = f"{start}\n{table(measure(name))}\n{end}"
        text = re.sub(rf"{start}.*?{end}", lambda _, body=body: body, text, flags=re.DOTALL)
        PAGE.write_text(text)


if __name__ == "__main__":
    main()
