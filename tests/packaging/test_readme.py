"""README's quick start runs as printed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

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
