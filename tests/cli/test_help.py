"""Every command explains itself, with an example, and errors are one line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from libchronicle.cli.main import app
from libchronicle.runtime.daemon import ExitCode

CHRONICLE = str(Path(sys.executable).parent / "chronicle")


def commands() -> list[tuple[str, ...]]:
    group = typer.main.get_command(app)
    found: list[tuple[str, ...]] = []
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        found += [(name, sub) for sub in inner] if inner else [(name,)]
    return found


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_has_help_with_an_example(command: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "120"})
    assert result.exit_code == 0, result.output
    assert "Example" in result.output
    assert f"chronicle {' '.join(command)}" in result.output


def test_the_version_names_the_schema_too() -> None:
    done = subprocess.run([CHRONICLE, "--version"], capture_output=True, text=True, timeout=60, check=True)
    told = rf"chronicle {version('libchronicle')} \(message schema \d+, CPython 3\.\d+\.\d+\)\n"
    assert re.fullmatch(told, done.stdout), done.stdout


def test_the_suites_commands_are_all_there() -> None:
    assert set(commands()) >= {
        ("up",),
        ("down",),
        ("status",),
        ("top",),
        ("kill",),
        ("bench",),
        *(("queue", name) for name in ("ls", "inspect", "tail", "dump", "verify")),
    }


def run(*arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [CHRONICLE, *arguments],
        cwd=cwd,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


ERRORS = [
    (("up",), ExitCode.CONFIG, "deploy/host.toml: file: no such file"),
    (
        ("up", "--config", "host.toml"),
        ExitCode.CONFIG,
        "host.toml: bus.roto: unknown key; allowed: hot, root",
    ),
    (("queue", "tail", "nosuch"), ExitCode.NOT_READY, "nosuch: no such queue"),
    (("queue", "inspect", "nosuch"), ExitCode.NOT_READY, "nosuch: no such queue"),
    (("kill", "--run", "nowhere"), ExitCode.CONFIG, "nothing ever ran there"),
    (("status", "--check"), ExitCode.NOT_READY, "nothing runs"),
    (("bench", "nosuch"), ExitCode.CONFIG, "no such benchmark; there are: "),
    (("bench", "book", "--medium", "tape"), ExitCode.CONFIG, '"shm" or "disk"'),
]


@pytest.mark.parametrize(("arguments", "code", "said"), ERRORS, ids=[" ".join(e[0]) for e in ERRORS])
def test_an_error_is_one_line_without_a_traceback(
    tmp_path: Path, arguments: tuple[str, ...], code: ExitCode, said: str
) -> None:
    (tmp_path / "host.toml").write_text("version = 1\n[bus]\nroto = 'x'\n")
    result = run(*arguments, cwd=tmp_path)
    assert result.returncode == code, result.stderr
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("chronicle: ")
    assert said in line


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    result = run("--debug", "up", cwd=tmp_path)
    assert "Traceback" in result.stderr
    assert result.returncode == ExitCode.CONFIG


def test_a_closed_pipe_ends_quietly(tmp_path: Path) -> None:
    command = f"{CHRONICLE} bench --list | true"
    result = subprocess.run(
        command, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.stderr == ""


def test_status_loads_nothing_heavy(tmp_path: Path) -> None:
    """Its start is bounded by imports: measured 0.12 s, of which the interpreter takes a third."""
    heavy = ("numpy", "pyarrow", "rich", "uvloop", "websockets", "asyncio", "prometheus_client", "pydantic")
    code = (
        "import sys; from libchronicle.cli.main import app\n"
        "sys.argv = ['chronicle', 'status', '--window', '0']\n"
        "try: app()\n"
        "except SystemExit: pass\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    assert result.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "words",
    [
        ["archive", "book", "v:S"],
        ["archive", "export"],
        ["down", "--nosuch"],
        ["nosuch"],
        ["replay", "--every", "x"],
    ],
    ids=" ".join,
)
def test_a_missing_or_unknown_argument_is_misuse_like_any_other(words: list[str]) -> None:
    done = subprocess.run([CHRONICLE, *words], capture_output=True, timeout=60, check=False)
    assert done.returncode == ExitCode.MISUSE
    assert b"Usage" in done.stderr
