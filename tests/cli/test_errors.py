"""`chronicle errors`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from libchronicle.cli.error_texts import run_errors
from libchronicle.counters import ErrorLog
from libchronicle.errors import ConfigError


@pytest.fixture
def run(tmp_path: Path) -> str:
    services = tmp_path / "services"
    services.mkdir()
    feed, router = ErrorLog(services / "feed-x.errors"), ErrorLog(services / "router.errors")
    feed.record("BTCUSDT out of sync: gap", 1_000_000_000)
    feed.record("BTCUSDT out of sync: gap", 3_000_000_000)
    router.record("boom", 2_000_000_000)
    return str(tmp_path)


def test_texts_of_all_daemons_come_the_latest_first(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    run_errors(run, None, None, limit=50, as_json=True)
    rows = json.loads(capsys.readouterr().out)
    assert [(row["daemon"], row["count"]) for row in rows] == [("feed-x", 2), ("router", 1)]
    assert rows[0]["first_ns"] == 1_000_000_000


def test_people_get_a_table_of_one_daemon(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    run_errors(run, None, "router", limit=50, as_json=False)
    out = capsys.readouterr().out
    assert "1970-01-01 00:00:02Z" in out
    assert "boom" in out
    assert "BTCUSDT" not in out


def test_a_daemon_that_never_ran_is_told_with_those_that_did(run: str) -> None:
    with pytest.raises(ConfigError, match="feed-x, router"):
        run_errors(run, None, "nobody", limit=50, as_json=False)
