"""The `chronicle etl` group."""

from __future__ import annotations

from typing import Annotated

import typer

from libchronicle.cli.arguments import ConfigOption, JsonOption, RunOption

__all__ = ["etl_app"]

etl_app = typer.Typer(
    help="Raw records refined; records to columns.", no_args_is_help=True, rich_markup_mode="rich"
)


@etl_app.callback()
def _group() -> None:
    """Raw records refined; records to columns."""


@etl_app.command("run")
def run_(
    queue: Annotated[str, typer.Argument(metavar="QUEUE", help="A feed's name, or a raw queue's path.")],
    out: Annotated[
        str | None,
        typer.Option(
            "--out", "-o", metavar="DIR", help="Clean queues below DIR (default: the run directory)."
        ),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    run: RunOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Refine a raw queue here and now: clean queues of one instrument and stream each.

    By the settings of \\[etl]. In the run directory it takes the place of the daemon, which must not run; with --out it
    goes on where it stopped for that directory.

    \b
    Examples:
      chronicle etl run binance-spot --out /tmp/clean
      chronicle etl run run/market_data/queue/binance-spot --out /tmp/clean --follow
    """
    from libchronicle.cli.refining import run_refinery

    run_refinery(queue, out, run, config, follow=follow, as_json=as_json)


@etl_app.command("extract")
def extract(
    instruments: Annotated[
        list[str] | None, typer.Argument(metavar="VENUE:SYMBOL…", help="Default: all that are archived.")
    ] = None,
    to: Annotated[str, typer.Option(metavar="NAME", help="parquet, csv or null (only counts).")] = "parquet",
    out: Annotated[
        str, typer.Option("--out", "-o", metavar="PATH", help="Directory; of csv: the file's directory.")
    ] = "features",
    features: Annotated[
        str,
        typer.Option(
            metavar="A,B", help="Built-in ones, `vector` for 13 at once, or FILE.py:Class. See --list."
        ),
    ] = "",
    trigger: Annotated[
        str,
        typer.Option(
            metavar="WHEN", help="bar:1s, bar:100ms, trade, book, quote …, any; several with commas."
        ),
    ] = "bar:1s",
    start: Annotated[
        str | None, typer.Option(metavar="TIME", help="From this time on (ISO 8601, UTC).")
    ] = None,
    end: Annotated[str | None, typer.Option(metavar="TIME", help="Up to this time, exclusive.")] = None,
    raw: Annotated[
        str | None, typer.Option(metavar="FEED", help="From a feed's raw records instead of the clean ones.")
    ] = None,
    names: Annotated[bool, typer.Option("--list", help="The built-in features and their columns.")] = False,
    run: RunOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compute features over recorded data: one row per bar, per event, or per record.

    Parquet files lie as venue=…/symbol=…/date=…, sorted by time. The column `valid` is false where records were missing.

    \b
    Examples:
      chronicle etl extract binance-spot:BTCUSDT --trigger bar:1s --out features
      chronicle etl extract --features mid,imbalance:5,mine.py:Momentum --trigger trade --start 2024-08-08T23:55
      chronicle etl extract --features vector --trigger book
      chronicle etl extract --list
    """
    from libchronicle.cli.extracting import ExtractArguments, list_features, run_extract

    if names:
        list_features(as_json=as_json)
        return
    arguments = ExtractArguments(
        instruments=tuple(instruments or ()),
        to=to,
        out=out,
        features=features,
        trigger=trigger,
        start=start,
        end=end,
        raw=raw,
    )
    run_extract(arguments, run, config, as_json=as_json)
