"""A whole suite of real daemons, supervised, in a directory and on ports of its own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from libchronicle.bus.paths import BusPaths
from libchronicle.counters import read_counters
from libchronicle.errors import ChronicleError
from libchronicle.runtime.decode import read_toml, write_toml

__all__ = ["LiveSuite", "free_ports"]

BIN = Path(sys.executable).parent
WAIT_S = 60.0
SHIPPED = ("imbalance_taker", "quoter")


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on at the moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


@dataclass
class LiveSuite:
    """`chronicle` in a directory with a host.toml that disturbs nobody else on this machine.

    A context manager: whatever runs is brought down at its end.
    """

    directory: Path
    tables: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of_deployment(cls, directory: Path, deploy: Path) -> Self:
        """The configuration and strategies of `deploy`, on free ports and with small segments, ready to go up."""
        suite = cls(directory, read_toml(deploy / "host.toml"))
        suite.strategies.mkdir()
        for name in SHIPPED:  # a user's own strategies beside them are none of our business
            for kind in ("py", "toml"):
                shutil.copy(deploy / "strategies" / f"{name}.{kind}", suite.strategies)
        markets, feeds = suite.tables["exchange"]["markets"], suite.tables["feeds"]
        *ports, metrics = free_ports(len(markets) + 1)
        for name, port in zip(markets, ports, strict=True):
            markets[name]["port"] = port
            urls = {"rest_url": f"http://127.0.0.1:{port}", "ws_url": f"ws://127.0.0.1:{port}"}
            feeds[name].update(segment_size=4 << 20, **urls)
        suite.tables["exporter"]["port"] = metrics
        suite.tables["strategies"]["dir"] = "strategies"
        suite.write()
        return suite

    @property
    def paths(self) -> BusPaths:
        return BusPaths(self.directory / "run")

    @property
    def strategies(self) -> Path:
        return self.directory / "strategies"

    def write(self) -> None:
        """Put `tables` into host.toml."""
        (self.directory / "host.toml").write_text(write_toml(self.tables))

    def chronicle(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the command; AssertionError with its output unless it ends with 0."""
        result = subprocess.run(
            [str(BIN / "chronicle"), *arguments, "--config", "host.toml"],
            cwd=self.directory,
            env={**os.environ, "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=2 * WAIT_S,
            check=False,
        )
        if check and result.returncode != 0:
            raise AssertionError(
                f"chronicle {' '.join(arguments)}: {result.returncode}\n{result.stdout}{result.stderr}"
            )
        return result

    def rows(self) -> dict[str, dict[str, Any]]:
        """`chronicle status --json` by daemon."""
        found = json.loads(self.chronicle("status", "--json", "--window", "0").stdout)
        return {row["daemon"]: row for row in found["daemons"]}

    def pids(self) -> dict[str, int | None]:
        """Process of each daemon, None where none runs."""
        return {name: row["pid"] for name, row in self.rows().items()}

    def supervisord(self) -> int:
        """Its pid, by its pid file."""
        return int((self.directory / "run" / "supervisor" / "supervisord.pid").read_text())

    @staticmethod
    def runs(pid: int) -> bool:
        """False for a zombie too: not every init reaps the children of a supervisord that was killed."""
        try:
            return Path("/proc", str(pid), "cmdline").read_bytes() != b""
        except OSError:
            return False

    def kill(self, *daemons: str) -> None:
        """kill -9 them, then wait until every daemon is healthy again, these as new processes.

        One between two lives (None in the table) is waited for; one that ends by itself meanwhile counts as killed.
        """
        pids = {daemon: self._running(daemon) for daemon in daemons}
        for pid in pids.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

        def back() -> bool:
            rows = self.rows()
            new = all(rows[daemon]["pid"] not in (None, pid) for daemon, pid in pids.items())
            return new and all(row["healthy"] for row in rows.values())

        for daemon, pid in pids.items():  # their counters are cheaper to look at than the command is to run
            self._running(daemon, instead_of=pid)
        self.wait_until(back, f"{', '.join(daemons)} back and all healthy")

    def _running(self, daemon: str, instead_of: int | None = None) -> int:
        """Its process, once one runs that has started up."""
        seen: list[int] = []

        def runs() -> bool:
            with contextlib.suppress(ChronicleError, OSError):
                found = read_counters(self.paths.counters(daemon))
                if found.alive and found.pid != instead_of and found.state != "STARTING":
                    seen.append(found.pid)
            return bool(seen)

        self.wait_until(runs, f"{daemon} runs")
        return seen[0]

    def wait_until(self, done: Callable[[], bool], what: str, timeout_s: float = WAIT_S) -> None:
        """AssertionError with the table of daemons if it takes too long."""
        deadline = time.monotonic() + timeout_s
        while not done():
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"never: {what}\n{self.chronicle('status', check=False).stdout}{self.log_tails()}"
                )
            time.sleep(0.05)

    def log_tails(self) -> str:
        """The last lines of every daemon, for the message of a failed test."""
        logs = sorted((self.directory / "run" / "logs").glob("*.log"))
        return "".join(f"--- {log.name}\n{log.read_text(errors='replace')[-1500:]}" for log in logs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.chronicle("down", "--grace", "10", check=False)
