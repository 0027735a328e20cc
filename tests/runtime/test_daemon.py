"""Lifecycle of daemons, with real processes, signals and notification sockets."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from libchronicle import errors
from libchronicle.runtime.daemon import Daemon, ExitCode, exit_code, run_daemon, told
from libchronicle.runtime.notify import Notifier

HOST = Path(__file__).parents[2] / "deploy" / "host.toml"

HOT = """
import sys, time
from libchronicle.runtime.daemon import Daemon, run_daemon
def body(config, options, log):
    with Daemon("hot") as daemon:
        daemon.ready()
        print("ready", flush=True)
        while daemon.running:
            daemon.beat()
            time.sleep(0.01)
    time.sleep(0.2)  # closing; a second signal must not cut it short
    print("closed", daemon.stop_reason, flush=True)
sys.exit(run_daemon("chronicle-hot", body, description="test"))
"""

ASYNC = """
import asyncio, sys, time
from libchronicle.runtime.daemon import Daemon, run_daemon
def body(config, options, log):
    daemon = Daemon("cool", beat=lambda: print("beat", flush=True), interval_s=0.05)
    async def serve(daemon):
        daemon.ready()
        print("ready", flush=True)
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            print("finally", flush=True)
    daemon.run_async(serve)
    time.sleep(0.2)
    print("closed", daemon.stop_reason, flush=True)
sys.exit(run_daemon("chronicle-cool", body, description="test"))
"""


def start(code: str, *arguments: str, **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), "--config", str(HOST), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environ},
    )


def wait_for(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == word:
            return
    raise AssertionError(f"never said {word}: {process.stderr.read() if process.stderr else ''}")


@pytest.mark.parametrize("code", [HOT, ASYNC], ids=["plain loop", "event loop"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_stop_signal_ends_the_loop_and_a_second_one_does_not_cut_its_closing_short(
    code: str, number: signal.Signals
) -> None:
    with start(code) as process:
        wait_for(process, "ready")
        process.send_signal(number)
        time.sleep(0.1)
        process.send_signal(number)
        out, log = process.communicate(timeout=20)
    assert process.returncode == 0, log
    assert out.strip().endswith(f"closed {number.name}")
    assert ("finally" in out) == (code is ASYNC)
    assert "event=stopped" in log


def test_an_event_loop_beats_by_itself() -> None:
    with start(ASYNC) as process:
        wait_for(process, "ready")
        for _ in range(3):
            wait_for(process, "beat")
        process.terminate()
        process.communicate(timeout=20)


BROKEN = """
import sys
from libchronicle import errors
from libchronicle.runtime.daemon import run_daemon
def body(config, options, log):
    raise {error}
sys.exit(run_daemon("chronicle-broken", body, description="test"))
"""


def test_what_goes_wrong_becomes_one_line_and_an_exit_code() -> None:
    with start(BROKEN.format(error="errors.NoSpace(path='/q', size=7)")) as process:
        _, log = process.communicate(timeout=20)
    assert process.returncode == ExitCode.HOST
    (line,) = [line for line in log.splitlines() if "level=error" in line]
    assert "error=NoSpace" in line
    assert "Traceback" not in log


def test_a_bug_exits_as_internal_with_its_traceback_in_the_log() -> None:
    with start(BROKEN.format(error="KeyError('x')")) as process:
        _, log = process.communicate(timeout=20)
    assert process.returncode == ExitCode.INTERNAL
    assert "traceback=" in log


def test_a_wrong_configuration_exits_as_such(tmp_path: Path) -> None:
    with start(HOT, "--config", str(tmp_path / "nowhere.toml")) as process:
        _, log = process.communicate(timeout=20)
    assert process.returncode == ExitCode.CONFIG
    assert "no such file" in log


CODES: Sequence[tuple[BaseException, ExitCode]] = [
    (errors.ConfigError(file="f", key="k", reason="r"), ExitCode.CONFIG),
    (errors.WriterAlreadyActive(path="q", pid=1), ExitCode.MISUSE),
    (errors.StrategyFailed(strategy="s", count=5, window_s=60.0, reason="r"), ExitCode.FAILED),
    (errors.Corrupt(path="q", segment=0, offset=0, seq=0, reason="r"), ExitCode.CORRUPT),
    (errors.NotReady(path="q"), ExitCode.NOT_READY),
    (errors.NoSpace(path="q", size=1), ExitCode.HOST),
    (errors.InternalError(reason="r"), ExitCode.INTERNAL),
    (ValueError(), ExitCode.INTERNAL),
    (told(PermissionError(errno.EACCES, "denied", "/x")), ExitCode.HOST),
    (told(OSError(errno.ENOSPC, "full", "/x")), ExitCode.HOST),
    (told(OSError(errno.EMFILE, "too many open files")), ExitCode.HOST),
    (told(ConnectionResetError(errno.ECONNRESET, "reset")), ExitCode.INTERNAL),
]


@pytest.mark.parametrize(("error", "code"), CODES, ids=[type(error).__name__ for error, _ in CODES])
def test_each_branch_of_the_error_tree_has_its_exit_code(error: BaseException, code: ExitCode) -> None:
    assert exit_code(error) is code


def test_a_heartbeat_comes_four_times_a_second_however_fast_the_loop_turns() -> None:
    beats: list[int] = []
    now = 0
    daemon = Daemon("hot", beat=lambda: beats.append(now))
    for now in range(0, 2_000_000_000, 1_000_000):
        daemon.beat(now)
    assert len(beats) == 8


def test_stop_wakes_whoever_asked_for_it_and_keeps_the_first_reason() -> None:
    woken: list[str] = []
    daemon = Daemon("hot")
    daemon.on_stop(lambda: woken.append("up"))
    daemon.stop("first")
    daemon.stop("second")
    assert (daemon.running, daemon.stop_reason) == (False, "first")
    assert woken


@pytest.mark.parametrize("abstract", [False, True], ids=["path", "abstract"])
def test_the_service_manager_hears_ready_watchdog_and_stopping(tmp_path: Path, abstract: bool) -> None:
    name = f"@chronicle-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name[1:] if abstract else name)
        manager.settimeout(20)
        with start(HOT, NOTIFY_SOCKET=name, WATCHDOG_USEC="300000") as process:
            assert manager.recv(200) == b"READY=1"
            assert manager.recv(200) == b"WATCHDOG=1"
            assert manager.recv(200) == b"WATCHDOG=1"
            process.terminate()
            while (heard := manager.recv(200)) == b"WATCHDOG=1":
                pass
            assert heard == b"STOPPING=1"
            process.communicate(timeout=20)


def test_a_notifier_without_a_manager_or_after_its_end_is_silent(tmp_path: Path) -> None:
    Notifier({}).send("READY=1")
    path = str(tmp_path / "notify")
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(path)
    notifier = Notifier({"NOTIFY_SOCKET": path})
    manager.close()
    notifier.send("READY=1")
    notifier.close()
    notifier.send("STOPPING=1")


def test_a_wrong_flag_is_misuse_so_that_no_supervisor_tries_again(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run_daemon("chronicle-x", lambda *given: None, description="test", argv=["--nosuch"])
    assert ended.value.code == ExitCode.MISUSE
    assert "unrecognized arguments: --nosuch" in capsys.readouterr().err
