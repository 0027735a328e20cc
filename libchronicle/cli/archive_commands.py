"""The `chronicle archive` group."""

from __future__ import annotations

from typing import Annotated

import typer

from libchronicle.cli.arguments import ConfigOption, JsonOption, RunOption

__all__ = ["archive_app"]

archive_app = typer.Typer(
    help="What was recorded, in every tier.", no_args_is_help=True, rich_markup_mode="rich"
)


@archive_app.callback()
def _group() -> None:
    """What was recorded, in every tier."""


@archive_app.command("ls")
def ls(
    what: Annotated[str | None, typer.Argument(metavar="[VENUE[:SYMBOL]]")] = None,
    run: RunOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Every stream that is archived: days, segments, records, bytes, tiers, and whether anything is missing.

    \b
    Examples:
      chronicle archive ls
      chronicle archive ls binance-spot:BTCUSDT
    """
    from libchronicle.cli.archive_views import run_ls

    run_ls(what, run, config, as_json=as_json)


@archive_app.command("info")
def info(
    instrument: Annotated[str, typer.Argument(metavar="VENUE:SYMBOL")],
    stream: Annotated[
        str | None, typer.Option(metavar="NAME", help="book, trade, quote, raw, …; default: all.")
    ] = None,
    day: Annotated[str | None, typer.Option("--date", metavar="YYYY-MM-DD", help="Default: all.")] = None,
    run: RunOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Each partition of an instrument: source, range of seq and time, records, gaps, tiers, checksum.

    \b
    Example:
      chronicle archive info binance-spot:BTCUSDT --date 2024-08-08
    """
    from libchronicle.cli.archive_views import run_info

    run_info(instrument, stream, day, run, config, as_json=as_json)


@archive_app.command("read")
def read(
    instrument: Annotated[str, typer.Argument(metavar="VENUE:SYMBOL")],
    stream: Annotated[str, typer.Argument(metavar="STREAM", help="book, trade, quote, raw, …")],
    start: Annotated[
        str | None, typer.Option(metavar="TIME", help="From this time on (ISO 8601, UTC).")
    ] = None,
    end: Annotated[str | None, typer.Option(metavar="TIME", help="Up to this time, exclusive.")] = None,
    limit: Annotated[int | None, typer.Option("-n", "--limit", metavar="N", help="How many records.")] = None,
    venue_time: Annotated[
        bool, typer.Option("--venue-time", help="Times are the venue's, not those of recording.")
    ] = False,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with what is recorded.")] = False,
    run: RunOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Records as lines, wherever they are by now: still in their queue, archived, compressed, or in the object store.

    \b
    Examples:
      chronicle archive read binance-spot:BTCUSDT trade --start 2024-08-08T23:55 -n 20
      chronicle archive read binance-spot:BTCUSDT book --follow --json
    """
    from libchronicle.cli.archive_views import run_read

    run_read(
        instrument,
        stream,
        start,
        end,
        limit,
        run,
        config,
        by_venue=venue_time,
        follow=follow,
        as_json=as_json,
    )


@archive_app.command("verify")
def verify(
    remote: Annotated[bool, typer.Option(help="Read what is in the object store too.")] = True,
    run: RunOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read every byte and say what is not as it was stored. Changes nothing; exits with 65 if there is anything.

    \b
    Example:
      chronicle archive verify
    """
    from libchronicle.cli.archive_upkeep import run_verify

    run_verify(run, config, remote=remote, as_json=as_json)


@archive_app.command("rebuild")
def rebuild(run: RunOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Make the manifest anew from the files alone. Exits with 65 if a file cannot be what its name says.

    \b
    Example:
      chronicle archive rebuild
    """
    from libchronicle.cli.archive_upkeep import run_rebuild

    run_rebuild(run, config, as_json=as_json)


@archive_app.command("tier")
def tier(
    to: Annotated[
        str | None, typer.Option(metavar="TIER", help="warm, cold or remote; default: what the policy says.")
    ] = None,
    older_than: Annotated[
        str | None, typer.Option(metavar="AGE", help="With --to: only what is so old, e.g. 7d, 12h.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Name what would be moved.")] = False,
    run: RunOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Move segments between tiers once, where no archive-tier daemon does it all the time.

    --to warm also takes every sealed segment that is still in its queue.

    \b
    Examples:
      chronicle archive tier --dry-run
      chronicle archive tier
      chronicle archive tier --to cold --older-than 2d
    """
    from libchronicle.cli.archive_moving import run_tier

    run_tier(to, older_than, run, config, dry_run=dry_run, as_json=as_json)


@archive_app.command("import")
def import_files(
    files: Annotated[list[str], typer.Argument(metavar="FILE…", help="Also packed: .gz, .xz, .zst.")],
    kind: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="tardis, lobster, itch, pcap, hftbacktest or binance; default: told by the file.",
        ),
    ] = None,
    venue: Annotated[str | None, typer.Option(metavar="NAME", help="Venue id to archive it under.")] = None,
    symbol: Annotated[
        str | None, typer.Option(metavar="NAME", help="Symbol, where the file does not say it.")
    ] = None,
    symbols: Annotated[str, typer.Option(metavar="A,B", help="itch, pcap: only these stocks.")] = "",
    day: Annotated[
        str | None,
        typer.Option(
            "--date", metavar="YYYY-MM-DD", help="lobster, itch: the day, where the name does not say it."
        ),
    ] = None,
    tick: Annotated[str | None, typer.Option(metavar="X", help="Tick size of a new instrument.")] = None,
    lot: Annotated[str | None, typer.Option(metavar="X", help="Lot size of a new instrument.")] = None,
    contract: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="spot, linear or inverse: what a quantity of a new instrument is."),
    ] = None,
    run: RunOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take files of recorded data into the archive; one that is there already changes nothing.

    A file that is not sound is refused whole, with the place; the others are imported all the same. Exits with 65 then.

    \b
    Examples:
      chronicle archive import deribit_incremental_book_L2_2020-04-01_BTC-PERPETUAL.csv.gz
      chronicle archive import AMZN_2012-06-21_34200000_57600000_message_10.csv
      chronicle archive import 01302019.NASDAQ_ITCH50.gz --symbols MSFT,AAPL
      chronicle archive import btcusdt.npz --venue binance-usdm --symbol BTCUSDT
    """
    from libchronicle.cli.archive_imports import ImportArguments, run_imports

    arguments = ImportArguments(
        kind=kind, venue=venue, symbol=symbol, symbols=symbols, day=day, tick=tick, lot=lot, contract=contract
    )
    run_imports(files, arguments, run, config, as_json=as_json)


@archive_app.command("sql")
def sql(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="In DuckDB's dialect.")],
    limit: Annotated[
        int, typer.Option("-n", "--limit", metavar="N", min=0, help="Rows to print; 0 = all.")
    ] = 40,
    run: RunOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask the archive in SQL. Tables: trades, quotes, levels (of books), orders, segments.

    Conditions on venue, symbol, date and ts leave out what cannot match without reading it; `date` is the UTC date of `ts`.

    \b
    Examples:
      chronicle archive sql "select symbol, date, count(*), sum(qty) from trades group by all order by all"
      chronicle archive sql "select * from quotes where symbol = 'BTCUSDT' and ts >= '2024-08-08 23:55' limit 5"
      chronicle archive sql "copy (select * from trades where date = '2024-08-08') to 'trades.parquet'"
      chronicle archive sql "describe levels"
    """
    from libchronicle.cli.archive_sql import run_sql

    run_sql(query, limit, run, config, as_json=as_json)


