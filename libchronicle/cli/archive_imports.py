"""`chronicle archive import` and `export`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import typer

from libchronicle.cli.archive_scope import open_archive, recorded_run, say_nothing_in_range
from libchronicle.cli.context import find_run, print_json, split_instrument
from libchronicle.cli.tables import count
from libchronicle.errors import DuplicateImport, ImportRejected, InvalidArgument
from libchronicle.etl.recordings import ALL_KINDS
from libchronicle.storage.importers import ImportOptions, ImportReport, import_file
from libchronicle.storage.layout import ArchiveLayout
from libchronicle.storage.recorded import require_recorded

__all__ = ["ImportArguments", "run_export", "run_imports"]

EXIT_DATA = 65


class ImportArguments(msgspec.Struct, frozen=True, kw_only=True):
    """The command line's words, not yet looked at."""

    kind: str | None = None
    venue: str | None = None
    symbol: str | None = None
    symbols: str = ""
    day: str | None = None
    tick: str | None = None
    lot: str | None = None
    contract: str | None = None

    def options(self) -> ImportOptions:
        """Raises InvalidArgument."""
        return ImportOptions(
            kind=_one_of("kind", self.kind, tuple(ALL_KINDS)),
            venue=self.venue,
            symbol=self.symbol,
            symbols=tuple(name.strip() for name in self.symbols.split(",") if name.strip()),
            day=_date(self.day),
            tick=self.tick,
            lot=self.lot,
            contract=_one_of("contract", self.contract, ("spot", "linear", "inverse")),
        )


def run_imports(
    files: Sequence[str], arguments: ImportArguments, run: str | None, config: str | None, *, as_json: bool
) -> None:
    options = arguments.options()
    layout = ArchiveLayout.of(find_run(run, config).suite.paths)
    results: list[dict[str, Any]] = []
    for name in files:
        with _bar(name, quiet=as_json) as progress:
            results.append(_import_one(layout, name, options, progress))
        if not as_json:
            _say(results[-1])
    if as_json:
        print_json(results)
    if any(result["state"] == "refused" for result in results):
        raise typer.Exit(EXIT_DATA)


def _import_one(
    layout: ArchiveLayout, name: str, options: ImportOptions, progress: Callable[[str, int, int], object]
) -> dict[str, Any]:
    try:
        report = import_file(layout, Path(name), options, progress=progress, kinds=ALL_KINDS)
    except DuplicateImport as error:
        return {"file": name, "state": "there already", "reason": f"imported from {error.source}"}
    except ImportRejected as error:
        return {"file": name, "state": "refused", "place": error.place, "reason": error.reason}
    return {"file": name, "state": "imported", **_facts(report)}


def _facts(report: ImportReport) -> dict[str, Any]:
    facts: dict[str, Any] = msgspec.to_builtins(report)
    facts.pop("file")
    return facts


def _say(result: dict[str, Any]) -> None:
    if result["state"] == "refused":
        typer.echo(f"{result['file']}: refused, {result['place']}: {result['reason']}", err=True)
        return
    if result["state"] != "imported":
        typer.echo(f"{result['file']}: {result['state']}, {result['reason']}; nothing changed")
        return
    head = f"{result['file']}: {result['kind']}, {result['rows']:,} rows"
    records = ", ".join(f"{number:,} {stream}" for stream, number in sorted(result["records"].items()))
    names = result["instruments"]
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    heads = result["definitions"]
    told = f" and {heads:,} definition{'s' if heads != 1 else ''}" if heads else ""
    typer.echo(f"{head}: {records}{told} of {shown}" if records else f"{head}, of which none could be kept")
    if result["injected"]:
        typer.echo(f"  {result['injected']:,} orders in snapshots of the book among them")
    if result["gaps"]:
        typer.echo(f"  {count(result['gaps'], 'gap')}, marked in the book")
    for reason, number in result["skipped"].items():
        typer.echo(f"  left out: {number:,} {reason}")
    for note in result["notes"]:
        typer.echo(f"  {note}")


@contextlib.contextmanager
def _bar(name: str, *, quiet: bool) -> Iterator[Callable[[str, int, int], object]]:
    """A progress bar on the terminal; nothing where there is none."""
    if quiet or not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(Path(name).name, total=None)
        yield lambda what, done, total: progress.update(
            task, completed=done, total=total, description=f"{Path(name).name}: {what}"
        )


def run_export(
    instrument: str,
    out: str,
    kind: str,
    start: str | None,
    end: str | None,
    run: str | None,
    config: str | None,
    *,
    as_json: bool,
) -> None:
    _one_of("to", kind, ("hftbacktest", "csv", "parquet", "queue", "null"))
    venue, symbol = split_instrument(instrument)
    with open_archive(recorded_run(run, config)) as archive:
        streams = require_recorded(archive, venue, symbol)
        if kind == "hftbacktest":
            from libchronicle.storage.importers.npz_export import export_npz

            facts = {"rows": export_npz(archive, venue, symbol, Path(out), start, end)}
        else:
            from libchronicle.etl.records import export_records

            facts = {"records": export_records(archive, venue, symbol, kind, Path(out), start, end)}
        if not sum(facts.values()):
            say_nothing_in_range(archive, venue, symbol, streams)
    if as_json:
        print_json({"file": out, **facts})
    else:
        typer.echo(
            f"{out}: " + ", ".join(f"{count:,} {what}" for what, count in facts.items()) + f" of {instrument}"
        )


def _one_of(field: str, value: str | None, allowed: tuple[str, ...]) -> str | None:
    if value is not None and value not in allowed:
        raise InvalidArgument(
            where="chronicle archive", field=f"--{field}", value=value, allowed=", ".join(allowed)
        )
    return value


def _date(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise InvalidArgument(
            where="chronicle archive", field="--date", value=text, allowed="YYYY-MM-DD"
        ) from None
