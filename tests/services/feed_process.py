"""A daemon as a process whose log is read as it goes, and a feed whose health is looked at from outside."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from libchronicle.counters import Snapshot, read_counters
from libchronicle.errors import ChronicleError

LISTENING = re.compile(r"event=listening market=\S+ address=[^:]*:(\d+)\n")
WAIT_S = 40.0

HOST_TOML = """
version = 1
[bus]
root = "{root}"
[feeds.spot]
venue = "binance-usdm"
symbols = ["BTCUSDT"]
rest_url = "http://127.0.0.1:{port}"
ws_url = "ws://127.0.0.1:{port}"
client = "{client}"
segment_size = 4194304
reconnect_max_s = 0.1
"""


class Process:
    """Its log goes to a file, so that a daemon that says much never waits for its reader."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the process)
        self.process = subprocess.Popen([sys.executable, "-m", module, *arguments], stderr=self._file)

    @property
    def log(self) -> str:
        return os.pread(self._file.fileno(), 1 << 24, 0).decode(errors="replace")

    def until(self, pattern: str | re.Pattern[str]) -> re.Match[str]:
        found: list[re.Match[str]] = []

        def look() -> bool:
            found.extend(re.finditer(pattern, self.log))
            return bool(found)

        self.wait_for(look, f"{pattern!r} in the log")
        return found[0]

    def wait_for(self, condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + WAIT_S
        while not condition():
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.log[-4000:]}"
            assert time.monotonic() < deadline, f"never: {what}\n{self.log[-4000:]}"
            time.sleep(0.01)

    def rss(self) -> int:
        """Private bytes in memory: mapped queues do not count."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        private = re.search(r"RssAnon:\s+(\d+) kB", status)
        assert private is not None
        return int(private.group(1)) << 10

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=20)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._file.close()


class FeedProcess(Process):
    """chronicle-feed on one symbol of the venue at `port`."""

    def __init__(self, directory: Path, port: int, client: str) -> None:
        self.root = directory / "run"
        self.queue = self.root / "market_data" / "queue" / "spot"
        config = directory / "host.toml"
        config.write_text(HOST_TOML.format(root=self.root, port=port, client=client))
        super().__init__("services.feed", "--config", str(config))
        self.wait_for(self.counters, "its counters")
        self.base_rss = self.rss()

    def counters(self) -> Snapshot | None:
        try:
            snapshot = read_counters(self.root / "services" / "feed-spot.counters")
        except ChronicleError:
            return None
        return snapshot if snapshot.pid == self.process.pid else None

    def _snapshot(self) -> Snapshot:
        snapshot = self.counters()
        assert snapshot is not None, self.log
        return snapshot

    def state(self) -> str:
        return self._snapshot().state

    def frames(self) -> float:
        return self._snapshot().value("feed_frames_total", feed="spot", kind="depth")

    def messages(self) -> float:
        return self._snapshot().value("messages_total", feed="spot")

    def rejected(self) -> dict[str, float]:
        samples = self._snapshot().samples
        return {s.labels["reason"]: s.value for s in samples if s.name == "feed_rejected_total" and s.value}

    def counted(self) -> float:
        names = ("feed_frames_total", "feed_rejected_total")
        return sum(sample.value for sample in self._snapshot().samples if sample.name in names)

    def check_well(self, growth: int, after: str) -> None:
        """It runs, its loop beats, and it holds no more memory than `growth` above what it began with."""
        assert self.process.poll() is None, (
            f"{after}: ended with {self.process.returncode}\n{self.log[-4000:]}"
        )
        age = self._snapshot().heartbeat_age_s
        assert age is not None
        assert age < 5, f"{after}: the heartbeat is {age:.1f} s old"
        grown = self.rss() - self.base_rss
        assert grown < growth, f"{after}: grew by {grown >> 20} MiB"
