"""`chronicle market` over a board without its router."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from libchronicle.bus.market_board import MarketBoardWriter
from libchronicle.bus.paths import BusPaths
from libchronicle.cli.main import app


def test_an_instrument_that_no_record_has_come_for_has_no_age(tmp_path: Path) -> None:
    board = BusPaths(tmp_path).market_board
    board.parent.mkdir(parents=True)
    writer = MarketBoardWriter(board)
    writer.claim(1, "binance-spot:BTCUSDT", -2, -5)
    writer.claim(2, "binance-spot:ETHUSDT", -2, -5)
    writer.put(1, True, 1_700_000_000_000_000_000, 1, (6_000_000, 100_000), (6_000_001, 100_000))
    writer.put(2, False, 0, 0, None, None)
    writer.close()
    runner, run = CliRunner(), ["--run", str(tmp_path)]
    rows = {
        row["instrument"]: row for row in json.loads(runner.invoke(app, ["market", *run, "--json"]).stdout)
    }
    assert rows["binance-spot:BTCUSDT"]["age_s"] > 0
    assert rows["binance-spot:ETHUSDT"]["age_s"] is None
    line = next(
        line for line in runner.invoke(app, ["market", *run]).stdout.splitlines() if "ETHUSDT" in line
    )
    assert line.split() == ["binance-spot:ETHUSDT", "-", "-", "-", "-", "-", "-", "router", "gone"]
