"""The options of a backtest, declared once: `run` and `sweep` have the same."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from libchronicle.backtest import Plan

__all__ = ["planned"]

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
    list[str] | None,
    typer.Option(
        metavar="MODEL",
        help="none, constant:ENTRY,RESPONSE[,FEED], jitter:…, spikes:… (µs), or VENUE=MODEL for each venue; docs/backtest.md. "
        "[dim]\\[default: constant:500,500][/dim]",
    ),
]
_Queue = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="risk-averse, prob:POWER, log; fifo for data of single orders. [dim]\\[default: risk-averse][/dim]",
    ),
]
_Chances = Annotated[
    str | None,
    typer.Option(
        metavar="SHARES",
        help="Fills that go missing, drawn from the seed: touch=0.9,through_only=0.1,slippage=0.05,slippage_ticks=2. "
        "[dim]\\[default: none][/dim]",
    ),
]
_Fees = Annotated[
    str | None,
    typer.Option(
        metavar="MAKER,TAKER", help="Basis points; a rebate is negative. [dim]\\[default: 0,0][/dim]"
    ),
]
_Cash = Annotated[
    str | None,
    typer.Option(metavar="AMOUNT", help="What the account begins with. [dim]\\[default: 100000][/dim]"),
]
_Leverage = Annotated[
    float | None, typer.Option(metavar="X", help="Default: spot in full, contracts at their whole value.")
]
_Gaps = Annotated[
    str | None,
    typer.Option(metavar="POLICY", help="stop, quarantine, resync or ignore. [dim]\\[default: resync][/dim]"),
]
_Seed = Annotated[int, typer.Option(metavar="N", help="Of everything random.")]


def _plan(
    strategy: _Strategy,
    data: _Data,
    instrument: _Instruments = None,
    start: _Start = None,
    end: _End = None,
    param: _Params = None,
    latency: _Latency = None,
    queue: _Queue = None,
    chances: _Chances = None,
    fees: _Fees = None,
    cash: _Cash = None,
    leverage: _Leverage = None,
    gaps: _Gaps = None,
    seed: _Seed = 1,
) -> Plan:
    from libchronicle.cli.backtesting import settings

    return settings(
        strategy,
        data,
        instrument,
        param,
        start=start,
        end=end,
        latency=latency,
        queue=queue,
        chances=chances,
        fees=fees,
        cash=cash,
        leverage=leverage,
        gaps=gaps,
        seed=seed,
    )


def planned(command: Callable[..., None]) -> Callable[..., None]:
    """A command that takes a `plan` first, as one that takes the options which make it, before its own."""
    shared = list(inspect.signature(_plan, eval_str=True, locals={"Plan": Any}).parameters.values())
    plan, *own = inspect.signature(command, eval_str=True, locals={"Plan": Any}).parameters.values()
    names = [one.name for one in shared]

    def run(**given: Any) -> None:
        options = {name: given.pop(name) for name in names}
        command(**{plan.name: _plan(**options)}, **given)

    parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in (*shared, *own)]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    return run
