"""The `chronicle backtest` group."""

from __future__ import annotations

from typing import Annotated

import typer

from libchronicle.cli.arguments import JsonOption

__all__ = ["backtest_app"]

backtest_app = typer.Typer(
    help="A strategy over recorded data.", no_args_is_help=True, rich_markup_mode="rich"
)

_Strategy = Annotated[str, typer.Argument(metavar="STRATEGY.toml", help="The TOML that also runs it live.")]
_Data = Annotated[
    list[str],
    typer.Option(
        "--data",
        "-d",
        metavar="PATH",
        help="Run directory, archive, queue or recorded file; repeat it for several.",
    ),
]
_Instruments = Annotated[
    list[str] | None,
    typer.Option("--instrument", "-i", metavar="VENUE:SYMBOL", help="Instead of the TOML's `subscribe`."),
]
_Start = Annotated[
    str | None,
    typer.Option(
        metavar="TIME", help="From this time on (ISO 8601, UTC); what comes before warms the books."
    ),
]
_End = Annotated[str | None, typer.Option(metavar="TIME", help="Up to this time, exclusive.")]
_Params = Annotated[
    list[str] | None, typer.Option("--param", "-p", metavar="KEY=VALUE", help="A parameter over the TOML's.")
]
_Latency = Annotated[
    str,
    typer.Option(
        metavar="MODEL", help="none, constant:ENTRY,RESPONSE, jitter:…, spikes:… (µs). docs/backtest.md"
    ),
]
_Queue = Annotated[str, typer.Option(metavar="MODEL", help="risk-averse, prob:POWER, log, fifo.")]
_Fees = Annotated[str, typer.Option(metavar="MAKER,TAKER", help="Basis points; a rebate is negative.")]
_Cash = Annotated[str, typer.Option(metavar="AMOUNT", help="What the account begins with.")]
_Leverage = Annotated[
    float | None, typer.Option(metavar="X", help="Default: spot in full, contracts at their whole value.")
]
_Gaps = Annotated[str, typer.Option(metavar="POLICY", help="stop, quarantine, resync or ignore.")]
_Seed = Annotated[int, typer.Option(metavar="N", help="Of everything random.")]


@backtest_app.callback()
def _group() -> None:
    """A strategy over recorded data."""


@backtest_app.command("run")
def run(
    strategy: _Strategy,
    data: _Data,
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", metavar="DIR", help="Write the report here: page, metrics, tables."),
    ] = None,
    instrument: _Instruments = None,
    start: _Start = None,
    end: _End = None,
    param: _Params = None,
    latency: _Latency = "constant:500,500",
    queue: _Queue = "risk-averse",
    fees: _Fees = "0,0",
    cash: _Cash = "100000",
    leverage: _Leverage = None,
    gaps: _Gaps = "resync",
    seed: _Seed = 1,
    envelope: Annotated[
        bool,
        typer.Option(
            "--envelope", help="Every queue model with several latencies, and the spread of the results."
        ),
    ] = False,
    workers: Annotated[int, typer.Option(metavar="N", help="With --envelope: processes; 0: one a core.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Run a strategy over recorded data, as it runs live.

    Ends with 0, or with 69 when the strategy raised (the report is written all the same).

    \b
    Examples:
      chronicle backtest run deploy/strategies/quoter.toml --data run --out out
      chronicle backtest run deploy/strategies/quoter.toml -d btcusdt.gz -i binance-usdm:BTCUSDT --queue prob:2 --fees=-0.5,5
      chronicle backtest run deploy/strategies/quoter.toml -d archive --start 2024-08-08 --end 2024-08-09 --envelope --out out
    """
    from libchronicle.cli.backtesting import run_backtest, run_envelope, settings

    plan = settings(strategy, data, instrument, param, start=start, end=end, latency=latency, queue=queue, fees=fees, cash=cash,
                    leverage=leverage, gaps=gaps, seed=seed)  # fmt: skip
    if envelope:
        run_envelope(plan, out, workers, as_json=as_json)
    else:
        run_backtest(plan, out, as_json=as_json)


@backtest_app.command("sweep")
def sweep(
    strategy: _Strategy,
    data: _Data,
    grid: Annotated[
        list[str],
        typer.Option(
            "--grid",
            "-g",
            metavar="NAME=A,B",
            help="Values of a parameter, or of latency, queue, fees, seed …; repeat it.",
        ),
    ],
    out: Annotated[
        str,
        typer.Option("--out", "-o", metavar="DIR", help="A file a point; what is there is not run again."),
    ] = "sweep",
    instrument: _Instruments = None,
    start: _Start = None,
    end: _End = None,
    param: _Params = None,
    latency: _Latency = "constant:500,500",
    queue: _Queue = "risk-averse",
    fees: _Fees = "0,0",
    cash: _Cash = "100000",
    leverage: _Leverage = None,
    gaps: _Gaps = "resync",
    seed: _Seed = 1,
    workers: Annotated[int, typer.Option(metavar="N", help="Processes; 0: one a core.")] = 0,
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
    from libchronicle.cli.backtesting import run_sweep, settings

    plan = settings(strategy, data, instrument, param, start=start, end=end, latency=latency, queue=queue, fees=fees, cash=cash,
                    leverage=leverage, gaps=gaps, seed=seed)  # fmt: skip
    run_sweep(plan, grid, out, workers, executor, sort, as_json=as_json)
