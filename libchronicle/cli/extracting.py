"""`chronicle etl extract`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import typer

from libchronicle.cli.archive_scope import open_archive, recorded_run, say_nothing_in_range
from libchronicle.cli.context import print_json, split_instrument
from libchronicle.cli.tables import render_table
from libchronicle.errors import InvalidArgument
from libchronicle.etl.extract import (
    DEFAULT_FEATURES,
    STREAMS,
    ExtractReport,
    extract,
    extract_raw,
    features_named,
)
from libchronicle.etl.sinks import CsvSink, NullSink, ParquetSink, RowSink
from libchronicle.signals import BUILTIN, FeatureBatch, trigger_named, vector_features
from libchronicle.storage.archive import Archive
from libchronicle.storage.layout import RAW_VENUE
from libchronicle.storage.recorded import require_recorded

__all__ = ["ExtractArguments", "list_features", "run_extract"]


class ExtractArguments(msgspec.Struct, frozen=True, kw_only=True):
    instruments: tuple[str, ...]
    to: str
    out: str
    features: str
    trigger: str
    start: str | None
    end: str | None
    raw: str | None


def run_extract(arguments: ExtractArguments, run: str | None, config: str | None, *, as_json: bool) -> None:
    with open_archive(recorded_run(run, config)) as archive:
        wanted = arguments.instruments or _archived(archive)
        if not wanted:
            raise InvalidArgument(
                where="chronicle etl extract",
                field="VENUE:SYMBOL",
                value="",
                allowed="one that was recorded; nothing is archived yet",
            )
        streams = [_recorded(archive, name, arguments.raw) for name in wanted]
        with _progress(quiet=as_json) as show:
            reports = [_one(archive, name, arguments, show) for name in wanted]
        for report, (venue, symbol, found) in zip(reports, streams, strict=True):
            if not report.records:
                say_nothing_in_range(archive, venue, symbol, found)
    if as_json:
        print_json(reports)
        return
    for report in reports:
        flagged = f", {report.invalid:,} flagged as not valid" if report.invalid else ""
        typer.echo(f"{report.instrument}: {report.rows:,} rows of {report.records:,} records{flagged}")
        for file in report.files:
            typer.echo(f"  {file}")


def _recorded(archive: Archive, instrument: str, feed: str | None) -> tuple[str, str, list[str]]:
    """Where its records are: venue, symbol and streams. Raises NotRecorded."""
    venue, symbol = split_instrument(instrument) if feed is None else (RAW_VENUE, feed)
    return venue, symbol, require_recorded(archive, venue, symbol, STREAMS if feed is None else ["raw"])


def _archived(archive: Archive) -> tuple[str, ...]:
    found = {f"{s.venue}:{s.symbol}" for s in archive.streams() if s.stream in STREAMS}
    return tuple(sorted(found))


Show = Callable[[str, FeatureBatch], object]


class _Shown:
    """A sink that tells how far it is."""

    def __init__(self, sink: RowSink, instrument: str, show: Show) -> None:
        self._sink, self._instrument, self._show = sink, instrument, show
        self.begin, self.close, self.abandon = sink.begin, sink.close, sink.abandon

    @property
    def files(self) -> list[Path]:
        return self._sink.files

    def write(self, batch: FeatureBatch) -> None:
        self._show(self._instrument, batch)
        self._sink.write(batch)


@contextlib.contextmanager
def _progress(*, quiet: bool) -> Iterator[Show]:
    """Instrument, rows and the time they have come to, on the terminal; nothing where there is none."""
    if quiet or not sys.stderr.isatty():
        yield lambda instrument, batch: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task, rows = progress.add_task("reading", total=None), 0

        def show(instrument: str, batch: FeatureBatch) -> None:
            nonlocal rows
            rows += batch.rows
            at = datetime.fromtimestamp(int(batch.columns[0].to_numpy()[-1]) // 10**9, UTC)
            progress.update(task, description=f"{instrument} {at:%Y-%m-%d %H:%M}, {rows:,} rows")

        yield show


def _one(archive: Archive, instrument: str, arguments: ExtractArguments, show: Show) -> ExtractReport:
    venue, symbol = split_instrument(instrument)
    features = features_named(arguments.features or DEFAULT_FEATURES)  # anew: they have a state
    trigger = trigger_named(arguments.trigger)
    sink = _Shown(_sink(arguments, venue, symbol), instrument, show)
    if arguments.raw is not None:
        return extract_raw(
            archive,
            arguments.raw,
            instrument,
            features,
            trigger,
            sink,
            start=arguments.start,
            end=arguments.end,
        )
    return extract(archive, venue, symbol, features, trigger, sink, start=arguments.start, end=arguments.end)


def _sink(arguments: ExtractArguments, venue: str, symbol: str) -> RowSink:
    out = Path(arguments.out)
    if arguments.to == "parquet":
        return ParquetSink(out, venue, symbol)
    if arguments.to == "csv":
        return CsvSink(out / f"{venue}_{symbol}.csv".replace("/", "%2F"))
    if arguments.to == "null":
        return NullSink()
    raise InvalidArgument(
        where="chronicle etl extract", field="--to", value=arguments.to, allowed="parquet, csv, null"
    )


def list_features(*, as_json: bool) -> None:
    rows = [(name, column.name, column.kind) for name, kind in BUILTIN.items() for column in kind().columns]
    rows += [("vector", column.name, column.kind) for one in vector_features() for column in one.columns]
    if as_json:
        print_json([dict(zip(("feature", "column", "kind"), row, strict=True)) for row in rows])
    else:
        typer.echo(render_table(("FEATURE", "COLUMN", "KIND"), rows))
