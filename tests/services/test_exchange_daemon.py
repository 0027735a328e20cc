"""chronicle-exchange as a process: configuration, exit codes, counters, a clean stop."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from websockets.sync.client import connect

from libchronicle.counters import read_counters
from libchronicle.runtime.daemon import ExitCode

HOST_TOML = """
version = 1
[bus]
root = "{root}"
[exchange]
rate = 500.0
{extra}
[exchange.markets.binance-spot]
port = {spot}
symbols = ["BTCUSDT", "ETHUSDT"]
[exchange.markets.binance-usdm]
port = 0
symbols = ["BTCUSDT"]
"""

LISTENING = re.compile(r"event=listening market=(\S+) address=[^:]*:(\d+)\n")

Start = Callable[..., "Daemon"]


class Daemon:
    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "services.exchange", *arguments]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE)
        assert self.process.stderr is not None
        self._log_fd = self.process.stderr.fileno()
        self.log = ""

    def ports(self, markets: int) -> dict[str, int]:
        """Reads the log until every market listens."""
        deadline = time.monotonic() + 30
        while len(found := dict(LISTENING.findall(self.log))) < markets:
            ready, _, _ = select.select([self._log_fd], [], [], max(0.0, deadline - time.monotonic()))
            text = os.read(self._log_fd, 1 << 16).decode() if ready else ""
            assert text, f"it does not listen: {self.log}"
            self.log += text
        return {market: int(port) for market, port in found.items()}

    def end(self) -> int:
        _, rest = self.process.communicate(timeout=30)
        self.log += rest.decode()
        return self.process.returncode


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[Daemon] = []

    def run(*arguments: str) -> Daemon:
        started.append(Daemon(*arguments))
        return started[-1]

    yield run
    for daemon in started:
        if daemon.process.poll() is None:
            daemon.process.kill()
        daemon.process.communicate()


def write_config(tmp_path: Path, *, spot: int = 0, extra: str = "") -> str:
    path = tmp_path / "host.toml"
    path.write_text(HOST_TOML.format(root=tmp_path / "run", spot=spot, extra=extra))
    return str(path)


def fetch(port: int, target: str) -> dict[str, int]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{target}", timeout=20) as answer:
        body: dict[str, int] = json.load(answer)
    return body


def test_one_process_serves_every_market_of_its_configuration_and_stops_on_sigterm(
    tmp_path: Path, start: Start
) -> None:
    daemon = start("--config", write_config(tmp_path))
    ports = daemon.ports(2)
    assert fetch(ports["binance-spot"], "/api/v3/depth?symbol=ETHUSDT")["lastUpdateId"] > 0
    assert fetch(ports["binance-usdm"], "/fapi/v1/depth?symbol=BTCUSDT")["lastUpdateId"] > 0
    with connect(f"ws://127.0.0.1:{ports['binance-spot']}/ws/btcusdt@depth@100ms") as ws:
        assert json.loads(ws.recv(timeout=20))["e"] == "depthUpdate"
        daemon.process.send_signal(signal.SIGTERM)
        for _ in ws:
            pass
        assert ws.protocol.close_code == 1001
    assert daemon.end() == ExitCode.OK
    counters = read_counters(tmp_path / "run" / "services" / "exchange.counters")
    assert counters.value("chronicle_exchange_frames_total", market="binance-spot") > 0
    assert counters.value("chronicle_exchange_messages_total", market="binance-spot") > 0
    assert counters.value("chronicle_exchange_requests_total", market="binance-usdm") == 1


def test_flags_alone_are_enough(start: Start) -> None:
    flags = [
        "--market",
        "binance-usdm",
        "--symbols",
        "ethusdt",
        "--port",
        "0",
        "--rate",
        "300",
        "--seed",
        "9",
    ]
    daemon = start(*flags)
    ports = daemon.ports(1)
    assert fetch(ports["binance-usdm"], "/fapi/v1/depth?symbol=ETHUSDT")["lastUpdateId"] > 0


def test_a_port_in_use_ends_it_with_what_to_do(tmp_path: Path, start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        daemon = start("--config", write_config(tmp_path, spot=port))
        assert daemon.end() == ExitCode.HOST
    assert f"127.0.0.1:{port}: port in use" in daemon.log


def test_a_missing_recording_ends_it_with_its_name(tmp_path: Path, start: Start) -> None:
    extra = 'source = "recording"\nrecording = "no/such/file.gz"'
    daemon = start("--config", write_config(tmp_path, extra=extra))
    assert daemon.end() == ExitCode.HOST
    assert "no/such/file.gz: no such recording" in daemon.log


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--port", "5"], "belong to one market; add --market"),
        (["--market", "binance-spot", "--faults", "fire=1"], "allowed: seed, drop"),
        (["--config", "no.toml"], "no.toml"),
        (
            ["--market", "binance-spot", "--host", ""],
            "--host: '' is no address to listen on; write",
        ),
        (["--market", "binance-spot", "--port", "70000"], "--port: expected int <= 65535"),
        (["--market", "binance-spot", "--seed", "-1"], "--seed: expected int >= 0"),
        (["--market", "binance-spot", "--rate", "nan"], "--rate: "),
        (["--market", "binance-spot", "--speed", "nan"], "--speed: expected above 0"),
        (["--market", "binance-spot", "--symbols", "a b"], "--symbols: 'A B' is no symbol"),
    ],
)
def test_a_wrong_command_line_says_what_is_allowed(
    tmp_path: Path, start: Start, flags: list[str], message: str
) -> None:
    config = [] if "--config" in flags or "--market" in flags else ["--config", write_config(tmp_path)]
    daemon = start(*config, *flags)
    assert daemon.end() == ExitCode.CONFIG
    assert message in daemon.log
