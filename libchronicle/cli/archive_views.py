"""`chronicle archive ls`, `info` and `read`."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import msgspec
import typer

from libchronicle.cli.archive_scope import open_archive, recorded_run, say_nothing_in_range, say_waiting
from libchronicle.cli.context import Run, print_json, print_ndjson, split_instrument
from libchronicle.cli.records import Describer, utc
from libchronicle.cli.tables import count, render_table, size
from libchronicle.errors import ArchiveError, InvalidArgument, NotRecorded
from libchronicle.protocol.decoder import decode
from libchronicle.storage.catalog import Stream
from libchronicle.storage.definitions import definitions_of
from libchronicle.storage.layout import ArchiveLayout
from libchronicle.storage.manifest import Manifest, SegmentRecord
from libchronicle.storage.reading import Times
from libchronicle.storage.rebuild import refresh
from libchronicle.storage.recorded import nearest, recorded_names, require_recorded
from libchronicle.storage.summary import PartitionSummary, summaries

__all__ = ["open_manifest", "run_info", "run_ls", "run_read"]


@contextlib.contextmanager
def open_manifest(layout: ArchiveLayout) -> Iterator[Manifest]:
    """The archive's manifest, or, where there is none that can be read, one made from the files for the moment."""
    try:
        manifest = Manifest(layout.manifest, read_only=True)
    except (FileNotFoundError, ArchiveError) as error:
        if layout.partitions_dir.is_dir():
            print(f"no manifest ({error}); looking into every file", file=sys.stderr)
        with tempfile.TemporaryDirectory() as scratch, Manifest(Path(scratch) / "manifest.sqlite") as made:
            refresh(layout, made)
            yield made
        return
    with manifest:
        yield manifest


def run_ls(pattern: str | None, run: str | None, config: str | None, *, as_json: bool) -> None:
    found_run = recorded_run(run, config)
    layout = ArchiveLayout.of(found_run.suite.paths)
    with open_manifest(layout) as manifest:
        found = list(summaries(_chosen(manifest, pattern)))
    if pattern is not None and not found:
        _require(found_run, pattern)
    streams = [_stream_row(list(group)) for _, group in groupby(found, key=_stream)]
    say_waiting(found_run, pattern)
    if as_json:
        print_json(streams)
        return
    if not streams:
        typer.echo(f"nothing{f' of {pattern}' if pattern else ''} is archived in {layout.root}")
        return
    header = ("INSTRUMENT", "STREAM", "DAYS", "FROM", "TO", "SEGMENTS", "RECORDS", "BYTES", "TIERS", "STATE")
    cells = [
        (
            f"{row['venue']}:{row['symbol']}",
            row["stream"],
            str(row["days"]),
            row["from"],
            row["to"],
            f"{row['segments']:,}",
            f"{row['records']:,}",
            size(row["bytes"]),
            " ".join(f"{number} {tier}" for tier, number in row["tiers"].items()),
            row["state"],
        )
        for row in streams
    ]
    typer.echo(render_table(header, cells, right=(2, 5, 6, 7)))


def run_info(
    instrument: str,
    stream: str | None,
    day: str | None,
    run: str | None,
    config: str | None,
    *,
    as_json: bool,
) -> None:
    found_run = recorded_run(run, config)
    layout = ArchiveLayout.of(found_run.suite.paths)
    venue, symbol = split_instrument(instrument)
    with open_manifest(layout) as manifest:
        records = manifest.find(venue, symbol, stream)
        found = [s for s in summaries(records) if day is None or s.partition.day.isoformat() == day]
    if not found:
        _require(found_run, instrument, stream)
        typer.echo(
            f"nothing{f' of {day}' if day else ''} of {instrument} is archived in {layout.root}", err=True
        )
        say_waiting(found_run, instrument)
    if as_json:
        print_json([_partition(one) for one in found])
        return
    for one in found:
        typer.echo("\n".join(_lines(one)))


