"""Stopping a suite: every daemon is signalled at once and directly, and supervisord is told first, so that it restarts none.

The order is what makes it safe. The request to shut down lies in supervisord's socket before the first daemon gets its SIGTERM,
and supervisord takes requests before it looks after children that ended: so it never starts one again that we stopped. Nobody
waits for its answer. What it forks in the meantime, or what a supervisord killed with -9 left behind, is found by looking
again until nothing is left.

Imports little: on a busy host, imports are most of the time that `chronicle down` takes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from libchronicle.cli import processes
from libchronicle.cli.suite import Suite
from libchronicle.errors import HostError, NoPermission

__all__ = ["GRACE_S", "Stopped", "exclusive", "nudge", "remove_leftovers", "stop"]

GRACE_S = 5.0
"""A daemon stops within a second. One that hangs is killed after this; what it committed stays."""
SUPERVISORD_S = 2.0
"""supervisord holds nothing but the last lines of the logs. It may be stopped or hang itself."""
ROUNDS = 5
"""Looks for what is left; more than two would be a process that even -9 does not end."""
SHUTDOWN = b"<?xml version='1.0'?><methodCall><methodName>supervisor.shutdown</methodName></methodCall>"


class Stopped(NamedTuple):
    """What `stop` did."""

    daemons: int
    killed: tuple[str, ...]
    daemons_s: float
    total_s: float


@contextlib.contextmanager
def exclusive(suite: Suite, command: str, wait_s: float, say: Callable[[str], object]) -> Iterator[None]:
    """One command at a time changes what runs here; another one waits for it up to `wait_s`.

    Raises HostError when the other one takes longer, NoPermission.
    """
    try:
        for directory in (suite.directory, suite.logs):
            directory.mkdir(parents=True, exist_ok=True)
        fd = os.open(suite.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except FileExistsError as error:
        raise HostError(path=str(error.filename), reason="is a file, but should be a directory") from None
    except OSError as error:
        raise NoPermission(path=str(suite.directory), reason=error.strerror or str(error)) from None
    try:
        _wait_for_lock(fd, suite, wait_s, say)
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"`chronicle {command}` (pid {os.getpid()})".encode(), 0)
        yield
    finally:
        os.close(fd)


def _wait_for_lock(fd: int, suite: Suite, wait_s: float, say: Callable[[str], object]) -> None:
    deadline, told = time.monotonic() + wait_s, False
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(fd, 200, 0).decode(errors="replace") or "another command"
            if time.monotonic() >= deadline:
                reason = f"{holder} has been at work here for {wait_s:g} s; end it, then try again"
                raise HostError(path=str(suite.root), reason=reason) from None
            if not told:
                told = True
                say(f"waiting for {holder}")
            time.sleep(0.02)
        else:
            return


def stop(suite: Suite, grace_s: float = GRACE_S) -> Stopped | None:
    """Stop every daemon at once, then supervisord; None if nothing ran. Clears what a dead supervisord left behind."""
    began = time.monotonic()
    found = processes.of(suite)
    if not found:
        remove_leftovers(suite)
        return None
    daemons_s, stopped, killed = 0.0, 0, list[str]()
    for _ in range(ROUNDS):
        daemons = [process for process in found if not process.is_supervisor]
        stopped += len(daemons)
        with processes.open_handles(found) as handles:
            parents = [handle for handle in handles if handle.process.is_supervisor]
            children = [handle for handle in handles if not handle.process.is_supervisor]
            told = bool(parents) and _tell_supervisor(suite.socket)
            for handle in parents if not told else ():
                handle.signal(signal.SIGTERM)
            for handle in children:
                handle.signal(signal.SIGTERM)
            killed += [handle.process.name for handle in _end(children, grace_s, suite)]
            daemons_s = daemons_s or time.monotonic() - began
            _end(parents, SUPERVISORD_S, suite)
        if not (found := processes.of(suite)):
            break
    remove_leftovers(suite)
    return Stopped(stopped, tuple(killed), daemons_s, time.monotonic() - began)


def _end(handles: list[processes.Handle], timeout_s: float, suite: Suite) -> list[processes.Handle]:
    """Waits for them; those that had to be killed."""
    left = processes.wait_for_end(handles, timeout_s, nudge=lambda: nudge(suite.socket))
    for handle in left:
        handle.signal(signal.SIGKILL)
    processes.wait_for_end(left, 5.0)
    return left


def _tell_supervisor(path: Path) -> bool:
    """Asks it to shut down and does not wait for the answer. False if nobody takes requests there."""
    head = f"POST /RPC2 HTTP/1.0\r\nContent-Type: text/xml\r\nContent-Length: {len(SHUTDOWN)}\r\n\r\n"
    try:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(0.2)
        connection.connect(str(path))
        connection.sendall(head.encode() + SHUTDOWN)
    except OSError:
        return False
    _told.append(connection)  # closed with the process: hanging up now could come before the request is read
    return True


_told: list[socket.socket] = []


def nudge(path: Path) -> None:
    """supervisord notices the death of a child only once a second, but a connection at once: it turns its loop."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(0.05)
        connection.connect(str(path))


def remove_leftovers(suite: Suite) -> None:
    """Of a supervisord that is no more."""
    for path in (suite.socket, suite.supervisord_pid):
        path.unlink(missing_ok=True)
