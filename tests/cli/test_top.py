"""`chronicle top` on a real terminal."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

CHRONICLE = str(Path(sys.executable).parent / "chronicle")


@pytest.mark.parametrize("key", [b"q", b"\x03"], ids=["q", "ctrl-c"])
def test_top_shows_the_table_until_a_key_and_leaves_the_terminal_as_it_was(
    tmp_path: Path, key: bytes
) -> None:
    (tmp_path / "run").mkdir()
    master, slave = pty.openpty()
    try:
        before = termios.tcgetattr(slave)
        with subprocess.Popen(
            [CHRONICLE, "top", "--interval", "0.1"],
            cwd=tmp_path,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm"},
        ) as process:
            shown = b""
            deadline = time.monotonic() + 30
            while b"q quits" not in shown and time.monotonic() < deadline:
                if select.select([master], [], [], 0.2)[0]:
                    shown += os.read(master, 4096)
            assert b"DAEMON" in shown
            os.write(master, key) if key == b"q" else process.send_signal(2)
            while process.poll() is None and time.monotonic() < deadline:
                if select.select([master], [], [], 0.1)[0]:
                    os.read(master, 4096)
            assert process.wait(5) in (0, 130)
        assert termios.tcgetattr(slave) == before
    finally:
        os.close(master)
        os.close(slave)


def test_without_a_terminal_top_prints_one_table_after_the_other(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with subprocess.Popen(
        [CHRONICLE, "top", "--interval", "0.1"], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        tables = 0
        for line in process.stdout:
            tables += line.startswith("DAEMON")
            if tables == 2:
                break
        process.send_signal(2)
        process.stdout.read()
        assert process.wait(30) in (0, 130)
