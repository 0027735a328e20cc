"""`chronicle bus doctor`: each thing that is wrong is told with its place and its remedy, and nothing when nothing is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from libchronicle.bus.kill_word import KillWord
from libchronicle.bus.lease import Lease
from libchronicle.bus.paths import LEASE, READY, BusPaths
from libchronicle.cli.doctor.host import check_hot, check_space
from libchronicle.cli.main import app
from libchronicle.counters import CounterFile
from libchronicle.queue import Publisher, Queue, QueueConfig, inspect, repair

CONFIG = QueueConfig(segment_size=1 << 16, durable=("etl",), retain_segments=1000)


@pytest.fixture
def paths(tmp_path: Path) -> BusPaths:
    paths = BusPaths(tmp_path / "run")
    with Queue.open_publisher(paths.raw("demo"), CONFIG) as writer:
        for _ in range(2000):
            writer.append(1, bytes(100))
        with Queue.open_subscriber(paths.raw("demo"), "etl") as reader:
            reader.drain()
            reader.commit()
    KillWord(paths).initialise()
    return paths


def doctor(paths: BusPaths, *flags: str) -> tuple[int, list[dict[str, Any]]]:
    result = CliRunner().invoke(
        app, ["bus", "doctor", "--json", *flags, "--run", str(paths.root)], catch_exceptions=False
    )
    return result.exit_code, json.loads(result.stdout)["findings"]


def told(paths: BusPaths, place: str) -> list[tuple[str, str]]:
    """(level, what) of findings at a place; limits and clock of this machine are nobody's matter here."""
    _, found = doctor(paths)
    assert all(finding["remedy"] for finding in found)
    return [(f["level"], f["what"]) for f in found if place in f["place"]]


DEMO = "market_data/queue/demo"


def test_a_good_run_directory_has_nothing_wrong(paths: BusPaths) -> None:
    code, found = doctor(paths)
    assert code == 0
    assert [f for f in found if "limit" not in f["place"] and f["place"] != "clock"] == []
    result = CliRunner().invoke(app, ["bus", "doctor", "--run", str(paths.root)])
    assert result.exit_code == 0


def test_a_run_directory_that_is_not_there(tmp_path: Path) -> None:
    code, found = doctor(BusPaths(tmp_path / "nosuch"))
    assert (code, found[0]["level"], found[0]["what"]) == (71, "error", "no such run directory")


def test_a_damaged_control_page(paths: BusPaths) -> None:
    os.truncate(paths.raw("demo") / "control.meta", 10)
    code, found = doctor(paths)
    assert code == 65
    (finding,) = [f for f in found if f["place"] == DEMO]
    assert finding["corrupt"]
    assert f"chronicle queue repair {DEMO}" in finding["remedy"]


def test_small_files_that_are_missing(paths: BusPaths) -> None:
    queue = paths.raw("demo")
    (queue / "READY").unlink()
    (queue / "notify.meta").write_bytes(b"x")
    (queue / "000000001.idx").unlink()
    assert told(paths, DEMO) == [
        ("error", "READY is missing: no reader can open it"),
        ("warning", "notify.meta is missing or damaged: readers poll"),
        ("warning", "1 index missing: seeks are slow"),
    ]
    repair(queue)
    assert told(paths, DEMO) == []


def test_a_damaged_and_a_quarantined_segment(paths: BusPaths) -> None:
    with (paths.raw("demo") / "000000001.q").open("r+b") as file:
        file.write(b"\xff")
    assert told(paths, DEMO) == [("error", "damaged segments: 1")]
    assert doctor(paths)[0] == 65


def test_a_page_that_was_built_anew_and_its_evidence(paths: BusPaths) -> None:
    os.truncate(paths.raw("demo") / "control.meta", 10)
    Queue.open_publisher(paths.raw("demo"), CONFIG).close()
    (first, second) = told(paths, DEMO)
    assert first == ("warning", "its control page was built anew 1 times")
    assert second[0] == "note"
    assert "control.meta.damaged-" in second[1]


