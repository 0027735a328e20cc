"""`chronicle replay`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import msgspec
import typer

from libchronicle.bus.paths import STREAMS
from libchronicle.cli.archive_books import utc
from libchronicle.cli.archive_scope import open_archive, recorded_run, say_nothing_in_range
from libchronicle.cli.context import Run, print_json, print_ndjson, split_instrument
from libchronicle.cli.tables import render_table
from libchronicle.errors import InvalidArgument
from libchronicle.protocol import TEMPLATES
from libchronicle.replay import (
    CsvSink,
    FrameSource,
    NullSink,
    ParquetSink,
    QueueSink,
    ReadingSource,
    RealTime,
    Replay,
    ReplayEvent,
    ReplayReport,
    SnapshotStore,
    Snapshotter,
    archive_replay,
    follow,
    replay_parallel,
    session_source,
)
from libchronicle.replay.sinks import Sink
from libchronicle.storage.archive import Archive, to_ns
from libchronicle.storage.layout import RAW_VENUE, SESSIONS_VENUE
from libchronicle.storage.reading import Times
from libchronicle.storage.recorded import require_recorded

__all__ = ["ReplayArguments", "run_replay"]


class ReplayArguments(msgspec.Struct, frozen=True, kw_only=True):
    """The command line's words, not yet looked at."""

    instruments: tuple[str, ...] = ()
    feed: str | None = None
    session: str | None = None
    streams: tuple[str, ...] = ("book", "trade")
    start: str | None = None
    end: str | None = None
    time: str = "ingest"
    gaps: str = "resync"
    types: tuple[str, ...] = ()
    every: int = 1
    interval_s: float = 0.0
    speed: float | None = None
    live: bool = False
    sink: str | None = None
    show: bool = False
    workers: int = 1
    snapshots: str | None = None
    snapshot_s: float | None = None
    snapshot_records: int | None = None
    warm: bool = False

    def options(self) -> dict[str, Any]:
        """Replay's. Raises InvalidArgument."""
        options: dict[str, Any] = {
            "gaps": self.gaps,
            "every": self.every,
            "interval_ns": round(self.interval_s * 1e9),
            "types": [_type(name) for name in self.types] or None,
        }
        if self.speed is not None:
            options["pace"] = RealTime(self.speed)
        if self.snapshots is not None:
            store = SnapshotStore(self.snapshots)
            every_ns = None if self.snapshot_s is None else round(self.snapshot_s * 1e9)
            if every_ns is not None or self.snapshot_records is not None:
                options["snapshotter"] = Snapshotter(
                    store, interval_ns=every_ns, records=self.snapshot_records
                )
            if self.warm:
                upto = None if self.start is None else to_ns(self.start) - 1
                options["begin_with"] = store.latest(upto)
        return options


def run_replay(arguments: ReplayArguments, run: str | None, config: str | None, *, as_json: bool) -> None:
    if not (arguments.instruments or arguments.feed or arguments.session):
        raise InvalidArgument(
            where="chronicle replay",
            field="what",
            value="nothing",
            allowed="VENUE:SYMBOL…, --feed or --session",
        )
    found = recorded_run(run, config)
    with open_archive(found) as archive:
        there = [] if arguments.live else _recorded(arguments, archive)
        report = _parallel(arguments, found) if arguments.workers > 1 else _serial(arguments, archive)
        if not report.given:
            for venue, symbol, streams in there:
                say_nothing_in_range(archive, venue, symbol, streams)
    if as_json:
        print_json(_facts(report))
    else:
        _show(report)


def _recorded(arguments: ReplayArguments, archive: Archive) -> list[tuple[str, str, list[str]]]:
    """What is to be read, as venue, symbol and streams. Raises NotRecorded, InvalidName, InvalidArgument."""
    if arguments.session is not None:
        wanted = [(SESSIONS_VENUE, arguments.session, ["session"])]
    elif arguments.feed is not None:
        wanted = [(RAW_VENUE, arguments.feed, ["raw"])]
    else:
        unknown = [name for name in arguments.streams if name not in STREAMS]
        if unknown:
            raise InvalidArgument(
                where="chronicle replay", field="--streams", value=unknown[0], allowed=", ".join(STREAMS)
            )
        wanted = [(*split_instrument(name), list(arguments.streams)) for name in arguments.instruments]
    return [
        (venue, symbol, require_recorded(archive, venue, symbol, names)) for venue, symbol, names in wanted
    ]


def _serial(arguments: ReplayArguments, archive: Archive) -> ReplayReport:
    replay = _replay(arguments, archive)
    sink = _sink(arguments.sink)
    callback: Callable[[ReplayEvent], None] | None = sink
    if arguments.show:
        callback = _printer(sink)
    if sink is None:
        return _run(replay, callback, live=arguments.live)
    with sink:
        return _run(replay, callback, live=arguments.live)


