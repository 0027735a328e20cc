"""The whole suite, up and down, with real daemons: a crash of anything, resumption, changes while it runs."""

from __future__ import annotations

import json
import os
import signal
import socket
import urllib.request
from pathlib import Path

import pytest

from libchronicle.queue import inspect
from libchronicle.runtime.daemon import ExitCode
from libchronicle.testing.live_suite import LiveSuite

pytestmark = [pytest.mark.suite, pytest.mark.timeout(240)]

DAEMONS = [
    "exchange",
    "feed-binance-spot",
    "feed-binance-usdm",
    "etl",
    "router",
    "strategy-imbalance_taker",
    "strategy-quoter",
    "archive-tier",
    "exporter",
]


def shown_market(suite: LiveSuite) -> set[str]:
    return {row["state"] for row in json.loads(suite.chronicle("market", "--json").stdout)}


def test_up_makes_every_daemon_healthy_down_stops_all_and_up_resumes_the_queues(
    live_suite: LiveSuite,
) -> None:
    up = live_suite.chronicle("up")
    table = [line for line in up.stdout.splitlines() if line.split() and line.split()[0] in DAEMONS]
    assert [line.split()[0] for line in table] == DAEMONS
    for word in ("chronicle top", "chronicle status", "chronicle down"):
        assert word in up.stdout
    rows = live_suite.rows()
    assert all(row["healthy"] for row in rows.values()), rows
    assert "DAEMON" in live_suite.chronicle("top", "--once", "--interval", "0.3").stdout
    assert live_suite.chronicle("status", "--check").returncode == 0
    port = live_suite.tables["exporter"]["port"]
    metrics = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20).read().decode()
    assert 'chronicle_up{daemon="router"} 1.0' in metrics

    live_suite.wait_until(lambda: shown_market(live_suite) == {"ok"}, "every instrument has a market")
    one = json.loads(live_suite.chronicle("market", "binance-spot:BTCUSDT", "--json").stdout)[0]
    assert 0 < float(one["bid"]) < float(one["ask"]), one
    assert "binance-spot:BTCUSDT" in live_suite.chronicle("market").stdout

    again = live_suite.chronicle("up")
    assert "already running, nothing changed" in again.stdout
    assert live_suite.pids() == {name: row["pid"] for name, row in rows.items()}

    live_suite.chronicle("kill", "--all", "--reason", "test")
    live_suite.wait_until(
        lambda: live_suite.rows()["router"]["state"] == "killed", "the router sees the kill word"
    )
    live_suite.wait_until(
        lambda: live_suite.rows()["strategy-quoter"]["state"] == "killed", "its strategies show it"
    )
    killed = live_suite.chronicle("up").stdout
    assert "KILLED at" in killed
    assert "`chronicle kill --clear` allows trading" in killed
    live_suite.chronicle("kill", "--clear")
    live_suite.wait_until(
        lambda: live_suite.rows()["router"]["state"] == "trading", "trading is allowed again"
    )
    said = live_suite.chronicle("kill", "quoter").stdout
    assert "`chronicle kill quoter --clear`" in said
    live_suite.wait_until(
        lambda: "not for KILLED quoter" in live_suite.chronicle("status").stdout, "the banner names quoter"
    )
    rows = live_suite.rows()
    assert [rows[f"strategy-{name}"]["state"] for name in ("quoter", "imbalance_taker")] == [
        "killed",
        "trading",
    ]
    assert "not for KILLED quoter" in live_suite.chronicle("kill", "--clear").stdout
    live_suite.chronicle("kill", "quoter", "--clear")
    live_suite.wait_until(
        lambda: (
            live_suite.rows()["strategy-quoter"]["state"] == "trading"
            and "KILLED" not in live_suite.chronicle("status").stdout
        ),
        "quoter trades again",
    )
    sent = inspect(live_suite.paths.orders_out("quoter")).next_seq
    live_suite.wait_until(
        lambda: inspect(live_suite.paths.orders_out("quoter")).next_seq > sent, "new orders are sent"
    )

    queues = [live_suite.paths.raw("binance-spot"), live_suite.paths.orders_out("quoter")]
    down = live_suite.chronicle("down")
    print(down.stdout)
    assert f"{len(DAEMONS)} daemons stopped in " in down.stdout
    assert not [row for row in rows.values() if live_suite.runs(row["pid"])]
    assert {row["state"] for row in live_suite.rows().values()} == {"stopped"}
    before = [inspect(queue) for queue in queues]
    assert all(info.writer_closed and not info.writer_active for info in before)
    assert "nothing runs" in live_suite.chronicle("down").stdout

    live_suite.chronicle("up")
    after = [inspect(queue) for queue in queues]
    for old, new in zip(before, after, strict=True):
        assert (new.queue_id, new.epoch) == (old.queue_id, old.epoch + 1)
        assert new.next_seq >= old.next_seq


