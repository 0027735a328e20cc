"""Talking to supervisord over its unix socket: what runs, what has changed, what to start. Stopping is `stopping`'s."""

from __future__ import annotations

import http.client
import os
import re
import socket
import subprocess
import sys
import time
import xmlrpc.client
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from libchronicle.cli.suite import Suite
from libchronicle.errors import HostError

__all__ = ["ProgramInfo", "Supervisor", "last_exits", "start_supervisord"]

TIMEOUT_S = 5.0
_EXITED = re.compile(r" exited: (\S+) \(exit status (\d+);")


@dataclass(frozen=True)
class ProgramInfo:
    """What supervisord knows of a program; `state` is one of RUNNING STARTING BACKOFF FATAL STOPPED EXITED STOPPING."""

    name: str
    state: str
    pid: int
    exit_status: int
    started_s: float


class Supervisor:
    """supervisord's XML-RPC interface, as far as the suite needs it. Every call raises HostError when nobody answers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._proxy = xmlrpc.client.ServerProxy("http://supervisord", transport=_Transport(str(path)))

    def running(self) -> bool:
        try:
            return bool(self._call("supervisor.getState")["statename"] == "RUNNING")
        except HostError:
            return False

    def programs(self) -> list[ProgramInfo]:
        return [
            ProgramInfo(row["name"], row["statename"], row["pid"], row["exitstatus"], float(row["start"]))
            for row in self._call("supervisor.getAllProcessInfo")
        ]

    def reload(self) -> tuple[list[str], list[str], list[str]]:
        """Read supervisord.conf again and make it so; the programs added, changed and removed. Raises HostError."""
        added, changed, removed = self._call("supervisor.reloadConfig")[0]
        for name in (*changed, *removed):
            self._call("supervisor.stopProcessGroup", name)
            self._call("supervisor.removeProcessGroup", name)
        for name in (*changed, *added):
            self._call("supervisor.addProcessGroup", name)
        return added, changed, removed

    def start(self, name: str) -> None:
        """Start a program that was stopped or given up."""
        self._call("supervisor.startProcess", name, False)

    def _call(self, method: str, *arguments: Any) -> Any:
        try:
            return getattr(self._proxy, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            raise HostError(
                path=str(self.path), reason=f"supervisord refuses {method}: {fault.faultString}"
            ) from fault
        except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
            raise HostError(path=str(self.path), reason=f"supervisord does not answer: {error}") from error


def last_exits(log: Path, begin: int = 0) -> dict[str, int]:
    """Exit status of each program's last end, from supervisord's log: its interface forgets it while it waits to restart.
    `begin` is the size the log had when the question began to matter.
    """
    try:
        with log.open("rb") as file:
            size = log.stat().st_size
            file.seek(max(size - (64 << 10), begin if begin <= size else 0))
            text = file.read().decode(errors="replace")
    except OSError:
        return {}
    return {name: int(status) for name, status in _EXITED.findall(text)}


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class _Transport(xmlrpc.client.Transport):
    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        return _Connection(self._path)


def start_supervisord(suite: Suite, timeout_s: float = 15.0) -> Supervisor:
    """Start supervisord as a daemon and wait until it answers. Raises HostError with what it said otherwise."""
    _make_private(suite.socket.parent)
    for stale in (suite.socket, suite.supervisord_pid):
        stale.unlink(missing_ok=True)
    command = [sys.executable, "-P", "-m", "supervisor.supervisord", "-c", str(suite.supervisord_conf)]
    # Overrides from the environment stand in the rendered host.toml already; there they must not win a second time.
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(_OVERRIDES)}
    made = subprocess.run(
        command, env=inherited, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        said = (made.stderr.strip() or made.stdout.strip()).splitlines()
        raise HostError(
            path=str(suite.supervisord_conf), reason=f"supervisord: {said[-1] if said else 'no reason given'}"
        )
    supervisor = Supervisor(suite.socket)
    deadline = time.monotonic() + timeout_s
    while not supervisor.running():
        if time.monotonic() > deadline:
            reason = f"supervisord does not answer; see {suite.logs / 'supervisord.log'}"
            raise HostError(path=str(suite.socket), reason=reason)
        time.sleep(0.02)
    return supervisor


def _make_private(directory: Path) -> None:
    """The socket's directory. In the temp dir a stranger may have made it before us."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = directory.stat()
    if status.st_uid != os.geteuid() or status.st_mode & 0o002:
        raise HostError(
            path=str(directory), reason="belongs to somebody else or may be written by everybody; remove it"
        )


_OVERRIDES = tuple(
    f"CHRONICLE_{section}_" for section in ("BUS", "EXCHANGE", "FEEDS", "ROUTER", "EXPORTER", "STRATEGIES")
)
