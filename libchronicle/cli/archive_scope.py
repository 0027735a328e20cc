"""What a command over recorded data is asked for: a run directory that is there, and a range that holds records."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from libchronicle.cli.context import Run, find_run
from libchronicle.cli.records import utc
from libchronicle.cli.tables import count, seconds
from libchronicle.errors import NotRecorded
from libchronicle.storage.archive import Archive
from libchronicle.storage.catalog import SegmentRef, Stream, queue_segments
from libchronicle.storage.recorded import nearest, recorded_range
from libchronicle.storage.sources import queues_on_bus

__all__ = ["open_archive", "recorded_run", "say_nothing_in_range", "say_waiting"]


_SHOWN = 3


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


def say_waiting(run: Run, pattern: str | None = None) -> None:
    """On stderr: what of `venue` or `venue:SYMBOL` (None: of all) is in its queues only, and what takes it from there."""
    waiting: dict[str, int] = {}
    with open_archive(run) as archive:
        for source in queues_on_bus(run.suite.paths):
            name = f"{source.venue}:{source.symbol}"
            if pattern in (None, source.venue, name):
                stream = Stream(source.venue, source.symbol, source.stream)
                hot = [ref for ref in queue_segments(source.path) if not _is_archived(archive, ref, stream)]
                if hot:
                    waiting[f"{name} {source.stream}"] = len(hot)
    if not waiting:
        return
    shown = ", ".join(list(waiting)[:_SHOWN]) + (
        f" and {len(waiting) - _SHOWN} more" if len(waiting) > _SHOWN else ""
    )
    typer.echo(f"{count(sum(waiting.values()), 'segment')} not archived yet, of {shown}", err=True)
    typer.echo(f"  read, book, replay and sql find them in their queues; {_remedy(run)}", err=True)


def _is_archived(archive: Archive, ref: SegmentRef, stream: Stream) -> bool:
    manifest = archive.catalog.manifest
    return manifest is not None and manifest.get(ref.id) is not None


def _remedy(run: Run) -> str:
    archive = None if run.config is None else run.config.archive
    if archive is None:
        return (
            "no [archive] table in the configuration: `chronicle archive tier --to warm` takes what is sealed"
        )
    return f"archive-tier takes a segment once it is sealed and {seconds(archive.warm_after_s)} old ([archive] warm_after_s)"