@pytest.fixture
def writer_process(paths: BusPaths) -> Iterator[subprocess.Popen[str]]:
    code = """
        import sys
        from libchronicle.queue import Queue, QueueConfig
        writer = Queue.open_publisher(sys.argv[1], QueueConfig(segment_size=1 << 16))
        print("there", flush=True)
        sys.stdin.readline()
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(paths.raw("demo"))]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    child.stdout.readline()
    yield child
    child.kill()
    child.communicate()


def test_a_writer_that_is_silent_and_one_that_died(
    paths: BusPaths, writer_process: subprocess.Popen[str]
) -> None:
    pid = writer_process.pid
    writer_process.send_signal(signal.SIGSTOP)
    deadline = time.monotonic() + 20
    while not (errors := [what for level, what in told(paths, DEMO) if level == "error"]):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert errors[0].startswith(f"its writer (pid {pid}) holds the lock and has been silent for")
    writer_process.kill()
    writer_process.wait()
    level, what = told(paths, DEMO)[0]
    assert level == "warning"
    assert what.startswith(f"its writer (pid {pid}) died")


def test_a_writer_whose_page_was_taken_away(paths: BusPaths, writer_process: subprocess.Popen[str]) -> None:
    page = paths.raw("demo") / "control.meta"
    copy = page.read_bytes()
    page.unlink()
    page.write_bytes(copy)
    (first, *_) = told(paths, DEMO)
    assert first == (
        "error",
        f"pid {writer_process.pid} writes to it, but the page it has locked stands here no longer",
    )


def append(writer: Publisher, records: int) -> None:
    for _ in range(records):
        writer.append(1, bytes(1000))


def test_a_durable_reader_that_looks_in_now_and_then_is_told_of_once_its_process_is_gone(
    paths: BusPaths,
) -> None:
    queue = paths.raw("demo")
    with Queue.open_publisher(queue, CONFIG) as writer:
        append(writer, 500)
    code = """
        import sys
        from libchronicle.queue import Queue
        with Queue.open_subscriber(sys.argv[1], "etl", start="earliest") as reader:
            reader.next()
            reader.commit()
        print("been there", flush=True)
        sys.stdin.readline()
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(queue)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as visitor:
        assert visitor.stdout is not None
        visitor.stdout.readline()
        assert told(paths, "reader etl") == []
        visitor.kill()
        visitor.wait()
    ((level, what),) = told(paths, "reader etl")
    assert (level, what.split(", and")[0]) == ("warning", "is durable, does not run")


def test_readers_that_hold_back_lag_or_are_forgotten(paths: BusPaths) -> None:
    queue = paths.raw("demo")
    Queue.open_subscriber(queue, "gone").close()
    with Queue.open_subscriber(queue, "slow"), Queue.open_publisher(queue, CONFIG) as writer:
        append(writer, 500)
        found = {f["place"]: (f["level"], f["what"]) for f in doctor(paths)[1]}
    assert found[f"{DEMO} reader etl"][0] == "warning"
    assert "is durable, does not run, and holds back" in found[f"{DEMO} reader etl"][1]
    assert "behind" in found[f"{DEMO} reader slow"][1]
    assert found[f"{DEMO} reader gone"][0] == "note"
    os.truncate(queue / "readers" / "gone.meta", 5)
    assert told(paths, "reader gone") == [("warning", "its page is damaged, its position lost")]


def test_a_durable_reader_of_a_queue_that_nobody_writes_is_a_note(paths: BusPaths) -> None:
    """As after every orderly `down`: what came last waits for the next `up`."""
    with Queue.open_publisher(paths.raw("demo"), CONFIG) as writer:
        Queue.open_subscriber(paths.raw("demo"), "etl").close()
        append(writer, 3)
        assert told(paths, "reader etl")[0][0] == "warning"
    assert told(paths, "reader etl")[0][0] == "note"


