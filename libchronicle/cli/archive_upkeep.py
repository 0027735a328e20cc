"""`chronicle archive verify` and `rebuild`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

import typer

from libchronicle.cli.archive_scope import open_archive, recorded_run
from libchronicle.cli.context import print_json
from libchronicle.cli.tables import size
from libchronicle.errors import ArchiveError, DamagedManifest
from libchronicle.storage.layout import ArchiveLayout
from libchronicle.storage.manifest import Manifest
from libchronicle.storage.mending import replace_manifest
from libchronicle.storage.rebuild import rebuild
from libchronicle.storage.verify import verify_archive

__all__ = ["run_rebuild", "run_verify"]

EXIT_DATA = 65
_REMEDY = """readers step over what does not hold, and say what is missing there; all else can be read.
Put the same file back from a copy (backup, object store, another host), or move it out of the archive; then run
`chronicle archive rebuild`, which also mends what only the manifest has wrong. See ops/runbooks/archive.md."""


def run_verify(run: str | None, config: str | None, *, remote: bool, as_json: bool) -> None:
    found_run = recorded_run(run, config)
    layout = ArchiveLayout.of(found_run.suite.paths)
    with open_archive(found_run) as archive, _manifest(layout) as manifest, _bar("verify", as_json) as told:
        opener = archive.open_remote if remote else None
        result = verify_archive(layout, manifest, opener, told)
    if as_json:
        print_json(result)
    else:
        for finding in result.findings:
            typer.echo(f"{finding.path}: {finding.reason}")
        state = "all as it was stored" if result.sound else f"{len(result.findings)} findings"
        typer.echo(f"{result.segments} segments, {size(result.bytes)}: {state}")
        if not result.sound:
            typer.echo(_REMEDY, err=True)
    if not result.sound:
        raise typer.Exit(EXIT_DATA)


def run_rebuild(run: str | None, config: str | None, *, as_json: bool) -> None:
    layout = ArchiveLayout.of(recorded_run(run, config).suite.paths)
    with _bar("rebuild", as_json) as told:
        try:
            with Manifest(layout.manifest) as manifest:
                result = rebuild(layout, manifest, told)
        except DamagedManifest as error:
            result, aside = replace_manifest(layout, str(error), told)
            typer.echo(f"{error}: put aside as {aside}", err=True)
    if as_json:
        print_json(result)
    else:
        for path, reason in result.skipped:
            typer.echo(f"skipped {path}: {reason}")
        typer.echo(f"{layout.manifest}: {result.added} segments")
    if result.skipped:
        raise typer.Exit(EXIT_DATA)


@contextlib.contextmanager
def _manifest(layout: ArchiveLayout) -> Iterator[Manifest | None]:
    """The manifest, if there is one that can be read: verify says what is wrong with it otherwise."""
    try:
        manifest = Manifest(layout.manifest, read_only=True)
    except (FileNotFoundError, ArchiveError) as error:
        typer.echo(f"manifest: {error}", err=True)
        yield None
        return
    with manifest:
        yield manifest


@contextlib.contextmanager
def _bar(name: str, quiet: bool) -> Iterator[Callable[[int], object]]:
    """The number of segments seen, on a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda seen: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn

    columns = SpinnerColumn(), TextColumn("{task.description} {task.completed:,.0f} segments")
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(name, total=None)
        yield lambda seen: progress.update(task, completed=seen)
