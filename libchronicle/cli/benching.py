"""`chronicle bench`: figures on the screen, or one JSON object as the last line."""

from __future__ import annotations

from typing import Any

import typer

from libchronicle.cli.bench import BenchOptions, available, circumstances, run_bench
from libchronicle.cli.bench_comparison import read_baseline, same_work, worse_each_time
from libchronicle.cli.context import print_ndjson
from libchronicle.cli.tables import render_table
from libchronicle.errors import ConfigError
from libchronicle.runtime.daemon import ExitCode

__all__ = ["run_benchmark"]

_TOLERANCE = 0.2


def run_benchmark(
    name: str | None,
    *,
    names: bool,
    as_json: bool,
    tiny: bool,
    repeats: int,
    medium: str,
    directory: str,
    data: str,
    seconds: float,
    peers: tuple[str, ...],
    pythons: tuple[str, ...],
    baseline: str | None = None,
    tolerance: float | None = None,
    keys: tuple[str, ...] = (),
) -> None:
    """Run one benchmark, or list them; with `baseline` exit 67 if it is worse than it was. Raises ConfigError."""
    if names and baseline is not None:
        raise ConfigError(file="bench", key="--list", reason="compares nothing: leave it out, or --baseline")
    if names:
        print("\n".join(available()))
        return
    if baseline is None and (tolerance is not None or keys):
        raise ConfigError(
            file="bench", key="--baseline", reason="is missing: --tolerance and --key are of a comparison"
        )
    before = None if baseline is None else read_baseline(baseline, name)
    if before is not None:
        name = before["bench"]
    if name is None:
        raise ConfigError(file="bench", key="NAME", reason=f"is missing; there are: {', '.join(available())}")
    if medium not in ("shm", "disk"):
        raise ConfigError(file="bench", key="--medium", reason=f'expected "shm" or "disk", got {medium!r}')
    options = BenchOptions(
        tiny=tiny,
        medium=medium,
        repeats=repeats,
        disk_dir=directory,
        data=data,
        seconds=seconds,
        peers=peers,
        pythons=pythons,
    )
    if before is not None:
        here = circumstances(options)
        same_work({key: before.get(key) for key in here}, here)
        _judge(name, before, options, _TOLERANCE if tolerance is None else tolerance, keys, as_json=as_json)
        return
    figures = run_bench(name, options)
    if as_json:
        print_ndjson(figures)
    else:
        _show(figures)


def _judge(
    name: str,
    before: dict[str, Any],
    options: BenchOptions,
    tolerance: float,
    keys: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    changes, worse, runs = worse_each_time(
        before, lambda: run_bench(name, options), tolerance=tolerance, keys=keys
    )
    if as_json:
        print_ndjson(
            {"bench": name, "worse": worse, "tolerance": tolerance, "runs": runs, "changes": changes}
        )
    else:
        rows = [
            (
                change.key,
                f"{change.before:,}",
                f"{change.now:,}",
                "-" if change.factor is None else f"{change.factor:.2f}",
                "WORSE" if change.key in worse else "",
            )
            for change in changes
        ]
        print(render_table(("FIGURE", "BEFORE", "NOW", "TIMES WORSE", ""), rows, right=(1, 2, 3)))
        found = f"{len(worse)} figures are" if len(worse) > 1 else "one figure is" if worse else "none is"
        print(f"best of {runs} runs: {found} worse by more than {1 + tolerance:g} times")
    if worse:
        raise typer.Exit(ExitCode.WORSE)


def _show(figures: dict[str, Any]) -> None:
    """Keys and figures; a list of rows as a table of its own."""
    width = max(len(key) for key in figures)
    for key, value in figures.items():
        if isinstance(value, list):
            _show_rows(value)
        else:
            print(f"{key:<{width}}  {value:,.3f}" if isinstance(value, float) else f"{key:<{width}}  {value}")


def _show_rows(rows: list[dict[str, Any]]) -> None:
    lines = [tuple(rows[0]), *(tuple(_cell(value) for value in row.values()) for row in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    for line in lines:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int | float) else str(value)
