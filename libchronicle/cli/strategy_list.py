"""`chronicle strategy list`."""

from __future__ import annotations

from typing import Any

from libchronicle.cli.context import Run, find_run, print_json
from libchronicle.cli.observe import Observer
from libchronicle.cli.tables import render_table
from libchronicle.errors import ChronicleError, ConfigError
from libchronicle.runtime.config import load_strategy, strategy_files
from libchronicle.strategy.params import str_of

__all__ = ["run_list"]

HEADER = ("STRATEGY", "STATE", "TRADES", "ACCOUNT", "PARAMETERS OF ITS TOML")


def run_list(run: str | None, config: str | None, *, as_json: bool) -> None:
    """Print them. Raises ConfigError without a host's TOML."""
    found = find_run(run, config)
    rows = _rows(found)
    if as_json:
        print_json(rows)
    elif rows:
        cells = [
            (
                row["id"],
                row["state"],
                ", ".join(row["subscribe"]) or row["error"],
                row["account"],
                " ".join(f"{name}={str_of(value)}" for name, value in row["params"].items()),
            )
            for row in rows
        ]
        print(render_table(HEADER, cells))
    else:
        print("no strategy yet; `chronicle strategy new NAME` begins one")


def _rows(run: Run) -> list[dict[str, Any]]:
    """By id; one whose TOML is wrong says so in its row."""
    if run.config is None:
        raise ConfigError(
            file="host.toml",
            key="[strategies] dir",
            reason="there is no host.toml here; give --config or --run",
        )
    states = {row.daemon: row.state for row in Observer(run).look()}
    rows = []
    for toml in strategy_files(run.config):
        row: dict[str, Any] = {
            "id": toml.stem,
            "state": states.get(f"strategy-{toml.stem}", "never ran"),
            "toml": str(toml),
            "file": "",
            "class": "",
            "subscribe": [],
            "account": "",
            "params": {},
            "error": "",
        }
        try:
            strategy = load_strategy(toml, run.config)
        except ChronicleError as error:
            row["error"] = str(error)
        else:
            row |= {
                "file": strategy.file,
                "class": strategy.class_name,
                "subscribe": list(strategy.subscribe),
                "account": strategy.account,
                "params": strategy.params,
            }
        rows.append(row)
    return rows
