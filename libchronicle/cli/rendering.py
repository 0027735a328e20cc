"""supervisord.conf of a suite. Pure: text in, text out."""

from __future__ import annotations

import os
import pwd
import shlex
from collections.abc import Sequence
from pathlib import Path

from libchronicle.cli.programs import Program
from libchronicle.cli.suite import Suite
from libchronicle.errors import HostError
from libchronicle.runtime.daemon import ExitCode

__all__ = ["supervisord_conf"]

STOP_WAIT_S = 5
LOG_BYTES, LOG_BACKUPS = 10 << 20, 3


def supervisord_conf(suite: Suite, programs: Sequence[Program], working_directory: Path) -> str:
    """Each program is a group of its own, so that one more strategy restarts nothing else.

    Raises HostError for a path that cannot be written in such a file.
    """
    sections = [
        _section(
            "unix_http_server",
            {"file": suite.socket, "chmod": "0700"},
        ),
        _section(
            "supervisord",
            {
                "logfile": suite.logs / "supervisord.log",
                "logfile_maxbytes": LOG_BYTES,
                "logfile_backups": LOG_BACKUPS,
                "pidfile": suite.supervisord_pid,
                "directory": working_directory,
                "identifier": "chronicle",
                "umask": "027",
                "nocleanup": "true",
                **_user(),
            },
        ),
        _section(
            "rpcinterface:supervisor",
            {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
        ),
    ]
    return "\n".join([*sections, *(_program(suite, program) for program in programs)])


def _program(suite: Suite, program: Program) -> str:
    return _section(
        f"program:{program.name}",
        {
            "command": shlex.join(program.command),
            # The digest makes supervisord see what changed; a native crash leaves its Python traceback in the log.
            "environment": f'CHRONICLE_CONFIG_DIGEST="{program.digest}",PYTHONFAULTHANDLER="1"',
            "priority": program.priority,
            "autostart": "true",
            "autorestart": "unexpected",
            "exitcodes": int(ExitCode.FAILED),
            "startsecs": 1,
            # A full disk or a venue that is away may take hours; supervisord waits a second longer each time.
            "startretries": 1_000_000,
            "stopsignal": "TERM",
            "stopwaitsecs": STOP_WAIT_S,
            "killasgroup": "true",
            "redirect_stderr": "true",
            "stdout_logfile": suite.log(program.name),
            "stdout_logfile_maxbytes": LOG_BYTES,
            "stdout_logfile_backups": LOG_BACKUPS,
        },
    )


def _section(name: str, values: dict[str, object]) -> str:
    lines = [f"{key} = {_value(str(value))}" for key, value in values.items()]
    return "\n".join([f"[{name}]", *lines, ""])


def _value(text: str) -> str:
    """A percent sign would start an expansion, and a comment has no escape. Raises HostError."""
    if " ;" in text or " #" in text or "\n" in text:
        reason = 'supervisord takes " ;", " #" and a line break in a path for its end; rename a directory, or use --run'
        raise HostError(path=text, reason=reason)
    return text.replace("%", "%%")


def _user() -> dict[str, object]:
    """As root supervisord warns unless told that root is meant."""
    return {"user": pwd.getpwuid(0).pw_name} if os.geteuid() == 0 else {}
