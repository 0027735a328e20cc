"""`chronicle torture`: faults on the user's own file system, and the verdict."""

from __future__ import annotations

import contextlib
import math
import secrets
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import typer

from libchronicle.cli.context import print_ndjson
from libchronicle.cli.tables import render_table, size
from libchronicle.errors import ConfigError, InvalidArgument
from libchronicle.runtime.daemon import ExitCode
from libchronicle.testing.torture import FaultResult, TortureOptions, Verdict, run_torture
from libchronicle.testing.torture.plan import FAULTS
from libchronicle.testing.torture.verdict import percentile

__all__ = ["run_torturing"]

_HEADER = ("FAULT", "ROUNDS", "CHECKED", "LOSSES", "TORN", "ERRORS", "BACK P50", "BACK MAX", "VERDICT")
_WORKS = {
    "reserve": "fallocate",
    "prefault": "MADV_POPULATE_WRITE",
    "lock": "lock",
    "shared_words": "futex",
    "many_words": "futex_waitv",
    "tsc": "TSC",
}
_SHOWN = 5


def run_torturing(
    path: str, *, minutes: float, seed: int | None, rounds: int | None, faults: str, as_json: bool
) -> None:
    """Torture, print, exit: 0 passed, 65 something was found, 130 interrupted. Raises ConfigError, NoPermission, HostError,
    InvalidArgument."""
    if not math.isfinite(minutes):
        raise InvalidArgument(
            where="torture", field="--minutes", value=minutes, allowed="a number of minutes"
        )
    options = TortureOptions(
        seed=secrets.randbits(32) if seed is None else seed,
        seconds=60 * minutes,
        rounds=rounds,
        faults=_chosen(faults),
    )
    if not as_json:
        print(f"seed {options.seed}", flush=True)
    with _progress() as tell:
        verdict = run_torture(Path(path), options, tell)
    if as_json:
        print_ndjson(_facts(verdict))
    else:
        print(_text(verdict))
    if verdict.interrupted:
        raise typer.Exit(130)
    if not verdict.passed:
        raise typer.Exit(ExitCode.CORRUPT)


def _chosen(faults: str) -> tuple[str, ...]:
    chosen = tuple(name.strip() for name in faults.split(",") if name.strip()) or FAULTS
    for name in chosen:
        if name not in FAULTS:
            raise ConfigError(
                file="command line",
                key="--faults",
                reason=f"no fault {name!r}; there are: {', '.join(FAULTS)}",
            )
    return chosen


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str, float, int], None]]:
    """A bar per fault where a person looks on; nothing else."""
    if not sys.stderr.isatty():
        yield lambda fault, share, rounds: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:<6}"),
        BarColumn(),
        TextColumn("{task.fields[rounds]} rounds"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def tell(fault: str, share: float, rounds: int) -> None:
            if fault not in tasks:
                tasks[fault] = bars.add_task(fault, total=1.0, rounds=0)
            bars.update(tasks[fault], completed=share, rounds=rounds)

        yield tell


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value * 1e3:.1f} ms"


def _row(result: FaultResult) -> tuple[str, ...]:
    return (
        result.fault,
        f"{result.rounds:,}",
        f"{result.checked:,}",
        f"{result.losses:,}",
        f"{result.torn:,}",
        f"{result.errors:,}",
        _milliseconds(percentile(result.recoveries_s, 0.5)),
        _milliseconds(percentile(result.recoveries_s, 1.0)),
        "pass" if result.passed else "FAIL",
    )


def _text(verdict: Verdict) -> str:
    host = verdict.host
    lines = [
        f"{verdict.path}: {host.file_system} on {host.mount or '?'}, {size(host.free_bytes)} free; {host.system}",
        "  " + ", ".join(f"{_WORKS[name]}: {said}" for name, said in host.works.items()),
        "",
        render_table(_HEADER, [_row(result) for result in verdict.results], right=tuple(range(1, 8))),
    ]
    for result in verdict.results:
        if result.note:
            lines.append(f"{result.fault}: on {result.note}")
        if result.declared:
            lines.append(
                f"{result.fault}: {result.declared:,} of {result.rounds:,} were told of, the others had no effect"
            )
        lines += [f"{result.fault}: {one.who}: {one.text}" for one in result.reports[:_SHOWN]]
    if verdict.evidence:
        lines.append(f"evidence is kept in {verdict.evidence}")
    again = f"seed {verdict.seed}, plan {verdict.plan}"
    lines += [
        "",
        f"{'interrupted' if verdict.interrupted else 'PASS' if verdict.passed else 'FAIL'}  ({again})",
    ]
    return "\n".join(lines)


def _facts(verdict: Verdict) -> dict[str, object]:
    """For --json: the verdict, with recoveries as p50 and max in seconds."""
    facts: dict[str, object] = msgspec.to_builtins(verdict)
    rows = []
    for result in verdict.results:
        row = msgspec.to_builtins(result)
        row.pop("recoveries_s")
        row["recovery_p50_s"] = percentile(result.recoveries_s, 0.5)
        row["recovery_max_s"] = percentile(result.recoveries_s, 1.0)
        row["passed"] = result.passed
        rows.append(row)
    return {**facts, "results": rows, "passed": verdict.passed}
