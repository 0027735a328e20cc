"""`chronicle strategy list`."""

from __future__ import annotations

from typing import Any

from libchronicle.cli.context import Run, find_run, print_json
from libchronicle.cli.health import TTL_S, read_snapshots
from libchronicle.cli.observe import Observer
from libchronicle.cli.tables import render_table
from libchronicle.errors import ChronicleError, ConfigError
from libchronicle.queue import Queue
from libchronicle.runtime.config import load_strategy, strategy_files
from libchronicle.strategy.params import recorded, str_of
from libchronicle.strategy.present import present_params

__all__ = ["run_list"]

HEADER = ("STRATEGY", "STATE", "TRADES", "ACCOUNT", "PARAMETERS")


def run_list(run: str | None, config: str | None, *, as_json: bool) -> None:
    """Print them. Raises ConfigError without a host's TOML.

    As JSON, `params` are those of the TOML and `params_now`, as text, those of the strategy that runs.
    """
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
                _told(row["params"], row["params_now"]),
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
            "params_now": {},
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
        row["params_now"] = _params_now(run, toml.stem)
        rows.append(row)
    return rows


def _params_now(run: Run, name: str) -> dict[str, str]:
    """Of a strategy that runs, as text."""
    paths, daemon = run.suite.paths, f"strategy-{name}"
    snapshot = read_snapshots(paths, [daemon]).get(daemon)
    if snapshot is None or not snapshot.up(TTL_S):
        return {}
    try:
        with Queue.open_subscriber(paths.session(name), None, start="earliest") as journal:
            return present_params(journal)
    except ChronicleError:
        return {}  # the queue's own commands tell what is wrong with it


def _told(params: dict[str, Any], now: dict[str, str]) -> str:
    """Those that hold now; beside what has been set since the start, or is written otherwise by now, what the TOML says."""
    told = []
    for name in dict.fromkeys((*params, *now)):
        written = str_of(params[name]) if name in params else "not there"
        same = name not in now or (name in params and now[name] == recorded(params[name]))
        told.append(f"{name}={written}" if same else f"{name}={now[name]} (TOML: {written})")
    return " ".join(told)
