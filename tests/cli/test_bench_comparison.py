"""`chronicle bench --baseline`: tells what became worse, by its exit code."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from libchronicle.cli.bench_comparison import compare, read_baseline, worse_each_time
from libchronicle.cli.main import app
from libchronicle.errors import ConfigError
from libchronicle.runtime.daemon import ExitCode

PLACE = {"python": "CPython 3.11", "cpu": "x", "medium": "shm", "tiny": False, "market": "made up"}


def run(**figures: Any) -> dict[str, Any]:
    return {"bench": "append", **figures, "n": 5, "hash": "ab", **PLACE}


def factors(before: dict[str, Any], now: dict[str, Any], *keys: str) -> dict[str, float | None]:
    return {change.key: change.factor for change in compare(before, now, keys)}


def test_the_unit_says_which_way_is_worse() -> None:
    before = run(msgs_per_s=100, ns_per_op=10.0, p50_ns_1m=4, rss_mb=8, cpu_percent=1.0)
    now = run(msgs_per_s=50, ns_per_op=20.0, p50_ns_1m=2, rss_mb=8, cpu_percent=3.0)
    assert factors(before, now) == {
        "msgs_per_s": 2.0,
        "ns_per_op": 2.0,
        "p50_ns_1m": 0.5,
        "rss_mb": 1.0,
        "cpu_percent": 3.0,
    }
    assert factors(run(load_s=2.0, growth_mb=0.0, lost=0), run(load_s=1.0, growth_mb=900.0, lost=3)) == {
        "load_s": 0.5,
        "growth_mb": 900.0,
        "lost": 6.0,
    }
    small = run(growth_mb=0.01, idle_cpu_percent=0.02)
    assert factors(small, run(growth_mb=0.9, idle_cpu_percent=0.06)) == {
        "growth_mb": 1.0,
        "idle_cpu_percent": 1.0,
    }


@pytest.mark.parametrize(
    ("key", "now"), [("ns_per_op", -141.9), ("p50_ns", 0), ("x_us", 0.0), ("msgs_per_s", 0)]
)
def test_what_was_not_measured_is_worse_than_any(key: str, now: float) -> None:
    assert factors(run(**{key: 100}), run(**{key: now})) == {key: 1e9}


def test_tails_others_and_what_has_no_unit_are_judged_only_when_named() -> None:
    figures = {"p99_ns": 1, "max_ns": 1, "socket_p50_ns": 1, "pipe_p50_ns": 1, "stops_per_s": 1, "orders": 1}
    now = run(**dict.fromkeys(figures, 9), p50_ns=10)
    assert set(factors(run(**figures, p50_ns=5), now).values()) == {None, 2.0}
    named = factors(run(p99_ns=1, p50_ns=1), run(p99_ns=9, p50_ns=9), "p99_ns")
    assert named == {"p99_ns": 9.0, "p50_ns": None}
    for key in ("orders", "nonsense", "stops_per_s"):
        with pytest.raises(ConfigError, match="p99_ns"):
            factors(run(**figures), run(**figures), key)


def test_what_is_no_longer_measured_does_not_pass() -> None:
    with pytest.raises(ConfigError, match="no longer measured"):
        compare(run(ns_per_op=1, msgs_per_s=1), run(ns_per_op=1))
    for tolerance in (math.nan, math.inf, -0.1, 20.0):
        with pytest.raises(ConfigError, match="tolerance"):
            worse_each_time(run(ns_per_op=1), lambda: run(ns_per_op=9), tolerance=tolerance)


@pytest.mark.parametrize("key", PLACE)
def test_figures_of_another_place_or_market_are_refused(key: str) -> None:
    one = run(ns_per_op=1)
    for other in (one | {key: "another"}, {name: value for name, value in one.items() if name != key}):
        for before, now in ((one, other), (other, one)):
            with pytest.raises(ConfigError, match=key):
                compare(before, now)
    with pytest.raises(ConfigError, match="other work"):
        compare(one, one | {"hash": "cd"})


@pytest.mark.parametrize(
    "figures",
    [{}, {"orders": 3}, {"ns_per_op": 0}, {"ns_per_op": True}, {"msgs_per_s": 10**400}, {"p99_ns": 4}],
)
def test_a_baseline_that_judges_nothing_is_refused_before_anything_is_measured(
    figures: dict[str, Any],
) -> None:
    with pytest.raises(ConfigError, match="no figure to judge"):
        worse_each_time(run(**figures), lambda: pytest.fail("measured"), tolerance=0.2)
    with pytest.raises(ConfigError, match="ns_per_op"):
        worse_each_time(run(**figures), lambda: pytest.fail("measured"), tolerance=0.2, keys=["ns_per_op"])


@pytest.mark.parametrize(
    ("seen", "worse", "runs"),
    [([13], [], 1), ([16, 14], [], 2), ([16, 30, 15.1], ["ns_per_op"], 3), ([16, 30, 14.9], [], 3)],
)
def test_what_is_worse_is_so_in_each_of_three_runs(seen: list[float], worse: list[str], runs: int) -> None:
    left: Iterator[float] = iter(seen)
    taken = []

    def measure() -> dict[str, Any]:
        taken.append(next(left))
        return run(ns_per_op=taken[-1])

    changes, found, ran = worse_each_time(run(ns_per_op=10), measure, tolerance=0.5)
    assert found == worse
    assert len(taken) == ran == runs
    assert (changes[0].now, changes[0].factor) == (min(taken), min(taken) / 10), "the best of them is told"


def test_a_baseline_is_the_median_of_the_runs_of_that_name(tmp_path: Path) -> None:
    file = tmp_path / "before.json"
    lines = [run(ns_per_op=value) for value in (5, 1, 2)] + [{**run(ns_per_op=3), "bench": "latency"}]
    file.write_text("\ufeffsome words\n" + "\n".join(map(json.dumps, lines)) + "\n")
    assert read_baseline(str(file), "append") == run(ns_per_op=2)
    assert read_baseline(str(file), "latency")["ns_per_op"] == 3
    for name, word in ((None, "several"), ("commit", "no run of commit")):
        with pytest.raises(ConfigError, match=word):
            read_baseline(str(file), name)
    file.write_text("\n".join(map(json.dumps, (lines[0], lines[1] | {"cpu": "another"}))))
    with pytest.raises(ConfigError, match="cpu"):
        read_baseline(str(file), None)
    file.write_text(json.dumps(lines[0], indent=2))
    assert read_baseline(str(file), None) == lines[0]
    file.write_text(json.dumps(lines[0]))
    assert read_baseline(str(file), None) == lines[0]
    for path in (str(tmp_path / "none"), str(tmp_path), "a\0b", "\udcff"):
        with pytest.raises(ConfigError, match="cannot be read"):
            read_baseline(path, "append")
    for text in ("", '{"bench": ["append"]}', "[" * 100_000, "\x00", '{"bench": "append"', '"append"'):
        file.write_text(text)
        with pytest.raises(ConfigError, match="no run of"):
            read_baseline(str(file), None)


def test_the_command_runs_the_benchmark_and_exits_by_what_it_found(tmp_path: Path) -> None:
    def bench(*arguments: str) -> Any:
        return CliRunner().invoke(app, ["bench", *arguments, "--tiny", "--repeats", "1"])

    file = tmp_path / "before.json"
    file.write_text(bench("append", "--json").stdout)
    figures = json.loads(file.read_text().splitlines()[-1])
    good = bench("--baseline", str(file), "--tolerance", "10")
    assert good.exit_code == 0, good.output
    assert "ns_per_op" in good.stdout
    file.write_text(json.dumps(figures | {"ns_per_op": figures["ns_per_op"] / 1e3}))
    bad = bench("append", "--baseline", str(file), "--tolerance", "10", "--json")
    assert bad.exit_code == ExitCode.WORSE
    told = json.loads(bad.stdout.splitlines()[-1])
    assert (told["worse"], told["tolerance"], told["runs"]) == (["ns_per_op"], 10, 3)


@pytest.mark.parametrize(
    "options", [["--tolerance", "0.5"], ["--key", "ns_per_op"], ["--list", "--baseline", "x"]]
)
def test_a_comparison_with_nothing_is_refused(options: list[str]) -> None:
    result = CliRunner().invoke(app, ["bench", "append", "--tiny", *options])
    assert isinstance(result.exception, ConfigError)
    assert "--baseline" in str(result.exception)