def test_daemons_killed_with_9_are_started_again_and_without_supervisord_up_and_down_still_work(
    live_suite,
) -> None:  # type: ignore[no-untyped-def]
    live_suite.chronicle("up")
    before = live_suite.pids()
    for name in ("feed-binance-spot", "router", "exchange"):
        os.kill(before[name], signal.SIGKILL)
    live_suite.wait_until(
        lambda: (
            all(row["healthy"] for row in live_suite.rows().values())
            and all(
                live_suite.pids()[name] != before[name]
                for name in ("feed-binance-spot", "router", "exchange")
            )
        ),
        "the killed daemons run again",
    )
    os.kill(live_suite.supervisord(), signal.SIGKILL)
    orphans = live_suite.pids()
    assert all(orphans.values()), "status sees daemons without supervisord"
    up = live_suite.chronicle("up")
    assert f"found {len(DAEMONS)} daemons whose supervisord is gone" in up.stdout
    now = live_suite.rows()
    assert all(row["healthy"] for row in now.values())
    assert not {row["pid"] for row in now.values()} & set(orphans.values())

    os.kill(live_suite.supervisord(), signal.SIGKILL)
    print(live_suite.chronicle("down").stdout)
    assert not [row for row in now.values() if live_suite.runs(row["pid"])]


def test_up_on_a_running_suite_changes_only_what_differs_and_down_kills_what_hangs(
    live_suite: LiveSuite,
) -> None:
    live_suite.chronicle("up")
    before = live_suite.pids()

    text = (live_suite.strategies / "quoter.toml").read_text().replace('id = "quoter"', 'id = "second"')
    (live_suite.strategies / "second.toml").write_text(text)
    assert "strategy-second: started" in live_suite.chronicle("up").stdout
    after = live_suite.pids()
    assert after.pop("strategy-second")
    assert after == before, "a new strategy's TOML starts it and touches nothing else"
    (live_suite.strategies / "second.toml").unlink()

    up = live_suite.chronicle("up", "--speed", "2")
    assert "running with no options; now with --speed 2" in up.stdout
    assert "strategy-second: removed" in up.stdout
    assert "exchange: restarted with its new configuration" in up.stdout
    after = live_suite.pids()
    assert {name for name in before if before[name] != after[name]} == {"exchange"}

    kept = live_suite.chronicle("up")
    assert "running with --speed 2: kept" in kept.stdout
    assert live_suite.pids() == after

    os.kill(after["exporter"], signal.SIGSTOP)
    live_suite.wait_until(lambda: live_suite.rows()["exporter"]["state"] == "hung", "status says hung")
    down = live_suite.chronicle("down", "--grace", "1", check=False)
    assert down.returncode == ExitCode.NOT_READY
    assert "killed with -9" in down.stderr
    assert "exporter" in down.stderr
    assert not any(live_suite.pids().values())


def test_what_cannot_work_is_said_before_anything_starts(live_suite: LiveSuite) -> None:
    port = live_suite.tables["exporter"]["port"]
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        up = live_suite.chronicle("up", check=False)
    assert up.returncode == ExitCode.HOST
    assert f"127.0.0.1:{port}: the port is in use" in up.stderr
    assert not any(live_suite.pids().values())
    (live_suite.strategies / "quoter.toml").chmod(0o666)
    up = live_suite.chronicle("up", check=False)
    assert up.returncode == ExitCode.HOST
    assert "everybody may write it" in up.stderr


