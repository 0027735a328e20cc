"""`chronicle replay-check`: sessions once more, and whether they are what they were."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import typer

from libchronicle.cli.archive_books import utc
from libchronicle.cli.context import Run, find_run, print_json
from libchronicle.cli.tables import render_table
from libchronicle.errors import CannotRerun, ConfigError
from libchronicle.replay.difference import Verdict
from libchronicle.replay.journal import RecordedSession, find_session, recorded_sessions
from libchronicle.runtime.config import HostConfig, StrategyConfig, load_strategy, strategy_files
from libchronicle.storage.archive import Archive
from libchronicle.storage.layout import SESSIONS_VENUE
from libchronicle.storage.recorded import require_recorded

__all__ = ["run_replay_check"]

ROUTER = "router"
_FOREVER = 1 << 63
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
        require_recorded(archive, SESSIONS_VENUE, name, ["session"])
        if listed:
            _list(recorded_sessions(archive, name), as_json=as_json)
            return
        chosen = recorded_sessions(archive, name) if every else [find_session(archive, name, session)]
        verdicts = [] if name == ROUTER else [_check(archive, one, found) for one in chosen]
        routed = chosen if name == ROUTER else _overlapping(recorded_sessions(archive, ROUTER), chosen)
    if routed:
        verdicts += _check_router(routed, found)
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


def _overlapping(router: list[RecordedSession], chosen: list[RecordedSession]) -> list[RecordedSession]:
    """The router's sessions that took the requests of any of `chosen`. One that was killed lasted to the next at most."""
    ends = [*(one.start.realtime_ns for one in router[1:]), _FOREVER]
    found = []
    for one, following in zip(router, ends, strict=False):
        end = following if one.stop is None else one.stop.now_ns
        if any(
            s.start.realtime_ns <= end and (s.stop is None or one.start.realtime_ns <= s.stop.now_ns)
            for s in chosen
        ):
            found.append(one)
    return found


def _check_router(sessions: list[RecordedSession], run: Run) -> list[Verdict]:
    """By a program of the router's: the library does not know its daemons. Raises ConfigError, and CannotRerun with what
    it said."""
    paths = run.suite.paths
    question = {
        "root": str(paths.root),
        "hot": str(paths.hot),
        "config": _host(run),
        "sessions": [one.id for one in sessions],
    }
    program = Path(sys.executable).with_name("chronicle-router-check")
    done = subprocess.run([program], input=msgspec.json.encode(question), capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise CannotRerun(
            session=ROUTER, reason=said.removeprefix("chronicle: ") or f"exit {done.returncode}"
        )
    return msgspec.json.decode(done.stdout, type=list[Verdict])


def _host(run: Run) -> HostConfig:
    if run.config is None:
        raise ConfigError(
            file="host.toml",
            key="--config",
            reason="the router's session cannot be run again without its configuration",
        )
    return run.config


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
