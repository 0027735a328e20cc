"""The processes of a suite, found by their command line and stopped all at once.

A daemon carries `--config <run>/supervisor/host.toml` on its command line, supervisord `-c <run>/supervisor/supervisord.conf`.
So they are found whether or not supervisord, its socket or a pid file is still there, and a reused pid is never mistaken.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from libchronicle.cli.suite import Suite
from libchronicle.errors import NoPermission

__all__ = ["Handle", "Process", "daemons", "of", "open_handles", "suites", "supervisor", "wait_for_end"]

SUPERVISORD = "supervisord"


class Process(NamedTuple):
    pid: int
    name: str

    @property
    def is_supervisor(self) -> bool:
        return self.name == SUPERVISORD


class Handle(NamedTuple):
    """A process by descriptor: signals through it never hit a stranger that got the pid meanwhile."""

    process: Process
    fd: int

    def signal(self, number: signal.Signals) -> None:
        """Raises NoPermission when it is somebody else's."""
        try:
            signal.pidfd_send_signal(self.fd, number)
        except ProcessLookupError:
            return
        except PermissionError:
            reason = f"{self.process.name} (pid {self.process.pid}) was started by another user, who alone may end it"
            raise NoPermission(path=f"/proc/{self.process.pid}", reason=reason) from None


def of(suite: Suite) -> list[Process]:
    """Everything of this run directory that runs, whoever started it."""
    config, conf = str(suite.config), str(suite.supervisord_conf)
    found = []
    for pid, argv in _command_lines():
        if config in argv and _value_after(argv, "--config") == config:
            found.append(Process(pid, _daemon_name(argv)))
        elif conf in argv and _is_supervisord(argv):
            found.append(Process(pid, SUPERVISORD))
    return found


def daemons(suite: Suite) -> list[Process]:
    """Running daemons of this run directory."""
    return [process for process in of(suite) if not process.is_supervisor]


def supervisor(suite: Suite) -> Process | None:
    """The running supervisord of this run directory."""
    return next((process for process in of(suite) if process.is_supervisor), None)


def suites() -> list[Path]:
    """Run directories of every supervised suite on this host."""
    found = {
        Path(_value_after(argv, "-c")).parent.parent for _, argv in _command_lines() if _is_supervisord(argv)
    }
    return sorted(found)


@contextlib.contextmanager
def open_handles(processes: Iterable[Process]) -> Iterator[list[Handle]]:
    """Handles on those that still run, closed at the end."""
    with contextlib.ExitStack() as stack:
        handles = []
        for process in processes:
            try:
                fd = os.pidfd_open(process.pid)
            except ProcessLookupError:
                continue
            stack.callback(os.close, fd)
            handles.append(Handle(process, fd))
        yield handles


def wait_for_end(
    handles: Iterable[Handle],
    timeout_s: float,
    *,
    every_s: float = 0.05,
    nudge: Callable[[], object] = lambda: None,
) -> list[Handle]:
    """Those that still run after `timeout_s`. `nudge` is called whenever one has ended, and on the way."""
    waiting = {handle.fd: handle for handle in handles}
    poll = select.poll()
    for fd in waiting:
        poll.register(fd, select.POLLIN)
    deadline = time.monotonic() + timeout_s
    while waiting and (left := deadline - time.monotonic()) > 0:
        for fd, _ in poll.poll(min(left, every_s) * 1000):
            poll.unregister(fd)
            del waiting[fd]
        nudge()
    return list(waiting.values())


def _command_lines() -> Iterator[tuple[int, list[str]]]:
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/cmdline", "rb", buffering=0) as file:
                    raw = file.read()
            except OSError:
                continue  # gone meanwhile, or not ours to see
            if raw:
                yield int(entry), os.fsdecode(raw).rstrip("\0").split("\0")


def _is_supervisord(argv: Sequence[str]) -> bool:
    return "supervisor.supervisord" in argv and _value_after(argv, "-c").endswith(
        "/supervisor/supervisord.conf"
    )


def _daemon_name(argv: list[str]) -> str:
    script = next(
        (Path(word).name for word in argv if Path(word).name.startswith("chronicle-")), "chronicle-?"
    )
    kind = script.removeprefix("chronicle-")
    if kind == "feed":
        return f"feed-{_value_after(argv, '--name')}"
    if kind == "etl" and "--group" in argv:
        return f"etl-{_value_after(argv, '--group')}"
    if kind == "strategy-host":
        return f"strategy-{Path(_value_after(argv, '--strategy')).stem}"
    return kind


def _value_after(argv: Sequence[str], option: str) -> str:
    try:
        return argv[list(argv).index(option) + 1]
    except (ValueError, IndexError):
        return ""
