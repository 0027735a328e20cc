"""`chronicle backtest`: the command as people type it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "backtest"))
from made_market import NAME, archive, market

from libchronicle.backtest import Plan

STRATEGIES = Path(__file__).parents[2] / "deploy" / "strategies"


def chronicle(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("chronicle")), "backtest", *words],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(archive(tmp_path_factory.mktemp("data") / "archive", market(3000, seed=8)))


def quoter(*more: str) -> tuple[str, ...]:
    return (str(STRATEGIES / "quoter.toml"), *more, "-i", NAME, "-p", "requote_ms=20")


def test_a_library_that_is_not_installed_is_told_with_what_to_install(data: str) -> None:
    words = ["chronicle", "backtest", "run", *quoter("--data", data)]
    code = f"import sys; sys.modules['numpy'] = None; sys.argv = {words!r}; from libchronicle.cli.entry import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 71, done.stderr
    remedy = f"{sys.executable} -m pip install 'libchronicle[research]'"
    assert done.stderr.splitlines()[-1] == f"chronicle: numpy: not installed: {remedy}"
    assert "Traceback" not in done.stderr


def test_run_prints_the_figures_and_writes_the_report(data: str, tmp_path: Path) -> None:
    done = chronicle(
        "run", *quoter("-d", data, "--fees=-0.1,2", "--queue", "prob:2", "--out", str(tmp_path / "out"))
    )
    assert done.returncode == 0, done.stderr
    assert f"Quoter on {NAME}" in done.stdout
    assert str(tmp_path / "out" / "report.html") in done.stdout
    figures = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert figures["fills"] > 10
    assert figures["hash"] in done.stdout


def test_run_as_json_is_the_plan_of_python(data: str) -> None:
    done = chronicle("run", *quoter("-d", data, "--json"))
    plan = Plan.of_toml(
        STRATEGIES / "quoter.toml",
        data=(data,),
        instruments=[NAME],  # of the kinds that the TOML has
        params={"requote_ms": 20},
        latency="constant:500,500",
    )
    assert plan.instruments == {NAME: ("book",)}
    assert json.loads(done.stdout)["hash"] == plan.run().hash


def test_sweep_prints_the_best_first_and_runs_nothing_twice(data: str, tmp_path: Path) -> None:
    words = quoter(
        "-d", data, "--grid", "requote_ms=20,200", "--grid", "queue=risk-averse,log", "--out", str(tmp_path)
    )
    first = chronicle("sweep", *words)
    assert first.returncode == 0, first.stderr
    header, *rows = first.stdout.splitlines()
    assert header.split()[:2] == ["requote_ms", "queue"]
    profits = [float(row.split()[2].replace(",", "")) for row in rows]
    assert len(rows) == 4
    assert profits == sorted(profits, reverse=True)
    written = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert chronicle("sweep", *words).stdout == first.stdout
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == written


def test_the_envelope_says_between_what_the_truth_lies(data: str, tmp_path: Path) -> None:
    done = chronicle("run", *quoter("-d", data, "--envelope", "--workers", "1", "--out", str(tmp_path)))
    assert done.returncode == 0, done.stderr
    assert "one number misleads" in done.stdout
    assert (tmp_path / "envelope.html").is_file()


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--queue", "psychic"), 64, "risk-averse"),
        (("--param", "novalue"), 64, "KEY=VALUE"),
        (("--data", "/nowhere"), 64, "/nowhere: no archive, queue or recording"),
    ],
)
def test_what_cannot_be_done_names_place_and_remedy(
    data: str, words: tuple[str, ...], code: int, told: str
) -> None:
    done = chronicle("run", *quoter("-d", data), *words)
    assert done.returncode == code, done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_strategy_that_raises_ends_with_69_and_its_traceback(data: str, tmp_path: Path) -> None:
    lines = ["from libchronicle.strategy import Strategy", "", "class Fails(Strategy):"]
    lines += ["    def on_book(self, ctx, book):", "        raise ValueError('no')"]
    (tmp_path / "fails.py").write_text("\n".join(lines))
    (tmp_path / "fails.toml").write_text(
        f'version = 1\nid = "fails"\nfile = "fails.py"\nclass = "Fails"\nsubscribe = ["{NAME}"]\n'
    )
    for file in tmp_path.iterdir():
        file.chmod(0o644)
    done = chronicle("run", str(tmp_path / "fails.toml"), "-d", data, "--out", str(tmp_path / "out"))
    assert done.returncode == 69
    assert "ValueError: no" in done.stderr
    assert "fails.py" in done.stderr
    assert "ValueError: no" in (tmp_path / "out" / "report.html").read_text()


def failing(directory: Path, body: str) -> tuple[str, ...]:
    """The words for a strategy whose on_book, or more, is `body`."""
    (directory / "odd.py").write_text(
        f"import os, sys\nfrom libchronicle.strategy import Strategy\n\nclass Odd(Strategy):\n{body}\n"
    )
    toml = directory / "odd.toml"
    toml.write_text(
        f'version = 1\nid = "odd"\nfile = "odd.py"\nclass = "Odd"\nsubscribe = ["{NAME}"]\n[params]\nn = 1\n'
    )
    for file in directory.iterdir():
        file.chmod(0o644)
    return (str(toml),)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("    def on_start(self, ctx): raise ValueError('boo')", 'odd.py", line 5, in on_start'),
        ("    def on_book(self, ctx, book): sys.exit(3)", 'odd.py", line 5, in on_book'),
    ],
)
def test_a_strategy_that_gives_up_is_told_with_its_line(
    data: str, tmp_path: Path, body: str, told: str
) -> None:
    done = chronicle("run", *failing(tmp_path, body), "-d", data)
    assert done.returncode == 69, done.stderr
    assert told in done.stderr


def test_a_run_whose_process_dies_fails_alone(data: str, tmp_path: Path) -> None:
    words = failing(tmp_path, "    def on_book(self, ctx, book):\n        if ctx.params.n == 3: os._exit(5)")
    words += ("-d", data, "-g", "n=1,2,3,4,5,6", "--out", str(tmp_path / "sweep"), "--workers", "2", "--json")
    done = chronicle("sweep", *words)
    assert done.returncode == 69, done.stderr
    assert "its process died" in done.stderr
    points = {point["changes"]["params.n"]: point for point in json.loads(done.stdout)}
    assert [n for n, point in points.items() if point["failure"]] == [3]
    assert all(points[n]["metrics"]["messages"] for n in (1, 2, 4, 5, 6))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("-p", "requote=20"), "requote"),
        (("-p", "requote_ms=soon"), "requote_ms"),
        (("--leverage", "-3"), "leverage: -3.0 is not between 1 and 1000"),
        (("--start", "2033-01-01"), "no record from 2033-01-01T00:00:00Z"),
        (("--start", "2033-01-02", "--end", "2033-01-01"), "allowed: a time after start (2033-01-02)"),
        (("--out", "/proc/out"), "/proc/out: "),
    ],
)
def test_what_cannot_be_meant_is_told_and_nothing_is_run(
    data: str, words: tuple[str, ...], told: str
) -> None:
    done = chronicle("run", *quoter("-d", data), *words)
    assert done.returncode in (64, 71), done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_parameter_that_the_toml_does_not_know_cannot_be_swept(data: str, tmp_path: Path) -> None:
    done = chronicle("sweep", *quoter("-d", data), "-g", "requote=1,2", "--out", str(tmp_path / "sweep"))
    assert done.returncode == 64
    assert "requote_ms" in done.stderr


@pytest.mark.parametrize(
    ("grid", "told"),
    [
        ("seed=1,two", "seed is 'two'; allowed: whole numbers"),
        ("leverage=2,x", "leverage is 'x'; allowed: numbers"),
        ("colour=red", "colour"),
        ("queue=1", "queue is '1'; allowed: risk-averse"),
        ("seed=1,2 --grid seed=3", "allowed: each name once"),
        ("qty=1 --grid qty=3", "allowed: each name once"),
        ("qty=1,b\udcff", "parameter qty: 'b\\udcff' is no text in UTF-8"),
    ],
)
def test_a_value_that_a_grid_cannot_hold_is_named(data: str, grid: str, told: str, tmp_path: Path) -> None:
    words = ["-d", data, "-g", *grid.split(), "--out", str(tmp_path / "sweep")]
    done = chronicle("sweep", *quoter(*words))
    assert done.returncode in (64, 69), done.stderr
    assert told in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_a_model_that_is_one_number_is_text_in_a_grid_too(data: str, tmp_path: Path) -> None:
    words = quoter("-d", data, "-g", "fees=1;2", "--json", "--out", str(tmp_path))
    done = chronicle("sweep", *words, "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert sorted(point["changes"]["fees"] for point in json.loads(done.stdout)) == ["1", "2"]


def test_chances_and_the_latency_of_a_venue_reach_the_run(data: str) -> None:
    said = ["--latency", "made-up=constant:500,500", "--chances", "touch=0.2,through_only=0.5", "--json"]
    done = chronicle("run", *quoter("-d", data, *said))
    assert done.returncode == 0, done.stderr
    plan = Plan.of_toml(
        STRATEGIES / "quoter.toml",
        data=(data,),
        instruments=[NAME],
        params={"requote_ms": 20},
        latency={"made-up": "constant:500,500"},
        chances="touch=0.2,through_only=0.5",
    )
    result = plan.run()
    assert json.loads(done.stdout)["hash"] == result.hash
    assert len(result.fills) < len(plan.replace({"chances": "none"}).run().fills)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--queue", "fifo"), "its data holds no single orders"),
        (("--latency", "nasdaq=none"), "a model for each venue of the run"),
        (("--chances", "touch=7"), "touch"),
    ],
)
def test_what_cannot_be_is_said_with_what_can(words: tuple[str, ...], said: str, data: str) -> None:
    done = chronicle("run", *quoter("-d", data, *words))
    assert done.returncode == 64, done.stderr
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
