"""A host that turns bad under a running suite: rights taken away, no descriptors, no space, a clock that jumps.

Daemons either go on, or end with one line that says what is wrong, and their supervisor brings them back when it is right.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from libchronicle.queue import inspect
from libchronicle.runtime.daemon import ExitCode
from libchronicle.testing.live_suite import BIN, LiveSuite

pytestmark = [pytest.mark.suite, pytest.mark.timeout(240)]


@pytest.fixture
def live_suite(tmp_path: Path, project_root: Path) -> Iterator[LiveSuite]:
    with LiveSuite.of_deployment(tmp_path, project_root / "deploy") as suite:
        yield suite


def healthy(suite: LiveSuite) -> Callable[[], bool]:
    return lambda: all(row["healthy"] for row in suite.rows().values())


def trades(suite: LiveSuite) -> None:
    """New orders are sent and answered from now on."""
    paths = suite.paths.orders_out("quoter"), suite.paths.orders_in("quoter")
    before = [inspect(path).next_seq for path in paths]
    suite.wait_until(
        lambda: all(inspect(path).next_seq > seq for path, seq in zip(paths, before, strict=True)),
        "it trades",
    )


def test_a_daemon_without_descriptors_lives_and_recovers_when_it_has_some_again(
    live_suite: LiveSuite,
) -> None:
    live_suite.chronicle("up")
    pids = live_suite.pids()
    for name, pid in pids.items():
        assert pid is not None
        used = len(os.listdir(f"/proc/{pid}/fd"))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used, 4096))
        print(name, used)
    exchange = pids["exchange"]
    assert exchange is not None
    os.kill(
        exchange, signal.SIGKILL
    )  # its successor has descriptors; the feeds have none but those they free
    live_suite.wait_until(
        lambda: (row := live_suite.rows()["exchange"])["healthy"] and row["pid"] != exchange, "a new exchange"
    )
    time.sleep(1.0)
    for pid in pids.values():
        if pid is not None and pid != exchange and live_suite.runs(pid):
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (1024, 4096))
    live_suite.wait_until(healthy(live_suite), "all healthy again")
    trades(live_suite)


@pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can start a suite as another user and take its rights away"
)
def test_rights_taken_away_are_named_and_given_back_are_used(project_root: Path) -> None:
    nobody = 65534
    with tempfile.TemporaryDirectory(prefix="chronicle-") as name:  # pytest's lets nobody else through
        tmp_path = Path(name).resolve()
        tmp_path.chmod(0o755)
        _take_rights_away(tmp_path, project_root, nobody)


def _take_rights_away(tmp_path: Path, project_root: Path, nobody: int) -> None:
    with LiveSuite.of_deployment(tmp_path, project_root / "deploy") as suite:
        for path in [tmp_path, *tmp_path.rglob("*")]:
            os.chown(path, nobody, nobody)
        as_nobody = ["setpriv", f"--reuid={nobody}", f"--regid={nobody}", "--clear-groups"]
        command = [*as_nobody, str(BIN / "chronicle")]

        def run(*arguments: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [*command, *arguments, "--config", "host.toml"], cwd=tmp_path, capture_output=True, text=True,
                check=False, env={**os.environ, "HOME": str(tmp_path), "COLUMNS": "200"},
            )  # fmt: skip

        up = run("up")
        if "Permission denied" in up.stderr and str(tmp_path) not in up.stderr:
            pytest.skip(f"another user cannot run this interpreter: {up.stderr[-200:]}")
        assert up.returncode == 0, up.stdout + up.stderr
        queues = tmp_path / "run" / "market_data" / "queue" / "binance-spot"
        queues.chmod(0o000)
        pid = suite.pids()["feed-binance-spot"]
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        log = tmp_path / "run" / "logs" / "feed-binance-spot.log"
        suite.wait_until(lambda: "NoPermission" in log.read_text(), "the feed says what it may not")
        suite.wait_until(
            lambda: f"(exit {int(ExitCode.HOST)})" in suite.rows()["feed-binance-spot"]["state"],
            "status shows its exit",
        )
        assert "Traceback" not in log.read_text()
        queues.chmod(0o2750)
        suite.wait_until(healthy(suite), "it is back by itself")
        os.chown(tmp_path / "run" / "services", 0, 0)
        (tmp_path / "run" / "services").chmod(0o700)
        router = suite.pids()["router"]
        assert router is not None
        os.kill(router, signal.SIGKILL)
        log = tmp_path / "run" / "logs" / "router.log"
        suite.wait_until(lambda: "Permission denied" in log.read_text(), "the router says what it may not")
        os.chown(tmp_path / "run" / "services", nobody, nobody)
        (tmp_path / "run" / "services").chmod(0o2750)
        suite.wait_until(healthy(suite), "it is back by itself")
        trades(suite)
        run("down")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
def test_a_full_run_directory_is_named_and_outlived(tmp_path: Path, project_root: Path) -> None:
    disk = tmp_path / "run"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=340m,mode=755", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("nothing may be mounted here")
    try:
        with LiveSuite.of_deployment(tmp_path, project_root / "deploy") as suite:
            for feed in suite.tables["feeds"].values():
                feed["segment_size"] = 1 << 20
            suite.tables["exchange"]["rate"] = 2000.0
            suite.write()
            suite.chronicle("up")
            ballast = disk / "ballast"
            room = os.statvfs(disk)
            with ballast.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize)
            feed = suite.paths.raw("binance-spot")
            suite.wait_until(
                lambda: suite.rows()["feed-binance-spot"]["state"] == "queue full",
                "the feed has filled what it had",
            )
            assert "NoSpace" in (disk / "logs" / "feed-binance-spot.log").read_text() or any(
                "no space" in line.lower()
                for line in suite.chronicle("errors", "feed-binance-spot").stdout.splitlines()
            )
            full = inspect(feed).next_seq
            pids = suite.pids()
            ballast.unlink()
            suite.wait_until(lambda: inspect(feed).next_seq > full + 100, "records flow again")
            suite.wait_until(healthy(suite), "all healthy again")
            assert suite.pids() == pids, "a full disk ended nobody"
            trades(suite)
            assert suite.chronicle("queue", "verify", check=False).returncode in (0, int(ExitCode.HOLES))
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


CLOCK_C = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <sys/time.h>

static long shift(void) {  /* seconds, read anew each time */
    char text[32] = {0};
    int fd = open(getenv("CLOCK_SHIFT"), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    if (read(fd, text, sizeof text - 1) < 0) text[0] = 0;
    close(fd);
    return atol(text);
}

int clock_gettime(clockid_t id, struct timespec *out) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(id, out);
    if (!failed && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) out->tv_sec += shift();
    return failed;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    out->tv_sec = now.tv_sec;
    out->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
"""


