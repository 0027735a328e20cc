"""`chronicle replay-check`: sessions once more, and whether they are what they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import typer

from libchronicle.cli.archive_books import utc
from libchronicle.cli.context import Run, find_run, print_json
from libchronicle.cli.tables import render_table
from libchronicle.errors import ConfigError, UnknownSession
from libchronicle.replay.difference import Verdict
from libchronicle.replay.journal import RecordedSession, find_session, recorded_sessions
from libchronicle.runtime.config import HostConfig, StrategyConfig, load_strategy, strategy_files
from libchronicle.storage.archive import Archive

__all__ = ["run_replay_check"]

DIFFERENT = 1
"""Exit code."""


def run_replay_check(
    name: str,
    session: int | None,
    run: str | None,
    config: str | None,
    *,
    every: bool,
    listed: bool,
    as_json: bool,
) -> None:
    found = find_run(run, config)
    with Archive(found.suite.paths) as archive:
        if listed:
            _list(recorded_sessions(archive, name), as_json=as_json)
            return
        chosen = recorded_sessions(archive, name) if every else [find_session(archive, name, session)]
        if not chosen:
            raise UnknownSession(name=name, known="none")
        verdicts = [_check(archive, one, found) for one in chosen]
    if as_json:
        print_json([_facts(verdict) for verdict in verdicts])
    else:
        for verdict in verdicts:
            _show(verdict)
    if not all(verdict.same for verdict in verdicts):
        raise typer.Exit(DIFFERENT)


def _check(archive: Archive, session: RecordedSession, run: Run) -> Verdict:
    from libchronicle.strategy.loader import load_strategy_class
    from libchronicle.strategy.rerun import rerun_strategy

    config = _strategy(session.name, run.config)
    return rerun_strategy(archive, session, load_strategy_class(config.file, config.class_name), config)


def _strategy(name: str, host: HostConfig | None) -> StrategyConfig:
    """The strategy's TOML in the directory that host.toml names. Raises ConfigError."""
    tomls: dict[str, Path] = {path.stem: path for path in strategy_files(host)} if host is not None else {}
    if name not in tomls:
        raise ConfigError(
            file="host.toml",
            key="[strategies] dir",
            reason=f"there is no {name}.toml, and without the strategy's code its session cannot be run again",
        )
    return load_strategy(tomls[name], host)


def _facts(verdict: Verdict) -> dict[str, Any]:
    facts: dict[str, Any] = msgspec.to_builtins(verdict)
    return {"same": verdict.same, **facts}


def _show(verdict: Verdict) -> None:
    typer.echo(f"{verdict.name}, session {verdict.session} of {utc(verdict.started_ns)}")
    for note in verdict.notes:
        typer.echo(f"  note: {note}")
    typer.echo(f"  {verdict.records:,} records dispatched again, {verdict.compared:,} messages compared")
    if verdict.unchecked:
        typer.echo(
            f"  {verdict.unchecked:,} messages could not be compared: "
            "the process was killed, and its journal ends before them"
        )
    if verdict.difference is None:
        typer.echo("  the same, message for message")
        return
    first, *rest = verdict.difference.lines()
    typer.echo(f"  DIFFERENT: {first}")
    for line in rest:
        typer.echo(f"  {line}")


def _list(sessions: list[RecordedSession], *, as_json: bool) -> None:
    if as_json:
        print_json([msgspec.to_builtins(one) for one in sessions])
        return
    rows = [
        (
            str(one.id),
            utc(one.start.realtime_ns),
            utc(one.stop.now_ns) if one.stop is not None else "-",
            one.stop.reason if one.stop is not None else "runs, or was killed",
        )
        for one in sessions
    ]
    typer.echo(render_table(("session", "from", "to", "ended by"), rows, right=(0,)))