def test_a_budget_that_is_nearly_used_up(paths: BusPaths) -> None:
    config = QueueConfig(segment_size=1 << 16, budget_bytes=20 << 16, retain_segments=1000, durable=("etl",))
    with Queue.open_publisher(paths.raw("demo"), config) as writer:
        append(writer, 800)
    assert any("of its budget of" in what for _, what in told(paths, DEMO))


def test_space_is_measured_against_budgets(paths: BusPaths) -> None:
    info = inspect(paths.raw("demo"))
    assert list(check_space(paths.root, [("demo", info)])) == []
    import msgspec

    greedy = msgspec.structs.replace(info, budget_bytes=1 << 60)
    (finding,) = check_space(paths.root, [("demo", greedy)])
    assert "the budgets of 1 queues allow" in finding.what


def test_daemons_that_died_hang_or_left_no_readable_file(paths: BusPaths) -> None:
    paths.services_dir.mkdir(parents=True)
    living = CounterFile.create(paths.counters("here"), "here")
    living.heartbeat()
    code = """
        import os, sys
        from libchronicle.counters import CounterFile
        CounterFile.create(sys.argv[1], "x").heartbeat()
        os.kill(os.getpid(), 9)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code), str(paths.counters("killed"))], check=False)
    paths.counters("garbled").write_bytes(b"x" * 10_000)
    paths.errors("here").write_bytes(b"junk")
    assert told(paths, "here") == [("warning", "here.errors is damaged or cut short")]
    ((level, what),) = told(paths, "killed")
    assert (level, "without an orderly end" in what) == ("error", True)
    assert told(paths, "garbled")[0][0] == "error"
    living.close()


def test_stale_leases(paths: BusPaths) -> None:
    for name in ("alive", "ended", "late", "bare", "garbled"):
        paths.endpoint(name).mkdir(parents=True)
        (paths.endpoint(name) / READY).write_text("")
    alive = Lease(paths.endpoint("alive") / LEASE, 1, 60.0)
    late = Lease(paths.endpoint("late") / LEASE, 1, 0.0)
    code = """
        import os, sys
        from pathlib import Path
        from libchronicle.bus.lease import Lease
        lease = Lease(Path(sys.argv[1]), 1, 60.0)
        os._exit(0)
    """
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(paths.endpoint("ended") / LEASE)], check=True
    )
    (paths.endpoint("garbled") / LEASE).write_bytes(b"?")
    assert told(paths, "endpoint alive") == []
    assert "has ended" in told(paths, "endpoint ended")[0][1]
    assert "has run out" in told(paths, "endpoint late")[0][1]
    assert told(paths, "endpoint bare") == [("warning", "READY without a lease")]
    assert told(paths, "endpoint garbled") == [("error", "its LEASE cannot be read")]
    alive.release()
    late.release()


def test_the_kill_word(paths: BusPaths) -> None:
    KillWord(paths).kill("venue is broken")
    ((level, what),) = told(paths, "kill.word")
    assert (level, "venue is broken" in what) == ("warning", True)
    paths.kill_word.unlink()
    assert "no order passes" in told(paths, "kill.word")[0][1]


def test_files_that_others_may_write(paths: BusPaths) -> None:
    (paths.raw("demo") / "control.meta").chmod(0o666)
    paths.services_dir.mkdir(parents=True)
    paths.services_dir.chmod(0o777)
    assert told(paths, "control.meta") == [("error", "others may write it")]
    assert told(paths, "services") == [("error", "others may write it")]


def test_a_hot_directory_that_is_gone(tmp_path: Path) -> None:
    (finding,) = check_hot(tmp_path / "hot")
    assert "emptied by a reboot" in finding.what


def test_a_supervisord_that_is_gone(paths: BusPaths) -> None:
    (paths.root / "supervisor").mkdir()
    (paths.root / "supervisor" / "supervisord.pid").write_text("999999999\n")
    assert "is gone without" in told(paths, "supervisord.pid")[0][1]