def test_a_clock_that_jumps_an_hour_back_and_a_day_ahead_stops_nobody(
    live_suite: LiveSuite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, shim, shift = tmp_path / "clock.c", tmp_path / "clock.so", tmp_path / "shift"
    source.write_text(CLOCK_C)
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", shim, source, "-ldl"], check=True)
    shift.write_text("0")
    monkeypatch.setenv("LD_PRELOAD", str(shim))
    monkeypatch.setenv("CLOCK_SHIFT", str(shift))
    live_suite.chronicle("up")
    pids = live_suite.pids()
    for seconds in (-3600, 86_400, 0):
        shift.write_text(str(seconds))
        time.sleep(1.0)
        live_suite.wait_until(healthy(live_suite), f"healthy with the clock {seconds} s off")
        trades(live_suite)
        assert live_suite.pids() == pids, f"nobody ended with the clock {seconds} s off"
    print(live_suite.chronicle("down").stdout)
    monkeypatch.delenv("LD_PRELOAD")
    assert live_suite.chronicle("queue", "verify").returncode == 0


def test_a_run_directory_that_is_a_file_or_of_somebody_else_is_refused_in_a_line(
    live_suite: LiveSuite,
) -> None:
    (live_suite.directory / "run").write_text("in the way")
    up = live_suite.chronicle("up", check=False)
    assert up.returncode == ExitCode.HOST, up.stderr
    assert "run" in up.stderr
    assert "Traceback" not in up.stderr
    for program, more in (
        ("chronicle-router", []),
        ("chronicle-exporter", []),
        ("chronicle-archive-tier", []),
        ("chronicle-feed", ["--name", "binance-spot"]),
    ):
        done = subprocess.run(
            [str(BIN / program), "--config", "host.toml", *more],
            cwd=live_suite.directory, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode in (ExitCode.HOST, ExitCode.MISUSE), done.stderr
        assert "Traceback" not in done.stderr
        assert str(live_suite.directory / "run") in done.stderr
    (live_suite.directory / "run").unlink()
