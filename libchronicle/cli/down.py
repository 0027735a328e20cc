"""`chronicle down`. Imports little, see `libchronicle.cli.stopping`."""

from __future__ import annotations

import os
import sys
import tomllib
from pathlib import Path

from libchronicle.cli import processes
from libchronicle.cli.stopping import exclusive, stop
from libchronicle.cli.suite import Suite
from libchronicle.errors import ConfigError, NotReadyError

__all__ = ["run_directory", "run_down"]

DEFAULT_CONFIG = "deploy/host.toml"
WAIT_S = 30.0
"""As long as an `up` may take to start or change a suite; it does not hold it while it waits for health."""


def run_down(run: str | None, config: str | None, grace_s: float) -> None:
    """Stop everything. Raises ConfigError, HostError, NotReadyError when something had to be killed."""
    suite = Suite(run_directory(run, config))
    if not suite.directory.is_dir():
        _say_nothing_runs(suite)
        return
    with exclusive(suite, "down", WAIT_S, _say):
        stopped = stop(suite, grace_s)
    if stopped is None:
        _say_nothing_runs(suite)
        return
    daemons = f"{stopped.daemons} daemon{'' if stopped.daemons == 1 else 's'}"
    _say(f"{daemons} stopped in {stopped.daemons_s:.2f} s, supervisord in {stopped.total_s:.2f} s")
    if stopped.killed:
        names = ", ".join(stopped.killed)
        raise NotReadyError(reason=f"killed with -9, because they did not stop in {grace_s:g} s: {names}")
    _say("`chronicle up` resumes")


def run_directory(run: str | None, config: str | None) -> Path:
    """--run, else `[bus] root` of the configuration, $CHRONICLE_BUS_ROOT first; else ./run. Raises ConfigError.

    Nothing else in the file matters here: one that `up` would refuse must not keep the suite running.
    """
    root = run or os.environ.get("CHRONICLE_BUS_ROOT") or _configured_root(config) or "run"
    return Path(os.path.abspath(root))


def _configured_root(config: str | None) -> str | None:
    path = Path(config or DEFAULT_CONFIG)
    if config is None and not path.is_file():
        return None
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = (
            "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        )
        raise ConfigError(file=str(path), key="file", reason=reason) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = f"{error}; name the run directory: chronicle down --run DIR"
        raise ConfigError(file=str(path), key="syntax", reason=reason) from None
    bus = tables.get("bus")
    root = bus.get("root", "run") if isinstance(bus, dict) else "run"
    if not isinstance(root, str) or not root.strip() or "\0" in root:
        reason = "names no directory; name it: chronicle down --run DIR"
        raise ConfigError(file=str(path), key="bus.root", reason=reason)
    return root


def _say_nothing_runs(suite: Suite) -> None:
    _say(f"nothing runs in {suite.root}")
    for root in processes.suites():
        print(f"a suite runs in {root}: chronicle down --run {root}", file=sys.stderr)


def _say(line: str) -> None:
    print(line, flush=True)
