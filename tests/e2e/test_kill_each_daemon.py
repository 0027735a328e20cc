"""kill -9 of each daemon of the whole suite in turn, again and again, while strategies trade.

After each round every strategy must send new orders and have them filled; at any time the queues must tell of no order
lost, doubled or executed twice, of no hole in a sequence, and of positions that are the sum of the fills.
CHRONICLE_KILL_ROUNDS sets the number of rounds.
"""

from __future__ import annotations

import contextlib
import os
import random
import time
from pathlib import Path

import pytest

from libchronicle.testing.audit import FillWatch, OrderAudit, audit_orders, contiguous_records
from libchronicle.testing.live_suite import LiveSuite

ROUNDS = int(os.environ.get("CHRONICLE_KILL_ROUNDS", "10"))


def audits(suite: LiveSuite) -> dict[str, OrderAudit]:
    found = {name: audit_orders(suite.paths, name) for name in suite.paths.strategies()}
    for audit in found.values():
        assert audit.faults == [], f"{audit.strategy}\n{suite.log_tails()}"
    return found


def everyone_trades_again(suite: LiveSuite) -> None:
    """Orders that are sent from now on get filled, for every strategy."""
    marks = {name: audit.next_seq for name, audit in audits(suite).items()}
    assert marks, "no strategy ever sent an order"
    with contextlib.ExitStack() as stack:
        watches = [
            stack.enter_context(contextlib.closing(FillWatch(suite.paths, name, seq)))
            for name, seq in marks.items()
        ]
        suite.wait_until(
            lambda: all(watch.look() for watch in watches), "every strategy has a new order filled"
        )
    audits(suite)


def crash_in_turn(suite: LiveSuite, rounds: int) -> None:
    everyone_trades_again(suite)
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    for _ in range(rounds):
        for daemon in suite.rows():
            time.sleep(rng.random() * 0.2)
            suite.kill(daemon)
        everyone_trades_again(suite)
    suite.kill(*suite.rows())  # all at once, as when the machine goes down
    everyone_trades_again(suite)


def the_journals_agree(suite: LiveSuite) -> None:
    """After `chronicle down`: every queue of the suite is whole, every order has had its answer."""
    faults: list[str] = []
    paths = suite.paths
    queues = [paths.raw(feed) for feed in paths.feeds()]
    queues += [paths.session(name) for name in (*paths.strategies(), "router")]
    for queue in queues:
        assert sum(1 for _ in contiguous_records(queue, faults)) > 0, queue
    assert faults == []
    for audit in audits(suite).values():
        assert audit.fills > 0


@pytest.mark.suite
@pytest.mark.recording
@pytest.mark.timeout(900)
def test_the_suite_survives_kill_9_of_each_daemon_in_turn_ten_times(
    tmp_path: Path, project_root: Path, chronicle_data: Path
) -> None:
    recordings = [chronicle_data / "binance" / market / "btcusdt_20240808.gz" for market in ("spot", "usdm")]
    flags = [flag for recording in recordings for flag in ("--recording", str(recording))]
    with LiveSuite.of_deployment(tmp_path, project_root / "deploy") as suite:
        suite.chronicle("up", *flags, "--speed", "5")
        crash_in_turn(suite, ROUNDS)
        suite.chronicle("down")
        the_journals_agree(suite)


@pytest.mark.suite
@pytest.mark.timeout(300)
def test_the_suite_survives_kill_9_of_each_daemon_on_generated_markets(
    tmp_path: Path, project_root: Path
) -> None:
    with LiveSuite.of_deployment(tmp_path, project_root / "deploy") as suite:
        suite.tables["exchange"]["rate"] = 1000.0
        suite.write()
        suite.chronicle("up")
        crash_in_turn(suite, 1)
        suite.chronicle("down")
        the_journals_agree(suite)
