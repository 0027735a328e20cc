"""Which run directory a command means, and how results are printed."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from libchronicle.cli.arguments import DEFAULT_CONFIG
from libchronicle.cli.suite import Suite
from libchronicle.errors import InvalidName
from libchronicle.runtime.config import HostConfig, load_host

__all__ = ["Run", "find_run", "print_json", "print_ndjson", "split_instrument"]


@dataclass(frozen=True)
class Run:
    """A run directory and the configuration it last ran with (None when it never did and there is no host.toml either)."""

    suite: Suite
    config: HostConfig | None


def find_run(run: str | None, config: str | None) -> Run:
    """--run, else the run directory of --config, $CHRONICLE_BUS_ROOT or deploy/host.toml, else ./run. Raises ConfigError."""
    host = load_host(config or DEFAULT_CONFIG) if config or Path(DEFAULT_CONFIG).is_file() else None
    root = Path(
        os.path.abspath(run or (host.bus.root if host else os.environ.get("CHRONICLE_BUS_ROOT", "run")))
    )
    hot = host.bus.at(str(root)).hot_path if host else None
    if Suite(
        root
    ).config.is_file():  # what `chronicle up` really started wins over what host.toml says by now
        host = load_host(Suite(root).config, environ={})
        hot = host.bus.hot_path
    return Run(Suite(root, hot), host)


def print_json(value: Any) -> None:
    """One JSON document, indented for people."""
    import msgspec

    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def print_ndjson(value: Any) -> None:
    """One JSON object on a line of its own."""
    import msgspec

    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")


def split_instrument(instrument: str) -> tuple[str, str]:
    """Venue and symbol of `venue:SYMBOL`. Raises InvalidName."""
    venue, colon, symbol = instrument.partition(":")
    if not (venue and colon and symbol):
        raise InvalidName(name=instrument, kind="instrument", reason="write venue:SYMBOL")
    return venue, symbol
