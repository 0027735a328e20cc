"""Runs every check and prints what they found."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import typer

from libchronicle.cli.context import Run, find_run, print_json
from libchronicle.cli.doctor.access import check_matrix, check_modes
from libchronicle.cli.doctor.findings import Finding, Level
from libchronicle.cli.doctor.host import check_clock, check_directory, check_hot, check_limits, check_space
from libchronicle.cli.doctor.queues import check_queue
from libchronicle.cli.doctor.services import check_daemons, check_endpoints, check_kill_word, check_supervisor
from libchronicle.cli.queue_paths import queues_of
from libchronicle.cli.tables import count
from libchronicle.errors import ChronicleError
from libchronicle.queue import QueueInfo, inspect
from libchronicle.runtime.daemon import ExitCode

__all__ = ["examine", "run_doctor"]


def run_doctor(run: str | None, config: str | None, *, as_json: bool, notes: bool) -> None:
    """Exits with 0 unless there is an error: 65 if one is of damaged data, else 71."""
    where = find_run(run, config)
    found = sorted(examine(where), key=lambda finding: list(Level).index(finding.level))
    errors = [finding for finding in found if finding.level is Level.ERROR]
    if as_json:
        print_json(
            {"run": str(where.suite.root), "errors": len(errors), "findings": msgspec.to_builtins(found)}
        )
    else:
        print(
            _text(str(where.suite.root), [f for f in found if notes or f.level is not Level.NOTE], len(found))
        )
    if errors:
        raise typer.Exit(ExitCode.CORRUPT if any(finding.corrupt for finding in errors) else ExitCode.HOST)


def examine(where: Run) -> Iterator[Finding]:
    """All findings, in the order of the checks."""
    suite = where.suite
    yield from check_directory(suite.root)
    yield from check_hot(suite.hot)
    queues = queues_of(suite)
    for name, path in queues:
        yield from check_queue(name, path)
    infos: list[tuple[str, QueueInfo]] = []
    for name, path in queues:
        try:
            infos.append((name, inspect(path)))
        except (ChronicleError, OSError):
            continue
    yield from check_space(suite.root, infos)
    yield from check_matrix(where.config)
    yield from check_modes(suite.root, queues)
    yield from check_daemons(suite.paths)
    yield from check_endpoints(suite.paths)
    yield from check_kill_word(suite.paths)
    yield from check_supervisor(suite)
    yield from check_limits()
    yield from check_clock()


def _text(root: str, found: list[Finding], total: int) -> str:
    lines = []
    for finding in found:
        lines.append(f"{finding.level.value:<8} {finding.place}: {finding.what}")
        lines.append(f"{'':<8}   {finding.remedy}")
    hidden = total - len(found)
    more = f" ({count(hidden, 'note')}: --notes)" if hidden else ""
    counts = [(level, sum(f.level is level for f in found)) for level in Level]
    said = ", ".join(count(number, level.value) for level, number in counts if number)
    return "\n".join([*lines, f"{root}: {said or 'nothing wrong'}{more}"])
