"""The exporter as a process: it serves, notices death, refuses a taken port, stops on SIGTERM."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from libchronicle.counters import CounterFile, read_counters

LIMIT_S = 20.0


def config(directory: Path, port: int) -> Path:
    path = directory / "host.toml"
    path.write_text(
        f'version = 1\n[bus]\nroot = "{directory}/run"\n[exporter]\nport = {port}\n[strategies]\ndir = "{directory}/none"\n'
    )
    return path


@pytest.fixture
def exporter(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "services.exporter", "--config", str(config(tmp_path, 0))]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        found = None
        while found is None:
            line = process.stderr.readline()
            assert line, "the exporter ended before it served"
            found = re.search(r"url=(http://\S+)", line.replace('"', ""))
        yield process, found.group(1)
        process.kill()


def scrape(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return str(answer.read().decode())


def test_it_serves_its_own_and_others_counters_and_marks_the_absent_down(
    exporter: tuple[subprocess.Popen[str], str], tmp_path: Path
) -> None:
    _, url = exporter
    feed = CounterFile.create(tmp_path / "run" / "services" / "feed-x.counters", "feed-x")
    feed.counter("frames_total").add(5)
    text = scrape(url)
    assert 'chronicle_frames_total{daemon="feed-x"} 5.0' in text
    assert 'chronicle_up{daemon="exporter"} 1.0' in text
    assert 'chronicle_up{daemon="router"} 0.0' in text


def test_sigterm_ends_it_and_leaves_an_orderly_end_in_its_counters(
    exporter: tuple[subprocess.Popen[str], str], tmp_path: Path
) -> None:
    process, _ = exporter
    process.send_signal(signal.SIGTERM)
    assert process.wait(LIMIT_S) == 0
    snapshot = read_counters(tmp_path / "run" / "services" / "exporter.counters")
    assert snapshot.heartbeat_age_s is None
    assert snapshot.state == "STOPPED"


def test_its_loop_keeps_beating(exporter: tuple[subprocess.Popen[str], str], tmp_path: Path) -> None:
    path = tmp_path / "run" / "services" / "exporter.counters"
    time.sleep(0.6)
    assert read_counters(path).up(2.0)


def test_a_port_in_use_is_named_with_its_remedy(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "services.exporter", "--config", str(config(tmp_path, port))]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode == 71
    assert f"127.0.0.1:{port}" in done.stderr
    assert "[exporter] port" in done.stderr
