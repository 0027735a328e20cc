"""How a daemon is judged from outside, and how tables show it."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from pathlib import Path

import pytest

from libchronicle.bus.paths import BusPaths
from libchronicle.cli.health import DaemonStatus, judge, read_snapshots, statuses, with_rates
from libchronicle.cli.supervisor import ProgramInfo, last_exits
from libchronicle.cli.tables import render_table, seconds, size, status_table
from libchronicle.counters import CounterFile, Sample, Snapshot


def snapshot(
    state: str = "LIVE",
    pid: int = 7,
    alive: bool = True,
    age_s: float | None = 0.1,
    messages: float | None = None,
) -> Snapshot:
    samples = () if messages is None else (Sample("counter", "messages_total", {}, "", messages),)
    return Snapshot("x", state, pid, alive, time.time_ns(), age_s, samples)


def program(state: str = "RUNNING", pid: int = 7, exit_status: int = 0) -> ProgramInfo:
    return ProgramInfo("x", state, pid, exit_status, 0.0)


CASES = [
    ("beats and is ready", snapshot(), program(), "live", True, 7),
    ("beats, not ready yet", snapshot("STARTING"), program(), "starting", False, 7),
    ("no counters file and no process", None, None, "never ran", False, None),
    ("process without a counters file yet", None, program("STARTING"), "starting", False, 7),
    ("counters of the process before", snapshot(pid=6), program(), "starting", False, 7),
    ("orderly end", snapshot(alive=False, age_s=None), None, "stopped", False, None),
    ("killed with -9", snapshot(alive=False, age_s=9.0), None, "dead", False, None),
    ("loop hangs", snapshot(age_s=60.0), program(), "hung", False, 7),
    ("after a reboot", snapshot(alive=False, age_s=math.inf), None, "dead", False, None),
    ("supervisord gone, daemon lives on", snapshot(), None, "live", True, 7),
    (
        "waits to be started again",
        snapshot(alive=False),
        program("BACKOFF", 0, 78),
        "BACKOFF (exit 78)",
        False,
        None,
    ),
]


@pytest.mark.parametrize(
    ("seen", "managed", "state", "healthy", "pid"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_a_daemon_is_judged_by_its_counters_and_its_supervisor(
    seen: Snapshot | None, managed: ProgramInfo | None, state: str, healthy: bool, pid: int | None
) -> None:
    row = judge("x", seen, managed)
    assert (row.state, row.healthy, row.pid) == (state, healthy, pid)


def test_a_rate_is_the_difference_of_two_looks_of_the_same_process() -> None:
    rows = [DaemonStatus("x", 7, "live", True, 0.1)]
    before = {"x": snapshot(messages=100)}
    assert with_rates(rows, before, {"x": snapshot(messages=150)}, 0.5)[0].messages_per_s == 100
    assert with_rates(rows, before, {"x": snapshot(messages=3, pid=8)}, 0.5)[0].messages_per_s is None
    assert with_rates(rows, {"x": snapshot()}, {"x": snapshot()}, 0.5)[0].messages_per_s is None


def test_a_strategy_the_router_refuses_reads_killed_whatever_it_says_itself(tmp_path: Path) -> None:
    refused = Sample("gauge", "router_strategy_killed", {"strategy": "quoter"}, "", 1.0)
    allowed = Sample("gauge", "router_strategy_killed", {"strategy": "other"}, "", 0.0)
    router = Snapshot("router", "trading", 7, True, time.time_ns(), 0.1, (refused, allowed))
    seen = {"router": router, "strategy-quoter": snapshot("TRADING"), "strategy-other": snapshot("TRADING")}
    rows = statuses(BusPaths(tmp_path), list(seen), seen, {}, {})
    assert [row.state for row in rows] == ["trading", "killed", "trading"]


def test_a_real_counters_file_is_read_alive_and_after_its_process_was_killed(tmp_path: Path) -> None:
    paths = BusPaths(tmp_path)
    paths.services_dir.mkdir()
    code = (
        "import sys, time; from libchronicle.counters import CounterFile\n"
        "file = CounterFile.create(sys.argv[1], 'x'); file.set_state('LIVE'); file.heartbeat()\n"
        "print('ready', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(paths.counters("x"))], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        (row,) = statuses(paths, ["x"], read_snapshots(paths, ["x"]), {}, {process.pid: 12})
        assert (row.state, row.pid, row.healthy, row.lag_records) == ("live", process.pid, True, 12)
        process.kill()
        process.wait()
        (row,) = statuses(paths, ["x"], read_snapshots(paths, ["x"]), {}, {})
        assert (row.state, row.pid) == ("dead", None)


def test_a_damaged_counters_file_counts_as_never_ran(tmp_path: Path) -> None:
    paths = BusPaths(tmp_path)
    paths.services_dir.mkdir()
    paths.counters("x").write_bytes(b"nonsense")
    (row,) = statuses(paths, ["x"], read_snapshots(paths, ["x"]), {}, {})
    assert row.state == "never ran"


def test_an_orderly_end_reads_as_stopped(tmp_path: Path) -> None:
    paths = BusPaths(tmp_path)
    paths.services_dir.mkdir()
    file = CounterFile.create(paths.counters("x"), "x")
    file.heartbeat()
    file.close()
    code = "import sys; sys.exit(0)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert read_snapshots(paths, ["x"])["x"].heartbeat_age_s is None


def test_the_last_exit_of_each_program_is_found_in_supervisords_log(tmp_path: Path) -> None:
    log = tmp_path / "supervisord.log"
    assert last_exits(log) == {}
    log.write_text(
        "2026-01-01 00:00:00,1 INFO exited: router (exit status 1; not expected)\n"
        "2026-01-01 00:00:01,1 WARN exited: router (exit status 78; not expected)\n"
        "2026-01-01 00:00:02,1 WARN exited: feed-a (terminated by SIGKILL; not expected)\n"
    )
    assert last_exits(log) == {"router": 78}


def test_tables_align_numbers_right_and_names_left() -> None:
    assert (
        render_table(("A", "N"), [("x", "10"), ("long", "7")], right=(1,)) == "A      N\nx     10\nlong   7"
    )
    text = status_table([DaemonStatus("router", 12, "live", True, 0.25, 1234.4, 0, 3, 125)])
    assert text.splitlines()[1].split("  ")[0] == "router"
    assert "1,234" in text
    assert "2 m 05 s" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 m 00 s"),
        (3599, "59 m 59 s"),
        (7_500, "2 h 05 m"),
        (90_000, "1 d 01 h"),
        (9e6, "104 d 04 h"),
    ],
)
def test_durations_read_as_people_say_them(value: float, text: str) -> None:
    assert seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (128 << 20, "128.0 MiB"), (5 << 30, "5.0 GiB")],
)
def test_sizes_read_as_people_say_them(value: int, text: str) -> None:
    assert size(value) == text
