"""The `chronicle bus` group."""

from __future__ import annotations

from typing import Annotated

import typer

from libchronicle.cli.arguments import ConfigOption, JsonOption, RunOption

__all__ = ["bus_app"]

bus_app = typer.Typer(help="The run directory as a whole.", no_args_is_help=True, rich_markup_mode="rich")


@bus_app.callback()
def _group() -> None:
    """The run directory as a whole."""


@bus_app.command("doctor")
def doctor(
    as_json: JsonOption = False,
    notes: Annotated[bool, typer.Option("--notes", help="Show what is merely worth knowing, too.")] = False,
    run: RunOption = None,
    config: ConfigOption = None,
) -> None:
    """What is not as it should be, and what to do about each thing: queues, daemons, leases, readers, space, access, limits.

    Looks only, also when everything is dead. Exits with 0 unless there is an error: 65 if data is damaged, else 71.

    \b
    Examples:
      chronicle bus doctor
      chronicle bus doctor --json --notes
    """
    from libchronicle.cli.doctor import run_doctor

    run_doctor(run, config, as_json=as_json, notes=notes)
