"""The `chronicle backtest` group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from libchronicle.cli.arguments import JsonOption
from libchronicle.cli.backtest_options import planned

if TYPE_CHECKING:
    from libchronicle.backtest import Plan

__all__ = ["backtest_app"]

backtest_app = typer.Typer(
    help="A strategy over recorded data.", no_args_is_help=True, rich_markup_mode="rich"
)


@backtest_app.callback()
def _group() -> None:
    """A strategy over recorded data."""


@backtest_app.command("run")
@planned
def run(
    plan: Plan,
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", metavar="DIR", help="Write the report here: page, metrics, tables."),
    ] = None,
    envelope: Annotated[
        bool,
        typer.Option(
            "--envelope", help="Every queue model with several latencies, and the spread of the results."
        ),
    ] = False,
    workers: Annotated[
        int, typer.Option(metavar="N", min=0, help="With --envelope: processes; 0: one a core.")
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """Run a strategy over recorded data, as it runs live.

    Ends with 0, or with 69 when the strategy raised (the report is written all the same). What neither the options nor
    the TOML's table backtest say has the defaults below.

    \b
    Examples:
      chronicle backtest run deploy/strategies/quoter.toml --data run --out out
      chronicle backtest run deploy/strategies/quoter.toml -d btcusdt.gz -i binance-usdm:BTCUSDT --queue prob:2 --fees=-0.5,5
      chronicle backtest run quoter.toml -d MSFT_2012-06-21_34200000_37800000_message_50.csv -i nasdaq:MSFT --queue fifo
      chronicle backtest run quoter.toml -d archive --latency binance-spot=constant:800,800 --latency nasdaq=constant:60,60
      chronicle backtest run deploy/strategies/quoter.toml -d archive --start 2024-08-08 --end 2024-08-09 --envelope --out out
    """
    from libchronicle.cli.backtesting import run_backtest, run_envelope

    if envelope:
        run_envelope(plan, out, workers, as_json=as_json)
    else:
        run_backtest(plan, out, as_json=as_json)


@backtest_app.command("sweep")
@planned
def sweep(
    plan: Plan,
    grid: Annotated[
        list[str],
        typer.Option(
            "--grid",
            "-g",
            metavar="NAME=A,B",
            help="Values of a parameter, or of latency, latency.VENUE, queue, chances, fees, seed …; repeat it.",
        ),
    ],
    out: Annotated[
        str,
        typer.Option("--out", "-o", metavar="DIR", help="A file a point; what is there is not run again."),
    ] = "sweep",
    workers: Annotated[int, typer.Option(metavar="N", min=0, help="Processes; 0: one a core.")] = 0,
    executor: Annotated[
        str, typer.Option(metavar="NAME", help="processes, or dask (extra cluster).")
    ] = "processes",
    sort: Annotated[str, typer.Option(metavar="FIGURE", help="Order of the table, best first.")] = "profit",
    as_json: JsonOption = False,
) -> None:
    """Run a strategy over a grid of values, all cores at work. Stopped or killed, the same command goes on where it was.

    Values with commas in them are separated by semicolons. Ends with 69 when a run failed.

    \b
    Examples:
      chronicle backtest sweep deploy/strategies/quoter.toml -d run -g requote_ms=100,250,1000 -g max_position=0.01,0.1
      chronicle backtest sweep deploy/strategies/quoter.toml -d archive -g "latency=constant:50,50;none" --sort sharpe
    """
    from libchronicle.cli.backtesting import run_sweep

    run_sweep(plan, grid, out, workers, executor, sort, as_json=as_json)
