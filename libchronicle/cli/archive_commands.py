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

    run_book(instrument, at, depth, run, config, as_json=as_json)
