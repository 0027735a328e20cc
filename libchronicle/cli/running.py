"""Starting, changing and stopping the suite of a run directory."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from libchronicle.bus.kill_word import KillWord
from libchronicle.cli import preflight, processes
from libchronicle.cli.options import UpOptions
from libchronicle.cli.rendering import supervisord_conf
from libchronicle.cli.suite import Program, Suite
from libchronicle.cli.supervisor import Supervisor, start_supervisord
from libchronicle.cli.tables import count
from libchronicle.errors import HostError, NoPermission
from libchronicle.runtime.config import HostConfig
from libchronicle.runtime.decode import to_builtins, write_toml

__all__ = ["Stopped", "apply", "exclusive", "last_options", "stop"]

GRACE_S = 5.0
"""A daemon stops within a second. One that hangs is killed after this; what it committed stays."""

Say = Callable[[str], object]


@dataclass(frozen=True)
class Stopped:
    """What `stop` did."""

    daemons: int
    killed: tuple[str, ...]
    daemons_s: float
    total_s: float


@contextmanager
def exclusive(suite: Suite) -> Iterator[None]:
    """One `chronicle up` or `down` at a time. Raises HostError, NoPermission."""
    try:
        suite.directory.mkdir(parents=True, exist_ok=True)
        suite.logs.mkdir(parents=True, exist_ok=True)
        fd = os.open(suite.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise NoPermission(path=str(suite.directory), reason=error.strerror or str(error)) from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise HostError(
            path=str(suite.root), reason="another `chronicle up` or `down` is at work here"
        ) from None
    try:
        yield
    finally:
        os.close(fd)


def last_options(suite: Suite) -> UpOptions | None:
    """Options of the `chronicle up` before this one."""
    try:
        return msgspec.json.decode((suite.directory / "options.json").read_bytes(), type=UpOptions)
    except (OSError, msgspec.MsgspecError):
        return None


def apply(
    suite: Suite, config: HostConfig, options: UpOptions, programs: Sequence[Program], say: Say
) -> None:
    """Bring the suite to this configuration: start it, or change only what differs. Raises HostError and its kin."""
    preflight.check_programs(programs)
    rendered = supervisord_conf(suite, programs, Path.cwd())
    supervisor = Supervisor(suite.socket)
    running = processes.supervisor(suite) is not None and supervisor.running()
    if not running:
        _clear_the_way(suite, say)
        preflight.check_ports(config)
        preflight.check_space(config, suite)
    KillWord(suite.paths).initialise()
    _write(
        suite.config,
        "# Written by `chronicle up`: change deploy/host.toml instead.\n" + write_toml(to_builtins(config)),
    )
    _write(suite.supervisord_conf, rendered)
    _write(suite.directory / "options.json", msgspec.json.encode(options).decode())
    if not running:
        start_supervisord(suite)
        return
    _change(supervisor, say)


def stop(suite: Suite, grace_s: float = GRACE_S) -> Stopped | None:
    """Stop every daemon at once, then supervisord; None if nothing ran. Clears what a dead supervisord left behind."""
    began = time.monotonic()
    manager = processes.supervisor(suite)
    found = processes.daemons(suite)
    if manager is None and not found:
        _remove_leftovers(suite)
        return None
    managers = [manager] if manager is not None else []
    supervisor = Supervisor(suite.socket)
    with processes.open_handles(found) as handles, processes.open_handles(managers) as parents:
        told = _tell_supervisor(supervisor) if manager is not None else False
        if not told:
            for handle in parents:  # it hangs or cannot be reached: it must not restart what is stopped now
                handle.signal(signal.SIGKILL)
            for handle in handles:
                handle.signal(signal.SIGTERM)
        left = processes.wait_for_end(handles, grace_s)
        for handle in left:
            handle.signal(signal.SIGKILL)
        processes.wait_for_end(left, 1.0)
        daemons_s = time.monotonic() - began
        for handle in processes.wait_for_end(parents, 3.0, nudge=supervisor.nudge):
            handle.signal(signal.SIGKILL)
        processes.wait_for_end(parents, 1.0)
    _remove_leftovers(suite)
    killed = tuple(handle.process.name for handle in left)
    return Stopped(len(found), killed, daemons_s, time.monotonic() - began)


def _tell_supervisor(supervisor: Supervisor) -> bool:
    """All daemons get their SIGTERM from supervisord itself, in one request, so that it restarts none."""
    try:
        supervisor.signal_stop(program.name for program in supervisor.programs())
        supervisor.shutdown()
    except HostError:
        return False
    return True


def _clear_the_way(suite: Suite, say: Say) -> None:
    """A supervisord killed with -9 leaves its daemons running; they hold the queues, so they stop first."""
    orphans, manager = processes.daemons(suite), processes.supervisor(suite)
    if orphans or manager is not None:
        what = "is gone" if manager is None else "does not answer"
        say(f"found {count(len(orphans), 'daemon')} whose supervisord {what}; stopping first")
        stop(suite)
    _remove_leftovers(suite)


def _change(supervisor: Supervisor, say: Say) -> None:
    added, changed, removed = supervisor.reload()
    for what, names in (
        ("started", added),
        ("restarted with its new configuration", changed),
        ("removed", removed),
    ):
        for name in sorted(names):
            say(f"{name}: {what}")
    touched = {*added, *changed, *removed}
    for program in supervisor.programs():
        if program.name not in touched and program.state in ("STOPPED", "EXITED", "FATAL"):
            supervisor.start(program.name)
            say(f"{program.name}: was {program.state}, started again")
            touched.add(program.name)
    if not touched:
        say("already running, nothing changed")


def _remove_leftovers(suite: Suite) -> None:
    for path in (suite.socket, suite.supervisord_pid):
        path.unlink(missing_ok=True)


def _write(path: Path, text: str) -> None:
    """By rename: a reader sees the old or the new, and a crash leaves no half."""
    try:
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        fresh.write_text(text)
        fresh.replace(path)
    except OSError as error:
        raise HostError(path=str(path), reason=f"cannot be written: {error.strerror}") from None
