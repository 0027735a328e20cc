"""The `chronicle replay` command."""

from __future__ import annotations

from typing import Annotated

import typer

from libchronicle.cli.arguments import ConfigOption, JsonOption, RunOption

__all__ = ["replay"]


def replay(
    instruments: Annotated[
        list[str] | None, typer.Argument(metavar="VENUE:SYMBOL…", help="Their clean streams, merged by time.")
    ] = None,
    feed: Annotated[
        str | None, typer.Option(metavar="NAME", help="A feed's raw records, all its instruments, instead.")
    ] = None,
    session: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The last recorded session of a strategy or the router, as it was dispatched.",
        ),
    ] = None,
    streams: Annotated[str, typer.Option(metavar="A,B", help="book, trade, quote.")] = "book,trade",
    start: Annotated[
        str | None, typer.Option(metavar="TIME", help="From this time on (ISO 8601, UTC).")
    ] = None,
    end: Annotated[str | None, typer.Option(metavar="TIME", help="Up to this time, exclusive.")] = None,
    time: Annotated[
        str,
        typer.Option(
            metavar="CLOCK", help="Of --start and --end: ingest, or venue (when it happened there)."
        ),
    ] = "ingest",
    gaps: Annotated[
        str, typer.Option(metavar="POLICY", help="stop, quarantine, resync or ignore.")
    ] = "resync",
    types: Annotated[str, typer.Option(metavar="A,B", help="Give only these, e.g. Trade,BookDelta.")] = "",
    every: Annotated[int, typer.Option(min=1, metavar="N", help="Give each N-th record.")] = 1,
    interval: Annotated[
        float, typer.Option(min=0, metavar="S", help="Give at most one record per instrument in S seconds.")
    ] = 0.0,
    speed: Annotated[
        float | None,
        typer.Option(metavar="X", help="Recorded seconds per second (default: as fast as it can)."),
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Go on with what is being written, until Ctrl-C.")
    ] = False,
    to: Annotated[
        str | None, typer.Option(metavar="SINK", help="csv:FILE, parquet:FILE, queue:DIR or null.")
    ] = None,
    show: Annotated[bool, typer.Option("--print", help="Print each record as JSON.")] = False,
    workers: Annotated[int, typer.Option(min=1, metavar="N", help="Instruments at a time.")] = 1,
    snapshots: Annotated[str | None, typer.Option(metavar="DIR", help="Where snapshot files lie.")] = None,
    snapshot_every: Annotated[
        float | None, typer.Option(metavar="S", help="With --snapshots: one each S recorded seconds.")
    ] = None,
    snapshot_records: Annotated[
        int | None, typer.Option(metavar="N", help="With --snapshots: one each N records.")
    ] = None,
    warm: Annotated[
        bool, typer.Option("--warm", help="Begin with the newest of --snapshots before --start.")
    ] = False,
    run: RunOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Recorded messages again, in their order, with every book as it was; ends with a state hash.

    Two replays of the same records have the same state hash, on any machine. Where there are records in queues and in
    several tiers of the archive, they come as one.

    \b
    Examples:
      chronicle replay binance-spot:BTCUSDT --start 2024-08-08 --end 2024-08-09
      chronicle replay binance-spot:BTCUSDT binance-usdm:BTCUSDT --to parquet:touch.parquet --interval 1
      chronicle replay binance-spot:BTCUSDT --speed 10 --types Trade --print
      chronicle replay --session momentum --gaps stop
    """
    from libchronicle.cli.replaying import ReplayArguments, run_replay

    def split(text: str) -> tuple[str, ...]:
        return tuple(name.strip() for name in text.split(",") if name.strip())

    arguments = ReplayArguments(
        instruments=tuple(instruments or ()),
        feed=feed,
        session=session,
        streams=split(streams),
        start=start,
        end=end,
        time=time,
        gaps=gaps,
        types=split(types),
        every=every,
        interval_s=interval,
        speed=speed,
        live=live,
        sink=to,
        show=show,
        workers=workers,
        snapshots=snapshots,
        snapshot_s=snapshot_every,
        snapshot_records=snapshot_records,
        warm=warm,
    )
    run_replay(arguments, run, config, as_json=as_json)
