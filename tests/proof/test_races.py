"""Threads under ThreadSanitizer, and processes against each other: no torn read, no lost wake-up, no race."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.proof.conftest import LONG_LIMIT_S

PLAIN = ("-Wno-format-truncation",)
TSAN = (*PLAIN, "-O1", "-fsanitize=thread", "-Wno-tsan")


def run(program: Path, *args: object) -> str:
    done = subprocess.run(
        [str(program), *map(str, args)], capture_output=True, text=True, timeout=LONG_LIMIT_S, check=False
    )
    assert done.returncode == 0, done.stderr[-6000:]
    return done.stdout


def test_threads_of_the_core_do_not_race(linked, memory_dir, scale, report):
    """ThreadSanitizer does not model fences; none is needed for what it checks, see chr_atomic.h."""
    program = linked("threads", "one_address", flags=TSAN, wraps="mmap munmap")
    records = scale(4_000, 100_000)
    assert run(program, memory_dir / "q", records) == "ok\n"
    report(records=records)


@pytest.mark.parametrize(
    ("what", "short", "long", "counted"),
    [("races", 20_000_000, 1_000_000_000, "words"), ("sleeps", 20_000, 1_000_000, "sleeps")],
)
def test_processes_find_nothing_torn_and_nobody_is_left_asleep(
    linked, memory_dir, scale, report, what, short, long, counted
):
    program = linked("torture", flags=PLAIN, wraps="syscall chr_stock_hurried")
    wanted = scale(short, long)
    figures = json.loads(run(program, what, memory_dir / "q", wanted))
    report(**figures)
    print(figures)
    assert figures[counted] >= wanted
    assert figures["sleeps"] > 0
    assert figures["lost_wakeups"] == 0
    if what == "races":
        assert figures["rolls"] > 0
        assert figures["unlinked"] > 0
        assert figures["used_again"] > 0
