"""The exchange daemon and the feed daemon as processes, and what the feed wrote."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from libchronicle.bus.paths import BusPaths
from libchronicle.errors import NotReadyError
from libchronicle.queue import Message, Queue, Subscriber

LISTENING = re.compile(r"event=listening market=\S+ address=[^:]*:(\d+)\n")
START_TIMEOUT_S = 30.0


class Pipeline:
    """One exchange, one feed, one run directory."""

    def __init__(self, root: Path) -> None:
        self.paths = BusPaths(root)
        self.root = root
        self.port = 0
        self._logs = root / "logs"
        self._logs.mkdir()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start_exchange(self, market: str, *flags: str) -> None:
        command = ["-m", "services.exchange", "--market", market, "--port", str(self.port), *flags]
        process = subprocess.Popen([sys.executable, *command], stderr=subprocess.PIPE)
        self._processes["exchange"] = process
        assert process.stderr is not None
        log, deadline = "", time.monotonic() + START_TIMEOUT_S
        while not (match := LISTENING.search(log)):
            ready, _, _ = select.select([process.stderr], [], [], max(0.0, deadline - time.monotonic()))
            text = os.read(process.stderr.fileno(), 1 << 16).decode() if ready else ""
            assert text, f"the exchange does not listen: {log}"
            log += text
        self.port = int(match[1])

    def start_feed(self, market: str, symbols: str = "BTCUSDT", *flags: str) -> None:
        urls = ["--rest-url", f"http://127.0.0.1:{self.port}", "--ws-url", f"ws://127.0.0.1:{self.port}"]
        command = [
            "-m",
            "services.feed",
            "--venue",
            market,
            "--symbols",
            symbols,
            "--bus-root",
            str(self.root),
        ]
        with (self._logs / "feed").open("ab") as log:
            self._processes["feed"] = subprocess.Popen([sys.executable, *command, *urls, *flags], stderr=log)

    def records(self, market: str) -> Subscriber:
        """An anonymous reader at the queue's beginning, as soon as there is a queue."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                return Queue.open_subscriber(self.paths.raw(market), None, start="earliest")
            except NotReadyError:
                assert time.monotonic() < deadline, f"no queue: {self.feed_log()}"
                assert self._processes["feed"].poll() is None, self.feed_log()
                time.sleep(0.01)

    def read(self, reader: Subscriber, take: Callable[[Message], bool], timeout_s: float = 60.0) -> None:
        """Hands every record to `take` until it returns true."""
        deadline = time.monotonic() + timeout_s
        while True:
            message = reader.next()
            if message is None:
                assert time.monotonic() < deadline, (
                    f"not everything came within {timeout_s} s: {self.feed_log()}"
                )
                reader.wait(0.05)
            elif take(message):
                return

    def feed_log(self) -> str:
        return (self._logs / "feed").read_text()[-3000:]

    def stop(self, name: str) -> int:
        process = self._processes.pop(name)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        return process.returncode

    def kill_all(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.communicate()


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    root = tmp_path / "run"
    root.mkdir()
    suite = Pipeline(root)
    yield suite
    suite.kill_all()
