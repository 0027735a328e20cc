"""Counters files: what one process writes another reads, alive or dead."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from libchronicle.counters import CounterFile, read_counters
from libchronicle.errors import (
    AlreadyRunning,
    CorruptError,
    HostError,
    MisuseError,
    NotReady,
    UnsupportedVersion,
)


def test_values_are_read_back_scaled_with_labels(tmp_path: Path) -> None:
    path = tmp_path / "feed.counters"
    file = CounterFile.create(path, "feed")
    depth = file.counter("frames_total", "frames", {"kind": "depth"})
    trade = file.counter("frames_total", "frames", {"kind": "trade"})
    lag = file.gauge("lag_seconds", scale=1e-9)
    depth.add(3)
    trade.add()
    lag.set(-1_500_000_000)
    snapshot = read_counters(path)
    assert snapshot.value("frames_total") == 4
    assert snapshot.value("frames_total", kind="depth") == 3
    assert snapshot.value("lag_seconds") == pytest.approx(-1.5)
    assert snapshot.value("nothing_total") == 0.0


def test_a_histogram_counts_into_inclusive_bounds(tmp_path: Path) -> None:
    file = CounterFile.create(tmp_path / "h", "h")
    histogram = file.histogram("t2t_seconds", bounds=(1000, 2000), scale=1e-9)
    for value in (1, 1000, 1001, 2000, 5000):
        histogram.observe(value)
    (sample,) = read_counters(tmp_path / "h").samples
    assert [count for _, count in sample.buckets] == [2, 2, 1]
    assert sample.value == pytest.approx(9.002e-6)
    assert sample.buckets[-1][0] == float("inf")


def test_a_living_process_is_up_while_its_loop_beats(tmp_path: Path) -> None:
    file = CounterFile.create(tmp_path / "c", "c")
    file.set_state("TRADING")
    assert read_counters(tmp_path / "c").up(5.0)
    assert read_counters(tmp_path / "c").state == "TRADING"
    time.sleep(0.02)
    assert not read_counters(tmp_path / "c").up(0.01)
    file.close()
    assert read_counters(tmp_path / "c").heartbeat_age_s is None


def test_counters_of_a_killed_process_stay_readable_and_it_is_not_alive(tmp_path: Path) -> None:
    path = tmp_path / "dead"
    code = (
        "import sys, time; from libchronicle.counters import CounterFile; f = CounterFile.create(sys.argv[1], 'dead');"
        "f.counter('done_total').add(7); print('ready', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert read_counters(path).alive
        with pytest.raises(AlreadyRunning, match=f"dead is already running as pid {process.pid}"):
            CounterFile.create(path, "second")
        assert read_counters(path).value("done_total") == 7
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    snapshot = read_counters(path)
    assert not snapshot.alive
    assert not snapshot.up(1e9)
    assert snapshot.value("done_total") == 7
    CounterFile.create(path, "successor").close()


def test_a_restart_replaces_the_file_and_old_readers_keep_theirs(tmp_path: Path) -> None:
    first = CounterFile.create(tmp_path / "c", "c")
    counter = first.counter("n_total")
    counter.add(5)
    CounterFile.create(tmp_path / "c", "c").counter("n_total").add(1)
    counter.add(1)
    assert counter.value == 6
    assert read_counters(tmp_path / "c").value("n_total") == 1


def test_misuse_is_refused(tmp_path: Path) -> None:
    file = CounterFile.create(tmp_path / "c", "c", capacity=3)
    with pytest.raises(MisuseError, match="ascending"):
        file.histogram("h", bounds=(2, 1))
    with pytest.raises(MisuseError, match="all 3 counters are taken"):
        file.histogram("h", bounds=(1, 2, 3))
    with pytest.raises(MisuseError, match="longer than"):
        file.counter("x" * 80)
    with pytest.raises(HostError):
        CounterFile.create(tmp_path / "no" / "such" / "dir", "c")


def test_other_files_are_refused_by_type(tmp_path: Path) -> None:
    path = tmp_path / "c"
    with pytest.raises(NotReady):
        read_counters(path)
    path.write_bytes(b"short")
    with pytest.raises(CorruptError):
        read_counters(path)
    path.write_bytes(bytes(100_000))
    with pytest.raises(CorruptError, match="not a counters file"):
        read_counters(path)
    CounterFile.create(path, "c")
    raw = bytearray(path.read_bytes())
    struct.pack_into("<I", raw, 8, 99)
    path.write_bytes(raw)
    with pytest.raises(UnsupportedVersion, match="99"):
        read_counters(path)
    struct.pack_into("<I", raw, 8, 1)
    path.write_bytes(raw[: len(raw) // 2])
    with pytest.raises(CorruptError, match="truncated"):
        read_counters(path)


def test_a_file_of_another_boot_is_never_alive(tmp_path: Path) -> None:
    path = tmp_path / "c"
    CounterFile.create(path, "c")
    raw = bytearray(path.read_bytes())
    raw[48:64] = bytes(16)
    path.write_bytes(raw)
    snapshot = read_counters(path)
    assert snapshot.heartbeat_age_s == float("inf")
    assert not snapshot.alive
    assert snapshot.pid == os.getpid()
