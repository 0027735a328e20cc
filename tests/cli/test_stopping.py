"""`chronicle down` at every wrong moment: during `up`, twice, from elsewhere, without supervisord or with one that hangs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from libchronicle.cli.entry import plain_down
from libchronicle.cli.suite import Suite
from libchronicle.queue import inspect
from libchronicle.runtime.daemon import ExitCode
from libchronicle.testing.live_suite import BIN, LiveSuite


@pytest.fixture
def begun(live_suite: LiveSuite) -> Iterator[list[subprocess.Popen[str]]]:
    """Commands started in the background; those still there at the end are ended."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def begin(live_suite: LiveSuite, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [BIN / "chronicle", *arguments, "--config", "host.toml"],
        cwd=live_suite.directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def nothing_runs(live_suite: LiveSuite) -> bool:
    mark = str(live_suite.directory / "run" / "supervisor").encode()
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                line = Path("/proc", entry, "cmdline").read_bytes()
            except OSError:
                continue
            if mark in line:
                found.append(line)
    print(found)
    return not found


@pytest.mark.suite
@pytest.mark.timeout(240)
def test_down_stops_a_suite_that_an_up_is_still_starting_and_two_ups_are_one(
    live_suite: LiveSuite, begun: list[subprocess.Popen[str]]
) -> None:
    manager = live_suite.directory / "run" / "supervisor" / "supervisord.pid"
    code = live_suite.strategies / "quoter.py"
    quick = code.read_text()
    code.write_text(f"{quick}\nimport time\n\ntime.sleep(20)\n")  # `up` waits for it
    for wait_s in (0.0, 0.3):
        up = begin(live_suite, "up")
        begun.append(up)
        live_suite.wait_until(lambda: manager.exists() or up.poll() is not None, "it has begun")  # noqa: B023
        time.sleep(wait_s)
        down = live_suite.chronicle("down")
        print(down.stdout)
        assert " stopped in " in down.stdout
        assert nothing_runs(live_suite)
        out, said = up.communicate(timeout=60)
        assert up.returncode == ExitCode.NOT_READY, out + said
        assert "stopped meanwhile by `chronicle down`" in said

    code.write_text(quick)
    ups = [begin(live_suite, "up") for _ in range(3)]
    begun.extend(ups)
    outs = [up.communicate(timeout=120) for up in ups]
    assert [up.returncode for up in ups] == [0, 0, 0], outs
    assert sum("already running, nothing changed" in out for out, _ in outs) == 2
    assert all(row["healthy"] for row in live_suite.rows().values())

    down, up = begin(live_suite, "down"), begin(live_suite, "up")
    begun.extend((down, up))
    outs = [one.communicate(timeout=120) for one in (down, up)]
    assert down.returncode == 0, outs
    assert up.returncode in (0, ExitCode.NOT_READY), outs  # it came after the down, or before it


@pytest.mark.suite
@pytest.mark.timeout(240)
def test_down_finds_the_suite_from_anywhere_and_needs_no_configuration_that_up_would_take(
    live_suite: LiveSuite, tmp_path_factory: pytest.TempPathFactory
) -> None:
    live_suite.chronicle("up")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    root = live_suite.directory / "run"

    def down(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BIN / "chronicle", "down", *arguments],
            cwd=elsewhere,
            capture_output=True,
            text=True,
            check=False,
        )

    lost = down()
    assert lost.returncode == 0
    assert f"nothing runs in {elsewhere}/run" in lost.stdout
    assert f"a suite runs in {root}: chronicle down --run {root}" in lost.stderr

    config = live_suite.directory / "host.toml"
    good = config.read_text()
    config.write_text(good.replace("[exporter]", "[exporter]\nprot = 7"))
    assert live_suite.chronicle("up", check=False).returncode == ExitCode.CONFIG
    stopped = live_suite.chronicle("down")
    assert "9 daemons stopped in " in stopped.stdout
    assert nothing_runs(live_suite)

    config.write_text("version = = 1")
    unreadable = live_suite.chronicle("down", check=False)
    assert unreadable.returncode == ExitCode.CONFIG
    assert "host.toml: syntax: " in unreadable.stderr
    assert "chronicle down --run DIR" in unreadable.stderr
    config.write_text(good)
    live_suite.chronicle("up")
    assert "9 daemons stopped in " in down("--run", str(root)).stdout


@pytest.mark.suite
@pytest.mark.timeout(240)
def test_a_supervisord_that_hangs_or_has_lost_its_socket_keeps_nothing_running(live_suite: LiveSuite) -> None:
    live_suite.chronicle("up")
    os.kill(live_suite.supervisord(), signal.SIGSTOP)
    print(live_suite.chronicle("down").stdout)
    assert nothing_runs(live_suite)

    live_suite.chronicle("up")
    before = inspect(live_suite.paths.raw("binance-spot")).next_seq
    Suite(live_suite.directory / "run").socket.unlink()
    print(live_suite.chronicle("down").stdout)
    assert nothing_runs(live_suite)
    assert inspect(live_suite.paths.raw("binance-spot")).next_seq >= before


@pytest.mark.suite
@pytest.mark.timeout(240)
def test_daemons_whose_log_nobody_takes_any_more_go_on_and_end_in_order(live_suite: LiveSuite) -> None:
    live_suite.chronicle("up")
    before = live_suite.pids()
    os.kill(live_suite.supervisord(), signal.SIGKILL)
    exchange = before["exchange"]
    assert exchange
    os.kill(
        exchange, signal.SIGKILL
    )  # now every feed and strategy has something to log, into a pipe without a reader
    live_suite.wait_until(
        lambda: live_suite.rows()["feed-binance-spot"]["state"] == "connecting", "the feed has lost its venue"
    )
    time.sleep(1.0)
    after = live_suite.pids()
    assert {name: pid for name, pid in after.items() if pid} == {
        name: pid for name, pid in before.items() if name != "exchange"
    }
    assert f"{len(before) - 1} daemons stopped in " in live_suite.chronicle("down").stdout
    assert {row["state"] for name, row in live_suite.rows().items() if name != "exchange"} == {"stopped"}


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["down"], {"grace": "5"}),
        (["down", "--run", "x", "--grace=2.5"], {"run": "x", "grace": "2.5"}),
        (["down", "--config", "a=b"], {"config": "a=b", "grace": "5"}),
        (["down", "--help"], None),
        (["down", "--run"], None),
        (["down", "--grace", "long"], None),
        (["down", "--grace", "-1"], None),
        (["down", "now"], None),
        (["--debug", "down"], None),
        (["up"], None),
        ([], None),
    ],
)
def test_only_a_plain_down_takes_the_short_way(arguments: list[str], options: dict[str, str] | None) -> None:
    assert plain_down(arguments) == options


def test_down_imports_nothing_that_takes_long(tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv = ['chronicle', 'down', '--run', sys.argv[1]]; from libchronicle.cli.entry import main; main()\n"
        "heavy = {'typer', 'click', 'rich', 'msgspec', 'asyncio', 'dataclasses', 'subprocess', 'xmlrpc', 'logging'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code, str(tmp_path)], capture_output=True, text=True, check=True,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})  # fmt: skip
    assert done.stdout.splitlines()[0] == f"nothing runs in {tmp_path}"
    assert done.stdout.splitlines()[-1] == "[]"