def test_the_readmes_strategy_both_files_as_printed_is_started_by_up_and_buys(
    live_suite: LiveSuite, project_root: Path
) -> None:
    live_suite.chronicle("up")
    before = live_suite.pids()
    for name in ("first.py", "first.toml"):
        _, _, rest = (project_root / "README.md").read_text().partition(f"`deploy/strategies/{name}`:\n\n```")
        text = rest.partition("\n")[2].partition("```")[0]
        assert text
        (live_suite.strategies / name).write_text(text)
    assert "strategy-first: started" in live_suite.chronicle("up").stdout
    after = live_suite.pids()
    assert after.pop("strategy-first")
    assert after == before
    live_suite.wait_until(
        lambda: inspect(live_suite.paths.orders_out("first")).next_seq > 0, "it sends its order"
    )
    assert live_suite.rows()["strategy-first"]["errors"] == 0


def test_a_strategies_directory_that_is_not_there_is_refused(live_suite: LiveSuite) -> None:
    live_suite.tables["strategies"]["dir"] = "strategys"
    live_suite.write()
    up = live_suite.chronicle("up", check=False)
    assert up.returncode == ExitCode.CONFIG
    assert "strategies.dir: no such directory: " in up.stderr
    assert "strategys" in up.stderr
    assert not live_suite.pids().get("router")


def test_a_strategy_that_cannot_load_fails_up_with_the_end_of_its_log(live_suite: LiveSuite) -> None:
    (live_suite.strategies / "quoter.py").write_text("this is no python\n")
    up = live_suite.chronicle("up", "--timeout", "20", check=False)
    assert up.returncode == ExitCode.NOT_READY
    assert "strategy-quoter" in up.stderr.splitlines()[-1]
    assert "quoter.py" in up.stderr


def test_a_strategy_that_keeps_raising_is_given_up_until_up_is_called_again(live_suite: LiveSuite) -> None:
    code = live_suite.strategies / "quoter.py"
    sound = code.read_text()
    head = "    def on_timer(self, ctx: Context, name: str) -> None:\n"
    code.write_text(sound.replace(head, f"{head}        1 / 0\n"))
    assert code.read_text() != sound
    live_suite.chronicle("up", check=False)
    live_suite.wait_until(
        lambda: live_suite.rows()["strategy-quoter"]["state"] == "FAILED", "the strategy is given up"
    )
    row = live_suite.rows()["strategy-quoter"]
    assert (row["pid"], row["healthy"], row["errors"]) == (None, False, 5)
    said = live_suite.chronicle("errors", "strategy-quoter").stdout
    assert "in on_timer: ZeroDivisionError" in said
    assert "quoter.py:" in said
    assert "strategy-quoter: was EXITED, started again" in live_suite.chronicle("up", check=False).stdout
    starts = "    def on_start(self, ctx: Context) -> None:\n"
    code.write_text(sound.replace(starts, f"{starts}        1 / 0\n"))
    live_suite.chronicle("down")
    failed = live_suite.chronicle("up", check=False)
    assert failed.returncode == ExitCode.FAILED, failed.stderr
    assert "ended for good: strategy-quoter;" in failed.stderr
    code.write_text(sound)
    live_suite.chronicle("up")
    assert live_suite.rows()["strategy-quoter"]["healthy"]


@pytest.mark.recording
def test_the_suite_runs_on_a_recording(live_suite: LiveSuite, chronicle_data: Path) -> None:
    recording = chronicle_data / "binance" / "spot" / "btcusdt_20240808.gz"
    up = live_suite.chronicle("up", "--recording", str(recording), "--speed", "20")
    rows = live_suite.rows()
    assert "feed-binance-usdm" not in {name for name, row in rows.items() if row["pid"]}
    assert rows["feed-binance-spot"]["healthy"], up.stdout
    live_suite.wait_until(
        lambda: inspect(live_suite.paths.raw("binance-spot")).next_seq > 2000, "records flow"
    )
