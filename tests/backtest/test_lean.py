"""The example strategy of features and signals, over a recording: as its TOML has it, without a changed line."""

from __future__ import annotations

import importlib.util
import tomllib
from pathlib import Path
from typing import Any

import pytest

from libchronicle.backtest import BacktestRunner, ConstantLatency, MakerTaker

NAME = "binance-spot:BTCUSDT"


@pytest.fixture(scope="module")
def lean(project_root: Path) -> tuple[type, dict[str, Any]]:
    """The class, and the tables of its TOML."""
    folder = project_root / "deploy/examples"
    settings = tomllib.loads((folder / "lean.toml").read_text())
    spec = importlib.util.spec_from_file_location("lean", folder / settings["file"])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, settings["class"]), settings


def run(lean: tuple[type, dict[str, Any]], data: Path, **params: Any) -> tuple[Any, Any]:
    kind, settings = lean
    strategy = kind()
    runner = BacktestRunner(
        data,
        instruments=settings["subscribe"],
        latency=ConstantLatency(entry_us=200, response_us=200),
        fees=MakerTaker(0, 0),
        cash=100_000,
        params=settings["params"] | params,
    )
    return strategy, runner.run(strategy)


@pytest.mark.recording
def test_the_example_trades_a_recording_within_its_limits(
    lean: tuple[type, dict[str, Any]], chronicle_data: Path
) -> None:
    data = chronicle_data / "binance/spot/btcusdt_20240808.gz"
    strategy, result = run(lean, data)
    counts = strategy.desks[NAME].signal.counts
    print(counts)
    assert counts["signal"] > 0
    assert counts["suppressed: volatility unknown"] + counts["none: level"] > 0
    assert len(result.fills["price"]) >= 2
    assert max(abs(result.fills["position"])) <= 3_000_000  # 0.030 at exponent -8
    assert strategy.desks[NAME].features.ready()
    again, same = run(lean, data)
    assert same.hash == result.hash
    assert again.desks[NAME].signal.counts == counts
    _, other = run(lean, data, threshold=0.8)
    assert other.hash != result.hash
