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
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from libchronicle.cli.suite import Suite

__all__ = ["Handle", "Process", "daemons", "open_handles", "supervisor", "wait_for_end"]


@dataclass(frozen=True)
class Process:
    pid: int
    name: str


@dataclass(frozen=True)
class Handle:
    """A process by descriptor: signals through it never hit a stranger that got the pid meanwhile."""

    process: Process
    fd: int

    def signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.fd, number)


def daemons(suite: Suite) -> list[Process]:
    """Running daemons of this run directory, whoever started them."""
    return [
        Process(pid, _daemon_name(argv))
        for pid, argv in _command_lines()
        if str(suite.config) in argv and _value_after(argv, "--config") == str(suite.config)
    ]


def supervisor(suite: Suite) -> Process | None:
    """The running supervisord of this run directory."""
    conf = str(suite.supervisord_conf)
    for pid, argv in _command_lines():
        if "supervisor.supervisord" in argv and _value_after(argv, "-c") == conf:
            return Process(pid, "supervisord")
    return None


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
    every_s: float = 0.02,
    nudge: Callable[[], object] = lambda: None,
) -> list[Handle]:
    """Those that still run after `timeout_s`. `nudge` is called on the way."""
    waiting = {handle.fd: handle for handle in handles}
    poll = select.poll()
    for fd in waiting:
        poll.register(fd, select.POLLIN)
    deadline = time.monotonic() + timeout_s
    while waiting and (left := deadline - time.monotonic()) > 0:
        for fd, _ in poll.poll(min(left, every_s) * 1000):
            poll.unregister(fd)
            del waiting[fd]
        if waiting:
            nudge()
    return list(waiting.values())


def _command_lines() -> Iterator[tuple[int, list[str]]]:
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                raw = Path("/proc", entry, "cmdline").read_bytes()
            except OSError:
                continue  # gone meanwhile, or not ours to see
            if raw:
                yield int(entry), os.fsdecode(raw).rstrip("\0").split("\0")


def _daemon_name(argv: list[str]) -> str:
    script = next(
        (Path(word).name for word in argv if Path(word).name.startswith("chronicle-")), "chronicle-?"
    )
    kind = script.removeprefix("chronicle-")
    if kind == "feed":
        return f"feed-{_value_after(argv, '--name')}"
    if kind == "strategy-host":
        return f"strategy-{Path(_value_after(argv, '--strategy')).stem}"
    return kind


def _value_after(argv: list[str], option: str) -> str:
    try:
        return argv[argv.index(option) + 1]
    except (ValueError, IndexError):
        return ""
