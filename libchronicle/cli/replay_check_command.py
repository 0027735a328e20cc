"""The `chronicle replay-check` command."""

from __future__ import annotations

from typing import Annotated

import typer

from libchronicle.cli.arguments import ConfigOption, JsonOption, RunOption

__all__ = ["replay_check"]


def replay_check(
    name: Annotated[str, typer.Argument(metavar="STRATEGY", help="Whose session; or router, for its alone.")],
    session: Annotated[
        int | None, typer.Option(metavar="ID", help="Which (default: the last); see --list.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every session that was recorded.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="Only say which sessions there are.")] = False,
    run: RunOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a recorded session again and compare, message for message.

    A strategy's callbacks come in the order and at the times its session journal tells, from queues and archive: its
    requests must be those of orders_out. The router takes every step of its journal again: its reports must be those of
    every orders_in. Exits with 0 when they are, with 1 and the first difference when they are not.

    \b
    Examples:
      chronicle replay-check momentum
      chronicle replay-check momentum --all --json
      chronicle replay-check momentum --list
      chronicle replay-check router
    """
    from libchronicle.cli.replay_check import run_replay_check

    run_replay_check(name, session, run, config, every=every, listed=listed, as_json=as_json)
