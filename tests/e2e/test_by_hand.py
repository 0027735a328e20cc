"""The terminals of docs/operating.md: feed, strategy and router, started by hand in every order, find one another and trade."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from libchronicle.runtime.decode import read_toml, write_toml
from libchronicle.testing.live_suite import free_ports

BIN = Path(sys.executable).parent
WAIT_S = 60.0


def documented(root: Path) -> dict[str, list[str]]:
    """Command lines by program."""
    _, _, rest = (root / "docs" / "operating.md").read_text().partition("<!-- terminals: ")
    block = re.search(r"```sh\n(.*?)```", rest, re.DOTALL)
    assert block is not None
    lines = [shlex.split(line, comments=True) for line in block.group(1).splitlines()]
    return {argv[0]: argv for argv in lines}


class Terminals:
    """Runs documented commands in a directory that looks like the checkout, on ports of its own."""

    def __init__(self, directory: Path, root: Path) -> None:
        self.directory = directory
        self.commands = documented(root)
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        tables = read_toml(root / "deploy" / "host.toml")
        markets, feeds = tables["exchange"]["markets"], tables["feeds"]
        for (name, market), port in zip(markets.items(), free_ports(len(markets)), strict=True):
            market["port"] = port
            feeds[name].update(
                segment_size=4 << 20, rest_url=f"http://127.0.0.1:{port}", ws_url=f"ws://127.0.0.1:{port}"
            )
        tables["exchange"]["rate"] = 2000.0  # a busy market: fills come soon
        (directory / "deploy").mkdir()
        (directory / "deploy" / "host.toml").write_text(write_toml(tables))
        (directory / "deploy" / "strategies").symlink_to(root / "deploy" / "strategies")

    def once(self, program: str) -> None:
        subprocess.run(self._argv(program), cwd=self.directory, check=True, timeout=WAIT_S)

    def open(self, program: str) -> None:
        log = self.directory / program
        with log.open("wb") as file:
            self.running[program] = subprocess.Popen(
                self._argv(program), cwd=self.directory, stderr=file, stdout=file
            )

    def _argv(self, program: str) -> list[str]:
        return [str(BIN / program), *self.commands[program][1:]]

    def log(self, program: str) -> str:
        return (self.directory / program).read_text()

    def until(self, program: str, pattern: str) -> None:
        deadline = time.monotonic() + WAIT_S
        while re.search(pattern, self.log(program)) is None:
            assert self.running[program].poll() is None, self.log(program)
            assert time.monotonic() < deadline, f"{program} never says {pattern!r}:\n{self.log(program)}"
            time.sleep(0.02)

    def close(self) -> dict[str, int]:
        for process in self.running.values():
            process.send_signal(signal.SIGINT)
        codes = {program: process.wait(timeout=30) for program, process in self.running.items()}
        self.running.clear()
        return codes


@pytest.fixture
def terminals(tmp_path: Path, project_root: Path) -> Iterator[Callable[[], Terminals]]:
    opened: list[Terminals] = []

    def one() -> Terminals:
        directory = tmp_path / str(len(opened))
        directory.mkdir()
        opened.append(Terminals(directory, project_root))
        return opened[-1]

    yield one
    for each in opened:
        for process in each.running.values():
            process.kill()
            process.wait()


ORDERS = list(itertools.permutations(["chronicle-feed", "chronicle-strategy-host", "chronicle-router"]))
if os.environ.get("CHRONICLE_PROOF") != "long":  # each of them first once, and each last once
    ORDERS = [ORDERS[0], ORDERS[3], ORDERS[4]]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("order", ORDERS, ids=["-".join(name[10:13] for name in order) for order in ORDERS])
def test_feed_strategy_and_router_find_one_another_in_whatever_order_they_are_started(
    terminals: Callable[[], Terminals], order: tuple[str, ...]
) -> None:
    hands = terminals()
    hands.open("chronicle-exchange")
    for program in order:
        hands.open(program)
        time.sleep(0.3)  # as long as it takes to turn to the next terminal
    hands.until("chronicle-router", "event=killed")
    hands.once("chronicle")
    hands.until("chronicle-feed", 'event="in sync" symbol=BTCUSDT')
    hands.until("chronicle-feed", r"event=did .*feed_frames\{kind=depth\}=\d")
    hands.until("chronicle-router", 'event="strategy attached" strategy=quoter')
    hands.until("chronicle-strategy-host", "event=state state=TRADING")
    hands.until("chronicle-strategy-host", r"event=did .*strategy_orders=\d")
    hands.until("chronicle-router", r"event=did .*router_requests\{kind=")
    hands.until("chronicle-strategy-host", r"event=did .*strategy_fills=\d")
    assert set(hands.close().values()) == {0}
