"""`chronicle up`."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from libchronicle.cli import processes, running
from libchronicle.cli.context import Run, print_json
from libchronicle.cli.health import DaemonStatus
from libchronicle.cli.observe import Observer
from libchronicle.cli.options import UpOptions, effective, runnable_strategies
from libchronicle.cli.programs import programs
from libchronicle.cli.status import trading_state
from libchronicle.cli.stopping import exclusive
from libchronicle.cli.suite import Suite
from libchronicle.cli.supervisor import last_exits
from libchronicle.cli.tables import status_table
from libchronicle.errors import ConfigError, DaemonsFailed, NotReadyError
from libchronicle.runtime.config import HostConfig, load_host
from libchronicle.runtime.daemon import ExitCode

__all__ = ["run_up"]

POLL_S = 0.1
RATE_WINDOW_S = 1.0
LOG_TAIL = 5
HOPELESS = (ExitCode.CONFIG, ExitCode.MISUSE, ExitCode.FAILED)
"""Exits after which waiting on helps nothing."""


WAIT_S = 30.0
"""As long as another `up` or a `down` may take to start, change or stop a suite."""


@dataclass(frozen=True)
class Begun:
    """What an `up` has set going. `logged` is the size supervisord's log had before."""

    observer: Observer
    names: tuple[str, ...]
    logged: int


def run_up(options: UpOptions, *, wait: bool, timeout_s: float, as_json: bool) -> None:
    """Start or change the suite and say how it is. Raises ChronicleError.

    Others are kept out while something is started or changed, not while this one waits for health: `down` works at any moment.
    """
    say = _say if not as_json else _mute
    host = load_host(options.config)
    suite = Suite(effective(host, options).bus.root_path)
    with exclusive(suite, "up", WAIT_S, say):
        options = _settle_options(suite, options, say)
        begun = _begin(host, options, say)
    rows = _wait(begun, timeout_s if wait else 0.0)
    suite = begun.observer.run.suite
    if as_json:
        print_json({"run": str(suite.root), "options": options.said(), "daemons": rows})
    else:
        print(status_table(rows))
        state = trading_state(suite.paths)
        if state != "trading allowed":
            print(f"\n{state}")
    unhealthy = [row for row in rows if not row.healthy]
    if wait and unhealthy:
        _show_logs(suite, unhealthy)
        names = ", ".join(row.daemon for row in unhealthy)
        exits = last_exits(suite.logs / "supervisord.log", begun.logged)
        if all(exits.get(row.daemon) == ExitCode.FAILED for row in unhealthy):
            raise DaemonsFailed(daemons=names, logs=str(suite.logs))
        raise NotReadyError(
            reason=f"not healthy: {names}; `chronicle errors` says why, their logs are in {suite.logs}"
        )
    say(_next_steps(suite, options))


def _begin(host: HostConfig, options: UpOptions, say: running.Say) -> Begun:
    config = effective(host, options)
    suite = Suite(config.bus.root_path, config.bus.hot_path)
    _check_strategies_directory(host, options.config)
    strategies, left_out = runnable_strategies(config)
    for line in left_out:
        say(line)
    chosen = programs(config, suite, strategies)
    log = suite.logs / "supervisord.log"
    logged = log.stat().st_size if log.exists() else 0
    running.apply(suite, config, options, chosen, say)
    return Begun(Observer(Run(suite, config)), tuple(program.name for program in chosen), logged)


def _check_strategies_directory(host: HostConfig, file: str) -> None:
    """A typing error there must not take every strategy that runs away."""
    directory = host.strategies.path
    if not directory.is_dir():
        raise ConfigError(file=file, key="strategies.dir", reason=f"no such directory: {directory}")


def _settle_options(suite: Suite, options: UpOptions, say: running.Say) -> UpOptions:
    """A plain `up` on a running suite keeps what that was started with; any change is said."""
    before = running.last_options(suite)
    if before is None or before.said() == options.said():
        return options
    is_running = processes.supervisor(suite) is not None
    if is_running and options.said() == UpOptions().said():
        say(f"running with {before.said()}: kept; `chronicle down` first to start without")
        return UpOptions(
            config=options.config,
            run=options.run,
            recordings=before.recordings,
            speed=before.speed,
            venue=before.venue,
            symbols=before.symbols,
        )
    say(f"{'running' if is_running else 'last run'} with {before.said()}; now with {options.said()}")
    return options


def _wait(begun: Begun, timeout_s: float) -> list[DaemonStatus]:
    """Rows once all are healthy, or one cannot become it, or the time is over. Raises NotReadyError after a `down`."""
    observer, names = begun.observer, begun.names
    suite = observer.run.suite
    deadline = time.monotonic() + timeout_s
    rows = _look(observer, names)
    while timeout_s > 0 and time.monotonic() < deadline:
        if not suite.supervisord_pid.exists():
            raise NotReadyError(reason="the suite was stopped meanwhile by `chronicle down`")
        if len(rows) == len(names) and all(row.healthy for row in rows):
            time.sleep(RATE_WINDOW_S)
            return _look(observer, names)
        exits = last_exits(suite.logs / "supervisord.log", begun.logged)
        if len(rows) == len(names) and all(row.healthy or exits.get(row.daemon) in HOPELESS for row in rows):
            break
        time.sleep(POLL_S)
        rows = _look(observer, names)
    return rows


def _look(observer: Observer, names: Sequence[str]) -> list[DaemonStatus]:
    """Rows of the suite's own daemons; a strategy that was removed has left its counters file."""
    return [row for row in observer.look() if row.daemon in names]


def _show_logs(suite: Suite, rows: Sequence[DaemonStatus]) -> None:
    for row in rows:
        print(f"\n{row.daemon}: {row.state}; the end of {suite.log(row.daemon)}:", file=sys.stderr)
        for line in _tail(suite.log(row.daemon)):
            print(f"  {line}", file=sys.stderr)


def _tail(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 8192))
            return file.read().decode(errors="replace").splitlines()[-LOG_TAIL:]
    except OSError as error:
        return [f"({error.strerror})"]


def _next_steps(suite: Suite, options: UpOptions) -> str:
    at = "" if options.config == UpOptions().config and options.run is None else f" --run {suite.root}"
    chronicle = "chronicle" if shutil.which("chronicle") else os.path.relpath(sys.argv[0])
    return "\n".join(
        [
            "",
            f"{chronicle} top{at}        live view",
            f"{chronicle} status{at}     how it is now",
            f"{chronicle} queue ls{at}   every queue, its readers and their lag",
            f"{chronicle} down{at}       stop; `up` resumes",
        ]
    )


def _say(line: str) -> None:
    print(line, flush=True)


def _mute(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