def _replay(arguments: ReplayArguments, archive: Archive) -> Replay:
    start, end = arguments.start, arguments.end
    options = arguments.options()
    if arguments.feed is None and arguments.session is None:
        return archive_replay(
            archive,
            arguments.instruments,
            arguments.streams,
            start,
            end,
            live=arguments.live,
            time=cast("Times", arguments.time),
            **options,
        )
    since = None if start is None else to_ns(start)
    until = None if end is None else to_ns(end)
    if arguments.session is not None:
        source: FrameSource = session_source(archive, arguments.session)
    else:
        begin = options.get("begin_with")
        first = since if begin is None else begin.upto_ns + 1
        reading = archive.read("_raw", arguments.feed or "", "raw", first, None if arguments.live else until)
        source = ReadingSource(reading, follow=arguments.live)
    return Replay([source], start_ns=since, end_ns=until, symbols=arguments.instruments or None, **options)


def _run(replay: Replay, callback: Callable[[ReplayEvent], None] | None, *, live: bool) -> ReplayReport:
    if not live:
        return replay.run(callback)
    try:
        return follow(replay, callback, until=lambda: False)
    except KeyboardInterrupt:
        return replay.report()


def _parallel(arguments: ReplayArguments, run: Run) -> ReplayReport:
    alone = {
        "feed": arguments.feed,
        "session": arguments.session,
        "sink": arguments.sink,
        "show": arguments.show,
        "live": arguments.live,
        "speed": arguments.speed,
    }
    for name, value in {**alone, "snapshots": arguments.snapshots}.items():
        if value:
            raise InvalidArgument(
                where="chronicle replay", field=f"--{name}", value=value, allowed="not with --workers above 1"
            )
    return replay_parallel(
        lambda: open_archive(run),
        arguments.instruments,
        arguments.streams,
        arguments.start,
        arguments.end,
        workers=arguments.workers,
        time=cast("Times", arguments.time),
        **arguments.options(),
    )


def _sink(text: str | None) -> Any:
    """`csv:FILE`, `parquet:FILE`, `queue:DIR` or `null`; or a file that says by its name which it is."""
    if text is None:
        return None
    kind, colon, path = text.partition(":")
    if not colon and text != "null":
        kind, path = Path(text).suffix.lstrip("."), text
    makers: dict[str, Callable[[str], Sink]] = {"csv": CsvSink, "parquet": ParquetSink, "queue": QueueSink}
    if kind == "null":
        return NullSink()
    if kind not in makers or not path:
        raise InvalidArgument(
            where="chronicle replay",
            field="--to",
            value=text,
            allowed="csv:FILE, parquet:FILE, queue:DIR or null",
        )
    return makers[kind](path)


def _printer(sink: Sink | None) -> Callable[[ReplayEvent], None]:
    def show(event: ReplayEvent) -> None:
        kind = TEMPLATES.get(event.type_id)
        row: dict[str, Any] = {"ts_ns": event.ts_ns, "seq": event.seq, "source": event.source}
        if kind is None:
            row["type"] = event.type_id
        else:
            row |= {"type": kind.__name__, **msgspec.structs.asdict(event.message())}
        print_ndjson(row)
        if sink is not None:
            sink(event)

    return show


def _type(name: str) -> int:
    found = {kind.__name__.lower(): number for number, kind in TEMPLATES.items()}
    if name.lower() not in found:
        raise InvalidArgument(
            where="chronicle replay",
            field="--types",
            value=name,
            allowed="names of messages, e.g. Trade, BookDelta",
        )
    return found[name.lower()]


def _facts(report: ReplayReport) -> dict[str, Any]:
    facts: dict[str, Any] = msgspec.to_builtins(report)
    facts["state_hash"] = f"{report.state_hash:016x}"
    for row in facts["instruments"]:
        for name in ("book_hash", "order_hash"):
            row[name] = f"{row[name]:016x}"
    return facts


def _show(report: ReplayReport) -> None:
    out = sys.stderr  # what a sink or --print writes goes to stdout
    typer.echo(f"{report.records:,} records, {report.given:,} given, {report.levels:,} levels", file=out)
    typer.echo(f"from {utc(report.first_ns)} to {utc(report.last_ns)}", file=out)
    if report.gaps or report.lost or report.damaged or report.refused:
        typer.echo(
            f"{report.gaps} gaps, {report.lost} holes, {report.damaged} damaged places, {report.refused} refused",
            file=out,
        )
    rows = [
        (
            row.instrument,
            f"{row.records:,}",
            f"{row.gaps:,}",
            "-"
            if row.valid is None
            else "quarantined"
            if row.quarantined
            else "right"
            if row.valid
            else "wrong",
            f"{row.book_hash:016x}",
        )
        for row in report.instruments
    ]
    typer.echo(render_table(("instrument", "records", "gaps", "book", "hash"), rows, right=(1, 2)), file=out)
    typer.echo(f"state hash {report.state_hash:016x}", file=out)
