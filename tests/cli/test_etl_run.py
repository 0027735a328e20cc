"""`chronicle etl run` refines a raw queue in the foreground."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / "etl"))
from raw_world import VENUE, World, delta, instrument, records, snapshot, trade

from libchronicle.bus.paths import BusPaths
from libchronicle.cli.main import app
from libchronicle.errors import NotRecorded, ReaderAlreadyActive

runner = CliRunner()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "run")
    made.put(instrument("AA"), snapshot("AA", 1))
    for n in range(10):
        made.put(delta("AA", n + 2), trade("AA", n))
    yield made
    made.close()


def test_it_refines_what_there_is_and_goes_on_there_the_next_time(world: World, tmp_path: Path) -> None:
    run, out = str(tmp_path / "run"), str(tmp_path / "out")
    first = runner.invoke(app, ["etl", "run", "feed", "--run", run, "--out", out])
    assert first.exit_code == 0, first.output
    assert "22 records of" in first.output
    assert "book 11, trade 10, quote 0 records of 1 instruments" in first.output
    world.put(trade("AA", 10))
    second = runner.invoke(app, ["etl", "run", str(world.raw), "--run", run, "--out", out, "--json"])
    facts = json.loads(second.output)
    assert (facts["records"], facts["trade"], facts["instruments"]) == (1, 1, [f"{VENUE}:AA"])
    assert len(records(BusPaths(out).clean(VENUE, "AA", "trade"))) == 1 + 11
    assert not world.clean("AA", "trade")


def test_in_the_run_directory_it_does_not_run_beside_the_daemon(world: World, tmp_path: Path) -> None:
    world.start()
    result = runner.invoke(app, ["etl", "run", "feed", "--run", str(tmp_path / "run")])
    assert isinstance(result.exception, ReaderAlreadyActive)


def test_a_feed_that_is_not_there_is_named_and_nobody_is_told_to_come_again(
    world: World, tmp_path: Path
) -> None:
    result = runner.invoke(app, ["etl", "run", "fead", "--run", str(tmp_path / "run")])
    assert isinstance(result.exception, NotRecorded)
    assert "market_data/queue/feed" in str(result.exception)
