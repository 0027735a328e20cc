"""`chronicle up` and `chronicle down`."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from libchronicle.cli import processes, running
from libchronicle.cli.context import Run, find_run, print_json
from libchronicle.cli.health import DaemonStatus
from libchronicle.cli.observe import Observer
from libchronicle.cli.options import UpOptions, effective, runnable_strategies
from libchronicle.cli.status import trading_state
from libchronicle.cli.suite import Suite, programs
from libchronicle.cli.supervisor import last_exits
from libchronicle.cli.tables import count, status_table
from libchronicle.errors import ConfigError, NotReadyError
from libchronicle.runtime.config import HostConfig, load_host
from libchronicle.runtime.daemon import ExitCode

__all__ = ["run_down", "run_up"]

POLL_S = 0.1
RATE_WINDOW_S = 1.0
LOG_TAIL = 5
HOPELESS = (ExitCode.CONFIG, ExitCode.MISUSE, ExitCode.FAILED)
"""Exits after which waiting on helps nothing."""


def run_up(options: UpOptions, *, wait: bool, timeout_s: float, as_json: bool) -> None:
    """Start or change the suite and say how it is. Raises ChronicleError."""
    say = _say if not as_json else _mute
    host = load_host(options.config)
    suite = Suite(effective(host, options).bus.root_path)
    with running.exclusive(suite):
        options = _settle_options(suite, options, say)
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
        observer = Observer(Run(suite, config))
        rows = _wait(observer, [program.name for program in chosen], timeout_s if wait else 0.0, logged)
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
        raise NotReadyError(reason=f"not healthy: {names}; their logs are in {suite.logs}")
    say(_next_steps(suite, options))


def _check_strategies_directory(host: HostConfig, file: str) -> None:
    """A typing error there must not take every strategy that runs away."""
    directory = host.strategies.path
    if not directory.is_dir():
        raise ConfigError(file=file, key="strategies.dir", reason=f"no such directory: {directory}")


def run_down(run: str | None, config: str | None, grace_s: float) -> None:
    """Stop everything. Raises ChronicleError."""
    suite = find_run(run, config).suite
    if not suite.directory.is_dir():
        print(f"nothing runs in {suite.root}")
        return
    with running.exclusive(suite):
        stopped = running.stop(suite, grace_s)
    if stopped is None:
        print(f"nothing runs in {suite.root}")
        return
    print(
        f"{count(stopped.daemons, 'daemon')} stopped in {stopped.daemons_s:.2f} s, supervisord in {stopped.total_s:.2f} s"
    )
    if stopped.killed:
        raise NotReadyError(
            reason=f"killed with -9, because they did not stop in {grace_s:g} s: {', '.join(stopped.killed)}"
        )
    print("`chronicle up` resumes")


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


def _wait(observer: Observer, names: Sequence[str], timeout_s: float, logged: int) -> list[DaemonStatus]:
    """Rows once all are healthy, or one cannot become it, or the time is over."""
    deadline = time.monotonic() + timeout_s
    rows = _look(observer, names)
    while timeout_s > 0 and time.monotonic() < deadline:
        if len(rows) == len(names) and all(row.healthy for row in rows):
            time.sleep(RATE_WINDOW_S)
            return _look(observer, names)
        exits = last_exits(observer.run.suite.logs / "supervisord.log", logged)
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
