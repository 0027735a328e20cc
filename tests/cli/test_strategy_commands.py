"""`chronicle strategy new`, `list` and `set`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from libchronicle.cli import strategy_set
from libchronicle.cli.main import app
from libchronicle.errors import (
    AlreadyThere,
    BadParameter,
    CommandRefused,
    InvalidArgument,
    InvalidName,
    StrategyAway,
    UnknownParameter,
)
from libchronicle.protocol import Command, Parameter

sys.path.insert(0, str(Path(__file__).parents[1] / "strategy"))

from host_harness import Scene
from host_harness import scene as scene

HOST = """
version = 1
[bus]
root = "run"
[feeds.binance-usdm]
venue = "binance-usdm"
symbols = ["ETHUSDT"]
rest_url = "http://127.0.0.1:1"
ws_url = "ws://127.0.0.1:1"
[strategies]
dir = "strategies"
"""


def call(*arguments: str, fails: type[Exception] | None = None) -> str:
    result = CliRunner().invoke(app, ["strategy", *arguments], env={"COLUMNS": "200"})
    if fails is not None:
        assert isinstance(result.exception, fails), result.exception
        return str(result.exception)
    assert result.exit_code == 0, result.exception or result.output
    return result.output


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "host.toml").write_text(HOST)
    monkeypatch.chdir(tmp_path)
    return tmp_path


# ---------------------------------------------------------------- new, list


def test_a_new_strategys_own_test_passes_as_written(here: Path) -> None:
    said = call("new", "first_try")
    assert "python strategies/test_first_try.py" in said
    assert 'subscribe = ["binance-usdm:ETHUSDT"]' in (here / "strategies" / "first_try.toml").read_text()
    assert "class FirstTry(Strategy)" in (here / "strategies" / "first_try.py").read_text()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "strategies"],
        capture_output=True, text=True, timeout=100, check=False, cwd=here,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_a_host_accepts_what_was_written_whatever_the_umask(here: Path) -> None:
    before = os.umask(0)
    try:
        call("new", "mine")
    finally:
        os.umask(before)
    assert 'qty = "0.05"' in (here / "strategies" / "mine.toml").read_text()
    (row,) = json.loads(call("list", "--json"))
    assert (row["id"], row["class"], row["error"]) == ("mine", "Mine", "")
    assert row["params"]["requote_ms"] == 250


def test_what_it_sends_is_worth_what_the_venue_asks_at_least(here: Path) -> None:
    call("new", "mine", "--instrument", "binance-usdm:BTCUSDT")
    assert 'qty = "0.002"' in (here / "strategies" / "mine.toml").read_text()  # 100 USDT at the least


def test_of_a_market_that_nobody_makes_up_there_is_no_test(here: Path) -> None:
    assert "chronicle backtest run strategies/mine.toml" in call("new", "mine", "--instrument", "nasdaq:MSFT")
    assert {path.name for path in (here / "strategies").iterdir()} == {"mine.py", "mine.toml"}
    assert 'qty = "1"' in (here / "strategies" / "mine.toml").read_text()


def test_nothing_is_overwritten(here: Path) -> None:
    call("new", "mine")
    (here / "strategies" / "mine.toml").unlink()
    assert "mine.py" in call("new", "mine", fails=AlreadyThere)
    assert not (here / "strategies" / "mine.toml").exists()


@pytest.mark.parametrize("name", ["Mine", "1st", "class", "a-b", "", "x" * 40])
def test_a_name_that_is_no_module_is_refused(here: Path, name: str) -> None:
    call("new", name, fails=InvalidName)
    call("new", "mine", "--instrument", "BTCUSDT", fails=InvalidName)


def test_the_list_says_what_is_wrong_with_a_toml_and_how_to_begin(here: Path) -> None:
    assert "chronicle strategy new" in call("list")
    call("new", "mine")
    (here / "strategies" / "broken.toml").write_text("version = 1\n")
    said = call("list")
    assert "never ran" in said
    assert "binance-usdm:ETHUSDT" in said
    assert "edge_bps=0.005" in said
    assert "broken.toml" in said


# ---------------------------------------------------------------- set

TUNED = """
class Probe(Strategy):
    def on_start(self, ctx):
        ctx.set_timer("beat", every_ms=20)
    def on_timer(self, ctx, name):
        say("params", ctx.params.pace, ctx.params.mood)
