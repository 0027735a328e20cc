"""Every benchmark runs, tiny, so that none can rot."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from libchronicle.cli.bench import BenchOptions, available, run_bench
from libchronicle.errors import ConfigError

NEEDS_RECORDINGS = {"book", "etl", "feed", "tick_to_trade"}


def test_an_unknown_benchmark_names_those_there_are() -> None:
    with pytest.raises(ConfigError, match="append"):
        run_bench("nonsense", BenchOptions(tiny=True))


@pytest.mark.parametrize("name", available())
def test_each_benchmark_runs_tiny_and_reports_its_work(name: str, request: pytest.FixtureRequest) -> None:
    data = Path(os.environ.get("CHRONICLE_DATA", "../shared/data"))
    if name in NEEDS_RECORDINGS:
        data = request.getfixturevalue("chronicle_data")
    result = run_bench(name, BenchOptions(tiny=True, data=str(data), repeats=1))
    assert result["bench"] == name
    assert result["n"] > 0
    assert result["hash"]
    assert result["python"]
    assert result["cpu"]
