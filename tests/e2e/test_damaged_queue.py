"""A daemon whose queue is damaged under it is back by itself, and those who read it go on."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import pytest

from libchronicle.queue import check, inspect
from libchronicle.testing.live_suite import LiveSuite
from tests.e2e.test_kill_each_daemon import everyone_trades_again


def mended(suite: LiveSuite, queue: Path) -> int:
    return inspect(queue).metrics["rescues"]


@pytest.mark.suite
@pytest.mark.timeout(300)
def test_a_truncated_control_page_and_kill_9_of_the_feed_stop_nobody(
    tmp_path: Path, project_root: Path
) -> None:
    with LiveSuite.of_deployment(tmp_path, project_root / "deploy") as suite:
        suite.tables["exchange"]["rate"] = 1000.0
        suite.write()
        suite.chronicle("up")
        everyone_trades_again(suite)
        raw, session = suite.paths.raw("binance-spot"), suite.paths.session("router")
        before = inspect(raw)

        pid = suite.pids()["feed-binance-spot"]
        assert pid is not None
        os.truncate(raw / "control.meta", 0)
        with contextlib.suppress(ProcessLookupError):  # it may have seen the damage and ended already
            os.kill(pid, signal.SIGKILL)
        suite.wait_until(lambda: all(row["healthy"] for row in suite.rows().values()), "all healthy again")
        everyone_trades_again(suite)
        after = inspect(raw)
        assert (after.queue_id, mended(suite, raw)) == (before.queue_id, 1)
        assert after.next_seq > before.next_seq
        assert after.epoch > before.epoch + 1000

        with (raw / "control.meta").open("r+b") as page:  # under a feed that lives on
            page.truncate(100)
        suite.wait_until(lambda: mended_twice(raw), "the feed came back with a page built anew")
        suite.wait_until(lambda: all(row["healthy"] for row in suite.rows().values()), "all healthy again")
        everyone_trades_again(suite)

        os.truncate(session / "control.meta", 0)
        suite.kill("router")
        everyone_trades_again(suite)
        assert mended(suite, session) == 1
        suite.chronicle("down")
        for queue in (raw, session):
            assert check(queue).faults == []
        assert "control page built anew" in suite.chronicle("errors").stdout


def mended_twice(queue: Path) -> bool:
    try:
        return inspect(queue).metrics["rescues"] == 2
    except Exception:  # noqa: BLE001  (it is still damaged)
        return False
