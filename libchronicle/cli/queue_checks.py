"""`chronicle queue verify | repair`: is everything on disk what was written, and what can be put right?

Exit codes: 0 good, 66 records are missing and the queue says so, 65 damaged, 71 cannot be read, 75 no such queue.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
import typer

from libchronicle.cli.context import find_run, print_json
from libchronicle.cli.queue_paths import queues_of, resolve
from libchronicle.cli.tables import count, render_table, size
from libchronicle.errors import (
    ChronicleError,
    CorruptError,
    EnvironmentFault,
    NotReadyError,
    WriterAlreadyActive,
)
from libchronicle.queue import Repair, Report, Severity, Verdict, check, repair
from libchronicle.runtime.daemon import ExitCode, exit_code

__all__ = ["run_repair", "run_verify"]

HEADER = ("QUEUE", "VERDICT", "RECORDS", "SEGMENTS", "WALKED", "WRITER", "FINDINGS")
_CODES = {Verdict.GOOD: ExitCode.OK, Verdict.HOLES: ExitCode.HOLES, Verdict.DAMAGED: ExitCode.CORRUPT}
_WORST_FIRST = (ExitCode.CORRUPT, ExitCode.HOST, ExitCode.NOT_READY, ExitCode.HOLES, ExitCode.OK)

Result = Report | ChronicleError


def run_verify(queue: str | None, run: str | None, config: str | None, *, as_json: bool, notes: bool) -> None:
    """Check one queue, or all. Raises CorruptError if one is damaged; exits with 66 for holes, 71 for what cannot be read."""
    suite = find_run(run, config).suite
    chosen = queues_of(suite) if queue is None else [(queue, resolve(queue, suite))]
    began = time.monotonic()
    results = {name: _check(path) for name, path in chosen}
    if as_json:
        print_json({name: as_object(result) for name, result in results.items()})
    else:
        print(_text(results, time.monotonic() - began, notes=notes))
    code = min((_code(result) for result in results.values()), key=_WORST_FIRST.index, default=ExitCode.OK)
    if code is ExitCode.CORRUPT:
        bad = sum(_code(result) is code for result in results.values())
        reason = f"{count(bad, 'queue')} damaged; `chronicle queue repair QUEUE --dry-run` says what can be put right"
        raise CorruptError(reason=reason)
    if code is not ExitCode.OK:
        raise typer.Exit(code)


def as_object(result: Result) -> dict[str, Any]:
    """For machines. `exit_code` is what the command would end with if this were the only queue."""
    code = int(_code(result))
    if isinstance(result, ChronicleError):
        return {
            "verdict": "unreadable",
            "exit_code": code,
            "error": type(result).__name__,
            "reason": str(result),
        }
    facts = msgspec.to_builtins(result)
    return {"verdict": result.verdict.value, "exit_code": code, **facts}


def _check(path: Path) -> Result:
    try:
        return check(path)
    except (CorruptError, EnvironmentFault) as error:
        return error


def _code(result: Result) -> ExitCode:
    return exit_code(result) if isinstance(result, ChronicleError) else _CODES[result.verdict]


def _text(results: dict[str, Result], seconds: float, *, notes: bool) -> str:
    rows: list[tuple[str, ...]] = []
    lines: list[str] = []
    walked = 0
    for name, result in results.items():
        if isinstance(result, ChronicleError):
            rows.append((name, "unreadable", "-", "-", "-", "-", str(result)))
            continue
        walked += result.bytes_walked
        shown = [f for f in result.findings if notes or f.severity is not Severity.NOTE]
        rows.append(_row(name, result, len(result.findings) - len(shown)))
        lines += [f"  {name}: {finding.severity.value}: {finding.part}: {finding}" for finding in shown]
        if result.unlisted:
            lines.append(f"  {name}: and {result.unlisted} more")
    speed = f", {walked / seconds / 1e9:.1f} GB/s" if walked > 1 << 26 else ""
    end = f"{size(walked)} in {seconds:.2f} s{speed}"
    return "\n".join([render_table(HEADER, rows, right=(2, 3, 4)), *lines, end])


def _row(name: str, report: Report, hidden: int) -> tuple[str, ...]:
    counts = [(severity, sum(f.severity is severity for f in report.findings)) for severity in Severity]
    found = ", ".join(f"{number} {severity.value}" for severity, number in counts if number)
    return (
        name,
        report.verdict.value,
        f"{report.records:,}",
        str(len(report.segments)),
        size(report.bytes_walked),
        "-" if report.writer_pid is None else f"pid {report.writer_pid}",
        (found or "none") + (" (--notes shows them)" if hidden else ""),
    )


# ---------------------------------------------------------------- repair


def run_repair(queue: str, run: str | None, config: str | None, *, dry_run: bool, as_json: bool) -> None:
    """Put one queue right, or say what would be done.

    Raises WriterAlreadyActive or NotReadyError if a step is refused for the sake of a writer or a reader, CorruptError if
    something is beyond repair.
    """
    path = resolve(queue, find_run(run, config).suite)
    result = repair(path, dry_run=dry_run)
    if as_json:
        print_json(msgspec.to_builtins(result))
    else:
        print(_repair_text(queue, result))
    if result.refused and result.writer_pid is not None:
        raise WriterAlreadyActive(path=str(path), pid=result.writer_pid)
    if result.refused:
        raise NotReadyError(reason=f"{result.refused[0].path}: {result.refused[0].refused}")
    if result.beyond:
        lost = count(len(result.beyond), "place")
        raise CorruptError(
            reason=f"{lost} beyond repair; records there are lost, and readers are told where they begin again"
        )


def _repair_text(queue: str, result: Repair) -> str:
    if not result.steps and not result.beyond:
        return f"{queue}: nothing to repair"
    lines = []
    for step in result.steps:
        where = "" if step.kind == "recover" else f"{Path(step.path).name}: "
        if step.refused:
            lines.append(f"  refused    {where}{step.text}: {step.refused}")
        else:
            lines.append(f"  {'would' if result.dry_run else 'done':<10} {where}{step.text}")
    lines += [f"  beyond     {finding}" for finding in result.beyond]
    return "\n".join([f"{queue}:", *lines])