"""


def where(scene: Scene) -> list[str]:
    config = scene.root / "check.toml"
    config.write_text(scene.host.config.read_text() + f'[strategies]\ndir = "{scene.host.toml.parent}"\n')
    return ["--run", str(scene.host.paths.root), "--config", str(config)]


def test_parameters_are_changed_at_once_and_the_time_is_told(scene: Scene) -> None:
    scene.begin(TUNED, params='pace = 3\nmood = "calm"')
    scene.said("params 3 calm")
    told = json.loads(call("set", "probe", "pace=11", "mood=wild", *where(scene), "--json"))
    assert told["params"] == {"pace": "11", "mood": "wild"}
    recorded = [one for one in scene.host.session() if isinstance(one, Parameter)]
    assert [(one.name, one.value) for one in recorded[2:]] == [("pace", "11"), ("mood", "wild")]
    assert {one.now_ns for one in recorded[2:]} == {told["applied_ns"]}
    scene.said("params 11 wild")
    assert not [line for line in scene.host.lines() if line in ("params 11 calm", "params 3 wild")]
    assert "holds again at the next start" in call("set", "probe", "pace=12", *where(scene))


def test_the_list_shows_what_a_running_strategy_has_now(scene: Scene) -> None:
    scene.begin(TUNED, params='pace = 3\nmood = "calm"')
    scene.said("params 3 calm")
    assert "mood=calm" in call("list", *where(scene))
    call("set", "probe", "pace=11", *where(scene))
    said = call("list", *where(scene))
    assert "pace=11 (TOML: 3)" in said
    assert "mood=calm" in said
    (row,) = json.loads(call("list", *where(scene), "--json"))
    assert row["params"] == {"pace": 3, "mood": "calm"}
    assert row["params_now"] == {"pace": "11", "mood": "calm"}
    assert scene.host.stop() == 0
    (row,) = json.loads(call("list", *where(scene), "--json"))
    assert row["params_now"] == {}, "its TOML holds again at the next start"


def test_of_two_who_set_one_parameter_at_once_each_hears_of_his_own_value(scene: Scene) -> None:
    scene.begin(TUNED, params='pace = 3\nmood = "calm"')
    scene.said("params 3 calm")
    chronicle = str(Path(sys.executable).with_name("chronicle"))
    both = [
        subprocess.Popen(
            [chronicle, "strategy", "set", "probe", f"mood={mood}", *where(scene), "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for mood in ("wild", "dull")
    ]  # fmt: skip
    told = {}
    for mood, process in zip(("wild", "dull"), both, strict=True):
        out, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        told[mood] = json.loads(out)
    recorded = [one for one in scene.host.session() if isinstance(one, Parameter)][2:]
    assert {one.value: one.now_ns for one in recorded} == {m: t["applied_ns"] for m, t in told.items()}
    last = recorded[-1].value
    assert told[last]["changed_since"] == {}


def test_a_value_is_only_acknowledged_by_its_own_record(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another's change of the same parameter comes between, and one's own is refused."""
    scene.begin(TUNED, params='pace = 3\nmood = "calm"')
    scene.said("params 3 calm")
    scene.host.toml.write_text(scene.host.toml.read_text().replace("pace = 3", 'pace = "3"'))
    send = strategy_set.send_command

    def another_first(paths: Any, daemon: str, command: Command, **more: Any) -> int:
        send(paths, daemon, command, reason="another", target="pace", value="7")
        return send(paths, daemon, command, **more)

    monkeypatch.setattr(strategy_set, "send_command", another_first)
    assert "no int" in call("set", "probe", "pace=fast", *where(scene), fails=CommandRefused)

    def another_then(paths: Any, daemon: str, command: Command, **more: Any) -> int:
        seq = send(paths, daemon, command, **more)
        send(paths, daemon, command, reason="another", target="pace", value="8")
        return seq

    monkeypatch.setattr(strategy_set, "send_command", another_then)
    told = json.loads(call("set", "probe", "pace=6", *where(scene), "--json"))
    assert told["changed_since"] in ({}, {"pace": "8"})  # as far as it has come by then


def test_a_slip_is_told_before_anything_is_sent(scene: Scene) -> None:
    scene.begin(TUNED, params='pace = 3\nmood = "calm"')
    scene.said("params 3 calm")
    call("set", "probe", "pace=fast", *where(scene), fails=BadParameter)
    call("set", "probe", "pase=4", *where(scene), fails=UnknownParameter)
    call("set", "probe", "pace", *where(scene), fails=InvalidArgument)
    call("set", "probe", f"mood={'m' * 80}", f"pace={'1' * 60}", *where(scene), fails=BadParameter)
    assert len([one for one in scene.host.session() if isinstance(one, Parameter)]) == 2


def test_what_the_running_host_refuses_is_told(scene: Scene) -> None:
    scene.begin(TUNED, params='pace = 3\nmood = "calm"')
    scene.said("params 3 calm")
    scene.host.toml.write_text(scene.host.toml.read_text() + "later = 5\n")
    said = call("set", "probe", "later=6", *where(scene), fails=CommandRefused)
    assert "no parameter 'later'; there are: mood, pace" in said


def test_a_strategy_that_does_not_run_cannot_be_told(scene: Scene) -> None:
    scene.begin(TUNED, params='pace = 3\nmood = "calm"')
    scene.said("params 3 calm")
    assert scene.host.stop() == 0
    assert "does not run" in call("set", "probe", "pace=4", *where(scene), fails=StrategyAway)
