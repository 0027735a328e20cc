"""Plans, sweeps and envelopes: what is stored is done, whoever is killed; every executor gives the same rows."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from libchronicle.backtest import BacktestRunner, Plan, envelope, sweep
from libchronicle.errors import ChronicleError, ConfigError, HostError, InvalidArgument, StrategyFileError

sys.path.insert(0, str(Path(__file__).parent))
from made_market import NAME, archive, market

STRATEGY = """
from libchronicle.strategy import Side, Strategy

class Leaner(Strategy):
    def on_start(self, ctx):
        ctx.set_timer("look", every_ms=20)
    def on_timer(self, ctx, name):
        i = next(iter(ctx.instruments.values()))
        book = i.book
        if not i.is_synced or book.bid_price is None or book.ask_price is None:
            return
        if ctx.params.qty < 0:
            raise ValueError("a quantity below nothing")
        ctx.cancel_all()
        ctx.send(i.limit(Side.BUY, book.bid_price, ctx.params.qty))
        ctx.send(i.limit(Side.SELL, book.ask_price, ctx.params.qty))
"""
TOML = f"""
version = 1
id = "leaner"
file = "leaner.py"
class = "Leaner"
subscribe = ["{NAME}"]

[params]
qty = 2
"""


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    (tmp_path / "leaner.py").write_text(STRATEGY)
    (tmp_path / "leaner.toml").write_text(TOML)
    for file in tmp_path.iterdir():
        file.chmod(0o644)
    archive(tmp_path / "archive", market(1500, seed=3))
    return tmp_path / "leaner.toml"


@pytest.fixture
def plan(toml: Path) -> Plan:
    return Plan.of_toml(toml, data=(str(toml.parent / "archive"),), fees="-0.1,2", latency="constant:100,100")


GRID: dict[str, Any] = {"params.qty": [1, 3], "queue": ["risk-averse", "prob:2"]}


def test_a_plan_runs_what_the_toml_says(plan: Plan) -> None:
    result = plan.run()
    assert result.strategy == "Leaner"
    assert result.instruments == [NAME]
    assert len(result.fills) > 20
    assert plan.run().hash == result.hash


def test_rows_come_in_the_order_of_the_grid_and_each_is_the_run_of_its_plan(
    plan: Plan, tmp_path: Path
) -> None:
    told: list[tuple[int, int]] = []
    points = sweep(
        plan, GRID, tmp_path / "out", workers=2, progress=lambda done, total: told.append((done, total))
    )
    wanted = [{"params.qty": q, "queue": m} for q in (1, 3) for m in ("risk-averse", "prob:2")]
    assert [point.changes for point in points] == wanted
    assert [point.metrics["hash"] for point in points] == [plan.replace(one).run().hash for one in wanted]
    assert told == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]


def test_what_is_done_is_not_run_again_and_a_changed_strategy_is(plan: Plan, tmp_path: Path) -> None:
    first = sweep(plan, GRID, tmp_path / "out", workers=1)
    written = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    assert sweep(plan, GRID, tmp_path / "out", workers=1) == first
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()} == written
    with (tmp_path / "leaner.py").open("a") as file:
        file.write("\n# changed\n")
    sweep(plan, GRID, tmp_path / "out", workers=1)
    assert len(list((tmp_path / "out").iterdir())) == 8


def test_a_result_that_cannot_be_read_is_made_anew(plan: Plan, tmp_path: Path) -> None:
    first = sweep(plan, GRID, tmp_path / "out", workers=1)
    files = sorted((tmp_path / "out").iterdir())
    files[0].write_bytes(files[0].read_bytes()[:40])
    files[1].write_bytes(files[2].read_bytes())
    assert sweep(plan, GRID, tmp_path / "out", workers=1) == first


SWEEPING = """
import sys
from libchronicle.backtest import Plan, sweep
plan = Plan.of_toml(sys.argv[1], data=(sys.argv[2],))
points = sweep(plan, {"seed": list(range(12))}, sys.argv[3], workers=2)
print([point.metrics["hash"] for point in points])
"""


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""  # not a zombie
    except OSError:
        return False


def test_a_sweep_that_was_killed_goes_on_and_ends_with_the_same_rows(toml: Path, tmp_path: Path) -> None:
    script = tmp_path / "sweeping.py"
    script.write_text(SWEEPING)
    words = [sys.executable, str(script), str(toml), str(toml.parent / "archive")]
    undisturbed = subprocess.run(
        [*words, str(tmp_path / "a")], check=True, capture_output=True, text=True
    ).stdout
    with subprocess.Popen([*words, str(tmp_path / "b")], stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while len(list((tmp_path / "b").glob("*.json"))) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        workers = children(process.pid)
        process.kill()
    assert workers
    while any(map(alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(map(alive, workers)), "nobody would ever end them"
    done = {path: path.stat().st_mtime_ns for path in (tmp_path / "b").glob("*.json")}
    assert len(done) >= 3
    resumed = subprocess.run([*words, str(tmp_path / "b")], check=True, capture_output=True, text=True).stdout
    assert resumed == undisturbed
    assert {path: path.stat().st_mtime_ns for path in done} == done


def test_a_cluster_gives_the_rows_that_processes_give(plan: Plan, tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="the extra [cluster] is not installed")
    ours = sweep(plan, GRID, tmp_path / "ours", workers=1)
    assert sweep(plan, GRID, tmp_path / "theirs", workers=2, executor="dask") == ours


def test_a_run_that_fails_is_a_row_and_is_tried_again(plan: Plan, tmp_path: Path) -> None:
    good, bad = sweep(plan, {"params.qty": [1, -1]}, tmp_path / "out", workers=1)
    assert good.metrics["fills"] > 0
    assert not good.failure
    assert "a quantity below nothing" in bad.failure
    assert not bad.metrics
    before = (tmp_path / "out" / f"{bad.key}.json").stat().st_mtime_ns
    sweep(plan, {"params.qty": [1, -1]}, tmp_path / "out", workers=1)
    assert (tmp_path / "out" / f"{bad.key}.json").stat().st_mtime_ns > before


@pytest.mark.parametrize(
    "changes",
    [
        {"queue": "psychic"},
        {"latency": "constant:fast"},
        {"fees": "free"},
        {"latency": "jitter:1,2,loudness=3"},
        {"gaps": "hope"},
    ],
)
def test_a_setting_that_cannot_be_read_names_what_is_allowed(plan: Plan, changes: dict[str, str]) -> None:
    with pytest.raises(InvalidArgument) as refused:
        plan.replace(changes).run()
    assert "llowed" in str(refused.value) or "," in str(refused.value)


def test_a_grid_of_an_unknown_name_or_without_values_is_refused(plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"params\.NAME"):
        sweep(plan, {"colour": ["red"]}, tmp_path)
    with pytest.raises(InvalidArgument, match="a list"):
        sweep(plan, {"seed": []}, tmp_path)
    with pytest.raises(InvalidArgument, match="processes, dask"):
        sweep(plan, {"seed": [1]}, tmp_path, executor="abacus")


def test_a_toml_that_is_not_there_or_a_data_path_without_data_is_told(plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        Plan.of_toml(tmp_path / "none.toml", data=("x",))
    with pytest.raises(ChronicleError, match="nowhere"):
        Plan.of_toml(tmp_path / "leaner.toml", data=(str(tmp_path / "nowhere"),)).run()


def test_the_envelope_spans_its_runs_and_makes_a_page(plan: Plan, tmp_path: Path) -> None:
    found = envelope(
        plan,
        tmp_path / "points",
        queues=("risk-averse", "prob:2"),
        latencies=("none", "constant:5000,5000"),
        workers=1,
    )
    rows = found.values("profit")
    assert [len(row) for row in rows] == [2, 2]
    assert (
        rows[1][1]
        == plan.replace({"queue": "prob:2", "latency": "constant:5000,5000"}).run().metrics["profit"]
    )
    assert found.spread("profit") == (min(min(row) for row in rows), max(max(row) for row in rows))
    assert len({value for row in rows for value in row}) > 1
    page = found.report(tmp_path / "out")
    assert "http://" not in page.read_text()
    assert json.loads((tmp_path / "out" / "envelope.json").read_text())["figures"]["profit"]["values"] == rows


def test_limits_of_the_toml_hold_in_a_plan_too(toml: Path) -> None:
    toml.write_text(TOML + '\n[limits]\nmax_order_qty = "0.001"\n\n[risk]\nallowed = ["elsewhere:*"]\n')
    settings: dict[str, Any] = {"data": (str(toml.parent / "archive"),)}
    told = Plan.of_toml(toml, **settings).run()
    assert sum(told.rejects.values()) == len(told.orders) > 0
    assert told.rejects == BacktestRunner.from_toml(toml, settings["data"][0]).run().rejects
    free = Plan.of_toml(toml, **settings)
    toml.write_text(TOML)
    assert Plan.of_toml(toml, **settings).key() != free.key()


def test_a_point_that_cannot_be_stored_ends_the_sweep_and_not_only_after_the_whole_grid(
    plan: Plan, tmp_path: Path
) -> None:
    out, began = tmp_path / "out", tmp_path / "began"
    strategy = Path(plan.strategy.rpartition(":")[0])
    strategy.write_text(
        STRATEGY.replace(
            "on_start(self, ctx):", f"on_start(self, ctx):\n        open({str(began)!r}, 'a').write('.')"
        )
    )

    def lose_the_directory(done: int, _total: int) -> None:
        if done:
            shutil.rmtree(out, ignore_errors=True)

    with pytest.raises(HostError, match=str(out)):
        sweep(plan, {"params.qty": list(range(1, 61))}, out, workers=1, progress=lose_the_directory)
    assert len(began.read_text()) < 30
    assert not out.exists()


def test_a_point_whose_strategy_cannot_be_made_is_a_row_and_the_others_run(
    plan: Plan, tmp_path: Path
) -> None:
    strategy = Path(plan.strategy.rpartition(":")[0])
    strategy.write_text(
        STRATEGY
        + "    def __init__(self):\n        raise ValueError(b'\\xff'.decode(errors='surrogateescape'))\n"
    )
    points = sweep(plan, {"params.qty": [1, 2]}, tmp_path / "out", workers=1)
    assert [point.failure for point in points] == ["ValueError: \\udcff"] * 2


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1 << 64}, {"seed": -1}, {"seed": 1.5}, {"sample_ms": 0}, {"sample_ms": 1 << 60}, {"sample_ms": "1"},
        {"start": "9999-12-31"}, {"start": "0001-01-01"}, {"end": "2300-01-01"}, {"queue": "prob:inf"}, {"queue": "prob:17"},
    ],
)  # fmt: skip
def test_a_number_beyond_any_use_is_refused_and_named(plan: Plan, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match=r"allowed|power"):
        plan.replace(changes).run()


def test_a_row_has_the_names_of_its_grid_whichever_grid_it_was_run_for(plan: Plan, tmp_path: Path) -> None:
    (first,) = sweep(plan, {"seed": [plan.seed]}, tmp_path / "out", workers=1)
    told: list[tuple[int, int]] = []
    again = sweep(
        plan,
        {"params.qty": [2, 2]},
        tmp_path / "out",
        workers=1,
        progress=lambda done, total: told.append((done, total)),
    )
    assert [(point.key, point.changes) for point in again] == [(first.key, {"params.qty": 2})] * 2
    assert told == [(1, 1)]


def test_what_cannot_be_named_in_a_file_is_refused_before_anything_runs(plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"udcff.*UTF-8"):
        sweep(plan, {"params.qty": [b"\xff".decode(errors="surrogateescape")]}, tmp_path / "out", workers=1)
    Path(plan.strategy.rpartition(":")[0]).unlink()
    with pytest.raises(StrategyFileError, match=r"leaner\.py: No such file"):
        sweep(plan, {"params.qty": [1]}, tmp_path / "out", workers=1)


def test_a_strategys_code_in_place_of_its_toml_is_told_with_what_to_give(toml: Path) -> None:
    for read in (Plan.of_toml, BacktestRunner.from_toml):
        with pytest.raises(ConfigError, match=r"leaner\.py: .*give the TOML beside it, as leaner\.toml"):
            read(toml.with_suffix(".py"), data=(str(toml.parent / "archive"),))
