"""Starting the suite of a run directory, and changing it while it runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from libchronicle.bus.kill_word import KillWord
from libchronicle.cli import preflight, processes
from libchronicle.cli.options import UpOptions
from libchronicle.cli.programs import Program
from libchronicle.cli.rendering import supervisord_conf
from libchronicle.cli.stopping import remove_leftovers, stop
from libchronicle.cli.suite import Suite
from libchronicle.cli.supervisor import Supervisor, start_supervisord
from libchronicle.cli.tables import count
from libchronicle.errors import HostError
from libchronicle.runtime.config import HostConfig
from libchronicle.runtime.decode import to_builtins, write_toml

__all__ = ["Say", "apply", "last_options"]

Say = Callable[[str], object]


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


def _clear_the_way(suite: Suite, say: Say) -> None:
    """A supervisord killed with -9 leaves its daemons running; they hold the queues, so they stop first."""
    orphans, manager = processes.daemons(suite), processes.supervisor(suite)
    if orphans or manager is not None:
        what = "is gone" if manager is None else "does not answer"
        say(f"found {count(len(orphans), 'daemon')} whose supervisord {what}; stopping first")
        stop(suite)
    remove_leftovers(suite)


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


def _write(path: Path, text: str) -> None:
    """By rename: a reader sees the old or the new, and a crash leaves no half."""
    try:
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        fresh.write_text(text)
        fresh.replace(path)
    except OSError as error:
        raise HostError(path=str(path), reason=f"cannot be written: {error.strerror}") from None
