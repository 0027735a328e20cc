"""chronicle-feed as a process against chronicle-exchange as a process: flags, exit codes, kill -9, SIGTERM, counters."""

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

from libchronicle.counters import Snapshot, read_counters
from libchronicle.errors import ChronicleError
from libchronicle.protocol import BookDelta, BookSnapshot, Gap, Instrument, decode
from libchronicle.queue import Queue
from libchronicle.runtime.daemon import ExitCode

HOST_TOML = """
version = 1
[bus]
root = "{root}"
[feeds.spot]
venue = "binance-spot"
symbols = ["BTCUSDT", "ETHUSDT"]
rest_url = "http://127.0.0.1:{port}"
ws_url = "ws://127.0.0.1:{port}"
segment_size = 1048576
{extra}
"""
LISTENING = re.compile(r"event=listening market=\S+ address=[^:]*:(\d+)\n")


class Process:
    """One daemon; its log is read as it goes."""

    def __init__(self, module: str, *arguments: str) -> None:
        self.process = subprocess.Popen([sys.executable, "-m", module, *arguments], stderr=subprocess.PIPE)
        assert self.process.stderr is not None
        self._fd = self.process.stderr.fileno()
        self.log = ""

    def until(self, pattern: str | re.Pattern[str]) -> re.Match[str]:
        deadline = time.monotonic() + 40
        while (found := re.search(pattern, self.log)) is None:
            ready, _, _ = select.select([self._fd], [], [], max(0.0, deadline - time.monotonic()))
            text = os.read(self._fd, 1 << 16).decode() if ready else ""
            assert text, f"{pattern!r} does not come: {self.log}"
            self.log += text
        return found

    def end(self, number: int | None = None) -> int:
        if number is not None:
            self.process.send_signal(number)
        _, rest = self.process.communicate(timeout=40)
        self.log += rest.decode()
        return self.process.returncode


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def run(module: str, *arguments: str) -> Process:
        started.append(Process(module, *arguments))
        return started[-1]

    yield run
    for process in started:
        if process.process.poll() is None:
            process.process.kill()
        process.process.communicate()


@pytest.fixture
def venue(start: Callable[..., Process]) -> int:
    flags = ("--market", "binance-spot", "--port", "0", "--symbols", "BTCUSDT,ETHUSDT", "--rate", "800")
    return int(start("services.exchange", *flags).until(LISTENING).group(1))


@pytest.fixture
def config(tmp_path: Path, venue: int) -> str:
    path = tmp_path / "host.toml"
    path.write_text(HOST_TOML.format(root=tmp_path / "run", port=venue, extra=""))
    return str(path)


def counters(path: Path) -> Snapshot | None:
    try:
        return read_counters(path)
    except ChronicleError:
        return None


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 40
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def taken(path: Path, kind: str = "depth") -> float:
    snapshot = counters(path)
    return snapshot.value("feed_frames_total", feed="spot", kind=kind) if snapshot else 0


def test_a_feed_runs_from_its_table_and_stops_on_sigterm_with_nothing_lost(
    tmp_path: Path, config: str, start: Callable[..., Process]
) -> None:
    feed = start("services.feed", "--config", config)
    path = tmp_path / "run" / "services" / "feed-spot.counters"
    wait_for(lambda: taken(path) > 20)
    assert feed.end(signal.SIGTERM) == ExitCode.OK
    snapshot = counters(path)
    assert snapshot is not None
    assert snapshot.value("messages_total", feed="spot") > snapshot.value(
        "feed_frames_total", feed="spot", kind="depth"
    )
    with Queue.open_subscriber(
        tmp_path / "run" / "market_data" / "queue" / "spot", None, start="earliest"
    ) as reader:
        types = [message.type_id for message in reader]
    assert types.count(BookDelta.TEMPLATE_ID) == snapshot.value(
        "feed_frames_total", feed="spot", kind="depth"
    )
    assert types.count(Gap.TEMPLATE_ID) == 2  # both books end here, and say so


