import logging
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from libchronicle.bus.logring import LogRing
from libchronicle.errors import Closed, ConfigError


def test_lines_come_out_whole_and_in_order_after_many_turns_of_the_ring(tmp_path: Path) -> None:
    expected = []
    with (tmp_path / "log").open("w") as file, LogRing(file.fileno(), 256) as ring:
        for n in range(500):
            line = f"line {n} {'ü' * (n % 40)}\n"
            while ring.waiting_bytes > 100:
                time.sleep(0.001)
            ring.write(line)
            expected.append(line)
        assert ring.dropped == 0
    assert (tmp_path / "log").read_text() == "".join(expected)


def test_a_full_ring_drops_counts_and_says_so_and_never_waits() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    ring = LogRing(writer, 1024)
    try:
        for _ in range(20_000):
            ring.write("x" * 99 + "\n")
        dropped = ring.dropped
        assert dropped > 0
        text = b""
        while sum(map(int, re.findall(rb'event="log lines dropped" count=(\d+)\n', text))) < dropped:
            text += os.read(reader, 1 << 16)
        kept = [line for line in text.splitlines() if not line.startswith(b"level=warning")]
        assert kept == [b"x" * 99] * (20_000 - dropped)
    finally:
        ring.close()
        os.close(reader)
        os.close(writer)


def test_a_descriptor_that_refuses_loses_bytes_and_not_the_process() -> None:
    with open("/dev/full", "w") as full, LogRing(full.fileno(), 256) as ring:
        ring.write("gone\n")
        while ring.waiting_bytes:
            time.sleep(0.001)
        assert ring.lost_bytes == 5


def test_it_serves_as_the_stream_of_the_standard_logging_module(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as file, LogRing(file.fileno()) as ring:
        handler = logging.StreamHandler(ring)
        logger = logging.getLogger("test.logring")
        logger.addHandler(handler)
        logger.warning("one %s", "event")
        logger.removeHandler(handler)
    assert (tmp_path / "log").read_text() == "one event\n"


def test_a_closed_ring_and_a_bad_capacity_are_refused() -> None:
    ring = LogRing(2)
    ring.close()
    ring.close()
    with pytest.raises(Closed):
        ring.write("x")
    for capacity in (0, 63, 1000):
        with pytest.raises(ConfigError):
            LogRing(2, capacity)


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_writing_a_line_makes_no_system_call(tmp_path: Path) -> None:
    code = (
        "import os, sys; from libchronicle.bus.logring import LogRing; ring = LogRing(2, 1 << 22)\n"
        "os.getppid()\n"
        "for _ in range(10_000): ring.write('a line of a usual length, so many bytes of it\\n')\n"
        "os.getppid(); ring.close()"
    )
    trace = tmp_path / "trace"
    command = ["strace", "-o", str(trace), sys.executable, "-c", code]  # without -f: this thread alone
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL, timeout=100)
    lines = trace.read_text().splitlines()
    first, last = (n for n, line in enumerate(lines) if line.startswith("getppid"))
    between = [line for line in lines[first + 1 : last] if not line.startswith(("mmap", "munmap", "brk"))]
    assert between == []
