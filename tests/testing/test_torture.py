"""`chronicle torture`: passes on a sound queue, and really can fail."""

from __future__ import annotations

import itertools
import json
import os
import pwd
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from libchronicle.errors import HostError
from libchronicle.testing.torture import TortureOptions, plan, run_torture
from libchronicle.testing.torture.flips import CONFIG, make_original
from libchronicle.testing.torture.records import Records

CHRONICLE = str(Path(sys.executable).parent / "chronicle")


def test_the_same_seed_is_the_same_plan() -> None:
    streams = (plan.crash_rounds, plan.stop_rounds, plan.disk_rounds, plan.flip_rounds)
    for stream in streams:
        first = list(itertools.islice(stream(7), 50))
        assert first == list(itertools.islice(stream(7), 50))
        assert first != list(itertools.islice(stream(8), 50))
    assert plan.digest(7) == plan.digest(7) != plan.digest(8)


def test_a_record_tells_whether_it_is_what_was_written() -> None:
    records = Records(3)
    sizes = {len(records.payload(seq)) for seq in range(2000)}
    assert min(sizes) < 50
    assert max(sizes) > 900
    assert Records(3).payload(5) == records.payload(5) != Records(4).payload(5)


@pytest.mark.parametrize("fault", plan.FAULTS)
def test_a_sound_file_system_passes_and_nothing_is_left(tmp_path: Path, fault: str) -> None:
    (tmp_path / "mine").write_text("not to be touched")
    told: list[tuple[str, float, int]] = []
    options = TortureOptions(seed=1, rounds=8, faults=(fault,))
    verdict = run_torture(tmp_path, options, lambda *what: told.append(what))
    assert verdict.passed, verdict
    assert [result.rounds for result in verdict.results] == [8]
    assert verdict.results[0].checked > 100
    assert told[-1] == (fault, 1.0, 8)
    assert [file.name for file in tmp_path.iterdir()] == ["mine"]


def zero_a_frame(queue: Path) -> None:
    """What a file system does that loses a page: the last records of the live segment are zeros."""
    segments = [file for file in sorted(queue.glob("*.q")) if any(file.read_bytes()[128:132])]
    data = segments[-1].read_bytes()
    end = len(data.rstrip(b"\0"))
    with segments[-1].open("r+b") as file:
        file.seek(max(128, end - 3000))
        file.write(bytes(end - max(128, end - 3000)))


def alter_a_record(queue: Path) -> None:
    """What nothing but a wrong expectation or a broken checksum lets through: other bytes, soundly framed."""
    from libchronicle.queue import Queue

    with Queue.open_publisher(queue) as writer:
        writer.append(1, b"nobody expects this")


@pytest.mark.parametrize(("tamper", "kind"), [(zero_a_frame, "losses"), (alter_a_record, "torn")])
def test_a_file_system_that_loses_or_alters_records_fails(tmp_path: Path, tamper, kind: str) -> None:
    options = TortureOptions(seed=2, rounds=30, faults=("crash",))
    verdict = run_torture(tmp_path, options, tamper=tamper)
    (result,) = verdict.results
    assert not verdict.passed
    assert getattr(result, kind) > 0, result
    evidence = Path(verdict.evidence)
    assert (evidence / "crash" / "queue" / "control.meta").exists()
    assert json.loads((evidence / "verdict.json").read_text())["seed"] == 2


def test_a_place_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("nowhere", "file"):
        with pytest.raises(HostError, match="no such directory"):
            run_torture(tmp_path / name, TortureOptions(seed=1, rounds=1))


def command(*arguments: object) -> list[str]:
    return [CHRONICLE, "torture", *map(str, arguments)]


def test_the_command_prints_a_table_and_the_seed(tmp_path: Path) -> None:
    done = subprocess.run(
        command(tmp_path, "--seed", 5, "--rounds", 3),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("seed 5\n")
    assert f"PASS  (seed 5, plan {plan.digest(5)})" in done.stdout
    assert "futex_waitv" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_command_fails_when_somebody_harms_the_queue(tmp_path: Path) -> None:
    child = subprocess.Popen(
        command(tmp_path, "--seed", 5, "--minutes", 1, "--faults", "crash", "--json"),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 60
        while child.poll() is None and time.monotonic() < deadline:
            for segment in tmp_path.glob("*/crash/queue/*.q"):
                harm(segment)
            time.sleep(0.05)
        out, _ = child.communicate(timeout=60)
    finally:
        child.kill()
    assert child.returncode == 65, out
    facts = json.loads(out.splitlines()[-1])
    assert facts["passed"] is False
    assert Path(facts["evidence"]).is_dir()


def harm(segment: Path) -> None:
    """A bit of the last record in it."""
    try:
        with segment.open("r+b") as file:
            end = len(file.read().rstrip(b"\0"))
            file.seek(max(160, end - 40))
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 4]))
    except (FileNotFoundError, IndexError):
        return  # retention was faster


def test_who_may_not_mount_fills_the_disk_by_a_limit() -> None:
    if os.getuid() != 0:
        pytest.skip("needs root to become nobody")
    nobody = pwd.getpwnam("nobody")
    with tempfile.TemporaryDirectory(prefix="chronicle-nobody-") as top:
        os.chown(top, nobody.pw_uid, nobody.pw_gid)
        arguments = command(top, "--seed", 5, "--rounds", 4, "--faults", "disk", "--json")
        try:
            done = subprocess.run(
                arguments,
                user=nobody.pw_uid,
                group=nobody.pw_gid,
                extra_groups=[],
                cwd=top,
                capture_output=True,
                text=True,
                timeout=100,
                check=False,
            )
        except PermissionError:
            pytest.skip(f"{CHRONICLE} may not be run by nobody")
        if "PermissionError" in done.stderr or "ModuleNotFoundError" in done.stderr:
            pytest.skip("this checkout may not be read by nobody")
        assert done.returncode == 0, done.stdout + done.stderr
        (result,) = json.loads(done.stdout.splitlines()[-1])["results"]
        assert "RLIMIT_FSIZE" in result["note"]
        assert result["rounds"] == 4
        assert result["recovery_p50_s"] > 0


def test_an_interrupted_run_leaves_nothing(tmp_path: Path) -> None:
    child = subprocess.Popen(command(tmp_path, "--minutes", 5), stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("*/crash/queue/READY")) and time.monotonic() < deadline:
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "interrupted" in out
    assert list(tmp_path.iterdir()) == []


def test_the_queue_that_bits_are_flipped_in_is_what_the_plan_needs(tmp_path: Path) -> None:
    records, committed = make_original(tmp_path / "q", 1)
    assert 0 < committed < records
    assert len(list((tmp_path / "q").glob("*.q"))) >= 3
    assert CONFIG.segment_size == 1 << 15


@pytest.mark.parametrize("minutes", ["nan", "inf"])
def test_a_time_that_is_no_number_is_refused(tmp_path: Path, minutes: str) -> None:
    done = subprocess.run(
        [str(word) for word in command(tmp_path, "--minutes", minutes)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 64
    assert "--minutes" in done.stderr