@pytest.mark.parametrize("client", ["websockets", "picows"])
def test_killed_at_any_moment_it_resumes_the_same_sequence(
    tmp_path: Path, config: str, start: Callable[..., Process], client: str
) -> None:
    queue = tmp_path / "run" / "market_data" / "queue" / "spot"
    path = tmp_path / "run" / "services" / "feed-spot.counters"
    for _ in range(4):
        feed = start("services.feed", "--config", config, "--client", client)
        feed.until('event="in sync"')
        wait_for(lambda: taken(path) > 10)
        assert feed.end(signal.SIGKILL) == -signal.SIGKILL
        path.unlink()
    with Queue.open_subscriber(queue, None, start="earliest") as reader:
        found = [(message.seq, message.epoch, decode(message.type_id, bytes(message))) for message in reader]
    assert [seq for seq, _, _ in found] == list(range(len(found)))
    epochs = sorted({epoch for _, epoch, _ in found})
    assert len(epochs) == 4
    for epoch in epochs:
        own = [record for _, e, record in found if e == epoch]
        assert isinstance(own[0], Instrument)
        assert any(isinstance(record, BookSnapshot) for record in own)
        assert any(isinstance(r, Gap) and r.instrument_id == 0 for r in own) == (epoch != epochs[0])


def test_flags_override_the_table_and_work_without_one(
    tmp_path: Path, venue: int, config: str, start: Callable[..., Process]
) -> None:
    where = f"http://127.0.0.1:{venue}", f"ws://127.0.0.1:{venue}"
    core = str(min(os.sched_getaffinity(0)))
    bare = start(
        "services.feed", "--venue", "binance-spot", "--symbols", "btcusdt", "--rest-url", where[0], "--ws-url", where[1],
        "--bus-root", str(tmp_path / "bare"), "--core-id", core, "--queue", str(tmp_path / "own-queue"),
    )  # fmt: skip
    bare.until('event="in sync" symbol=BTCUSDT')
    assert os.sched_getaffinity(bare.process.pid) == {int(core)}
    assert (tmp_path / "own-queue" / "control.meta").exists()
    assert bare.end(signal.SIGTERM) == ExitCode.OK
    assert "ETHUSDT" not in bare.log
    tabled = start("services.feed", "--config", config, "--name", "spot", "--symbols", "ethusdt")
    tabled.until('event="in sync" symbol=ETHUSDT')
    assert tabled.end(signal.SIGINT) == ExitCode.OK


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ("--symbols", "BTCUSDT,BTCUSD"),
            ExitCode.CONFIG,
            "feeds.spot.symbols: binance-spot lists no symbol 'BTCUSD'",
        ),
        (("--name", "nope"), ExitCode.CONFIG, "--name 'nope' is none of them; there are: spot"),
        (("--rest-url", "gopher://x"), ExitCode.CONFIG, "feeds.spot.rest_url"),
        (("--core-id", "4000"), ExitCode.HOST, "core 4000"),
        (("--venue", "binance-spot"), ExitCode.CONFIG, "--symbols: is missing"),
    ],
)
def test_bad_configuration_ends_with_one_clear_line(
    config: str, start: Callable[..., Process], arguments: tuple[str, ...], code: ExitCode, message: str
) -> None:
    feed = start("services.feed", "--config", config, *arguments)
    assert feed.end() == code
    assert message in feed.log
    assert "Traceback" not in feed.log


def test_a_second_feed_on_the_same_queue_is_refused(config: str, start: Callable[..., Process]) -> None:
    first = start("services.feed", "--config", config)
    first.until('event="in sync"')
    second = start("services.feed", "--config", config)
    assert second.end() == ExitCode.MISUSE
    assert f"pid {first.process.pid}" in second.log
    assert first.end(signal.SIGTERM) == ExitCode.OK
