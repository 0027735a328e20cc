"""README's quick start runs as printed."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from libchronicle.errors import NotReadyError
from libchronicle.protocol import ExecutionReport
from libchronicle.queue import Queue
from libchronicle.testing.live_suite import BIN, LiveSuite

FENCE = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def block(root: Path, first_line: str) -> str:
    for _, text in FENCE.findall((root / "README.md").read_text()):
        if text.startswith(first_line):
            return text
    raise AssertionError(f"README has no block that begins with {first_line!r}")


def run(code: str, directory: Path) -> str:
    code = code.replace("/tmp/ticks", str(directory / "ticks"))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=directory
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_the_quick_starts_writer_wrote_its_reader_prints_once(
    project_root: Path, tmp_path: Path
) -> None:
    writer, reader = block(project_root, "# writer.py"), block(project_root, "# reader.py")
    run(writer, tmp_path)
    lines = run(reader, tmp_path).splitlines()
    assert len(lines) == 11
    assert lines[0].startswith("0 ")
    assert lines[0].endswith("7 b'tick 0'")
    assert lines[-1].endswith("b'hello there'")
    assert run(reader, tmp_path) == ""
    run(writer, tmp_path)
    assert run(reader, tmp_path).startswith("11 ")
    for code in (writer, reader):
        assert len([line for line in code.splitlines() if line and not line.startswith("#")]) <= 10


def test_both_commands_are_shown(project_root: Path) -> None:
    text = (project_root / "README.md").read_text()
    assert "make up" in text
    assert "make test" in text


def test_the_path_of_a_first_strategy_from_new_to_paper_and_back(project_root: Path, tmp_path: Path) -> None:
    lines = block(project_root, ".venv/bin/chronicle strategy new").splitlines()
    (tmp_path / ".venv").symlink_to(BIN.parent)
    with LiveSuite.of_deployment(tmp_path, project_root / "deploy") as suite:
        suite.tables["strategies"]["dir"] = "deploy/strategies"
        suite.write()
        (tmp_path / "deploy").mkdir()
        shutil.move(suite.strategies, tmp_path / "deploy" / "strategies")
        (tmp_path / "deploy" / "host.toml").symlink_to(tmp_path / "host.toml")
        environ = {
            **os.environ,
            "PYTHONSAFEPATH": "",
        }  # as in a terminal: a script finds the modules beside it
        said = {}
        for line in lines:
            command = shlex.split(line, comments=True)
            if command[0].endswith("/pip"):
                continue  # what it installs is there, for the tests; an index may not be
            if command[1:] == ["strategy", "list"] or command[1:2] == ["down"]:
                suite.wait_until(lambda: trades(suite), "mine trades")
            done = subprocess.run(
                command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120, check=False
            )
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
            said[" ".join(command[1:3])] = done.stdout
    assert "Mine: profit " in said["deploy/strategies/test_mine.py"]
    assert "mine" in said["strategy list"]
    assert "edge_bps=0.05 from" in said["strategy set"]
    assert said["replay-check mine"].count("the same, message for message") >= 2


def trades(suite: LiveSuite) -> bool:
    """It has sent an order, and the router has answered."""
    try:
        with Queue.open_subscriber(suite.paths.orders_in("mine"), None, start="earliest") as reports:
            return any(one.type_id == ExecutionReport.TEMPLATE_ID for one in reports)
    except NotReadyError:
        return False