def run_read(
    instrument: str,
    stream: str,
    start: str | None,
    end: str | None,
    limit: int | None,
    run: str | None,
    config: str | None,
    *,
    by_venue: bool,
    follow: bool,
    as_json: bool,
) -> None:
    venue, symbol = split_instrument(instrument)
    describe = Describer()
    given = 0
    with open_archive(recorded_run(run, config)) as archive:
        if follow:
            records = archive.tail(venue, symbol, stream, start)
        else:
            require_recorded(archive, venue, symbol, [stream])
            time: Times = "venue" if by_venue else "ingest"
            records = iter(archive.read(venue, symbol, stream, start, end, time=time, damage="skip"))
        for definition in definitions_of(archive, Stream(venue, symbol, stream)):
            describe.learn(definition)  # theirs may stand before the range
        with contextlib.suppress(KeyboardInterrupt):
            for record in islice(records, limit):
                given += 1
                describe.learn(decode(record.type_id, record))
                if as_json:
                    print_ndjson(describe.json(record))
                else:
                    typer.echo(describe.line(record))
        if not given and not follow and limit != 0:
            say_nothing_in_range(archive, venue, symbol, [stream])


# ---------------------------------------------------------------- rows


def _chosen(manifest: Manifest, pattern: str | None) -> Iterator[SegmentRecord]:
    """Of `venue` or `venue:SYMBOL`. Raises InvalidArgument."""
    if pattern is None:
        return manifest.find()
    venue, colon, symbol = pattern.partition(":")
    if not venue or (colon and not symbol):
        raise InvalidArgument(
            where="archive ls", field="WHAT", value=pattern, allowed="VENUE or VENUE:SYMBOL"
        )
    return manifest.find(venue, symbol or None)


def _require(run: Run, pattern: str, stream: str | None = None) -> None:
    """Raises NotRecorded: neither archived nor in a queue."""
    venue, colon, symbol = pattern.partition(":")
    with open_archive(run) as archive:
        if colon:
            require_recorded(archive, venue, symbol, None if stream is None else [stream])
            return
        venues = {name.partition(":")[0] for name in recorded_names(archive)}
    if venue not in venues:
        reason = f"nothing of it was recorded in {run.suite.root}"
        raise NotRecorded(what=f"venue {venue}", reason=reason, near=nearest(venue, sorted(venues)))


def _stream(one: PartitionSummary) -> tuple[str, str, str]:
    return one.partition.venue, one.partition.symbol, one.partition.stream


def _stream_row(found: list[PartitionSummary]) -> dict[str, Any]:
    tiers: dict[str, int] = {}
    for one in found:
        for tier, number in one.tiers.items():
            tiers[tier] = tiers.get(tier, 0) + number
    bad = [one for one in found if one.completeness != "complete"]
    venue, symbol, stream = _stream(found[0])
    return {
        "venue": venue,
        "symbol": symbol,
        "stream": stream,
        "days": len(found),
        "from": found[0].partition.day.isoformat(),
        "to": found[-1].partition.day.isoformat(),
        "segments": sum(one.segments for one in found),
        "records": sum(one.records for one in found),
        "bytes": sum(one.bytes for one in found),
        "tiers": tiers,
        "state": "complete" if not bad else f"{len(bad)} of {count(len(found), 'day')} with gaps",
    }


def _partition(one: PartitionSummary) -> dict[str, Any]:
    facts: dict[str, Any] = msgspec.to_builtins(one)
    facts["completeness"] = one.completeness
    facts["sources"] = [msgspec.json.decode(source) for source in one.sources]
    return facts


def _lines(one: PartitionSummary) -> Iterator[str]:
    yield str(one.partition)
    tiers = ", ".join(f"{number} {tier}" for tier, number in one.tiers.items())
    yield f"  segments   {one.segments} ({tiers}), {size(one.bytes)}"
    yield f"  records    {one.records:,}, seq {one.first_seq} to {one.last_seq}" + (
        f", {one.levels:,} levels" if one.levels else ""
    )
    yield f"  ingested   {utc(one.first_ts)} to {utc(one.last_ts)}"
    if one.first_event is not None and one.last_event is not None:
        yield f"  events     {utc(one.first_event)} to {utc(one.last_event)}"
    yield f"  state      {one.completeness}"
    yield f"  queues     {', '.join(one.queues)}"
    yield f"  checksum   {one.checksum}"
    for source in one.sources:
        yield f"  source     {source}"
