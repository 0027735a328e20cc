"""The `chronicle strategy` group."""

from __future__ import annotations

from typing import Annotated

import typer

from libchronicle.cli.arguments import ConfigOption, JsonOption, RunOption

__all__ = ["strategy_app"]

strategy_app = typer.Typer(
    help="Strategies: begin one, see them, change their parameters.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@strategy_app.callback()
def _group() -> None:
    """Strategies: begin one, see them, change their parameters."""


@strategy_app.command("new")
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Also its id: a-z, 0-9 and _.")],
    instrument: Annotated[
        str | None,
        typer.Option(metavar="VENUE:SYMBOL", help="Default: the first that a feed of the host carries."),
    ] = None,
    directory: Annotated[
        str | None,
        typer.Option("--dir", metavar="DIR", help="Default: \\[strategies] dir of the host's TOML."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Write NAME.py, which trades as it is, with its settings NAME.toml and its test test_NAME.py.

    \b
    Examples:
      chronicle strategy new mine
      chronicle strategy new mine --instrument binance-usdm:BTCUSDT --dir strategies
    """
    from libchronicle.cli.strategy_new import run_new

    run_new(name, instrument, directory, config)


@strategy_app.command("list")
def list_(run: RunOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Every strategy of this host: what it trades, how it is, its parameters.

    Of one that runs they are those it has now, with the TOML's beside what was set since.

    \b
    Examples:
      chronicle strategy list
      chronicle strategy list --json
    """
    from libchronicle.cli.strategy_list import run_list

    run_list(run, config, as_json=as_json)


@strategy_app.command("set")
def set_(
    name: Annotated[str, typer.Argument(metavar="ID", help="Of a strategy that runs.")],
    changes: Annotated[list[str], typer.Argument(metavar="KEY=VALUE…", help="All of them at once, or none.")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="For those who read the record.")] = "",
    timeout: Annotated[float, typer.Option(metavar="S", min=0.1, help="How long to wait for it.")] = 10.0,
    run: RunOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change parameters of a running strategy, between two callbacks; says when it was done.

    A value keeps the type that it has in \\[params]. The TOML is not changed: at the next start it holds again.

    \b
    Examples:
      chronicle strategy set quoter qty=0.004 requote_ms=100 --reason "wider market"
      chronicle strategy set imbalance_taker threshold=0.7 --json
    """
    from libchronicle.cli.strategy_set import run_set

    run_set(name, changes, run, config, reason=reason, timeout_s=timeout, as_json=as_json)
