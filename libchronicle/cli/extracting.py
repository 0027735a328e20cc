"""`chronicle etl extract`."""

from __future__ import annotations

from pathlib import Path

import msgspec
import typer

from libchronicle.cli.archive_views import open_archive
from libchronicle.cli.context import find_run, print_json, split_instrument
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
from libchronicle.signals import BUILTIN, trigger_named
from libchronicle.storage.archive import Archive

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
    with open_archive(find_run(run, config)) as archive:
        wanted = arguments.instruments or _archived(archive)
        if not wanted:
            raise InvalidArgument(
                where="chronicle etl extract",
                field="VENUE:SYMBOL",
                value="",
                allowed="one that was recorded; nothing is archived yet",
            )
        reports = [_one(archive, name, arguments) for name in wanted]
    if as_json:
        print_json(reports)
        return
    for report in reports:
        flagged = f", {report.invalid:,} flagged as not valid" if report.invalid else ""
        typer.echo(f"{report.instrument}: {report.rows:,} rows of {report.records:,} records{flagged}")
        for file in report.files:
            typer.echo(f"  {file}")


def _archived(archive: Archive) -> tuple[str, ...]:
    found = {f"{s.venue}:{s.symbol}" for s in archive.streams() if s.stream in STREAMS}
    return tuple(sorted(found))


def _one(archive: Archive, instrument: str, arguments: ExtractArguments) -> ExtractReport:
    venue, symbol = split_instrument(instrument)
    features = features_named(arguments.features or DEFAULT_FEATURES)  # anew: they have a state
    trigger = trigger_named(arguments.trigger)
    sink = _sink(arguments, venue, symbol)
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
    if as_json:
        print_json([dict(zip(("feature", "column", "kind"), row, strict=True)) for row in rows])
    else:
        typer.echo(render_table(("FEATURE", "COLUMN", "KIND"), rows))
