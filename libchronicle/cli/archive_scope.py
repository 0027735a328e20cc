"""What a command over recorded data is asked for: a run directory that is there, and a range that holds records."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from libchronicle.cli.context import Run, find_run
from libchronicle.cli.records import utc
from libchronicle.errors import NotRecorded
from libchronicle.storage.archive import Archive
from libchronicle.storage.recorded import nearest, recorded_range

__all__ = ["open_archive", "recorded_run", "say_nothing_in_range"]


def recorded_run(run: str | None, config: str | None) -> Run:
    """As find_run, of a suite that has been there. Raises NotRecorded, ConfigError."""
    found = find_run(run, config)
    suite = found.suite
    if suite.root.is_dir() or (suite.hot is not None and suite.hot.is_dir()):
        return found
    raise NotRecorded(
        what=f"run directory {suite.root}",
        reason="there is no such directory",
        near=f"give --run; {nearest(suite.root.name, _beside(suite.root))}",
    )


def _beside(root: Path) -> list[str]:
    if not root.parent.is_dir():
        return []
    return [one.name for one in root.parent.iterdir() if one.is_dir() and not one.name.startswith(".")]


def open_archive(run: Run) -> Archive:
    """The archive of a run directory, with the object store that its configuration names."""
    archive = run.config.archive if run.config is not None else None
    if archive is None:
        return Archive(run.suite.paths)
    return Archive(run.suite.paths, remote=archive.remote, remote_options=archive.remote_options)


def say_nothing_in_range(archive: Archive, venue: str, symbol: str, streams: Sequence[str]) -> None:
    """On stderr, where nothing was found of what was recorded: which range there is."""
    found = recorded_range(archive, venue, symbol, streams)
    name = f"{venue}:{symbol} {', '.join(streams)}"
    if found is None:
        typer.echo(f"{name}: no record yet", err=True)
    else:
        typer.echo(
            f"{name}: nothing in this range; recorded from {utc(found[0])} to {utc(found[1])}", err=True
        )