@archive_app.command("export")
def export(
    instrument: Annotated[str, typer.Argument(metavar="VENUE:SYMBOL")],
    out: Annotated[str, typer.Option("--out", "-o", metavar="FILE", help="File to write.")],
    kind: Annotated[
        str,
        typer.Option(
            "--to", metavar="NAME", help="hftbacktest (npz), csv, parquet, queue, or null (only counts)."
        ),
    ] = "hftbacktest",
    start: Annotated[
        str | None, typer.Option(metavar="TIME", help="From this time on (ISO 8601, UTC).")
    ] = None,
    end: Annotated[str | None, typer.Option(metavar="TIME", help="Up to this time, exclusive.")] = None,
    run: RunOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write an instrument's records as a file of another program.

    \b
    Examples:
      chronicle archive export binance-usdm:BTCUSDT --out btcusdt.npz --start 2024-08-08 --end 2024-08-09
      chronicle archive export binance-usdm:BTCUSDT --to parquet --out btcusdt.parquet
    """
    from libchronicle.cli.archive_imports import run_export

    run_export(instrument, out, kind, start, end, run, config, as_json=as_json)


@archive_app.command("book")
def book(
    instrument: Annotated[str, typer.Argument(metavar="VENUE:SYMBOL")],
    at: Annotated[str, typer.Option(metavar="TIME", help="ISO 8601 (UTC), or ns since the Unix epoch.")],
    depth: Annotated[int, typer.Option(min=1, metavar="N", help="Levels of each side.")] = 10,
    time: Annotated[
        str, typer.Option(metavar="CLOCK", help="ingest, or venue: by the time of the events.")
    ] = "ingest",
    run: RunOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """The order book as it was at a time. Exits with 65 where there was none, or a gap makes it wrong.

    \b
    Example:
      chronicle archive book binance-spot:BTCUSDT --at 2024-08-08T23:55:00.250
    """
    from libchronicle.cli.archive_books import run_book

    run_book(instrument, at, depth, time, run, config, as_json=as_json)
