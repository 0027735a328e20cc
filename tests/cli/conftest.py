"""A whole suite of real daemons in a directory of its own."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from libchronicle.bus.paths import BusPaths
from libchronicle.runtime.decode import read_toml, write_toml

BIN = Path(sys.executable).parent
WAIT_S = 60.0


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
    """`chronicle` in a directory with a host.toml that disturbs nobody else on this machine."""

    directory: Path
    tables: dict[str, Any] = field(default_factory=dict)

    @property
    def paths(self) -> BusPaths:
        return BusPaths(self.directory / "run")

    @property
    def strategies(self) -> Path:
        return self.directory / "strategies"

    def write(self) -> None:
        (self.directory / "host.toml").write_text(write_toml(self.tables))

    def chronicle(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
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

    def pids(self) -> dict[str, int]:
        return {name: row["pid"] for name, row in self.rows().items()}

    def supervisord(self) -> int:
        return int((self.directory / "run" / "supervisor" / "supervisord.pid").read_text())

    @staticmethod
    def runs(pid: int) -> bool:
        """False for a zombie too: not every init reaps the children of a supervisord that was killed."""
        try:
            return Path("/proc", str(pid), "cmdline").read_bytes() != b""
        except OSError:
            return False

    def wait_until(self, done: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + WAIT_S
        while not done():
            if time.monotonic() > deadline:
                raise AssertionError(f"never: {what}\n{self.chronicle('status', check=False).stdout}")
            time.sleep(0.1)


@pytest.fixture
def free_port() -> int:
    """A port nobody listens on at the moment."""
    return free_ports(1)[0]


@pytest.fixture
def live_suite(tmp_path: Path, project_root: Path) -> Iterator[LiveSuite]:
    """The shipped configuration and strategies on free ports, with small segments. Whatever runs is stopped at the end."""
    suite = LiveSuite(tmp_path)
    shutil.copytree(
        project_root / "deploy" / "strategies", suite.strategies, ignore=shutil.ignore_patterns("__pycache__")
    )
    tables = read_toml(project_root / "deploy" / "host.toml")
    spot, futures, metrics = free_ports(3)
    tables["exchange"]["markets"]["binance-spot"]["port"] = spot
    tables["exchange"]["markets"]["binance-usdm"]["port"] = futures
    for name, port in (("binance-spot", spot), ("binance-usdm", futures)):
        tables["feeds"][name].update(
            rest_url=f"http://127.0.0.1:{port}", ws_url=f"ws://127.0.0.1:{port}", segment_size=4 << 20
        )
    tables["exporter"]["port"] = metrics
    tables["strategies"]["dir"] = "strategies"
    suite.tables = tables
    suite.write()
    try:
        yield suite
    finally:
        suite.chronicle("down", "--grace", "10", check=False)
